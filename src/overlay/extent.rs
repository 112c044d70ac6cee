//! Rows of staged ranges of partly staged files: those that were synced (`extent`), and those since (`fresh`, see
//! [`super::unsynced`]).

use std::ops::Range;

use super::error::OverlayError;
use super::ranges::{Joined, RangeSet};
use super::schema::Db;

/// Table of ranges whose bytes were synced before they were put there.
const SYNCED: &str = "extent";

impl Db {
    /// Staged ranges whose bytes are on disk.
    pub fn extents(&self, ino: u64) -> Result<RangeSet, OverlayError> {
        self.ranges(SYNCED, ino)
    }

    /// Stores what [`RangeSet::insert`] did.
    pub fn join_extents(&self, ino: u64, joined: &Joined) -> Result<(), OverlayError> {
        self.join_ranges(SYNCED, ino, joined)
    }

    /// Stores all ranges in place of what there was.
    pub fn put_extents(&self, ino: u64, ranges: &RangeSet) -> Result<(), OverlayError> {
        self.delete_extents(ino)?;
        self.put_ranges(SYNCED, ino, ranges)
    }

    pub(super) fn ranges(&self, table: &str, ino: u64) -> Result<RangeSet, OverlayError> {
        let sql = format!("SELECT start, end FROM {table} WHERE ino = ?1 ORDER BY start");
        let range = |row: &rusqlite::Row<'_>| -> rusqlite::Result<Range<u64>> {
            Ok(row.get::<_, i64>(0)? as u64..row.get::<_, i64>(1)? as u64)
        };
        Ok(self.all(&sql, [ino as i64], range)?.into_iter().collect())
    }

    pub(super) fn join_ranges(&self, table: &str, ino: u64, joined: &Joined) -> Result<(), OverlayError> {
        for start in &joined.swallowed {
            let sql = format!("DELETE FROM {table} WHERE ino = ?1 AND start = ?2");
            self.run(&sql, (ino as i64, *start as i64))?;
        }
        self.put_range(table, ino, &joined.range)
    }

    pub(super) fn put_ranges(&self, table: &str, ino: u64, ranges: &RangeSet) -> Result<(), OverlayError> {
        ranges.iter().try_for_each(|range| self.put_range(table, ino, &range))
    }

    fn put_range(&self, table: &str, ino: u64, range: &Range<u64>) -> Result<(), OverlayError> {
        let sql = format!("INSERT INTO {table} (ino, start, end) VALUES (?1, ?2, ?3)");
        self.run(&sql, (ino as i64, range.start as i64, range.end as i64)).map(drop)
    }

    /// Every partly staged file, and how much of its base still counts.
    pub fn under_lens(&self) -> Result<Vec<(u64, u64)>, OverlayError> {
        let sql = "SELECT ino, under_len FROM node WHERE staged = 1 AND under IS NOT NULL";
        self.all(sql, [], |row| Ok((row.get::<_, i64>(0)? as u64, row.get::<_, i64>(1)? as u64)))
    }

    /// No more than `len` bytes of its base count for a partly staged file.
    pub fn truncate_under(&self, ino: u64, len: u64) -> Result<(), OverlayError> {
        self.run("UPDATE node SET under_len = ?2 WHERE ino = ?1", (ino as i64, len as i64))?;
        for table in [SYNCED, "fresh"] {
            let mut ranges = self.ranges(table, ino)?;
            ranges.truncate(len);
            self.run(&format!("DELETE FROM {table} WHERE ino = ?1"), [ino as i64])?;
            self.put_ranges(table, ino, &ranges)?;
        }
        Ok(())
    }

    /// Nothing of its base shows through a staged file any more.
    pub fn forget_under(&self, ino: u64) -> Result<(), OverlayError> {
        self.run("UPDATE node SET under = NULL, under_len = 0 WHERE ino = ?1", [ino as i64])?;
        self.delete_extents(ino)
    }

    pub fn delete_extents(&self, ino: u64) -> Result<(), OverlayError> {
        self.run("DELETE FROM extent WHERE ino = ?1", [ino as i64])?;
        Ok(())
    }
}
