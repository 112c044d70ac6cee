//! Work that an operation starts and that goes on when the operation can wait no longer.

use parking_lot::Mutex;
use tokio::sync::watch;

use super::error::VfsError;

/// A piece of work with one outcome, which one operation takes.
#[derive(Debug)]
pub struct Job {
    what: &'static str,
    outcome: Mutex<Option<Result<(), VfsError>>>,
    done: watch::Sender<bool>,
}

impl Job {
    pub fn new(what: &'static str) -> Job {
        Job { what, outcome: Mutex::new(None), done: watch::Sender::new(false) }
    }

    /// What is being done, for messages.
    pub fn what(&self) -> &'static str {
        self.what
    }

    pub fn finish(&self, outcome: Result<(), VfsError>) {
        *self.outcome.lock() = Some(outcome);
        self.done.send_replace(true);
    }

    pub fn is_finished(&self) -> bool {
        *self.done.borrow()
    }

    /// Waits for the end; the outcome stays to be taken.
    pub async fn finished(&self) {
        // The sender lives in this very job, so waiting cannot fail.
        self.done.subscribe().wait_for(|done| *done).await.ok();
    }

    /// The outcome, once, when there is one.
    pub fn take(&self) -> Option<Result<(), VfsError>> {
        self.outcome.lock().take()
    }
}
