//! Staged files: the bytes of what was written here, one file per inode.
//!
//! A staged file is the only truth about its size and its mtime: a write is one pwrite(2) and no transaction, and a
//! killed daemon finds both as they were.

use std::fs::{self, File, FileTimes, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::error::OverlayError;
use crate::model::time::Time;
use crate::sys::disk;

/// The folder of staged files.
#[derive(Clone, Debug)]
pub struct StagedFiles {
    dir: PathBuf,
}

/// Size and times of a staged file. Equal identities mean that nothing was written in between: its ctime cannot be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileIdentity {
    pub size: u64,
    pub mtime: Time,
    /// Of the staged file itself, not the one shown.
    pub ctime: Time,
    /// Of the staged file itself: another one under the same name is another.
    pub inode: u64,
    /// Of 512 bytes.
    pub blocks: u64,
}

impl FileIdentity {
    pub fn of(file: &File) -> io::Result<FileIdentity> {
        Ok(FileIdentity::from(&file.metadata()?))
    }

    /// Was nothing written between the two? How many blocks hold the bytes is the disk's affair.
    pub fn same_writes(&self, other: &FileIdentity) -> bool {
        FileIdentity { blocks: other.blocks, ..*self } == *other
    }
}

impl From<&fs::Metadata> for FileIdentity {
    fn from(stat: &fs::Metadata) -> FileIdentity {
        let time = |seconds, nanos| Time::from_parts(seconds, u32::try_from(nanos).unwrap_or(0));
        FileIdentity {
            size: stat.len(),
            mtime: time(stat.mtime(), stat.mtime_nsec()),
            ctime: time(stat.ctime(), stat.ctime_nsec()),
            inode: stat.ino(),
            blocks: stat.blocks(),
        }
    }
}

impl StagedFiles {
    pub fn open(dir: &Path) -> Result<StagedFiles, OverlayError> {
        let dir = dir.join("files");
        disk::create_private_dirs(&dir).map_err(|source| OverlayError::io(&dir, source))?;
        Ok(StagedFiles { dir })
    }

    pub fn path(&self, ino: u64) -> PathBuf {
        self.dir.join(format!("{ino:016x}"))
    }

    fn error(&self, ino: u64, source: io::Error) -> OverlayError {
        OverlayError::io(&self.path(ino), source)
    }

    /// Makes the staged file of `ino`, empty whatever a crash may have left under its name.
    pub fn create(&self, ino: u64, size: u64, mtime: Time) -> Result<File, OverlayError> {
        let make = || {
            let path = self.path(ino);
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path)?;
            file.set_len(size)?;
            set_mtime(&file, mtime)?;
            Ok(file)
        };
        make().map_err(|source| self.error(ino, source))
    }

    pub fn open_existing(&self, ino: u64) -> Result<File, OverlayError> {
        let open = OpenOptions::new().read(true).write(true).open(self.path(ino));
        open.map_err(|source| self.error(ino, source))
    }

    pub fn identity(&self, ino: u64) -> Result<FileIdentity, OverlayError> {
        let stat = fs::metadata(self.path(ino)).map_err(|source| self.error(ino, source))?;
        Ok(FileIdentity::from(&stat))
    }

    pub fn remove(&self, ino: u64) -> Result<(), OverlayError> {
        match fs::remove_file(self.path(ino)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(self.error(ino, error)),
            _ => Ok(()),
        }
    }

    /// Makes the names of staged files survive power loss.
    pub fn sync_names(&self) -> Result<(), OverlayError> {
        disk::sync_dir(&self.dir).map_err(|source| OverlayError::io(&self.dir, source))
    }

    /// The inode numbers of all staged files; anything else in the folder is `None` with its path.
    pub fn list(&self) -> Result<Vec<(Option<u64>, PathBuf)>, OverlayError> {
        let list = || {
            let mut found = Vec::new();
            for item in fs::read_dir(&self.dir)? {
                let item = item?;
                let number = item.file_name().to_str().and_then(|name| u64::from_str_radix(name, 16).ok());
                found.push((number.filter(|&ino| self.path(ino) == item.path()), item.path()));
            }
            Ok(found)
        };
        list().map_err(|source| OverlayError::io(&self.dir, source))
    }

    pub fn space(&self) -> Result<disk::Space, OverlayError> {
        disk::space(&self.dir).map_err(|source| OverlayError::io(&self.dir, source))
    }
}

pub fn set_mtime(file: &File, time: Time) -> io::Result<()> {
    file.set_times(FileTimes::new().set_modified(system_time(time)))
}

fn system_time(time: Time) -> SystemTime {
    let span = Duration::from_nanos(time.0.unsigned_abs());
    if time.0 < 0 { UNIX_EPOCH - span } else { UNIX_EPOCH + span }
}
