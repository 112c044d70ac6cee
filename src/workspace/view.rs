//! The view: base snapshot and overlay as one tree, by inode number.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::attr::{Attr, Listed, NewNode, RenameMode, SetAttr, Space, XattrMode};
use super::error::{Miss, WorkspaceError};
use super::observer::BaseObserver;
use super::open_file::OpenFile;
use crate::model::entry::Owner;
use crate::model::id::CommitId;
use crate::model::log::RefIdentity;
use crate::model::path::TreePath;
use crate::repo::domain::{Domain, Snapshot};
use crate::sys::Sys;

/// The working tree of one branch on this machine. Operations on names and data are synchronous and never wait for the
/// store: what is not at hand is [`WorkspaceError::Miss`].
#[derive(Debug)]
pub struct Workspace {
    dir: PathBuf,
}

impl Workspace {
    /// Opens the workspace of `branch` that lies in the folder `dir`, or makes it, on the branch's head. What a killed
    /// daemon left is recovered.
    pub async fn open(
        _domain: &Domain,
        _branch: &str,
        _dir: &Path,
        _sys: Sys,
    ) -> Result<Arc<Workspace>, WorkspaceError> {
        todo!()
    }

    pub fn domain(&self) -> &Domain {
        todo!()
    }

    pub fn branch(&self) -> &RefIdentity {
        todo!()
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The snapshot that staged changes are on.
    pub fn base(&self) -> Arc<Snapshot> {
        todo!()
    }

    pub fn head(&self) -> CommitId {
        todo!()
    }

    /// Who is told when what was shown changes by itself; one at a time.
    pub fn observe(&self, _observer: Arc<dyn BaseObserver>) {
        todo!()
    }

    /// Loads what a miss names.
    pub async fn fetch(&self, _miss: &Miss) -> Result<(), WorkspaceError> {
        todo!()
    }

    pub fn root_ino(&self) -> u64 {
        todo!()
    }

    /// Anything staged, or any file open for writing?
    pub fn is_dirty(&self) -> Result<bool, WorkspaceError> {
        todo!()
    }

    /// Finds `name` in the directory `parent`, and counts one reference to it.
    pub fn lookup(&self, _parent: u64, _name: &[u8]) -> Result<Attr, WorkspaceError> {
        todo!()
    }

    /// Counts one reference to an entry that [`Workspace::readdir`] gave, as a lookup would.
    pub fn keep(&self, _parent: u64, _listed: &Listed) {
        todo!()
    }

    /// Takes back `count` references.
    pub fn forget(&self, _ino: u64, _count: u64) {
        todo!()
    }

    pub fn attr(&self, _ino: u64) -> Result<Attr, WorkspaceError> {
        todo!()
    }

    /// The directory that holds the directory `ino`; the root is its own parent.
    pub fn parent(&self, _ino: u64) -> Result<u64, WorkspaceError> {
        todo!()
    }

    /// One path of `ino` now; none when it has no name any more.
    pub fn path(&self, _ino: u64) -> Result<Option<TreePath>, WorkspaceError> {
        todo!()
    }

    /// Walks `path` from the root, counting one reference to what it leads to.
    pub fn lookup_path(&self, _path: &TreePath) -> Result<Attr, WorkspaceError> {
        todo!()
    }

    /// At most `max` entries of the directory, in byte order of names, those after `after` only; empty at the end.
    /// No references are counted.
    pub fn readdir(&self, _dir: u64, _after: Option<&[u8]>, _max: usize) -> Result<Vec<Listed>, WorkspaceError> {
        todo!()
    }

    pub fn readlink(&self, _ino: u64) -> Result<Vec<u8>, WorkspaceError> {
        todo!()
    }

    /// Creates `name` and counts one reference to it. No owner: shown as whoever mounts.
    pub fn create(
        &self,
        _parent: u64,
        _name: &[u8],
        _new: NewNode,
        _mode: u16,
        _owner: Option<Owner>,
    ) -> Result<Attr, WorkspaceError> {
        todo!()
    }

    /// Another name for the file `ino`; counts one reference to it.
    pub fn link(&self, _ino: u64, _parent: u64, _name: &[u8]) -> Result<Attr, WorkspaceError> {
        todo!()
    }

    pub fn unlink(&self, _parent: u64, _name: &[u8]) -> Result<(), WorkspaceError> {
        todo!()
    }

    pub fn rmdir(&self, _parent: u64, _name: &[u8]) -> Result<(), WorkspaceError> {
        todo!()
    }

    pub fn rename(&self, _from: (u64, &[u8]), _to: (u64, &[u8]), _mode: RenameMode) -> Result<(), WorkspaceError> {
        todo!()
    }

    pub fn set_attr(&self, _ino: u64, _change: SetAttr) -> Result<Attr, WorkspaceError> {
        todo!()
    }

    pub fn get_xattr(&self, _ino: u64, _name: &[u8]) -> Result<Vec<u8>, WorkspaceError> {
        todo!()
    }

    /// Names, sorted.
    pub fn list_xattrs(&self, _ino: u64) -> Result<Vec<Vec<u8>>, WorkspaceError> {
        todo!()
    }

    pub fn set_xattr(&self, _ino: u64, _name: &[u8], _value: &[u8], _mode: XattrMode) -> Result<(), WorkspaceError> {
        todo!()
    }

    pub fn remove_xattr(&self, _ino: u64, _name: &[u8]) -> Result<(), WorkspaceError> {
        todo!()
    }

    /// Opens a regular file. `truncate` empties it and needs `write`.
    pub fn open_file(&self, _ino: u64, _write: bool, _truncate: bool) -> Result<OpenFile, WorkspaceError> {
        todo!()
    }

    /// fsync(2) of a directory: its names survive a power loss.
    pub fn sync_dir(&self, _ino: u64) -> Result<(), WorkspaceError> {
        todo!()
    }

    pub fn space(&self) -> Result<Space, WorkspaceError> {
        todo!()
    }
}
