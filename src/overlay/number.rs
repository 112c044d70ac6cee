//! Inode numbers that committed things got while they were staged.

use super::error::OverlayError;
use super::node::OriginPath;
use super::schema::Db;

impl Db {
    pub fn any_number(&self) -> Result<bool, OverlayError> {
        Ok(self.one("SELECT EXISTS (SELECT 1 FROM number)", [])?.unwrap_or(false))
    }

    /// The number that `path` has while its content is `content`.
    pub fn number(&self, path: &OriginPath, content: &[u8]) -> Result<Option<u64>, OverlayError> {
        let sql = "SELECT ino FROM number WHERE path = ?1 AND content = ?2";
        Ok(self.one::<i64>(sql, (path.as_bytes(), content))?.map(|ino| ino as u64))
    }

    /// Has any path this number?
    pub fn has_number(&self, ino: u64) -> Result<bool, OverlayError> {
        Ok(self.one::<i64>("SELECT 1 FROM number WHERE ino = ?1", [ino as i64])?.is_some())
    }

    pub fn put_number(&self, path: &OriginPath, content: &[u8], ino: u64) -> Result<(), OverlayError> {
        let sql = "INSERT OR REPLACE INTO number (path, content, ino) VALUES (?1, ?2, ?3)";
        self.run(sql, (path.as_bytes(), content, ino as i64))?;
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
