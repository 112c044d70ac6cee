#![doc = include_str!("README.md")]

pub mod conflict;
pub mod dirent;
pub mod entry;
pub mod error;
pub mod extent;
pub mod files;
pub mod node;
pub mod number;
pub mod ranges;
pub mod recover;
pub mod schema;
pub mod taken;
pub mod unsynced;
pub mod xattr;

use std::path::{Path, PathBuf};

use error::OverlayError;
use files::StagedFiles;
use schema::Db;

use crate::sys::disk;

/// One workspace's staged changes.
#[derive(Debug)]
pub struct Overlay {
    pub db: Db,
    pub files: StagedFiles,
    dir: PathBuf,
}

/// Whose changes a folder holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The domain's uid and the branch with its creating entry, as text.
    pub owner: String,
}

impl Overlay {
    /// Opens the staged changes in `dir`, or makes room for them, and recovers what a crash left. `boot` tells whether
    /// the machine has started since they were last open: what had not been synced then may be lost.
    pub fn open(dir: &Path, identity: &Identity, boot: &str) -> Result<Overlay, OverlayError> {
        disk::create_private_dirs(dir).map_err(|source| OverlayError::io(dir, source))?;
        let db = Db::open(dir)?;
        let files = StagedFiles::open(dir)?;
        let overlay = Overlay { db, files, dir: dir.to_owned() };
        overlay.check_identity(identity)?;
        overlay.recover(boot)?;
        taken::keep_room(dir);
        // The names of database and folder themselves; what is in them is synced when somebody asks.
        disk::sync_dir(dir).map_err(|source| OverlayError::io(dir, source))?;
        Ok(overlay)
    }

    fn check_identity(&self, identity: &Identity) -> Result<(), OverlayError> {
        match self.db.meta("owner")? {
            None => self.db.set_meta("owner", identity.owner.as_bytes()),
            Some(found) if found == identity.owner.as_bytes() => Ok(()),
            Some(found) => Err(OverlayError::Foreign {
                path: self.dir.clone(),
                found: String::from_utf8_lossy(&found).into_owned(),
                expected: identity.owner.clone(),
            }),
        }
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// A way to make everything committed so far survive power loss, which may be used without the view's lock.
    pub fn durability(&self) -> Durability {
        Durability { wal: self.dir.join(format!("{}-wal", schema::DB_NAME)), files: self.files.clone() }
    }
}

/// Makes what transactions committed survive power loss.
///
/// SQLite writes a transaction's frames to the write-ahead log when it commits, and syncs the database itself before
/// it starts that log over. So one fdatasync(2) of the log covers every transaction before it, as
/// `synchronous = FULL` would for each.
#[derive(Clone, Debug)]
pub struct Durability {
    wal: PathBuf,
    files: StagedFiles,
}

impl Durability {
    /// Makes the names of staged files survive power loss: comes before any row that counts on them.
    pub fn sync_names(&self) -> Result<(), OverlayError> {
        self.files.sync_names()
    }

    /// Names of staged files first: a row must not survive without its file.
    pub fn sync(&self) -> Result<(), OverlayError> {
        self.files.sync_names()?;
        disk::sync_file(&self.wal).map_err(|source| OverlayError::io(&self.wal, source))
    }
}
