//! Settling attempts that are open: this process's own, and those of processes that are no more.

use super::db::{AttemptRow, Outcome};
use super::domain::{Domain, Settled};
use super::error::RepoError;
use super::follow::LogHead;
use super::refs::Head;

impl Domain {
    /// Settles what this workspace attempted before, in this or an earlier process, and tells what became of it. While
    /// one is unknown: [`RepoError::OutcomeUnknown`]. What is told here is told again until [`Domain::take_up`].
    pub async fn settled(&self, workspace: &str) -> Result<Vec<Settled>, RepoError> {
        let _writing = self.0.queue.writing.lock().await;
        for attempt in self.attempts_of(workspace)?.iter().filter(|attempt| attempt.outcome == Outcome::Unknown) {
            self.settle(attempt).await?;
        }
        self.attempts_of(workspace)?.iter().map(settled).collect()
    }

    /// The workspace has stored the outcome of all its attempts that are settled.
    pub fn take_up(&self, workspace: &str) -> Result<(), RepoError> {
        self.0.writer.attempts().take_up(workspace)
    }

    /// Gives up what this workspace attempted and is not settled: fills its seq with an entry that changes nothing,
    /// unless the attempt landed before. Tells what became of all its attempts, as [`Domain::settled`] does.
    pub async fn give_up(&self, workspace: &str) -> Result<Vec<Settled>, RepoError> {
        self.check_mesh_writable()?;
        let _writing = self.0.queue.writing.lock().await;
        for attempt in self.attempts_of(workspace)?.iter().filter(|attempt| attempt.outcome == Outcome::Unknown) {
            self.check_held_here(attempt)?;
            let before = self.0.follower.state_at(attempt.seq - 1).await?;
            let table = self.send_table(&before, &[]).await?;
            let noop = before.next(Vec::new(), table, self.0.writer.stamp(&before)?);
            self.0.writer.attempts().give_up(attempt, self.0.writer.encode(&noop)?).await?;
        }
        self.attempts_of(workspace)?.iter().map(settled).collect()
    }

    /// Settles what earlier processes left open on this log, and looks at what came of it.
    pub(super) async fn settle_earlier(&self) -> Result<(), RepoError> {
        {
            let _writing = self.0.queue.writing.lock().await;
            self.settle_open().await?;
        }
        self.poll().await.map(drop)
    }

    /// Settles every open attempt on this log that is this process's to settle. The caller holds `writing`.
    pub(super) async fn settle_open(&self) -> Result<(), RepoError> {
        for attempt in self.0.writer.attempts().open_ones()? {
            self.settle(&attempt).await?;
        }
        Ok(())
    }

    /// A new commit of a workspace must not go out while an earlier one is open, or landed without its knowledge.
    pub(super) async fn check_taken_up(&self, workspace: &str) -> Result<(), RepoError> {
        if self.attempts_of(workspace)?.is_empty() {
            return Ok(());
        }
        match self.settled(workspace).await?.into_iter().find(|settled| settled.landed) {
            Some(landed) => Err(RepoError::EarlierLanded { seq: landed.seq }),
            // All were lost: there is nothing to take up.
            None => self.take_up(workspace),
        }
    }

    fn attempts_of(&self, workspace: &str) -> Result<Vec<AttemptRow>, RepoError> {
        self.0.writer.attempts().of_workspace(workspace)
    }

    async fn settle(&self, attempt: &AttemptRow) -> Result<(), RepoError> {
        self.check_held_here(attempt)?;
        self.0.writer.attempts().resume(attempt).await?;
        Ok(())
    }

    fn check_held_here(&self, attempt: &AttemptRow) -> Result<(), RepoError> {
        match self.0.writer.attempts().is_held_elsewhere(attempt) {
            false => Ok(()),
            true => Err(RepoError::OutcomeUnknown {
                log: self.0.follower.title().to_owned(),
                seq: attempt.seq,
                reason: format!("process {} is at it", attempt.holder.pid),
            }),
        }
    }
}

fn settled(attempt: &AttemptRow) -> Result<Settled, RepoError> {
    let entry = Head::decode(&attempt.body)
        .map_err(|error| RepoError::of_format(format!("the stored attempt at entry {}", attempt.seq), error))?;
    Ok(Settled { seq: attempt.seq, landed: attempt.outcome == Outcome::Landed, changes: entry.changes })
}
