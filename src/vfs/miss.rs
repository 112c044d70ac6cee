//! What has to be fetched before a call can be answered, and fetching it.

use std::sync::Arc;
use std::time::Duration;

use super::Vfs;
use super::branch::Branch;
use super::convert::from_workspace;
use super::domain::DomainNode;
use super::error::VfsError;
use super::job::Job;
use super::snapshot::SnapshotTree;
use crate::model::address::Revision;
use crate::model::id::CommitId;
use crate::sys::clock::within;
use crate::sys::task;
use crate::workspace::error::Miss as WorkspaceMiss;
use crate::workspace::view::Workspace;

/// How long an operation waits for news of other machines before it goes on with what is known: the store may be away.
const NEWS_WAIT_MAX: Duration = Duration::from_secs(3);

/// How long a command may hold the process that gave it.
const JOB_WAIT_MAX: Duration = Duration::from_secs(30);

/// Something to fetch with [`Vfs::fetch`] before a call can succeed.
#[derive(Clone, Debug)]
pub enum Miss {
    /// The list of domains is older than a poll interval.
    Domains,
    /// A domain that was not opened yet.
    Domain(String),
    /// A domain's branches and tags as known here are older than a poll interval.
    Refs(Arc<DomainNode>),
    /// What a revision means now.
    Revision(Arc<DomainNode>, Revision),
    /// The tree of a commit.
    Snapshot(Arc<DomainNode>, CommitId),
    /// A branch that nobody entered yet.
    Branch(Arc<Branch>),
    Workspace(Arc<Workspace>, WorkspaceMiss),
    Tree(Arc<SnapshotTree>, WorkspaceMiss),
    /// Work that goes on in the background, also when nobody waits any more.
    Job(Arc<Job>),
    /// Room on this machine's disk: the cache gives way before a writer is refused, which is then for this reason.
    Room(String),
}

impl Miss {
    /// What has to be had before an attempt with this result is made again, if anything; room is made once.
    pub fn of<T>(result: Result<T, VfsError>, room_was_made: bool) -> Result<Miss, Result<T, VfsError>> {
        match result {
            Err(VfsError::Miss(miss)) => Ok(*miss),
            Err(VfsError::NoSpace(why)) if !room_was_made => Ok(Miss::Room(why)),
            result => Err(result),
        }
    }
}

impl Vfs {
    /// Fetches what `miss` names; then the call that missed may be made again.
    pub async fn fetch(&self, miss: &Miss) -> Result<(), VfsError> {
        match miss {
            Miss::Domains => {
                self.refresh_domains(NEWS_WAIT_MAX).await;
                Ok(())
            }
            Miss::Domain(name) => self.open_domain(name).await.map(drop),
            Miss::Refs(domain) => {
                domain.refresh(self, NEWS_WAIT_MAX).await;
                Ok(())
            }
            Miss::Revision(domain, revision) => domain.resolve(revision).await,
            Miss::Snapshot(domain, id) => domain.open_snapshot(id).await,
            Miss::Branch(branch) => branch.open(self).await.map(drop),
            Miss::Workspace(workspace, inner) => {
                let again = |inner| Miss::Workspace(workspace.clone(), inner);
                workspace.fetch(inner).await.map_err(|error| from_workspace(error, again))
            }
            Miss::Tree(tree, inner) => {
                let again = |inner| Miss::Tree(tree.clone(), inner);
                tree.view().fetch(inner).await.map_err(|error| from_workspace(error, again))
            }
            Miss::Job(job) => match within(&*self.clock(), JOB_WAIT_MAX, job.finished()).await {
                Some(()) => Ok(()),
                None => Err(goes_on(job, JOB_WAIT_MAX)),
            },
            Miss::Room(_) => {
                let shared = self.mesh.shared().clone();
                task::blocking(move || shared.trim()).await;
                Ok(())
            }
        }
    }

    /// What to answer when fetching took longer than an operation may.
    pub fn out_of_time(&self, miss: &Miss) -> VfsError {
        match miss {
            Miss::Job(job) => goes_on(job, self.deadline()),
            Miss::Room(why) => VfsError::NoSpace(why.clone()),
            _ => {
                let waited = self.deadline().as_secs();
                let why = self.trouble_of(miss).unwrap_or_else(|| "it has not answered yet".to_owned());
                VfsError::Unreadable(format!(
                    "the store did not give what was needed within {waited} s: {why}. \
                     Try again; `meshfs doctor` checks the store"
                ))
            }
        }
    }

    /// Why the store that has what is missed does not give it.
    fn trouble_of(&self, miss: &Miss) -> Option<String> {
        match miss {
            Miss::Room(_) => None,
            Miss::Domains | Miss::Domain(_) | Miss::Job(_) => self.mesh.store().trouble(),
            Miss::Refs(domain) | Miss::Revision(domain, _) | Miss::Snapshot(domain, _) => {
                domain.domain().store().trouble()
            }
            Miss::Branch(branch) => branch.domain().store().trouble(),
            Miss::Workspace(workspace, _) => workspace.domain().store().trouble(),
            Miss::Tree(tree, _) => tree.view().snapshot().domain.store().trouble(),
        }
    }
}

fn goes_on(job: &Job, waited: Duration) -> VfsError {
    VfsError::InProgress(format!(
        "{} takes longer than {} s and goes on: `.meshfs/commit` and `.meshfs/status` of the branch tell how it ends",
        job.what(),
        waited.as_secs()
    ))
}
