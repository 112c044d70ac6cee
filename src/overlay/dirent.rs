//! Rows of names in touched directories.

use super::error::OverlayError;
use super::schema::Db;

/// What a touched directory says of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dirent {
    /// It stands for this inode.
    Ino(u64),
    /// The directory's origin has it; here it is deleted.
    Whiteout,
}

/// A name with what it stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedDirent {
    pub name: Vec<u8>,
    pub dirent: Dirent,
    /// The inode has this very name in the base.
    pub home: bool,
}

fn dirent(ino: Option<i64>) -> Dirent {
    ino.map_or(Dirent::Whiteout, |ino| Dirent::Ino(ino as u64))
}

fn named(row: &rusqlite::Row<'_>) -> rusqlite::Result<NamedDirent> {
    Ok(NamedDirent { name: row.get(0)?, dirent: dirent(row.get(1)?), home: row.get(2)? })
}

impl Db {
    /// What the directory says of `name`; none when it says nothing, so that its origin decides.
    pub fn dirent(&self, parent: u64, name: &[u8]) -> Result<Option<Dirent>, OverlayError> {
        let sql = "SELECT ino FROM dirent WHERE parent = ?1 AND name = ?2";
        Ok(self.one(sql, (parent as i64, name))?.map(dirent))
    }

    pub fn put_dirent(&self, parent: u64, name: &[u8], dirent: Dirent, home: bool) -> Result<(), OverlayError> {
        let ino = match dirent {
            Dirent::Ino(ino) => Some(ino as i64),
            Dirent::Whiteout => None,
        };
        let sql = "INSERT OR REPLACE INTO dirent (parent, name, ino, home) VALUES (?1, ?2, ?3, ?4)";
        self.run(sql, (parent as i64, name, ino, home))?;
        Ok(())
    }

    pub fn delete_dirent(&self, parent: u64, name: &[u8]) -> Result<(), OverlayError> {
        self.run("DELETE FROM dirent WHERE parent = ?1 AND name = ?2", (parent as i64, name))?;
        Ok(())
    }

    pub fn delete_dirents(&self, parent: u64) -> Result<(), OverlayError> {
        self.run("DELETE FROM dirent WHERE parent = ?1", [parent as i64])?;
        Ok(())
    }

    /// At most `max` names after `after`, whiteouts too, in byte order.
    pub fn dirents(&self, parent: u64, after: Option<&[u8]>, max: usize) -> Result<Vec<NamedDirent>, OverlayError> {
        let max = i64::try_from(max).unwrap_or(i64::MAX);
        // No name is empty, so the empty one is before all.
        let sql = "SELECT name, ino, home FROM dirent WHERE parent = ?1 AND name > ?2 ORDER BY name LIMIT ?3";
        self.all(sql, (parent as i64, after.unwrap_or_default(), max), named)
    }

    /// Is there a name here that is not a whiteout?
    pub fn any_child(&self, parent: u64) -> Result<bool, OverlayError> {
        let sql = "SELECT EXISTS (SELECT 1 FROM dirent WHERE parent = ?1 AND ino IS NOT NULL)";
        Ok(self.one(sql, [parent as i64])?.unwrap_or(false))
    }

    pub fn any_dirent(&self, parent: u64) -> Result<bool, OverlayError> {
        let sql = "SELECT EXISTS (SELECT 1 FROM dirent WHERE parent = ?1)";
        Ok(self.one(sql, [parent as i64])?.unwrap_or(false))
    }

    /// All names of an inode, with their directories.
    pub fn names_of(&self, ino: u64) -> Result<Vec<(u64, Vec<u8>)>, OverlayError> {
        let sql = "SELECT parent, name FROM dirent WHERE ino = ?1 ORDER BY parent, name";
        self.all(sql, [ino as i64], |row| Ok((row.get::<_, i64>(0)? as u64, row.get(1)?)))
    }

    /// One name of an inode.
    pub fn name_of(&self, ino: u64) -> Result<Option<(u64, Vec<u8>)>, OverlayError> {
        let sql = "SELECT parent, name FROM dirent WHERE ino = ?1 LIMIT 1";
        self.first(sql, [ino as i64], |row| Ok((row.get::<_, i64>(0)? as u64, row.get(1)?)))
    }

    /// Names that an inode has in the base as well.
    pub fn home_names_of(&self, ino: u64) -> Result<Vec<(u64, Vec<u8>)>, OverlayError> {
        let sql = "SELECT parent, name FROM dirent WHERE ino = ?1 AND home = 1";
        self.all(sql, [ino as i64], |row| Ok((row.get::<_, i64>(0)? as u64, row.get(1)?)))
    }

    /// Gives all names of one inode to another.
    pub fn rename_ino(&self, from: u64, to: u64) -> Result<(), OverlayError> {
        self.run("UPDATE dirent SET ino = ?2 WHERE ino = ?1", (from as i64, to as i64))?;
        Ok(())
    }
}
