//! What the kernel is told about files: attributes, entries, handles, and what it must forget.

use std::time::Duration;

pub use crate::workspace::direct::{Backer, Backing};

/// Number of the mount's root directory, by FUSE's own rule.
pub const ROOT: u64 = 1;

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caller {
    pub uid: u32,
    pub gid: u32,
    pub pid: u32,
}

/// Type of a file, as stat(2) shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FileKind {
    File,
    Dir,
    Symlink,
    Fifo,
    Socket,
    CharDevice,
    BlockDevice,
}

/// Attributes of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeAttr {
    /// Number of the node, for the kernel and for stat(2).
    pub ino: u64,
    pub kind: FileKind,
    /// Permission, setuid, setgid and sticky bits.
    pub mode: u16,
    pub uid: u32,
    pub gid: u32,
    pub rdev: u64,
    /// Bytes.
    pub size: u64,
    /// Units of 512 bytes.
    pub blocks: u64,
    /// Nanoseconds since the epoch, as the other times.
    pub atime: i64,
    pub mtime: i64,
    pub ctime: i64,
    pub nlink: u32,
}

/// A name that leads to a node, and for how long the kernel may believe both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeEntry {
    pub attr: NodeAttr,
    pub attr_ttl: Duration,
    pub entry_ttl: Duration,
}

/// What a name leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lookup {
    Found(NodeEntry),
    /// Nothing, and for how long the kernel may believe it.
    Absent {
        ttl: Duration,
    },
}

/// How the kernel treats the data of an open file.
#[derive(Clone, Debug)]
pub enum Serving {
    /// Pages of earlier opens are good too.
    Kept,
    /// No pages: each read(2) and write(2) comes as it was made.
    Direct,
    /// None of them comes: the kernel uses a local file.
    Passthrough(Backing),
}

/// How the kernel treats the listing of an open directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DirServing {
    /// It is kept from now on; what an earlier open kept is dropped.
    Fresh,
    /// What an earlier open kept is good too.
    Kept,
    /// It is not kept.
    Direct,
}

/// An open file.
#[derive(Clone, Debug)]
pub struct Opened {
    pub handle: u64,
    pub serving: Serving,
}

/// An open directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenedDir {
    pub handle: u64,
    pub serving: DirServing,
}

/// A file just made, and open.
#[derive(Clone, Debug)]
pub struct Created {
    pub entry: NodeEntry,
    pub opened: Opened,
}

/// One entry of a listing.
#[derive(Clone, Copy, Debug)]
pub struct DirItem<'a> {
    pub name: &'a [u8],
    pub ino: u64,
    pub kind: FileKind,
    /// Where the listing goes on after this entry.
    pub next: u64,
    /// Present when the listing brings attributes; each one taken counts as a lookup.
    pub entry: Option<NodeEntry>,
}

/// What to make under a new name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NewNode<'a> {
    File,
    Dir,
    Symlink(&'a [u8]),
    Fifo,
    Socket,
    CharDevice(u64),
    BlockDevice(u64),
}

/// A time to set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NewTime {
    Now,
    /// Nanoseconds since the epoch.
    At(i64),
}

/// Attributes to change; the others stay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SetAttr {
    pub mode: Option<u16>,
    pub uid: Option<u32>,
    pub gid: Option<u32>,
    pub size: Option<u64>,
    pub atime: Option<NewTime>,
    pub mtime: Option<NewTime>,
}

/// The answer to a request for an attribute's value, or for their names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum XattrAnswer {
    /// The caller asked how much room it needs.
    Size(u32),
    Data(Vec<u8>),
}

/// Space as statfs(2) shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatFs {
    /// Bytes of one block.
    pub block_bytes: u32,
    pub blocks: u64,
    pub blocks_free: u64,
    pub blocks_available: u64,
    pub files: u64,
    pub files_free: u64,
    pub name_bytes_max: u32,
}

/// Something that the kernel holds and that is no longer so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outdated {
    /// What a name leads to, or that it leads nowhere; and its directory's listing.
    Name { parent: u64, name: Vec<u8> },
    /// Attributes.
    Attributes { ino: u64 },
    /// Attributes and pages: a file's data, a directory's listing, a symlink's target.
    Pages { ino: u64 },
}

/// Whoever can make the kernel forget. Called from background tasks, never while an operation is served or a lock held.
pub trait KernelCache: std::fmt::Debug + Send + Sync {
    /// Queues `outdated`, and tells `done` once the kernel has forgotten it all, also what was queued before.
    fn forget(&self, outdated: Vec<Outdated>, done: tokio::sync::oneshot::Sender<()>);
}
