//! What is in files: reading, writing, mapping, holes, copies.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, MetadataExt};

use crate::machine::{World, errno};

fn open_both(path: &std::path::Path) -> File {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path).unwrap()
}

/// Proves F1.
#[test]
fn what_is_written_is_read_at_every_offset() {
    let world = World::new();
    let mesh = world.mount("a");
    let path = mesh.path("sales/main/orders.csv");
    let file = open_both(&path);
    let data: Vec<u8> = (0..3_000_000u32).map(|at| (at * 7 % 251) as u8).collect();
    file.write_all_at(&data, 0).unwrap();
    file.write_all_at(b"changed", 1_234_567).unwrap();
    let mut expected = data;
    expected[1_234_567..1_234_574].copy_from_slice(b"changed");
    assert_eq!(fs::read(&path).unwrap(), expected);
    let mut middle = vec![0; 4097];
    file.read_exact_at(&mut middle, 1_233_000).unwrap();
    assert_eq!(middle, expected[1_233_000..1_237_097]);
    assert_eq!(fs::metadata(&path).unwrap().len(), 3_000_000);
}

/// Proves F1.
#[test]
fn appending_truncating_and_extending() {
    let world = World::new();
    let mesh = world.mount("a");
    let path = mesh.path("sales/main/log");
    let mut append = OpenOptions::new().append(true).create(true).open(&path).unwrap();
    append.write_all(b"one\n").unwrap();
    append.write_all(b"two\n").unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"one\ntwo\n");
    append.set_len(5).unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"one\nt");
    append.set_len(8).unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"one\nt\0\0\0");
    assert_eq!(errno(append.set_len(1 << 50)), libc::EFBIG, "larger than the disk's files can be");
    append.write_all(b"x").unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"one\nt\0\0\0x");
    // O_TRUNC on what exists.
    fs::write(&path, b"new").unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"new");
}

/// Proves F2.
#[test]
fn a_shared_mapping_is_the_file() {
    let world = World::new();
    let mesh = world.mount("a");
    let path = mesh.path("sales/main/mapped");
    let file = open_both(&path);
    file.set_len(8192).unwrap();
    // SAFETY: a new mapping of an open file, used within its bounds and unmapped below.
    let map = unsafe {
        let prot = libc::PROT_READ | libc::PROT_WRITE;
        libc::mmap(std::ptr::null_mut(), 8192, prot, libc::MAP_SHARED, file.as_raw_fd(), 0)
    };
    assert_ne!(map, libc::MAP_FAILED);
    // SAFETY: as above.
    unsafe {
        std::ptr::copy_nonoverlapping(b"through the mapping".as_ptr(), map.cast::<u8>().add(4090), 19);
        assert_eq!(libc::msync(map, 8192, libc::MS_SYNC), 0);
    }
    let mut read = vec![0; 19];
    file.read_exact_at(&mut read, 4090).unwrap();
    assert_eq!(read, b"through the mapping");
    // SAFETY: as above.
    assert_eq!(unsafe { libc::munmap(map, 8192) }, 0);
    drop(file);
    assert_eq!(&fs::read(&path).unwrap()[4090..4109], b"through the mapping");
}

/// Proves F3.
#[test]
fn holes_are_made_found_and_read_as_zeros() {
    let world = World::new();
    let mesh = world.mount("a");
    let path = mesh.path("sales/main/sparse");
    let mut file = open_both(&path);
    file.write_all_at(b"end", 10 << 20).unwrap();
    assert_eq!(file.metadata().unwrap().len(), (10 << 20) + 3);
    assert!(file.metadata().unwrap().blocks() < 1000, "a hole takes no room");
    let mut zeros = vec![1; 4096];
    file.read_exact_at(&mut zeros, 5 << 20).unwrap();
    assert_eq!(zeros, vec![0; 4096]);
    // SAFETY: plain system calls on an open file.
    let data = unsafe { libc::lseek(file.as_raw_fd(), 0, libc::SEEK_DATA) };
    assert!(data > 0 && data <= 10 << 20, "{data}");
    // SAFETY: as above.
    assert_eq!(unsafe { libc::lseek(file.as_raw_fd(), 0, libc::SEEK_HOLE) }, 0);
    file.seek(SeekFrom::Start(0)).unwrap();
    let mut all = Vec::new();
    file.read_to_end(&mut all).unwrap();
    assert_eq!(all.len(), (10 << 20) + 3);
    assert_eq!(&all[10 << 20..], b"end");
}

/// Proves F3.
#[test]
fn space_is_reserved_punched_and_zeroed() {
    let world = World::new();
    let mesh = world.mount("a");
    let file = open_both(&mesh.path("sales/main/space"));
    let allocate = |mode: i32, offset: i64, len: i64| {
        // SAFETY: a plain system call on an open file.
        match unsafe { libc::fallocate(file.as_raw_fd(), mode, offset, len) } {
            0 => Ok(()),
            _ => Err(std::io::Error::last_os_error()),
        }
    };
    allocate(0, 0, 100_000).unwrap();
    assert_eq!(file.metadata().unwrap().len(), 100_000);
    allocate(libc::FALLOC_FL_KEEP_SIZE, 0, 200_000).unwrap();
    assert_eq!(file.metadata().unwrap().len(), 100_000);
    file.write_all_at(&[7; 100_000], 0).unwrap();
    allocate(libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE, 10_000, 20_000).unwrap();
    allocate(libc::FALLOC_FL_ZERO_RANGE, 50_000, 10_000).unwrap();
    let mut expected = vec![7; 100_000];
    expected[10_000..30_000].fill(0);
    expected[50_000..60_000].fill(0);
    let mut read = vec![1; 100_000];
    file.read_exact_at(&mut read, 0).unwrap();
    assert_eq!(read, expected);
    assert_eq!(errno(allocate(libc::FALLOC_FL_COLLAPSE_RANGE, 0, 4096)), libc::EOPNOTSUPP);
}

/// Proves F8.
#[test]
fn copy_file_range_copies() {
    let world = World::new();
    let mesh = world.mount("a");
    let (from, to) = (mesh.path("sales/main/from"), mesh.path("sales/main/to"));
    let data: Vec<u8> = (0..2_000_000u32).map(|at| (at / 3) as u8).collect();
    fs::write(&from, &data).unwrap();
    assert_eq!(fs::copy(&from, &to).unwrap(), 2_000_000);
    assert_eq!(fs::read(&to).unwrap(), data);
    let (source, target) = (File::open(&from).unwrap(), open_both(&to));
    let (mut from_offset, mut to_offset) = (1000i64, 5i64);
    // SAFETY: two open files and two offsets that outlive the call.
    let copied = unsafe {
        libc::copy_file_range(source.as_raw_fd(), &mut from_offset, target.as_raw_fd(), &mut to_offset, 700, 0)
    };
    assert_eq!(copied, 700);
    let mut read = vec![0; 700];
    target.read_exact_at(&mut read, 5).unwrap();
    assert_eq!(read, data[1000..1700]);
}

/// Proves F5.
#[test]
fn an_unlinked_file_lives_while_it_is_open() {
    let world = World::new();
    let mesh = world.mount("a");
    let path = mesh.path("sales/main/brief");
    let mut file = open_both(&path);
    file.write_all(b"still here").unwrap();
    fs::remove_file(&path).unwrap();
    assert_eq!(errno(fs::metadata(&path)), libc::ENOENT);
    assert_eq!(file.metadata().unwrap().nlink(), 0);
    file.write_all_at(b"!", 10).unwrap();
    let mut read = vec![0; 11];
    file.read_exact_at(&mut read, 0).unwrap();
    assert_eq!(read, b"still here!");
}

/// Proves F7.
#[test]
fn fsync_and_fdatasync_succeed_on_files_and_folders() {
    let world = World::new();
    let mesh = world.mount("a");
    let file = open_both(&mesh.path("sales/main/f"));
    file.write_all_at(b"x", 0).unwrap();
    file.sync_all().unwrap();
    file.sync_data().unwrap();
    for folder in ["sales/main", "sales", ""] {
        File::open(mesh.path(folder)).unwrap().sync_all().unwrap();
    }
}

/// Proves F6.
#[test]
fn what_is_staged_is_there_at_the_next_mount() {
    let world = World::new();
    let ino = {
        let mesh = world.mount("a");
        fs::create_dir_all(mesh.path("sales/main/dir/deeper")).unwrap();
        fs::write(mesh.path("sales/main/dir/deeper/file"), b"kept").unwrap();
        fs::metadata(mesh.path("sales/main/dir/deeper/file")).unwrap().ino()
    };
    let mesh = world.mount("a");
    let path = mesh.path("sales/main/dir/deeper/file");
    assert_eq!(fs::read(&path).unwrap(), b"kept");
    assert_eq!(fs::metadata(&path).unwrap().ino(), ino);
}

/// Proves X1, X2, X3, X4, X7.
#[test]
fn unsupported_calls_say_so() {
    use std::os::unix::fs::OpenOptionsExt;
    let world = World::new();
    let mesh = world.mount("a");
    let tmpfile = OpenOptions::new().write(true).custom_flags(libc::O_TMPFILE).open(mesh.path("sales/main"));
    assert_eq!(errno(tmpfile), libc::EOPNOTSUPP);
    let file = open_both(&mesh.path("sales/main/f"));
    // SAFETY: plain calls on an open file.
    let answers = unsafe {
        [
            libc::fallocate(file.as_raw_fd(), libc::FALLOC_FL_COLLAPSE_RANGE, 0, 4096),
            libc::fallocate(file.as_raw_fd(), libc::FALLOC_FL_INSERT_RANGE, 0, 4096),
            libc::fallocate(file.as_raw_fd(), libc::FALLOC_FL_UNSHARE_RANGE, 0, 4096),
        ]
    };
    assert_eq!(answers, [-1; 3]);
    assert_eq!(std::io::Error::last_os_error().raw_os_error(), Some(libc::EOPNOTSUPP));
    let path = std::ffi::CString::new(mesh.path("sales/main/f").as_os_str().as_encoded_bytes()).unwrap();
    let name = c"system.posix_acl_access".as_ptr();
    // Version 2; of its owner, its group and others.
    let list = b"\x02\0\0\0\x01\0\x06\0\xff\xff\xff\xff\x04\0\x04\0\xff\xff\xff\xff\x20\0\x04\0\xff\xff\xff\xff";
    // SAFETY: C strings and a buffer that outlive the call.
    let listed = unsafe { libc::setxattr(path.as_ptr(), name, list.as_ptr().cast(), list.len(), 0) };
    assert_eq!(listed, -1);
    assert_eq!(std::io::Error::last_os_error().raw_os_error(), Some(libc::EOPNOTSUPP));
    // SAFETY: a plain call on an open file.
    assert_eq!(unsafe { libc::syncfs(file.as_raw_fd()) }, 0);
    // SAFETY: an ioctl that takes an open file's number.
    let cloned = unsafe { libc::ioctl(file.as_raw_fd(), libc::FICLONE as _, file.as_raw_fd()) };
    assert_eq!(cloned, -1);
    assert_eq!(std::io::Error::last_os_error().raw_os_error(), Some(libc::EOPNOTSUPP));
}

/// Proves X8.
#[test]
fn a_copy_of_much_at_once_tells_how_far_it_came() {
    let world = World::new();
    let mesh = world.mount("a");
    let (from, to) = (open_both(&mesh.path("sales/main/from")), open_both(&mesh.path("sales/main/to")));
    from.set_len(3 << 30).unwrap();
    let null = std::ptr::null_mut();
    // SAFETY: open files, and no offsets to write to.
    let copied = unsafe { libc::copy_file_range(from.as_raw_fd(), null, to.as_raw_fd(), null, 3 << 30, 0) };
    assert!(copied > 0 && copied < 3 << 30, "{copied}: {}", std::io::Error::last_os_error());
    assert_eq!(to.metadata().unwrap().len(), copied as u64);
}
