//! Results of `vfs` as replies to the kernel.

use std::convert::Infallible;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fuser::{
    BackingId, Errno, FileAttr, FileHandle, FileType, FopenFlags, Generation, INodeNo, ReplyAttr, ReplyCreate,
    ReplyData, ReplyDirectory, ReplyDirectoryPlus, ReplyEmpty, ReplyEntry, ReplyIoctl, ReplyLseek, ReplyOpen,
    ReplyPoll, ReplyStatfs, ReplyWrite, ReplyXattr,
};

use super::backing::LocalFile;
use crate::vfs::node::{
    Created, DirItem, DirServing, FileKind, Lookup, NodeAttr, NodeEntry, Opened, OpenedDir, Serving, StatFs,
    XattrAnswer,
};

/// Numbers of nodes are never used again, so one generation serves all.
const GENERATION: Generation = Generation(0);

/// Bytes of one I/O that stat(2) recommends.
const BLOCK_BYTES: u32 = 4096;

/// A reply that takes a `T` or an error, once.
pub trait Answer<T>: Send + 'static {
    fn success(self, value: T);
    fn failure(self, errno: Errno);
}

macro_rules! answer {
    ($reply:ty, $value:ty, |$this:ident, $given:pat_param| $send:expr) => {
        impl Answer<$value> for $reply {
            fn success(self, $given: $value) {
                let $this = self;
                $send;
            }

            fn failure(self, errno: Errno) {
                self.error(errno);
            }
        }
    };
}

answer!(ReplyEmpty, (), |reply, ()| reply.ok());
answer!(ReplyEntry, NodeEntry, |reply, entry| send_entry(reply, &entry));
answer!(ReplyEntry, Lookup, |reply, lookup| match lookup {
    Lookup::Found(entry) => send_entry(reply, &entry),
    Lookup::Absent { ttl } => reply.entry(&ttl, &absent(), GENERATION),
});
answer!(ReplyAttr, (NodeAttr, Duration), |reply, (attr, ttl)| reply.attr(&ttl, &file_attr(&attr)));
answer!(ReplyData, Vec<u8>, |reply, data| reply.data(&data));
answer!(ReplyData, bytes::Bytes, |reply, data| reply.data(&data));
answer!(ReplyOpen, Opened, |reply, opened| {
    let (handle, flags) = (FileHandle(opened.handle), flags_of(&opened.serving));
    match local_file(&opened.serving) {
        None => reply.opened(handle, flags),
        Some(file) => {
            // SAFETY: the number is of this mount, and in use as long as `file`.
            let backing = unsafe { reply.wrap_backing(file.id()) };
            reply.opened_passthrough(handle, flags, &backing);
            let_file_close(backing);
        }
    }
});
answer!(ReplyOpen, OpenedDir, |reply, opened| {
    let flags = match opened.serving {
        DirServing::Fresh => FopenFlags::FOPEN_CACHE_DIR,
        DirServing::Kept => FopenFlags::FOPEN_CACHE_DIR | FopenFlags::FOPEN_KEEP_CACHE,
        DirServing::Direct => FopenFlags::empty(),
    };
    reply.opened(FileHandle(opened.handle), flags)
});
answer!(ReplyCreate, Created, |reply, created| {
    // One ttl serves both entry and attributes here.
    let ttl = created.entry.attr_ttl.min(created.entry.entry_ttl);
    let attr = file_attr(&created.entry.attr);
    let (handle, flags) = (FileHandle(created.opened.handle), flags_of(&created.opened.serving));
    match local_file(&created.opened.serving) {
        None => reply.created(&ttl, &attr, GENERATION, handle, flags),
        Some(file) => {
            // SAFETY: the number is of this mount, and in use as long as `file`.
            let backing = unsafe { reply.wrap_backing(file.id()) };
            reply.created_passthrough(&ttl, &attr, GENERATION, handle, flags, &backing);
            let_file_close(backing);
        }
    }
});
answer!(ReplyWrite, u32, |reply, written| reply.written(written));
answer!(ReplyLseek, u64, |reply, offset| reply.offset(i64::try_from(offset).unwrap_or(i64::MAX)));
answer!(ReplyXattr, XattrAnswer, |reply, answer| match answer {
    XattrAnswer::Size(bytes) => reply.size(bytes),
    XattrAnswer::Data(data) => reply.data(&data),
});
answer!(ReplyStatfs, StatFs, |reply, space| reply.statfs(
    space.blocks,
    space.blocks_free,
    space.blocks_available,
    space.files,
    space.files_free,
    space.block_bytes,
    space.name_bytes_max,
    space.block_bytes,
));
answer!(ReplyIoctl, Infallible, |_reply, never| match never {});
answer!(ReplyPoll, Infallible, |_reply, never| match never {});
answer!(ReplyDirectory, (), |reply, ()| reply.ok());
answer!(ReplyDirectoryPlus, (), |reply, ()| reply.ok());

fn send_entry(reply: ReplyEntry, entry: &NodeEntry) {
    reply.entry_with_ttls(&entry.attr_ttl, &entry.entry_ttl, &file_attr(&entry.attr), GENERATION);
}

/// A buffer that takes entries of a listing until it is full.
pub trait Listing: Answer<()> {
    /// False when `item` found no room.
    fn take(&mut self, item: &DirItem<'_>) -> bool;
}

impl Listing for ReplyDirectory {
    fn take(&mut self, item: &DirItem<'_>) -> bool {
        !self.add(INodeNo(item.ino), item.next, file_type(item.kind), OsStr::from_bytes(item.name))
    }
}

impl Listing for ReplyDirectoryPlus {
    fn take(&mut self, item: &DirItem<'_>) -> bool {
        let (attr, ttl) = match &item.entry {
            Some(entry) => (file_attr(&entry.attr), entry.attr_ttl.min(entry.entry_ttl)),
            // Only `.` and `..` come without: the kernel takes no lookup from these two, and shows their number.
            None => (FileAttr { ino: INodeNo(item.ino), kind: file_type(item.kind), ..absent() }, Duration::ZERO),
        };
        !self.add(INodeNo(item.ino), item.next, OsStr::from_bytes(item.name), &ttl, &attr, GENERATION)
    }
}

/// close(2) is told of no file: nothing can fail then.
fn flags_of(serving: &Serving) -> FopenFlags {
    match serving {
        Serving::Passthrough(_) => FopenFlags::FOPEN_NOFLUSH,
        Serving::Kept => FopenFlags::FOPEN_NOFLUSH | FopenFlags::FOPEN_KEEP_CACHE,
        Serving::Direct => FopenFlags::FOPEN_NOFLUSH | FopenFlags::FOPEN_DIRECT_IO,
    }
}

fn local_file(serving: &Serving) -> Option<&LocalFile> {
    match serving {
        Serving::Passthrough(backing) => backing.downcast_ref(),
        Serving::Kept | Serving::Direct => None,
    }
}

/// Whoever registered the file also closes it.
fn let_file_close(backing: BackingId) {
    backing.into_raw();
}

fn file_type(kind: FileKind) -> FileType {
    match kind {
        FileKind::File => FileType::RegularFile,
        FileKind::Dir => FileType::Directory,
        FileKind::Symlink => FileType::Symlink,
        FileKind::Fifo => FileType::NamedPipe,
        FileKind::Socket => FileType::Socket,
        FileKind::CharDevice => FileType::CharDevice,
        FileKind::BlockDevice => FileType::BlockDevice,
    }
}

fn system_time(nanos: i64) -> SystemTime {
    let distance = Duration::from_nanos(nanos.unsigned_abs());
    if nanos < 0 { UNIX_EPOCH - distance } else { UNIX_EPOCH + distance }
}

fn file_attr(attr: &NodeAttr) -> FileAttr {
    FileAttr {
        ino: INodeNo(attr.ino),
        size: attr.size,
        blocks: attr.blocks,
        atime: system_time(attr.atime),
        mtime: system_time(attr.mtime),
        ctime: system_time(attr.ctime),
        crtime: UNIX_EPOCH,
        kind: file_type(attr.kind),
        perm: attr.mode,
        nlink: attr.nlink,
        uid: attr.uid,
        gid: attr.gid,
        rdev: u32::try_from(attr.rdev).unwrap_or(u32::MAX),
        blksize: BLOCK_BYTES,
        flags: 0,
    }
}

/// A node of number 0 says that there is none.
fn absent() -> FileAttr {
    FileAttr {
        ino: INodeNo(0),
        size: 0,
        blocks: 0,
        atime: UNIX_EPOCH,
        mtime: UNIX_EPOCH,
        ctime: UNIX_EPOCH,
        crtime: UNIX_EPOCH,
        kind: FileType::RegularFile,
        perm: 0,
        nlink: 0,
        uid: 0,
        gid: 0,
        rdev: 0,
        blksize: BLOCK_BYTES,
        flags: 0,
    }
}
