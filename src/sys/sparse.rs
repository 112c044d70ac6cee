//! Sparse files: the calls of fallocate, lseek and copy_file_range that std does not wrap.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::path::Path;

/// What [`allocate`] does with a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Allocate {
    /// Reserve, growing the file where the range passes its end.
    Grow,
    /// Reserve, the length staying as it is.
    KeepSize,
    /// Make the range a hole that reads as zeros; the length stays.
    PunchHole,
    /// Make the range read as zeros; the length stays.
    ZeroKeepSize,
    /// Make the range read as zeros, growing the file where the range passes its end.
    ZeroGrow,
}

pub fn allocate(file: &File, how: Allocate, offset: u64, len: u64) -> io::Result<()> {
    let mode = match how {
        Allocate::Grow => 0,
        Allocate::KeepSize => libc::FALLOC_FL_KEEP_SIZE,
        Allocate::PunchHole => libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE,
        Allocate::ZeroKeepSize => libc::FALLOC_FL_ZERO_RANGE | libc::FALLOC_FL_KEEP_SIZE,
        Allocate::ZeroGrow => libc::FALLOC_FL_ZERO_RANGE,
    };
    let (offset, len) = (signed(offset)?, signed(len)?);
    loop {
        // SAFETY: the descriptor is open for as long as `file` is borrowed; no memory is passed.
        if unsafe { libc::fallocate(file.as_raw_fd(), mode, offset, len) } == 0 {
            return Ok(());
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

/// Keeps room for a file to grow by so many bytes, also when the disk is full by then.
pub fn reserve_behind(path: &Path, bytes: u64) -> io::Result<()> {
    let file = OpenOptions::new().write(true).open(path)?;
    allocate(&file, Allocate::KeepSize, file.metadata()?.len(), bytes)
}

/// The first byte of data at or after `offset`; none when only holes follow, or the end.
pub fn next_data(file: &File, offset: u64) -> io::Result<Option<u64>> {
    seek(file, offset, libc::SEEK_DATA)
}

/// The first byte of a hole at or after `offset`, the end counting as one; none at or past the end.
pub fn next_hole(file: &File, offset: u64) -> io::Result<Option<u64>> {
    seek(file, offset, libc::SEEK_HOLE)
}

fn seek(file: &File, offset: u64, whence: i32) -> io::Result<Option<u64>> {
    // SAFETY: the descriptor is open for as long as `file` is borrowed; no memory is passed.
    let found = unsafe { libc::lseek(file.as_raw_fd(), signed(offset)?, whence) };
    match u64::try_from(found) {
        Ok(found) => Ok(Some(found)),
        Err(_) => {
            let error = io::Error::last_os_error();
            // ENXIO is how lseek says that nothing of the kind follows.
            if error.raw_os_error() == Some(libc::ENXIO) { Ok(None) } else { Err(error) }
        }
    }
}

/// Copies up to `len` bytes inside the kernel, sharing blocks where the filesystem can; fewer at the source's end.
pub fn copy_range(from: &File, from_offset: u64, to: &File, to_offset: u64, len: u64) -> io::Result<u64> {
    let (mut from_at, mut to_at, mut copied) = (signed(from_offset)?, signed(to_offset)?, 0);
    while copied < len {
        let rest = usize::try_from(len - copied).unwrap_or(usize::MAX);
        // SAFETY: both descriptors are open for as long as the files are borrowed, both offsets are writable.
        let moved = unsafe {
            libc::copy_file_range(from.as_raw_fd(), &raw mut from_at, to.as_raw_fd(), &raw mut to_at, rest, 0)
        };
        match u64::try_from(moved) {
            Ok(0) => break,
            Ok(moved) => copied += moved,
            Err(_) => {
                let error = io::Error::last_os_error();
                if error.kind() != io::ErrorKind::Interrupted {
                    return Err(error);
                }
            }
        }
    }
    Ok(copied)
}

fn signed(offset: u64) -> io::Result<i64> {
    i64::try_from(offset).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::FileExt;

    #[test]
    fn holes_are_found_made_and_read_as_zeros() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(1 << 20).unwrap();
        file.write_all_at(&[7; 1 << 16], 1 << 18).unwrap();
        assert_eq!(next_data(&file, 0).unwrap(), Some(1 << 18));
        assert_eq!(next_hole(&file, 1 << 18).unwrap(), Some((1 << 18) + (1 << 16)));
        assert_eq!(next_data(&file, 1 << 19).unwrap(), None);
        allocate(&file, Allocate::PunchHole, 1 << 18, 1 << 16).unwrap();
        assert_eq!(next_data(&file, 0).unwrap(), None);
        assert_eq!(file.metadata().unwrap().len(), 1 << 20);
    }

    #[test]
    fn copying_stops_at_the_end_of_the_source() {
        let (from, to) = (tempfile::tempfile().unwrap(), tempfile::tempfile().unwrap());
        from.write_all_at(b"0123456789", 0).unwrap();
        assert_eq!(copy_range(&from, 4, &to, 1, 100).unwrap(), 6);
        let mut bytes = [9; 7];
        to.read_exact_at(&mut bytes, 0).unwrap();
        assert_eq!(&bytes, b"\x00456789");
    }

    #[test]
    fn growing_and_keeping_the_size_differ() {
        let file = tempfile::tempfile().unwrap();
        allocate(&file, Allocate::KeepSize, 0, 4096).unwrap();
        assert_eq!(file.metadata().unwrap().len(), 0);
        allocate(&file, Allocate::Grow, 0, 4096).unwrap();
        assert_eq!(file.metadata().unwrap().len(), 4096);
        assert!(allocate(&file, Allocate::Grow, u64::MAX, 1).is_err());
    }
}
