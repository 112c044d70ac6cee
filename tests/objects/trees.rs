//! Trees, hard links and attributes stored and read back.

use std::sync::Arc;

use meshfs::format::link::build_links;
use meshfs::model::entry::{Content, Xattr, XattrValue};
use meshfs::model::path::TreePath;
use meshfs::model::source::NodeSource;
use meshfs::model::tree::{LinkBody, LinkGroup, LinkNode, NamedEntry, Node, NodeBody};
use meshfs::repo::objects::Objects;
use meshfs::telemetry::counters::Verb;

use crate::lab::{KIB, Lab, dir, file, finish, random_bytes, root};

/// Every path below a directory, and whether each node came with its parent.
async fn walk(objects: &Objects, entry: &meshfs::model::entry::Entry) -> Vec<String> {
    let mut found = Vec::new();
    let top = entry.as_dir().unwrap();
    let mut nodes = vec![(String::new(), top.id, top.body.clone())];
    while let Some((path, id, body)) = nodes.pop() {
        match &*objects.node(&id, &body).await.unwrap() {
            Node::Inner { children, .. } => {
                nodes.extend(children.iter().rev().map(|child| (path.clone(), child.id, child.body.clone())));
            }
            Node::Leaf(entries) => {
                for NamedEntry { name, entry } in entries {
                    let path = format!("{path}/{}", String::from_utf8_lossy(name));
                    if let Some(dir) = entry.as_dir() {
                        nodes.push((path.clone(), dir.id, dir.body.clone()));
                    }
                    found.push(path);
                }
            }
        }
    }
    found.sort();
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn small_directories_stay_in_their_parents_and_large_ones_below_them_are_stored() {
    let lab = Lab::remote();
    let mut upload = lab.upload(&lab.machine());
    let content = upload.file(Arc::new(random_bytes(1, 100)), 100, None).await.unwrap();
    let many = || (0..3000).map(|at| file(format!("{at:05}"), content.clone())).collect::<Vec<_>>();
    let tree =
        vec![dir("a", vec![dir("b", vec![dir("many", many()), file("x", content.clone())])]), dir("empty", vec![])];
    let expected_id = root(tree.clone()).entry.as_dir().unwrap().id;
    let (stored, location) = finish(&mut upload, tree).await;
    let cold = lab.machine();
    let read = cold.root(&stored.id, &location).await.unwrap();
    assert_eq!(read.entry.as_dir().unwrap().id, expected_id);
    let paths = walk(&cold, &read.entry).await;
    assert_eq!(paths.len(), 3000 + 5);
    assert!(paths.contains(&"/a/b/many/02999".to_owned()) && paths.contains(&"/empty".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_root_of_an_upload_sends_only_what_is_new_in_it() {
    let lab = Lab::remote();
    let mut upload = lab.upload(&lab.machine());
    let content = upload.file(Arc::new(random_bytes(1, 100)), 100, None).await.unwrap();
    let many = dir("many", (0..5000).map(|at| file(format!("{at:05}"), content.clone())).collect());
    finish(&mut upload, vec![many.clone()]).await;
    let before = lab.counters.read();
    let (stored, location) = finish(&mut upload, vec![many, file("new", content)]).await;
    let cost = lab.since(before);
    assert!(cost.of(Verb::Put) == 1 && cost.total() == 1 && cost.sent_bytes < 4 * KIB as u64, "{cost:?}");
    let cold = lab.machine();
    let read = cold.root(&stored.id, &location).await.unwrap();
    assert_eq!(walk(&cold, &read.entry).await.len(), 5002);
}

/// Levels of which a thread's stack would not hold a call each.
const DEPTH: usize = 1500;

#[tokio::test(flavor = "multi_thread")]
async fn a_tree_deeper_than_any_stack_is_stored() {
    let lab = Lab::remote();
    let mut upload = lab.upload(&lab.machine());
    let content = upload.file(Arc::new(random_bytes(1, 100)), 100, None).await.unwrap();
    let wide: Vec<NamedEntry> = (0..100).map(|at| file(format!("{at:02}"), content.clone())).collect();
    let mut tree = wide.clone();
    for _ in 0..DEPTH {
        let mut above = wide.clone();
        above.push(dir("deeper", tree));
        tree = above;
    }
    let (stored, location) = finish(&mut upload, tree).await;
    let cold = lab.machine();
    let mut entry = cold.root(&stored.id, &location).await.unwrap().entry;
    for depth in 0..DEPTH {
        let top = entry.as_dir().unwrap().clone();
        assert!(matches!(top.body, NodeBody::Stored(_)), "at {depth}");
        let node = cold.node(&top.id, &top.body).await.unwrap();
        let meshfs::model::tree::Step::Found(below) = node.step(b"deeper") else { panic!("at {depth}") };
        entry = below.clone();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hard_links_are_stored_with_the_root() {
    let lab = Lab::remote();
    let path = |text: String| TreePath::parse(text.as_bytes()).unwrap();
    let groups: Vec<LinkGroup> =
        (0..20_000).map(|at| LinkGroup(vec![path(format!("a/{at:06}")), path(format!("b/{at:06}"))])).collect();
    let mut with_links = root(Vec::new());
    with_links.links = build_links(groups.clone()).unwrap();
    let (stored, location) = lab.upload(&lab.machine()).finish_nodes(with_links).await.unwrap();
    let cold = lab.machine();
    let links = cold.root(&stored.id, &location).await.unwrap().links.unwrap();
    assert!(matches!(links.body, LinkBody::Stored(_)));
    let mut read = Vec::new();
    let mut nodes = vec![(links.id, links.body)];
    while let Some((id, body)) = nodes.pop() {
        let node = cold.link_node(&id, &body).await.unwrap();
        assert!(Arc::ptr_eq(&node, &cold.cached_link_node(&id, &body).unwrap()));
        match &*node {
            LinkNode::Leaf(groups) => read.extend(groups.iter().cloned()),
            LinkNode::Inner { children, .. } => {
                nodes.extend(children.iter().rev().map(|child| (child.id, child.body.clone())));
            }
        }
    }
    assert!(read == groups);
}

#[tokio::test(flavor = "multi_thread")]
async fn long_attribute_values_are_chunks_and_short_ones_stand_in_the_entry() {
    let lab = Lab::remote();
    let mut upload = lab.upload(&lab.machine());
    let (short, long) = (random_bytes(1, 256), random_bytes(2, 257));
    let mut named = file("f", upload.file(Arc::new(Vec::new()), 0, None).await.unwrap());
    for (name, value) in [("user.long", &long), ("user.short", &short)] {
        let value = upload.xattr(value.clone()).await.unwrap();
        named.entry.meta.xattrs.push(Xattr { name: name.as_bytes().to_vec(), value });
    }
    let (stored, _) = finish(&mut upload, vec![named]).await;
    let cold = lab.machine();
    let top = stored.entry.as_dir().unwrap();
    let node = cold.node(&top.id, &top.body).await.unwrap();
    let Node::Leaf(entries) = &*node else { panic!() };
    assert!(matches!(entries[0].entry.content, Content::File(_)));
    let [first, second] = &entries[0].entry.meta.xattrs[..] else { panic!() };
    assert!(matches!((&first.value, &second.value), (XattrValue::Chunk { len: 257, .. }, XattrValue::Inline(_))));
    assert_eq!(cold.xattr_value(&first.value).await.unwrap(), long);
    assert_eq!(cold.cached_xattr_value(&first.value).unwrap(), long);
    assert_eq!(cold.cached_xattr_value(&second.value).unwrap(), short);
}
