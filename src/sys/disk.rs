//! Files and folders made durable, private and counted.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Makes a file's bytes and length survive power loss.
pub fn sync_file(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Makes a folder's names survive power loss.
pub fn sync_dir(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Writes everything back that is waiting on the filesystem which `path` is on.
pub fn sync_filesystem(path: &Path) -> io::Result<()> {
    let folder = File::open(path)?;
    // SAFETY: the descriptor is open for as long as `folder` is; no memory is passed.
    if unsafe { libc::syncfs(folder.as_raw_fd()) } == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Makes `path` and what is missing above it, so that the names of all of them survive power loss.
pub fn create_dirs(path: &Path) -> io::Result<()> {
    create_dirs_by(path, &mut DirBuilder::new())
}

fn create_dirs_by(path: &Path, builder: &mut DirBuilder) -> io::Result<()> {
    let new: Vec<&Path> = path.ancestors().take_while(|folder| !folder.exists()).collect();
    builder.recursive(true).create(path)?;
    new.into_iter().try_for_each(|folder| sync_dir(parent_of(folder)))
}

/// [`create_dirs`], each 0700; narrows `path` itself to 0700 if it was wider.
#[expect(clippy::disallowed_methods, reason = "narrows a folder that was there before")]
pub fn create_private_dirs(path: &Path) -> io::Result<()> {
    create_dirs_by(path, DirBuilder::new().mode(0o700))?;
    let mode = fs::metadata(path)?.permissions().mode();
    if mode & 0o077 != 0 {
        fs::set_permissions(path, fs::Permissions::from_mode(0o700))?;
    }
    Ok(())
}

/// Replaces `path` by a file of `bytes` (0600) so that power loss leaves the old or the new one whole.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> io::Result<()> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let folder = parent_of(path);
    let unique = format!(".{}-{}.new", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    let staged = staged_name(path, &unique)?;
    let write = || {
        // A name left by a dead process of the same id is overwritten: nobody else can be writing it now.
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&staged)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&staged, path)
    };
    if let Err(error) = write() {
        // The first failure says more than one of the clean-up.
        let _ = fs::remove_file(&staged);
        return Err(error);
    }
    sync_dir(folder)
}

fn staged_name(path: &Path, suffix: &str) -> io::Result<PathBuf> {
    let name = path.file_name().ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
    let mut staged = name.to_owned();
    staged.push(suffix);
    Ok(path.with_file_name(staged))
}

/// The folder that holds the name `path`.
pub fn parent_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Sets when `path` itself was last modified, a symbolic link also: seconds since the epoch, and nanoseconds above them.
pub fn set_modified(path: &Path, seconds: i64, nanos: u32) -> io::Result<()> {
    let path = std::ffi::CString::new(path.as_os_str().as_bytes())?;
    let accessed = libc::timespec { tv_sec: 0, tv_nsec: libc::UTIME_OMIT };
    let modified = libc::timespec { tv_sec: seconds, tv_nsec: i64::from(nanos) };
    let times = [accessed, modified];
    // SAFETY: `path` ends in NUL and `times` has the two values that utimensat reads, both for the whole call.
    match unsafe { libc::utimensat(libc::AT_FDCWD, path.as_ptr(), times.as_ptr(), libc::AT_SYMLINK_NOFOLLOW) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Room on the filesystem that holds a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    pub total_bytes: u64,
    /// Free for this user; what is reserved for root is not in it.
    pub available_bytes: u64,
    pub total_files: u64,
    pub available_files: u64,
}

pub fn space(path: &Path) -> io::Result<Space> {
    let path = std::ffi::CString::new(path.as_os_str().as_bytes())?;
    // SAFETY: statvfs is plain data; all zeros is one of its values.
    let mut stat: libc::statvfs = unsafe { std::mem::zeroed() };
    // SAFETY: `path` ends in NUL and `stat` is writable, both for the whole call.
    if unsafe { libc::statvfs(path.as_ptr(), &raw mut stat) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(Space {
        total_bytes: stat.f_blocks.saturating_mul(stat.f_frsize),
        available_bytes: stat.f_bavail.saturating_mul(stat.f_frsize),
        total_files: stat.f_files,
        available_files: stat.f_favail,
    })
}

/// A file of no name, which goes when it is closed.
pub fn unnamed_file(dir: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).mode(0o600).custom_flags(libc::O_TMPFILE).open(dir)
}

/// The kind of filesystem that `path` lies on, as statfs(2) numbers them.
pub fn filesystem_type(path: &Path) -> io::Result<i64> {
    let path = std::ffi::CString::new(path.as_os_str().as_bytes())?;
    let mut about = std::mem::MaybeUninit::<libc::statfs>::zeroed();
    // SAFETY: `path` is a C string and `about` room for the answer, both longer than the call.
    if unsafe { libc::statfs(path.as_ptr(), about.as_mut_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: zeroed before and filled now; every bit pattern is a valid `statfs`.
    Ok(unsafe { about.assume_init() }.f_type)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "makes a folder as wide as others may have left it")]
    fn private_folders_are_for_their_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let deep = folder.path().join("a/b/c");
        create_private_dirs(&deep).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&deep), mode(deep.parent().unwrap())), (0o700, 0o700));
        fs::set_permissions(&deep, fs::Permissions::from_mode(0o755)).unwrap();
        create_private_dirs(&deep).unwrap();
        assert_eq!(mode(&deep), 0o700);
    }

    #[test]
    fn an_atomic_write_replaces_and_leaves_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config");
        write_atomically(&path, b"one").unwrap();
        write_atomically(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn an_atomic_write_that_fails_leaves_the_folder_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("taken");
        fs::create_dir(&path).unwrap();
        write_atomically(&path, b"one").unwrap_err();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_filesystem_has_at_least_the_room_it_offers() {
        let space = space(Path::new("/")).unwrap();
        assert!(space.total_bytes >= space.available_bytes && space.total_bytes > 0);
    }
}
