#![doc = include_str!("README.md")]

mod attr;
pub mod branch;
mod change;
pub mod control;
mod convert;
pub mod domain;
mod entries;
pub mod errno;
pub mod error;
mod file;
mod flush;
mod follow;
mod freshness;
pub mod handle;
pub mod job;
mod level;
mod listing;
mod lookup;
pub mod miss;
pub mod node;
mod number;
mod observer;
mod refusal;
pub mod snapshot;
pub mod table;
mod xattr;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::{Mutex, RwLock};

use crate::model::id::Uid;
use crate::model::report::CommitReport;
use crate::repo::mesh::Mesh;
use crate::sys::Sys;
use crate::sys::clock::Clock;
use crate::telemetry::usage::Usage;
use crate::workspace::view::Workspace;
use domain::DomainNode;
use error::VfsError;
use freshness::Freshness;
use handle::HandleTable;
use listing::Tellers;
use node::{Backer, KernelCache};
use refusal::LastErrors;
use table::NodeTable;

/// What a mount shows, to whom, and where its state lies.
#[derive(Clone, Debug)]
pub struct VfsOptions {
    /// The mesh's own folder of state.
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
    mesh: Mesh,
    options: VfsOptions,
    runtime: tokio::runtime::Handle,
    /// For work in the background, which must not keep the mount alive.
    me: Weak<Vfs>,
    /// When this was made, for the times of what has none of its own.
    started: i64,
    nodes: NodeTable,
    handles: HandleTable,
    tellers: Tellers,
    domains: Mutex<HashMap<Uid, Arc<DomainNode>>>,
    domains_seen: Freshness,
    /// Looks at the mesh's log are taken in turns, so that many waiters cost one request.
    domains_turn: tokio::sync::Mutex<()>,
    kernel: RwLock<Option<Arc<dyn KernelCache>>>,
    /// Present where the kernel may use local files by itself.
    backer: RwLock<Option<Arc<dyn Backer>>>,
    last_errors: LastErrors,
    /// What polls and what flushes; ends with this.
    tasks: Mutex<Vec<tokio::task::JoinHandle<()>>>,
}

impl Vfs {
    /// Serves `mesh`; background work goes to `runtime`.
    pub fn new(mesh: Mesh, options: VfsOptions, runtime: tokio::runtime::Handle) -> Arc<Vfs> {
        let vfs = Arc::new_cyclic(|me| Vfs {
            mesh,
            started: options.sys.clock.now(),
            me: me.clone(),
            runtime,
            nodes: NodeTable::default(),
            handles: HandleTable::default(),
            tellers: Tellers::default(),
            domains: Mutex::default(),
            domains_seen: Freshness::never(),
            domains_turn: tokio::sync::Mutex::default(),
            kernel: RwLock::default(),
            backer: RwLock::default(),
            last_errors: LastErrors::default(),
            tasks: Mutex::default(),
            options,
        });
        let polling = vfs.runtime.spawn(follow::poll_while_alive(vfs.me()));
        let flushing = vfs.runtime.spawn(flush::flush_while_alive(vfs.me()));
        vfs.tasks.lock().extend([polling, flushing]);
        vfs
    }

    pub fn mesh(&self) -> &Mesh {
        &self.mesh
    }

    pub fn options(&self) -> &VfsOptions {
        &self.options
    }

    pub fn runtime(&self) -> &tokio::runtime::Handle {
        &self.runtime
    }

    pub fn clock(&self) -> Arc<dyn Clock> {
        self.options.sys.clock.clone()
    }

    /// Longest that an operation may wait for what it misses.
    pub fn deadline(&self) -> Duration {
        self.options.deadline
    }

    fn me(&self) -> Weak<Vfs> {
        self.me.clone()
    }

    /// How many files and folders the kernel knows.
    pub fn nodes_known(&self) -> usize {
        self.nodes.count()
    }

    /// What is held for the kernel.
    pub fn usage(&self) -> Usage {
        let domains: Vec<_> = self.domains.lock().values().cloned().collect();
        let branches = domains.iter().flat_map(|domain| domain.known_branches());
        let (nodes, references) = self.nodes.counts();
        let inodes = branches.filter_map(|branch| Some(branch.entered()?.inodes_held())).sum::<usize>() as u64;
        Usage { nodes, references, handles: self.handles.count() as u64, inodes }
    }

    /// The workspace of a branch, opened when it is not yet: for the verbs of the control socket. What these change is
    /// told to the kernel before they return.
    pub async fn workspace(&self, domain: &str, branch: &str) -> Result<Arc<Workspace>, VfsError> {
        let domain = self.open_domain(domain).await?;
        domain.freshness().used(self.clock().elapsed());
        if domain.branch(branch).is_none() {
            domain.look(&*self.clock()).await?;
        }
        let branch = domain.branch(branch).ok_or_else(|| {
            VfsError::Unknown(format!(
                "domain `{0}` has no branch `{branch}`: `meshfs branch list {0}` shows them",
                domain.name()
            ))
        })?;
        branch.open(self).await
    }

    /// A commit landed on a branch through the control socket: `.meshfs/commit` tells it like its own.
    pub async fn commit_landed(&self, domain: &str, branch: &str, commit: CommitReport) -> Result<(), VfsError> {
        if let Some(branch) = self.open_domain(domain).await?.branch(branch) {
            branch.control().landed(commit);
        }
        Ok(())
    }

    /// Whoever can make the kernel forget, from the mount on.
    pub fn attach_kernel(&self, kernel: Arc<dyn KernelCache>) {
        *self.kernel.write() = Some(kernel);
    }

    /// Whoever can let the kernel use local files by itself, from the mount on.
    pub fn attach_backer(&self, backer: Arc<dyn Backer>) {
        *self.backer.write() = Some(backer);
    }

    /// The mount has ended: whatever the kernel had open or remembered, it has no longer. Not all of it was given back.
    pub fn end_session(&self) {
        *self.kernel.write() = None;
        *self.backer.write() = None;
        self.handles.clear();
        for (ino, references) in self.nodes.references() {
            self.forget(ino, references);
        }
    }

    /// Ends the work in the background, and leaves nothing staged to a power loss. Workspaces close when the last of
    /// their users lets go.
    pub async fn close(&self) {
        let tasks = std::mem::take(&mut *self.tasks.lock());
        for task in tasks {
            task.abort();
            // An error says that it was aborted.
            task.await.ok();
        }
        self.flush_once().await;
        self.end_session();
        self.domains.lock().clear();
    }
}

impl Drop for Vfs {
    fn drop(&mut self) {
        for task in self.tasks.lock().drain(..) {
            task.abort();
        }
    }
}
