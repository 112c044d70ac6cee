//! Open files and directories, by the numbers that the kernel has for them.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::RwLock;

use super::branch::Branch;
use super::control::ControlHandle;
use super::error::VfsError;
use super::listing::DirHandle;
use super::snapshot::SnapshotEntry;
use crate::repo::objects::ahead::ReadAhead;
use crate::workspace::open_file::OpenFile;

/// An open file of a working tree.
#[derive(Debug)]
pub struct WorkFile {
    pub branch: Arc<Branch>,
    pub file: OpenFile,
    /// Capabilities were taken from the file, as the first write through a handle does.
    pub capabilities_dropped: AtomicBool,
}

/// An open file of a snapshot.
#[derive(Debug)]
pub struct SnapshotFile {
    pub entry: Arc<SnapshotEntry>,
    pub ahead: Arc<ReadAhead>,
}

/// What a handle stands for.
#[derive(Debug)]
pub enum Handle {
    Work(WorkFile),
    Snapshot(SnapshotFile),
    Control(ControlHandle),
    Dir(DirHandle),
}

/// Handles by number. Numbers are never used twice.
#[derive(Debug, Default)]
pub struct HandleTable {
    last: AtomicU64,
    handles: RwLock<HashMap<u64, Arc<Handle>>>,
}

impl HandleTable {
    pub fn add(&self, handle: Handle) -> u64 {
        let number = self.last.fetch_add(1, Ordering::Relaxed) + 1;
        self.handles.write().insert(number, Arc::new(handle));
        number
    }

    pub fn get(&self, number: u64) -> Result<Arc<Handle>, VfsError> {
        self.handles.read().get(&number).cloned().ok_or(VfsError::BadHandle)
    }

    pub fn remove(&self, number: u64) -> Option<Arc<Handle>> {
        self.handles.write().remove(&number)
    }

    pub fn clear(&self) {
        // Closing may take a while; nobody is kept waiting for the table meanwhile.
        let closed = std::mem::take(&mut *self.handles.write());
        drop(closed);
    }

    pub fn count(&self) -> usize {
        self.handles.read().len()
    }
}
