//! Rows of conflicts that were met and are not yet part of a commit or refresh.

use super::entry;
use super::error::OverlayError;
use super::schema::Db;
use crate::model::entry::Entry;
use crate::model::id::CommitId;
use crate::model::merge::Side;
use crate::model::path::TreePath;

/// A path in conflict, with its sides as they were when it was met.
#[derive(Clone, Debug, PartialEq)]
pub struct KeptConflict {
    pub path: TreePath,
    /// As `model::merge::ConflictKind` shows itself.
    pub kind: String,
    pub base: Option<Entry>,
    /// The working tree has what it has now; none also where that cannot be kept as an entry of its own.
    pub ours: Option<Entry>,
    pub theirs: Option<Entry>,
    /// The commit that theirs is of.
    pub head: CommitId,
    /// Whose side was taken.
    pub resolved: Option<Side>,
    /// The newest operation on the working tree when it was met.
    pub change: u64,
}

struct Row {
    path: Vec<u8>,
    kind: String,
    sides: [Option<Vec<u8>>; 3],
    head: String,
    resolved: Option<String>,
    change: i64,
}

impl Db {
    /// All conflicts, sorted by path.
    pub fn conflicts(&self) -> Result<Vec<KeptConflict>, OverlayError> {
        let sql = "SELECT path, kind, base, ours, theirs, head, resolved, change FROM conflict ORDER BY path, head";
        let read = |row: &rusqlite::Row<'_>| {
            Ok(Row {
                path: row.get(0)?,
                kind: row.get(1)?,
                sides: [row.get(2)?, row.get(3)?, row.get(4)?],
                head: row.get(5)?,
                resolved: row.get(6)?,
                change: row.get(7)?,
            })
        };
        self.all(sql, [], read)?.into_iter().map(|row| self.decode_conflict(row)).collect()
    }

    fn decode_conflict(&self, row: Row) -> Result<KeptConflict, OverlayError> {
        let damaged = || self.damaged("a conflict cannot be read");
        let side = |bytes: Option<Vec<u8>>| bytes.map(|bytes| entry::decode(&bytes)).transpose().map_err(|_| damaged());
        let [base, ours, theirs] = row.sides;
        let resolved = match row.resolved.as_deref() {
            None => None,
            Some("ours") => Some(Side::Ours),
            Some("theirs") => Some(Side::Theirs),
            Some(_) => return Err(damaged()),
        };
        Ok(KeptConflict {
            path: TreePath::parse(&row.path).map_err(|_| damaged())?,
            kind: row.kind,
            base: side(base)?,
            ours: side(ours)?,
            theirs: side(theirs)?,
            head: row.head.parse().map_err(|_| damaged())?,
            resolved,
            change: row.change as u64,
        })
    }

    pub fn put_conflict(&self, conflict: &KeptConflict) -> Result<(), OverlayError> {
        let side = |side: &Option<Entry>| side.as_ref().map(|side| self.encode_entry(side)).transpose();
        // What is only in memory has no encoding of its own; the working tree has it.
        let ours = side(&conflict.ours).unwrap_or_default();
        let resolved = conflict.resolved.map(|side| match side {
            Side::Ours => "ours",
            Side::Theirs => "theirs",
        });
        let parameters = rusqlite::params![
            conflict.path.as_bytes(),
            conflict.kind,
            side(&conflict.base)?,
            ours,
            side(&conflict.theirs)?,
            conflict.head.to_string(),
            resolved,
            conflict.change as i64,
        ];
        let sql = "INSERT OR REPLACE INTO conflict (path, kind, base, ours, theirs, head, resolved, change) \
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
        self.run(sql, parameters)?;
        Ok(())
    }

    pub fn delete_conflict(&self, path: &TreePath, head: &CommitId) -> Result<(), OverlayError> {
        self.run("DELETE FROM conflict WHERE path = ?1 AND head = ?2", (path.as_bytes(), head.to_string()))?;
        Ok(())
    }
}
