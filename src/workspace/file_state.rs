//! The data of an open file, shared by all its handles.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::RwLock;

use super::attr::Serving;
use super::direct::{Direct, Kernel};
use super::error::{Miss, WorkspaceError};
use super::external::ExternalCache;
use super::state::{Inode, Result, State};
use crate::model::entry::{Content, Entry, Kind};
use crate::overlay::entry::bare;
use crate::overlay::error::OverlayError;
use crate::overlay::node::{Node, Under};
use crate::overlay::ranges::RangeSet;
use crate::overlay::unsynced::Unsynced;
use crate::repo::objects::Objects;

/// One open inode. Its lock comes before the view's: who holds the view's lock must not wait for this one.
#[derive(Debug)]
pub struct FileState {
    pub ino: u64,
    pub data: RwLock<Data>,
}

/// Where an open file's bytes are.
#[derive(Debug)]
pub enum Data {
    /// Created here, nothing written yet.
    Empty,
    /// The base's, untouched.
    Base(Arc<Entry>),
    Staged(StagedData),
}

/// A staged file, whole or with the base showing through.
#[derive(Debug)]
pub struct StagedData {
    pub file: Arc<File>,
    pub under: Option<Under>,
    /// Bytes of the staged file that count, as far as `under` goes; past that all do. Those of `synced` and those of
    /// `unsynced` together.
    pub valid: RangeSet,
    /// Ranges that count also after a power loss.
    pub synced: RangeSet,
    pub unsynced: Unsynced,
    /// How often the file was cut since it was opened.
    pub cuts: u64,
    /// The commit snapshot that the row's change was last noted for.
    pub noted: Option<u64>,
    /// The flush that its bytes were last noted for.
    pub flush: Option<u64>,
    /// The file was cut and its rows could not be told: they come before anything else is written.
    pub rows_owed: bool,
}

/// An open inode as the view keeps it.
#[derive(Debug)]
pub struct OpenState {
    pub state: Arc<FileState>,
    pub handles: u32,
    pub writers: u32,
    /// The base's entry that it was opened with, as long as it is untouched.
    pub entry: Option<Arc<Entry>>,
    /// The kernel serves it without us.
    pub direct: Option<Direct>,
}

/// What reading needs besides the file's own state.
#[derive(Clone, Copy)]
pub struct Sources<'a> {
    pub objects: &'a Objects,
    pub external: &'a ExternalCache,
}

impl Data {
    pub fn size(&self) -> Result<u64> {
        match self {
            Data::Empty => Ok(0),
            Data::Base(entry) => Ok(entry.size()),
            Data::Staged(staged) => staged.size(),
        }
    }

    pub fn read(&self, sources: Sources<'_>, offset: u64, len: usize) -> Result<Bytes> {
        let size = self.size()?;
        let end = offset.saturating_add(len as u64).min(size);
        if offset >= end {
            return Ok(Bytes::new());
        }
        match self {
            Data::Empty => Ok(Bytes::new()),
            Data::Base(entry) => read_entry(sources, entry, offset, end - offset),
            Data::Staged(staged) => staged.read(sources, offset, end),
        }
    }
}

impl StagedData {
    pub fn new(file: Arc<File>, under: Option<Under>, synced: RangeSet, unsynced: Unsynced) -> StagedData {
        let valid = synced.iter().chain(unsynced.ranges.iter()).collect();
        StagedData { file, under, valid, synced, unsynced, cuts: 0, noted: None, flush: None, rows_owed: false }
    }

    pub fn size(&self) -> Result<u64> {
        Ok(self.file.metadata().map_err(io)?.len())
    }

    /// Does nothing of the base show through?
    pub fn is_whole(&self) -> bool {
        self.valid.contains(&(0..self.under_len()))
    }

    /// Bytes up to here may be the base's.
    fn under_len(&self) -> u64 {
        self.under.as_ref().map_or(0, |under| under.len)
    }

    /// The stretch that starts at `offset`, up to `end`, and whether the staged file has it.
    pub fn piece(&self, offset: u64, end: u64) -> (std::ops::Range<u64>, bool) {
        let under_len = self.under_len();
        if offset >= under_len {
            return (offset..end, true);
        }
        self.valid.piece(offset, end.min(under_len))
    }

    fn read(&self, sources: Sources<'_>, offset: u64, end: u64) -> Result<Bytes> {
        let (first, staged) = self.piece(offset, end);
        if let (false, Some(under)) = (staged, &self.under)
            && first.end == end
        {
            return read_entry(sources, &under.entry, offset, end - offset);
        }
        let mut bytes = vec![0; usize::try_from(end - offset).map_err(|_| WorkspaceError::TooLarge)?];
        let mut at = offset;
        while at < end {
            let (piece, staged) = self.piece(at, end);
            let target = &mut bytes[(at - offset) as usize..(piece.end - offset) as usize];
            match (&self.under, staged) {
                (Some(under), false) => {
                    let found = read_entry(sources, &under.entry, at, piece.end - at)?;
                    target[..found.len()].copy_from_slice(&found);
                }
                _ => read_full(&self.file, target, at)?,
            }
            at = piece.end;
        }
        Ok(bytes.into())
    }
}

/// Fills `target`, with zeros past the end of the file.
fn read_full(file: &File, target: &mut [u8], offset: u64) -> Result<()> {
    let mut done = 0;
    while done < target.len() {
        match file.read_at(&mut target[done..], offset + done as u64) {
            Ok(0) => break,
            Ok(read) => done += read,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(io(error)),
        }
    }
    target[done..].fill(0);
    Ok(())
}

/// A range of a committed file's bytes, when it is at hand.
pub fn read_entry(sources: Sources<'_>, entry: &Entry, offset: u64, len: u64) -> Result<Bytes> {
    match &entry.content {
        Content::File(content) => {
            let bytes = sources.objects.cached_read(content, offset, len);
            bytes.ok_or_else(|| Miss::Content { content: Box::new(content.clone()), offset, len }.into())
        }
        Content::External(content) => sources.external.read(content, offset, len),
        Content::Unknown { kind, .. } => Err(WorkspaceError::Unreadable(format!(
            "content of kind {kind}, which this version of meshfs does not know: use a newer one"
        ))),
        _ => Err(WorkspaceError::Invalid("not a regular file")),
    }
}

/// An error of the staged file itself.
pub fn io(error: std::io::Error) -> WorkspaceError {
    OverlayError::io(std::path::Path::new("a staged file"), error).into()
}

impl State {
    /// Counts one more handle of a regular file, and tells how the kernel serves it: as the first handle had it.
    pub fn open(&mut self, ino: u64, write: bool, kernel: Option<Kernel<'_>>) -> Result<(Arc<FileState>, Serving)> {
        if !self.open.contains_key(&ino) {
            let inode = self.resolve(ino)?;
            let (mut data, entry) = self.open_data(&inode)?;
            let direct = match kernel {
                Some(kernel) => self.try_direct(&inode, &mut data, write, kernel)?,
                None => None,
            };
            let state = Arc::new(FileState { ino, data: RwLock::new(data) });
            self.open.insert(ino, OpenState { state, handles: 0, writers: 0, entry, direct });
            self.live.pin(ino);
        }
        if write {
            self.add_direct_writer(ino, kernel)?;
        }
        let open = self.open.get_mut(&ino).ok_or(WorkspaceError::Stale)?;
        open.handles += 1;
        open.writers += u32::from(write);
        Ok((open.state.clone(), open.direct.as_ref().map_or(Serving::KeptPages, Direct::serving)))
    }

    fn open_data(&self, inode: &Inode) -> Result<(Data, Option<Arc<Entry>>)> {
        match inode.kind() {
            Kind::File => {}
            Kind::Dir => return Err(WorkspaceError::IsDirectory),
            Kind::Unknown => {
                return Err(WorkspaceError::Unreadable(
                    "content of a kind that this version of meshfs does not know: use a newer one".into(),
                ));
            }
            _ => return Err(WorkspaceError::Invalid("not a regular file")),
        }
        let entry = match inode {
            Inode::Staged(node) if node.staged => return Ok((Data::Staged(self.open_staged(node)?), None)),
            Inode::Staged(node) => match &node.origin {
                None => return Ok((Data::Empty, None)),
                Some(origin) => origin.entry.clone(),
            },
            Inode::Base(base) => Arc::new(base.entry.clone()),
            Inode::Detached(_, entry) => entry.clone(),
        };
        Ok((Data::Base(entry.clone()), Some(entry)))
    }

    pub(super) fn open_staged(&self, node: &Node) -> Result<StagedData> {
        let file = Arc::new(self.overlay.files.open_existing(node.ino)?);
        let (synced, unsynced) = (self.overlay.db.extents(node.ino)?, self.overlay.db.unsynced(node.ino)?);
        Ok(StagedData::new(file, node.under.clone(), synced, unsynced))
    }

    /// Takes back one handle. When the last writer goes and its file is the base's by now, gives the base's entry: the
    /// data is that from now on.
    pub fn release(&mut self, ino: u64, write: bool) -> Result<Option<Arc<Entry>>> {
        let looked = self.look(ino);
        let Some(open) = self.open.get_mut(&ino) else { return Ok(None) };
        open.handles -= 1;
        open.writers -= u32::from(write);
        let direct = open.direct.is_some();
        let (last, last_writer) = (open.handles == 0, write && open.writers == 0);
        if last {
            self.open.remove(&ino);
            let dropped = self.live.unpin(ino);
            self.drop_orphans(&dropped)?;
        }
        looked?;
        if direct && last_writer {
            self.mark_direct(ino, false)?;
        }
        // The kernel goes on using the staged file as long as anybody has it open directly.
        if last || (last_writer && !direct) { self.look_again(ino) } else { Ok(None) }
    }

    /// Makes the staged file of `ino`, with what it has now showing through, or empty.
    pub fn stage(&mut self, ino: u64, keep_content: bool) -> Result<StagedData> {
        let staged = self.change(|state| {
            let inode = state.resolve(ino)?;
            let node = state.materialise(&inode)?;
            let content = node.origin.as_ref().filter(|_| keep_content).map(|origin| &origin.entry);
            let len = content.map_or(0, |entry| entry.size());
            let under = content
                .filter(|_| len > 0)
                .map(|entry| Under { entry: Arc::new(bare(entry.content.clone(), Vec::new())), len });
            state.make_way(ino)?;
            state.made_file(ino);
            let file = Arc::new(state.overlay.files.create(ino, len, node.mtime)?);
            state.put_row(Node { staged: true, settled: false, under: under.clone(), ..(*node).clone() })?;
            let unsynced = Unsynced { new: true, ..Unsynced::default() };
            state.overlay.db.put_unsynced(ino, &unsynced)?;
            Ok(StagedData::new(file, under, RangeSet::default(), unsynced))
        })?;
        if let Some(open) = self.open.get_mut(&ino) {
            open.entry = None;
        }
        Ok(staged)
    }

    /// Notes that a staged file is about to be written: whatever looked at it before looks again.
    pub fn note_write(&mut self, ino: u64) -> Result<()> {
        self.change(|state| {
            let Some(node) = state.row(ino)? else { return Ok(()) };
            state.put_row(Node { settled: false, ..(*node).clone() }).map(drop)
        })
    }

    /// Has the ranges of a staged file be what its rows say.
    pub fn reread_ranges(&self, ino: u64, staged: &mut StagedData) -> Result<()> {
        staged.synced = self.overlay.db.extents(ino)?;
        staged.unsynced = self.overlay.db.unsynced(ino)?;
        staged.valid = staged.synced.iter().chain(staged.unsynced.ranges.iter()).collect();
        Ok(())
    }

    /// Stores what `under` of a staged file is now, and its ranges whole.
    pub fn put_under(&mut self, ino: u64, under: Option<&Under>, staged: &StagedData) -> Result<()> {
        self.change(|state| {
            let node = state.row(ino)?.ok_or(WorkspaceError::Stale)?;
            state.put_row(Node { under: under.cloned(), ..(*node).clone() })?;
            state.overlay.db.put_extents(ino, &staged.synced)?;
            Ok(state.overlay.db.put_unsynced(ino, &staged.unsynced)?)
        })
    }
}
