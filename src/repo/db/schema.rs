//! Tables of `repo.db`, and how the file is opened.

use std::path::Path;
use std::time::Duration;

use rusqlite::Connection;

/// Raised when a table changes; a later version's file is refused.
const VERSION: i64 = 1;

/// How long a call waits for another process's transaction: these are single small ones.
const BUSY: Duration = Duration::from_secs(10);

const TABLES: &str = "
CREATE TABLE attempts (
    id INTEGER PRIMARY KEY,
    -- Id of the domain whose log it is, or of the mesh.
    log TEXT NOT NULL,
    seq INTEGER NOT NULL,
    -- The entry as sent, nonce included.
    body BLOB NOT NULL,
    outcome TEXT NOT NULL CHECK (outcome IN ('unknown', 'landed', 'lost')),
    holder_pid INTEGER NOT NULL,
    holder_started_ticks INTEGER NOT NULL,
    holder_boot TEXT NOT NULL
) STRICT;
-- Workspaces that wait for an attempt's outcome; the attempt is kept until all have taken it up.
CREATE TABLE attempt_workspaces (
    attempt INTEGER NOT NULL REFERENCES attempts ON DELETE CASCADE,
    workspace TEXT NOT NULL,
    PRIMARY KEY (attempt, workspace)
) STRICT, WITHOUT ROWID;
CREATE INDEX attempt_of_workspace ON attempt_workspaces (workspace);
-- Chunks that this machine sent: found again by id, usable while no collection condemned their pack.
CREATE TABLE sent (
    domain TEXT NOT NULL,
    chunk BLOB NOT NULL,
    pack BLOB NOT NULL,
    offset INTEGER NOT NULL,
    len INTEGER NOT NULL,
    codec INTEGER NOT NULL,
    -- The newest epoch known before the upload began; never raised.
    epoch INTEGER NOT NULL,
    -- Order of sending; the oldest go first when the table is full.
    age INTEGER NOT NULL,
    PRIMARY KEY (domain, chunk)
) STRICT, WITHOUT ROWID;
CREATE INDEX sent_of_pack ON sent (domain, pack);
CREATE INDEX sent_by_age ON sent (age);
CREATE INDEX sent_by_epoch ON sent (domain, epoch);
-- Packs of uploads that no entry names yet, so that an interrupted commit can go on with them.
CREATE TABLE packs (
    domain TEXT NOT NULL,
    pack BLOB NOT NULL,
    workspace TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    finished INTEGER NOT NULL,
    PRIMARY KEY (domain, pack)
) STRICT, WITHOUT ROWID;
";

pub fn open(path: &Path) -> rusqlite::Result<Connection> {
    let mut connection = Connection::open(path)?;
    connection.busy_timeout(BUSY)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // An attempt must survive power loss before its first send: every commit is synced.
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    let version: i64 = transaction.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if version == 0 {
        transaction.execute_batch(TABLES)?;
        transaction.pragma_update(None, "user_version", VERSION)?;
    } else if version > VERSION {
        return Err(rusqlite::Error::SqliteFailure(
            rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_MISMATCH),
            Some(format!("made by a later version of meshfs (schema {version}, this one knows {VERSION})")),
        ));
    }
    transaction.commit()?;
    Ok(connection)
}
