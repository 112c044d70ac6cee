//! Attempts: entries that were, or may have been, sent.

use rusqlite::{OptionalExtension, Row, params};

use super::RepoDb;
use crate::repo::error::RepoError;
use crate::sys::mark::ProcessMark;

/// What is known of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It may be in the log, may land later, or neither.
    Unknown,
    Landed,
    /// Its seq holds another's entry: it never lands.
    Lost,
}

impl Outcome {
    fn name(self) -> &'static str {
        match self {
            Outcome::Unknown => "unknown",
            Outcome::Landed => "landed",
            Outcome::Lost => "lost",
        }
    }

    fn of_name(name: &str) -> Outcome {
        match name {
            "landed" => Outcome::Landed,
            "lost" => Outcome::Lost,
            _ => Outcome::Unknown,
        }
    }
}

/// An attempt about to be sent.
#[derive(Clone, Copy, Debug)]
pub struct NewAttempt<'a> {
    /// Id of the log: of its domain, or of the mesh.
    pub log: &'a str,
    pub seq: u64,
    pub body: &'a [u8],
    pub workspaces: &'a [String],
}

/// A stored attempt.
#[derive(Clone, Debug)]
pub struct AttemptRow {
    pub id: i64,
    pub seq: u64,
    pub body: Vec<u8>,
    pub outcome: Outcome,
    pub holder: ProcessMark,
}

const COLUMNS: &str = "id, seq, body, outcome, holder_pid, holder_started_ticks, holder_boot";

fn row(row: &Row<'_>) -> rusqlite::Result<AttemptRow> {
    Ok(AttemptRow {
        id: row.get(0)?,
        seq: row.get(1)?,
        body: row.get(2)?,
        outcome: Outcome::of_name(&row.get::<_, String>(3)?),
        holder: ProcessMark { pid: row.get(4)?, started_ticks: row.get(5)?, boot: row.get(6)? },
    })
}

impl RepoDb {
    /// Stores an attempt, on disk when this returns: only then may it be sent.
    pub fn add_attempt(&self, new: NewAttempt<'_>) -> Result<i64, RepoError> {
        self.transaction(|db| {
            db.prepare_cached(
                "INSERT INTO attempts (log, seq, body, outcome, holder_pid, holder_started_ticks, holder_boot)
                 VALUES (?, ?, ?, 'unknown', ?, ?, ?)",
            )?
            .execute(params![
                new.log,
                new.seq,
                new.body,
                self.holder.pid,
                self.holder.started_ticks,
                self.holder.boot
            ])?;
            let id = db.last_insert_rowid();
            for workspace in new.workspaces {
                db.prepare_cached("INSERT OR IGNORE INTO attempt_workspaces (attempt, workspace) VALUES (?, ?)")?
                    .execute(params![id, workspace])?;
            }
            Ok(id)
        })
    }

    /// Stores what became of an attempt. It is dropped when no workspace waits for that.
    pub fn set_outcome(&self, id: i64, outcome: Outcome) -> Result<(), RepoError> {
        self.transaction(|db| {
            db.prepare_cached("UPDATE attempts SET outcome = ? WHERE id = ?")?.execute(params![outcome.name(), id])?;
            drop_settled(db)
        })
    }

    /// Attempts on a log that are open and that nobody but this process may settle: its own, and those of processes
    /// that are no more.
    pub fn open_attempts(&self, log: &str) -> Result<Vec<AttemptRow>, RepoError> {
        let sql = format!("SELECT {COLUMNS} FROM attempts WHERE log = ? AND outcome = 'unknown' ORDER BY id");
        let all = self.read(|db| db.prepare_cached(&sql)?.query_map([log], row)?.collect::<Result<Vec<_>, _>>())?;
        Ok(all.into_iter().filter(|attempt| attempt.holder == self.holder || !attempt.holder.is_alive()).collect())
    }

    /// Attempts on a log that carried changes of a workspace, oldest first.
    pub fn attempts_of_workspace(&self, log: &str, workspace: &str) -> Result<Vec<AttemptRow>, RepoError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM attempts JOIN attempt_workspaces ON attempt = id
             WHERE log = ? AND workspace = ? ORDER BY id"
        );
        self.read(|db| db.prepare_cached(&sql)?.query_map([log, workspace], row)?.collect())
    }

    /// Is an attempt of this workspace held by another process that still runs?
    pub fn held_elsewhere(&self, attempt: &AttemptRow) -> bool {
        attempt.holder != self.holder && attempt.holder.is_alive()
    }

    /// The workspace knows what became of its settled attempts.
    pub fn take_up(&self, log: &str, workspace: &str) -> Result<(), RepoError> {
        self.transaction(|db| {
            db.prepare_cached(
                "DELETE FROM attempt_workspaces WHERE workspace = ?2
                 AND attempt IN (SELECT id FROM attempts WHERE log = ?1 AND outcome <> 'unknown')",
            )?
            .execute([log, workspace])?;
            drop_settled(db)
        })
    }

    /// What is known of one attempt; none when it was settled and dropped.
    pub fn outcome(&self, id: i64) -> Result<Option<Outcome>, RepoError> {
        self.read(|db| {
            db.prepare_cached("SELECT outcome FROM attempts WHERE id = ?")?
                .query_row([id], |row| Ok(Outcome::of_name(&row.get::<_, String>(0)?)))
                .optional()
        })
    }
}

fn drop_settled(db: &rusqlite::Connection) -> rusqlite::Result<()> {
    db.prepare_cached(
        "DELETE FROM attempts WHERE outcome <> 'unknown'
         AND NOT EXISTS (SELECT 1 FROM attempt_workspaces WHERE attempt = id)",
    )?
    .execute([])?;
    Ok(())
}
