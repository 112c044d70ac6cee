//! A mount from its beginning to its end.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fuser::{Config, MountOption, SessionACL};
use tokio::sync::watch;

use super::adapter::Adapter;
use super::backing::Backings;
use super::dead;
use super::forget::Forgetter;
use super::later::Server;
use super::requests::Requests;
use super::unanswered::Unanswered;
use super::unmount;
pub use super::unmount::Unmounted;
use crate::sys;
use crate::vfs::Vfs;

/// Threads that read requests. Nothing waits on them, so few serve all; several only so that one call into SQLite does
/// not hold up the rest.
const THREADS: usize = 4;

/// Kilobytes that the kernel reads ahead of a sequential reader, where we may say so: one request then carries 1 MiB.
const READ_AHEAD_KB: &str = "1024";

/// Type in the mount table is `fuse.` and this.
const SUBTYPE: &str = "meshfs";

const DEVICE: &str = "/dev/fuse";

/// How a mesh is mounted.
#[derive(Clone, Debug)]
pub struct MountOptions {
    /// Source in the mount table, such as the store's URL.
    pub source: String,
    /// Users other than the mounting one may enter; the kernel checks their rights.
    pub allow_other: bool,
    pub read_only: bool,
    /// Lets the kernel read and write local files by itself, where it can.
    pub passthrough: bool,
}

/// Why a folder cannot be mounted on.
#[derive(Debug, thiserror::Error)]
pub enum MountError {
    #[error("{0} does not exist")]
    Missing(PathBuf),
    #[error("{0} is not a folder")]
    NotFolder(PathBuf),
    #[error("{0} is not empty: what is in it would be hidden. Name an empty folder, or a new one")]
    NotEmpty(PathBuf),
    #[error("{0} has a FUSE filesystem mounted on it already: `meshfs umount` it, or name another folder")]
    Mounted(PathBuf),
    #[error(
        "{dir} is a dead mount and cannot be detached ({source}): `fusermount3 -uz {dir}` as the user who mounted it"
    )]
    Dead { dir: PathBuf, source: io::Error },
    /// The device for FUSE cannot be opened.
    #[error("/dev/fuse: {0}. Ordinary users need it readable and writable: `sudo chmod 666 /dev/fuse`")]
    Device(io::Error),
    #[error("fusermount3 is not installed: an ordinary user mounts with it (package `fuse3`)")]
    NoHelper,
    #[error("--allow-other needs a line `user_allow_other` in /etc/fuse.conf, or root")]
    AllowOther,
    #[error("mounting on {dir}: {source}")]
    Failed { dir: PathBuf, source: io::Error },
}

/// Announces the end of a session once.
#[derive(Debug)]
pub(super) struct Ended {
    vfs: Arc<Vfs>,
    sender: watch::Sender<bool>,
}

impl Ended {
    pub(super) fn announce(&self) {
        self.vfs.end_session();
        self.sender.send_replace(true);
    }
}

/// A mounted mesh. Dropping it does not unmount.
#[derive(Debug)]
pub struct Session {
    dir: PathBuf,
    /// Number of the connection, as `/sys/fs/fuse/connections` has it.
    connection: u32,
    unanswered: Arc<Unanswered>,
    ended: watch::Receiver<bool>,
    requests: Arc<Requests>,
}

impl Session {
    /// The folder mounted on, without symlinks.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The number of the kernel's connection.
    pub fn connection(&self) -> u32 {
        self.connection
    }

    pub(super) fn unanswered(&self) -> &Arc<Unanswered> {
        &self.unanswered
    }

    /// Ends when the mount has ended, by whomever.
    pub async fn wait(&self) {
        // An error says that the sender is gone, and with it the session.
        self.ended.clone().wait_for(|ended| *ended).await.ok();
    }

    /// Requests of the kernel's so far, by the name of the operation.
    pub fn requests(&self) -> BTreeMap<&'static str, u64> {
        self.requests.read()
    }

    pub fn has_ended(&self) -> bool {
        *self.ended.borrow()
    }

    /// Takes the mount away; while it is busy, detaches it. Once it has ended, there is nothing to do.
    pub fn unmount(&self) -> io::Result<Unmounted> {
        if self.has_ended() {
            return Ok(Unmounted::Clean);
        }
        unmount::unmount(&self.dir)
    }

    /// Cuts the connection: every waiting and later operation fails. For a mount that does not end otherwise.
    pub fn abort(&self) -> io::Result<()> {
        cut(&self.dir, self.connection)
    }
}

/// Fails every waiting and later operation of the connection, whichever process serves it.
pub fn cut(dir: &Path, connection: u32) -> io::Result<()> {
    // The control filesystem is not mounted everywhere; unmounting by force cuts too, while the mount is in place.
    std::fs::write(format!("/sys/fs/fuse/connections/{connection}/abort"), "1").or_else(|_| unmount::cut(dir))
}

/// Does whoever serves the connection owe the kernel an answer? Also true where nobody can tell.
pub fn owes_answers(connection: u32) -> bool {
    let waiting = std::fs::read_to_string(format!("/sys/fs/fuse/connections/{connection}/waiting"));
    waiting.map_or(true, |waiting| waiting.trim() != "0")
}

/// Mounts `vfs` on the empty folder `dir`; usable when this returns. A dead mount there is cleared first.
pub fn mount(vfs: Arc<Vfs>, dir: &Path, options: &MountOptions) -> Result<Session, MountError> {
    dead::clear(dir).map_err(|source| MountError::Dead { dir: dir.to_owned(), source })?;
    let dir = usable_folder(dir)?;
    check_device()?;
    let (sender, ended) = watch::channel(false);
    let (requests, unanswered) = (Arc::<Requests>::default(), Arc::<Unanswered>::default());
    let server = Server::new(vfs.clone(), requests.clone(), unanswered.clone());
    let adapter = Adapter::new(server, Ended { vfs: vfs.clone(), sender });
    let failed = |source| MountError::Failed { dir: dir.clone(), source };
    let session = fuser::Session::new(adapter, &dir, &config(options)).map_err(|error| explained(error, &dir))?;
    let backings = options.passthrough.then(|| Backings::probe(&session, &vfs.options().state_dir)).flatten();
    if let Some(backings) = backings {
        vfs.attach_backer(Arc::new(backings));
    }
    let forgetter = Forgetter::start(session.notifier()).map_err(failed)?;
    vfs.attach_kernel(Arc::new(forgetter));
    // Dropped, it would unmount; and at the session's end it would unmount by path, whatever is mounted there by then.
    std::mem::forget(session.spawn().map_err(failed)?);
    let device = std::fs::metadata(&dir).map_err(failed)?.dev();
    let connection = libc::minor(device);
    raise_read_ahead(libc::major(device), connection);
    Ok(Session { dir, connection, unanswered, ended, requests })
}

fn config(options: &MountOptions) -> Config {
    let is_root = sys::process::effective_uid() == 0;
    // The helper takes `,` for the end of an option.
    let source =
        if is_root { options.source.clone() } else { options.source.replace('\\', "\\\\").replace(',', "\\,") };
    let mut config = Config::default();
    config.mount_options = vec![
        MountOption::FSName(source),
        // As a plain option it reaches the kernel on both ways of mounting; fuser's own drops it when root mounts.
        MountOption::CUSTOM(format!("subtype={SUBTYPE}")),
        MountOption::DefaultPermissions,
        MountOption::NoAtime,
        if options.read_only { MountOption::RO } else { MountOption::RW },
    ];
    config.acl = if options.allow_other { SessionACL::All } else { SessionACL::Owner };
    config.n_threads = Some(THREADS);
    config
}

/// `dir` without symlinks, when it is a folder that hides nothing if mounted on.
fn usable_folder(dir: &Path) -> Result<PathBuf, MountError> {
    let resolved = std::fs::canonicalize(dir).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => MountError::Missing(dir.to_owned()),
        io::ErrorKind::NotADirectory => MountError::NotFolder(dir.to_owned()),
        _ => MountError::Failed { dir: dir.to_owned(), source: error },
    })?;
    let failed = |source| MountError::Failed { dir: dir.to_owned(), source };
    let about = std::fs::metadata(&resolved).map_err(failed)?;
    if !about.is_dir() {
        return Err(MountError::NotFolder(dir.to_owned()));
    }
    let above = resolved.parent().map(std::fs::metadata).transpose().map_err(failed)?;
    if above.is_some_and(|above| above.dev() != about.dev()) && is_fuse(&resolved) {
        return Err(MountError::Mounted(dir.to_owned()));
    }
    if std::fs::read_dir(&resolved).map_err(failed)?.next().is_some() {
        return Err(MountError::NotEmpty(dir.to_owned()));
    }
    Ok(resolved)
}

fn is_fuse(dir: &Path) -> bool {
    sys::disk::filesystem_type(dir).is_ok_and(|kind| kind == libc::FUSE_SUPER_MAGIC)
}

fn check_device() -> Result<(), MountError> {
    std::fs::OpenOptions::new().read(true).write(true).open(DEVICE).map(drop).map_err(MountError::Device)
}

fn explained(error: io::Error, dir: &Path) -> MountError {
    match error.kind() {
        io::ErrorKind::PermissionDenied if error.to_string().contains("user_allow_other") => MountError::AllowOther,
        // The device is there, so what is missing is the helper.
        io::ErrorKind::NotFound => MountError::NoHelper,
        _ => MountError::Failed { dir: dir.to_owned(), source: error },
    }
}

/// Only root may; without it sequential reads come in smaller requests.
fn raise_read_ahead(major: u32, minor: u32) {
    let path = format!("/sys/class/bdi/{major}:{minor}/read_ahead_kb");
    if let Err(error) = std::fs::write(&path, READ_AHEAD_KB) {
        tracing::debug!("{path} stays as it is: {error}");
    }
}
