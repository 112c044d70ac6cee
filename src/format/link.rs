//! The hard-link table: groups of paths as a split sequence.

use super::error::Result;
use super::node::Encoded;
use crate::model::id::NodeId;
use crate::model::tree::{LinkGroup, LinkNode, LinkTable};

pub fn encode_link_node(_node: &LinkNode) -> Result<Encoded<NodeId>> {
    todo!()
}

pub fn link_node_id(_node: &LinkNode) -> Result<NodeId> {
    todo!()
}

pub fn decode_link_node(_stored: &[u8], _expected: &NodeId) -> Result<LinkNode> {
    todo!()
}

/// The table of these groups (any order; nodes `Here`); none when there is none.
pub fn build_links(_groups: Vec<LinkGroup>) -> Result<Option<LinkTable>> {
    todo!()
}

/// Whole groups from the groups of all leaves in order: parts of one group are adjacent and have the same first path.
pub fn join_parts(_parts: impl IntoIterator<Item = LinkGroup>) -> Vec<LinkGroup> {
    todo!()
}
