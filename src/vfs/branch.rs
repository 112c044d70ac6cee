//! A branch as a directory: its workspace is opened when somebody enters it.

use std::sync::Arc;

use tokio::sync::OnceCell;

use super::Vfs;
use super::control::ControlState;
use super::convert::from_workspace;
use super::error::VfsError;
use super::freshness::Freshness;
use super::listing::DirStates;
use super::miss::Miss;
use super::observer::Observer;
use crate::model::id::CommitId;
use crate::model::log::RefIdentity;
use crate::repo::domain::Domain;
use crate::workspace::error::WorkspaceError;
use crate::workspace::place;
use crate::workspace::view::Workspace;

/// A branch that somebody looked at, in one of its lives.
#[derive(Debug)]
pub struct Branch {
    domain: Domain,
    identity: RefIdentity,
    ino: u64,
    /// The domain's directory.
    parent: u64,
    freshness: Arc<Freshness>,
    workspace: OnceCell<Arc<Workspace>>,
    control: ControlState,
    listings: DirStates,
}

impl Branch {
    pub fn new(domain: Domain, identity: RefIdentity, ino: u64, parent: u64, freshness: Arc<Freshness>) -> Branch {
        Branch {
            domain,
            identity,
            ino,
            parent,
            freshness,
            workspace: OnceCell::new(),
            control: ControlState::default(),
            listings: DirStates::default(),
        }
    }

    pub fn domain(&self) -> &Domain {
        &self.domain
    }

    pub fn identity(&self) -> &RefIdentity {
        &self.identity
    }

    pub fn name(&self) -> &str {
        &self.identity.name.name
    }

    /// Number of its directory.
    pub fn ino(&self) -> u64 {
        self.ino
    }

    pub fn parent(&self) -> u64 {
        self.parent
    }

    pub fn freshness(&self) -> &Freshness {
        &self.freshness
    }

    pub fn control(&self) -> &ControlState {
        &self.control
    }

    pub fn listings(&self) -> &DirStates {
        &self.listings
    }

    /// The head as known here; none when this life of the branch is over.
    pub fn head(&self) -> Option<CommitId> {
        let (identity, at) = self.domain.state().branch(self.name())?;
        (identity == self.identity).then_some(at.target)
    }

    /// The workspace, if somebody entered the branch.
    pub fn entered(&self) -> Option<&Arc<Workspace>> {
        self.workspace.get()
    }

    /// The workspace; a miss when nobody entered the branch yet.
    pub fn workspace(self: &Arc<Self>) -> Result<&Arc<Workspace>, VfsError> {
        self.workspace.get().ok_or_else(|| VfsError::from(Miss::Branch(self.clone())))
    }

    /// Opens the workspace, once.
    pub async fn open(self: &Arc<Self>, vfs: &Vfs) -> Result<Arc<Workspace>, VfsError> {
        let open = || async {
            let dir = place::folder(&vfs.options().state_dir, &self.domain, &self.identity);
            let workspace = Workspace::open(&self.domain, self.name(), &dir, vfs.options().sys.clone())
                .await
                .map_err(|error| self.refused(error))?;
            workspace.observe(Arc::new(Observer::new(vfs.me(), self)));
            Ok(workspace)
        };
        self.workspace.get_or_try_init(open).await.cloned()
    }

    /// Has this machine ever entered the branch?
    pub fn has_folder(&self, vfs: &Vfs) -> bool {
        place::folder(&vfs.options().state_dir, &self.domain, &self.identity).exists()
    }

    /// The workspace's number of a node that the kernel knows by `ino`.
    pub fn inner(self: &Arc<Self>, ino: u64) -> Result<(&Arc<Workspace>, u64), VfsError> {
        let workspace = self.workspace()?;
        Ok((workspace, if ino == self.ino { workspace.root_ino() } else { ino }))
    }

    /// The kernel's number of a node that the workspace knows by `ino`.
    pub fn outer(&self, ino: u64) -> u64 {
        match self.workspace.get() {
            Some(workspace) if workspace.root_ino() == ino => self.ino,
            _ => ino,
        }
    }

    /// An error of this branch's workspace as one of ours.
    pub fn refused(self: &Arc<Self>, error: WorkspaceError) -> VfsError {
        from_workspace(error, |miss| match self.workspace.get() {
            Some(workspace) => Miss::Workspace(workspace.clone(), miss),
            None => Miss::Branch(self.clone()),
        })
    }
}
