//! What the disk may not have yet: of each staged file, what happened to it since it was last synced.
//!
//! Rows and bytes reach the disk in any order. So a range counts as staged for good only when its bytes were synced
//! first; until then it is kept apart, and a power loss takes it back.

use super::error::OverlayError;
use super::ranges::{Joined, RangeSet};
use super::schema::Db;

/// What a power loss may take from a staged file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unsynced {
    /// The file was never synced since it was made.
    pub new: bool,
    /// The least length that it was cut to.
    pub cut: Option<u64>,
    /// Ranges that were staged.
    pub ranges: RangeSet,
}

impl Unsynced {
    pub fn is_nothing(&self) -> bool {
        *self == Unsynced::default()
    }

    /// The file was cut to `len`.
    pub fn note_cut(&mut self, len: u64) {
        self.cut = Some(self.cut.map_or(len, |cut| cut.min(len)));
        self.ranges.truncate(len);
    }
}

impl Db {
    pub fn unsynced(&self, ino: u64) -> Result<Unsynced, OverlayError> {
        let sql = "SELECT new, cut FROM unsynced WHERE ino = ?1";
        let row = self.first(sql, [ino as i64], |row| Ok((row.get(0)?, row.get::<_, Option<i64>>(1)?)))?;
        let (new, cut) = row.unwrap_or((false, None));
        Ok(Unsynced { new, cut: cut.map(|cut| cut as u64), ranges: self.ranges("fresh", ino)? })
    }

    /// Stores it whole, in the place of what there was.
    pub fn put_unsynced(&self, ino: u64, unsynced: &Unsynced) -> Result<(), OverlayError> {
        self.delete_unsynced(ino)?;
        if unsynced.new || unsynced.cut.is_some() {
            let cut = unsynced.cut.map(|cut| cut as i64);
            self.run("INSERT INTO unsynced (ino, new, cut) VALUES (?1, ?2, ?3)", (ino as i64, unsynced.new, cut))?;
        }
        self.put_ranges("fresh", ino, &unsynced.ranges)
    }

    /// Stores what [`RangeSet::insert`] did to [`Unsynced::ranges`].
    pub fn join_unsynced(&self, ino: u64, joined: &Joined) -> Result<(), OverlayError> {
        self.join_ranges("fresh", ino, joined)
    }

    pub fn delete_unsynced(&self, ino: u64) -> Result<(), OverlayError> {
        self.run("DELETE FROM unsynced WHERE ino = ?1", [ino as i64])?;
        self.run("DELETE FROM fresh WHERE ino = ?1", [ino as i64])?;
        Ok(())
    }

    /// Has the inode a staged file, and was that ever synced?
    pub fn staged_and_synced(&self, ino: u64) -> Result<Option<bool>, OverlayError> {
        let sql = "SELECT NOT EXISTS (SELECT 1 FROM unsynced WHERE ino = ?1 AND new = 1) \
                   FROM node WHERE ino = ?1 AND staged = 1";
        self.one(sql, [ino as i64])
    }

    /// Inodes of which a power loss may take something.
    pub fn unsynced_inos(&self) -> Result<Vec<u64>, OverlayError> {
        let sql = "SELECT ino FROM unsynced UNION SELECT ino FROM fresh ORDER BY 1";
        self.all(sql, [], |row| Ok(row.get::<_, i64>(0)? as u64))
    }
}
