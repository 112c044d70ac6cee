//! Rows of extended attributes of inodes that have their own set.

use super::entry;
use super::error::OverlayError;
use super::schema::Db;
use crate::model::entry::XattrValue;

/// The value of a staged attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StagedValue {
    /// Set here.
    Bytes(Vec<u8>),
    /// The origin's, of any length.
    Base(XattrValue),
}

const BYTES: u8 = 0;
const BASE: u8 = 1;

impl Db {
    /// All attributes, by name.
    pub fn xattrs(&self, ino: u64) -> Result<Vec<(Vec<u8>, StagedValue)>, OverlayError> {
        let sql = "SELECT name, value FROM xattr WHERE ino = ?1 ORDER BY name";
        let rows: Vec<(Vec<u8>, Vec<u8>)> = self.all(sql, [ino as i64], |row| Ok((row.get(0)?, row.get(1)?)))?;
        rows.into_iter().map(|(name, value)| Ok((name, self.decode_value(ino, &value)?))).collect()
    }

    fn decode_value(&self, ino: u64, value: &[u8]) -> Result<StagedValue, OverlayError> {
        match value.split_first() {
            Some((&BYTES, bytes)) => Ok(StagedValue::Bytes(bytes.to_vec())),
            Some((&BASE, bytes)) => match entry::decode_xattr(bytes) {
                Ok(value) => Ok(StagedValue::Base(value)),
                Err(error) => Err(self.damaged(format!("attribute of inode {ino}: {error}"))),
            },
            _ => Err(self.damaged(format!("attribute of inode {ino}"))),
        }
    }

    pub fn put_xattr(&self, ino: u64, name: &[u8], value: &StagedValue) -> Result<(), OverlayError> {
        let (mark, bytes) = match value {
            StagedValue::Bytes(bytes) => (BYTES, bytes.clone()),
            StagedValue::Base(value) => {
                let encoded = entry::encode_xattr(value);
                (BASE, encoded.map_err(|error| self.damaged(format!("attribute of inode {ino}: {error}")))?)
            }
        };
        let bytes = [&[mark][..], &bytes].concat();
        self.run("INSERT OR REPLACE INTO xattr (ino, name, value) VALUES (?1, ?2, ?3)", (ino as i64, name, bytes))?;
        Ok(())
    }

    pub fn delete_xattr(&self, ino: u64, name: &[u8]) -> Result<(), OverlayError> {
        self.run("DELETE FROM xattr WHERE ino = ?1 AND name = ?2", (ino as i64, name))?;
        Ok(())
    }

    pub fn delete_xattrs(&self, ino: u64) -> Result<(), OverlayError> {
        self.run("DELETE FROM xattr WHERE ino = ?1", [ino as i64])?;
        Ok(())
    }
}
