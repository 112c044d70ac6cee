//! What tree algorithms need from whoever holds the nodes.

use std::future::Future;
use std::sync::Arc;

use super::id::NodeId;
use super::tree::{LinkBody, LinkNode, Node, NodeBody};

/// Gives nodes of trees. Many calls may be under way at once: the implementation coalesces and bounds them.
pub trait NodeSource: Send + Sync {
    type Error: Send;

    /// The node `id`, checked against it. Immediate for [`NodeBody::Here`].
    fn node(&self, id: &NodeId, body: &NodeBody) -> impl Future<Output = Result<Arc<Node>, Self::Error>> + Send;

    /// The hard-link node `id`, checked against it.
    fn link_node(
        &self,
        id: &NodeId,
        body: &LinkBody,
    ) -> impl Future<Output = Result<Arc<LinkNode>, Self::Error>> + Send;
}
