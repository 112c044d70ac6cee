//! The daemon from its start to its end: lock, mount, socket; then, asked to end or unmounted, the same backwards.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Notify;

use super::config::Settings;
use super::control::protocol::{Reply, Request};
use super::control::server::{self, Handler, Server};
use super::failure::Failure;
use super::guard::{self, Duty, Guard};
use super::instance::{self, Info};
use super::verbs::{self, Host};
use super::{mountpoint, store_name, users};
use crate::fuse::session::{self, MountOptions, Session, Unmounted};
use crate::fuse::watchdog::Watchdog;
use crate::model::time::Time;
use crate::repo::domain::Domain;
use crate::repo::mesh::{Mesh, MeshOptions};
use crate::sys::clock::within;
use crate::sys::{Sys, heap, process, task};
use crate::vfs::{Vfs, VfsOptions};
use crate::workspace::view::Workspace;

/// A request that is not answered within this many timeouts never will be: each waits for the store for one at most.
const TIMEOUTS_TO_THE_END: u32 = 5;

/// However short a timeout is: a busy local disk may hold a write for some seconds, and is no reason to end a mount.
const SHORTEST_TO_THE_END: Duration = Duration::from_secs(20);

/// Longest that requests under way (commits, above all) may take once the daemon was asked to end.
const DRAIN_LIMIT: Duration = Duration::from_secs(30);

/// Longest that a detached mount is served on for the files that are still open in it.
const DETACHED_LIMIT: Duration = Duration::from_secs(5);

/// Forgotten files and folders whose memory, some hundred bytes each, is worth giving back.
const FORGOTTEN_MIN: usize = 10_000;

/// Longest that a mount waits for entries that an earlier process left open; what is not settled by then is when
/// somebody writes.
const SETTLE_LIMIT: Duration = Duration::from_secs(10);

/// How often the cache looks whether the disk fills up, so that staging does not fail for it.
const ROOM_CHECK: Duration = Duration::from_secs(2);

/// What is to be mounted, and how.
#[derive(Clone, Debug)]
pub struct MountRequest {
    pub dir: PathBuf,
    pub store: String,
    pub read_only: bool,
    pub allow_other: bool,
    /// The kernel may read and write staged files by itself.
    pub passthrough: bool,
    pub cache_bytes: u64,
    pub poll: Duration,
    /// Longest that one file operation waits for the store before it fails.
    pub timeout: Duration,
}

/// How a mesh is opened with these settings.
pub fn mesh_options(settings: &Settings, store: &str) -> MeshOptions {
    MeshOptions {
        store_url: store_name::normal(store),
        store: None,
        state_dir: settings.state_root.clone(),
        cache_dir: settings.cache_root.clone(),
        cache_bytes: settings.cache_bytes,
        actor: settings.author.clone(),
        host: settings.host.clone(),
        sys: Sys::real(),
    }
}

/// Mounts, tells `ready`, and serves until unmounted or told to end by a signal.
pub async fn run(settings: &Settings, request: MountRequest, ready: impl FnOnce(&Info)) -> Result<(), Failure> {
    let mut signals = Signals::catch().map_err(|error| Failure::failed("cannot catch signals").because(&error))?;
    let dir = mountpoint::prepare(&request.dir)?.dir;
    let options = MeshOptions { cache_bytes: request.cache_bytes, ..mesh_options(settings, &request.store) };
    let mesh = Mesh::open(options).await?;
    mesh.check_beginning().await?;
    let sys = mesh.sys().clone();
    let folder = mesh.state_dir().to_owned();
    let hold = instance::hold_for_daemon(&folder, &dir)?;
    if !request.read_only {
        settle_earlier(&mesh, &sys).await;
    }
    let vfs = Vfs::new(mesh.clone(), vfs_options(&mesh, &request, &sys), tokio::runtime::Handle::current());
    guard::earlier_is_done(&folder, &sys).await;
    let guard = Guard::start();
    let session = mount(vfs.clone(), dir, &request, mesh.store_url()).await?;
    let limit = (request.timeout * TIMEOUTS_TO_THE_END).max(SHORTEST_TO_THE_END);
    let (guard, _watchdog) = watched(guard, &session, &folder, limit);
    let info = Info {
        pid: std::process::id(),
        mountpoint: session.dir().to_owned(),
        store: mesh.store_url().to_owned(),
        folder,
        cache_root: settings.cache_root.clone(),
        read_only: request.read_only,
        started: Time(sys.clock.now()),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    let daemon = Arc::new(Daemon { mesh, vfs, session, info, sys: sys.clone(), end: Notify::new() });
    let outcome = daemon.clone().serve(settings, &mut signals, ready).await;
    instance::withdraw(&daemon.info, &settings.registry);
    daemon.vfs.close().await;
    if let Some(guard) = guard {
        guard.dismiss(&sys).await;
    }
    drop(hold);
    outcome
}

/// Puts the mount under the eyes of the guard and of the watchdog. It serves without, too.
fn watched(
    guard: std::io::Result<Guard>,
    session: &Session,
    folder: &std::path::Path,
    limit: Duration,
) -> (Option<Guard>, Option<Watchdog>) {
    let duty = Duty {
        daemon: std::process::id(),
        mountpoint: session.dir().to_owned(),
        connection: session.connection(),
        folder: folder.to_owned(),
        limit_ms: u64::try_from(limit.as_millis()).unwrap_or(u64::MAX),
    };
    let guard = guard.and_then(|mut guard| guard.watch(&duty).map(|()| guard));
    let watchdog = Watchdog::start(session, limit, || process::end_at_once());
    let present = |error: std::io::Error| tracing::warn!(%error, "nobody watches over this mount");
    (guard.map_err(present).ok(), watchdog.map_err(present).ok())
}

async fn settle_earlier(mesh: &Mesh, sys: &Sys) {
    let unsettled = match within(&*sys.clock, SETTLE_LIMIT, mesh.settle_earlier()).await {
        Some(Ok(())) => return,
        Some(Err(error)) => error.to_string(),
        None => format!("not within {} s", SETTLE_LIMIT.as_secs()),
    };
    tracing::warn!(error = %unsettled, "what an earlier process left open is not settled: it is at the next write");
}

fn vfs_options(mesh: &Mesh, request: &MountRequest, sys: &Sys) -> VfsOptions {
    let uid = process::effective_uid();
    VfsOptions {
        state_dir: mesh.state_dir().to_owned(),
        uid,
        gid: process::effective_gid(),
        stored_owners: uid == 0 && request.allow_other,
        read_only: request.read_only,
        poll: request.poll,
        deadline: request.timeout,
        sys: sys.clone(),
    }
}

async fn mount(vfs: Arc<Vfs>, dir: PathBuf, request: &MountRequest, store: &str) -> Result<Session, Failure> {
    let options = MountOptions {
        source: store.to_owned(),
        allow_other: request.allow_other,
        read_only: request.read_only,
        passthrough: request.passthrough,
    };
    let mounted = tokio::task::spawn_blocking(move || session::mount(vfs, &dir, &options)).await;
    Ok(mounted.map_err(|error| Failure::failed("mounting failed").because(&error))??)
}

/// The requests to end that come as signals.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    fn catch() -> std::io::Result<Signals> {
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    async fn any(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
            _ = self.hang_up.recv() => {}
        }
    }
}

/// A running daemon.
struct Daemon {
    mesh: Mesh,
    vfs: Arc<Vfs>,
    session: Session,
    info: Info,
    sys: Sys,
    /// Told when somebody asks for the end through the socket.
    end: Notify,
}

impl Daemon {
    async fn serve(
        self: Arc<Daemon>,
        settings: &Settings,
        signals: &mut Signals,
        ready: impl FnOnce(&Info),
    ) -> Result<(), Failure> {
        let opened = server::listen(&self.info.folder)
            .and_then(|listener| instance::announce(&self.info, &settings.registry).map(|()| listener));
        let listener = match opened {
            Ok(listener) => listener,
            Err(error) => {
                self.take_away().await;
                let what = format!("cannot open the control socket in {}", self.info.folder.display());
                return Err(Failure::failed(what).because(&error));
            }
        };
        tracing::info!(store = %self.info.store, mountpoint = %self.info.mountpoint.display(), "mounted");
        ready(&self.info);
        let server = Server::new(self.clone(), self.sys.clone());
        tokio::select! {
            () = server.serve(listener) => {}
            () = signals.any() => tracing::info!("told to end"),
            () = self.end.notified() => tracing::info!("asked to unmount"),
            () = self.session.wait() => tracing::info!("unmounted by somebody"),
            () = self.keep_room() => {}
        }
        tokio::select! {
            () = self.wind_up(&server) => {}
            () = signals.any() => tracing::warn!("told to end again: not waiting for what is under way"),
        }
        self.take_away().await;
        Ok(())
    }

    /// Lets the cache give way where the disk fills up, and gives back the memory of what the kernel forgot; never ends.
    async fn keep_room(&self) {
        let mut most_known = 0;
        loop {
            self.sys.clock.sleep(ROOM_CHECK).await;
            let shared = self.mesh.shared().clone();
            task::blocking(move || shared.trim()).await;
            let known = self.vfs.nodes_known();
            most_known = known.max(most_known);
            if most_known - known >= FORGOTTEN_MIN {
                task::blocking(heap::give_back).await;
                most_known = known;
            }
        }
    }

    /// Lets what was begun come to its end.
    async fn wind_up(&self, server: &Server) {
        if within(&*self.sys.clock, DRAIN_LIMIT, server.drained()).await.is_none() {
            tracing::warn!("requests are still under way; they go on at the next mount");
        }
    }

    /// Unmounts; what is staged stays.
    async fn take_away(&self) {
        match self.session.unmount() {
            Ok(Unmounted::Clean) => {}
            Ok(Unmounted::Lazy) => tracing::info!("the mount was in use: detached"),
            Err(error) => tracing::warn!(%error, "cannot unmount"),
        }
        if within(&*self.sys.clock, DETACHED_LIMIT, self.session.wait()).await.is_none()
            && let Err(error) = self.session.abort()
        {
            tracing::warn!(%error, "cannot end the kernel's connection; the end of this process does");
        }
    }

    fn unmount(&self, lazy: bool) -> Result<Reply, Failure> {
        let users = users::of_mount(&self.info.mountpoint);
        if !lazy && !users.is_empty() {
            let what = format!("{} is in use", self.info.mountpoint.display());
            let causes = users.iter().map(ToString::to_string).collect();
            return Err(Failure { causes, ..Failure::failed(what) }
                .hint("leave the folder and close what is open there; `meshfs umount --lazy` does not wait for that"));
        }
        self.end.notify_one();
        Ok(Reply::Daemon { pid: self.info.pid })
    }
}

impl Host for Daemon {
    fn mesh(&self) -> &Mesh {
        &self.mesh
    }

    fn workspace<'a>(&'a self, domain: &'a Domain, branch: &'a str) -> BoxFuture<'a, Result<Arc<Workspace>, Failure>> {
        Box::pin(async move { Ok(self.vfs.workspace(&domain.info().name, branch).await?) })
    }
}

impl Handler for Daemon {
    fn handle(&self, request: Request) -> BoxFuture<'_, Result<Reply, Failure>> {
        Box::pin(async move {
            match request {
                Request::Usage => {
                    Ok(Reply::Usage { held: self.vfs.usage(), resident_bytes: process::resident_bytes() })
                }
                Request::Unmount { lazy } => self.unmount(lazy),
                request => {
                    let reply = verbs::perform(self, request).await?;
                    if let Reply::Committed { domain, branch, commit: Some(commit) } = &reply {
                        let told = self.vfs.commit_landed(domain, branch, commit.clone()).await;
                        if let Err(error) = told {
                            tracing::warn!(%error, "a commit landed, and the control file does not tell of it");
                        }
                    }
                    Ok(reply)
                }
            }
        })
    }
}
