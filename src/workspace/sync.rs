//! What survives a power loss: syncing files and names, and the files that may go only when the disk knows of it.

use std::sync::Arc;

use super::attr::RenameMode;
use super::error::WorkspaceError;
use super::file_state::{Data, StagedData};
use super::open_file::OpenFile;
use super::state::{After, Inode, Result, State};
use super::view::{Shared, Workspace};
use crate::overlay::error::OverlayError;
use crate::overlay::node::Node;
use crate::overlay::unsynced::Unsynced;

impl OpenFile {
    /// fsync(2), or fdatasync(2): what was written survives a power loss when this returns.
    pub fn sync(&self, data_only: bool) -> Result<()> {
        self.sync_content(data_only)?;
        self.shared.make_durable()
    }

    /// Brings the bytes to disk and notes that they are there. The note itself is durable with the next names.
    pub(super) fn sync_content(&self, data_only: bool) -> Result<()> {
        let staged = match &*self.state.data.read() {
            Data::Staged(staged) => Some((staged.file.clone(), staged.unsynced.clone(), staged.cuts)),
            Data::Empty | Data::Base(_) => None,
        };
        let Some((file, before, cuts)) = staged else { return Ok(()) };
        let synced = if data_only { file.sync_data() } else { file.sync_all() };
        synced.map_err(|error| self.file_error(error))?;
        if before.is_nothing() {
            return Ok(());
        }
        self.shared.durability.sync_names()?;
        match &mut *self.state.data.write() {
            Data::Staged(staged) if Arc::ptr_eq(&staged.file, &file) => {
                self.shared.state.lock().note_synced(self.ino(), staged, &before, cuts == staged.cuts)
            }
            // Others' bytes by now.
            _ => Ok(()),
        }
    }
}

impl Workspace {
    /// [`OpenFile::sync_content`] of whatever the inode is by now.
    pub(super) fn sync_content(&self, ino: u64) -> Result<()> {
        match self.open_file(ino, false, false) {
            Ok(file) => file.sync_content(true),
            // Gone, or something without bytes of its own.
            Err(WorkspaceError::Stale | WorkspaceError::Invalid(_) | WorkspaceError::IsDirectory) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Makes everything staged survive a power loss, as if each file had been synced. It costs nothing when nothing
    /// happened since the last time.
    pub fn flush(&self) -> Result<()> {
        let (unsynced, change) = {
            let state = self.shared.state.lock();
            (state.overlay.db.unsynced_inos()?, state.change)
        };
        if unsynced.is_empty() && self.shared.flushed.lock().is_some_and(|flushed| flushed == change) {
            return Ok(());
        }
        unsynced.into_iter().try_for_each(|ino| self.sync_content(ino))?;
        self.shared.make_durable()?;
        *self.shared.flushed.lock() = Some(change);
        Ok(())
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
