//! Open files: reads that merge staged ranges with the base's, writes that stage.

use super::attr::{AllocateMode, Attr, SeekFor, Serving};
use super::error::WorkspaceError;
use bytes::Bytes;

/// One open(2) of a regular file. Dropping it is release(2).
#[derive(Debug)]
pub struct OpenFile {}

impl OpenFile {
    pub fn ino(&self) -> u64 {
        todo!()
    }

    /// Was it opened for writing?
    pub fn writable(&self) -> bool {
        todo!()
    }

    pub fn attr(&self) -> Result<Attr, WorkspaceError> {
        todo!()
    }

    /// How the kernel may serve this inode now.
    pub fn serving(&self) -> Serving {
        todo!()
    }

    /// At most `len` bytes from `offset`; fewer only at the end of the file.
    pub fn read(&self, _offset: u64, _len: usize) -> Result<Bytes, WorkspaceError> {
        todo!()
    }

    /// Writes all of `data` unless the disk fills in the middle; how many bytes were written.
    pub fn write(&self, _offset: u64, _data: &[u8]) -> Result<usize, WorkspaceError> {
        todo!()
    }

    /// Writes at the end, wherever that is now; the offset written at, and how many bytes.
    pub fn append(&self, _data: &[u8]) -> Result<(u64, usize), WorkspaceError> {
        todo!()
    }

    pub fn allocate(&self, _mode: AllocateMode, _offset: u64, _len: u64) -> Result<(), WorkspaceError> {
        todo!()
    }

    /// The first offset at or after `offset` that is data, or a hole; the end of the file counts as a hole.
    pub fn seek(&self, _what: SeekFor, _offset: u64) -> Result<u64, WorkspaceError> {
        todo!()
    }

    /// What was written survives a power loss when this returns.
    pub fn sync(&self, _data_only: bool) -> Result<(), WorkspaceError> {
        todo!()
    }

    /// Copies `len` bytes from `from` into this file, as much as can be without a copy; how many bytes. Both files are
    /// of one domain.
    pub fn copy_from(
        &self,
        _from: &OpenFile,
        _from_offset: u64,
        _offset: u64,
        _len: u64,
    ) -> Result<u64, WorkspaceError> {
        todo!()
    }

    /// The one local file that holds the whole content, if there is one: what a passthrough would be backed by.
    pub fn local_file(&self) -> Option<std::fs::File> {
        todo!()
    }
}
