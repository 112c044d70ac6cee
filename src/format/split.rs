//! Where sequences are cut into nodes, and directories built from entries.
//!
//! A cut depends on what stands in the node so far and on the next item, on nothing else. So whoever edits a sequence
//! of nodes cuts again from the start of the first node that an edit touches (or from the node before it, when that one
//! does not [end by its hash](ends_by_hash)), and may stop where a node ends at an item behind the last edit with which
//! an old node ended too: from there on all nodes are the old ones.

use std::sync::Arc;

use super::error::Result;
use super::limits::{LEVEL_MAX, NODE_BYTES_MAX, NODE_BYTES_TARGET};
use super::node::{child_size, entry_size, is_inlined, node_id};
use super::wire::{HEADER_BYTES, unstorable};
use crate::model::id::Location;
use crate::model::tree::{Child, DirContent, NamedEntry, Node, NodeBody};

const WHAT: &str = "a directory";

/// Where nodes end around an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// The node under way ends before this item, which would make it too large.
    pub before: bool,
    /// The node that holds this item ends with it.
    pub after: bool,
}

/// Decides, item by item from the start of a node, where nodes end.
#[derive(Clone, Debug)]
pub struct Splitter {
    level: u8,
    bytes: u64,
    items: u64,
}

impl Splitter {
    /// At the start of a node of this level (0: leaves).
    pub fn new(level: u8) -> Splitter {
        Splitter { level, bytes: HEADER_BYTES as u64, items: 0 }
    }

    /// The next item by its key (name, or last name of a child) and size ([`entry_size`], [`child_size`]).
    pub fn push(&mut self, key: &[u8], size: u64) -> Cut {
        let before = self.items > 0 && self.bytes + size > NODE_BYTES_MAX;
        if before {
            *self = Splitter::new(self.level);
        }
        self.bytes += size;
        self.items += 1;
        let after = is_last(self.level, self.items, key, size);
        if after {
            *self = Splitter::new(self.level);
        }
        Cut { before, after }
    }
}

/// Does a node end after this item, the `items`th in it? With probability size / 64 KiB, decided by the key alone.
///
/// Above the leaves the level is hashed with the key: last names were chosen for their small hashes, and would end
/// nodes much too often. And a node there has at least two children, so that each level is smaller than the one below.
fn is_last(level: u8, items: u64, key: &[u8], size: u64) -> bool {
    let mut hasher = blake3::Hasher::new();
    if level > 0 {
        hasher.update(&[level]);
    }
    let hash = hasher.update(key).finalize();
    let mut first = [0; 8];
    first.copy_from_slice(&hash.as_bytes()[..8]);
    let bound = (u128::from(size) << 64) / u128::from(NODE_BYTES_TARGET);
    u128::from(u64::from_be_bytes(first)) < bound && (level == 0 || items >= 2)
}

/// Does this node end where it does because of its last item's hash, whatever follows? If not, it ends because the
/// next item would not have fitted, or because the sequence ends: an edit right after it may prolong it.
pub fn ends_by_hash(node: &Node) -> bool {
    match node {
        Node::Leaf(entries) => entries.last().is_some_and(|last| is_last(0, 1, &last.name, entry_size(last))),
        Node::Inner { level, children } => children
            .last()
            .is_some_and(|last| is_last(*level, children.len() as u64, &last.last_name, child_size(last))),
    }
}

/// Cuts a whole sequence of items into nodes; no items, no nodes.
pub(super) fn cut_all<T>(level: u8, items: Vec<T>, key_and_size: impl Fn(&T) -> (Vec<u8>, u64)) -> Vec<Vec<T>> {
    let mut splitter = Splitter::new(level);
    let mut nodes = Vec::new();
    let mut node = Vec::new();
    for item in items {
        let (key, size) = key_and_size(&item);
        let cut = splitter.push(&key, size);
        if cut.before {
            nodes.push(std::mem::take(&mut node));
        }
        node.push(item);
        if cut.after {
            nodes.push(std::mem::take(&mut node));
        }
    }
    if !node.is_empty() {
        nodes.push(node);
    }
    nodes
}

/// A child of an inner node, from a node just made.
pub fn child_of(node: Node) -> Result<Child> {
    let last_name = node.last_name().ok_or_else(|| unstorable(WHAT, "a node below others is empty"))?.to_vec();
    Ok(Child { last_name, id: node_id(&node)?, counts: node.counts(), body: NodeBody::Here(Arc::new(node)) })
}

/// A directory from its top node, just made.
pub fn dir_of(node: Node) -> Result<DirContent> {
    Ok(DirContent { id: node_id(&node)?, counts: node.counts(), body: NodeBody::Here(Arc::new(node)) })
}

/// A directory whose only leaf is this one, which lies at `stored` if anywhere: referred to there unless it is so small
/// that it is to be inlined.
pub fn dir_of_leaf(leaf: Node, stored: Option<Location>) -> Result<DirContent> {
    let mut dir = dir_of(leaf)?;
    if let (Some(location), false) = (stored, is_inlined(&dir)) {
        dir.body = NodeBody::Stored(location);
    }
    Ok(dir)
}

/// A directory from its entries, sorted by name.
pub fn build_dir(entries: Vec<NamedEntry>) -> Result<DirContent> {
    let leaves = build_leaves(entries)?;
    match <[Node; 1]>::try_from(leaves) {
        Ok([leaf]) => dir_of(leaf),
        Err(leaves) => build_above_leaves(leaves.into_iter().map(child_of).collect::<Result<_>>()?),
    }
}

/// The leaves of a directory from its entries, sorted by name; at least one.
pub fn build_leaves(entries: Vec<NamedEntry>) -> Result<Vec<Node>> {
    if !entries.is_sorted_by(|a, b| a.name < b.name) {
        return Err(unstorable(WHAT, "its names are not sorted, or one stands twice"));
    }
    if entries.is_empty() {
        return Ok(vec![Node::empty()]);
    }
    Ok(cut_all(0, entries, |e| (e.name.clone(), entry_size(e))).into_iter().map(Node::Leaf).collect())
}

/// The nodes of `level` (>= 1) over the whole sequence of nodes one level below.
pub fn build_level(level: u8, children: Vec<Child>) -> Result<Vec<Node>> {
    if level == 0 || level > LEVEL_MAX {
        return Err(unstorable(WHAT, format!("level {level} is none above leaves")));
    }
    let nodes = cut_all(level, children, |child| (child.last_name.clone(), child_size(child)));
    Ok(nodes.into_iter().map(|children| Node::Inner { level, children }).collect())
}

/// A directory from the whole sequence of its leaves, of which some may be `Stored`. A single one must be `Here` (see
/// [`dir_of_leaf`]): whether it is inlined depends on its size.
pub fn build_above_leaves(leaves: Vec<Child>) -> Result<DirContent> {
    let mut children = leaves;
    for level in 1..=LEVEL_MAX {
        match children.len() {
            0 => return dir_of(Node::empty()),
            1 => break,
            _ => children = build_level(level, children)?.into_iter().map(child_of).collect::<Result<_>>()?,
        }
    }
    match children.pop() {
        Some(Child { id, counts, body: body @ NodeBody::Here(_), .. }) if children.is_empty() => {
            Ok(DirContent { id, counts, body })
        }
        _ => Err(unstorable(WHAT, "its only leaf is not here")),
    }
}
