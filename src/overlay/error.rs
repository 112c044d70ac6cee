//! What can go wrong with staged changes on the local disk.

use std::io;
use std::path::{Path, PathBuf};

#[derive(Debug, thiserror::Error)]
pub enum OverlayError {
    /// The disk is full; nothing was changed.
    #[error("the disk of {path} is full: make room there, nothing staged was lost")]
    NoSpace { path: PathBuf },
    /// Another version of meshfs made it.
    #[error(
        "{path} was written by another version of meshfs (schema {found}, this one knows {known}): use that version"
    )]
    Version { path: PathBuf, found: i64, known: i64 },
    /// The folder belongs to another domain or branch.
    #[error("{path} holds staged changes of {found}, not of {expected}: give another state folder")]
    Foreign { path: PathBuf, found: String, expected: String },
    /// Stored rows that contradict each other.
    #[error("{path} is damaged: {reason}")]
    Damaged { path: PathBuf, reason: String },
    #[error("{path}: {source}")]
    Db { path: PathBuf, source: rusqlite::Error },
    #[error("{path}: {source}")]
    Io { path: PathBuf, source: io::Error },
}

impl OverlayError {
    pub fn io(path: &Path, source: io::Error) -> OverlayError {
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                OverlayError::NoSpace { path: path.to_owned() }
            }
            _ => OverlayError::Io { path: path.to_owned(), source },
        }
    }
}
