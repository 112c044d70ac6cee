//! What tree algorithms need from whoever holds the nodes.

use std::future::Future;
use std::sync::Arc;

use super::entry::Entry;
use super::id::NodeId;
use super::path::TreePath;
use super::tree::{DirContent, LinkBody, LinkGroup, LinkNode, LinkTable, Misfit, Node, NodeBody, Said, Step};

/// Gives nodes of trees. Many calls may be under way at once: the implementation coalesces and bounds them.
pub trait NodeSource: Send + Sync {
    type Error: Send + From<Misfit>;

    /// The node `id`, checked against it. Immediate for [`NodeBody::Here`].
    fn node(&self, id: &NodeId, body: &NodeBody) -> impl Future<Output = Result<Arc<Node>, Self::Error>> + Send;

    /// The node that a reference speaks of, checked to be what that says. Whoever goes down a tree goes by this.
    fn said(&self, said: &Said) -> impl Future<Output = Result<Arc<Node>, Self::Error>> + Send {
        async {
            let node = self.node(&said.id, &said.body).await?;
            said.check(&node)?;
            Ok(node)
        }
    }

    /// The hard-link node `id`, checked against it.
    fn link_node(
        &self,
        id: &NodeId,
        body: &LinkBody,
    ) -> impl Future<Output = Result<Arc<LinkNode>, Self::Error>> + Send;
}

/// The entry `name` of a directory.
pub async fn find<S: NodeSource>(source: &S, dir: &DirContent, name: &[u8]) -> Result<Option<Entry>, S::Error> {
    let mut said = dir.said();
    loop {
        let node = source.said(&said).await?;
        let next = match node.step(name) {
            Step::Found(entry) => return Ok(Some(entry.clone())),
            Step::Absent => None,
            Step::Descend(at) => node.said_of(at, said.after()),
        };
        match next {
            Some(next) => said = next,
            None => return Ok(None),
        }
    }
}

/// The entry at `path` below `top`; `top` itself for the root path.
pub async fn lookup<S: NodeSource>(source: &S, top: &Entry, path: &TreePath) -> Result<Option<Entry>, S::Error> {
    let mut entry = top.clone();
    for name in path.names() {
        let Some(dir) = entry.as_dir() else { return Ok(None) };
        match find(source, dir, name).await? {
            Some(found) => entry = found,
            None => return Ok(None),
        }
    }
    Ok(Some(entry))
}

/// All hard-link groups of a snapshot, sorted.
pub async fn read_links<S: NodeSource>(source: &S, table: Option<&LinkTable>) -> Result<Vec<LinkGroup>, S::Error> {
    let mut groups = Vec::new();
    let mut ahead: Vec<(NodeId, LinkBody)> = table.map(|table| (table.id, table.body.clone())).into_iter().collect();
    while let Some((id, body)) = ahead.pop() {
        match &*source.link_node(&id, &body).await? {
            LinkNode::Leaf(parts) => parts.iter().for_each(|part| add_part(&mut groups, part)),
            LinkNode::Inner { children, .. } => {
                ahead.extend(children.iter().rev().map(|child| (child.id, child.body.clone())));
            }
        }
    }
    Ok(groups)
}

/// A large group stands as adjacent parts with the same first path.
fn add_part(groups: &mut Vec<LinkGroup>, LinkGroup(paths): &LinkGroup) {
    match groups.last_mut() {
        Some(LinkGroup(last)) if last.first() == paths.first() => last.extend_from_slice(&paths[1..]),
        _ => groups.push(LinkGroup(paths.clone())),
    }
}
