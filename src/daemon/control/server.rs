//! The daemon's end of the control socket.

use std::fs::{File, Permissions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;

use super::protocol::{Answer, LINE_BYTES_MAX, Question, Reply, Request, VERSION};
use crate::daemon::failure::Failure;
use crate::daemon::instance::SOCKET_FILE;
use crate::sys::Sys;

/// Requests under way at once; more wait.
const REQUESTS_MAX: u32 = 64;

/// After a connection could not be taken (out of descriptors), so that those in use can end.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// Who reaches the socket may do what its owner may.
const SOCKET_MODE: u32 = 0o600;

/// Performs requests.
pub trait Handler: Send + Sync + 'static {
    fn handle(&self, request: Request) -> BoxFuture<'_, Result<Reply, Failure>>;
}

/// Opens the control socket in `folder`, which is held by this process.
pub fn listen(folder: &Path) -> io::Result<UnixListener> {
    match std::fs::remove_file(folder.join(SOCKET_FILE)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    // See the client: the path may be too long for a socket's address.
    let held = File::open(folder)?;
    let path = PathBuf::from(format!("/proc/self/fd/{}/{SOCKET_FILE}", held.as_raw_fd()));
    let listener = UnixListener::bind(&path)?;
    // bind(2) takes no mode. Until this call the folder, which is its owner's only, keeps others out.
    #[allow(clippy::disallowed_methods)]
    std::fs::set_permissions(&path, Permissions::from_mode(SOCKET_MODE))?;
    Ok(listener)
}

/// Answers connections.
#[derive(Clone)]
pub struct Server {
    handler: Arc<dyn Handler>,
    sys: Sys,
    /// One permit for each request under way.
    room: Arc<Semaphore>,
}

impl Server {
    pub fn new(handler: Arc<dyn Handler>, sys: Sys) -> Server {
        Server { handler, sys, room: Arc::new(Semaphore::new(REQUESTS_MAX as usize)) }
    }

    /// Answers until dropped. A request that was read is performed to its end, whether or not its sender waits.
    pub async fn serve(&self, listener: UnixListener) {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => {
                    let server = self.clone();
                    tokio::spawn(async move {
                        if let Err(error) = server.converse(stream).await {
                            tracing::debug!(%error, "a control connection ended early");
                        }
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "the control socket could not take a connection");
                    self.sys.clock.sleep(ACCEPT_RETRY).await;
                }
            }
        }
    }

    /// Waits until no request is under way, and lets none begin.
    pub async fn drained(&self) {
        if let Ok(all) = self.room.acquire_many(REQUESTS_MAX).await {
            all.forget();
            self.room.close();
        }
    }

    async fn converse(&self, stream: UnixStream) -> io::Result<()> {
        let (reader, mut writer) = stream.into_split();
        let mut reader = BufReader::new(reader);
        loop {
            // Not before somebody asks: a connection may be kept for later.
            if reader.fill_buf().await?.is_empty() {
                return Ok(());
            }
            let _under_way = self.room.acquire().await.map_err(io::Error::other)?;
            let mut line = Vec::new();
            let read = (&mut reader).take(LINE_BYTES_MAX as u64).read_until(b'\n', &mut line).await?;
            if read == 0 {
                return Ok(());
            }
            let mut answer = serde_json::to_vec(&Answer { version: VERSION, result: self.answer(&line).await })?;
            answer.push(b'\n');
            writer.write_all(&answer).await?;
        }
    }

    async fn answer(&self, line: &[u8]) -> Result<Reply, Failure> {
        match serde_json::from_slice::<Question>(line) {
            Ok(question) if question.version == VERSION => self.handler.handle(question.request).await,
            Ok(question) => Err(other_version(question.version)),
            Err(error) => Err(Failure::failed("the daemon does not understand this request")
                .because(&error)
                .hint("it runs another version of meshfs: `meshfs umount` and `meshfs mount` start this one")),
        }
    }
}

fn other_version(theirs: u32) -> Failure {
    Failure::failed(format!("the daemon speaks version {VERSION} of the control protocol, this command {theirs}"))
        .hint("`meshfs umount` and `meshfs mount` start the version that is installed now")
}
