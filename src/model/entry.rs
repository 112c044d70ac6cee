//! One entry of a directory: what a name stands for, with everything that POSIX keeps about it.

use super::content::{ExternalContent, FileContent};
use super::id::{ChunkId, ContentId, Location, NodeId};
use super::time::Time;
use super::tree::{Counts, DirContent};

/// Kind of a filesystem object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    File,
    Dir,
    Symlink,
    Fifo,
    Socket,
    CharDevice,
    BlockDevice,
    /// A kind that a later version wrote: shown as an unreadable file, kept as it is.
    Unknown,
}

/// Numeric owner; unset in what an ordinary mount writes, so that it shows as whoever mounts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Owner {
    pub uid: u32,
    pub gid: u32,
}

/// Value of an extended attribute: short ones stand in the entry, longer ones are chunks.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum XattrValue {
    Inline(Vec<u8>),
    Chunk { len: u32, id: ChunkId, location: Location },
}

/// Values longer than this, in bytes, are stored as chunks.
pub const XATTR_INLINE_BYTES_MAX: usize = 256;

/// All extended attributes of one entry together, names and values, in bytes; more is ENOSPC.
pub const XATTRS_BYTES_MAX: usize = 64 << 10;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Xattr {
    pub name: Vec<u8>,
    pub value: XattrValue,
}

/// What an entry carries whatever its kind.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Meta {
    /// Permission, setuid, setgid and sticky bits (`0o7777`).
    pub mode: u16,
    pub owner: Option<Owner>,
    pub mtime: Time,
    /// Sorted by name, no name twice.
    pub xattrs: Vec<Xattr>,
}

/// What an entry holds; decides its [`Kind`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    File(FileContent),
    External(ExternalContent),
    Dir(DirContent),
    /// The target, as given to symlink(2).
    Symlink(Vec<u8>),
    Fifo,
    Socket,
    CharDevice {
        rdev: u64,
    },
    BlockDevice {
        rdev: u64,
    },
    /// A regular file whose content kind this version does not know: its canonical bytes and its places are kept, so
    /// that the entry can be written back as it was.
    Unknown {
        kind: u8,
        /// Length in bytes.
        size: u64,
        canonical: Vec<u8>,
        stored: Vec<u8>,
    },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub meta: Meta,
    pub content: Content,
}

/// Equality of content without its location: what merge and diff compare.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ContentKey {
    File(ContentId),
    Dir(NodeId),
    Symlink(Vec<u8>),
    Fifo,
    Socket,
    CharDevice(u64),
    BlockDevice(u64),
    Unknown(u8, u64, Vec<u8>),
}

impl Entry {
    pub fn kind(&self) -> Kind {
        match &self.content {
            Content::File(_) | Content::External(_) => Kind::File,
            Content::Dir(_) => Kind::Dir,
            Content::Symlink(_) => Kind::Symlink,
            Content::Fifo => Kind::Fifo,
            Content::Socket => Kind::Socket,
            Content::CharDevice { .. } => Kind::CharDevice,
            Content::BlockDevice { .. } => Kind::BlockDevice,
            Content::Unknown { .. } => Kind::Unknown,
        }
    }

    /// Size as stat(2) shows it, in bytes; 0 for directories and devices.
    pub fn size(&self) -> u64 {
        match &self.content {
            Content::File(file) => file.size,
            Content::External(external) => external.size,
            Content::Unknown { size, .. } => *size,
            Content::Symlink(target) => target.len() as u64,
            _ => 0,
        }
    }

    pub fn content_key(&self) -> ContentKey {
        match &self.content {
            Content::File(file) => ContentKey::File(file.id),
            Content::External(external) => ContentKey::File(external.id),
            Content::Dir(dir) => ContentKey::Dir(dir.id),
            Content::Symlink(target) => ContentKey::Symlink(target.clone()),
            Content::Fifo => ContentKey::Fifo,
            Content::Socket => ContentKey::Socket,
            Content::CharDevice { rdev } => ContentKey::CharDevice(*rdev),
            Content::BlockDevice { rdev } => ContentKey::BlockDevice(*rdev),
            Content::Unknown { kind, size, canonical, .. } => ContentKey::Unknown(*kind, *size, canonical.clone()),
        }
    }

    /// What this entry adds to the counts of the directory that holds it: itself, and all below it.
    pub fn counts(&self) -> Counts {
        let itself = Counts { entries: 1, ..Counts::default() };
        match &self.content {
            Content::Dir(dir) => itself + dir.counts,
            Content::File(_) | Content::External(_) | Content::Unknown { .. } => {
                itself + Counts { entries: 0, files: 1, bytes: self.size() }
            }
            _ => itself,
        }
    }

    pub fn as_dir(&self) -> Option<&DirContent> {
        match &self.content {
            Content::Dir(dir) => Some(dir),
            _ => None,
        }
    }

    /// Same kind, content, mode, owner and extended attributes; times and locations aside.
    pub fn same_but_times(&self, other: &Entry) -> bool {
        self.content_key() == other.content_key()
            && self.meta.mode == other.meta.mode
            && self.meta.owner == other.meta.owner
            && same_xattrs(&self.meta.xattrs, &other.meta.xattrs)
    }

    /// Same in everything that is hashed.
    pub fn same(&self, other: &Entry) -> bool {
        self.same_but_times(other) && self.meta.mtime == other.meta.mtime
    }
}

impl XattrValue {
    /// Equal, wherever long values lie.
    pub fn same(&self, other: &XattrValue) -> bool {
        match (self, other) {
            (XattrValue::Inline(a), XattrValue::Inline(b)) => a == b,
            (XattrValue::Chunk { id: a, .. }, XattrValue::Chunk { id: b, .. }) => a == b,
            _ => false,
        }
    }
}

/// Equal names and values, wherever long values lie.
pub fn same_xattrs(a: &[Xattr], b: &[Xattr]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.name == b.name && a.value.same(&b.value))
}
