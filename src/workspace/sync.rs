//! What survives a power loss: syncing files and names, and the files that may go only when the disk knows of it.

use std::collections::{BTreeSet, HashSet};
use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use super::attr::RenameMode;
use super::error::WorkspaceError;
use super::file_state::{Data, StagedData};
use super::open_file::OpenFile;
use super::state::{After, Inode, Result, State};
use super::view::{Shared, Workspace};
use crate::overlay::error::OverlayError;
use crate::overlay::files::set_mtime;
use crate::overlay::node::Node;
use crate::overlay::unsynced::Unsynced;
use crate::sys::disk;

/// Files that a flush has open at a time.
const FLUSHED_AT_ONCE: usize = 256;

/// With more files than this their filesystem is told to write everything back first: one commit of its journal in the
/// place of one for each file.
const SYNCED_ONE_BY_ONE: usize = 16;

/// Staged files with bytes that a flush has yet to bring to disk, also where losing them would leave nothing wrong.
#[derive(Debug, Default)]
pub struct Written {
    flushes: AtomicU64,
    inos: Mutex<HashSet<u64>>,
}

impl Written {
    /// Comes after the bytes, so that a flush which does not see it has them. `noted`: at which flush the same file was
    /// noted last.
    fn note(&self, ino: u64, noted: &mut Option<u64>) {
        let flush = self.flushes.load(Ordering::SeqCst);
        if *noted != Some(flush) {
            self.add([ino]);
            *noted = Some(flush);
        }
    }

    pub(super) fn add(&self, inos: impl IntoIterator<Item = u64>) {
        self.inos.lock().extend(inos);
    }

    fn take(&self) -> HashSet<u64> {
        self.flushes.fetch_add(1, Ordering::SeqCst);
        std::mem::take(&mut *self.inos.lock())
    }
}

/// A staged file whose bytes are on disk, as they were when that began.
struct Synced {
    file: Arc<File>,
    before: Unsynced,
    cuts: u64,
}

impl OpenFile {
    /// Notes that the file's bytes were changed: its mtime moves, and the next flush brings them to disk.
    pub(super) fn note_changed(&self, staged: &mut StagedData) -> Result<()> {
        self.shared.written.note(self.ino(), &mut staged.flush);
        set_mtime(&staged.file, self.now()).map_err(|error| self.file_error(error))
    }

    /// fsync(2), or fdatasync(2): what was written survives a power loss when this returns.
    pub fn sync(&self, data_only: bool) -> Result<()> {
        self.sync_content(data_only)?;
        self.shared.make_durable()
    }

    /// Brings the bytes to disk and notes that they are there. The note itself is durable with the next names.
    pub(super) fn sync_content(&self, data_only: bool) -> Result<()> {
        if let Some(synced) = self.sync_bytes(data_only)? {
            self.shared.durability.sync_names()?;
            self.note(&synced)?;
        }
        Ok(())
    }

    /// Brings the bytes to disk. Gives what is to be noted when the file's name is there as well.
    fn sync_bytes(&self, data_only: bool) -> Result<Option<Synced>> {
        let staged = match &*self.state.data.read() {
            Data::Staged(staged) => {
                Some(Synced { file: staged.file.clone(), before: staged.unsynced.clone(), cuts: staged.cuts })
            }
            Data::Empty | Data::Base(_) => None,
        };
        let Some(staged) = staged else { return Ok(None) };
        let synced = if data_only { staged.file.sync_data() } else { staged.file.sync_all() };
        synced.map_err(|error| self.file_error(error))?;
        Ok(Some(staged).filter(|staged| !staged.before.is_nothing()))
    }

    fn note(&self, synced: &Synced) -> Result<()> {
        match &mut *self.state.data.write() {
            Data::Staged(staged) if Arc::ptr_eq(&staged.file, &synced.file) => {
                let same_cut = staged.cuts == synced.cuts;
                self.shared.state.lock().note_synced(self.ino(), staged, &synced.before, same_cut)
            }
            // Others' bytes by now.
            _ => Ok(()),
        }
    }
}

impl Workspace {
    /// [`OpenFile::sync_content`] of whatever the inode is by now.
    pub(super) fn sync_content(&self, ino: u64) -> Result<()> {
        self.open_to_sync(ino)?.map_or(Ok(()), |file| file.sync_content(true))
    }

    /// None when it is gone, or something without bytes of its own.
    fn open_to_sync(&self, ino: u64) -> Result<Option<OpenFile>> {
        match self.open_file(ino, false, false) {
            Ok(file) => Ok(Some(file)),
            Err(WorkspaceError::Stale | WorkspaceError::Invalid(_) | WorkspaceError::IsDirectory) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Makes everything staged survive a power loss, as if each file had been synced. It costs nothing when nothing
    /// happened since the last time.
    pub fn flush(&self) -> Result<()> {
        let written = self.shared.written.take();
        let flushed = self.flush_with(&written);
        if flushed.is_err() {
            self.shared.written.add(written);
        }
        flushed
    }

    fn flush_with(&self, written: &HashSet<u64>) -> Result<()> {
        let (mut inos, change, doomed) = {
            let state = self.shared.state.lock();
            let mut inos: BTreeSet<u64> = state.overlay.db.unsynced_inos()?.into_iter().collect();
            inos.extend(state.written_directly());
            (inos, state.change, !state.doomed.is_empty())
        };
        inos.extend(written);
        if inos.is_empty() && !doomed && self.shared.flushed.lock().is_some_and(|flushed| flushed == change) {
            return Ok(());
        }
        let inos: Vec<u64> = inos.into_iter().collect();
        for some in inos.chunks(FLUSHED_AT_ONCE) {
            self.flush_files(some)?;
        }
        self.shared.make_durable()?;
        *self.shared.flushed.lock() = Some(change);
        Ok(())
    }

    fn flush_files(&self, inos: &[u64]) -> Result<()> {
        if inos.len() > SYNCED_ONE_BY_ONE {
            disk::sync_filesystem(&self.shared.dir).map_err(|error| OverlayError::io(&self.shared.dir, error))?;
        }
        let mut synced = Vec::with_capacity(inos.len());
        for &ino in inos {
            let Some(file) = self.open_to_sync(ino)? else { continue };
            if let Some(bytes) = file.sync_bytes(true)? {
                synced.push((file, bytes));
            }
        }
        self.shared.durability.sync_names()?;
        synced.iter().try_for_each(|(file, bytes)| file.note(bytes))
    }
}

impl Shared {
    /// Makes all names and attributes as they are now survive a power loss.
    pub(super) fn make_durable(&self) -> Result<()> {
        let doomed = self.state.lock().doomed.clone();
        self.durability.sync()?;
        if doomed.is_empty() {
            return Ok(());
        }
        self.state.lock().remove_doomed(doomed)
    }

    /// Makes room on a full disk, if files that nobody needs are kept until the disk knows it.
    pub(super) fn make_room(&self) -> Result<bool> {
        let any = !self.state.lock().doomed.is_empty();
        if any {
            self.make_durable()?;
        }
        Ok(any)
    }
}

impl State {
    /// The staged file that a rename would put in the place of something.
    pub(super) fn replacement(&mut self, from: (u64, &[u8]), to: (u64, &[u8]), mode: RenameMode) -> Option<u64> {
        if mode != RenameMode::Replace {
            return None;
        }
        // What is in the way of looking is in the way of renaming, and told by that.
        let mut find = |(dir, name): (u64, &[u8])| {
            let dir = self.dir(dir).ok()?;
            self.child(&dir, name).ok()?
        };
        match (find(from)?, find(to)?) {
            (Inode::Staged(moved), target) if moved.staged && moved.ino != target.ino() => Some(moved.ino),
            _ => None,
        }
    }

    /// What `before` tells of is on disk now. `same_cut`: the file was not cut since.
    fn note_synced(&mut self, ino: u64, staged: &mut StagedData, before: &Unsynced, same_cut: bool) -> Result<()> {
        let under_len = staged.under.as_ref().map_or(0, |under| under.len);
        let (mut synced, mut unsynced) = (staged.synced.clone(), staged.unsynced.clone());
        unsynced.new = false;
        if same_cut {
            unsynced.cut = None;
        }
        let whole = self.overlay.db.transaction(|db| {
            for range in before.ranges.iter() {
                unsynced.ranges.remove(&range);
                if let Some(joined) = synced.insert(range.start.min(under_len)..range.end.min(under_len)) {
                    db.join_extents(ino, &joined)?;
                }
            }
            db.put_unsynced(ino, &unsynced)?;
            let whole = staged.under.is_some() && synced.contains(&(0..under_len));
            if whole {
                db.forget_under(ino)?;
            }
            Ok::<_, OverlayError>(whole)
        })?;
        (staged.synced, staged.unsynced) = (synced, unsynced);
        if whole {
            staged.under = None;
            (staged.valid, staged.synced) = Default::default();
            // Not an operation: who looked at the row before has seen what it says.
            self.change_cached(ino, |node| Node { under: None, ..node });
        }
        Ok(())
    }

    /// Has the staged file of `ino`, if there is one, removed after the transaction under way. Comes before its row is
    /// deleted.
    pub(super) fn drop_file(&mut self, ino: u64) -> Result<()> {
        if let Some(synced) = self.overlay.db.staged_and_synced(ino)? {
            self.then(After::RemoveFile { ino, synced });
        }
        Ok(())
    }

    /// Nothing may stand where the staged file of `ino` is about to be made.
    pub(super) fn make_way(&mut self, ino: u64) -> Result<()> {
        if !self.doomed.contains(&ino) {
            return Ok(());
        }
        let doomed = self.doomed.clone();
        self.overlay.durability().sync()?;
        self.remove_doomed(doomed)
    }

    /// The disk knows that no row names these.
    fn remove_doomed(&mut self, doomed: impl IntoIterator<Item = u64>) -> Result<()> {
        for ino in doomed {
            // Not one that made way meanwhile: another file may stand there.
            if self.doomed.remove(&ino) {
                self.overlay.files.remove(ino)?;
            }
        }
        Ok(())
    }
}
