//! What is put right when an overlay is opened, whatever the process before it died of.

use std::fs;
use std::sync::Arc;

use super::Overlay;
use super::entry::bare;
use super::error::OverlayError;
use super::node::{Node, Under};
use super::unsynced::Unsynced;
use crate::model::entry::Kind;

/// Key of the note of the boot in which the overlay was last open.
const BOOT_KEY: &str = "boot";

impl Overlay {
    /// Drops inodes that had no name but were open, and staged files that no row knows. After a power loss takes back
    /// what had not been synced.
    pub(super) fn recover(&self, boot: &str) -> Result<(), OverlayError> {
        let orphans = self.db.orphans()?;
        self.db.transaction(|db| {
            for &ino in &orphans {
                db.delete_dirents(ino)?;
                db.delete_node(ino)?;
            }
            Ok::<_, OverlayError>(())
        })?;
        let present = self.remove_strays()?;
        if self.db.meta(BOOT_KEY)?.is_none_or(|last| last != boot.as_bytes()) {
            self.take_back()?;
            self.db.transaction(|db| db.set_meta(BOOT_KEY, boot.as_bytes()))?;
        }
        for ino in self.db.staged_inos()? {
            if present.binary_search(&ino).is_err() && !self.files.path(ino).exists() {
                self.revert(ino)?;
            }
        }
        self.cut_under()?;
        self.look_at_direct()
    }

    /// Removes what no row knows; gives the staged files that are there.
    fn remove_strays(&self) -> Result<Vec<u64>, OverlayError> {
        let staged = self.db.staged_inos()?;
        let (mut present, mut strays) = (Vec::new(), Vec::new());
        for (ino, path) in self.files.list()? {
            match ino.filter(|ino| staged.binary_search(ino).is_ok()) {
                Some(ino) => present.push(ino),
                None => strays.push(path),
            }
        }
        if !strays.is_empty() {
            // A row of theirs that a killed process deleted may be on disk still.
            self.durability().sync()?;
        }
        for path in strays {
            fs::remove_file(&path).map_err(|source| OverlayError::io(&path, source))?;
        }
        present.sort_unstable();
        Ok(present)
    }

    /// Power was lost: what was not synced since may be there in any part. Takes back what nobody can tell from what
    /// was never written: ranges (the base shows there again), what was added to a file after it was cut off, and
    /// whole files.
    fn take_back(&self) -> Result<(), OverlayError> {
        let unsynced = self.db.unsynced_inos()?;
        if !unsynced.is_empty() {
            tracing::info!(
                files = unsynced.len(),
                "the machine has started since: what was never synced is taken back"
            );
        }
        for ino in unsynced {
            match self.db.unsynced(ino)? {
                Unsynced { new: true, .. } => self.revert(ino)?,
                Unsynced { cut, .. } => {
                    if let (Some(cut), true) = (cut, self.files.path(ino).exists()) {
                        self.shorten(ino, cut)?;
                    }
                    self.db.delete_unsynced(ino)?;
                }
            }
        }
        Ok(())
    }

    fn shorten(&self, ino: u64, len: u64) -> Result<(), OverlayError> {
        let file = self.files.open_existing(ino)?;
        let shorten = || match file.metadata()?.len() > len {
            true => file.set_len(len).and_then(|()| file.sync_all()),
            false => Ok(()),
        };
        shorten().map_err(|source| OverlayError::io(&self.files.path(ino), source))
    }

    /// A truncation that was not finished left a file shorter than what shows through it: beyond its end is nothing.
    fn cut_under(&self) -> Result<(), OverlayError> {
        for (ino, under_len) in self.db.under_lens()? {
            let size = self.files.identity(ino)?.size;
            if size < under_len {
                self.db.transaction(|db| db.truncate_under(ino, size))?;
            }
        }
        Ok(())
    }

    /// What the kernel could write to without telling counts as written since whoever looked at it last.
    fn look_at_direct(&self) -> Result<(), OverlayError> {
        for ino in self.db.direct_inos()? {
            let Some(node) = self.db.node(ino)? else { continue };
            let change = self.db.last_change()? + 1;
            self.db.put_node(&Node { direct: false, settled: false, dirty: node.origin.is_some(), change, ..node })?;
        }
        Ok(())
    }

    /// Gives a row whose staged file is lost one to which nothing was written: what it was made over shows.
    fn revert(&self, ino: u64) -> Result<(), OverlayError> {
        let Some(mut node) = self.db.node(ino)?.filter(|node| node.staged) else {
            return self.db.transaction(|db| db.delete_unsynced(ino));
        };
        // Bytes that a commit stored are what shows, whatever they were staged over.
        let under = node.under.take().filter(|_| !node.settled);
        node.under = under.or_else(|| base_of(&node));
        let len = node.under.as_ref().map_or(0, |under| under.len);
        self.files.create(ino, len, node.mtime)?;
        node.settled = false;
        self.db.transaction(|db| {
            db.delete_extents(ino)?;
            db.put_unsynced(ino, &Unsynced { new: true, ..Unsynced::default() })?;
            db.put_node(&node)
        })
    }
}

/// The committed content of a file that was emptied when it was staged.
fn base_of(node: &Node) -> Option<Under> {
    let entry = &node.origin.as_ref()?.entry;
    let shown = entry.kind() == Kind::File && entry.size() > 0;
    shown.then(|| Under { entry: Arc::new(bare(entry.content.clone(), Vec::new())), len: entry.size() })
}
