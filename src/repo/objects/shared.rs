//! What all domains of a mesh share when they read: caches, and one budget for what is being fetched.

use std::path::PathBuf;
use std::sync::Arc;

use crate::repo::error::RepoError;

/// What reading needs.
#[derive(Clone, Debug)]
pub struct ReadOptions {
    /// Folder for blocks of packs, this mesh's own; none keeps nothing on disk.
    pub cache_dir: Option<PathBuf>,
    /// Most bytes of blocks in it.
    pub cache_bytes: u64,
}

/// Caches and budgets of one mesh in one process.
#[derive(Debug)]
pub struct Shared {}

impl Shared {
    /// To be called on the runtime that fetches shall run on.
    pub fn open(_options: ReadOptions) -> Result<Arc<Shared>, RepoError> {
        todo!()
    }

    /// Gives way where the disk fills up: to be called every few seconds while mounted, and when staging finds no room.
    pub fn trim(&self) {
        todo!()
    }
}
