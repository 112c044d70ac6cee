//! (being written)
//! File semantics without a kernel: one namespace over domains, branches, snapshots and control files.

pub mod errno;
pub mod error;
pub mod node;
mod operations;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::repo::mesh::Mesh;
use crate::sys::Sys;

/// What a mount shows, to whom, and where its state lies.
#[derive(Clone, Debug)]
pub struct VfsOptions {
    /// The mesh's own folder of state; workspaces lie in `workspaces/` below it.
    pub state_dir: PathBuf,
    /// Owner shown for what has none stored: whoever mounts.
    pub uid: u32,
    pub gid: u32,
    /// Stored owners are shown, and new files store their caller's: for root mounting for several users.
    pub stored_owners: bool,
    pub read_only: bool,
    /// Between two looks at the log of a domain in use.
    pub poll: Duration,
    /// Longest that an operation may wait for the store.
    pub deadline: Duration,
    pub sys: Sys,
}

/// A mounted mesh, as the kernel sees it, without the kernel.
#[derive(Debug)]
pub struct Vfs {
    options: VfsOptions,
    runtime: tokio::runtime::Handle,
}

impl Vfs {
    /// Serves `mesh`; background work goes to `runtime`.
    pub fn new(_mesh: Mesh, options: VfsOptions, runtime: tokio::runtime::Handle) -> Arc<Vfs> {
        Arc::new(Vfs { options, runtime })
    }

    pub fn options(&self) -> &VfsOptions {
        &self.options
    }

    pub fn runtime(&self) -> &tokio::runtime::Handle {
        &self.runtime
    }

    /// Ends following and lets the workspaces finish what they do.
    pub async fn close(&self) {
        todo!()
    }
}
