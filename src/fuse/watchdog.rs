//! The last resort against a daemon that runs and does not answer: whoever waits for it could not even be killed.
//!
//! Every request has a deadline of its own for what it waits for elsewhere. What no deadline covers, such as a disk
//! that hangs or two threads that wait for each other, ends here.

use std::io;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use super::session::{Session, cut};
use super::unmount;
use crate::sys;

/// Looks within the limit: one more or less is what the limit is off by.
const LOOKS: u32 = 10;

/// Longest wait for the log to take the reason: it may lie on the disk that hangs.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Watches until dropped.
#[derive(Debug)]
pub struct Watchdog {
    _end: mpsc::Sender<()>,
}

impl Watchdog {
    /// When a request is not answered within `limit`: fails all that wait, takes the mount away, and calls `give_up`,
    /// which ends the process. Nothing that returned is lost by that, as by any kill.
    pub fn start(session: &Session, limit: Duration, give_up: impl FnOnce() + Send + 'static) -> io::Result<Watchdog> {
        let (end, ended) = mpsc::channel();
        let (dir, connection) = (session.dir().to_owned(), session.connection());
        let unanswered = session.unanswered().clone();
        let pause = limit / LOOKS;
        sys::task::thread("meshfs-watchdog", move || {
            while ended.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {
                let Some(waiting) = unanswered.look(u64::from(LOOKS)) else { continue };
                let failed = cut(&dir, connection).err();
                // Whoever cut may have unmounted, too.
                unmount::detach(&dir).ok();
                let told = waiting.iter().map(|(name, pid, looks)| {
                    format!("{name} of process {pid} for {} s", (pause * *looks as u32).as_secs())
                });
                last_words(told.collect::<Vec<_>>().join(", "), failed);
                return give_up();
            }
        })?;
        Ok(Watchdog { _end: end })
    }
}

fn last_words(waiting: String, failed: Option<io::Error>) {
    let (done, written) = mpsc::channel();
    let write = move || {
        tracing::error!("requests are not answered, so this mount ends; waiting were: {waiting}");
        if let Some(error) = failed {
            tracing::error!(%error, "the kernel's connection ends with this process only");
        }
        done.send(()).ok();
    };
    if sys::task::thread("meshfs-words", write).is_ok() {
        written.recv_timeout(LAST_WORDS).ok();
    }
}
