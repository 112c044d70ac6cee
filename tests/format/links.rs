//! The hard-link table.

use std::collections::HashMap;
use std::sync::Arc;

use meshfs::format::error::FormatError;
use meshfs::format::limits::NODE_BYTES_MAX;
use meshfs::format::link::{build_links, decode_link_node, encode_link_node, link_node_id};
use meshfs::format::node::decode_node;
use meshfs::model::id::NodeId;
use meshfs::model::path::TreePath;
use meshfs::model::source::{NodeSource, read_links};
use meshfs::model::tree::{LinkBody, LinkChild, LinkGroup, LinkNode, LinkTable, Node, NodeBody};
use proptest::prelude::*;

use crate::made::location;

fn path(text: &str) -> TreePath {
    TreePath::parse(text.as_bytes()).unwrap()
}

/// Stores all nodes of a table, children before parents.
fn store(id: NodeId, body: &LinkBody, stored: &mut HashMap<NodeId, Vec<u8>>) {
    let LinkBody::Here(node) = body else { panic!("it was just made") };
    let mut node = node.as_ref().clone();
    if let LinkNode::Inner { children, .. } = &mut node {
        for child in children {
            store(child.id, &child.body, stored);
            child.body = LinkBody::Stored(location(1, 0));
        }
    }
    let encoded = encode_link_node(&node).unwrap();
    assert_eq!(encoded.id, id);
    assert!(encoded.canonical_len as u64 <= NODE_BYTES_MAX);
    stored.insert(id, encoded.bytes);
}

fn read(table: &LinkTable) -> (Vec<LinkGroup>, usize) {
    let mut stored = Stored(HashMap::new());
    store(table.id, &table.body, &mut stored.0);
    let table = LinkTable { id: table.id, body: LinkBody::Stored(location(1, 0)) };
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let groups = runtime.block_on(read_links(&stored, Some(&table))).unwrap();
    (groups, stored.0.len())
}

/// Nodes as they are stored, and nothing else.
struct Stored(HashMap<NodeId, Vec<u8>>);

impl NodeSource for Stored {
    type Error = FormatError;

    async fn node(&self, id: &NodeId, _: &NodeBody) -> Result<Arc<Node>, FormatError> {
        decode_node(&self.0[id], id).map(Arc::new)
    }

    async fn link_node(&self, id: &NodeId, _: &LinkBody) -> Result<Arc<LinkNode>, FormatError> {
        decode_link_node(&self.0[id], id).map(Arc::new)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn a_table_reads_back_and_does_not_depend_on_order(
        paths in prop::collection::hash_set("[a-c]{1,3}(/[a-z]{1,9}){0,3}", 2..200),
        size in 2usize..9,
    ) {
        let paths: Vec<_> = paths.iter().map(|text| path(text)).collect();
        let groups: Vec<_> = paths.chunks(size).filter(|group| group.len() >= 2).map(|g| LinkGroup(g.to_vec())).collect();
        prop_assume!(!groups.is_empty());
        let table = build_links(groups.clone()).unwrap().unwrap();
        let mut turned = groups.clone();
        turned.reverse();
        turned.iter_mut().for_each(|group| group.0.reverse());
        prop_assert_eq!(build_links(turned).unwrap().unwrap().id, table.id);
        let mut sorted = groups;
        sorted.iter_mut().for_each(|group| group.0.sort());
        sorted.sort();
        prop_assert_eq!(read(&table).0, sorted);
    }
}

#[test]
fn a_group_of_many_names_is_cut_into_parts() {
    let paths: Vec<_> = (0..60_000).map(|n| path(&format!("store/{n:06}/a-name-of-some-length"))).collect();
    let groups = vec![LinkGroup(vec![path("a"), path("b")]), LinkGroup(paths), LinkGroup(vec![path("x"), path("y")])];
    let table = build_links(groups.clone()).unwrap().unwrap();
    let (read, nodes) = read(&table);
    assert_eq!(read, groups);
    assert!(nodes > 10, "{nodes} nodes hold two megabytes");
}

#[test]
fn the_longest_paths_still_fit() {
    let long = |n: usize| path(&[format!("{n:05}"), vec!["d".repeat(200); 162].join("/")].join("/"));
    assert!(long(0).as_bytes().len() > 32_500);
    let groups: Vec<_> = (0..40).map(|n| LinkGroup(vec![long(2 * n), long(2 * n + 1)])).collect();
    let table = build_links(groups.clone()).unwrap().unwrap();
    assert_eq!(read(&table).0, groups);
}

#[test]
fn what_is_no_group_is_refused() {
    assert!(build_links(Vec::new()).unwrap().is_none());
    assert!(build_links(vec![LinkGroup(vec![path("a")])]).is_err());
    assert!(build_links(vec![LinkGroup(vec![path("a"), path("a")])]).is_err());
    assert!(build_links(vec![LinkGroup(vec![path("a"), TreePath::root()])]).is_err());
    let twice = vec![LinkGroup(vec![path("a"), path("b")]), LinkGroup(vec![path("b"), path("c")])];
    assert!(build_links(twice).is_err(), "a name is of one file");
    let leaf = Arc::new(LinkNode::Leaf(vec![LinkGroup(vec![path("a"), path("b")])]));
    let child = LinkChild { last_key: b"a\0b".to_vec(), id: link_node_id(&leaf).unwrap(), body: LinkBody::Here(leaf) };
    assert!(encode_link_node(&LinkNode::Inner { level: 1, children: vec![child] }).is_err());
}
