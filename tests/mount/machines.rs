//! Two machines on one store: what one commits appears on the other, and nothing is pulled from under anybody.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{FileExt, MetadataExt};

use meshfs::model::path::TreePath;

use crate::machine::{Mounted, World, errno, eventually};

fn commit(mesh: &Mounted, message: &str) {
    fs::write(mesh.path("sales/main/.meshfs/commit"), message).unwrap();
}

fn names(mesh: &Mounted, folder: &str) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(mesh.path(folder)).unwrap().map(|item| item.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Proves N1, K1, K2.
#[test]
fn a_commit_appears_with_everything_that_changed() {
    let world = World::new();
    let (here, there) = (world.mount("here"), world.mount("there"));
    fs::create_dir(here.path("sales/main/dir")).unwrap();
    fs::write(here.path("sales/main/dir/a"), b"one").unwrap();
    fs::write(here.path("sales/main/dir/b"), b"to go").unwrap();
    commit(&here, "first");
    let at = |name: &str| there.path("sales/main").join(name);
    eventually("the first commit", || at("dir/a").exists());
    // The kernel over there has all of this in its caches now: data, attributes, a listing, an absent name.
    assert_eq!(fs::read(at("dir/a")).unwrap(), b"one");
    assert_eq!(names(&there, "sales/main/dir"), ["a", "b"]);
    assert_eq!(names(&there, "sales/main/dir"), ["a", "b"]);
    assert_eq!(errno(fs::metadata(at("dir/c"))), libc::ENOENT);
    fs::write(here.path("sales/main/dir/a"), b"changed").unwrap();
    fs::remove_file(here.path("sales/main/dir/b")).unwrap();
    fs::write(here.path("sales/main/dir/c"), b"new").unwrap();
    commit(&here, "second");
    eventually("the second commit", || at("dir/c").exists());
    assert_eq!(fs::read(at("dir/a")).unwrap(), b"changed");
    assert_eq!(fs::metadata(at("dir/a")).unwrap().len(), 7);
    assert_eq!(names(&there, "sales/main/dir"), ["a", "c"]);
    assert_eq!(errno(fs::metadata(at("dir/b"))), libc::ENOENT);
    assert_eq!(
        fs::read_to_string(there.path("sales/main/.meshfs/head")).unwrap(),
        fs::read_to_string(here.path("sales/main/.meshfs/head")).unwrap()
    );
}

/// Proves F9.
#[test]
fn an_open_file_keeps_the_version_it_opened() {
    let world = World::new();
    let (here, there) = (world.mount("here"), world.mount("there"));
    let old: Vec<u8> = (0..3_000_000u32).map(|at| (at % 251) as u8).collect();
    fs::write(here.path("sales/main/big"), &old).unwrap();
    commit(&here, "old");
    let path = there.path("sales/main/big");
    eventually("the file arrives", || path.exists());
    let open = File::open(&path).unwrap();
    let mut start = vec![0; 1000];
    open.read_exact_at(&mut start, 0).unwrap();
    let ino = open.metadata().unwrap().ino();
    fs::write(here.path("sales/main/big"), b"short and new").unwrap();
    commit(&here, "new");
    eventually("the new version", || fs::metadata(&path).is_ok_and(|about| about.len() == 13));
    assert_eq!(fs::read(&path).unwrap(), b"short and new");
    assert_ne!(fs::metadata(&path).unwrap().ino(), ino);
    let mut rest = vec![0; 2_999_000];
    open.read_exact_at(&mut rest, 1000).unwrap();
    assert_eq!(rest, old[1000..]);
    assert_eq!(open.metadata().unwrap().len(), 3_000_000);
}

/// Proves K2.
#[test]
fn a_dirty_tree_stays_on_its_base_until_it_is_refreshed() {
    let world = World::new();
    let (here, there) = (world.mount("here"), world.mount("there"));
    fs::write(here.path("sales/main/shared"), b"old").unwrap();
    commit(&here, "old");
    eventually("the file arrives", || there.path("sales/main/shared").exists());
    fs::write(there.path("sales/main/mine"), b"staged").unwrap();
    let base = fs::read_to_string(there.path("sales/main/.meshfs/head")).unwrap();
    fs::write(here.path("sales/main/shared"), b"newer").unwrap();
    commit(&here, "newer");
    eventually("the other machine knows", || fs::read(there.path("sales/@main/shared")).unwrap() == b"newer");
    std::thread::sleep(crate::machine::POLL * 4);
    assert_eq!(fs::read(there.path("sales/main/shared")).unwrap(), b"old");
    assert_eq!(fs::read_to_string(there.path("sales/main/.meshfs/head")).unwrap(), base);
    // Refreshed when the write returns: no waiting.
    fs::write(there.path("sales/main/.meshfs/refresh"), "now").unwrap();
    assert_eq!(fs::read(there.path("sales/main/shared")).unwrap(), b"newer");
    assert_eq!(fs::read(there.path("sales/main/mine")).unwrap(), b"staged");
    commit(&there, "mine too");
    eventually("it arrives here", || here.path("sales/main/mine").exists());
}

#[test]
fn disjoint_changes_are_merged_by_the_later_commit() {
    let world = World::new();
    let (here, there) = (world.mount("here"), world.mount("there"));
    fs::create_dir(here.path("sales/main/d")).unwrap();
    fs::write(here.path("sales/main/d/base"), b"").unwrap();
    commit(&here, "base");
    eventually("the base", || there.path("sales/main/d/base").exists());
    fs::write(here.path("sales/main/d/here"), b"here").unwrap();
    fs::write(there.path("sales/main/d/there"), b"there").unwrap();
    commit(&here, "here");
    commit(&there, "there");
    assert_eq!(names(&there, "sales/main/d"), ["base", "here", "there"]);
    eventually("both here", || names(&here, "sales/main/d") == ["base", "here", "there"]);
    assert_eq!(fs::read(here.path("sales/main/d/there")).unwrap(), b"there");
}

/// Proves K2.
#[test]
fn a_file_open_for_writing_keeps_the_tree_where_it_is() {
    let world = World::new();
    let (here, there) = (world.mount("here"), world.mount("there"));
    fs::write(here.path("sales/main/log"), b"1\n").unwrap();
    commit(&here, "one");
    eventually("the log", || there.path("sales/main/log").exists());
    let mut log = OpenOptions::new().append(true).open(there.path("sales/main/log")).unwrap();
    fs::write(here.path("sales/main/other"), b"").unwrap();
    commit(&here, "two");
    eventually("the other machine knows", || there.path("sales/@main/other").exists());
    std::thread::sleep(crate::machine::POLL * 4);
    assert!(!there.path("sales/main/other").exists());
    log.write_all(b"2\n").unwrap();
    drop(log);
    commit(&there, "three");
    assert_eq!(fs::read(there.path("sales/main/log")).unwrap(), b"1\n2\n");
    assert!(there.path("sales/main/other").exists());
}

/// Proves K1.
#[test]
fn what_is_restored_shows_where_the_kernel_held_that_there_was_nothing() {
    let world = World::new();
    let mesh = world.mount("a");
    let at = |name: &str| mesh.path("sales/main").join(name);
    fs::create_dir(at("dir")).unwrap();
    fs::write(at("dir/file"), b"old").unwrap();
    commit(&mesh, "with");
    fs::remove_dir_all(at("dir")).unwrap();
    commit(&mesh, "without");
    assert_eq!(errno(fs::metadata(at("dir"))), libc::ENOENT);
    assert_eq!(errno(fs::metadata(at("back"))), libc::ENOENT);
    assert_eq!(names(&mesh, "sales/main"), Vec::<String>::new());
    mesh.block_on(async {
        let workspace = mesh.vfs().workspace("sales", "main").await.unwrap();
        let before = workspace.domain().resolve(&"main~1".parse().unwrap()).await.unwrap();
        let snapshot = workspace.domain().snapshot(&before).await.unwrap();
        let path = |text: &str| TreePath::parse(text.as_bytes()).unwrap();
        workspace.restore(&snapshot, &path("dir/file"), &path("back/again/file")).await.unwrap();
        workspace.restore(&snapshot, &path("dir"), &path("dir")).await.unwrap();
    });
    assert_eq!(fs::read(at("back/again/file")).unwrap(), b"old");
    assert_eq!(fs::read(at("dir/file")).unwrap(), b"old");
    assert_eq!(names(&mesh, "sales/main"), ["back", "dir"]);
}
