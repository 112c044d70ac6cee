//! A command's end of the control socket.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::PathBuf;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;

use super::protocol::{Answer, LINE_BYTES_MAX, Question, Reply, Request, VERSION};
use crate::daemon::failure::Failure;
use crate::daemon::instance::{Info, SOCKET_FILE};

/// A running daemon to send requests to.
#[derive(Clone, Debug)]
pub struct Client {
    info: Info,
}

impl Client {
    pub fn new(info: Info) -> Client {
        Client { info }
    }

    pub fn info(&self) -> &Info {
        &self.info
    }

    /// Has the daemon perform `request`.
    pub async fn perform(&self, request: Request) -> Result<Reply, Failure> {
        let stream = self.connect().await.map_err(|error| {
            Failure::failed(format!("the daemon of {} does not answer", self.info.mountpoint.display()))
                .because(&error)
                .hint(format!("its process is {}; `meshfs umount` and `meshfs mount` start it anew", self.info.pid))
        })?;
        let only_asks = request.only_asks();
        let question = Question { version: VERSION, request };
        let answer = self.ask(stream, &question).await.map_err(|error| {
            let what = format!("the daemon of {} ended before it answered", self.info.mountpoint.display());
            // The request is out: whatever it changes may be changed.
            let failure = if only_asks { Failure::failed(what) } else { Failure::unknown(what) };
            failure
                .because(&error)
                .hint("nothing staged is lost; `meshfs mount` again, then `meshfs status` and `meshfs log` tell")
        })?;
        if answer.version != VERSION {
            return Err(Failure::failed(format!(
                "the daemon speaks version {} of the control protocol",
                answer.version
            ))
            .hint("it runs another version of meshfs: `meshfs umount` and `meshfs mount` start this one"));
        }
        answer.result
    }

    async fn connect(&self) -> io::Result<UnixStream> {
        // A socket's path may have 107 bytes and a state folder's more, so the folder goes by its descriptor.
        let folder = File::open(&self.info.folder)?;
        let path = PathBuf::from(format!("/proc/self/fd/{}/{SOCKET_FILE}", folder.as_raw_fd()));
        UnixStream::connect(path).await
    }

    async fn ask(&self, stream: UnixStream, question: &Question) -> io::Result<Answer> {
        let mut line = serde_json::to_vec(question)?;
        line.push(b'\n');
        let (reader, mut writer) = stream.into_split();
        writer.write_all(&line).await?;
        let mut answer = Vec::new();
        BufReader::new(reader).take(LINE_BYTES_MAX as u64).read_until(b'\n', &mut answer).await?;
        if answer.last() != Some(&b'\n') {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(serde_json::from_slice(&answer)?)
    }
}
