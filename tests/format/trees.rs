//! Trees: ids that depend on nothing but what is in them, and nodes that read back.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use bytes::Bytes;
use meshfs::format::limits::NODE_BYTES_MAX;
use meshfs::format::node::{
    Encoded, decode_node, decode_root, encode_node, encode_root, entry_size, is_inlined, node_id, root_id,
};
use meshfs::format::pack::{FrameKind, PackBuilder, decode_frame, encode_frame};
use meshfs::format::split::{build_above_leaves, build_dir, build_leaves, child_of, dir_of, dir_of_leaf, ends_by_hash};
use meshfs::model::content::Item;
use meshfs::model::entry::{Content, Entry};
use meshfs::model::id::{NodeId, PackName, RootId};
use meshfs::model::tree::{Counts, DirContent, NamedEntry, Node, NodeBody, Root};
use proptest::prelude::*;

use crate::made::{Made, build, chunk, file_of, location, meta, named, one_of_each, store, trees};

fn root_of(entry: Entry) -> Root {
    Root { id: RootId([0; 32]), entry, links: None }
}

/// Nodes as they lie in packs: `name` and `compress` differ from writer to writer.
#[derive(Default)]
struct Packs {
    name: u8,
    compress: bool,
    frames: HashMap<[u8; 32], Bytes>,
}

impl Packs {
    fn put(&mut self, id: [u8; 32], stored: Vec<u8>) -> meshfs::model::id::Location {
        let mut pack = PackBuilder::new(PackName([self.name + 1; 16]));
        // A frame of data is raw when it does not compress; that of a node is compressed.
        let kind = if self.compress { FrameKind::Node } else { FrameKind::Chunk };
        let frame = encode_frame(kind, &stored).unwrap();
        assert_eq!(decode_frame(kind, &frame.bytes).unwrap(), stored);
        self.frames.insert(id, Bytes::from(stored));
        pack.add(&frame, id)
    }
}

/// Every entry of a directory, its subtrees included, read from stored nodes alone.
fn read(packs: &Packs, dir: &DirContent, into: &mut Vec<(Vec<u8>, Counts)>) {
    let mut work = vec![dir.said()];
    while let Some(said) = work.pop() {
        let node = match &said.body {
            NodeBody::Here(node) => node.clone(),
            NodeBody::Stored(_) => Arc::new(decode_node(&packs.frames[&said.id.0], &said.id).unwrap()),
        };
        said.check(&node).unwrap();
        match node.as_ref() {
            Node::Leaf(entries) => {
                for NamedEntry { name, entry } in entries {
                    into.push((name.clone(), entry.counts()));
                    if let Content::Dir(below) = &entry.content {
                        read(packs, below, into);
                    }
                }
            }
            Node::Inner { children, .. } => {
                work.extend((0..children.len()).rev().filter_map(|at| node.said_of(at, said.after())));
            }
        }
    }
}

fn names_of(made: &Made, into: &mut Vec<Vec<u8>>) {
    if let Made::Dir(_, names) = made {
        for (name, below) in names {
            into.push(name.clone());
            names_of(below, into);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn a_tree_has_one_id_however_it_is_built_packed_and_compressed(made in trees(120)) {
        let here = root_of(build(&made, &mut |dir| dir));
        let mut found = Vec::new();
        for (name, compress) in [(1, true), (2, false)] {
            let mut packs = Packs { name, compress, ..Packs::default() };
            // Each directory is stored, and read back, before its parent is built.
            let stored = build(&made, &mut |dir| store(dir, &mut |id, bytes| packs.put(id, bytes)));
            let root = root_of(stored);
            prop_assert_eq!(root_id(&root).unwrap(), root_id(&here).unwrap());
            let encoded = encode_root(&root).unwrap();
            let root = decode_root(&encoded.bytes, &encoded.id).unwrap();
            prop_assert_eq!(root.id, root_id(&here).unwrap());
            let mut names = Vec::new();
            read(&packs, root.entry.as_dir().unwrap(), &mut names);
            found.push(names);
        }
        let mut expected = Vec::new();
        names_of(&made, &mut expected);
        prop_assert_eq!(&found[0], &found[1]);
        prop_assert_eq!(found[0].iter().map(|(name, _)| name.clone()).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_node_reads_back_as_it_was(made in trees(60)) {
        let mut packs = Packs { name: 1, compress: true, ..Packs::default() };
        let entry = build(&made, &mut |dir| store(dir, &mut |id, bytes| packs.put(id, bytes)));
        let leaf = Node::Leaf(vec![NamedEntry { name: b"name".to_vec(), entry }]);
        let encoded = encode_node(&leaf).unwrap();
        prop_assert_eq!(encoded.id, node_id(&leaf).unwrap());
        let back = decode_node(&encoded.bytes, &encoded.id).unwrap();
        prop_assert_eq!(leaves_text(&back), leaves_text(&leaf));
        prop_assert_eq!(encode_node(&back).unwrap(), encoded);
    }

    #[test]
    fn an_entry_weighs_what_it_takes(made in trees(40)) {
        let entry = NamedEntry { name: b"name".to_vec(), entry: build(&made, &mut |dir| dir) };
        let empty = canonical_len(&Node::empty());
        let alone = canonical_len(&Node::Leaf(vec![entry.clone()]));
        let inlined = entry.entry.as_dir().filter(|dir| is_inlined(dir)).map_or(0, inlined_len);
        prop_assert_eq!(entry_size(&entry), alone - empty + inlined);
    }
}

/// All that a node holds, locations and inlined nodes included.
fn leaves_text(node: &Node) -> String {
    format!("{node:?}")
}

/// Length of a node's canonical bytes, from the hash's input: the encoding of a node whose children all lie somewhere.
fn canonical_len(node: &Node) -> u64 {
    let mut node = node.clone();
    if let Node::Leaf(entries) = &mut node {
        for entry in entries {
            if let Content::Dir(dir) = &mut entry.entry.content {
                dir.body = NodeBody::Stored(location(1, 0));
            }
        }
    }
    let Encoded { canonical_len, .. } = encode_node(&node).unwrap();
    canonical_len as u64
}

fn inlined_len(dir: &DirContent) -> u64 {
    let NodeBody::Here(node) = &dir.body else { panic!("inlined, so it is here") };
    let Node::Leaf(entries) = node.as_ref() else { panic!("inlined, so it is a leaf") };
    let below = entries.iter().filter_map(|e| e.entry.as_dir()).filter(|dir| is_inlined(dir)).map(inlined_len);
    canonical_len(node) + below.sum::<u64>()
}

fn small_file(n: usize) -> NamedEntry {
    let bytes = n.to_le_bytes();
    named(&format!("file-{n:06}"), Content::File(file_of(vec![chunk(&bytes, location(1, n as u64 * 100))])))
}

/// Ids of all nodes of a directory that is not stored yet.
fn node_ids(dir: &DirContent, into: &mut HashSet<NodeId>) {
    into.insert(dir.id);
    if let NodeBody::Here(node) = &dir.body
        && let Node::Inner { children, .. } = node.as_ref()
    {
        for child in children {
            node_ids(&DirContent { id: child.id, counts: child.counts, body: child.body.clone() }, into);
        }
    }
}

#[test]
fn an_edit_in_a_large_directory_changes_the_nodes_on_its_path() {
    let entries: Vec<_> = (0..30_000).map(small_file).collect();
    let mut before = HashSet::new();
    let dir = build_dir(entries.clone()).unwrap();
    node_ids(&dir, &mut before);
    for at in [0, 15_000, 29_999] {
        let mut edited = entries.clone();
        edited[at].entry.content = Content::Symlink(b"elsewhere".to_vec());
        let mut after = HashSet::new();
        node_ids(&build_dir(edited).unwrap(), &mut after);
        let fresh = after.difference(&before).count();
        assert!((2..=4).contains(&fresh), "{fresh} new nodes for one changed entry");
        let mut removed = entries.clone();
        removed.remove(at);
        let mut after = HashSet::new();
        node_ids(&build_dir(removed).unwrap(), &mut after);
        assert!(after.difference(&before).count() <= 4);
    }
}

#[test]
fn nodes_of_a_large_directory_are_of_the_size_aimed_at() {
    let leaves = build_leaves((0..100_000).map(small_file).collect()).unwrap();
    let mut largest = 0;
    for leaf in &leaves {
        largest = largest.max(canonical_len(leaf));
    }
    assert!(largest <= NODE_BYTES_MAX);
    let total: u64 = leaves.iter().map(canonical_len).sum();
    let mean = total / leaves.len() as u64;
    assert!((48 << 10..80 << 10).contains(&mean), "a leaf has {mean} bytes on average");
    let dir = build_above_leaves(leaves.into_iter().map(|leaf| child_of(leaf).unwrap()).collect()).unwrap();
    let NodeBody::Here(top) = &dir.body else { panic!("it was just made") };
    assert!((1..=2).contains(&top.level()), "{} levels over {mean}-byte leaves", top.level());
    assert_eq!(dir.counts, Counts { entries: 100_000, files: 100_000, bytes: 800_000 });
}

#[test]
fn entries_of_the_largest_size_still_make_sound_nodes() {
    let entry = |n: usize| {
        let mut entry = small_file(n);
        entry.name = format!("{n:0255}").into_bytes();
        entry.entry.meta.xattrs = (0..240)
            .map(|at| meshfs::model::entry::Xattr {
                name: format!("user.{at:05}").into_bytes(),
                value: meshfs::model::entry::XattrValue::Inline(vec![n as u8; 256]),
            })
            .collect();
        entry
    };
    let leaves = build_leaves((0..40).map(entry).collect()).unwrap();
    assert!(leaves.iter().all(|leaf| canonical_len(leaf) <= NODE_BYTES_MAX));
    assert!(leaves.iter().any(|leaf| matches!(leaf, Node::Leaf(entries) if entries.len() > 1)));
    for leaf in leaves {
        let encoded = encode_node(&leaf).unwrap();
        decode_node(&encoded.bytes, &encoded.id).unwrap();
    }
}

#[test]
fn a_node_without_a_hash_to_end_it_ends_before_it_is_too_large() {
    // Names of which none ends a node: found by looking.
    let quiet = (0..).map(small_file).filter(|entry| !ends_by_hash(&Node::Leaf(vec![entry.clone()])));
    let leaves = build_leaves(quiet.take(9000).collect()).unwrap();
    let sizes: Vec<_> = leaves.iter().map(canonical_len).collect();
    let (_, full) = sizes.split_last().unwrap();
    assert!(!full.is_empty() && full.iter().all(|size| (NODE_BYTES_MAX - 100..=NODE_BYTES_MAX).contains(size)));
}

#[test]
fn every_kind_of_entry_reads_back() {
    let leaf = Node::Leaf(one_of_each());
    let encoded = encode_node(&leaf).unwrap();
    let back = decode_node(&encoded.bytes, &encoded.id).unwrap();
    assert_eq!(leaves_text(&back), leaves_text(&leaf));
    assert_eq!(back.counts(), leaf.counts());
}

#[test]
fn a_small_directory_is_inlined_wherever_it_was_stored() {
    let leaf = || Node::Leaf(vec![named("a", Content::Fifo)]);
    let dir = dir_of_leaf(leaf(), Some(location(1, 0))).unwrap();
    assert!(is_inlined(&dir) && matches!(dir.body, NodeBody::Here(_)));
    let large = Node::Leaf((0..200).map(|n| named(&format!("{n:04}"), Content::Fifo)).collect());
    assert!(matches!(dir_of_leaf(large, Some(location(1, 0))).unwrap().body, NodeBody::Stored(_)));
}

#[test]
fn a_chain_of_small_directories_is_inlined_until_it_is_too_long() {
    let mut dir = dir_of(Node::empty()).unwrap();
    let mut depths = Vec::new();
    for depth in 0..200 {
        if !is_inlined(&dir) {
            depths.push(depth);
            dir = store(dir, &mut |_, _| location(1, 0));
        }
        dir = build_dir(vec![named("d", Content::Dir(dir))]).unwrap();
    }
    assert!(depths.len() >= 3, "stored at depths {depths:?}");
    assert!(depths.windows(2).all(|pair| pair[1] - pair[0] == depths[1] - depths[0]));
}

#[test]
fn what_no_reader_would_accept_is_not_written() {
    let entry = named("a", Content::Fifo);
    let refuse = |entries: Vec<NamedEntry>| assert!(encode_node(&Node::Leaf(entries)).is_err());
    refuse(vec![entry.clone(), entry.clone()]);
    refuse(vec![named("b", Content::Fifo), entry.clone()]);
    for name in ["", ".", "..", ".meshfs", "a/b", "a\0b"] {
        refuse(vec![named(name, Content::Fifo)]);
    }
    refuse(vec![named(&"x".repeat(256), Content::Fifo)]);
    refuse(vec![named("a", Content::Symlink(Vec::new()))]);
    refuse(vec![named("a", Content::Symlink(vec![b'x'; 4096]))]);
    refuse(vec![NamedEntry { name: b"a".to_vec(), entry: Entry { meta: meta(0o10000), content: Content::Fifo } }]);
    let wrong = meshfs::model::content::FileContent { size: 9, ..file_of(vec![chunk(b"abc", location(1, 0))]) };
    refuse(vec![named("a", Content::File(wrong))]);
    refuse(vec![named("a", Content::File(file_of(vec![Item::Hole { len: 1 << 40 }])))]);
    let here = build_dir((0..200).map(|n| named(&format!("{n:04}"), Content::Fifo)).collect()).unwrap();
    refuse(vec![named("a", Content::Dir(here))]);
    assert!(build_dir(vec![entry.clone(), entry]).is_err());
}
