//! A domain: one log, its refs and commits, and the objects they lead to.

use std::sync::Arc;

use tokio::sync::watch;

use super::error::RepoError;
use super::layout::Place;
use super::objects::Objects;
use super::refs::LogState;
use crate::model::address::Revision;
use crate::model::commit::Commit;
use crate::model::id::{CommitId, PackName};
use crate::model::log::{Change, DomainInfo, RefIdentity};
use crate::model::time::Time;
use crate::model::tree::Root;
use crate::storage::Store;
use crate::sys::Sys;

/// One commit, ready to be looked into.
#[derive(Clone, Debug)]
pub struct Snapshot {
    pub domain: Domain,
    pub commit: Arc<Commit>,
    pub root: Arc<Root>,
}

/// Something sent but not landed, and the newest epoch known *before* its upload began.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent<N> {
    pub name: N,
    pub epoch: u64,
}

/// Changes worked out on one state of the log, to be put as one entry.
#[derive(Clone, Debug)]
pub struct Proposal {
    /// `created_seq` of a creation and of nothing else is filled in when the entry's seq is known.
    pub changes: Vec<Change>,
    /// Packs sent for this and landed by no entry.
    pub packs: Vec<Sent<PackName>>,
    /// Records sent for this and landed by no entry.
    pub records: Vec<Sent<CommitId>>,
    /// Whose staged changes this lands: its outcome is then kept until [`Domain::take_up`].
    pub workspace: Option<String>,
}

/// What became of a proposal.
#[derive(Clone, Debug)]
pub enum Proposed {
    /// In the log, as part of entry `seq`; the state holds at least that entry.
    Landed { seq: u64, state: Arc<LogState> },
    /// The log moved such that the changes must be worked out anew on this state. Nothing of the proposal landed.
    Moved(Arc<LogState>),
    /// These names were condemned by a garbage collection: their bytes must go again under new names.
    Condemned { packs: Vec<PackName>, records: Vec<CommitId>, state: Arc<LogState> },
}

/// What became of an attempt whose process did not live to see it.
#[derive(Clone, Debug)]
pub struct Settled {
    pub seq: u64,
    pub landed: bool,
    pub changes: Vec<Change>,
}

/// An open domain. Cheap to clone; all clones are one.
#[derive(Clone, Debug)]
pub struct Domain(Arc<Inner>);

#[derive(Debug)]
struct Inner {}

impl Domain {
    pub fn info(&self) -> &DomainInfo {
        todo!()
    }

    pub fn objects(&self) -> &Objects {
        todo!()
    }

    pub fn place(&self) -> &Place {
        todo!()
    }

    pub fn store(&self) -> &Arc<dyn Store> {
        todo!()
    }

    pub fn sys(&self) -> &Sys {
        todo!()
    }

    /// The newest state known here; no request.
    pub fn state(&self) -> Arc<LogState> {
        todo!()
    }

    /// Looks whether the log moved: one request when it did not.
    pub async fn poll(&self) -> Result<bool, RepoError> {
        todo!()
    }

    /// Tells the newest known seq, now and at each move.
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        todo!()
    }

    /// The commit that a revision means now.
    pub async fn resolve(&self, _revision: &Revision) -> Result<CommitId, RepoError> {
        todo!()
    }

    pub async fn record(&self, _id: &CommitId) -> Result<Arc<Commit>, RepoError> {
        todo!()
    }

    pub async fn snapshot(&self, _id: &CommitId) -> Result<Arc<Snapshot>, RepoError> {
        todo!()
    }

    /// Is `ancestor` the same as `commit` or before it, by any parents?
    pub async fn is_ancestor(&self, _ancestor: &CommitId, _commit: &CommitId) -> Result<bool, RepoError> {
        todo!()
    }

    pub async fn create_branch(&self, _name: &str, _target: &CommitId) -> Result<RefIdentity, RepoError> {
        todo!()
    }

    /// Deletes the branch if it is still this one and its head still `expected`.
    pub async fn delete_branch(&self, _branch: &RefIdentity, _expected: &CommitId) -> Result<(), RepoError> {
        todo!()
    }

    /// Deletes the branch only if it has no commit of its own, as rmdir(2) on it does.
    pub async fn remove_unused_branch(&self, _branch: &RefIdentity) -> Result<(), RepoError> {
        todo!()
    }

    pub async fn create_tag(&self, _name: &str, _target: &CommitId) -> Result<RefIdentity, RepoError> {
        todo!()
    }

    pub async fn delete_tag(&self, _name: &str) -> Result<(), RepoError> {
        todo!()
    }

    /// Puts one entry with the proposal's changes, worked out on `on`. Goes further along the log by itself while
    /// every ref it changes, the epoch and the horizon are as they were; else the caller works them out anew.
    pub async fn propose(&self, _on: &LogState, _proposal: Proposal) -> Result<Proposed, RepoError> {
        todo!()
    }

    /// [`Domain::propose`] again and again, for changes that can be worked out from the state alone. No changes: no entry.
    pub async fn append(
        &self,
        _evaluate: impl FnMut(&LogState) -> Result<Vec<Change>, RepoError> + Send,
    ) -> Result<Arc<LogState>, RepoError> {
        todo!()
    }

    /// Settles what earlier processes of this workspace attempted and tells what became of it. While one is unknown,
    /// [`RepoError::OutcomeUnknown`]. What is told here is told again until [`Domain::take_up`].
    pub async fn settled(&self, _workspace: &str) -> Result<Vec<Settled>, RepoError> {
        todo!()
    }

    /// The workspace has stored the outcome of all its attempts that are settled.
    pub fn take_up(&self, _workspace: &str) -> Result<(), RepoError> {
        todo!()
    }

    /// The time by the store's clock, never earlier than the newest entry; refused when the clocks are too far apart.
    pub fn store_time(&self) -> Result<Time, RepoError> {
        todo!()
    }
}
