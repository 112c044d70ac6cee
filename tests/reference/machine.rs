//! A machine with a workspace on a store in memory, which can crash and come back.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use meshfs::model::path::TreePath;
use meshfs::repo::domain::Domain;
use meshfs::repo::mesh::{Mesh, MeshOptions, NewDomain};
use meshfs::storage::backend::open_bare;
use meshfs::storage::count::CountingStore;
use meshfs::storage::fault::FaultStore;
use meshfs::storage::url::StoreUrl;
use meshfs::storage::{Store, StoreSettings};
use meshfs::sys::Sys;
use meshfs::sys::clock::{Clock, SteppedClock};
use meshfs::telemetry::counters::Counters;
use meshfs::workspace::attr::{Attr, NewNode, RenameMode, Serving};
use meshfs::workspace::direct::{Backer, Backing, Kernel};
use meshfs::workspace::error::WorkspaceError;
use meshfs::workspace::open_file::OpenFile;
use meshfs::workspace::view::Workspace;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::watched::Watched;

/// 2026-11-23T00:00:00Z.
const START_NANOS: i64 = 1_795_392_000_000_000_000;

const MAIN: &str = "main";

pub type Result<T> = std::result::Result<T, WorkspaceError>;

/// The store and the clock that the machines of a test share.
#[derive(Clone)]
pub struct World {
    store: Arc<dyn Store>,
    pub runtime: Arc<Runtime>,
    pub clock: Arc<SteppedClock>,
}

/// One machine's process with its workspace of one branch.
pub struct Machine {
    pub world: World,
    pub domain: Domain,
    pub branch: String,
    workspace: Option<Arc<Workspace>>,
    sys: Sys,
    folder: TempDir,
    /// Crashes so far.
    lives: u32,
    pub reach: Reach,
}

/// How a machine reaches the store.
#[derive(Clone)]
pub struct Reach {
    /// What the store was asked for.
    pub counters: Arc<Counters>,
    watched: Arc<Watched>,
}

impl Reach {
    /// Acts at the very moment that the next log entry is about to be put.
    pub fn before_landing(&self, action: impl FnOnce() + Send + 'static) {
        let mut action = Some(action);
        self.watched.before_create(move |key, _| {
            let due = if key.contains("/log/") { action.take() } else { None };
            due.into_iter().for_each(|action| action());
            Box::pin(std::future::ready(()))
        });
    }
}

/// A kernel that takes every local file.
#[derive(Debug)]
pub struct AnyFile;

impl Backer for AnyFile {
    fn back(&self, _file: &File) -> Option<Backing> {
        Some(Arc::new(()))
    }
}

impl World {
    pub fn new() -> World {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let name = format!("reference-tests-{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let store = open_bare(&StoreUrl::Memory(name), &StoreSettings::new()).unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        World { store, runtime: Arc::new(runtime), clock: Arc::new(SteppedClock::new(START_NANOS)) }
    }

    /// Makes the mesh and the domain, and opens the first machine.
    pub fn first_machine(&self) -> Machine {
        let (sys, folder) = (self.sys(1), tempfile::tempdir().unwrap());
        let (store, reach) = self.reach();
        let mesh = self.runtime.block_on(Mesh::init(options(store, &folder, &sys))).unwrap();
        let new = NewDomain { name: "sales".to_owned(), ..NewDomain::default() };
        self.runtime.block_on(mesh.create_domain(new)).unwrap();
        self.start(&mesh, sys, folder, reach)
    }

    pub fn machine(&self, seed: u64) -> Machine {
        let (sys, folder) = (self.sys(seed), tempfile::tempdir().unwrap());
        let (store, reach) = self.reach();
        let mesh = self.runtime.block_on(Mesh::open(options(store, &folder, &sys))).unwrap();
        self.start(&mesh, sys, folder, reach)
    }

    /// A machine whose way to the store can be disturbed.
    pub fn machine_with_faults(&self, seed: u64) -> (Machine, FaultStore) {
        let (sys, folder) = (self.sys(seed), tempfile::tempdir().unwrap());
        let (store, reach) = self.reach();
        let faults = FaultStore::new(store, sys.clone());
        let mesh = self.runtime.block_on(Mesh::open(options(Arc::new(faults.clone()), &folder, &sys))).unwrap();
        (self.start(&mesh, sys, folder, reach), faults)
    }

    fn reach(&self) -> (Arc<dyn Store>, Reach) {
        let counters = Arc::<Counters>::default();
        let watched = Watched::new(Arc::new(CountingStore::new(self.store.clone(), counters.clone())));
        (watched.clone(), Reach { counters, watched })
    }

    /// One clock for all machines, so that the model need not know which one acted.
    fn sys(&self, seed: u64) -> Sys {
        let (sys, _) = Sys::simulated(START_NANOS, seed);
        Sys { clock: self.clock.clone(), ..sys }
    }

    fn start(&self, mesh: &Mesh, sys: Sys, folder: TempDir, reach: Reach) -> Machine {
        let domain = self.runtime.block_on(mesh.domain("sales")).unwrap();
        Machine::open(self.clone(), domain, MAIN.to_owned(), (sys, reach), folder)
    }

    pub fn tick(&self) {
        self.clock.advance(Duration::from_millis(1));
    }

    pub fn now(&self) -> i64 {
        self.clock.now()
    }
}

fn options(store: Arc<dyn Store>, folder: &TempDir, sys: &Sys) -> MeshOptions {
    MeshOptions {
        store_url: store.name().to_owned(),
        store: Some(store),
        state_dir: folder.path().join("state"),
        cache_dir: folder.path().join("cache"),
        cache_bytes: 64 << 20,
        actor: "ann".to_owned(),
        host: "desk".to_owned(),
        sys: sys.clone(),
    }
}

impl Machine {
    fn open(world: World, domain: Domain, branch: String, own: (Sys, Reach), folder: TempDir) -> Machine {
        let (sys, reach) = own;
        let mut machine = Machine { world, domain, branch, workspace: None, sys, folder, lives: 0, reach };
        machine.reopen();
        machine
    }

    /// A new branch from this one's head.
    pub fn create_branch(&self, name: &str) {
        self.block_on(async {
            self.domain.poll().await.unwrap();
            let (_, head) = self.domain.state().branch(&self.branch).unwrap();
            self.domain.create_branch(name, &head.target).await.unwrap();
        });
    }

    /// The same machine with a workspace of another branch.
    pub fn on_branch(&self, name: &str) -> Machine {
        let own = (self.sys.clone(), self.reach.clone());
        let (world, domain) = (self.world.clone(), self.domain.clone());
        Machine::open(world, domain, name.to_owned(), own, tempfile::tempdir().unwrap())
    }

    pub fn workspace(&self) -> &Arc<Workspace> {
        self.workspace.as_ref().expect("open")
    }

    pub fn workspace_dir(&self) -> PathBuf {
        self.dir_of_life(self.lives)
    }

    fn dir_of_life(&self, life: u32) -> PathBuf {
        self.folder.path().join(format!("workspace-{life}"))
    }

    /// Kills the process, as far as the disk can tell, and starts the next: it finds what the operating system has of
    /// the folder at this moment, without anything a tidy end would have done.
    pub fn crash(&mut self) {
        let workspace = self.crash_in_use();
        assert_eq!(Arc::strong_count(&workspace), 1, "still in use");
    }

    /// [`Machine::crash`] with files open, which nobody may use any more.
    pub fn crash_in_use(&mut self) -> Arc<Workspace> {
        self.lives += 1;
        let (old, new) = (self.dir_of_life(self.lives - 1), self.dir_of_life(self.lives));
        std::fs::create_dir_all(new.join("files")).unwrap();
        for item in std::fs::read_dir(&old).unwrap().map(std::result::Result::unwrap) {
            if item.file_type().unwrap().is_file() && !item.file_name().to_string_lossy().ends_with("-shm") {
                std::fs::copy(item.path(), new.join(item.file_name())).unwrap();
            }
        }
        // The files themselves, with their times.
        for item in std::fs::read_dir(old.join("files")).unwrap().map(std::result::Result::unwrap) {
            std::fs::hard_link(item.path(), new.join("files").join(item.file_name())).unwrap();
        }
        let abandoned = self.workspace.take().expect("open");
        std::fs::remove_dir_all(old).unwrap();
        self.reopen();
        abandoned
    }

    /// Ends the process, and starts the next on the same folder.
    pub fn restart(&mut self) {
        let workspace = self.workspace.take().expect("open");
        assert_eq!(Arc::strong_count(&workspace), 1, "still in use");
        drop(workspace);
        self.reopen();
    }

    fn reopen(&mut self) {
        let dir = self.workspace_dir();
        let opened = self.block_on(Workspace::open(&self.domain, &self.branch, &dir, self.sys.clone()));
        self.workspace = Some(opened.unwrap());
    }

    pub fn block_on<T>(&self, work: impl Future<Output = T>) -> T {
        self.world.runtime.block_on(work)
    }

    /// Runs an operation until nothing it needs is missing, as the kernel's adapter does.
    pub fn run<T>(&self, mut operation: impl FnMut(&Workspace) -> Result<T>) -> Result<T> {
        let _runtime = self.world.runtime.enter();
        loop {
            match operation(self.workspace()) {
                Err(WorkspaceError::Miss(miss)) => self.block_on(self.workspace().fetch(&miss)).unwrap(),
                outcome => return outcome,
            }
        }
    }

    /// The attributes at a path; the reference that the lookup counted is taken back.
    pub fn attr(&self, path: &str) -> Result<Attr> {
        let path = TreePath::parse(path.as_bytes()).unwrap();
        let attr = self.run(|workspace| workspace.lookup_path(&path))?;
        self.workspace().forget(attr.ino, 1);
        Ok(attr)
    }

    /// Runs an operation on the directory and the name of a path, the directory being held meanwhile.
    pub fn at<T>(&self, path: &str, mut operation: impl FnMut(&Workspace, u64, &[u8]) -> Result<T>) -> Result<T> {
        let path = TreePath::parse(path.as_bytes()).unwrap();
        let (parent, name) = path.split_last().expect("not the root");
        let dir = self.run(|workspace| workspace.lookup_path(&parent))?;
        let outcome = self.run(|workspace| operation(workspace, dir.ino, name));
        self.workspace().forget(dir.ino, 1);
        outcome
    }

    /// Runs an operation on the inode at a path, held meanwhile.
    pub fn on<T>(&self, path: &str, mut operation: impl FnMut(&Workspace, u64) -> Result<T>) -> Result<T> {
        let path = TreePath::parse(path.as_bytes()).unwrap();
        let attr = self.run(|workspace| workspace.lookup_path(&path))?;
        let outcome = self.run(|workspace| operation(workspace, attr.ino));
        self.workspace().forget(attr.ino, 1);
        outcome
    }

    pub fn create(&self, path: &str, new: NewNode, mode: u16) -> Result<()> {
        let made = self.at(path, |workspace, dir, name| workspace.create(dir, name, new.clone(), mode, None))?;
        self.workspace().forget(made.ino, 1);
        Ok(())
    }

    pub fn mkdir(&self, path: &str) -> Result<()> {
        self.create(path, NewNode::Dir, 0o755)
    }

    /// Makes `path` a file of these bytes, new or replaced in place.
    pub fn put(&self, path: &str, bytes: &[u8]) -> Result<()> {
        match self.create(path, NewNode::File, 0o644) {
            Err(WorkspaceError::Exists) => {}
            made => made?,
        }
        self.on(path, |workspace, ino| {
            let file = workspace.open_file(ino, true, true)?;
            assert_eq!(file.write(0, bytes)?, bytes.len());
            Ok(())
        })
    }

    pub fn write(&self, path: &str, offset: u64, bytes: &[u8]) -> Result<()> {
        let file = self.open_direct(path, true);
        self.write_open(&file, offset, bytes)
    }

    /// Writes as a program does whose kernel uses local files where it may: then the workspace is not told.
    pub fn write_open(&self, file: &OpenFile, offset: u64, bytes: &[u8]) -> Result<()> {
        if let Serving::KeptPages = file.serving() {
            return self.run(|_| file.write(offset, bytes)).map(|written| assert_eq!(written, bytes.len()));
        }
        let staged = self.workspace_dir().join("files").join(format!("{:016x}", file.ino()));
        let staged = std::fs::OpenOptions::new().write(true).open(staged).expect("the kernel has it open");
        staged.write_all_at(bytes, offset).unwrap();
        let now = std::time::UNIX_EPOCH + Duration::from_nanos(self.world.now().unsigned_abs());
        staged.set_modified(now).unwrap();
        Ok(())
    }

    /// The whole content of a file.
    pub fn read(&self, path: &str) -> Result<Vec<u8>> {
        self.on(path, |workspace, ino| {
            let size = workspace.attr(ino)?.size;
            let file = workspace.open_file(ino, false, false)?;
            // More is asked for than there is: a short read is the end.
            Ok(file.read(0, usize::try_from(size).unwrap() + 10)?.to_vec())
        })
    }

    pub fn unlink(&self, path: &str) -> Result<()> {
        self.at(path, |workspace, dir, name| workspace.unlink(dir, name))
    }

    pub fn rmdir(&self, path: &str) -> Result<()> {
        self.at(path, |workspace, dir, name| workspace.rmdir(dir, name))
    }

    pub fn rename(&self, from: &str, to: &str, mode: RenameMode) -> Result<()> {
        self.at(from, |workspace, from_dir, from_name| {
            let to = TreePath::parse(to.as_bytes()).unwrap();
            let (parent, name) = to.split_last().expect("not the root");
            let dir = workspace.lookup_path(&parent)?;
            let outcome = workspace.rename((from_dir, from_name), (dir.ino, name), mode);
            workspace.forget(dir.ino, 1);
            outcome
        })
    }

    pub fn link(&self, from: &str, to: &str) -> Result<()> {
        let linked = self.at(to, |workspace, dir, name| {
            let file = workspace.lookup_path(&TreePath::parse(from.as_bytes()).unwrap())?;
            let outcome = workspace.link(file.ino, dir, name);
            workspace.forget(file.ino, 1);
            outcome
        })?;
        self.workspace().forget(linked.ino, 1);
        Ok(())
    }

    /// A file opened at a path, which stays open whatever becomes of the name.
    pub fn open_file(&self, path: &str, write: bool) -> OpenFile {
        self.on(path, |workspace, ino| workspace.open_file(ino, write, false)).unwrap()
    }

    /// A file opened by a kernel that uses local files where it may.
    pub fn open_direct(&self, path: &str, write: bool) -> OpenFile {
        let kernel = Kernel { backer: &AnyFile, keeps_privileges: true };
        self.on(path, |workspace, ino| workspace.open_file_for(Some(kernel), ino, write, false)).unwrap()
    }

    /// A range of an open file.
    pub fn read_open(&self, file: &OpenFile, offset: u64, len: usize) -> Vec<u8> {
        self.run(|_| file.read(offset, len)).unwrap().to_vec()
    }

    /// Names of the staged files on disk, once it knows of those that are gone.
    pub fn staged_files(&self) -> usize {
        self.workspace().flush().unwrap();
        std::fs::read_dir(self.workspace_dir().join("files")).unwrap().count()
    }

    /// All names of a directory, listed `batch` at a time.
    pub fn names(&self, path: &str, batch: usize) -> Result<Vec<String>> {
        self.on(path, |workspace, ino| {
            let mut names: Vec<String> = Vec::new();
            loop {
                let after = names.last().map(|name| name.clone().into_bytes());
                let listed = workspace.readdir(ino, after.as_deref(), batch)?;
                if listed.is_empty() {
                    return Ok(names);
                }
                names.extend(listed.into_iter().map(|listed| String::from_utf8(listed.name).unwrap()));
            }
        })
    }
}
