//! The guard: a small process beside the daemon. When the daemon ends in whatever way, the guard takes a dead mount
//! away; when it is there and does not answer, because it was stopped or all its threads are stuck, the guard ends it.
//!
//! It learns of the end by a pipe that only the daemon holds, and of life by asking the mount for its numbers now and
//! then. It counts its own pauses, not the time: while the machine sleeps nothing is late.

use std::io::{self, BufRead, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::mounts;
use crate::fuse::{dead, session};
use crate::sys::clock::within;
use crate::sys::lock::FileLock;
use crate::sys::{Sys, disk, process, task};

/// Held in the state folder by a guard at work.
const LOCK_FILE: &str = "guard.lock";

/// Longest wait of a new daemon for the guard of the one before, which needs milliseconds.
const EARLIER_WAIT: Duration = Duration::from_secs(5);

/// Longest wait of a daemon that ends for its guard.
const DISMISS_WAIT: Duration = Duration::from_secs(2);

/// Questions within the limit.
const QUESTIONS: u32 = 10;

/// Between two looks at something that takes milliseconds.
const PAUSE: Duration = Duration::from_millis(5);

/// Looks whether the mount of a daemon that is gone is dead or gone: the kernel closes its files one by one.
const LOOKS_MAX: u32 = 1000;

/// What a guard is for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Duty {
    pub daemon: u32,
    pub mountpoint: PathBuf,
    /// Number of the kernel's connection.
    pub connection: u32,
    /// The mesh's own state folder.
    pub folder: PathBuf,
    /// Longest that the mount may leave a question unanswered.
    pub limit_ms: u64,
}

/// The daemon's end of its guard.
#[derive(Debug)]
pub struct Guard {
    process: Child,
    /// Open for as long as the daemon lives.
    life: ChildStdin,
}

impl Guard {
    /// Starts the process, which waits for its duty. To be called before mounting, so that nothing of the mount is
    /// inherited.
    pub fn start() -> io::Result<Guard> {
        let mut command = Command::new(process::own_program()?);
        command.args(["guard", "--of", &std::process::id().to_string()]);
        command.current_dir("/").stdin(Stdio::piped()).stdout(Stdio::null());
        // What ends the daemon from a terminal must not end the guard first.
        process::in_new_session(&mut command);
        let mut process = command.spawn()?;
        let life = process.stdin.take().ok_or(io::ErrorKind::BrokenPipe)?;
        Ok(Guard { process, life })
    }

    pub fn watch(&mut self, duty: &Duty) -> io::Result<()> {
        let mut line = serde_json::to_vec(duty)?;
        line.push(b'\n');
        self.life.write_all(&line)
    }

    /// Lets the guard go: the daemon has unmounted, or takes nothing away any more.
    pub async fn dismiss(self, sys: &Sys) {
        let Guard { mut process, life } = self;
        drop(life);
        let ended = task::blocking(move || process.wait());
        if within(&*sys.clock, DISMISS_WAIT, ended).await.is_none() {
            tracing::warn!("the guard does not end yet");
        }
    }
}

/// Waits until the guard of an earlier daemon has cleared what that left.
pub async fn earlier_is_done(folder: &Path, sys: &Sys) {
    let path = folder.join(LOCK_FILE);
    let done = async {
        while let Ok(None) = FileLock::try_exclusive(&path) {
            sys.clock.sleep(PAUSE).await;
        }
    };
    if within(&*sys.clock, EARLIER_WAIT, done).await.is_none() {
        tracing::warn!("the guard of an earlier daemon is still at work");
    }
}

enum Event {
    /// The mount answered, whatever it was.
    Answered,
    /// The daemon is no more.
    Gone,
}

/// What the guard's process does, until its daemon has ended.
pub async fn serve() -> io::Result<()> {
    task::blocking(watch_over).await
}

fn watch_over() -> io::Result<()> {
    let mut life = io::stdin().lock();
    let mut line = String::new();
    if life.read_line(&mut line)? == 0 {
        // Nothing was mounted.
        return Ok(());
    }
    let duty: Duty = serde_json::from_str(&line)?;
    disk::create_private_dirs(&duty.folder)?;
    let _at_work = FileLock::exclusive(&duty.folder.join(LOCK_FILE))?;
    let (events, happened) = mpsc::channel();
    let pause = Duration::from_millis(duty.limit_ms) / QUESTIONS;
    let (mountpoint, answers) = (duty.mountpoint.clone(), events.clone());
    task::thread("meshfs-ask", move || {
        // Ends with the process, perhaps waiting for an answer.
        while answers.send(Event::Answered).is_ok() {
            std::thread::sleep(pause);
            let _ = disk::space(&mountpoint);
        }
    })?;
    task::thread("meshfs-life", move || {
        let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
        let _ = events.send(Event::Gone);
    })?;
    drop(life);
    let mut silent = 0;
    loop {
        match happened.recv_timeout(pause) {
            Ok(Event::Answered) => silent = 0,
            Ok(Event::Gone) | Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => silent += 1,
        }
        // One pause lies between an answer and the next question.
        if silent > QUESTIONS + 1 {
            // What hangs may be on the way to the mountpoint.
            if session::owes_answers(duty.connection) {
                end_daemon(&duty);
            }
            silent = 0;
        }
    }
    clear(&duty);
    Ok(())
}

fn end_daemon(duty: &Duty) {
    // First, as writing to the log may hang where the daemon does.
    let cut = session::cut(&duty.mountpoint, duty.connection);
    // It lives, as its end of the pipe is open: the number is no other's.
    let killed = process::kill(duty.daemon);
    let (mountpoint, daemon) = (duty.mountpoint.display(), duty.daemon);
    tracing::error!(%mountpoint, daemon, ?cut, ?killed, "the daemon is there and does not answer: ended");
}

/// Takes the mount away if its daemon left it.
fn clear(duty: &Duty) {
    for _ in 0..LOOKS_MAX {
        let line = mounts::at(&duty.mountpoint);
        if line.is_none_or(|line| line.minor != duty.connection) {
            return;
        }
        match dead::clear(&duty.mountpoint) {
            Ok(false) => std::thread::sleep(PAUSE),
            Ok(true) => {
                tracing::warn!(mountpoint = %duty.mountpoint.display(), daemon = duty.daemon, "the daemon died: unmounted");
                return;
            }
            Err(error) => {
                tracing::warn!(mountpoint = %duty.mountpoint.display(), %error, "a dead mount stays");
                return;
            }
        }
    }
}
