//! Snapshots: the read-only trees of commits, and the symlinks that lead to them.

use std::sync::Arc;

use super::convert::from_workspace;
use super::error::VfsError;
use super::miss::Miss;
use super::node::NodeAttr;
use super::number::number_of;
use crate::model::id::CommitId;
use crate::model::path::{TreePath, check_name};
use crate::repo::domain::Domain;
use crate::workspace::error::WorkspaceError;
use crate::workspace::snapshot::{SnapshotNode, SnapshotView};

/// The open tree of a commit.
#[derive(Debug)]
pub struct SnapshotTree {
    view: SnapshotView,
}

impl SnapshotTree {
    pub async fn open(domain: &Domain, id: &CommitId) -> Result<SnapshotTree, VfsError> {
        let snapshot = domain.snapshot(id).await?;
        // Opening asks nothing of a tree that is not there yet, so no miss can be meant for anybody.
        let refused = |error: WorkspaceError| match error {
            WorkspaceError::Miss(_) => VfsError::Unreadable(format!("the snapshot {id} cannot be opened")),
            error => from_workspace(error, |_| Miss::Domains),
        };
        Ok(SnapshotTree { view: SnapshotView::open(snapshot).await.map_err(refused)? })
    }

    pub fn view(&self) -> &SnapshotView {
        &self.view
    }

    /// The root directory.
    pub fn root(self: &Arc<Self>) -> Result<SnapshotEntry, VfsError> {
        let path = TreePath::root();
        let node = self.view.lookup(&path).map_err(|error| self.refused(error))?;
        Ok(SnapshotEntry { tree: self.clone(), path, node, realm: None })
    }

    /// An error of this tree as one of ours.
    pub fn refused(self: &Arc<Self>, error: WorkspaceError) -> VfsError {
        from_workspace(error, |miss| Miss::Tree(self.clone(), miss))
    }
}

/// Something in a snapshot.
#[derive(Debug)]
pub struct SnapshotEntry {
    /// Where what it leads to is to be had.
    pub tree: Arc<SnapshotTree>,
    pub path: TreePath,
    pub node: SnapshotNode,
    /// Set for what is shown elsewhere than in its snapshot, under numbers of its own: a directory with two places
    /// would be one too many for the kernel.
    pub realm: Option<u64>,
}

impl SnapshotEntry {
    pub fn ino(&self) -> u64 {
        match self.realm {
            None => self.node.attr.ino,
            Some(realm) => number_of("shown", &[&realm.to_le_bytes(), self.path.as_bytes()]),
        }
    }

    pub fn is_dir(&self) -> bool {
        self.node.entry.as_dir().is_some()
    }

    /// What `name` in this directory is.
    pub fn child(&self, name: &[u8]) -> Result<SnapshotEntry, VfsError> {
        check_name(name).map_err(|_| VfsError::NotFound)?;
        let node = self.tree.view.lookup_in(&self.node, &self.path, name).map_err(|error| self.refused(error))?;
        Ok(self.below(name, node))
    }

    /// At most `max` entries after the name `after`, in byte order.
    pub fn children(&self, after: Option<&[u8]>, max: usize) -> Result<Vec<(Vec<u8>, SnapshotEntry)>, VfsError> {
        let listed = self.tree.view.readdir_in(&self.node, &self.path, after, max);
        let listed = listed.map_err(|error| self.refused(error))?;
        Ok(listed
            .into_iter()
            .map(|(name, node)| {
                let entry = self.below(&name, node);
                (name, entry)
            })
            .collect())
    }

    fn below(&self, name: &[u8], node: SnapshotNode) -> SnapshotEntry {
        SnapshotEntry { tree: self.tree.clone(), path: self.path.join(name), node, realm: self.realm }
    }

    pub fn refused(&self, error: WorkspaceError) -> VfsError {
        self.tree.refused(error)
    }
}

/// A symlink `@revision` to the snapshot it means now.
#[derive(Debug)]
pub struct RevisionLink {
    pub attr: NodeAttr,
    pub target: Vec<u8>,
}

/// The number of such a symlink: another one when it means another commit, so that a cached target is never wrong.
pub fn revision_number(domain: &Domain, name: &[u8], id: &CommitId) -> u64 {
    number_of("revision", &[&domain.info().uid.0, name, &id.0])
}
