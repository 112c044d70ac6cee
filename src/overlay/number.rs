//! Inode numbers and ctimes that committed things got while they were staged.

use super::error::OverlayError;
use super::node::OriginPath;
use super::schema::Db;
use crate::model::time::Time;

/// What is kept of a committed thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept {
    pub ino: u64,
    /// None: its mtime.
    pub ctime: Option<Time>,
}

impl Db {
    pub fn any_number(&self) -> Result<bool, OverlayError> {
        Ok(self.one("SELECT EXISTS (SELECT 1 FROM number)", [])?.unwrap_or(false))
    }

    /// What is kept of `path` while its content is `content`.
    pub fn kept(&self, path: &OriginPath, content: &[u8]) -> Result<Option<Kept>, OverlayError> {
        let sql = "SELECT ino, ctime FROM number WHERE path = ?1 AND content = ?2";
        self.first(sql, (path.as_bytes(), content), |row| {
            Ok(Kept { ino: row.get::<_, i64>(0)? as u64, ctime: row.get::<_, Option<i64>>(1)?.map(Time) })
        })
    }

    /// Has any path this number?
    pub fn has_number(&self, ino: u64) -> Result<bool, OverlayError> {
        Ok(self.one::<i64>("SELECT 1 FROM number WHERE ino = ?1", [ino as i64])?.is_some())
    }

    pub fn put_kept(&self, path: &OriginPath, content: &[u8], kept: Kept) -> Result<(), OverlayError> {
        let sql = "INSERT OR REPLACE INTO number (path, content, ino, ctime) VALUES (?1, ?2, ?3, ?4)";
        self.run(sql, (path.as_bytes(), content, kept.ino as i64, kept.ctime.map(|time| time.0)))?;
        Ok(())
    }

    /// Forgets what was kept for `path`, and for `ino`: one path has one number, and one number one path.
    pub fn delete_number(&self, path: &OriginPath, ino: u64) -> Result<(), OverlayError> {
        self.run("DELETE FROM number WHERE path = ?1", [path.as_bytes()])?;
        self.run("DELETE FROM number WHERE ino = ?1", [ino as i64])?;
        Ok(())
    }

    /// What paths stand for in the hashes of numbers, where that is not the path itself.
    pub fn seeds(&self) -> Result<Vec<(OriginPath, OriginPath)>, OverlayError> {
        self.all("SELECT path, seed FROM seed", [], |row| {
            Ok((OriginPath::from_bytes(row.get(0)?), OriginPath::from_bytes(row.get(1)?)))
        })
    }

    pub fn put_seed(&self, path: &OriginPath, seed: &OriginPath) -> Result<(), OverlayError> {
        let sql = "INSERT OR REPLACE INTO seed (path, seed) VALUES (?1, ?2)";
        self.run(sql, (path.as_bytes(), seed.as_bytes()))?;
        Ok(())
    }

    pub fn delete_seed(&self, path: &OriginPath) -> Result<(), OverlayError> {
        self.run("DELETE FROM seed WHERE path = ?1", [path.as_bytes()])?;
        Ok(())
    }
}
