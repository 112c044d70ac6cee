//! Rows of staged ranges of partly staged files.

use std::ops::Range;

use super::error::OverlayError;
use super::ranges::{Joined, RangeSet};
use super::schema::Db;

impl Db {
    pub fn extents(&self, ino: u64) -> Result<RangeSet, OverlayError> {
        let sql = "SELECT start, end FROM extent WHERE ino = ?1 ORDER BY start";
        let range = |row: &rusqlite::Row<'_>| -> rusqlite::Result<Range<u64>> {
            Ok(row.get::<_, i64>(0)? as u64..row.get::<_, i64>(1)? as u64)
        };
        Ok(self.all(sql, [ino as i64], range)?.into_iter().collect())
    }

    /// Stores what [`RangeSet::insert`] did.
    pub fn join_extents(&self, ino: u64, joined: &Joined) -> Result<(), OverlayError> {
        for start in &joined.swallowed {
            self.run("DELETE FROM extent WHERE ino = ?1 AND start = ?2", (ino as i64, *start as i64))?;
        }
        let (start, end) = (joined.range.start as i64, joined.range.end as i64);
        self.run("INSERT INTO extent (ino, start, end) VALUES (?1, ?2, ?3)", (ino as i64, start, end))?;
        Ok(())
    }

    /// Stores all ranges in place of what there was.
    pub fn put_extents(&self, ino: u64, ranges: &RangeSet) -> Result<(), OverlayError> {
        self.run("DELETE FROM extent WHERE ino = ?1", [ino as i64])?;
        for range in ranges.iter() {
            let (start, end) = (range.start as i64, range.end as i64);
            self.run("INSERT INTO extent (ino, start, end) VALUES (?1, ?2, ?3)", (ino as i64, start, end))?;
        }
        Ok(())
    }

    /// Every partly staged file, and how much of its base still counts.
    pub fn under_lens(&self) -> Result<Vec<(u64, u64)>, OverlayError> {
        let sql = "SELECT ino, under_len FROM node WHERE staged = 1 AND under IS NOT NULL";
        self.all(sql, [], |row| Ok((row.get::<_, i64>(0)? as u64, row.get::<_, i64>(1)? as u64)))
    }

    /// No more than `len` bytes of its base count for a partly staged file.
    pub fn truncate_under(&self, ino: u64, len: u64) -> Result<(), OverlayError> {
        self.run("UPDATE node SET under_len = ?2 WHERE ino = ?1", (ino as i64, len as i64))?;
        self.run("DELETE FROM extent WHERE ino = ?1 AND start >= ?2", (ino as i64, len as i64))?;
        self.run("UPDATE extent SET end = ?2 WHERE ino = ?1 AND end > ?2", (ino as i64, len as i64))?;
        Ok(())
    }

    pub fn delete_extents(&self, ino: u64) -> Result<(), OverlayError> {
        self.run("DELETE FROM extent WHERE ino = ?1", [ino as i64])?;
        Ok(())
    }
}
