//! The attempt rule: an entry is stored here before it is first sent, and sent until it is known what became of it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::db::{AttemptRow, NewAttempt, Outcome, RepoDb};
use super::error::RepoError;
use super::log::LogFiles;
use crate::storage::CreateError;
use crate::sys::Sys;

/// How long one call keeps at an attempt before it says that the outcome is unknown.
const PATIENCE: Duration = Duration::from_secs(60);

/// Bounds of the pause before an attempt is sent again: from one round trip to a store's brief trouble.
const PAUSE_MIN: Duration = Duration::from_millis(20);
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// What became of an attempt that is settled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attempted {
    Landed,
    /// Its seq holds this entry of somebody else's: it never lands.
    Taken(Bytes),
}

/// Attempts on one log by one process.
#[derive(Clone, Debug)]
pub struct Attempts {
    files: LogFiles,
    /// Name of the log in `repo.db`.
    log: String,
    /// Name of the log for people.
    title: String,
    db: Arc<RepoDb>,
    sys: Sys,
}

impl Attempts {
    pub fn new(files: LogFiles, log: String, title: String, db: Arc<RepoDb>, sys: Sys) -> Attempts {
        Attempts { files, log, title, db, sys }
    }

    /// Puts `body` as entry `seq`: stored and synced, then sent, then settled. The caller has read entry `seq - 1`.
    pub async fn make(&self, seq: u64, body: Bytes, workspaces: &[String]) -> Result<Attempted, RepoError> {
        let id = self.db.add_attempt(NewAttempt { log: &self.log, seq, body: &body, workspaces })?;
        match self.send(seq, &body).await {
            Ok(settled) => {
                // What is in the log is there, also when it cannot be noted here: a row that stays open is settled again
                // later, and then tells the same.
                if let Err(error) = self.store_outcome(id, &settled) {
                    tracing::warn!(log = self.title, seq, %error, "what became of an entry cannot be stored");
                }
                Ok(settled)
            }
            Err(error @ RepoError::OutcomeUnknown { .. }) => Err(error),
            // Nothing was written. But a row that stays open will be sent again, so that this is no failure yet.
            Err(error) => match self.db.set_outcome(id, Outcome::Lost) {
                Ok(()) => Err(error),
                Err(unstored) => Err(self.unknown(seq, &format!("{error}; {unstored}"))),
            },
        }
    }

    /// Goes on with an attempt that was stored before, by this or an earlier process.
    pub async fn resume(&self, attempt: &AttemptRow) -> Result<Attempted, RepoError> {
        let body = Bytes::from(attempt.body.clone());
        let settled = match self.look(attempt.seq, &body).await {
            Ok(Some(settled)) => settled,
            Ok(None) => match self.files.create(attempt.seq, body.clone()).await {
                Ok(()) => Attempted::Landed,
                Err(answer) => self.settle(attempt.seq, &body, answer).await?,
            },
            Err(error) => return Err(self.unknown(attempt.seq, &error)),
        };
        self.store_outcome(attempt.id, &settled)?;
        Ok(settled)
    }

    /// Gives an attempt up by filling its seq with `noop`, an entry without changes. The attempt may have landed first:
    /// then that is what is told.
    pub async fn give_up(&self, attempt: &AttemptRow, noop: Bytes) -> Result<Attempted, RepoError> {
        let settled = match self.make(attempt.seq, noop.clone(), &[]).await? {
            Attempted::Landed => Attempted::Taken(noop),
            Attempted::Taken(theirs) if theirs == attempt.body => Attempted::Landed,
            Attempted::Taken(theirs) => Attempted::Taken(theirs),
        };
        self.store_outcome(attempt.id, &settled)?;
        Ok(settled)
    }

    /// Attempts on this log that this process may settle, oldest first.
    pub fn open_ones(&self) -> Result<Vec<AttemptRow>, RepoError> {
        self.db.open_attempts(&self.log)
    }

    /// Attempts on this log that carried changes of a workspace, oldest first.
    pub fn of_workspace(&self, workspace: &str) -> Result<Vec<AttemptRow>, RepoError> {
        self.db.attempts_of_workspace(&self.log, workspace)
    }

    /// The workspace knows what became of its settled attempts.
    pub fn take_up(&self, workspace: &str) -> Result<(), RepoError> {
        self.db.take_up(&self.log, workspace)
    }

    /// Is the attempt that of another process, which will settle it?
    pub fn is_held_elsewhere(&self, attempt: &AttemptRow) -> bool {
        self.db.held_elsewhere(attempt)
    }

    fn store_outcome(&self, id: i64, settled: &Attempted) -> Result<(), RepoError> {
        let outcome = match settled {
            Attempted::Landed => Outcome::Landed,
            Attempted::Taken(_) => Outcome::Lost,
        };
        self.db.set_outcome(id, outcome)
    }

    /// The first send of a body, and what follows from its answer.
    async fn send(&self, seq: u64, body: &Bytes) -> Result<Attempted, RepoError> {
        match self.files.create(seq, body.clone()).await {
            Ok(()) => Ok(Attempted::Landed),
            Err(CreateError::Refused(error)) => match self.look(seq, body).await {
                Ok(Some(settled)) => Ok(settled),
                // The only send was refused, and no copy of it is under way.
                Ok(None) => Err(error.into()),
                // A refusal alone is no proof: a disk may fail after the entry got its name.
                Err(unseen) => Err(self.unknown(seq, &format!("{error}; {unseen}"))),
            },
            Err(error) => self.settle(seq, body, error).await,
        }
    }

    /// After a send that ended in `answer`: reads the seq, and sends the same body again while it is absent, until the
    /// seq is somebody's.
    async fn settle(&self, seq: u64, body: &Bytes, mut answer: CreateError) -> Result<Attempted, RepoError> {
        let until = self.sys.clock.elapsed() + PATIENCE;
        let mut pause = PAUSE_MIN;
        loop {
            let reason = match self.look(seq, body).await {
                Ok(Some(settled)) => return Ok(settled),
                Ok(None) => answer.to_string(),
                Err(error) => error.to_string(),
            };
            if self.sys.clock.elapsed() >= until {
                return Err(RepoError::OutcomeUnknown { log: self.title.clone(), seq, reason });
            }
            self.sys.clock.sleep(jittered(&self.sys, pause)).await;
            pause = (pause * 2).min(PAUSE_MAX);
            match self.files.create(seq, body.clone()).await {
                Ok(()) => return Ok(Attempted::Landed),
                Err(error) => answer = error,
            }
        }
    }

    /// Whose entry `seq` is; none when it is absent. The whole body is compared: two processes on copies of one state
    /// folder have the same nonces.
    async fn look(&self, seq: u64, body: &Bytes) -> Result<Option<Attempted>, RepoError> {
        Ok(self.files.read_durable(seq).await?.map(|there| match there == body {
            true => Attempted::Landed,
            false => Attempted::Taken(there),
        }))
    }

    fn unknown(&self, seq: u64, reason: &dyn std::fmt::Display) -> RepoError {
        RepoError::OutcomeUnknown { log: self.title.clone(), seq, reason: reason.to_string() }
    }
}

/// Between half of `pause` and all of it, so that writers that met once do not meet again.
pub fn jittered(sys: &Sys, pause: Duration) -> Duration {
    let half = pause / 2;
    half + Duration::from_nanos(sys.random.below(half.as_nanos() as u64))
}
