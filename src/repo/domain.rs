//! A domain: one log, its refs and commits, and the objects they lead to.

use std::num::NonZeroUsize;
use std::sync::Arc;

use lru::LruCache;
use parking_lot::Mutex;
use tokio::sync::watch;

use super::append::Queue;
use super::attempt::Attempts;
use super::catalog::Catalog;
use super::condemned::CondemnedCache;
use super::db::RepoDb;
use super::error::RepoError;
use super::follow::Follower;
use super::layout::Place;
use super::log::LogFiles;
use super::objects::Objects;
use super::objects::shared::Shared;
use super::protection::Circumstances;
use super::refs::{Head, LogState};
use super::write::{Author, Writer, check_writable, store_time};
use crate::format::record::decode_commit;
use crate::model::commit::Commit;
use crate::model::content::Constants;
use crate::model::id::{CommitId, PackName};
use crate::model::log::{Change, DomainInfo, Fence, RefIdentity, RefName, RefState};
use crate::model::time::Time;
use crate::model::tree::Root;
use crate::storage::{Store, StoreError};
use crate::sys::Sys;

/// Records kept decoded: a long `log` and the ancestry of a few branches, at about 3 KiB each.
const RECORDS_MAX: NonZeroUsize = NonZeroUsize::new(4096).unwrap();

/// Root objects kept decoded.
const ROOTS_MAX: NonZeroUsize = NonZeroUsize::new(64).unwrap();

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
#[derive(Clone, Debug, Default)]
pub struct Proposal {
    /// The `created_seq` of a creation is filled in when the entry's seq is known.
    pub changes: Vec<Change>,
    /// Packs sent for this and landed by no entry.
    pub packs: Vec<Sent<PackName>>,
    /// Records sent for this and landed by no entry.
    pub records: Vec<Sent<CommitId>>,
    /// Refs that make a source of this usable (see [`Domain::usable`]): they must still be as they were.
    pub relies_on: Vec<(RefName, RefState)>,
    /// Whose staged changes this lands: its outcome is then kept until [`Domain::take_up`].
    pub workspace: Option<String>,
    /// It gives the domain other settings.
    pub changes_settings: bool,
}

impl Proposal {
    pub(super) fn circumstances(&self) -> Circumstances {
        Circumstances { staged: self.workspace.is_some(), changes_settings: self.changes_settings }
    }
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

/// What became of an attempt whose process may not have lived to see it.
#[derive(Clone, Debug, PartialEq)]
pub struct Settled {
    pub seq: u64,
    pub landed: bool,
    /// All changes of the entry, of which some may be other workspaces'.
    pub changes: Vec<Change>,
}

/// What a domain shares with the others of its mesh.
#[derive(Clone, Debug)]
pub(super) struct Surroundings {
    pub constants: Constants,
    pub shared: Arc<Shared>,
    pub db: Arc<RepoDb>,
    pub author: Author,
    pub sys: Sys,
    /// The mesh log, whose features bind the writers of every domain.
    pub mesh: Arc<Follower<Catalog>>,
}

impl Surroundings {
    /// Refuses what the mesh as known now needs of writers and this version lacks.
    pub fn check_writable(&self) -> Result<(), RepoError> {
        check_writable(self.mesh.title(), &self.mesh.head().features)
    }
}

/// An open domain. Cheap to clone; all clones are one.
#[derive(Clone, Debug)]
pub struct Domain(pub(super) Arc<Inner>);

#[derive(Debug)]
pub(super) struct Inner {
    info: DomainInfo,
    place: Place,
    around: Surroundings,
    objects: Objects,
    pub follower: Arc<Follower<Head>>,
    pub writer: Writer<Head>,
    pub queue: Queue,
    pub condemned: CondemnedCache,
    records: Mutex<LruCache<CommitId, Arc<Commit>>>,
    roots: Mutex<LruCache<CommitId, Arc<Root>>>,
}

impl Domain {
    /// Opens the domain that lies at `place`: reads its log's newest state.
    pub(super) async fn open(info: DomainInfo, place: Place, around: Surroundings) -> Result<Domain, RepoError> {
        let files = LogFiles::new(place.store.clone(), place.log_prefix());
        let title = format!("domain `{}`", info.name);
        let objects = Objects::new(place.clone(), around.shared.clone());
        let follower =
            Follower::open(files, title.clone(), Some(objects)).await?.ok_or_else(|| RepoError::Damaged {
                what: format!("the log of {title}"),
                reason: "entry 1 is missing: does a lifecycle rule of the store delete objects?".to_owned(),
            })?;
        Ok(Domain::on(info, place, around, Arc::new(follower)))
    }

    /// The domain on a log that is open.
    pub(super) fn on(info: DomainInfo, place: Place, around: Surroundings, follower: Arc<Follower<Head>>) -> Domain {
        let attempts = Attempts::new(
            follower.files().clone(),
            info.uid.to_string(),
            follower.title().to_owned(),
            around.db.clone(),
            around.sys.clone(),
        );
        let writer = Writer::new(follower.clone(), attempts, around.author.clone(), around.sys.clone());
        let objects = Objects::new(place.clone(), around.shared.clone());
        Domain(Arc::new(Inner {
            info,
            place,
            around,
            objects,
            follower,
            writer,
            queue: Queue::default(),
            condemned: CondemnedCache::default(),
            records: Mutex::new(LruCache::new(RECORDS_MAX)),
            roots: Mutex::new(LruCache::new(ROOTS_MAX)),
        }))
    }

    pub(super) fn check_mesh_writable(&self) -> Result<(), RepoError> {
        self.0.around.check_writable()
    }

    /// The same domain as the mesh lists it.
    pub(super) fn listed_as(&self, info: DomainInfo) -> Domain {
        Domain::on(info, self.0.place.clone(), self.0.around.clone(), self.0.follower.clone())
    }

    pub fn info(&self) -> &DomainInfo {
        &self.0.info
    }

    pub fn objects(&self) -> &Objects {
        &self.0.objects
    }

    pub fn place(&self) -> &Place {
        &self.0.place
    }

    pub fn store(&self) -> &Arc<dyn Store> {
        &self.0.place.store
    }

    pub fn sys(&self) -> &Sys {
        &self.0.around.sys
    }

    /// How the mesh cuts files into chunks.
    pub fn constants(&self) -> Constants {
        self.0.around.constants
    }

    /// What this machine remembers of the mesh: attempts, and what it sent.
    pub fn db(&self) -> &Arc<RepoDb> {
        &self.0.around.db
    }

    /// Whom this process acts for, as its entries name them.
    pub fn actor(&self) -> &str {
        &self.0.around.author.actor
    }

    /// Host that this process's entries and records name.
    pub fn host(&self) -> &str {
        &self.0.around.author.host
    }

    /// The newest state known here; no request.
    pub fn state(&self) -> Arc<LogState> {
        self.0.follower.head().state.clone()
    }

    /// Looks whether the log moved: one request when it did not.
    pub async fn poll(&self) -> Result<bool, RepoError> {
        self.0.follower.poll().await
    }

    /// Tells the newest known seq, now and at each move.
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.0.follower.subscribe()
    }

    /// A commit's record, from memory or the store.
    pub async fn record(&self, id: &CommitId) -> Result<Arc<Commit>, RepoError> {
        if let Some(record) = self.0.records.lock().get(id) {
            return Ok(record.clone());
        }
        let object = match self.store().get(&self.place().record_key(id)).await {
            Err(StoreError::NotFound { .. }) => {
                return Err(RepoError::NoRevision {
                    domain: self.info().name.clone(),
                    revision: id.to_string(),
                    reason: "there is no such commit".to_owned(),
                });
            }
            other => other?,
        };
        let what = || format!("commit record {id}");
        let record = decode_commit(&object.bytes, id).map_err(|error| RepoError::of_format(what(), error))?;
        let record = Arc::new(record);
        self.remember_record(record.clone());
        Ok(record)
    }

    pub(super) fn is_remembered(&self, id: &CommitId) -> bool {
        self.0.records.lock().contains(id)
    }

    /// Keeps a record that was just written or read, so that it need not be read again.
    pub fn remember_record(&self, record: Arc<Commit>) {
        self.0.records.lock().put(record.id, record);
    }

    /// Keeps a commit that just landed, with its root, so that neither need be read.
    pub fn remember(&self, commit: Arc<Commit>, root: Arc<Root>) {
        self.0.roots.lock().put(commit.id, root);
        self.remember_record(commit);
    }

    /// A commit with its root; [`RepoError::Expired`] when the tree was collected.
    pub async fn snapshot(&self, id: &CommitId) -> Result<Arc<Snapshot>, RepoError> {
        let commit = self.record(id).await?;
        let known = self.0.roots.lock().get(id).cloned();
        let root = match known {
            Some(root) => root,
            None => {
                let read = self.objects().root(&commit.root, &commit.root_location).await;
                let root = match read {
                    Ok(root) => Arc::new(root),
                    Err(error) => return Err(self.expired_or(error, id).await),
                };
                self.0.roots.lock().put(*id, root.clone());
                root
            }
        };
        Ok(Arc::new(Snapshot { domain: self.clone(), commit, root }))
    }

    /// Why a commit's tree could not be read: collected, if something was and the log says that nothing keeps the commit.
    async fn expired_or(&self, error: RepoError, id: &CommitId) -> RepoError {
        let state = self.state();
        if !matches!(error, RepoError::Damaged { .. }) || state.fence == Fence::default() {
            return error;
        }
        match self.usable(&state, id).await {
            Err(expired @ RepoError::Expired { .. }) => expired,
            _ => error,
        }
    }

    /// The time by the store's clock, never earlier than the newest entry; refused when the clocks are too far apart.
    pub fn store_time(&self) -> Result<Time, RepoError> {
        Ok(store_time(self.store().as_ref(), self.sys())?.max(self.state().time))
    }

    /// The live ref's state, when it is still this very ref and points to `expected`; else an error that says what it is
    /// now.
    pub(super) fn expect(
        &self,
        state: &LogState,
        identity: &RefIdentity,
        expected: Option<&CommitId>,
    ) -> Result<RefState, RepoError> {
        let what = || format!("`{}` of domain `{}`", identity.name.name, self.info().name);
        let moved = |now: String| Err(RepoError::Moved { what: what(), now });
        match (state.of(identity), state.get(&identity.name)) {
            (Some(now), _) => match expected {
                Some(expected) if *expected != now.target => moved(format!("it is at {} now", now.target)),
                _ => Ok(now),
            },
            (None, Some(_)) => moved("it was deleted and made again, so this is another".to_owned()),
            (None, None) => moved("it was deleted".to_owned()),
        }
    }
}
