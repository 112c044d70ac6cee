//! What cannot be answered at once: fetched and tried again aside, so that the threads that read from the kernel never
//! wait for the network or for a disk to sync.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use fuser::Errno;
use parking_lot::Mutex;
use tokio::sync::Semaphore;

use super::reply::Answer;
use super::requests::Requests;
use super::unanswered::{Pace, Ticket, Unanswered};
use crate::sys;
use crate::vfs::Vfs;
use crate::vfs::error::VfsError;
use crate::vfs::miss::Miss;
use crate::vfs::node::Caller;

/// Operations that fetch at one time; more wait their turn within their own deadline.
const FETCHING_MAX: usize = 256;

/// Reads given up that are remembered: one for each that can fetch.
const GIVEN_UP_MAX: usize = FETCHING_MAX;

/// The kernel asks again at once; later than this it is a program that tries again.
const ASKED_AGAIN_MAX: Duration = Duration::from_secs(1);

/// An operation of the kernel's: who asks, and its name for logs and `last-error`. It is waited for until dropped.
#[derive(Debug)]
pub struct Operation {
    pub name: &'static str,
    pub caller: Caller,
    /// The handle that it reads from, if it does.
    pub reads: Option<u64>,
    _ticket: Ticket,
}

/// A thread and the handle that it reads from.
type Reader = (u32, u64);

impl Operation {
    fn reader(&self) -> Option<Reader> {
        self.reads.map(|handle| (self.caller.pid, handle))
    }
}

/// Reads that were given up a moment ago. The kernel reads ahead, does not tell the caller that this failed, and asks
/// again for the page that is needed: the caller would wait twice.
#[derive(Debug, Default)]
struct GivenUp(Mutex<VecDeque<(Reader, Duration)>>);

impl GivenUp {
    fn note(&self, reader: Reader, now: Duration) {
        let mut known = self.0.lock();
        known.push_back((reader, now));
        if known.len() > GIVEN_UP_MAX {
            known.pop_front();
        }
    }

    fn knows(&self, reader: Reader, now: Duration) -> bool {
        self.0.lock().iter().any(|(one, at)| *one == reader && now.saturating_sub(*at) <= ASKED_AGAIN_MAX)
    }
}

/// Answers operations, at once or aside.
#[derive(Clone, Debug)]
pub struct Server {
    vfs: Arc<Vfs>,
    turns: Arc<Semaphore>,
    given_up: Arc<GivenUp>,
    requests: Arc<Requests>,
    unanswered: Arc<Unanswered>,
}

impl Server {
    pub fn new(vfs: Arc<Vfs>, requests: Arc<Requests>, unanswered: Arc<Unanswered>) -> Server {
        Server { vfs, turns: Arc::new(Semaphore::new(FETCHING_MAX)), given_up: Arc::default(), requests, unanswered }
    }

    /// A request that came.
    pub fn begin(&self, name: &'static str, caller: Caller, pace: Pace) -> Operation {
        self.requests.count(name);
        Operation { name, caller, reads: None, _ticket: self.unanswered.begin(name, caller.pid, pace) }
    }

    pub fn vfs(&self) -> &Vfs {
        &self.vfs
    }

    /// Sends the result of an operation.
    pub fn finish<T>(&self, operation: Operation, reply: impl Answer<T>, result: Result<T, VfsError>) {
        match result {
            Ok(value) => reply.success(value),
            Err(error) => {
                let errno = self.vfs.refusal(operation.caller, operation.name, &error);
                reply.failure(Errno::from_i32(errno));
            }
        }
    }

    /// Fetches `miss`, then makes attempts until one does not miss, all within the deadline.
    pub fn later<T, R>(
        &self,
        operation: Operation,
        reply: R,
        miss: Miss,
        attempt: impl FnMut(&Vfs, &mut R) -> Result<T, VfsError> + Send + 'static,
    ) where
        T: Send + 'static,
        R: Answer<T>,
    {
        self.aside(operation, reply, Some(miss), attempt);
    }

    /// Makes the first attempt aside too: for what syncs a disk or copies much.
    pub fn apart<T, R>(
        &self,
        operation: Operation,
        reply: R,
        attempt: impl FnMut(&Vfs, &mut R) -> Result<T, VfsError> + Send + 'static,
    ) where
        T: Send + 'static,
        R: Answer<T>,
    {
        self.aside(operation, reply, None, attempt);
    }

    fn aside<T, R>(
        &self,
        operation: Operation,
        mut reply: R,
        mut miss: Option<Miss>,
        mut attempt: impl FnMut(&Vfs, &mut R) -> Result<T, VfsError> + Send + 'static,
    ) where
        T: Send + 'static,
        R: Answer<T>,
    {
        let server = self.clone();
        self.vfs.runtime().spawn(async move {
            let clock = server.vfs.clock();
            let began = clock.elapsed();
            let again = operation.reader().is_some_and(|reader| server.given_up.knows(reader, began));
            let give_up_at = if again { began } else { began + server.vfs.deadline() };
            let mut room_was_made = false;
            let result = loop {
                if let Some(missed) = miss.take() {
                    room_was_made |= matches!(missed, Miss::Room(_));
                    let left = give_up_at.saturating_sub(clock.elapsed());
                    // Also when each fetch succeeds at once and is lost again before the attempt.
                    if left.is_zero() {
                        break Err(server.vfs.out_of_time(&missed));
                    }
                    // Only who waits for the store takes a turn: what this machine has at hand goes on beside.
                    let fetch = async {
                        let _turn = server.turns.acquire().await;
                        server.vfs.fetch(&missed).await
                    };
                    match sys::clock::within(&*clock, left, fetch).await {
                        Some(Ok(())) => {}
                        Some(Err(error)) => break Err(error),
                        None => {
                            if let Some(reader) = operation.reader() {
                                server.given_up.note(reader, clock.elapsed());
                            }
                            break Err(server.vfs.out_of_time(&missed));
                        }
                    }
                }
                let vfs = server.vfs.clone();
                let result;
                (reply, attempt, result) = sys::task::blocking(move || {
                    let result = attempt(&vfs, &mut reply);
                    (reply, attempt, result)
                })
                .await;
                match Miss::of(result, room_was_made) {
                    Ok(missed) => miss = Some(missed),
                    Err(result) => break result,
                }
            };
            server.finish(operation, reply, result);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_read_that_was_given_up_is_known_for_a_moment_and_old_ones_make_room() {
        let given_up = GivenUp::default();
        let minute = Duration::from_secs(60);
        given_up.note((1, 7), minute);
        assert!(given_up.knows((1, 7), minute + ASKED_AGAIN_MAX));
        assert!(!given_up.knows((1, 7), minute + ASKED_AGAIN_MAX * 2));
        assert!(!given_up.knows((1, 8), minute) && !given_up.knows((2, 7), minute));
        (0..GIVEN_UP_MAX as u64).for_each(|handle| given_up.note((2, handle), minute));
        assert!(!given_up.knows((1, 7), minute));
    }
}
