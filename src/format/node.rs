//! Tree nodes and root objects.

use super::error::Result;
use crate::model::entry::Entry;
use crate::model::id::{NodeId, RootId};
use crate::model::tree::{Child, Counts, DirContent, NamedEntry, Node, Root};

/// A value as it is stored, uncompressed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoded<Id> {
    pub id: Id,
    /// The first so many bytes are the canonical encoding, of which `id` is the hash.
    pub canonical_len: usize,
    pub bytes: Vec<u8>,
}

/// The node as it is stored. Every child that is not inlined must be `Stored`.
pub fn encode_node(_node: &Node) -> Result<Encoded<NodeId>> {
    todo!()
}

/// The id alone; children need not be stored yet.
pub fn node_id(_node: &Node) -> Result<NodeId> {
    todo!()
}

/// The node of these stored bytes, checked against its id.
pub fn decode_node(_stored: &[u8], _expected: &NodeId) -> Result<Node> {
    todo!()
}

/// The root object as it is stored; `root.id` is not read.
pub fn encode_root(_root: &Root) -> Result<Encoded<RootId>> {
    todo!()
}

/// The id that a root of this directory and these links has.
pub fn root_id(_root: &Root) -> Result<RootId> {
    todo!()
}

pub fn decode_root(_stored: &[u8], _expected: &RootId) -> Result<Root> {
    todo!()
}

/// Canonical bytes of an entry, and of what it inlines: what an entry weighs in splitting and inlining.
pub fn entry_size(_entry: &NamedEntry) -> u64 {
    todo!()
}

/// Canonical bytes of a child in an inner node.
pub fn child_size(_child: &Child) -> u64 {
    todo!()
}

/// Is this directory stored inside its parent's node (or the root object)?
pub fn is_inlined(_dir: &DirContent) -> bool {
    todo!()
}

/// Checks that a node is what its parent says of it: counts, level, greatest name.
pub fn check_child(_parent_level: u8, _child: &Child, _node: &Node) -> Result<()> {
    todo!()
}

/// Checks that a directory's top node has the counts that its entry says.
pub fn check_counts(_claimed: &Counts, _node: &Node) -> Result<()> {
    todo!()
}

/// Checks what must hold of an entry before it is stored: sizes of its attributes, target and mode.
pub fn check_entry(_entry: &Entry) -> Result<()> {
    todo!()
}
