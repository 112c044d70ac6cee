//! Trees, from entries to nodes and back.

use std::collections::HashMap;
use std::sync::Arc;

use meshfs::format::content::{chunk_id, empty, list_id};
use meshfs::format::node::{check_child, check_counts, decode_node, encode_node, is_inlined, node_id};
use meshfs::format::split::{build_dir, dir_of};
use meshfs::model::content::{FileBody, FileContent, Item};
use meshfs::model::entry::{Content, Entry, Meta};
use meshfs::model::id::{Codec, Location, NodeId, PackName};
use meshfs::model::time::Time;
use meshfs::model::tree::{DirContent, NamedEntry, Node, NodeBody};

fn meta() -> Meta {
    Meta { mode: 0o644, owner: None, mtime: Time(1), xattrs: Vec::new() }
}

fn file(name: &str, bytes: &[u8]) -> NamedEntry {
    let content = if bytes.is_empty() {
        empty()
    } else {
        let location = Location { pack: PackName([7; 16]), offset: 16, len: 99, codec: Codec::Raw };
        let items = vec![Item::Chunk { len: bytes.len() as u32, id: chunk_id(bytes), location }];
        FileContent { size: bytes.len() as u64, id: list_id(&items), body: FileBody::Items(items) }
    };
    NamedEntry { name: name.into(), entry: Entry { meta: meta(), content: Content::File(content) } }
}

/// Stores every node of a directory that is not inlined, deepest first.
fn store(dir: &DirContent, stored: &mut HashMap<NodeId, Vec<u8>>) -> DirContent {
    let NodeBody::Here(node) = &dir.body else { return dir.clone() };
    let node = match node.as_ref() {
        Node::Leaf(entries) => Node::Leaf(
            entries
                .iter()
                .map(|named| {
                    let mut named = named.clone();
                    if let Content::Dir(dir) = &mut named.entry.content
                        && !is_inlined(dir)
                    {
                        *dir = store(dir, stored);
                    }
                    named
                })
                .collect(),
        ),
        Node::Inner { level, children } => Node::Inner {
            level: *level,
            children: children
                .iter()
                .map(|child| {
                    let mut child = child.clone();
                    let dir = DirContent { id: child.id, counts: child.counts, body: child.body };
                    child.body = store(&dir, stored).body;
                    child
                })
                .collect(),
        },
    };
    let encoded = encode_node(&node).unwrap();
    assert_eq!(encoded.id, dir.id);
    stored.insert(encoded.id, encoded.bytes);
    let location = Location { pack: PackName([1; 16]), offset: 0, len: 1, codec: Codec::Zstd };
    DirContent { id: dir.id, counts: dir.counts, body: NodeBody::Stored(location) }
}

#[test]
fn a_large_directory_reads_back() {
    let entries: Vec<_> = (0..20_000).map(|n| file(&format!("file-{n:06}"), &[1; 10])).collect();
    let dir = build_dir(entries.clone()).unwrap();
    assert_eq!(dir.counts.files, 20_000);
    let mut stored = HashMap::new();
    store(&dir, &mut stored);
    let mut found = Vec::new();
    let mut work = vec![(dir.id, None)];
    while let Some((id, parent)) = work.pop() {
        let bytes = &stored[&id];
        let node = decode_node(bytes, &id).unwrap();
        assert_eq!(node_id(&node).unwrap(), id);
        match &parent {
            Some((level, child)) => check_child(*level, child, &node).unwrap(),
            None => check_counts(&dir.counts, &node).unwrap(),
        }
        match node {
            Node::Leaf(entries) => found.extend(entries),
            Node::Inner { level, children } => {
                work.extend(children.into_iter().rev().map(|child| (child.id, Some((level, child)))));
            }
        }
    }
    assert_eq!(found, entries);
    let _ = Arc::new(dir_of(Node::empty()).unwrap());
}
