//! Advisory locks between processes (flock): they end with their holder, however it ends.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// A lock held on a file until dropped.
#[derive(Debug)]
pub struct FileLock {
    file: File,
}

impl FileLock {
    /// The lock alone, or none when another holds it in any way. Makes the file if missing (0600).
    pub fn try_exclusive(path: &Path) -> io::Result<Option<FileLock>> {
        let file = open(path)?;
        taken(file.try_lock(), file)
    }

    /// The lock together with other sharers, or none when one holds it alone.
    pub fn try_shared(path: &Path) -> io::Result<Option<FileLock>> {
        let file = open(path)?;
        taken(file.try_lock_shared(), file)
    }

    /// The lock alone, waiting for it. Blocks the thread.
    pub fn exclusive(path: &Path) -> io::Result<FileLock> {
        let file = open(path)?;
        file.lock()?;
        Ok(FileLock { file })
    }

    /// The lock together with other sharers, waiting for it. Blocks the thread.
    pub fn shared(path: &Path) -> io::Result<FileLock> {
        let file = open(path)?;
        file.lock_shared()?;
        Ok(FileLock { file })
    }

    /// Writes who holds the lock into its file, for [`note`].
    pub fn set_note(&mut self, note: &str) -> io::Result<()> {
        self.file.set_len(0)?;
        self.file.rewind()?;
        self.file.write_all(note.as_bytes())
    }
}

/// What the last holder wrote about itself; empty when nobody did.
pub fn note(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    match File::open(path) {
        Ok(mut file) => file.read_to_string(&mut text).map(|_| text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(text),
        Err(error) => Err(error),
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}

fn taken(result: Result<(), TryLockError>, file: File) -> io::Result<Option<FileLock>> {
    match result {
        Ok(()) => Ok(Some(FileLock { file })),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exclusive_lock_excludes_everyone_until_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let held = FileLock::try_exclusive(&path).unwrap().expect("free at first");
        assert!(FileLock::try_exclusive(&path).unwrap().is_none());
        assert!(FileLock::try_shared(&path).unwrap().is_none());
        drop(held);
        let one = FileLock::try_shared(&path).unwrap().expect("free again");
        let two = FileLock::shared(&path).unwrap();
        assert!(FileLock::try_exclusive(&path).unwrap().is_none());
        drop((one, two));
        FileLock::exclusive(&path).unwrap();
    }

    #[test]
    fn the_note_is_that_of_the_last_holder() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        assert_eq!(note(&path).unwrap(), "");
        FileLock::exclusive(&path).unwrap().set_note("pid 1234, /mesh").unwrap();
        FileLock::exclusive(&path).unwrap().set_note("pid 9").unwrap();
        assert_eq!(note(&path).unwrap(), "pid 9");
    }
}
