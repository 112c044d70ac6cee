//! Values that operations take and give: attributes, what to create, what to change.

use super::direct::Backing;
use crate::model::entry::{Kind, Owner};
use crate::model::time::Time;

/// Attributes of one inode, as stat(2) shows them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attr {
    pub ino: u64,
    pub kind: Kind,
    /// `0o7777` bits.
    pub mode: u16,
    /// None shows as whoever mounts.
    pub owner: Option<Owner>,
    pub rdev: u64,
    pub size: u64,
    /// Of 512 bytes.
    pub blocks: u64,
    pub mtime: Time,
    /// Local: starts as the mtime, moves with each change made here.
    pub ctime: Time,
    /// Not stored: the mtime.
    pub atime: Time,
    /// For a directory that is not committed yet 2 and one for each subdirectory. For a committed one 1: counting would
    /// need a walk, and 1 tells programs that nothing was counted.
    pub nlink: u32,
}

/// What [`super::view::Workspace::set_attr`] changes; none leaves as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SetAttr {
    /// `0o7777` bits.
    pub mode: Option<u16>,
    pub owner: Option<Owner>,
    pub size: Option<u64>,
    pub mtime: Option<Time>,
}

/// What to create.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NewNode {
    File,
    Dir,
    Symlink(Vec<u8>),
    Fifo,
    Socket,
    CharDevice { rdev: u64 },
    BlockDevice { rdev: u64 },
}

/// One entry of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    pub name: Vec<u8>,
    pub attr: Attr,
}

/// How rename(2) treats an existing target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RenameMode {
    Replace,
    NoReplace,
    Exchange,
}

/// How setxattr(2) treats an existing value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum XattrMode {
    Any,
    /// Only when there is none.
    Create,
    /// Only when there is one.
    Replace,
}

/// What fallocate(2) does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AllocateMode {
    /// Reserve space, growing the file to the range's end.
    Grow,
    /// Reserve space; the size stays.
    KeepSize,
    /// Make the range a hole; the size stays.
    PunchHole,
    /// Make the range read as zeros, growing the file to the range's end.
    ZeroRange,
    /// Make the range read as zeros; the size stays.
    ZeroRangeKeepSize,
}

/// What lseek(2) looks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SeekFor {
    Data,
    Hole,
}

/// Room on the disk that staged files go to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    pub bytes_total: u64,
    pub bytes_free: u64,
    /// Free for whoever is not root.
    pub bytes_available: u64,
    pub files_total: u64,
    pub files_free: u64,
}

/// How the kernel may serve an inode's data; one state per inode at any time.
#[derive(Clone)]
pub enum Serving {
    /// Reads and writes come here. The kernel may keep its pages between opens: what changes them behind its back is
    /// told.
    KeptPages,
    /// Reads and writes go to one local file, and nobody is told.
    Passthrough(Backing),
}

impl std::fmt::Debug for Serving {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Serving::KeptPages => "KeptPages",
            Serving::Passthrough(_) => "Passthrough",
        })
    }
}

const SETUID: u16 = 0o4000;
const SETGID: u16 = 0o2000;
const GROUP_EXECUTE: u16 = 0o010;

/// What is left of a mode when a write, truncation or change of owner takes the privileges off a file. Setgid without
/// group execution is no privilege: it once meant mandatory locking.
pub fn without_privileges(mode: u16) -> u16 {
    let mode = mode & !SETUID;
    if mode & GROUP_EXECUTE != 0 { mode & !SETGID } else { mode }
}

#[cfg(test)]
mod tests {
    use super::without_privileges;

    #[test]
    fn setgid_goes_only_where_the_group_executes() {
        assert_eq!(without_privileges(0o6755), 0o0755);
        assert_eq!(without_privileges(0o6745), 0o2745);
        assert_eq!(without_privileges(0o1644), 0o1644);
    }
}
