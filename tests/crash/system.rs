//! Deeds done by system calls, as programs do them.

use std::ffi::{CString, OsStr};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt, lchown, symlink};
use std::path::Path;

use meshfs::model::entry::Kind;
use meshfs::workspace::attr::{AllocateMode, RenameMode};

use crate::common::reference::deed::Deed;

/// Does `deed` in the tree at `root`.
pub fn perform(root: &Path, deed: &Deed) -> io::Result<()> {
    let at = |path: &str| root.join(path);
    match deed {
        Deed::Create { path, kind, mode, target } => create(&at(path), *kind, u32::from(*mode), target),
        Deed::Link { from, to } => std::fs::hard_link(at(from), at(to)),
        Deed::Unlink(path) => std::fs::remove_file(at(path)),
        Deed::Rmdir(path) => std::fs::remove_dir(at(path)),
        Deed::Rename { from, to, mode } => rename(&at(from), &at(to), *mode),
        Deed::Write { path, offset, bytes } => write(&at(path), *offset, bytes),
        Deed::Append { path, bytes } => OpenOptions::new().append(true).open(at(path))?.write_all(bytes),
        Deed::Truncate { path, size } => writable(&at(path))?.set_len(*size as u64),
        Deed::Allocate { path, mode, offset, len } => allocate(&at(path), *mode, *offset, *len),
        Deed::Copy { from, from_offset, to, offset, len } => copy(&at(from), *from_offset, &at(to), *offset, *len),
        Deed::Chmod(path, mode) => {
            let path = c_path(&at(path))?;
            // SAFETY: a C string that outlives the call.
            check(unsafe { libc::chmod(path.as_ptr(), u32::from(*mode)) })
        }
        Deed::Chown(path, owner) => lchown(at(path), Some(owner.uid), Some(owner.gid)),
        Deed::Utime(path, nanos) => set_mtime(&at(path), *nanos),
        Deed::SetXattr { path, name, value } => {
            let (path, name) = (c_path(&at(path))?, CString::new(name.as_slice())?);
            // SAFETY: C strings and a buffer of the stated length, all of which outlive the call.
            check(unsafe { libc::lsetxattr(path.as_ptr(), name.as_ptr(), value.as_ptr().cast(), value.len(), 0) })
        }
        Deed::RemoveXattr { path, name } => {
            let (path, name) = (c_path(&at(path))?, CString::new(name.as_slice())?);
            // SAFETY: C strings that outlive the call.
            check(unsafe { libc::lremovexattr(path.as_ptr(), name.as_ptr()) })
        }
    }
}

fn check(code: i32) -> io::Result<()> {
    if code == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn c_path(path: &Path) -> io::Result<CString> {
    Ok(CString::new(path.as_os_str().as_bytes())?)
}

fn writable(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).open(path)
}

fn create(path: &Path, kind: Kind, mode: u32, target: &[u8]) -> io::Result<()> {
    match kind {
        Kind::File => OpenOptions::new().write(true).create_new(true).mode(mode).open(path).map(drop),
        Kind::Dir => DirBuilder::new().mode(mode).create(path),
        Kind::Symlink => symlink(OsStr::from_bytes(target), path),
        Kind::Fifo => {
            let path = c_path(path)?;
            // SAFETY: a C string that outlives the call.
            check(unsafe { libc::mkfifo(path.as_ptr(), mode) })
        }
        other => panic!("nothing makes a {other:?}"),
    }
}

fn rename(from: &Path, to: &Path, mode: RenameMode) -> io::Result<()> {
    let (from, to) = (c_path(from)?, c_path(to)?);
    let flags = match mode {
        RenameMode::Replace => 0,
        RenameMode::NoReplace => libc::RENAME_NOREPLACE,
        RenameMode::Exchange => libc::RENAME_EXCHANGE,
    };
    // SAFETY: C strings that outlive the call.
    check(unsafe { libc::renameat2(libc::AT_FDCWD, from.as_ptr(), libc::AT_FDCWD, to.as_ptr(), flags) })
}

/// With write(2), or a third of the time through a mapping that is synced, where the range lies in the file.
fn write(path: &Path, offset: usize, bytes: &[u8]) -> io::Result<()> {
    let file = writable(path)?;
    let end = offset + bytes.len();
    if bytes.len().is_multiple_of(3) && !bytes.is_empty() && file.metadata()?.len() >= end as u64 {
        return write_mapped(&file, offset, bytes);
    }
    file.write_all_at(bytes, offset as u64)
}

fn write_mapped(file: &File, offset: usize, bytes: &[u8]) -> io::Result<()> {
    let (protection, end) = (libc::PROT_READ | libc::PROT_WRITE, offset + bytes.len());
    // Pages are brought in by reading: a fault on a mount that died in between would be a signal to this process.
    let mut before = vec![0; bytes.len()];
    file.read_exact_at(&mut before, offset as u64)?;
    // SAFETY: a new mapping of an open file, written within its bounds, synced and unmapped.
    unsafe {
        let flags = libc::MAP_SHARED | libc::MAP_POPULATE;
        let map = libc::mmap(std::ptr::null_mut(), end, protection, flags, file.as_raw_fd(), 0);
        if map == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        std::ptr::copy_nonoverlapping(bytes.as_ptr(), map.cast::<u8>().add(offset), bytes.len());
        let synced = check(libc::msync(map, end, libc::MS_SYNC));
        assert_eq!(libc::munmap(map, end), 0);
        synced
    }
}

fn allocate(path: &Path, mode: AllocateMode, offset: usize, len: usize) -> io::Result<()> {
    let flags = match mode {
        AllocateMode::Grow => 0,
        AllocateMode::KeepSize => libc::FALLOC_FL_KEEP_SIZE,
        AllocateMode::PunchHole => libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE,
        AllocateMode::ZeroRange => libc::FALLOC_FL_ZERO_RANGE,
        AllocateMode::ZeroRangeKeepSize => libc::FALLOC_FL_ZERO_RANGE | libc::FALLOC_FL_KEEP_SIZE,
    };
    let file = writable(path)?;
    // SAFETY: a system call on an open file.
    check(unsafe { libc::fallocate(file.as_raw_fd(), flags, offset as i64, len as i64) })
}

fn copy(from: &Path, from_offset: usize, to: &Path, offset: usize, len: usize) -> io::Result<()> {
    let (from, to) = (File::open(from)?, writable(to)?);
    let (mut from_offset, mut offset, mut left) = (from_offset as i64, offset as i64, len);
    while left > 0 {
        let (source, target) = (from.as_raw_fd(), to.as_raw_fd());
        // SAFETY: open files and offsets that outlive the call.
        let copied = unsafe { libc::copy_file_range(source, &raw mut from_offset, target, &raw mut offset, left, 0) };
        match usize::try_from(copied) {
            Err(_) => return Err(io::Error::last_os_error()),
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(copied) => left -= copied,
        }
    }
    Ok(())
}

fn set_mtime(path: &Path, nanos: i64) -> io::Result<()> {
    let path = c_path(path)?;
    let mtime = libc::timespec { tv_sec: nanos.div_euclid(1_000_000_000), tv_nsec: nanos.rem_euclid(1_000_000_000) };
    let times = [libc::timespec { tv_sec: 0, tv_nsec: libc::UTIME_OMIT }, mtime];
    // SAFETY: a C string and two times that outlive the call.
    check(unsafe { libc::utimensat(libc::AT_FDCWD, path.as_ptr(), times.as_ptr(), libc::AT_SYMLINK_NOFOLLOW) })
}

/// Names and values of the extended attributes of what `path` names itself.
pub fn xattrs(path: &Path) -> io::Result<Vec<(Vec<u8>, Vec<u8>)>> {
    /// More than the attributes of one file may be together.
    const BYTES: usize = 128 << 10;
    let path = c_path(path)?;
    let mut names = vec![0u8; BYTES];
    // SAFETY: a C string and a buffer of the stated length.
    let len = unsafe { libc::llistxattr(path.as_ptr(), names.as_mut_ptr().cast(), BYTES) };
    names.truncate(usize::try_from(len).map_err(|_| io::Error::last_os_error())?);
    let names = names.split(|&byte| byte == 0).filter(|name| !name.is_empty());
    names
        .map(|name| {
            let (c_name, mut value) = (CString::new(name)?, vec![0u8; BYTES]);
            // SAFETY: C strings and a buffer of the stated length.
            let len = unsafe { libc::lgetxattr(path.as_ptr(), c_name.as_ptr(), value.as_mut_ptr().cast(), BYTES) };
            value.truncate(usize::try_from(len).map_err(|_| io::Error::last_os_error())?);
            Ok((name.to_vec(), value))
        })
        .collect()
}
