//! A commit as a read-only tree, by path, for `@revision` and the sides of conflicts.

use std::sync::Arc;

use bytes::Bytes;

use super::attr::Attr;
use super::error::{Miss, WorkspaceError};
use crate::model::entry::Entry;
use crate::model::path::TreePath;
use crate::repo::domain::Snapshot;
use crate::repo::objects::ahead::ReadAhead;

/// What a path of a snapshot stands for.
#[derive(Clone, Debug)]
pub struct SnapshotNode {
    pub attr: Attr,
    pub entry: Arc<Entry>,
}

/// One commit's tree, in the same way as a workspace: never waits for the store, says what is missing.
#[derive(Clone, Debug)]
pub struct SnapshotView {
    snapshot: Arc<Snapshot>,
}

impl SnapshotView {
    /// Loads the snapshot's hard-link table, if there is one.
    pub async fn open(_snapshot: Arc<Snapshot>) -> Result<SnapshotView, WorkspaceError> {
        todo!()
    }

    pub fn snapshot(&self) -> &Arc<Snapshot> {
        &self.snapshot
    }

    /// Loads what a miss names.
    pub async fn fetch(&self, _miss: &Miss) -> Result<(), WorkspaceError> {
        todo!()
    }

    pub fn lookup(&self, _path: &TreePath) -> Result<SnapshotNode, WorkspaceError> {
        todo!()
    }

    /// At most `max` entries after the name `after`, in byte order.
    pub fn readdir(
        &self,
        _dir: &TreePath,
        _after: Option<&[u8]>,
        _max: usize,
    ) -> Result<Vec<(Vec<u8>, SnapshotNode)>, WorkspaceError> {
        todo!()
    }

    pub fn read(
        &self,
        _file: &SnapshotNode,
        _offset: u64,
        _len: usize,
        _ahead: Option<&Arc<ReadAhead>>,
    ) -> Result<Bytes, WorkspaceError> {
        todo!()
    }

    pub fn get_xattr(&self, _node: &SnapshotNode, _name: &[u8]) -> Result<Vec<u8>, WorkspaceError> {
        todo!()
    }
}
