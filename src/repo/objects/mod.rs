//! Reading one domain's nodes and contents: from memory, from this machine's blocks of packs, from the store.
//!
//! Whatever is decoded was checked: each frame against its checksum, each node, page and chunk against its id. What
//! cannot be had whole is an error that names it, never other bytes.

pub mod ahead;
pub mod content;
mod extents;
mod external;
mod frames;
mod packs;
pub mod shared;

use std::sync::Arc;

use self::frames::Wanted;
use self::packs::{Packs, Reach};
use self::shared::Shared;
use super::error::RepoError;
use super::layout::Place;
use crate::format::link::decode_link_node;
use crate::format::node::{decode_node, decode_root};
use crate::format::pack::FrameKind;
use crate::model::id::{Location, NodeId, RootId};
use crate::model::source::NodeSource;
use crate::model::tree::{LinkBody, LinkNode, Node, NodeBody, Root};

/// Reads what one domain stores. Cheap to clone; all clones are one.
#[derive(Clone, Debug)]
pub struct Objects(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    shared: Arc<Shared>,
    packs: Arc<Packs>,
}

impl Objects {
    /// Reads the packs of `place` through what all domains of the mesh share.
    pub fn new(place: Place, shared: Arc<Shared>) -> Objects {
        let packs = Arc::new(Packs::new(place, shared.clone()));
        Objects(Arc::new(Inner { shared, packs }))
    }

    pub fn place(&self) -> &Place {
        self.0.packs.place()
    }

    pub fn shared(&self) -> &Arc<Shared> {
        &self.0.shared
    }

    /// The node, when it is in memory or on this machine's disk; never asks the store.
    pub fn cached_node(&self, id: &NodeId, body: &NodeBody) -> Option<Arc<Node>> {
        let location = match body {
            NodeBody::Here(node) => return Some(node.clone()),
            NodeBody::Stored(location) => location,
        };
        if let Some((_, node)) = self.0.shared.nodes.get(location).filter(|(kept, _)| kept == id) {
            return Some(node);
        }
        let node = Arc::new(self.frame_from_here(FrameKind::Node, location, |raw| decode_node(raw, id))?);
        self.0.shared.keep_node(*id, *location, node.clone());
        Some(node)
    }

    /// The hard-link node, when it is in memory or on this machine's disk; never asks the store.
    pub fn cached_link_node(&self, id: &NodeId, body: &LinkBody) -> Option<Arc<LinkNode>> {
        let location = match body {
            LinkBody::Here(node) => return Some(node.clone()),
            LinkBody::Stored(location) => location,
        };
        if let Some((_, node)) = self.0.shared.links.get(location).filter(|(kept, _)| kept == id) {
            return Some(node);
        }
        let node = Arc::new(self.frame_from_here(FrameKind::LinkNode, location, |raw| decode_link_node(raw, id))?);
        self.0.shared.keep_link_node(*id, *location, node.clone());
        Some(node)
    }

    /// A whole snapshot's root object.
    pub async fn root(&self, id: &RootId, location: &Location) -> Result<Root, RepoError> {
        let what = format!("root object {id}");
        let wanted = Wanted { kind: FrameKind::Root, what, location, reach: Reach::Neighbours, fetch: None };
        self.frame(wanted, |raw| decode_root(raw, id)).await
    }

    /// Keeps a node that was just written, so that it need not be read back.
    pub(super) fn remember_node(&self, id: NodeId, location: Location, node: Arc<Node>) {
        self.0.shared.keep_node(id, location, node);
    }
}

impl NodeSource for Objects {
    type Error = RepoError;

    async fn node(&self, id: &NodeId, body: &NodeBody) -> Result<Arc<Node>, RepoError> {
        let location = match (self.cached_node(id, body), body) {
            (Some(node), _) => return Ok(node),
            (None, NodeBody::Here(node)) => return Ok(node.clone()),
            (None, NodeBody::Stored(location)) => location,
        };
        let what = format!("node {id}");
        let wanted = Wanted { kind: FrameKind::Node, what, location, reach: Reach::Neighbours, fetch: None };
        let node = Arc::new(self.frame(wanted, |raw| decode_node(raw, id)).await?);
        self.0.shared.keep_node(*id, *location, node.clone());
        Ok(node)
    }

    async fn link_node(&self, id: &NodeId, body: &LinkBody) -> Result<Arc<LinkNode>, RepoError> {
        let location = match (self.cached_link_node(id, body), body) {
            (Some(node), _) => return Ok(node),
            (None, LinkBody::Here(node)) => return Ok(node.clone()),
            (None, LinkBody::Stored(location)) => location,
        };
        let what = format!("hard-link node {id}");
        let wanted = Wanted { kind: FrameKind::LinkNode, what, location, reach: Reach::Neighbours, fetch: None };
        let node = Arc::new(self.frame(wanted, |raw| decode_link_node(raw, id)).await?);
        self.0.shared.keep_link_node(*id, *location, node.clone());
        Ok(node)
    }
}
