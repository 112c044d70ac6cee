//! Where the bytes of a staged file come from.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use crate::sys::sparse;

/// A staged file, read at any offset from any thread.
pub trait ReadAt: Send + Sync {
    /// Reads some bytes; 0 at the end only.
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize>;

    /// The first offset at or after `offset` that may hold anything but zeros; none when only zeros follow.
    fn next_data(&self, offset: u64) -> io::Result<Option<u64>> {
        Ok(Some(offset))
    }
}

impl ReadAt for File {
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        FileExt::read_at(self, bytes, offset)
    }

    fn next_data(&self, offset: u64) -> io::Result<Option<u64>> {
        sparse::next_data(self, offset)
    }
}

impl ReadAt for Vec<u8> {
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        let rest = usize::try_from(offset).ok().and_then(|offset| self.get(offset..)).unwrap_or_default();
        let len = rest.len().min(bytes.len());
        bytes[..len].copy_from_slice(&rest[..len]);
        Ok(len)
    }
}
