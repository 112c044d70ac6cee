//! The daemon's end of the control socket.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::future::BoxFuture;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;

use super::protocol::{Answer, LINE_BYTES_MAX, Question, Reply, Request, VERSION};
use crate::daemon::failure::Failure;
use crate::daemon::instance::SOCKET_FILE;

/// Requests under way at once; more wait.
const REQUESTS_MAX: usize = 64;

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
    UnixListener::bind(PathBuf::from(format!("/proc/self/fd/{}/{SOCKET_FILE}", held.as_raw_fd())))
}

/// Answers until dropped. A request that was read is performed to its end, whether or not its sender waits.
pub async fn serve(listener: UnixListener, handler: Arc<dyn Handler>) {
    let room = Arc::new(Semaphore::new(REQUESTS_MAX));
    loop {
        let Ok(permit) = room.clone().acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let handler = handler.clone();
                tokio::spawn(async move {
                    if let Err(error) = converse(stream, &*handler).await {
                        tracing::debug!(%error, "a control connection ended early");
                    }
                    drop(permit);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "the control socket refuses a connection");
                // Out of descriptors: let those in use end.
                tokio::task::yield_now().await;
            }
        }
    }
}

async fn converse(stream: UnixStream, handler: &dyn Handler) -> io::Result<()> {
    let (reader, mut writer) = stream.into_split();
    let mut reader = BufReader::new(reader);
    loop {
        let mut line = Vec::new();
        let read = (&mut reader).take(LINE_BYTES_MAX as u64).read_until(b'\n', &mut line).await?;
        if read == 0 {
            return Ok(());
        }
        let result = match serde_json::from_slice::<Question>(&line) {
            Ok(question) if question.version == VERSION => handler.handle(question.request).await,
            Ok(question) => Err(other_version(question.version)),
            Err(error) => Err(Failure::failed("the daemon does not understand this request")
                .because(&error)
                .hint("it runs another version of meshfs: `meshfs umount` and `meshfs mount` start this one")),
        };
        let mut answer = serde_json::to_vec(&Answer { version: VERSION, result })?;
        answer.push(b'\n');
        writer.write_all(&answer).await?;
    }
}

fn other_version(theirs: u32) -> Failure {
    Failure::failed(format!("the daemon speaks version {VERSION} of the control protocol, this command {theirs}"))
        .hint("`meshfs umount` and `meshfs mount` start the version that is installed now")
}
