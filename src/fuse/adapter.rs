//! The kernel's callbacks: each becomes one call of `vfs`.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use fuser::{
    BsdFileFlags, CopyFileRangeFlags, FileHandle, Filesystem, INodeNo, InitFlags, IoctlFlags, KernelConfig, LockOwner,
    OpenFlags, PollEvents, PollFlags, PollNotifier, RenameFlags, ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory,
    ReplyDirectoryPlus, ReplyEmpty, ReplyEntry, ReplyIoctl, ReplyLseek, ReplyOpen, ReplyPoll, ReplyStatfs, ReplyWrite,
    ReplyXattr, Request, TimeOrNow, WriteFlags,
};

use super::later::{Operation, Server};
use super::reply::Listing;
use super::session::Ended;
use super::unanswered::Pace;
use crate::sys;
use crate::vfs::error::VfsError;
use crate::vfs::miss::Miss;
use crate::vfs::node::{Caller, NewNode, NewTime, SetAttr};

/// Bytes of one write(2) that reach us in one request; the kernel's own ceiling is 256 pages.
const WRITE_BYTES_MAX: u32 = 1 << 20;

/// Requests that the kernel sends ahead (readahead, direct I/O) before it waits for answers; its default of 12 starves
/// readahead of several files at once.
const BACKGROUND_REQUESTS_MAX: u16 = 64;

/// Filesystems that may lie on each other below us, for local files that the kernel uses by itself. Two where these lie on
/// an overlay (in most containers); this mount can then not be a layer of another.
fn stack_depth(dir: &Path) -> u32 {
    let overlay = sys::disk::filesystem_type(dir).is_ok_and(|kind| kind == libc::OVERLAYFS_SUPER_MAGIC);
    if overlay { 2 } else { 1 }
}

/// What fuser drives.
#[derive(Debug)]
pub struct Adapter {
    server: Server,
    ended: Ended,
}

impl Adapter {
    pub fn new(server: Server, ended: Ended) -> Adapter {
        Adapter { server, ended }
    }
}

/// Calls `vfs` here and now. Only when something has to be fetched first are the borrowed arguments (named in brackets)
/// copied and the call made again aside.
macro_rules! serve {
    ($self:ident, $request:ident, $reply:ident, $name:literal, [$($borrowed:ident),*], |$vfs:ident, $caller:ident| $call:expr) => {{
        let operation = $self.operation($name, $request, Pace::Prompt);
        let asker = operation.caller;
        let $caller = &asker;
        let $vfs = $self.server.vfs();
        match Miss::of($call, false) {
            Ok(miss) => {
                $(let $borrowed = $borrowed.to_owned();)*
                $self.server.later(operation, $reply, miss, move |$vfs, _| {
                    $(let $borrowed = &*$borrowed;)*
                    let $caller = &asker;
                    $call
                });
            }
            Err(result) => $self.server.finish(operation, $reply, result),
        }
    }};
}

/// Calls `vfs` aside from the beginning: the call may sync a disk, copy much, or run a command.
macro_rules! serve_apart {
    ($self:ident, $request:ident, $reply:ident, $name:literal, |$vfs:ident, $caller:ident| $call:expr) => {{
        let operation = $self.operation($name, $request, Pace::Disk);
        let asker = operation.caller;
        $self.server.apart(operation, $reply, move |$vfs, _| {
            let $caller = &asker;
            $call
        });
    }};
}

impl Adapter {
    fn operation(&self, name: &'static str, request: &Request, pace: Pace) -> Operation {
        self.server.begin(name, Caller { uid: request.uid(), gid: request.gid(), pid: request.pid() }, pace)
    }

    fn list<R: Listing>(&self, request: &Request, name: &'static str, handle: u64, offset: u64, plus: bool, reply: R) {
        let operation = self.operation(name, request, Pace::Prompt);
        let mut reply = reply;
        let attempt = move |vfs: &crate::vfs::Vfs, reply: &mut R| {
            vfs.read_dir(handle, offset, plus, &mut |item| reply.take(item))
        };
        match Miss::of(attempt(self.server.vfs(), &mut reply), false) {
            Ok(miss) => self.server.later(operation, reply, miss, attempt),
            Err(result) => self.server.finish(operation, reply, result),
        }
    }
}

/// Nanoseconds since the epoch. For times before it, `fuser` 0.18 counts the kernel's nanoseconds, which go forward
/// from a negative second, backward: this takes both numbers as the kernel gave them.
fn as_the_kernel_said(time: SystemTime) -> i64 {
    match UNIX_EPOCH.duration_since(time) {
        Ok(before) if !before.is_zero() => {
            let seconds = i64::try_from(before.as_secs()).unwrap_or(i64::MAX);
            seconds.saturating_mul(-1_000_000_000).saturating_add(i64::from(before.subsec_nanos()))
        }
        _ => sys::clock::nanos_since_epoch(time),
    }
}

fn new_time(time: TimeOrNow) -> NewTime {
    match time {
        TimeOrNow::Now => NewTime::Now,
        TimeOrNow::SpecificTime(time) => NewTime::At(as_the_kernel_said(time)),
    }
}

/// What mknod(2) makes, by the type bits of its mode; plain files have none or `S_IFREG`.
fn node_to_make(mode: u32, rdev: u32) -> Result<NewNode<'static>, VfsError> {
    match mode & libc::S_IFMT {
        0 | libc::S_IFREG => Ok(NewNode::File),
        libc::S_IFIFO => Ok(NewNode::Fifo),
        libc::S_IFSOCK => Ok(NewNode::Socket),
        libc::S_IFCHR => Ok(NewNode::CharDevice(u64::from(rdev))),
        libc::S_IFBLK => Ok(NewNode::BlockDevice(u64::from(rdev))),
        other => Err(VfsError::Invalid(format!("no file has the type {other:#o}"))),
    }
}

impl Filesystem for Adapter {
    fn init(&mut self, _request: &Request, config: &mut KernelConfig) -> io::Result<()> {
        // No write-back cache: it would take sizes and times out of our hands, and shut passthrough out.
        let wanted = InitFlags::FUSE_PARALLEL_DIROPS
            | InitFlags::FUSE_DO_READDIRPLUS
            | InitFlags::FUSE_READDIRPLUS_AUTO
            | InitFlags::FUSE_CACHE_SYMLINKS
            | InitFlags::FUSE_ASYNC_DIO
            | InitFlags::FUSE_DIRECT_IO_ALLOW_MMAP
            | InitFlags::FUSE_PASSTHROUGH
            // We clear setuid and setgid ourselves, which spares a request for `security.capability` before each write.
            | InitFlags::FUSE_HANDLE_KILLPRIV_V2;
        let offered = config.capabilities() & wanted;
        if let Err(refused) = config.add_capabilities(offered) {
            tracing::warn!("the kernel offered {refused:?} and does not take it");
        }
        // What is refused here is answered with the nearest value that is not.
        if let Err(nearest) = config.set_max_write(WRITE_BYTES_MAX) {
            config.set_max_write(nearest).ok();
        }
        config.set_max_stack_depth(stack_depth(&self.server.vfs().options().state_dir)).ok();
        config.set_max_background(BACKGROUND_REQUESTS_MAX).ok();
        Ok(())
    }

    fn destroy(&mut self) {
        self.ended.announce();
    }

    fn lookup(&self, request: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let name = name.as_bytes();
        serve!(self, request, reply, "lookup", [name], |vfs, caller| vfs.lookup(caller, parent.0, name));
    }

    fn forget(&self, _request: &Request, ino: INodeNo, count: u64) {
        self.server.vfs().forget(ino.0, count);
    }

    fn getattr(&self, request: &Request, ino: INodeNo, _handle: Option<FileHandle>, reply: ReplyAttr) {
        serve!(self, request, reply, "stat", [], |vfs, caller| vfs.attr(caller, ino.0));
    }

    fn setattr(
        &self,
        request: &Request,
        ino: INodeNo,
        mode: Option<u32>,
        uid: Option<u32>,
        gid: Option<u32>,
        size: Option<u64>,
        atime: Option<TimeOrNow>,
        mtime: Option<TimeOrNow>,
        _ctime: Option<SystemTime>,
        handle: Option<FileHandle>,
        _crtime: Option<SystemTime>,
        _chgtime: Option<SystemTime>,
        _bkuptime: Option<SystemTime>,
        _flags: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let changes = SetAttr {
            mode: mode.map(|mode| (mode & 0o7777) as u16),
            uid,
            gid,
            size,
            atime: atime.map(new_time),
            mtime: mtime.map(new_time),
        };
        let handle = handle.map(|handle| handle.0);
        serve!(self, request, reply, "set attributes", [], |vfs, caller| vfs.set_attr(caller, ino.0, handle, &changes));
    }

    fn readlink(&self, request: &Request, ino: INodeNo, reply: ReplyData) {
        serve!(self, request, reply, "readlink", [], |vfs, caller| vfs.readlink(caller, ino.0));
    }

    fn mknod(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        _umask: u32,
        rdev: u32,
        reply: ReplyEntry,
    ) {
        let name = name.as_bytes();
        let permissions = (mode & 0o7777) as u16;
        serve!(self, request, reply, "mknod", [name], |vfs, caller| node_to_make(mode, rdev)
            .and_then(|node| vfs.make(caller, parent.0, name, node, permissions)));
    }

    fn mkdir(&self, request: &Request, parent: INodeNo, name: &OsStr, mode: u32, _umask: u32, reply: ReplyEntry) {
        let name = name.as_bytes();
        let permissions = (mode & 0o7777) as u16;
        serve!(self, request, reply, "mkdir", [name], |vfs, caller| {
            vfs.make(caller, parent.0, name, NewNode::Dir, permissions)
        });
    }

    fn unlink(&self, request: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let name = name.as_bytes();
        serve!(self, request, reply, "unlink", [name], |vfs, caller| vfs.unlink(caller, parent.0, name));
    }

    fn rmdir(&self, request: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let name = name.as_bytes();
        serve!(self, request, reply, "rmdir", [name], |vfs, caller| vfs.rmdir(caller, parent.0, name));
    }

    fn symlink(&self, request: &Request, parent: INodeNo, name: &OsStr, target: &std::path::Path, reply: ReplyEntry) {
        let (name, target) = (name.as_bytes(), target.as_os_str().as_bytes());
        serve!(self, request, reply, "symlink", [name, target], |vfs, caller| {
            vfs.make(caller, parent.0, name, NewNode::Symlink(target), 0o777)
        });
    }

    fn rename(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        new_parent: INodeNo,
        new_name: &OsStr,
        flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        let (name, new_name) = (name.as_bytes().to_vec(), new_name.as_bytes().to_vec());
        serve_apart!(self, request, reply, "rename", |vfs, caller| {
            vfs.rename(caller, (parent.0, &name), (new_parent.0, &new_name), flags.bits())
        });
    }

    fn link(&self, request: &Request, ino: INodeNo, new_parent: INodeNo, new_name: &OsStr, reply: ReplyEntry) {
        let new_name = new_name.as_bytes();
        serve!(self, request, reply, "link", [new_name], |vfs, caller| {
            vfs.link(caller, ino.0, new_parent.0, new_name)
        });
    }

    fn open(&self, request: &Request, ino: INodeNo, flags: OpenFlags, reply: ReplyOpen) {
        serve!(self, request, reply, "open", [], |vfs, caller| vfs.open(caller, ino.0, flags.0));
    }

    fn create(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        _umask: u32,
        flags: i32,
        reply: ReplyCreate,
    ) {
        let name = name.as_bytes();
        let permissions = (mode & 0o7777) as u16;
        serve!(self, request, reply, "create", [name], |vfs, caller| {
            vfs.create(caller, parent.0, name, permissions, flags)
        });
    }

    fn read(
        &self,
        request: &Request,
        _ino: INodeNo,
        handle: FileHandle,
        offset: u64,
        size: u32,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let mut operation = self.operation("read", request, Pace::Prompt);
        operation.reads = Some(handle.0);
        let asker = operation.caller;
        let attempt = move |vfs: &crate::vfs::Vfs, _: &mut ReplyData| vfs.read(&asker, handle.0, offset, size);
        let mut reply = reply;
        match Miss::of(attempt(self.server.vfs(), &mut reply), false) {
            Ok(miss) => self.server.later(operation, reply, miss, attempt),
            Err(result) => self.server.finish(operation, reply, result),
        }
    }

    fn write(
        &self,
        request: &Request,
        _ino: INodeNo,
        handle: FileHandle,
        offset: u64,
        data: &[u8],
        write_flags: WriteFlags,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let drop_privileges = write_flags.contains(WriteFlags::FUSE_WRITE_KILL_SUIDGID);
        serve!(self, request, reply, "write", [data], |vfs, caller| {
            vfs.write(caller, handle.0, offset, data, drop_privileges)
        });
    }

    fn release(
        &self,
        request: &Request,
        _ino: INodeNo,
        handle: FileHandle,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        _flush: bool,
        reply: ReplyEmpty,
    ) {
        serve!(self, request, reply, "release", [], |vfs, caller| vfs.release(caller, handle.0));
    }

    fn fsync(&self, request: &Request, _ino: INodeNo, handle: FileHandle, data_only: bool, reply: ReplyEmpty) {
        serve_apart!(self, request, reply, "fsync", |vfs, caller| vfs.fsync(caller, handle.0, data_only));
    }

    fn opendir(&self, request: &Request, ino: INodeNo, _flags: OpenFlags, reply: ReplyOpen) {
        serve!(self, request, reply, "opendir", [], |vfs, caller| vfs.open_dir(caller, ino.0));
    }

    fn readdir(&self, request: &Request, _ino: INodeNo, handle: FileHandle, offset: u64, reply: ReplyDirectory) {
        self.list(request, "readdir", handle.0, offset, false, reply);
    }

    fn readdirplus(
        &self,
        request: &Request,
        _ino: INodeNo,
        handle: FileHandle,
        offset: u64,
        reply: ReplyDirectoryPlus,
    ) {
        self.list(request, "readdir", handle.0, offset, true, reply);
    }

    fn releasedir(&self, request: &Request, _ino: INodeNo, handle: FileHandle, _flags: OpenFlags, reply: ReplyEmpty) {
        serve!(self, request, reply, "release", [], |vfs, caller| vfs.release(caller, handle.0));
    }

    fn fsyncdir(&self, request: &Request, _ino: INodeNo, handle: FileHandle, data_only: bool, reply: ReplyEmpty) {
        serve_apart!(self, request, reply, "fsync", |vfs, caller| vfs.fsync(caller, handle.0, data_only));
    }

    fn statfs(&self, request: &Request, ino: INodeNo, reply: ReplyStatfs) {
        serve!(self, request, reply, "statfs", [], |vfs, caller| vfs.statfs(caller, ino.0));
    }

    fn setxattr(
        &self,
        request: &Request,
        ino: INodeNo,
        name: &OsStr,
        value: &[u8],
        flags: i32,
        _position: u32,
        reply: ReplyEmpty,
    ) {
        let name = name.as_bytes();
        serve!(self, request, reply, "setxattr", [name, value], |vfs, caller| {
            vfs.set_xattr(caller, ino.0, name, value, flags)
        });
    }

    fn getxattr(&self, request: &Request, ino: INodeNo, name: &OsStr, size: u32, reply: ReplyXattr) {
        let name = name.as_bytes();
        serve!(self, request, reply, "getxattr", [name], |vfs, caller| vfs.xattr(caller, ino.0, name, size));
    }

    fn listxattr(&self, request: &Request, ino: INodeNo, size: u32, reply: ReplyXattr) {
        serve!(self, request, reply, "listxattr", [], |vfs, caller| vfs.xattr_names(caller, ino.0, size));
    }

    fn removexattr(&self, request: &Request, ino: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let name = name.as_bytes();
        serve!(self, request, reply, "removexattr", [name], |vfs, caller| vfs.remove_xattr(caller, ino.0, name));
    }

    fn fallocate(
        &self,
        request: &Request,
        _ino: INodeNo,
        handle: FileHandle,
        offset: u64,
        length: u64,
        mode: i32,
        reply: ReplyEmpty,
    ) {
        serve_apart!(self, request, reply, "fallocate", |vfs, caller| {
            vfs.allocate(caller, handle.0, mode, offset, length)
        });
    }

    fn lseek(&self, request: &Request, _ino: INodeNo, handle: FileHandle, offset: i64, whence: i32, reply: ReplyLseek) {
        serve!(self, request, reply, "lseek", [], |vfs, caller| vfs.seek(caller, handle.0, offset, whence));
    }

    // Not left to fuser, which would write a warning into the log for each of these.

    fn ioctl(
        &self,
        request: &Request,
        _ino: INodeNo,
        _handle: FileHandle,
        _flags: IoctlFlags,
        _command: u32,
        _data: &[u8],
        _size: u32,
        reply: ReplyIoctl,
    ) {
        self.server.finish(self.operation("ioctl", request, Pace::Prompt), reply, Err(VfsError::LeftToKernel));
    }

    fn poll(
        &self,
        request: &Request,
        _ino: INodeNo,
        _handle: FileHandle,
        _notifier: PollNotifier,
        _events: PollEvents,
        _flags: PollFlags,
        reply: ReplyPoll,
    ) {
        self.server.finish(self.operation("poll", request, Pace::Prompt), reply, Err(VfsError::LeftToKernel));
    }

    fn copy_file_range(
        &self,
        request: &Request,
        _from_ino: INodeNo,
        from: FileHandle,
        from_offset: u64,
        _to_ino: INodeNo,
        to: FileHandle,
        to_offset: u64,
        length: u64,
        _flags: CopyFileRangeFlags,
        reply: ReplyWrite,
    ) {
        serve_apart!(self, request, reply, "copy_file_range", |vfs, caller| {
            vfs.copy_range(caller, (from.0, from_offset), (to.0, to_offset), length)
        });
    }
}
