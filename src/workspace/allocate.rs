//! fallocate(2) and copy_file_range(2).

use std::sync::Arc;

use super::attr::{AllocateMode, Serving};
use super::error::WorkspaceError;
use super::file_state::{Data, StagedData};
use super::open_file::OpenFile;
use super::state::Result;
use crate::model::entry::{Content, Entry};
use crate::overlay::entry::bare;
use crate::overlay::node::Under;
use crate::sys::sparse::{self, Allocate};

/// Bytes moved by one step of a copy.
const COPY_STEP_BYTES: usize = 1 << 20;

/// Bytes moved by one call, so that no caller waits long: it calls again for the rest.
const COPY_CALL_BYTES_MAX: u64 = 32 << 20;

impl OpenFile {
    pub fn allocate(&self, mode: AllocateMode, offset: u64, len: u64) -> Result<()> {
        if len == 0 {
            return Err(WorkspaceError::Invalid("an empty range"));
        }
        self.check_range(offset, len)?;
        let mut data = self.state.data.write();
        let staged = self.staged(&mut data, true)?;
        let (size, end) = (staged.size()?, offset + len);
        match mode {
            AllocateMode::Grow => self.reserve(staged, Allocate::Grow, offset, len)?,
            AllocateMode::KeepSize => self.reserve(staged, Allocate::KeepSize, offset, len)?,
            AllocateMode::PunchHole | AllocateMode::ZeroRangeKeepSize => self.zero(staged, offset, end.min(size))?,
            AllocateMode::ZeroRange => {
                self.zero(staged, offset, end.min(size))?;
                if end > size {
                    staged.file.set_len(end).map_err(|error| self.file_error(error))?;
                }
            }
        }
        self.note_changed(staged)
    }

    fn reserve(&self, staged: &StagedData, how: Allocate, offset: u64, len: u64) -> Result<()> {
        match sparse::allocate(&staged.file, how, offset, len) {
            // A disk that cannot reserve can still be written to.
            Err(error) if error.kind() == std::io::ErrorKind::Unsupported => {
                let end = offset + len;
                if how == Allocate::Grow && staged.size()? < end {
                    staged.file.set_len(end).map_err(|error| self.file_error(error))?;
                }
                Ok(())
            }
            other => other.map_err(|error| self.file_error(error)),
        }
    }

    fn zero(&self, staged: &mut StagedData, start: u64, end: u64) -> Result<()> {
        if start >= end {
            return Ok(());
        }
        let punched = sparse::allocate(&staged.file, Allocate::PunchHole, start, end - start);
        punched.map_err(|error| self.file_error(error))?;
        self.record(staged, start, end)
    }

    /// Copies `len` bytes from `from` into this file; how many bytes, which may be fewer. Committed content that goes
    /// to the same offset of a file that ends there is referred to, not copied. Both files are of one domain.
    pub fn copy_from(&self, from: &OpenFile, from_offset: u64, offset: u64, len: u64) -> Result<u64> {
        self.check_range(offset, len)?;
        let from_size = from.state.data.read().size()?;
        let len = len.min(from_size.saturating_sub(from_offset));
        if Arc::ptr_eq(&self.state, &from.state) && offset < from_offset + len && from_offset < offset + len {
            return Err(WorkspaceError::Invalid("the ranges overlap"));
        }
        if len == 0 {
            return Ok(0);
        }
        if from_offset == offset
            && self.same_domain(from)
            && let Some(entry) = from.committed_content()
            && self.refer(&entry, offset, len)?
        {
            return Ok(len);
        }
        self.copy_bytes(from, from_offset, offset, len.min(COPY_CALL_BYTES_MAX))
    }

    fn same_domain(&self, from: &OpenFile) -> bool {
        self.shared.domain.info().uid == from.shared.domain.info().uid
    }

    /// The entry whose bytes are all of this file's, when nothing of them is staged.
    fn committed_content(&self) -> Option<Arc<Entry>> {
        match &*self.state.data.read() {
            Data::Base(entry) if matches!(entry.content, Content::File(_)) => Some(entry.clone()),
            Data::Staged(staged) if staged.valid.is_empty() => {
                let size = staged.size().ok()?;
                staged.under.as_ref().filter(|under| under.len == size).map(|under| under.entry.clone())
            }
            _ => None,
        }
    }

    /// Lets `entry` show through from `offset`, where this file ends, for `len` bytes. False: it cannot.
    fn refer(&self, entry: &Entry, offset: u64, len: u64) -> Result<bool> {
        let mut data = self.state.data.write();
        if matches!(self.serving(), Serving::Passthrough(_)) {
            // The kernel would show what is in the local file, which is nothing.
            return Ok(false);
        }
        if data.size()? != offset || (offset > 0 && !matches!(*data, Data::Staged(_))) {
            return Ok(false);
        }
        let staged = self.staged(&mut data, offset > 0)?;
        let goes_on = match &staged.under {
            None => offset == 0,
            Some(under) => under.len == offset && under.entry.content == entry.content,
        };
        if !goes_on {
            return Ok(false);
        }
        let under = Under { entry: Arc::new(bare(entry.content.clone(), Vec::new())), len: offset + len };
        // The row first: one that says more of the base than the file is long is put right when it is opened.
        self.shared.state.lock().put_under(self.ino(), Some(&under), staged)?;
        if !staged.unsynced.new {
            // The file's new length must not survive a power loss without the row: it would be zeros.
            self.shared.durability.sync()?;
        }
        if let Err(error) = staged.file.set_len(under.len) {
            self.shared.state.lock().put_under(self.ino(), staged.under.as_ref(), staged)?;
            return Err(self.file_error(error));
        }
        staged.under = Some(under);
        self.note_changed(staged)?;
        Ok(true)
    }

    fn copy_bytes(&self, from: &OpenFile, from_offset: u64, offset: u64, len: u64) -> Result<u64> {
        let mut copied = 0;
        while copied < len {
            let step = COPY_STEP_BYTES.min(usize::try_from(len - copied).unwrap_or(COPY_STEP_BYTES));
            let bytes = match from.read(from_offset + copied, step) {
                Ok(bytes) if bytes.is_empty() => break,
                Ok(bytes) => bytes,
                // What is copied is copied: the caller comes back for the rest and learns then.
                Err(_) if copied > 0 => break,
                Err(error) => return Err(error),
            };
            let written = match self.write(offset + copied, &bytes) {
                Ok(written) => written,
                Err(_) if copied > 0 => break,
                Err(error) => return Err(error),
            };
            copied += written as u64;
            if written < bytes.len() {
                break;
            }
        }
        Ok(copied)
    }
}
