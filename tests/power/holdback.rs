//! A filesystem on the real kernel that holds what it is asked in memory, so that the power can be cut on command: what
//! was never synced is then there or not, as [`super::disk`] has it. It keeps the whole history, so that one run can be
//! cut anywhere.
//!
//! Whoever works on it must be another process: a page fault on a mapping of its files holds what the thread that serves
//! it may need.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fuser::{
    BsdFileFlags, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation, INodeNo, LockOwner,
    OpenFlags, RenameFlags, ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory, ReplyEmpty, ReplyEntry, ReplyLseek,
    ReplyOpen, ReplyStatfs, ReplyWrite, Request, TimeOrNow, WriteFlags,
};
use parking_lot::Mutex;

use super::disk::{Body, Image, Made, Op, PAGE, ROOT};

/// The kernel asks again each time: link counts and times move without it being told.
const TTL: Duration = Duration::ZERO;

const GENERATION: Generation = Generation(0);

/// How often, and how long apart, it is tried to unmount what somebody still uses.
const LOOKS_MAX: u32 = 200;
const LOOK_PAUSE: Duration = Duration::from_millis(50);

/// A disk that remembers everything it was asked.
#[derive(Debug)]
pub struct Recorder {
    /// Everything applied: what who uses it sees.
    now: Image,
    log: Vec<Op>,
}

pub type Shared = Arc<Mutex<Recorder>>;

/// Looking for this in the root, with a number behind it, puts a mark into the log. Nothing is found.
const MARK: &str = ".mark-";

/// Puts a mark into the log of the disk mounted on `dir`.
pub fn mark(dir: &Path, number: usize) {
    std::fs::symlink_metadata(dir.join(format!("{MARK}{number}"))).expect_err("a mark is no file");
}

impl Recorder {
    pub fn new(image: Image) -> Shared {
        Arc::new(Mutex::new(Recorder { now: image, log: Vec::new() }))
    }

    pub fn log(&self) -> &[Op] {
        &self.log
    }

    fn ask(&mut self, op: Op) {
        self.now.apply(&op);
        self.log.push(op);
    }
}

/// The mounted filesystem; unmounted when dropped.
pub struct Holdback {
    session: Option<fuser::BackgroundSession>,
    dir: PathBuf,
}

impl Holdback {
    /// Mounts on a folder that exists.
    pub fn mount(disk: &Shared, dir: &Path) -> Holdback {
        let next_ino = disk.lock().now.inodes.keys().max().copied().unwrap_or(ROOT) + 1;
        let served = Served {
            disk: disk.clone(),
            next_ino: AtomicU64::new(next_ino),
            next_handle: AtomicU64::new(1),
            listings: Mutex::default(),
        };
        let mut config = fuser::Config::default();
        config.mount_options =
            vec![fuser::MountOption::FSName("holdback".to_owned()), fuser::MountOption::DefaultPermissions];
        config.n_threads = Some(2);
        let session = fuser::Session::new(served, dir, &config).expect("the test filesystem mounts");
        Holdback { session: Some(session.spawn().expect("the test filesystem is served")), dir: dir.to_owned() }
    }

    pub fn unmount(mut self) {
        let session = self.session.take().expect("mounted until here");
        // Whoever watched over a daemon goes a moment after it, and fuser itself would try once.
        let mut looks = 0;
        loop {
            let tried = std::process::Command::new("umount").arg(&self.dir).output().expect("umount runs");
            if tried.status.success() {
                break;
            }
            looks += 1;
            assert!(looks < LOOKS_MAX, "{}", String::from_utf8_lossy(&tried.stderr));
            std::thread::sleep(LOOK_PAUSE);
        }
        // Only its threads are left to wait for.
        session.umount_and_join().ok();
    }
}

impl Drop for Holdback {
    fn drop(&mut self) {
        // A test that failed may have files open here: detach, so that nothing is left behind.
        if let Some(session) = self.session.take() {
            let _ = std::process::Command::new("umount").arg("-l").arg(&self.dir).status();
            drop(session);
        }
    }
}

type Listing = Vec<(u64, FileType, OsString)>;

struct Served {
    disk: Shared,
    next_ino: AtomicU64,
    next_handle: AtomicU64,
    /// Names of open directories as they were when opened.
    listings: Mutex<HashMap<u64, Listing>>,
}

impl Served {
    fn attr(&self, image: &Image, ino: u64) -> Option<FileAttr> {
        let inode = image.inodes.get(&ino)?;
        let (kind, size, blocks) = match &inode.body {
            Body::File { pages, len } => (FileType::RegularFile, *len, pages.len() as u64 * (PAGE / 512)),
            Body::Dir(_) => (FileType::Directory, PAGE, 8),
            Body::Symlink(target) => (FileType::Symlink, target.len() as u64, 0),
            Body::Socket => (FileType::Socket, 0, 0),
        };
        let nlink = if kind == FileType::RegularFile { image.names_of(ino) } else { 1 };
        let mtime = UNIX_EPOCH + Duration::new(inode.mtime.0.unsigned_abs(), inode.mtime.1);
        Some(FileAttr {
            ino: INodeNo(ino),
            size,
            blocks,
            atime: mtime,
            mtime,
            // As a real one it never stands still while the file changes.
            ctime: UNIX_EPOCH + Duration::from_micros(inode.version),
            crtime: UNIX_EPOCH,
            kind,
            perm: (inode.mode & 0o7777) as u16,
            nlink,
            uid: 0,
            gid: 0,
            rdev: 0,
            blksize: PAGE as u32,
            flags: 0,
        })
    }

    fn child(&self, image: &Image, dir: INodeNo, name: &OsStr) -> Result<u64, Errno> {
        let names = image.dir(dir.0).ok_or(Errno::ENOTDIR)?;
        names.get(name).copied().ok_or(Errno::ENOENT)
    }

    fn make(&self, dir: INodeNo, name: &OsStr, what: Made, mode: u32) -> Result<FileAttr, Errno> {
        let disk = &mut *self.disk.lock();
        if self.child(&disk.now, dir, name).is_ok() {
            return Err(Errno::EEXIST);
        }
        let ino = self.next_ino.fetch_add(1, Ordering::Relaxed);
        disk.ask(Op::Make { dir: dir.0, name: name.to_owned(), ino, what, mode });
        self.attr(&disk.now, ino).ok_or(Errno::EIO)
    }

    fn unlink(&self, dir: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let disk = &mut *self.disk.lock();
        match self.child(&disk.now, dir, name) {
            Ok(ino) if disk.now.dir(ino).is_some_and(|names| !names.is_empty()) => reply.error(Errno::ENOTEMPTY),
            Ok(_) => {
                disk.ask(Op::Unlink { dir: dir.0, name: name.to_owned() });
                reply.ok();
            }
            Err(error) => reply.error(error),
        }
    }

    fn handle(&self) -> FileHandle {
        FileHandle(self.next_handle.fetch_add(1, Ordering::Relaxed))
    }
}

fn entry(reply: ReplyEntry, made: Result<FileAttr, Errno>) {
    match made {
        Ok(attr) => reply.entry(&TTL, &attr, GENERATION),
        Err(error) => reply.error(error),
    }
}

fn time_of(time: TimeOrNow) -> (i64, u32) {
    let time = match time {
        TimeOrNow::SpecificTime(time) => time.duration_since(UNIX_EPOCH).unwrap_or_default(),
        // Nobody here looks at a time that nobody set.
        TimeOrNow::Now => Duration::ZERO,
    };
    (time.as_secs() as i64, time.subsec_nanos())
}

impl Filesystem for Served {
    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let disk = &mut *self.disk.lock();
        if let Some(number) = name.to_str().and_then(|name| name.strip_prefix(MARK)?.parse().ok()) {
            disk.log.push(Op::Mark(number));
        }
        let image = &disk.now;
        let found = self.child(image, parent, name).and_then(|ino| self.attr(image, ino).ok_or(Errno::EIO));
        entry(reply, found);
    }

    fn getattr(&self, _: &Request, ino: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        match self.attr(&self.disk.lock().now, ino.0) {
            Some(attr) => reply.attr(&TTL, &attr),
            None => reply.error(Errno::ENOENT),
        }
    }

    fn setattr(
        &self,
        _: &Request,
        ino: INodeNo,
        mode: Option<u32>,
        _uid: Option<u32>,
        _gid: Option<u32>,
        size: Option<u64>,
        _atime: Option<TimeOrNow>,
        mtime: Option<TimeOrNow>,
        _ctime: Option<SystemTime>,
        _fh: Option<FileHandle>,
        _crtime: Option<SystemTime>,
        _chgtime: Option<SystemTime>,
        _bkuptime: Option<SystemTime>,
        _flags: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let disk = &mut *self.disk.lock();
        if let Some(len) = size {
            disk.ask(Op::SetLen { ino: ino.0, len });
        }
        if mode.is_some() || mtime.is_some() {
            disk.ask(Op::Attr { ino: ino.0, mode, mtime: mtime.map(time_of) });
        }
        match self.attr(&disk.now, ino.0) {
            Some(attr) => reply.attr(&TTL, &attr),
            None => reply.error(Errno::ENOENT),
        }
    }

    fn readlink(&self, _: &Request, ino: INodeNo, reply: ReplyData) {
        match self.disk.lock().now.inodes.get(&ino.0).map(|inode| &inode.body) {
            Some(Body::Symlink(target)) => reply.data(target.as_bytes()),
            _ => reply.error(Errno::EINVAL),
        }
    }

    fn mknod(&self, _: &Request, parent: INodeNo, name: &OsStr, mode: u32, umask: u32, _: u32, reply: ReplyEntry) {
        let what = if mode & libc::S_IFMT == libc::S_IFSOCK { Made::Socket } else { Made::File };
        entry(reply, self.make(parent, name, what, mode & !umask));
    }

    fn mkdir(&self, _: &Request, parent: INodeNo, name: &OsStr, mode: u32, umask: u32, reply: ReplyEntry) {
        entry(reply, self.make(parent, name, Made::Dir, mode & !umask));
    }

    fn symlink(&self, _: &Request, parent: INodeNo, name: &OsStr, target: &Path, reply: ReplyEntry) {
        entry(reply, self.make(parent, name, Made::Symlink(target.into()), 0o777));
    }

    fn unlink(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        Served::unlink(self, parent, name, reply);
    }

    fn rmdir(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        Served::unlink(self, parent, name, reply);
    }

    fn rename(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        new_parent: INodeNo,
        new_name: &OsStr,
        flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        let disk = &mut *self.disk.lock();
        if let Err(error) = self.child(&disk.now, parent, name) {
            return reply.error(error);
        }
        if flags.bits() & libc::RENAME_NOREPLACE != 0 && self.child(&disk.now, new_parent, new_name).is_ok() {
            return reply.error(Errno::EEXIST);
        }
        let exchange = flags.bits() & libc::RENAME_EXCHANGE != 0;
        disk.ask(Op::Rename { from: (parent.0, name.to_owned()), to: (new_parent.0, new_name.to_owned()), exchange });
        reply.ok();
    }

    fn link(&self, _: &Request, ino: INodeNo, new_parent: INodeNo, new_name: &OsStr, reply: ReplyEntry) {
        let disk = &mut *self.disk.lock();
        if self.child(&disk.now, new_parent, new_name).is_ok() {
            return reply.error(Errno::EEXIST);
        }
        disk.ask(Op::Link { dir: new_parent.0, name: new_name.to_owned(), ino: ino.0 });
        entry(reply, self.attr(&disk.now, ino.0).ok_or(Errno::EIO));
    }

    fn create(&self, _: &Request, parent: INodeNo, name: &OsStr, mode: u32, umask: u32, _: i32, reply: ReplyCreate) {
        match self.make(parent, name, Made::File, mode & !umask) {
            Ok(attr) => reply.created(&TTL, &attr, GENERATION, self.handle(), FopenFlags::FOPEN_KEEP_CACHE),
            Err(error) => reply.error(error),
        }
    }

    fn open(&self, _: &Request, _: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        reply.opened(self.handle(), FopenFlags::FOPEN_KEEP_CACHE);
    }

    fn read(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        reply.data(&self.disk.lock().now.read(ino.0, offset, size as usize));
    }

    fn write(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        offset: u64,
        data: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        self.disk.lock().ask(Op::Write { ino: ino.0, offset, bytes: data.into() });
        reply.written(data.len() as u32);
    }

    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        reply.ok();
    }

    fn fsync(&self, _: &Request, ino: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        self.disk.lock().ask(Op::Sync { ino: ino.0 });
        reply.ok();
    }

    fn fsyncdir(&self, _: &Request, ino: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        self.disk.lock().ask(Op::Sync { ino: ino.0 });
        reply.ok();
    }

    fn opendir(&self, _: &Request, ino: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        let image = &self.disk.lock().now;
        let Some(names) = image.dir(ino.0) else { return reply.error(Errno::ENOTDIR) };
        let dots = [(ino.0, FileType::Directory, ".".into()), (ino.0, FileType::Directory, "..".into())];
        let kind = |child| self.attr(image, child).map_or(FileType::RegularFile, |attr| attr.kind);
        let names = names.iter().map(|(name, &child)| (child, kind(child), name.clone()));
        let handle = self.handle();
        self.listings.lock().insert(handle.0, dots.into_iter().chain(names).collect());
        reply.opened(handle, FopenFlags::empty());
    }

    fn readdir(&self, _: &Request, _: INodeNo, handle: FileHandle, offset: u64, mut reply: ReplyDirectory) {
        let listings = self.listings.lock();
        let Some(names) = listings.get(&handle.0) else { return reply.error(Errno::EBADF) };
        for (at, (ino, kind, name)) in names.iter().enumerate().skip(offset as usize) {
            if reply.add(INodeNo(*ino), at as u64 + 1, *kind, name) {
                break;
            }
        }
        reply.ok();
    }

    fn releasedir(&self, _: &Request, _: INodeNo, handle: FileHandle, _: OpenFlags, reply: ReplyEmpty) {
        self.listings.lock().remove(&handle.0);
        reply.ok();
    }

    fn statfs(&self, _: &Request, _: INodeNo, reply: ReplyStatfs) {
        // Room enough that nothing gives way.
        reply.statfs(1 << 20, 1 << 20, 1 << 20, 1 << 20, 1 << 20, PAGE as u32, 255, PAGE as u32);
    }

    fn fallocate(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        offset: u64,
        length: u64,
        mode: i32,
        reply: ReplyEmpty,
    ) {
        let disk = &mut *self.disk.lock();
        let (end, keep) = (offset + length, mode & libc::FALLOC_FL_KEEP_SIZE != 0);
        if mode & (libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_ZERO_RANGE) != 0 {
            disk.ask(Op::Punch { ino: ino.0, start: offset, end });
        }
        if !keep && self.attr(&disk.now, ino.0).is_some_and(|attr| attr.size < end) {
            disk.ask(Op::SetLen { ino: ino.0, len: end });
        }
        reply.ok();
    }

    fn lseek(&self, _: &Request, ino: INodeNo, _: FileHandle, offset: i64, whence: i32, reply: ReplyLseek) {
        let image = &self.disk.lock().now;
        let Some(Body::File { pages, len }) = image.inodes.get(&ino.0).map(|inode| &inode.body) else {
            return reply.error(Errno::EINVAL);
        };
        let mut at = offset as u64;
        while at < *len && pages.contains_key(&(at / PAGE)) != (whence == libc::SEEK_DATA) {
            at = (at / PAGE + 1) * PAGE;
        }
        match whence {
            _ if offset as u64 >= *len => reply.error(Errno::ENXIO),
            libc::SEEK_DATA if at >= *len => reply.error(Errno::ENXIO),
            _ => reply.offset(at.min(*len) as i64),
        }
    }
}
