//! Where sequences are cut into nodes, and directories built from entries.

use super::error::Result;
use crate::model::tree::{Child, DirContent, NamedEntry, Node};

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
        Splitter { level, bytes: 0, items: 0 }
    }

    /// The next item by its key (name, or last name of a child) and size ([`super::node::entry_size`],
    /// [`super::node::child_size`]).
    pub fn push(&mut self, _key: &[u8], _size: u64) -> Cut {
        let _ = (self.level, self.bytes, self.items);
        todo!()
    }
}

/// Does this node end where it does because of its last item's hash, whatever follows? If not, it ends because the
/// next item would not have fitted, or because the sequence ends: an edit right after it may prolong it.
pub fn ends_by_hash(_node: &Node) -> bool {
    todo!()
}

/// A child of an inner node (level >= 1), or the whole directory, from a node just made.
pub fn child_of(_node: Node) -> Result<Child> {
    todo!()
}

pub fn dir_of(_node: Node) -> Result<DirContent> {
    todo!()
}

/// A directory from its entries, sorted by name.
pub fn build_dir(_entries: Vec<NamedEntry>) -> Result<DirContent> {
    todo!()
}

/// The leaves of a directory from its entries, sorted by name; at least one.
pub fn build_leaves(_entries: Vec<NamedEntry>) -> Result<Vec<Node>> {
    todo!()
}

/// The nodes of `level` (>= 1) over the whole sequence of nodes one level below.
pub fn build_level(_level: u8, _children: Vec<Child>) -> Result<Vec<Node>> {
    todo!()
}

/// A directory from the whole sequence of its leaves (some may be `Stored`).
pub fn build_above_leaves(_leaves: Vec<Child>) -> Result<DirContent> {
    todo!()
}
