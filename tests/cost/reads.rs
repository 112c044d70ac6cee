//! What a cold machine pays to mount, list and read.

use std::fs;
use std::os::unix::fs::FileExt;

use super::lake::{Lake, Made, many_directories, noise, word_at};

const FILES: usize = 100_000;

#[test]
fn mount_and_first_listing_then_the_whole_tree() {
    let lake = Lake::new().with(many_directories()).with_log_of(10_000);
    let machine = lake.machine();
    let mut root = None;
    let spent = lake.cost(|| {
        let mesh = machine.mount(&["--poll", "3600"]);
        assert_eq!(fs::read_dir(mesh.join("sales/main")).unwrap().count(), 1000);
        root = Some(mesh.join("sales/main"));
    });
    assert!(spent.total() <= 12, "mount and first ls: {spent:?}");

    let root = root.unwrap();
    let spent = lake.cost(|| {
        let found = machine.run(&root, "find", &[".", "-type", "f", "-printf", "%s\n"]);
        assert_eq!(found.lines().filter(|size| *size == "7").count(), FILES);
    });
    assert!(spent.total() <= 100, "find over {FILES} files: {spent:?}");
    let spent = lake.cost(|| machine.run(&root, "find", &[".", "-type", "f"]));
    assert_eq!(spent.total(), 0, "nothing is asked twice: {spent:?}");
}

#[test]
fn the_last_bytes_of_a_large_file() {
    const SIZE: u64 = 1 << 30;
    let lake = Lake::new().with(vec![("large.bin".to_owned(), Made::Large(SIZE))]);
    let machine = lake.mounted();
    let path = machine.mesh().join("sales/main/large.bin");
    assert_eq!(fs::metadata(&path).unwrap().len(), SIZE);
    let spent = lake.cost(|| {
        let mut last = [0; 8];
        fs::File::open(&path).unwrap().read_exact_at(&mut last, SIZE - 8).unwrap();
        assert_eq!(last, word_at(SIZE - 8));
    });
    assert!(spent.total() <= 4 && spent.received_bytes <= 2 << 20, "the last 8 bytes: {spent:?}");
}

#[test]
fn every_small_file_of_a_directory() {
    let files = (0..1000).map(|n| (format!("{n:04}"), Made::File(noise(n, 4096)))).collect();
    let lake = Lake::new().with(vec![("small".to_owned(), Made::Dir(files))]);
    let machine = lake.mounted();
    let folder = machine.mesh().join("sales/main/small");
    assert!(folder.is_dir());
    let spent = lake.cost(|| {
        for name in 0..1000 {
            assert_eq!(fs::read(folder.join(format!("{name:04}"))).unwrap(), noise(name, 4096));
        }
    });
    assert!(spent.total() <= 20, "cat of 1,000 small files: {spent:?}");
}

#[test]
fn what_was_warmed_is_read_without_asking() {
    let files = (0..100).map(|n| (format!("{n:04}"), Made::File(noise(n, 4096)))).collect();
    let large = noise(7, 9 << 20);
    let tree = vec![("small".to_owned(), Made::Dir(files)), ("large".to_owned(), Made::File(large.clone()))];
    let lake = Lake::new().with(tree);
    // On a disk that is nearly full the cache keeps nothing; memory always has room for this.
    let cache = tempfile::tempdir_in("/dev/shm").unwrap();
    let machine = lake.machine_with(&[("MESHFS_CACHE_DIR", cache.path().to_str().unwrap())]);
    let root = machine.mount(&["--poll", "3600"]).join("sales/main");
    assert!(root.is_dir());
    let spent = lake.cost(|| machine.meshfs(&["warm", "sales/main"]));
    assert!(spent.total() <= 25, "warming 101 files: {spent:?}");
    let spent = lake.cost(|| {
        assert!(fs::read(root.join("large")).unwrap() == large);
        for name in 0..100 {
            assert_eq!(fs::read(root.join(format!("small/{name:04}"))).unwrap(), noise(name, 4096));
        }
    });
    assert!(spent.total() <= 2 && spent.received_bytes < 4096, "a look at the log, and no content: {spent:?}");
}

/// However many branches are in use, one look a second at their domain's log, and one at the mesh's.
#[test]
fn unmoved_domains_cost_one_look_each() {
    let lake = Lake::new().with(vec![("x".to_owned(), Made::File(b"x".to_vec()))]);
    let machine = lake.machine();
    for branch in ["a", "b", "c", "d"] {
        machine.meshfs(&["branch", "create", &format!("sales/{branch}")]);
    }
    let mesh = machine.mount(&["--poll", "1"]);
    for branch in ["main", "a", "b", "c", "d"] {
        assert_eq!(fs::read(mesh.join("sales").join(branch).join("x")).unwrap(), b"x");
    }
    let spent = lake.cost(|| machine.run(&mesh, "sleep", &["5"]));
    assert!((4..=13).contains(&spent.total()), "5 seconds of polling one domain and the mesh: {spent:?}");
}
