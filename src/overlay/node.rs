//! Rows of touched inodes.

use std::sync::Arc;

use rusqlite::Row;

use super::entry;
use super::error::OverlayError;
use super::schema::Db;
use crate::model::entry::{Entry, Kind, Owner};
use crate::model::path::{TreePath, is_too_deep};
use crate::model::time::Time;

/// Where an inode's children have their numbers from, and, while it is a path of the base, what it was derived from.
/// A directory that was put here from elsewhere (`restore`) has a seed that is no path: NUL, its number, then names.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OriginPath(Vec<u8>);

impl OriginPath {
    pub fn of_base(path: &TreePath) -> OriginPath {
        OriginPath(path.as_bytes().to_vec())
    }

    pub fn foreign(ino: u64) -> OriginPath {
        OriginPath(format!("\0{ino:016x}").into_bytes())
    }

    #[must_use]
    pub fn child(&self, name: &[u8]) -> OriginPath {
        let mut bytes = self.0.clone();
        if !bytes.is_empty() {
            bytes.push(b'/');
        }
        bytes.extend_from_slice(name);
        OriginPath(bytes)
    }

    /// Does it go deeper than is followed?
    pub fn is_too_deep(&self) -> bool {
        is_too_deep(&self.0)
    }

    /// The directory that holds it; none for the base's root.
    pub fn parent(&self) -> Option<OriginPath> {
        if self.0.is_empty() {
            return None;
        }
        let end = self.0.iter().rposition(|&byte| byte == b'/').unwrap_or(0);
        Some(OriginPath(self.0[..end].to_vec()))
    }

    /// What is at `rest` below it: nothing, or a separator and names.
    #[must_use]
    pub fn below(&self, rest: &[u8]) -> OriginPath {
        OriginPath([&self.0, rest].concat())
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    pub(super) fn from_bytes(bytes: Vec<u8>) -> OriginPath {
        OriginPath(bytes)
    }

    /// The path in the base; none for what came from elsewhere.
    pub fn base_path(&self) -> Option<TreePath> {
        if self.0.first() == Some(&0) {
            return None;
        }
        TreePath::parse(&self.0).ok()
    }
}

/// What a staged inode was derived from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    pub path: OriginPath,
    /// With ids and locations as they were then.
    pub entry: Arc<Entry>,
}

/// The content that shows through a partly staged file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Under {
    /// Only its content counts.
    pub entry: Arc<Entry>,
    /// Bytes of it that still count: the least size that the file had since.
    pub len: u64,
}

/// Links of a directory whose subdirectories are not counted: it would need a walk of its origin.
pub const UNCOUNTED: u32 = 1;

/// Links of a directory without subdirectories, by its name and its `.`; each subdirectory's `..` is one more.
pub const EMPTY_DIR_LINKS: u32 = 2;

/// One touched inode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    pub ino: u64,
    pub kind: Kind,
    pub mode: u16,
    pub owner: Option<Owner>,
    pub rdev: u64,
    /// Where data is staged, the staged file's mtime counts instead.
    pub mtime: Time,
    pub ctime: Time,
    /// Names; 0 when deleted but still in use. Of a directory [`UNCOUNTED`], or [`EMPTY_DIR_LINKS`] and one for each
    /// subdirectory where nothing of a base can show through.
    pub nlink: u32,
    pub origin: Option<Origin>,
    /// Its bytes are in the staged file, where `under` does not show through.
    pub staged: bool,
    /// The kernel may write to the staged file without telling: after a crash it counts as written to.
    pub direct: bool,
    pub under: Option<Under>,
    pub target: Option<Vec<u8>>,
    /// The table of xattrs holds all of them; else the origin does.
    pub own_xattrs: bool,
    /// A commit stored the staged bytes as the origin's content, and nothing was written since.
    pub settled: bool,
    /// Differs from its origin otherwise than by name.
    pub dirty: bool,
    /// The operation that last touched it.
    pub change: u64,
}

/// A row as stored: entries still encoded.
struct RawNode {
    node: Node,
    kind: u8,
    origin: Option<(Vec<u8>, Vec<u8>)>,
    under: Option<(Vec<u8>, u64)>,
}

fn read(row: &Row<'_>) -> rusqlite::Result<RawNode> {
    let (uid, gid): (Option<u32>, Option<u32>) = (row.get(3)?, row.get(4)?);
    let origin_path: Option<Vec<u8>> = row.get(9)?;
    let under: Option<Vec<u8>> = row.get(12)?;
    let under_len = row.get::<_, i64>(13)? as u64;
    let node = Node {
        ino: row.get::<_, i64>(0)? as u64,
        kind: Kind::Unknown,
        mode: row.get(2)?,
        owner: uid.zip(gid).map(|(uid, gid)| Owner { uid, gid }),
        rdev: row.get::<_, i64>(5)? as u64,
        mtime: Time(row.get(6)?),
        ctime: Time(row.get(7)?),
        nlink: row.get(8)?,
        origin: None,
        staged: row.get(11)?,
        direct: row.get(19)?,
        under: None,
        target: row.get(14)?,
        own_xattrs: row.get(15)?,
        settled: row.get(16)?,
        dirty: row.get(17)?,
        change: row.get::<_, i64>(18)? as u64,
    };
    let origin = origin_path.zip(row.get::<_, Option<Vec<u8>>>(10)?);
    Ok(RawNode { node, kind: row.get(1)?, origin, under: under.map(|bytes| (bytes, under_len)) })
}

impl Db {
    pub fn node(&self, ino: u64) -> Result<Option<Node>, OverlayError> {
        let sql = "SELECT ino, kind, mode, uid, gid, rdev, mtime, ctime, nlink, origin_path, origin, staged, under, \
                   under_len, target, own_xattrs, settled, dirty, change, direct FROM node WHERE ino = ?1";
        self.first(sql, [ino as i64], read)?.map(|raw| self.decode_node(raw)).transpose()
    }

    pub fn has_node(&self, ino: u64) -> Result<bool, OverlayError> {
        Ok(self.one::<i64>("SELECT 1 FROM node WHERE ino = ?1", [ino as i64])?.is_some())
    }

    fn decode_node(&self, raw: RawNode) -> Result<Node, OverlayError> {
        let damaged = |error: entry::EntryError| self.damaged(format!("inode {}: {error}", raw.node.ino));
        let mut node = raw.node.clone();
        node.kind = kind_of(raw.kind).ok_or_else(|| self.damaged(format!("inode {}: kind {}", node.ino, raw.kind)))?;
        if let Some((path, bytes)) = &raw.origin {
            let entry = Arc::new(entry::decode(bytes).map_err(damaged)?);
            node.origin = Some(Origin { path: OriginPath(path.clone()), entry });
        }
        if let Some((bytes, len)) = &raw.under {
            node.under = Some(Under { entry: Arc::new(entry::decode(bytes).map_err(damaged)?), len: *len });
        }
        Ok(node)
    }

    pub(super) fn encode_entry(&self, entry: &Entry) -> Result<Vec<u8>, OverlayError> {
        entry::encode(entry).map_err(|error| self.damaged(error.to_string()))
    }

    /// Stores a row, new or in the place of the one it had.
    pub fn put_node(&self, node: &Node) -> Result<(), OverlayError> {
        let origin = node.origin.as_ref();
        let under = node.under.as_ref();
        let parameters = rusqlite::params![
            node.ino as i64,
            kind_code(node.kind),
            node.mode,
            node.owner.map(|owner| owner.uid),
            node.owner.map(|owner| owner.gid),
            node.rdev as i64,
            node.mtime.0,
            node.ctime.0,
            node.nlink,
            origin.map(|origin| origin.path.as_bytes()),
            origin.map(|origin| self.encode_entry(&origin.entry)).transpose()?,
            node.staged,
            under.map(|under| self.encode_entry(&under.entry)).transpose()?,
            under.map_or(0, |under| under.len as i64),
            node.target,
            node.own_xattrs,
            node.settled,
            node.dirty,
            node.change as i64,
            node.direct,
        ];
        let sql = "INSERT OR REPLACE INTO node (ino, kind, mode, uid, gid, rdev, mtime, ctime, nlink, origin_path, \
                   origin, staged, under, under_len, target, own_xattrs, settled, dirty, change, direct) \
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20)";
        self.run(sql, parameters)?;
        Ok(())
    }

    /// Stores what operations change most, without encoding the entries again.
    pub fn update_node(&self, node: &Node) -> Result<(), OverlayError> {
        let parameters = rusqlite::params![
            node.ino as i64,
            node.mode,
            node.owner.map(|owner| owner.uid),
            node.owner.map(|owner| owner.gid),
            node.mtime.0,
            node.ctime.0,
            node.nlink,
            node.own_xattrs,
            node.dirty,
            node.change as i64,
        ];
        let sql = "UPDATE node SET mode = ?2, uid = ?3, gid = ?4, mtime = ?5, ctime = ?6, nlink = ?7, \
                   own_xattrs = ?8, dirty = ?9, change = ?10 WHERE ino = ?1";
        self.run(sql, parameters)?;
        Ok(())
    }

    /// Notes whether the kernel may write to the staged file without telling. That alone is no change.
    pub fn set_direct(&self, ino: u64, direct: bool) -> Result<(), OverlayError> {
        self.run("UPDATE node SET direct = ?2 WHERE ino = ?1", (ino as i64, direct)).map(drop)
    }

    /// Inodes whose staged file the kernel could write to when the process before this one ended.
    pub fn direct_inos(&self) -> Result<Vec<u64>, OverlayError> {
        self.all("SELECT ino FROM node WHERE direct = 1 ORDER BY ino", [], |row| Ok(row.get::<_, i64>(0)? as u64))
    }

    /// Forgets a row with its ranges and xattrs. Its names are the caller's to delete.
    pub fn delete_node(&self, ino: u64) -> Result<(), OverlayError> {
        self.run("DELETE FROM node WHERE ino = ?1", [ino as i64])?;
        self.delete_extents(ino)?;
        self.delete_unsynced(ino)?;
        self.run("DELETE FROM xattr WHERE ino = ?1", [ino as i64])?;
        Ok(())
    }

    /// The inode whose origin is this path of the base, if it was touched.
    pub fn node_of_origin(&self, path: &OriginPath) -> Result<Option<u64>, OverlayError> {
        let sql = "SELECT ino FROM node WHERE origin_path = ?1 AND nlink > 0";
        Ok(self.one::<i64>(sql, [path.as_bytes()])?.map(|ino| ino as u64))
    }

    /// Counts the links of every directory anew.
    pub fn count_subdirectories(&self) -> Result<(), OverlayError> {
        let sql = "UPDATE node SET nlink = CASE WHEN origin IS NOT NULL THEN ?2 ELSE ?3 + \
                   (SELECT count(*) FROM dirent JOIN node AS child ON child.ino = dirent.ino \
                    WHERE dirent.parent = node.ino AND child.kind = ?1) END WHERE kind = ?1 AND nlink > 0";
        self.run(sql, (kind_code(Kind::Dir), UNCOUNTED, EMPTY_DIR_LINKS))?;
        Ok(())
    }

    /// Files with several names.
    pub fn linked_inos(&self) -> Result<Vec<u64>, OverlayError> {
        let sql = "SELECT ino FROM node WHERE nlink > 1 AND kind <> ?1 ORDER BY ino";
        self.all(sql, [kind_code(Kind::Dir)], |row| Ok(row.get::<_, i64>(0)? as u64))
    }

    /// Inodes without a name.
    pub fn orphans(&self) -> Result<Vec<u64>, OverlayError> {
        self.all("SELECT ino FROM node WHERE nlink = 0", [], |row| Ok(row.get::<_, i64>(0)? as u64))
    }

    /// Inodes whose bytes are staged.
    pub fn staged_inos(&self) -> Result<Vec<u64>, OverlayError> {
        self.all("SELECT ino FROM node WHERE staged = 1 ORDER BY ino", [], |row| Ok(row.get::<_, i64>(0)? as u64))
    }

    /// Any name that is not the base's, or any inode that differs from its origin?
    pub fn any_change(&self) -> Result<bool, OverlayError> {
        let sql = "SELECT EXISTS (SELECT 1 FROM dirent WHERE home = 0) \
                   OR EXISTS (SELECT 1 FROM node WHERE dirty = 1 AND nlink > 0)";
        Ok(self.one(sql, [])?.unwrap_or(false))
    }

    /// The greatest operation number stored.
    pub fn last_change(&self) -> Result<u64, OverlayError> {
        Ok(self.one::<Option<i64>>("SELECT max(change) FROM node", [])?.flatten().unwrap_or(0) as u64)
    }
}

fn kind_code(kind: Kind) -> u8 {
    match kind {
        Kind::File => 1,
        Kind::Dir => 2,
        Kind::Symlink => 3,
        Kind::Fifo => 4,
        Kind::Socket => 5,
        Kind::CharDevice => 6,
        Kind::BlockDevice => 7,
        Kind::Unknown => 8,
    }
}

fn kind_of(code: u8) -> Option<Kind> {
    let kinds = [
        Kind::File,
        Kind::Dir,
        Kind::Symlink,
        Kind::Fifo,
        Kind::Socket,
        Kind::CharDevice,
        Kind::BlockDevice,
        Kind::Unknown,
    ];
    kinds.into_iter().find(|&kind| kind_code(kind) == code)
}
