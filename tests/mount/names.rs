//! Names: folders, renaming, links, kinds of files, long listings.

use std::collections::BTreeSet;
use std::ffi::{CString, OsStr, OsString};
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{FileTypeExt, MetadataExt, symlink};
use std::path::Path;

use crate::machine::{World, errno};

fn c_path(path: &Path) -> CString {
    CString::new(path.as_os_str().as_bytes()).unwrap()
}

fn names(dir: &Path) -> Vec<OsString> {
    fs::read_dir(dir).unwrap().map(|item| item.unwrap().file_name()).collect()
}

fn rename_with(from: &Path, to: &Path, flags: u32) -> std::io::Result<()> {
    let (from, to) = (c_path(from), c_path(to));
    // SAFETY: two C strings that outlive the call.
    match unsafe { libc::renameat2(libc::AT_FDCWD, from.as_ptr(), libc::AT_FDCWD, to.as_ptr(), flags) } {
        0 => Ok(()),
        _ => Err(std::io::Error::last_os_error()),
    }
}

/// Proves N10.
#[test]
fn folders_are_made_and_removed_when_empty() {
    let world = World::new();
    let mesh = world.mount("a");
    let dir = mesh.path("sales/main/dir");
    fs::create_dir(&dir).unwrap();
    assert_eq!(errno(fs::create_dir(&dir)), libc::EEXIST);
    fs::write(dir.join("file"), b"x").unwrap();
    assert_eq!(errno(fs::remove_dir(&dir)), libc::ENOTEMPTY);
    assert_eq!(errno(fs::remove_file(&dir)), libc::EISDIR);
    assert_eq!(errno(fs::remove_dir(dir.join("file"))), libc::ENOTDIR);
    fs::remove_dir_all(&dir).unwrap();
    assert_eq!(errno(fs::metadata(&dir)), libc::ENOENT);
    // Names are unknown until they are made, also where the kernel was told that they are not there.
    fs::create_dir(&dir).unwrap();
    assert!(dir.is_dir());
}

/// Proves N10, X5.
#[test]
fn renaming_replaces_exchanges_and_keeps_inodes() {
    let world = World::new();
    let mesh = world.mount("a");
    let at = |name: &str| mesh.path("sales/main").join(name);
    fs::write(at("a"), b"a").unwrap();
    fs::write(at("b"), b"b").unwrap();
    let ino = fs::metadata(at("a")).unwrap().ino();
    fs::rename(at("a"), at("b")).unwrap();
    assert_eq!(errno(fs::metadata(at("a"))), libc::ENOENT);
    assert_eq!(fs::read(at("b")).unwrap(), b"a");
    assert_eq!(fs::metadata(at("b")).unwrap().ino(), ino);
    fs::create_dir_all(at("dir/sub")).unwrap();
    fs::write(at("dir/sub/f"), b"deep").unwrap();
    fs::rename(at("dir"), at("moved")).unwrap();
    assert_eq!(fs::read(at("moved/sub/f")).unwrap(), b"deep");
    assert_eq!(errno(fs::rename(at("moved"), at("moved/sub/x"))), libc::EINVAL);
    assert_eq!(errno(rename_with(&at("b"), &at("moved"), libc::RENAME_NOREPLACE)), libc::EEXIST);
    rename_with(&at("b"), &at("moved"), libc::RENAME_EXCHANGE).unwrap();
    assert!(at("b").is_dir());
    assert_eq!(fs::read(at("moved")).unwrap(), b"a");
    assert_eq!(errno(rename_with(&at("b"), &at("w"), libc::RENAME_WHITEOUT)), libc::EINVAL);
    fs::create_dir(at("full")).unwrap();
    fs::write(at("full/x"), b"").unwrap();
    assert_eq!(errno(fs::rename(at("b"), at("full"))), libc::ENOTEMPTY);
}

/// Proves F4.
#[test]
fn hard_links_share_one_file() {
    let world = World::new();
    let mesh = world.mount("a");
    let at = |name: &str| mesh.path("sales/main").join(name);
    fs::write(at("one"), b"x").unwrap();
    fs::hard_link(at("one"), at("two")).unwrap();
    let (one, two) = (fs::metadata(at("one")).unwrap(), fs::metadata(at("two")).unwrap());
    assert_eq!((one.ino(), one.nlink()), (two.ino(), 2));
    fs::write(at("two"), b"changed").unwrap();
    assert_eq!(fs::read(at("one")).unwrap(), b"changed");
    fs::remove_file(at("one")).unwrap();
    assert_eq!(fs::metadata(at("two")).unwrap().nlink(), 1);
    assert_eq!(errno(fs::hard_link(mesh.path("sales/main"), at("dir"))), libc::EPERM);
}

/// Proves F4.
#[test]
fn every_kind_of_file_can_be_made() {
    let world = World::new();
    let mesh = world.mount("a");
    let at = |name: &str| mesh.path("sales/main").join(name);
    symlink("somewhere/else", at("link")).unwrap();
    assert_eq!(fs::read_link(at("link")).unwrap(), Path::new("somewhere/else"));
    assert_eq!(fs::symlink_metadata(at("link")).unwrap().len(), 14);
    // SAFETY: C strings that outlive the calls.
    unsafe {
        assert_eq!(libc::mkfifo(c_path(&at("fifo")).as_ptr(), 0o600), 0);
        assert_eq!(libc::mknod(c_path(&at("null")).as_ptr(), libc::S_IFCHR | 0o666, libc::makedev(1, 3)), 0);
        assert_eq!(libc::mknod(c_path(&at("plain")).as_ptr(), libc::S_IFREG | 0o640, 0), 0);
    }
    std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
    assert!(fs::metadata(at("fifo")).unwrap().file_type().is_fifo());
    assert!(fs::metadata(at("socket")).unwrap().file_type().is_socket());
    let null = fs::metadata(at("null")).unwrap();
    assert!(null.file_type().is_char_device());
    assert_eq!(null.rdev(), libc::makedev(1, 3));
    assert_eq!(fs::metadata(at("plain")).unwrap().mode(), libc::S_IFREG | 0o640);
}

/// Proves N8.
#[test]
fn names_are_bytes_up_to_255_of_them() {
    let world = World::new();
    let mesh = world.mount("a");
    let dir = mesh.path("sales/main");
    let strange = [
        OsString::from_vec(b"\xff\xfe not utf-8".to_vec()),
        OsString::from("new\nline and \"quotes\""),
        OsString::from("x".repeat(255)),
        OsString::from("-"),
        OsString::from("\u{1f9ed}"),
    ];
    for name in &strange {
        fs::write(dir.join(name), name.as_bytes()).unwrap();
    }
    let found: BTreeSet<_> = names(&dir).into_iter().collect();
    assert_eq!(found, strange.iter().cloned().collect());
    for name in &strange {
        assert_eq!(fs::read(dir.join(name)).unwrap(), name.as_bytes());
    }
    assert_eq!(errno(fs::write(dir.join("x".repeat(256)), b"")), libc::ENAMETOOLONG);
    assert_eq!(errno(fs::metadata(dir.join("x".repeat(256)))), libc::ENAMETOOLONG);
}

/// Proves N9.
#[test]
fn twenty_thousand_names_are_listed_once_each_and_go_while_they_are_listed() {
    let world = World::new();
    let mesh = world.mount("a");
    let dir = mesh.path("sales/main/many");
    fs::create_dir(&dir).unwrap();
    let expected: BTreeSet<OsString> = (0..20_000).map(|number| OsString::from(format!("file-{number:05}"))).collect();
    for name in &expected {
        // SAFETY: a C string that outlives the call.
        assert_eq!(unsafe { libc::mknod(c_path(&dir.join(name)).as_ptr(), libc::S_IFREG | 0o644, 0) }, 0);
    }
    for _ in 0..2 {
        let listed = names(&dir);
        assert_eq!(listed.len(), expected.len());
        assert_eq!(listed.into_iter().collect::<BTreeSet<_>>(), expected);
    }
    // A partial listing first, so that the kernel holds a part of it.
    assert_eq!(fs::read_dir(&dir).unwrap().take(1500).count(), 1500);
    for item in fs::read_dir(&dir).unwrap() {
        fs::remove_file(item.unwrap().path()).unwrap();
    }
    assert_eq!(names(&dir), Vec::<OsString>::new());
    fs::remove_dir(&dir).unwrap();
}

/// Proves N9, K1.
#[test]
fn a_listing_shows_what_changed_since_the_last_one() {
    let world = World::new();
    let mesh = world.mount("a");
    let dir = mesh.path("sales/main/dir");
    fs::create_dir(&dir).unwrap();
    for round in 0..5 {
        fs::write(dir.join(format!("{round}")), b"").unwrap();
        assert_eq!(names(&dir).len(), round + 1);
        assert_eq!(names(&dir).len(), round + 1);
    }
    fs::rename(dir.join("3"), mesh.path("sales/main/elsewhere")).unwrap();
    assert!(!names(&dir).contains(&OsString::from("3")));
    assert!(names(&mesh.path("sales/main")).contains(&OsString::from("elsewhere")));
    let back = names(&dir).iter().map(|name| OsStr::to_string_lossy(name).into_owned()).collect::<BTreeSet<_>>();
    assert_eq!(back, ["0", "1", "2", "4"].map(String::from).into());
}
