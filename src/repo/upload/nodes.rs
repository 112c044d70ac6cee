//! Trees into packs: every node that is only in memory and not inlined, children before parents.

use std::sync::Arc;

use super::Upload;
use super::digest::unstorable;
use crate::format::link::encode_link_node;
use crate::format::node::{encode_node, encode_root, is_inlined};
use crate::format::pack::{FrameKind, encode_frame};
use crate::model::entry::Content;
use crate::model::id::{Location, NodeId};
use crate::model::tree::{DirContent, LinkBody, LinkNode, Node, NodeBody, Root};
use crate::repo::error::RepoError;

/// A node whose children are being stored.
struct Visit {
    id: NodeId,
    inlined: bool,
    node: Node,
    /// The first child not looked at yet.
    next: usize,
}

impl Visit {
    fn new(id: NodeId, inlined: bool, node: &Node) -> Visit {
        Visit { id, inlined, node: node.clone(), next: 0 }
    }

    /// The next child that is only here, if any.
    fn descend(&mut self) -> Option<Visit> {
        let here = |body: &NodeBody| match body {
            NodeBody::Here(node) => Some(node.clone()),
            NodeBody::Stored(_) => None,
        };
        let (at, id, inlined, node) = match &self.node {
            Node::Leaf(entries) => entries.iter().enumerate().skip(self.next).find_map(|(at, named)| {
                let dir = named.entry.as_dir()?;
                Some((at, dir.id, is_inlined(dir), here(&dir.body)?))
            }),
            Node::Inner { children, .. } => {
                let children = children.iter().enumerate().skip(self.next);
                children.filter_map(|(at, child)| Some((at, child.id, false, here(&child.body)?))).next()
            }
        }?;
        self.next = at + 1;
        Some(Visit::new(id, inlined, &node))
    }

    /// Tells where the child that was descended into last is now.
    fn set(&mut self, body: NodeBody) {
        let at = self.next - 1;
        match &mut self.node {
            Node::Leaf(entries) => {
                if let Content::Dir(dir) = &mut entries[at].entry.content {
                    dir.body = body;
                }
            }
            Node::Inner { children, .. } => children[at].body = body,
        }
    }
}

impl Upload {
    /// Sends every node that is only here and not inlined, children first, then the root object; what was sent before
    /// them in the same pack goes with them. Gives the snapshot with all its nodes stored, and where its root lies.
    /// May be called again for another root, as when the branch moved: nodes sent already are not sent again.
    pub async fn finish_nodes(&mut self, root: Root) -> Result<(Root, Location), RepoError> {
        let placed = self.place_nodes(root).await?;
        self.finish().await?;
        Ok(placed)
    }

    /// Waits until all that was placed is in the store.
    pub async fn finish(&mut self) -> Result<(), RepoError> {
        self.writer.finish().await
    }

    /// [`Upload::finish_nodes`] without the wait: what is given is only certain after [`Upload::finish`].
    pub async fn place_nodes(&mut self, mut root: Root) -> Result<(Root, Location), RepoError> {
        if let Content::Dir(dir) = &mut root.entry.content {
            self.store_dir(dir).await?;
        }
        if let Some(links) = &mut root.links
            && let LinkBody::Here(node) = &links.body
        {
            let node = node.clone();
            links.body = LinkBody::Stored(self.store_link_node(links.id, &node).await?);
        }
        let encoded = encode_root(&root).map_err(|error| unstorable(&error))?;
        root.id = encoded.id;
        let frame = encode_frame(FrameKind::Root, &encoded.bytes).map_err(|error| unstorable(&error))?;
        let location = self.writer.add(&frame, encoded.id.0).await?;
        Ok((root, location))
    }

    async fn store_dir(&mut self, dir: &mut DirContent) -> Result<(), RepoError> {
        let NodeBody::Here(top) = &dir.body else { return Ok(()) };
        // A stack of our own: directories may be nested deeper than a thread's stack allows.
        let mut visits = vec![Visit::new(dir.id, is_inlined(dir), top)];
        while let Some(visit) = visits.last_mut() {
            if let Some(below) = visit.descend() {
                // A small leaf of a large directory may be the whole of another, which is inlined all the same.
                match self.nodes.get(&below.id).filter(|_| !below.inlined) {
                    Some(location) => visit.set(NodeBody::Stored(*location)),
                    None => visits.push(below),
                }
                continue;
            }
            let Some(done) = visits.pop() else { break };
            let body = self.store_node(done).await?;
            match visits.last_mut() {
                Some(above) => above.set(body),
                None => dir.body = body,
            }
        }
        Ok(())
    }

    async fn store_node(&mut self, visit: Visit) -> Result<NodeBody, RepoError> {
        let Visit { id, inlined, node, .. } = visit;
        let node = Arc::new(node);
        if inlined {
            return Ok(NodeBody::Here(node));
        }
        let encoded = encode_node(&node).map_err(|error| unstorable(&error))?;
        let frame = encode_frame(FrameKind::Node, &encoded.bytes).map_err(|error| unstorable(&error))?;
        let location = self.writer.add(&frame, id.0).await?;
        self.nodes.insert(id, location);
        self.objects.remember_node(id, location, node);
        Ok(NodeBody::Stored(location))
    }

    /// Link tables have few levels, each some hundred times the one above.
    async fn store_link_node(&mut self, id: NodeId, node: &LinkNode) -> Result<Location, RepoError> {
        if let Some(location) = self.nodes.get(&id) {
            return Ok(*location);
        }
        let mut node = node.clone();
        if let LinkNode::Inner { children, .. } = &mut node {
            for child in children {
                if let LinkBody::Here(below) = &child.body {
                    let below = below.clone();
                    child.body = LinkBody::Stored(Box::pin(self.store_link_node(child.id, &below)).await?);
                }
            }
        }
        let encoded = encode_link_node(&node).map_err(|error| unstorable(&error))?;
        let frame = encode_frame(FrameKind::LinkNode, &encoded.bytes).map_err(|error| unstorable(&error))?;
        let location = self.writer.add(&frame, id.0).await?;
        self.nodes.insert(id, location);
        Ok(location)
    }
}
