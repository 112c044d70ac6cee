//! How reads and writes are served: by the kernel alone where it uses local files (root), from its own pages otherwise.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::process::Command;

use crate::machine::{Mounted, World, eventually};

const LARGE: usize = 5 << 20;

fn large(seed: u8) -> Vec<u8> {
    (0..LARGE).map(|at| (at / 7) as u8 ^ seed).collect()
}

/// Requests of each kind that `work` causes.
fn requests(mesh: &Mounted, work: impl FnOnce()) -> BTreeMap<&'static str, u64> {
    let before = mesh.session().requests();
    work();
    let mut caused = mesh.session().requests();
    for (operation, count) in &mut caused {
        *count -= before.get(operation).copied().unwrap_or(0);
    }
    caused.retain(|_, count| *count > 0);
    caused
}

fn both(path: &Path) -> File {
    OpenOptions::new().read(true).write(true).open(path).unwrap()
}

fn commit(mesh: &Mounted) {
    fs::write(mesh.path("sales/main/.meshfs/commit"), "a commit").unwrap();
}

/// A shared mapping of a file's first bytes.
struct Mapped(*mut u8, usize);

impl Mapped {
    fn new(file: &File, len: usize) -> Mapped {
        // SAFETY: a new mapping of an open file, used within its bounds and unmapped when dropped.
        let map = unsafe {
            let prot = libc::PROT_READ | libc::PROT_WRITE;
            libc::mmap(std::ptr::null_mut(), len, prot, libc::MAP_SHARED, file.as_raw_fd(), 0)
        };
        assert_ne!(map, libc::MAP_FAILED);
        Mapped(map.cast(), len)
    }

    fn put(&self, at: usize, bytes: &[u8]) {
        assert!(at + bytes.len() <= self.1);
        // SAFETY: within the mapping, as just checked.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), self.0.add(at), bytes.len()) }
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        // SAFETY: what `new` mapped.
        unsafe { libc::munmap(self.0.cast(), self.1) };
    }
}

#[test]
fn no_read_or_write_of_a_staged_file_reaches_us_where_the_kernel_uses_local_files() {
    let world = World::new();
    let mesh = world.mount("a");
    let path = mesh.path("sales/main/large");
    let caused = requests(&mesh, || {
        fs::write(&path, large(0)).unwrap();
        assert!(fs::read(&path).unwrap() == large(0));
        let file = both(&path);
        file.write_all_at(b"changed", 1_000_000).unwrap();
        Mapped::new(&file, 4096).put(10, b"mapped");
        drop(file);
        let mut append = OpenOptions::new().append(true).open(&path).unwrap();
        std::io::Write::write_all(&mut append, b"the end").unwrap();
    });
    assert_eq!((caused.get("read"), caused.get("write")), (None, None), "{caused:?}");
    let mut expected = large(0);
    expected[1_000_000..1_000_007].copy_from_slice(b"changed");
    expected[10..16].copy_from_slice(b"mapped");
    expected.extend_from_slice(b"the end");
    assert_eq!(fs::metadata(&path).unwrap().len(), expected.len() as u64);
    commit(&mesh);
    let other = world.mount("b");
    assert!(fs::read(other.path("sales/main/large")).unwrap() == expected);
    assert!(fs::read(&path).unwrap() == expected, "committed, and read from the store");
}

/// Proves F2.
#[test]
fn a_commit_takes_what_was_written_through_mappings_of_files_that_nothing_else_was_written_to() {
    let world = World::new();
    let mesh = world.mount_served("a");
    let path = mesh.path("sales/main/mapped");
    fs::write(&path, [b'0'; 8192]).unwrap();
    commit(&mesh);
    let file = both(&path);
    let map = Mapped::new(&file, 8192);
    // The descriptor is not what keeps it in use.
    drop(file);
    for round in [b'1', b'2', b'3'] {
        map.put(5000, &[round; 4]);
        assert_eq!(fs::read_to_string(mesh.path("sales/main/.meshfs/status")).unwrap(), "M mapped\n");
        commit(&mesh);
        let head = fs::read_to_string(mesh.path("sales/main/.meshfs/head")).unwrap();
        let snapshot = mesh.path(&format!("sales/@{}/mapped", head.trim()));
        assert_eq!(fs::read(snapshot).unwrap()[5000..5004], [round; 4]);
    }
    drop(map);
    eventually("nothing is left staged", || {
        fs::read_to_string(mesh.path("sales/main/.meshfs/status")).is_ok_and(|status| status.is_empty())
    });
}

/// Whoever commits could not see what a program writes through a mapping from then on.
#[test]
fn memory_that_tells_nothing_of_mapped_writes_is_served_by_us() {
    let world = World::new();
    let memory = tempfile::tempdir_in("/dev/shm").unwrap();
    fs::create_dir_all(world.outside("a")).unwrap();
    std::os::unix::fs::symlink(memory.path(), world.outside("a/state")).unwrap();
    let mesh = world.mount("a");
    let path = mesh.path("sales/main/mapped");
    let caused = requests(&mesh, || fs::write(&path, [b'0'; 4096]).unwrap());
    assert_eq!(caused.get("write"), Some(&1), "{caused:?}");
    let file = both(&path);
    let map = Mapped::new(&file, 4096);
    for round in [b'1', b'2'] {
        map.put(10, &[round]);
        commit(&mesh);
    }
    drop((map, file));
    assert_eq!(fs::read(&path).unwrap()[10], b'2');
}

#[test]
fn pages_are_kept_where_it_does_not() {
    let world = World::new();
    let mesh = world.mount_served("a");
    let path = mesh.path("sales/main/large");
    let caused = requests(&mesh, || fs::write(&path, large(1)).unwrap());
    assert!(caused["write"] >= 5, "{caused:?}");
    for kept in ["staged", "committed"] {
        // The kernel may be told late of the commit before.
        eventually(kept, || !requests(&mesh, || assert!(fs::read(&path).unwrap() == large(1))).contains_key("read"));
        commit(&mesh);
    }
}

#[test]
fn a_small_file_made_written_and_closed_takes_few_requests() {
    let world = World::new();
    for (mesh, writes) in [(world.mount("a"), 0), (world.mount_served("b"), 20)] {
        let folder = mesh.path("sales/main/small");
        fs::create_dir(&folder).unwrap();
        let caused = requests(&mesh, || {
            (0..20).for_each(|number| fs::write(folder.join(number.to_string()), [7; 4096]).unwrap());
        });
        let waited_for: u64 = caused.iter().filter(|(name, _)| **name != "release").map(|(_, count)| count).sum();
        assert_eq!(caused.get("write").copied().unwrap_or(0), writes);
        // Of the folder, which each new file changes, the kernel asks who may write there.
        assert!(waited_for <= 80 + writes, "lookup, stat, create, getxattr, and what is written: {caused:?}");
    }
}

#[test]
fn a_commit_takes_what_programs_that_go_on_writing_have_written() {
    let world = World::new();
    let (mesh, other) = (world.mount("a"), world.mount("b"));
    let path = mesh.path("sales/main/growing");
    fs::write(&path, [b'0'; 8192]).unwrap();
    let file = both(&path);
    let map = Mapped::new(&file, 8192);
    for round in [b'1', b'2', b'3'] {
        file.write_all_at(&[round; 4], 100).unwrap();
        map.put(5000, &[round; 4]);
        assert_eq!(fs::read_to_string(mesh.path("sales/main/.meshfs/status")).unwrap().lines().count(), 1);
        commit(&mesh);
        assert_eq!(fs::read_to_string(mesh.path("sales/main/.meshfs/status")).unwrap(), "", "round {round}");
        let theirs = other.path("sales/main/growing");
        eventually("the other machine has it", || {
            fs::read(&theirs).is_ok_and(|seen| seen.len() == 8192 && seen[100..104] == [round; 4])
        });
        assert_eq!(fs::read(&theirs).unwrap()[5000..5004], [round; 4]);
    }
    map.put(0, b"last");
    drop((map, file));
    eventually("it is noticed when it is closed", || {
        fs::read_to_string(mesh.path("sales/main/.meshfs/status")).unwrap() == "M growing\n"
    });
    assert_eq!(fs::read(&path).unwrap()[..4], *b"last");
}

#[test]
fn a_mapping_moves_the_time_that_others_see() {
    let world = World::new();
    let mesh = world.mount("a");
    let path = mesh.path("sales/main/mapped");
    fs::write(&path, [0; 4096]).unwrap();
    let long_ago = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
    both(&path).set_modified(long_ago).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().mtime(), 1_000_000_000);
    let file = both(&path);
    Mapped::new(&file, 4096).put(0, b"x");
    drop(file);
    eventually("its mtime moves", || fs::metadata(&path).unwrap().mtime() > 1_000_000_000);
}

#[test]
fn all_who_have_a_file_open_see_one_file_however_it_is_opened() {
    let world = World::new();
    let mesh = world.mount("a");
    let path = mesh.path("sales/main/shared");
    fs::write(&path, large(3)).unwrap();
    commit(&mesh);
    // Opened while it is in the store, then staged by a writer, replaced as a whole, and opened again meanwhile.
    let reader = File::open(&path).unwrap();
    let writer = both(&path);
    writer.write_all_at(b"staged", 77).unwrap();
    let again = both(&path);
    again.write_all_at(&large(4), 0).unwrap();
    let mut seen = vec![0; LARGE];
    reader.read_exact_at(&mut seen, 0).unwrap();
    assert!(seen == large(4));
    drop((reader, writer, again));
    eventually("the kernel takes it over", || {
        !requests(&mesh, || assert!(fs::read(&path).unwrap() == large(4))).contains_key("read")
    });
    // Read by the kernel alone while it is committed, cut off, grown and deleted.
    let reader = File::open(&path).unwrap();
    commit(&mesh);
    both(&path).set_len(10).unwrap();
    both(&path).write_all_at(b"0123456789", 4).unwrap();
    assert_eq!(reader.metadata().unwrap().len(), 14);
    fs::remove_file(&path).unwrap();
    let mut seen = [0; 14];
    reader.read_exact_at(&mut seen, 0).unwrap();
    assert_eq!(seen[4..], *b"0123456789");
}

#[test]
fn pages_kept_before_the_kernel_wrote_by_itself_are_not_shown_after() {
    let world = World::new();
    let mesh = world.mount("a");
    let path = mesh.path("sales/main/file");
    let mut served = OpenOptions::new().write(true).create_new(true).open(&path).unwrap();
    std::io::Write::write_all(&mut served, &large(6)).unwrap();
    assert!(fs::read(&path).unwrap() == large(6));
    drop(served);
    eventually("the kernel takes it over", || {
        let file = both(&path);
        !requests(&mesh, || file.write_all_at(b"by the kernel", 3_000_000).unwrap()).contains_key("write")
    });
    let mut expected = large(6);
    expected[3_000_000..3_000_013].copy_from_slice(b"by the kernel");
    eventually("it is staged no longer", || {
        commit(&mesh);
        walk(&world.outside("a/state")).is_empty()
    });
    assert!(fs::read(&path).unwrap() == expected);
}

#[test]
fn cp_inside_a_domain_copies_no_data() {
    let world = World::new();
    let mesh = world.mount("a");
    let from = mesh.path("sales/main/from");
    fs::write(&from, large(5)).unwrap();
    commit(&mesh);
    let to = mesh.path("sales/main/to");
    let caused = requests(&mesh, || {
        assert!(Command::new("cp").args([&from, &to]).status().unwrap().success());
    });
    assert_eq!((caused.get("read"), caused.get("write")), (None, None), "{caused:?}");
    let staged: u64 = walk(&world.outside("a/state")).iter().map(|path| fs::metadata(path).unwrap().blocks()).sum();
    assert!(staged < 100, "{staged} blocks are staged");
    assert!(fs::read(&to).unwrap() == large(5));
}

/// The staged files below a state folder.
fn walk(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for item in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        if item.file_type().unwrap().is_dir() {
            found.extend(walk(&item.path()));
        } else if folder.ends_with("files") {
            found.push(item.path());
        }
    }
    found
}
