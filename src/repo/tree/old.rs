//! The nodes of a directory that is being edited, found by level and name.

use std::collections::HashMap;
use std::sync::Arc;

use futures::future::{try_join, try_join_all};

use crate::model::id::NodeId;
use crate::model::source::NodeSource;
use crate::model::tree::{Child, DirContent, Node, Said};
use crate::repo::error::RepoError;

/// Leaves asked for at once: covers a round trip; at most 4 MiB decoded.
const FETCH_AHEAD: usize = 16;

/// A directory's nodes.
pub(super) struct Old<'a, S> {
    source: &'a S,
    top: Arc<Node>,
    top_child: Child,
    /// Nodes that will be asked for, in order, and those of them that are loaded.
    ahead: Vec<Said>,
    loaded: HashMap<NodeId, Arc<Node>>,
}

/// One node's place on its level: the way to it from the top.
#[derive(Clone)]
pub(super) struct Spot {
    /// Inner nodes from the top down, and which child of each.
    way: Vec<(Arc<Node>, usize)>,
}

fn children(node: &Node) -> &[Child] {
    match node {
        Node::Inner { children, .. } => children,
        Node::Leaf(_) => &[],
    }
}

/// What is said of the node that a way leads to; nothing of the top.
fn said(way: &[(Arc<Node>, usize)]) -> Option<Said> {
    let ((node, at), above) = way.split_last()?;
    let before = above.iter().rev().find_map(|(node, at)| children(node).get(at.checked_sub(1)?));
    node.said_of(*at, before.map(|child| child.last_name.as_slice()))
}

impl<'a, S: NodeSource<Error = RepoError>> Old<'a, S> {
    pub async fn open(source: &'a S, dir: &DirContent) -> Result<Old<'a, S>, RepoError> {
        let top = source.said(&dir.said()).await?;
        let last_name = top.last_name().unwrap_or_default().to_vec();
        let top_child = Child { last_name, id: dir.id, counts: dir.counts, body: dir.body.clone() };
        Ok(Old { source, top, top_child, ahead: Vec::new(), loaded: HashMap::new() })
    }

    /// The level of the top node.
    pub fn height(&self) -> u8 {
        self.top.level()
    }

    /// The node at a spot, as its parent has it.
    pub fn child<'b>(&'b self, spot: &'b Spot) -> &'b Child {
        match spot.way.last() {
            Some((node, at)) => &children(node)[*at],
            None => &self.top_child,
        }
    }

    pub async fn node(&mut self, spot: &Spot) -> Result<Arc<Node>, RepoError> {
        let Some(said) = said(&spot.way) else { return Ok(self.top.clone()) };
        if let Some(node) = self.loaded.remove(&said.id) {
            // The same node may stand in several places, of which only one is right.
            said.check(&node)?;
            return Ok(node);
        }
        if let Some(at) = self.ahead.iter().position(|next| next.id == said.id) {
            let wanted: Vec<_> = self.ahead.drain(..(at + FETCH_AHEAD).min(self.ahead.len())).skip(at + 1).collect();
            let source = self.source;
            let load = |said: Said| async move { Ok((said.id, source.said(&said).await?)) };
            let (node, ahead) = try_join(source.said(&said), try_join_all(wanted.into_iter().map(load))).await?;
            self.loaded = ahead.into_iter().collect();
            return Ok(node);
        }
        self.source.said(&said).await
    }

    /// Tells which nodes of `level` will be asked for: those that hold these names, in order.
    pub async fn expect<'n>(&mut self, level: u8, names: impl Iterator<Item = &'n [u8]>) -> Result<(), RepoError> {
        let mut ahead: Vec<Said> = Vec::new();
        let mut last: Option<(Spot, bool)> = None;
        for name in names {
            if let Some((spot, is_last)) = &last
                && (*is_last || name <= self.child(spot).last_name.as_slice())
            {
                continue;
            }
            let spot = self.find(level, name).await?;
            ahead.extend(said(&spot.way));
            let is_last = spot.way.iter().all(|(node, at)| at + 1 == children(node).len());
            last = Some((spot, is_last));
        }
        self.ahead = ahead;
        self.loaded.clear();
        Ok(())
    }

    /// The node of `level` that holds `name`, or would; the last one for a name after all others.
    pub async fn find(&self, level: u8, name: &[u8]) -> Result<Spot, RepoError> {
        let mut way = Vec::new();
        let mut node = self.top.clone();
        while node.level() > level {
            let at = children(&node).partition_point(|child| child.last_name.as_slice() < name);
            let at = at.min(children(&node).len().saturating_sub(1));
            node = self.down(&mut way, node, at, level).await?;
        }
        Ok(Spot { way })
    }

    /// Adds one step to a way; the child itself unless it is what the way leads to, which stays unloaded.
    async fn down(
        &self,
        way: &mut Vec<(Arc<Node>, usize)>,
        node: Arc<Node>,
        at: usize,
        level: u8,
    ) -> Result<Arc<Node>, RepoError> {
        let below = node.level() - 1;
        way.push((node, at));
        let Some(said) = said(way) else {
            return Err(RepoError::Damaged { what: "a directory".into(), reason: "an inner node is empty".into() });
        };
        match below > level {
            true => self.source.said(&said).await,
            false => Ok(Arc::new(Node::empty())),
        }
    }

    /// The next node of the same level.
    pub async fn next(&self, spot: &Spot) -> Result<Option<Spot>, RepoError> {
        self.beside(spot, |at, _| at.checked_add(1), |_| 0).await
    }

    /// The node before on the same level.
    pub async fn previous(&self, spot: &Spot) -> Result<Option<Spot>, RepoError> {
        self.beside(spot, |at, _| at.checked_sub(1), |count| count.saturating_sub(1)).await
    }

    async fn beside(
        &self,
        spot: &Spot,
        step: impl Fn(usize, usize) -> Option<usize>,
        enter: impl Fn(usize) -> usize,
    ) -> Result<Option<Spot>, RepoError> {
        let mut way = spot.way.clone();
        let depth = way.len();
        while let Some((node, at)) = way.pop() {
            let Some(at) = step(at, children(&node).len()).filter(|at| *at < children(&node).len()) else { continue };
            let level = node.level() - (depth - way.len()) as u8;
            let mut node = self.down(&mut way, node, at, level).await?;
            while way.len() < depth {
                let at = enter(children(&node).len());
                node = self.down(&mut way, node, at, level).await?;
            }
            return Ok(Some(Spot { way }));
        }
        Ok(None)
    }
}
