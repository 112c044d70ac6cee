//! A store and machines on it, as the tests of this tier use them.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use meshfs::format::log::{decode_entry, encode_entry};
use meshfs::format::record::{commit_id, encode_commit};
use meshfs::model::commit::Commit;
use meshfs::model::id::{CommitId, Nonce};
use meshfs::model::log::{Change, Entry, Operation, RefIdentity, RefState, TableRef};
use meshfs::repo::domain::{Domain, Proposal, Proposed};
use meshfs::repo::error::RepoError;
use meshfs::repo::log::LogFiles;
use meshfs::repo::mesh::{Mesh, MeshOptions, NewDomain};
use meshfs::repo::refs::LogState;
use meshfs::storage::backend::open_bare;
use meshfs::storage::count::CountingStore;
use meshfs::storage::fault::FaultStore;
use meshfs::storage::url::StoreUrl;
use meshfs::storage::{Store, StoreSettings};
use meshfs::sys::Sys;
use meshfs::sys::clock::SteppedClock;
use meshfs::telemetry::counters::Counters;
use tempfile::TempDir;

pub const SALES: &str = "sales";

/// 2026-11-23T00:00:00Z.
pub const START_NANOS: i64 = 1_795_392_000_000_000_000;

/// A store that all machines of a test reach, each through faults and a counter of its own.
pub struct World {
    pub base: Arc<dyn Store>,
    _folder: Option<TempDir>,
}

/// One machine: state of its own, time of its own.
pub struct Machine {
    pub mesh: Mesh,
    pub faults: FaultStore,
    pub counters: Arc<Counters>,
    pub clock: Arc<SteppedClock>,
    folder: TempDir,
}

impl World {
    pub fn in_memory() -> World {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let name = format!("repo-tests-{}", NEXT.fetch_add(1, Ordering::Relaxed));
        World { base: open_bare(&StoreUrl::Memory(name), &StoreSettings::new()).unwrap(), _folder: None }
    }

    pub fn on_disk() -> World {
        let folder = tempfile::tempdir().unwrap();
        let base = open_bare(&StoreUrl::Local(folder.path().to_owned()), &StoreSettings::new()).unwrap();
        World { base, _folder: Some(folder) }
    }

    /// A store with a mesh that has the domain `sales`, and a machine.
    pub async fn with_sales(self) -> (World, Machine) {
        let machine = self.machine_by(1, Mesh::init).await.unwrap();
        machine.mesh.create_domain(NewDomain { name: SALES.to_owned(), ..NewDomain::default() }).await.unwrap();
        (self, machine)
    }

    pub async fn machine(&self, seed: u64) -> Machine {
        self.machine_by(seed, Mesh::open).await.unwrap()
    }

    pub async fn machine_by<F>(&self, seed: u64, open: impl FnOnce(MeshOptions) -> F) -> Result<Machine, RepoError>
    where
        F: Future<Output = Result<Mesh, RepoError>>,
    {
        let (sys, clock) = Sys::simulated(START_NANOS, seed);
        let folder = scratch();
        let faults = FaultStore::new(self.base.clone(), sys.clone());
        let counters = Arc::new(Counters::default());
        let store: Arc<dyn Store> = Arc::new(CountingStore::new(Arc::new(faults.clone()), counters.clone()));
        let mesh = open(options(store, folder.path(), sys)).await?;
        Ok(Machine { mesh, faults, counters, clock, folder })
    }
}

/// A folder for state, in memory where there is such a place: what syncing costs is not what these tests look at.
fn scratch() -> TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

pub fn options(store: Arc<dyn Store>, folder: &Path, sys: Sys) -> MeshOptions {
    MeshOptions {
        store_url: store.name().to_owned(),
        store: Some(store),
        state_dir: folder.join("state"),
        cache_dir: folder.join("cache"),
        cache_bytes: 64 << 20,
        actor: "ann".to_owned(),
        host: "desk".to_owned(),
        sys,
    }
}

impl Machine {
    pub async fn sales(&self) -> Domain {
        self.mesh.domain(SALES).await.unwrap()
    }

    /// Ends this machine's process, as far as the next one can tell, and starts another on the same folders.
    pub async fn restart(self) -> Machine {
        let Machine { mesh, faults, counters, clock, folder } = self;
        let (url, sys, store, db) =
            (mesh.store_url().to_owned(), mesh.sys().clone(), mesh.store().clone(), mesh.state_dir().join("repo.db"));
        drop(mesh);
        let db = rusqlite::Connection::open(db).unwrap();
        db.execute("UPDATE attempts SET holder_started_ticks = holder_started_ticks + 1", []).unwrap();
        let mesh = Mesh::open(MeshOptions { store_url: url, ..options(store, folder.path(), sys) }).await.unwrap();
        Machine { mesh, faults, counters, clock, folder }
    }

    pub fn repo_db(&self) -> PathBuf {
        self.mesh.state_dir().join("repo.db")
    }

    /// Attempts stored on this machine, as (seq, outcome).
    pub fn attempts(&self) -> Vec<(u64, String)> {
        let db = rusqlite::Connection::open(self.repo_db()).unwrap();
        let mut rows = db.prepare("SELECT seq, outcome FROM attempts ORDER BY id").unwrap();
        let rows = rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        rows.collect::<Result<_, _>>().unwrap()
    }
}

/// The newest head of a branch, after a poll.
pub async fn head_of(domain: &Domain, branch: &str) -> (RefIdentity, CommitId) {
    domain.poll().await.unwrap();
    let (identity, now) = domain.state().branch(branch).unwrap();
    (identity, now.target)
}

/// A commit record with its parent's tree, written to the store.
pub async fn write_record(domain: &Domain, parent: &CommitId, message: &str, first_seq: u64) -> Commit {
    let parent = domain.record(parent).await.unwrap();
    let mut record = Commit {
        parents: vec![parent.id],
        generation: parent.generation + 1,
        message: message.to_owned(),
        time: domain.store_time().unwrap(),
        nonce: Nonce(domain.sys().random.name()),
        first_seq,
        ..Commit::clone(&parent)
    };
    record.id = commit_id(&record).unwrap();
    let bytes = encode_commit(&record).unwrap();
    domain.store().put(&domain.place().record_key(&record.id), bytes.into()).await.unwrap();
    record
}

/// The proposal of a new commit on the branch as `state` has it.
pub async fn commit_on(domain: &Domain, state: &LogState, branch: &RefIdentity, message: &str) -> (CommitId, Proposal) {
    let head = state.of(branch).unwrap();
    let record = write_record(domain, &head.target, message, state.seq + 1).await;
    let change = state.change(Operation::Commit, branch, Some(record.id)).unwrap();
    (record.id, Proposal { changes: vec![change], ..Proposal::default() })
}

/// Commits to the branch, whatever its head is by then.
pub async fn commit(domain: &Domain, branch: &RefIdentity, message: &str) -> Result<CommitId, RepoError> {
    let mut state = domain.state();
    loop {
        let (id, proposal) = commit_on(domain, &state, branch, message).await;
        match domain.propose(&state, proposal).await? {
            Proposed::Landed { .. } => return Ok(id),
            Proposed::Moved(now) | Proposed::Condemned { state: now, .. } => state = now,
        }
    }
}

/// All entries of a domain's log, read from the bare store: seqs are contiguous from 1.
pub async fn entries(world: &World, domain: &Domain) -> Vec<Entry> {
    let files = LogFiles::new(world.base.clone(), domain.place().log_prefix());
    let mut entries = Vec::new();
    while let Some(bytes) = files.read(entries.len() as u64 + 1).await.unwrap() {
        entries.push(decode_entry(&bytes).unwrap());
    }
    let beyond = files.read(entries.len() as u64 + 2).await.unwrap();
    assert!(beyond.is_none(), "the log has a hole at {}", entries.len() + 1);
    entries
}

/// Changes of all entries, in order.
pub async fn changes(world: &World, domain: &Domain) -> Vec<Change> {
    entries(world, domain).await.into_iter().flat_map(|entry| entry.changes).collect()
}

/// Gives the entry the whole table that its changes make of `before`.
pub fn set_table(entry: &mut Entry, before: &LogState) {
    let mut table = before.refs.clone();
    for change in &entry.changes {
        match change.target {
            Some(target) => {
                let now = RefState { created_seq: change.created_seq, changed_seq: entry.seq, target };
                table.refs.insert(change.name.clone(), now)
            }
            None => table.refs.remove(&change.name),
        };
    }
    entry.table = TableRef::Here(table);
}

/// Puts an entry made by hand after the newest, as another writer would.
pub async fn put_entry(world: &World, domain: &Domain, make: impl FnOnce(&mut Entry)) -> Entry {
    let mut entry = entries(world, domain).await.pop().unwrap();
    entry.seq += 1;
    entry.nonce = Nonce(domain.sys().random.name());
    entry.changes = Vec::new();
    make(&mut entry);
    let files = LogFiles::new(world.base.clone(), domain.place().log_prefix());
    files.create(entry.seq, encode_entry(&entry).unwrap().into()).await.unwrap();
    entry
}

/// More than any retry of ours waits.
pub const LONG: Duration = Duration::from_secs(3600);
