//! Machines: each has its own state and cache folders, and mounts the mesh of one store.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use meshfs::fuse::session::{self, MountOptions, Session};
use meshfs::repo::mesh::{Mesh, MeshOptions, NewDomain};
use meshfs::sys::Sys;
use meshfs::vfs::{Vfs, VfsOptions};
use tokio::runtime::Runtime;

use crate::common::scratch::Scratch;

/// Between two looks at a log: short, so that tests wait little.
pub const POLL: Duration = Duration::from_millis(100);

/// How long a test waits for what must come.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A mount that serves longer than this hangs: its connection is cut, so that the test fails and can be ended.
const MOUNT_TIME_MAX: Duration = Duration::from_secs(180);

/// A store with one mesh in it, which has the domain `sales`.
pub struct World {
    scratch: Scratch,
}

impl World {
    pub fn new() -> World {
        let world = World { scratch: Scratch::new() };
        let runtime = runtime();
        runtime.block_on(async {
            let mesh = Mesh::init(world.options("founder")).await.expect("a new mesh");
            mesh.create_domain(NewDomain { name: "sales".into(), ..NewDomain::default() }).await.expect("a new domain");
        });
        world
    }

    fn options(&self, machine: &str) -> MeshOptions {
        MeshOptions {
            store_url: self.scratch.join("store").display().to_string(),
            store: None,
            state_dir: self.scratch.join(machine).join("state"),
            cache_dir: self.scratch.join(machine).join("cache"),
            cache_bytes: 1 << 30,
            actor: format!("tester@{machine}"),
            host: machine.into(),
            sys: Sys::real(),
        }
    }

    /// A path outside of every mount.
    pub fn outside(&self, name: &str) -> PathBuf {
        self.scratch.join(name)
    }

    /// The folder that holds everything stored.
    pub fn store(&self) -> PathBuf {
        self.scratch.join("store")
    }

    /// Mounts as root does for itself.
    pub fn mount(&self, machine: &str) -> Mounted {
        self.mount_for(machine, false, false)
    }

    /// Mounts so that every read and write comes to the process, as for an ordinary user.
    pub fn mount_served(&self, machine: &str) -> Mounted {
        self.mount_with(machine, false, false, false)
    }

    /// Mounts as root does for all users.
    pub fn mount_for_all(&self, machine: &str) -> Mounted {
        self.mount_for(machine, true, false)
    }

    pub fn mount_read_only(&self, machine: &str) -> Mounted {
        self.mount_for(machine, false, true)
    }

    fn mount_for(&self, machine: &str, allow_other: bool, read_only: bool) -> Mounted {
        self.mount_with(machine, allow_other, read_only, true)
    }

    fn mount_with(&self, machine: &str, allow_other: bool, read_only: bool, passthrough: bool) -> Mounted {
        let runtime = runtime();
        let options = self.options(machine);
        let mesh = runtime.block_on(Mesh::open(options)).expect("the mesh opens");
        let vfs_options = VfsOptions {
            state_dir: mesh.state_dir().to_owned(),
            uid: 0,
            gid: 0,
            stored_owners: allow_other,
            read_only,
            poll: POLL,
            deadline: Duration::from_secs(30),
            sys: Sys::real(),
        };
        let vfs = Vfs::new(mesh, vfs_options, runtime.handle().clone());
        let dir = self.scratch.folder(&format!("{machine}/mesh"));
        let options = MountOptions { source: "test".into(), allow_other, read_only, passthrough };
        let session = session::mount(vfs.clone(), &dir, &options).expect("the mesh mounts");
        let session = Arc::new(session);
        let (watchdog, told_to_end) = mpsc::channel();
        let watched = session.clone();
        std::thread::spawn(move || {
            if told_to_end.recv_timeout(MOUNT_TIME_MAX) == Err(mpsc::RecvTimeoutError::Timeout) {
                watched.abort().ok();
            }
        });
        Mounted { dir, session, vfs, runtime: Some(runtime), _watchdog: watchdog }
    }
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime")
}

/// A mesh on a folder; unmounted when dropped, also by a failed test.
pub struct Mounted {
    dir: PathBuf,
    session: Arc<Session>,
    vfs: Arc<Vfs>,
    runtime: Option<Runtime>,
    /// Dropped, it ends the watching.
    _watchdog: mpsc::Sender<()>,
}

impl Mounted {
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The path of an address.
    pub fn path(&self, address: &str) -> PathBuf {
        self.dir.join(address)
    }

    pub fn session(&self) -> &Session {
        &self.session
    }

    pub fn vfs(&self) -> &Arc<Vfs> {
        &self.vfs
    }

    pub fn block_on<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.as_ref().expect("there until dropped").block_on(work)
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let runtime = self.runtime.take().expect("there until dropped");
        let unmounted = self.session.unmount();
        runtime.block_on(async {
            // A failed test may still have files open; nothing may stay mounted for them.
            if tokio::time::timeout(Duration::from_secs(5), self.session.wait()).await.is_err() {
                self.session.abort().ok();
                tokio::time::timeout(Duration::from_secs(5), self.session.wait()).await.ok();
            }
            self.vfs.close().await;
        });
        runtime.shutdown_timeout(Duration::from_secs(5));
        if !std::thread::panicking() {
            unmounted.expect("it unmounts");
        }
    }
}

/// Waits until `done`, and fails with `what` when that takes too long.
pub fn eventually(what: &str, mut done: impl FnMut() -> bool) {
    let began = std::time::Instant::now();
    while !done() {
        assert!(began.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The errno of a result that must be an error.
#[track_caller]
pub fn errno<T>(result: std::io::Result<T>) -> i32 {
    match result {
        Ok(_) => panic!("succeeded, and must not"),
        Err(error) => error.raw_os_error().expect("an error of the kernel's"),
    }
}

/// Runs a shell line as the user `uid`, who is in no group but that of the same number.
pub fn as_user(uid: u32, line: &str) -> Output {
    let id = uid.to_string();
    let mut command = Command::new("setpriv");
    command.args(["--reuid", &id, "--regid", &id, "--clear-groups", "--", "sh", "-c", line]);
    command.output().expect("a shell")
}
