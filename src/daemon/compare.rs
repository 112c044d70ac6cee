//! Differences between two versions of trees: snapshots, and working trees as they are now.

use std::ops::ControlFlow;
use std::sync::Arc;

use super::failure::Failure;
use crate::model::diff::{Change, DiffOptions, diff};
use crate::model::entry::Entry;
use crate::model::id::{CommitId, NodeId};
use crate::model::path::TreePath;
use crate::model::report::ChangeReport;
use crate::model::source::{NodeSource, lookup};
use crate::model::tree::{LinkBody, LinkNode, Node, NodeBody};
use crate::repo::domain::Domain;
use crate::repo::error::RepoError;
use crate::repo::objects::Objects;

/// Differences told at once: they are held in memory, and a few KiB in a store can unpack to any number.
const CHANGES_MAX: usize = 1_000_000;

/// One side of a comparison: a path in a tree.
#[derive(Clone, Debug)]
pub struct Side {
    pub domain: Domain,
    /// The tree's root directory.
    pub root: Entry,
    pub path: TreePath,
}

/// What a commit changed against its first parent.
pub async fn commit_changes(domain: &Domain, id: &CommitId) -> Result<Vec<ChangeReport>, Failure> {
    let snapshot = domain.snapshot(id).await?;
    let root = &snapshot.root.entry;
    let changes = match snapshot.commit.parents.first() {
        Some(parent) => {
            let parent = domain.snapshot(parent).await?;
            entries(domain.objects(), Some(&parent.root.entry), Some(root)).await?
        }
        // The root directory itself was there before anything.
        None => below(domain.objects(), None, Some(root)).await?,
    };
    Ok(changes.iter().map(ChangeReport::from).collect())
}

/// What differs between two root directories of a domain.
pub async fn trees(domain: &Domain, old: Option<&Entry>, new: Option<&Entry>) -> Result<Vec<ChangeReport>, Failure> {
    let changes = entries(domain.objects(), old, new).await?;
    Ok(changes.iter().map(ChangeReport::from).collect())
}

/// What differs from one side to the other, by paths in the second.
pub async fn sides(from: &Side, to: &Side) -> Result<Vec<ChangeReport>, Failure> {
    let source = Both { first: from.domain.objects().clone(), second: to.domain.objects().clone() };
    let old = find(&source, &from.root, &from.path).await?;
    let new = find(&source, &to.root, &to.path).await?;
    if old.is_none() && new.is_none() {
        return Err(Failure::failed(format!("`{}` is in neither version", to.path)));
    }
    let changes = entries(&source, old.as_ref(), new.as_ref()).await?;
    Ok(changes.iter().map(|change| under(ChangeReport::from(change), &to.path)).collect())
}

/// What differs between two entries, themselves included; renames are told as such.
async fn entries(
    source: &impl NodeSource<Error = RepoError>,
    old: Option<&Entry>,
    new: Option<&Entry>,
) -> Result<Vec<Change>, Failure> {
    let path = TreePath::root();
    let alone = match (old, new) {
        (None, Some(new)) => Some(Change::Added { path, new: new.clone() }),
        (Some(old), None) => Some(Change::Deleted { path, old: old.clone() }),
        _ => None,
    };
    Ok(alone.into_iter().chain(below(source, old, new).await?).collect())
}

async fn below(
    source: &impl NodeSource<Error = RepoError>,
    old: Option<&Entry>,
    new: Option<&Entry>,
) -> Result<Vec<Change>, Failure> {
    let mut changes = Vec::new();
    let options = DiffOptions { renames: true, ..DiffOptions::default() };
    diff(source, old, new, options, &mut |change| {
        changes.push(change);
        if changes.len() > CHANGES_MAX { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })
    .await?;
    if changes.len() > CHANGES_MAX {
        return Err(Failure::failed("the two differ in more than a million paths")
            .hint("compare a directory below: meshfs diff ADDR/PATH ADDR/PATH"));
    }
    Ok(changes)
}

fn under(report: ChangeReport, path: &TreePath) -> ChangeReport {
    ChangeReport { path: report.path.under(path), from: report.from.map(|from| from.under(path)), ..report }
}

/// The entry that `path` leads to below `root`.
pub async fn find(
    source: &impl NodeSource<Error = RepoError>,
    root: &Entry,
    path: &TreePath,
) -> Result<Option<Entry>, Failure> {
    Ok(lookup(source, root, path).await?)
}

/// Nodes of two domains. A location does not say whose pack it names; names of packs are never used twice, so the wrong
/// domain has nothing under it.
struct Both {
    first: Objects,
    second: Objects,
}

impl NodeSource for Both {
    type Error = RepoError;

    async fn node(&self, id: &NodeId, body: &NodeBody) -> Result<Arc<Node>, RepoError> {
        match self.first.node(id, body).await {
            Ok(node) => Ok(node),
            Err(_) => self.second.node(id, body).await,
        }
    }

    async fn link_node(&self, id: &NodeId, body: &LinkBody) -> Result<Arc<LinkNode>, RepoError> {
        match self.first.link_node(id, body).await {
            Ok(node) => Ok(node),
            Err(_) => self.second.link_node(id, body).await,
        }
    }
}
