//! What cannot be answered at once: fetched and tried again aside, so that the threads that read from the kernel never
//! wait for the network or for a disk to sync.

use std::sync::Arc;

use fuser::Errno;
use tokio::sync::Semaphore;

use super::reply::Answer;
use crate::sys;
use crate::vfs::Vfs;
use crate::vfs::error::VfsError;
use crate::vfs::miss::Miss;
use crate::vfs::node::Caller;

/// Operations fetching or running aside at one time; more wait their turn within their own deadline.
const ASIDE_MAX: usize = 256;

/// An operation of the kernel's: who asks, and its name for logs and `last-error`.
#[derive(Clone, Copy, Debug)]
pub struct Operation {
    pub name: &'static str,
    pub caller: Caller,
}

/// Answers operations, at once or aside.
#[derive(Clone, Debug)]
pub struct Server {
    vfs: Arc<Vfs>,
    turns: Arc<Semaphore>,
}

impl Server {
    pub fn new(vfs: Arc<Vfs>) -> Server {
        Server { vfs, turns: Arc::new(Semaphore::new(ASIDE_MAX)) }
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
            let give_up_at = clock.elapsed() + server.vfs.deadline();
            let _turn = server.turns.acquire().await;
            let result = loop {
                if let Some(missed) = miss.take() {
                    let left = give_up_at.saturating_sub(clock.elapsed());
                    // Also when each fetch succeeds at once and is lost again before the attempt.
                    if left.is_zero() {
                        break Err(server.vfs.out_of_time(&missed));
                    }
                    match sys::clock::within(&*clock, left, server.vfs.fetch(&missed)).await {
                        Some(Ok(())) => {}
                        Some(Err(error)) => break Err(error),
                        None => break Err(server.vfs.out_of_time(&missed)),
                    }
                }
                let vfs = server.vfs.clone();
                let result;
                (reply, attempt, result) = sys::task::blocking(move || {
                    let result = attempt(&vfs, &mut reply);
                    (reply, attempt, result)
                })
                .await;
                match result {
                    Err(VfsError::Miss(missed)) => miss = Some(*missed),
                    result => break result,
                }
            };
            server.finish(operation, reply, result);
        });
    }
}
