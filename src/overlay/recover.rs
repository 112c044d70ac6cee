//! What is put right when an overlay is opened, whatever the process before it died of.

use std::fs;

use super::Overlay;
use super::error::OverlayError;
use super::node::Node;

impl Overlay {
    /// Drops inodes that had no name but were open, and staged files that no row knows; gives a row whose staged file
    /// did not survive a power loss an empty one, as POSIX allows for what was not synced.
    pub(super) fn recover(&self) -> Result<(), OverlayError> {
        let orphans = self.db.orphans()?;
        self.db.transaction(|db| {
            for &ino in &orphans {
                db.delete_dirents(ino)?;
                db.delete_node(ino)?;
            }
            Ok::<_, OverlayError>(())
        })?;
        let staged = self.db.staged_inos()?;
        let mut present = Vec::new();
        for (ino, path) in self.files.list()? {
            match ino.filter(|ino| staged.binary_search(ino).is_ok()) {
                Some(ino) => present.push(ino),
                None => fs::remove_file(&path).map_err(|source| OverlayError::io(&path, source))?,
            }
        }
        present.sort_unstable();
        for ino in staged {
            if present.binary_search(&ino).is_err() {
                self.restore_lost_file(ino)?;
            }
        }
        self.cut_under()?;
        self.look_at_direct()
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

    fn restore_lost_file(&self, ino: u64) -> Result<(), OverlayError> {
        let Some(mut node) = self.db.node(ino)? else { return Ok(()) };
        let len = node.under.as_ref().map_or(0, |under| under.len);
        tracing::warn!(ino, "a staged file that was never synced did not survive: what was not written stays");
        self.files.create(ino, len, node.mtime)?;
        self.db.delete_extents(ino)?;
        node.settled = false;
        self.db.put_node(&node)
    }
}
