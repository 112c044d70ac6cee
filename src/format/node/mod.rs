//! Tree nodes and root objects: what a parent says of a child, how nodes are stored, and how they are read.

mod canonical;
mod parse;
mod places;
mod root;

pub(super) use canonical::write_external as canonical_external;
pub(super) use places::{ITEM_CHUNK, ITEM_HOLE};
pub use root::{decode_root, encode_root, root_id};

use super::error::{FormatError, Result};
use super::id;
use super::limits::{FRAME_RAW_BYTES_MAX, INLINE_BYTES_MAX};
use super::place::PlaceWriter;
use super::wire::{HEADER_BYTES, unstorable};
use crate::model::entry::Content;
use crate::model::id::NodeId;
use crate::model::tree::{Child, Counts, DirContent, NamedEntry, Node, NodeBody};

pub(super) const MAGIC: &[u8; 4] = b"mfsN";

/// What errors call a node.
pub(super) const WHAT: &str = "a tree node";

/// A value as it is stored, uncompressed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoded<Id> {
    pub id: Id,
    /// The first so many bytes are the canonical encoding, of which `id` is the hash.
    pub canonical_len: usize,
    pub bytes: Vec<u8>,
}

impl<Id> Encoded<Id> {
    pub fn canonical(&self) -> &[u8] {
        &self.bytes[..self.canonical_len]
    }
}

/// The node as it is stored. Every child that is not inlined must be `Stored`.
///
/// What is written is read back first: a node that no reader would accept is refused here.
pub fn encode_node(node: &Node) -> Result<Encoded<NodeId>> {
    let mut bytes = Vec::new();
    canonical::write_node(node, &mut bytes)?;
    let canonical_len = bytes.len();
    let id = NodeId(id::derive(id::NODE, &bytes));
    let mut writer = PlaceWriter::default();
    places::write_node(node, &mut writer)?;
    writer.finish(&mut bytes)?;
    refuse_unreadable(WHAT, &bytes, decode_node(&bytes, &id))?;
    Ok(Encoded { id, canonical_len, bytes })
}

/// Fails with what a reader would say.
pub(super) fn refuse_unreadable<T>(what: &'static str, bytes: &[u8], read_back: Result<T>) -> Result<()> {
    if bytes.len() > FRAME_RAW_BYTES_MAX {
        return Err(unstorable(what, format!("{} bytes are too many", bytes.len())));
    }
    match read_back {
        Ok(_) => Ok(()),
        Err(FormatError::Damaged { why, .. }) => Err(unstorable(what, why)),
        Err(error) => Err(unstorable(what, error.to_string())),
    }
}

/// The id alone; children need not be stored yet.
pub fn node_id(node: &Node) -> Result<NodeId> {
    let mut bytes = Vec::new();
    canonical::write_node(node, &mut bytes)?;
    Ok(NodeId(id::derive(id::NODE, &bytes)))
}

/// The node of these stored bytes, checked against its id.
pub fn decode_node(stored: &[u8], expected: &NodeId) -> Result<Node> {
    parse::stored_node(stored, expected)
}

/// Canonical bytes of an entry, and of what it inlines: what an entry weighs in splitting and inlining.
pub fn entry_size(entry: &NamedEntry) -> u64 {
    canonical::entry_len(&entry.name, &entry.entry) + inlined_part(&entry.entry.content)
}

/// Canonical bytes of a child in an inner node.
pub fn child_size(child: &Child) -> u64 {
    canonical::child_len(child)
}

/// Is this directory stored inside its parent's node (or the root object)?
pub fn is_inlined(dir: &DirContent) -> bool {
    inlined_size(dir).is_some()
}

/// Canonical bytes that a directory adds to its parent's; none when it is not inlined.
fn inlined_size(dir: &DirContent) -> Option<u64> {
    let NodeBody::Here(node) = &dir.body else { return None };
    let Node::Leaf(entries) = node.as_ref() else { return None };
    let mut size = HEADER_BYTES as u64;
    for entry in entries {
        size += canonical::entry_len(&entry.name, &entry.entry);
        if size > INLINE_BYTES_MAX {
            return None;
        }
    }
    for entry in entries {
        size += inlined_part(&entry.entry.content);
        if size > INLINE_BYTES_MAX {
            return None;
        }
    }
    Some(size)
}

fn inlined_part(content: &Content) -> u64 {
    match content {
        Content::Dir(dir) => inlined_size(dir).unwrap_or(0),
        _ => 0,
    }
}

/// Checks that a directory's top node has the counts that its entry says.
fn check_counts(claimed: &Counts, node: &Node) -> Result<()> {
    if *claimed == node.counts() {
        return Ok(());
    }
    Err(FormatError::Damaged { what: WHAT, why: "its counts are not those that its parent says".to_owned() })
}
