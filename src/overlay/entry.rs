//! Entries of the base as rows keep them: ids and locations, in the stored format of a directory's node.

use crate::format::error::FormatError;
use crate::format::node;
use crate::model::entry::{Content, Entry, Meta, Xattr, XattrValue};
use crate::model::id::NodeId;
use crate::model::time::Time;
use crate::model::tree::{NamedEntry, Node};

/// Stands for the name, which the row itself has.
const NAME: &[u8] = b"e";

const ID_BYTES: usize = 32;

#[derive(Debug, thiserror::Error)]
pub enum EntryError {
    #[error(transparent)]
    Format(#[from] FormatError),
    #[error("a kept entry is cut short")]
    Short,
}

/// The entry as a node of its own: the node's id, then its stored bytes.
pub fn encode(entry: &Entry) -> Result<Vec<u8>, EntryError> {
    let leaf = Node::Leaf(vec![NamedEntry { name: NAME.to_vec(), entry: entry.clone() }]);
    let encoded = node::encode_node(&leaf)?;
    Ok([&encoded.id.0[..], &encoded.bytes].concat())
}

pub fn decode(bytes: &[u8]) -> Result<Entry, EntryError> {
    let (id, stored) = bytes.split_first_chunk::<ID_BYTES>().ok_or(EntryError::Short)?;
    match node::decode_node(stored, &NodeId(*id))? {
        Node::Leaf(mut entries) => entries.pop().map(|named| named.entry).ok_or(EntryError::Short),
        Node::Inner { .. } => Err(EntryError::Short),
    }
}

/// An attribute's value, as that of an entry which has nothing else.
pub fn encode_xattr(value: &XattrValue) -> Result<Vec<u8>, EntryError> {
    encode(&bare(Content::Fifo, vec![Xattr { name: b"x".to_vec(), value: value.clone() }]))
}

pub fn decode_xattr(bytes: &[u8]) -> Result<XattrValue, EntryError> {
    decode(bytes)?.meta.xattrs.pop().map(|xattr| xattr.value).ok_or(EntryError::Short)
}

/// An entry of which only the content counts.
pub fn bare(content: Content, xattrs: Vec<Xattr>) -> Entry {
    Entry { meta: Meta { mode: 0, owner: None, mtime: Time::default(), xattrs }, content }
}
