//! Open files: reads that merge staged ranges with the base's, writes that stage.

use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;

use super::attr::{Attr, SeekFor, Serving, SetAttr};
use super::error::{Miss, WorkspaceError};
use super::file_state::{Data, FileState, Sources, StagedData, io};
use super::state::Result;
use super::view::Shared;
use crate::model::entry::{Content, Entry};
use crate::model::time::Time;
use crate::overlay::error::OverlayError;
use crate::repo::objects::ahead::ReadAhead;
use crate::sys::sparse;

/// Offsets and sizes of files end here.
const FILE_BYTES_MAX: u64 = i64::MAX as u64;

/// One open(2) of a regular file. Dropping it is release(2).
#[derive(Debug)]
pub struct OpenFile {
    pub(super) shared: Arc<Shared>,
    pub(super) state: Arc<FileState>,
    write: bool,
    serving: Serving,
    ahead: ReadAhead,
}

impl OpenFile {
    /// A handle that is counted already.
    pub(super) fn new(shared: Arc<Shared>, state: Arc<FileState>, write: bool, serving: Serving) -> OpenFile {
        OpenFile { shared, state, write, serving, ahead: ReadAhead::new() }
    }

    pub fn ino(&self) -> u64 {
        self.state.ino
    }

    /// Was it opened for writing?
    pub fn writable(&self) -> bool {
        self.write
    }

    pub fn attr(&self) -> Result<Attr> {
        let mut view = self.shared.state.lock();
        let inode = view.resolve(self.ino())?;
        view.attr(&inode)
    }

    /// How the kernel serves this inode from its first handle to its last.
    pub fn serving(&self) -> &Serving {
        &self.serving
    }

    /// Notes what the kernel wrote without telling. True: it did since it was last asked.
    pub fn look(&self) -> Result<bool> {
        self.shared.state.lock().look(self.ino())
    }

    pub(super) fn sources(&self) -> Sources<'_> {
        Sources { objects: &self.shared.objects, external: &self.shared.external }
    }

    /// At most `len` bytes from `offset`; fewer only at the end of the file.
    pub fn read(&self, offset: u64, len: usize) -> Result<Bytes> {
        let data = self.state.data.read();
        let under = match &*data {
            Data::Empty => None,
            Data::Base(entry) => Some(entry),
            Data::Staged(staged) => staged.under.as_ref().map(|under| &under.entry),
        };
        if let Some(Content::File(content)) = under.map(|entry| &entry.content) {
            self.shared.objects.advance(&self.ahead, content, offset, len as u64);
        }
        data.read(self.sources(), offset, len)
    }

    /// Writes all of `bytes` unless the disk fills in the middle; how many were written.
    pub fn write(&self, offset: u64, bytes: &[u8]) -> Result<usize> {
        let mut data = self.state.data.write();
        self.write_locked(&mut data, offset, bytes)
    }

    /// Writes at the end, wherever that is now; the offset written at, and how many bytes.
    pub fn append(&self, bytes: &[u8]) -> Result<(u64, usize)> {
        let mut data = self.state.data.write();
        let offset = data.size()?;
        Ok((offset, self.write_locked(&mut data, offset, bytes)?))
    }

    fn write_locked(&self, data: &mut Data, offset: u64, bytes: &[u8]) -> Result<usize> {
        if bytes.is_empty() {
            return Ok(0);
        }
        self.check_range(offset, bytes.len() as u64)?;
        let staged = self.staged(data, true)?;
        let mut written = 0;
        while written < bytes.len() {
            match staged.file.write_at(&bytes[written..], offset + written as u64) {
                Ok(0) => break,
                Ok(more) => written += more,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(_) if written > 0 => break,
                Err(error) if error.kind() == std::io::ErrorKind::StorageFull && self.shared.make_room()? => {}
                Err(error) => return Err(self.file_error(error)),
            }
        }
        self.record(staged, offset, offset + written as u64)?;
        Ok(written)
    }

    pub(super) fn check_range(&self, offset: u64, len: u64) -> Result<()> {
        if !self.write {
            return Err(WorkspaceError::Invalid("the file is not open for writing"));
        }
        let end = offset.checked_add(len).filter(|end| *end <= FILE_BYTES_MAX);
        end.map(drop).ok_or(WorkspaceError::TooLarge)
    }

    pub(super) fn file_error(&self, error: std::io::Error) -> WorkspaceError {
        OverlayError::io(&self.shared.dir, error).into()
    }

    pub(super) fn now(&self) -> Time {
        Time(self.shared.sys.clock.now())
    }

    /// The staged file, made if there is none yet and noted as written to.
    pub(super) fn staged<'a>(&self, data: &'a mut Data, keep_content: bool) -> Result<&'a mut StagedData> {
        if !matches!(data, Data::Staged(_)) {
            *data = Data::Staged(self.shared.state.lock().stage(self.ino(), keep_content)?);
        }
        let Data::Staged(staged) = data else { return Err(WorkspaceError::Stale) };
        // The commit's snapshot looks at rows only: what is written after it must show there.
        let snapshot = self.shared.commit_snapshots.load(Ordering::Acquire);
        if staged.noted != Some(snapshot) {
            self.shared.state.lock().note_write(self.ino())?;
            staged.noted = Some(snapshot);
        }
        if staged.rows_owed {
            self.store_under(staged)?;
        }
        Ok(staged)
    }

    /// What is between `start` and `end` in the staged file counts from now on.
    pub(super) fn record(&self, staged: &mut StagedData, start: u64, end: u64) -> Result<()> {
        self.note_changed(staged)?;
        let Some(under) = &staged.under else { return Ok(()) };
        let counts = start..end.min(under.len).max(start);
        if staged.valid.insert(counts.clone()).is_none() {
            return Ok(());
        }
        let Some(joined) = staged.unsynced.ranges.insert(counts) else { return Ok(()) };
        let (view, ino) = (self.shared.state.lock(), self.ino());
        let stored: Result<()> = view.overlay.db.transaction(|db| Ok(db.join_unsynced(ino, &joined)?));
        if stored.is_err() {
            view.reread_ranges(ino, staged)?;
        }
        stored
    }

    /// Cuts the file off at `size`, or grows it with zeros.
    pub fn truncate(&self, size: u64) -> Result<()> {
        self.check_range(size, 0)?;
        let mut data = self.state.data.write();
        if !matches!(*data, Data::Staged(_)) && data.size()? == size {
            let change = SetAttr { mtime: Some(self.now()), ..SetAttr::default() };
            return self.shared.state.lock().set_meta(self.ino(), &change).map(drop);
        }
        let staged = self.staged(&mut data, size > 0)?;
        // The length first: a row that says more of the base than the file is long is put right when it is opened.
        staged.file.set_len(size).map_err(|error| self.file_error(error))?;
        self.note_changed(staged)?;
        if let Some(under) = staged.under.as_mut().filter(|under| under.len > size) {
            under.len = size;
            staged.valid.truncate(size);
            staged.synced.truncate(size);
            staged.unsynced.note_cut(size);
            staged.cuts += 1;
            staged.under = staged.under.take().filter(|_| size > 0);
            staged.rows_owed = true;
            self.store_under(staged)?;
        }
        Ok(())
    }

    /// Has the rows say what shows through, and where.
    fn store_under(&self, staged: &mut StagedData) -> Result<()> {
        self.shared.state.lock().put_under(self.ino(), staged.under.as_ref(), staged)?;
        staged.rows_owed = false;
        Ok(())
    }

    /// The first offset at or after `offset` that is data, or a hole; the end of the file counts as a hole.
    pub fn seek(&self, what: SeekFor, offset: u64) -> Result<u64> {
        let data = self.state.data.read();
        let size = data.size()?;
        if offset >= size {
            return Err(WorkspaceError::BeyondEnd);
        }
        let found = match &*data {
            Data::Empty => None,
            Data::Base(entry) => self.seek_entry(what, entry, offset, size)?,
            Data::Staged(staged) => self.seek_staged(what, staged, offset, size)?,
        };
        match what {
            SeekFor::Data => found.ok_or(WorkspaceError::BeyondEnd),
            SeekFor::Hole => Ok(found.unwrap_or(size)),
        }
    }

    fn seek_entry(&self, what: SeekFor, entry: &Entry, offset: u64, end: u64) -> Result<Option<u64>> {
        let Content::File(content) = &entry.content else {
            return Ok((what == SeekFor::Data).then_some(offset));
        };
        let found = match what {
            SeekFor::Data => self.shared.objects.cached_next_data(content, offset),
            SeekFor::Hole => self.shared.objects.cached_next_hole(content, offset),
        };
        let miss = || Miss::Items { content: Box::new(content.clone()), offset };
        Ok(found.ok_or_else(miss)?.filter(|&at| at < end))
    }

    fn seek_staged(&self, what: SeekFor, staged: &StagedData, offset: u64, size: u64) -> Result<Option<u64>> {
        let mut at = offset;
        while at < size {
            let (piece, here) = staged.piece(at, size);
            let found = match (&staged.under, here) {
                (Some(under), false) => self.seek_entry(what, &under.entry, at, piece.end)?,
                _ => match what {
                    SeekFor::Data => sparse::next_data(&staged.file, at).map_err(io)?,
                    SeekFor::Hole => sparse::next_hole(&staged.file, at).map_err(io)?,
                },
            };
            if let Some(found) = found.filter(|&found| found < piece.end) {
                return Ok(Some(found));
            }
            at = piece.end;
        }
        Ok(None)
    }
}

impl Drop for OpenFile {
    fn drop(&mut self) {
        let mut data = self.state.data.write();
        if self.write && matches!(self.serving, Serving::Passthrough(_)) {
            self.shared.written.add([self.ino()]);
        }
        match self.shared.state.lock().release(self.ino(), self.write) {
            Ok(Some(entry)) => *data = Data::Base(entry),
            Ok(None) => {}
            // Nobody is left to tell; what is not cleaned up now is when the workspace is opened next.
            Err(error) => tracing::warn!(ino = self.ino(), %error, "closing a file"),
        }
    }
}
