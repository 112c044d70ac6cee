//! Attributes: modes, owners, times, extended attributes, and who may do what.

use std::ffi::CString;
use std::fs::{self, File, FileTimes, OpenOptions, Permissions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, chown};
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use crate::machine::{World, as_user, errno};

fn c(bytes: &[u8]) -> CString {
    CString::new(bytes).unwrap()
}

fn checked(answer: isize) -> std::io::Result<usize> {
    usize::try_from(answer).map_err(|_| std::io::Error::last_os_error())
}

fn set_xattr(path: &Path, name: &str, value: &[u8], flags: i32) -> std::io::Result<usize> {
    let (path, name) = (c(path.as_os_str().as_bytes()), c(name.as_bytes()));
    // SAFETY: C strings and a buffer that outlive the call.
    let answer = unsafe { libc::setxattr(path.as_ptr(), name.as_ptr(), value.as_ptr().cast(), value.len(), flags) };
    checked(answer as isize)
}

fn xattr(path: &Path, name: &str) -> std::io::Result<Vec<u8>> {
    let (path, name) = (c(path.as_os_str().as_bytes()), c(name.as_bytes()));
    let mut value = vec![0; 70_000];
    // SAFETY: C strings and a buffer that outlive the call.
    let answer = unsafe { libc::getxattr(path.as_ptr(), name.as_ptr(), value.as_mut_ptr().cast(), value.len()) };
    value.truncate(checked(answer)?);
    Ok(value)
}

fn xattr_names(path: &Path) -> Vec<u8> {
    let path = c(path.as_os_str().as_bytes());
    let mut list = vec![0; 70_000];
    // SAFETY: a C string and a buffer that outlive the call.
    let answer = unsafe { libc::listxattr(path.as_ptr(), list.as_mut_ptr().cast(), list.len()) };
    list.truncate(checked(answer).unwrap());
    list
}

/// Proves F11.
#[test]
fn modes_and_times_are_kept_to_the_bit_and_the_nanosecond() {
    let world = World::new();
    let path = {
        let mesh = world.mount("a");
        let path = mesh.path("sales/main/file");
        fs::write(&path, b"x").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o4751)).unwrap();
        let time = UNIX_EPOCH + Duration::new(1_000_000_007, 123_456_789);
        File::options().write(true).open(&path).unwrap().set_times(FileTimes::new().set_modified(time)).unwrap();
        let about = fs::metadata(&path).unwrap();
        assert_eq!(about.mode() & 0o7777, 0o4751);
        assert_eq!((about.mtime(), about.mtime_nsec()), (1_000_000_007, 123_456_789));
        path
    };
    let _mesh = world.mount("a");
    let about = fs::metadata(&path).unwrap();
    assert_eq!(about.mode() & 0o7777, 0o4751);
    assert_eq!((about.mtime(), about.mtime_nsec()), (1_000_000_007, 123_456_789));
}

/// Proves F12.
#[test]
fn a_time_of_access_is_shown_and_stages_nothing() {
    let world = World::new();
    let mesh = world.mount("a");
    let path = mesh.path("sales/main/file");
    fs::write(&path, b"x").unwrap();
    fs::write(mesh.path("sales/main/.meshfs/commit"), "base").unwrap();
    let about = fs::metadata(&path).unwrap();
    assert_eq!((about.atime(), about.atime_nsec()), (about.mtime(), about.mtime_nsec()));
    let accessed = FileTimes::new().set_accessed(UNIX_EPOCH + Duration::from_secs(12));
    File::open(&path).unwrap().set_times(accessed).unwrap();
    let after = fs::metadata(&path).unwrap();
    assert_eq!(after.atime(), 12);
    assert_eq!((after.mtime(), after.mtime_nsec()), (about.mtime(), about.mtime_nsec()));
    assert_eq!(fs::read(mesh.path("sales/main/.meshfs/status")).unwrap(), b"");
}

/// Proves F11.
#[test]
fn writing_moves_the_times() {
    let world = World::new();
    let mesh = world.mount("a");
    let path = mesh.path("sales/main/file");
    fs::write(&path, b"x").unwrap();
    let before = fs::metadata(&path).unwrap();
    std::thread::sleep(Duration::from_millis(5));
    OpenOptions::new()
        .append(true)
        .open(&path)
        .map(|mut file| std::io::Write::write_all(&mut file, b"y"))
        .unwrap()
        .unwrap();
    let after = fs::metadata(&path).unwrap();
    assert!(after.modified().unwrap() > before.modified().unwrap());
    std::thread::sleep(Duration::from_millis(5));
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    let last = fs::metadata(&path).unwrap();
    assert_eq!(last.modified().unwrap(), after.modified().unwrap());
    assert!((last.ctime(), last.ctime_nsec()) > (after.ctime(), after.ctime_nsec()));
}

/// Proves F14.
#[test]
fn extended_attributes_are_set_read_listed_and_removed() {
    let world = World::new();
    let mesh = world.mount("a");
    let path = mesh.path("sales/main/file");
    fs::write(&path, b"x").unwrap();
    assert_eq!(xattr_names(&path), b"");
    set_xattr(&path, "user.origin", b"crm", 0).unwrap();
    set_xattr(&path, "user.big", &[9; 5000], 0).unwrap();
    assert_eq!(xattr(&path, "user.origin").unwrap(), b"crm");
    assert_eq!(xattr(&path, "user.big").unwrap(), [9; 5000]);
    assert_eq!(xattr_names(&path), b"user.big\0user.origin\0");
    assert_eq!(errno(set_xattr(&path, "user.origin", b"", libc::XATTR_CREATE)), libc::EEXIST);
    assert_eq!(errno(set_xattr(&path, "user.other", b"", libc::XATTR_REPLACE)), libc::ENODATA);
    assert_eq!(errno(xattr(&path, "user.other")), libc::ENODATA);
    assert_eq!(errno(set_xattr(&path, "user.too-big", &[1; 65_000], 0)), libc::ENOSPC);
    assert_eq!(errno(set_xattr(&path, "system.other", b"x", 0)), libc::EOPNOTSUPP);
    let name = c(b"user.origin");
    // SAFETY: C strings that outlive the call.
    assert_eq!(unsafe { libc::removexattr(c(path.as_os_str().as_bytes()).as_ptr(), name.as_ptr()) }, 0);
    assert_eq!(xattr_names(&path), b"user.big\0");
}

/// Proves A2.
#[test]
fn an_ordinary_mount_shows_its_mounter_and_stores_no_owner() {
    let world = World::new();
    let mesh = world.mount("a");
    let path = mesh.path("sales/main/file");
    fs::write(&path, b"x").unwrap();
    let about = fs::metadata(&path).unwrap();
    assert_eq!((about.uid(), about.gid()), (0, 0));
    chown(&path, Some(0), Some(0)).unwrap();
    assert_eq!(errno(chown(&path, Some(12), None)), libc::EPERM);
}

/// Proves A2, A3.
#[test]
fn a_mount_for_all_keeps_owners_and_the_kernel_checks_rights() {
    let world = World::new();
    let mesh = world.mount_for_all("a");
    // The scratch folders are their owner's only; who is let into the mount must get there.
    for dir in mesh.dir().ancestors().take(3) {
        fs::set_permissions(dir, Permissions::from_mode(0o755)).ok();
    }
    let main = mesh.path("sales/main");
    fs::create_dir(main.join("shared")).unwrap();
    fs::set_permissions(main.join("shared"), Permissions::from_mode(0o2777)).unwrap();
    chown(main.join("shared"), Some(0), Some(4242)).unwrap();
    let shared = main.join("shared");
    let line = format!("cd {} && umask 027 && echo mine > file && mkdir dir && id -u", shared.display());
    let output = as_user(1234, &line);
    assert!(output.status.success(), "{output:?}");
    let about = fs::metadata(shared.join("file")).unwrap();
    assert_eq!((about.uid(), about.gid(), about.mode() & 0o7777), (1234, 4242, 0o640));
    let about = fs::metadata(shared.join("dir")).unwrap();
    assert_eq!((about.uid(), about.gid(), about.mode() & 0o7777), (1234, 4242, 0o2750));
    let refused = as_user(5678, &format!("cat {}", shared.join("file").display()));
    assert!(!refused.status.success());
    assert!(String::from_utf8_lossy(&refused.stderr).contains("Permission denied"), "{refused:?}");
    chown(shared.join("file"), Some(5678), None).unwrap();
    assert!(as_user(5678, &format!("cat {}", shared.join("file").display())).status.success());
}

/// Proves A3.
#[test]
fn privileges_go_when_others_write_and_when_owners_change() {
    let world = World::new();
    let mesh = world.mount_for_all("a");
    for dir in mesh.dir().ancestors().take(3) {
        fs::set_permissions(dir, Permissions::from_mode(0o755)).ok();
    }
    let path = mesh.path("sales/main/tool");
    let with_privileges = || {
        fs::set_permissions(&path, Permissions::from_mode(0o6777)).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o6777);
    };
    let mode = || fs::metadata(&path).unwrap().mode() & 0o7777;
    fs::write(&path, b"#!").unwrap();
    with_privileges();
    assert!(as_user(1234, &format!("printf x >> {}", path.display())).status.success());
    assert_eq!(mode(), 0o777);
    with_privileges();
    assert!(as_user(1234, &format!("truncate -s 1 {}", path.display())).status.success());
    assert_eq!(mode(), 0o777);
    with_privileges();
    chown(&path, Some(1), Some(1)).unwrap();
    assert_eq!(mode(), 0o777);
    // Root may keep them when it writes.
    with_privileges();
    OpenOptions::new()
        .append(true)
        .open(&path)
        .map(|mut file| std::io::Write::write_all(&mut file, b"y"))
        .unwrap()
        .unwrap();
    assert_eq!(mode(), 0o6777);
}

/// Proves F16.
#[test]
fn statfs_tells_the_room_for_staging() {
    let world = World::new();
    let mesh = world.mount("a");
    let room = |path: &Path| {
        let path = c(path.as_os_str().as_bytes());
        // SAFETY: plain data, and a C string that outlives the call.
        let mut about: libc::statvfs = unsafe { std::mem::zeroed() };
        // SAFETY: as above.
        assert_eq!(unsafe { libc::statvfs(path.as_ptr(), &mut about) }, 0);
        about
    };
    let (shown, disk) = (room(&mesh.path("sales/main")), room(&world.outside("")));
    assert_eq!(shown.f_namemax, 255);
    assert_eq!(shown.f_blocks * shown.f_frsize / (1 << 20), disk.f_blocks * disk.f_frsize / (1 << 20));
    assert!(shown.f_bavail > 0);
}

/// Proves N4.
#[test]
fn a_read_only_mount_takes_no_change() {
    let world = World::new();
    {
        let mesh = world.mount("a");
        fs::write(mesh.path("sales/main/file"), b"x").unwrap();
    }
    let mesh = world.mount_read_only("a");
    let path = mesh.path("sales/main/file");
    assert_eq!(fs::read(&path).unwrap(), b"x");
    assert_eq!(errno(fs::write(&path, b"y")), libc::EROFS);
    assert_eq!(errno(fs::remove_file(&path)), libc::EROFS);
    assert_eq!(errno(fs::create_dir(mesh.path("sales/exp"))), libc::EROFS);
    let opened = OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW).open(&path);
    assert!(opened.is_ok());
}
