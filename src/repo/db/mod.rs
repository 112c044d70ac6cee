//! `repo.db`: what this machine must remember of a mesh. Attempts whose outcome may be open, and what was sent.
//!
//! One file per mesh and state folder, shared by the daemon and by command lines that run beside it.

mod attempts;
mod schema;
mod sent;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use rusqlite::Connection;

use super::error::RepoError;
use crate::sys::mark::ProcessMark;
use crate::sys::sparse;

pub use attempts::{AttemptRow, NewAttempt, Outcome};
pub use sent::SentChunk;

/// Kept for the write-ahead log, which SQLite begins anew after about 4 MiB and one transaction.
const LOG_RESERVED_BYTES: u64 = 6 << 20;

/// Kept for the tables to grow into when the log is copied back.
const TABLES_RESERVED_BYTES: u64 = 1 << 20;

/// The open database. Calls are short and block; each that returns has been synced to disk.
#[derive(Debug)]
pub struct RepoDb {
    path: PathBuf,
    holder: ProcessMark,
    connection: Mutex<Connection>,
}

impl RepoDb {
    /// Opens or makes the database in the mesh's state folder. Attempts stored through it belong to `holder`.
    pub fn open(state_dir: &Path, holder: ProcessMark) -> Result<Arc<RepoDb>, RepoError> {
        let path = state_dir.join("repo.db");
        let connection = schema::open(&path).map_err(|source| db_error(&path, source))?;
        reserve(&path);
        Ok(Arc::new(RepoDb { path, holder, connection: Mutex::new(connection) }))
    }

    /// Runs `work` as one transaction: all of it is on disk when this returns, or nothing of it happened.
    fn transaction<T>(
        &self,
        work: impl FnOnce(&rusqlite::Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, RepoError> {
        let mut connection = self.connection.lock();
        let run = |connection: &mut Connection| {
            // Immediate: a writer that begins by reading cannot be refused later because another wrote in between.
            let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
            let value = work(&transaction)?;
            transaction.commit()?;
            Ok(value)
        };
        run(&mut connection).map_err(|source| db_error(&self.path, source))
    }

    fn read<T>(&self, work: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, RepoError> {
        work(&self.connection.lock()).map_err(|source| db_error(&self.path, source))
    }
}

/// Keeps room on a disk that is full: a commit is what makes room there, and has to be noted first.
fn reserve(path: &Path) {
    let mut log = path.to_owned().into_os_string();
    log.push("-wal");
    for (file, bytes) in [(Path::new(&log), LOG_RESERVED_BYTES), (path, TABLES_RESERVED_BYTES)] {
        if let Err(error) = sparse::reserve_behind(file, bytes) {
            // Without it everything works as long as the disk has room.
            tracing::debug!("{}: nothing reserved: {error}", file.display());
        }
    }
}

fn db_error(path: &Path, source: rusqlite::Error) -> RepoError {
    RepoError::Db { path: path.display().to_string(), source: Arc::new(source) }
}
