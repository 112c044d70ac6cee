//! A domain as a directory: its branches, what its revisions mean, the snapshots in use, and news of other machines.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use lru::LruCache;
use parking_lot::Mutex;

use super::Vfs;
use super::branch::Branch;
use super::error::VfsError;
use super::freshness::Freshness;
use super::job::Job;
use super::number::number_of;
use super::snapshot::SnapshotTree;
use crate::model::address::Revision;
use crate::model::id::CommitId;
use crate::model::log::{RefIdentity, RefKind};
use crate::repo::domain::Domain;
use crate::repo::error::RepoError;
use crate::sys::clock::{Clock, within};

/// Snapshots kept open for the next look; those that the kernel knows stay anyway.
const SNAPSHOTS_MAX: NonZeroUsize = NonZeroUsize::new(32).unwrap();

/// Revisions remembered until the log moves; they are small, and a loop over many is rare.
const REVISIONS_MAX: NonZeroUsize = NonZeroUsize::new(1024).unwrap();

/// What a revision meant: a commit, or why none.
pub type Meaning = Result<CommitId, String>;

/// What revisions mean in one state of the log.
#[derive(Debug)]
struct Meanings {
    seq: u64,
    of: LruCache<Revision, Meaning>,
}

/// A domain that somebody looked into.
#[derive(Debug)]
pub struct DomainNode {
    domain: Domain,
    ino: u64,
    freshness: Arc<Freshness>,
    /// Looks at the log are taken in turns, so that many waiters cost one request.
    turn: tokio::sync::Mutex<()>,
    branches: Mutex<HashMap<RefIdentity, Arc<Branch>>>,
    /// Names and creating entries of the branches that the kernel was last told of.
    shown: Mutex<HashMap<String, u64>>,
    meanings: Mutex<Meanings>,
    snapshots: Mutex<LruCache<CommitId, Arc<SnapshotTree>>>,
    jobs: Mutex<HashMap<Vec<u8>, Arc<Job>>>,
}

/// The number of a domain's directory.
pub fn domain_number(uid: &crate::model::id::Uid) -> u64 {
    number_of("domain", &[&uid.0])
}

/// The number of a branch's directory.
pub fn branch_number(uid: &crate::model::id::Uid, name: &str, created_seq: u64) -> u64 {
    number_of("branch", &[&uid.0, name.as_bytes(), &created_seq.to_le_bytes()])
}

impl DomainNode {
    pub fn new(domain: Domain) -> DomainNode {
        DomainNode {
            ino: domain_number(&domain.info().uid),
            domain,
            freshness: Arc::new(Freshness::never()),
            turn: tokio::sync::Mutex::default(),
            branches: Mutex::default(),
            shown: Mutex::default(),
            meanings: Mutex::new(Meanings { seq: 0, of: LruCache::new(REVISIONS_MAX) }),
            snapshots: Mutex::new(LruCache::new(SNAPSHOTS_MAX)),
            jobs: Mutex::default(),
        }
    }

    pub fn domain(&self) -> &Domain {
        &self.domain
    }

    pub fn ino(&self) -> u64 {
        self.ino
    }

    pub fn name(&self) -> &str {
        &self.domain.info().name
    }

    pub fn freshness(&self) -> &Freshness {
        &self.freshness
    }

    /// Names of its branches, sorted, with the number of each.
    pub fn branch_names(&self) -> Vec<(String, u64)> {
        let state = self.domain.state();
        let uid = self.domain.info().uid;
        let mut names: Vec<_> = state
            .refs
            .refs
            .iter()
            .filter(|(name, _)| name.kind == RefKind::Branch)
            .map(|(name, at)| (name.name.clone(), branch_number(&uid, &name.name, at.created_seq)))
            .collect();
        names.sort();
        names
    }

    /// The branch of this name, as known here.
    pub fn branch(&self, name: &str) -> Option<Arc<Branch>> {
        let (identity, _) = self.domain.state().branch(name)?;
        self.shown.lock().insert(name.to_owned(), identity.created_seq);
        let mut branches = self.branches.lock();
        let branch = branches.entry(identity.clone()).or_insert_with(|| {
            let ino = branch_number(&self.domain.info().uid, name, identity.created_seq);
            Arc::new(Branch::new(self.domain.clone(), identity, ino, self.ino, self.freshness.clone()))
        });
        Some(branch.clone())
    }

    /// The branches that somebody looked at.
    pub fn known_branches(&self) -> Vec<Arc<Branch>> {
        self.branches.lock().values().cloned().collect()
    }

    /// Drops what is kept about a branch that is gone.
    pub fn forget_branch(&self, identity: &RefIdentity) {
        self.branches.lock().remove(identity);
    }

    /// Branch names whose meaning changed since the kernel was told; it is taken to be told now.
    pub fn outdated_names(&self) -> Vec<String> {
        let state = self.domain.state();
        let mut shown = self.shown.lock();
        let outdated: Vec<String> = shown
            .iter()
            .filter(|(name, seq)| state.branch(name).map(|(identity, _)| identity.created_seq) != Some(**seq))
            .map(|(name, _)| name.clone())
            .collect();
        for name in &outdated {
            shown.remove(name);
        }
        outdated
    }

    /// One look at the log, one at a time. True when it moved.
    pub async fn look(&self, clock: &dyn Clock) -> Result<bool, VfsError> {
        let _turn = self.turn.lock().await;
        self.look_now(clock).await
    }

    async fn look_now(&self, clock: &dyn Clock) -> Result<bool, VfsError> {
        let looked = self.domain.poll().await;
        match &looked {
            Ok(_) => self.freshness.looked(clock.elapsed()),
            Err(_) => self.freshness.failed(),
        }
        Ok(looked?)
    }

    /// A look at the log unless somebody just did; goes on with what is known when none is to be had within `wait`.
    pub async fn refresh(self: &Arc<Self>, vfs: &Vfs, wait: Duration) {
        let clock = vfs.clock();
        let look = async {
            let _turn = self.turn.lock().await;
            if vfs.is_fresh(&self.freshness) { Ok(false) } else { self.look_now(&*clock).await }
        };
        match within(&*clock, wait, look).await {
            Some(Ok(true)) => vfs.follow_soon(self.clone()),
            Some(Ok(false)) => {}
            Some(Err(error)) => tracing::debug!(domain = self.name(), %error, "no news"),
            None => {
                self.freshness.failed();
                tracing::debug!(domain = self.name(), "no news within {} s", wait.as_secs());
            }
        }
    }

    /// What `revision` means, if that is known in the newest state of the log.
    pub fn meaning(&self, revision: &Revision) -> Option<Meaning> {
        let seq = self.domain.state().seq;
        let mut meanings = self.meanings.lock();
        if meanings.seq != seq {
            return None;
        }
        meanings.of.get(revision).cloned()
    }

    /// Finds out what `revision` means.
    pub async fn resolve(&self, revision: &Revision) -> Result<(), VfsError> {
        let seq = self.domain.state().seq;
        let meaning = match self.domain.resolve(revision).await {
            Ok(id) => Ok(id),
            Err(
                error @ (RepoError::NoRevision { .. }
                | RepoError::NoBranch { .. }
                | RepoError::NoTag { .. }
                | RepoError::Ambiguous { .. }
                | RepoError::Expired { .. }),
            ) => Err(error.to_string()),
            Err(error) => return Err(error.into()),
        };
        let mut meanings = self.meanings.lock();
        if meanings.seq != seq {
            meanings.of.clear();
            meanings.seq = seq;
        }
        meanings.of.put(revision.clone(), meaning);
        Ok(())
    }

    /// The tree of a commit, when it is open.
    pub fn snapshot(&self, id: &CommitId) -> Option<Arc<SnapshotTree>> {
        self.snapshots.lock().get(id).cloned()
    }

    pub async fn open_snapshot(&self, id: &CommitId) -> Result<(), VfsError> {
        let tree = SnapshotTree::open(&self.domain, id).await?;
        self.snapshots.lock().put(*id, Arc::new(tree));
        Ok(())
    }

    /// The work of this name that was begun and whose outcome nobody took, or the one that `begin` starts now.
    pub fn job(&self, name: &[u8], begin: impl FnOnce() -> Arc<Job>) -> Arc<Job> {
        self.jobs.lock().entry(name.to_owned()).or_insert_with(begin).clone()
    }

    /// The outcome of the work of this name, when it is finished; then the work is forgotten.
    pub fn outcome(&self, name: &[u8]) -> Option<Result<(), VfsError>> {
        let mut jobs = self.jobs.lock();
        if !jobs.get(name)?.is_finished() {
            return None;
        }
        jobs.remove(name)?.take()
    }
}
