//! Above the working trees: domains, branches, revisions.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use meshfs::repo::mesh::NewDomain;

use crate::machine::{World, errno, eventually};

fn names(dir: &Path) -> Vec<OsString> {
    let mut names: Vec<_> = fs::read_dir(dir).unwrap().map(|item| item.unwrap().file_name()).collect();
    names.sort();
    names
}

/// Proves N1.
#[test]
fn domains_and_branches_are_folders() {
    let world = World::new();
    let mesh = world.mount("a");
    assert_eq!(names(mesh.dir()), ["sales"]);
    assert_eq!(names(&mesh.path("sales")), ["main"]);
    assert_eq!(names(&mesh.path("sales/main")), Vec::<OsString>::new());
    assert!(fs::metadata(mesh.path("sales/main")).unwrap().is_dir());
    assert_eq!(errno(fs::metadata(mesh.path("hr"))), libc::ENOENT);
    assert_eq!(errno(fs::metadata(mesh.path("sales/other"))), libc::ENOENT);
    assert_eq!(errno(fs::metadata(mesh.path("sales/not a label"))), libc::ENOENT);
}

/// Proves N3.
#[test]
fn mkdir_makes_a_branch_and_rmdir_takes_an_unused_one_back() {
    let world = World::new();
    let mesh = world.mount("a");
    fs::create_dir(mesh.path("sales/exp")).unwrap();
    assert_eq!(names(&mesh.path("sales")), ["exp", "main"]);
    assert_eq!(errno(fs::create_dir(mesh.path("sales/exp"))), libc::EEXIST);
    fs::write(mesh.path("sales/exp/file"), b"x").unwrap();
    assert_eq!(errno(fs::metadata(mesh.path("sales/main/file"))), libc::ENOENT);
    assert_eq!(errno(fs::remove_dir(mesh.path("sales/exp"))), libc::EPERM);
    fs::remove_file(mesh.path("sales/exp/file")).unwrap();
    fs::remove_dir(mesh.path("sales/exp")).unwrap();
    assert_eq!(names(&mesh.path("sales")), ["main"]);
    // Made again it is another branch, with nothing of the old one.
    fs::create_dir(mesh.path("sales/exp")).unwrap();
    assert_eq!(names(&mesh.path("sales/exp")), Vec::<OsString>::new());
    assert_eq!(errno(fs::create_dir(mesh.path("sales/no label"))), libc::EINVAL);
    assert_eq!(errno(fs::create_dir(mesh.path("sales/@tag"))), libc::EPERM);
}

/// Proves N4, N5, N6.
#[test]
fn nothing_else_changes_above_the_working_trees() {
    let world = World::new();
    let mesh = world.mount("a");
    fs::create_dir(mesh.path("sales/exp")).unwrap();
    fs::write(mesh.path("sales/main/file"), b"x").unwrap();
    assert_eq!(errno(fs::create_dir(mesh.path("hr"))), libc::EPERM);
    assert_eq!(errno(fs::write(mesh.path("file"), b"")), libc::EPERM);
    assert_eq!(errno(fs::write(mesh.path("sales/file"), b"")), libc::EPERM);
    assert_eq!(errno(fs::remove_dir(mesh.path("sales"))), libc::EPERM);
    assert_eq!(errno(fs::rename(mesh.path("sales/exp"), mesh.path("sales/other"))), libc::EPERM);
    assert_eq!(errno(fs::rename(mesh.path("sales/main/file"), mesh.path("sales/exp/file"))), libc::EXDEV);
    assert_eq!(errno(fs::hard_link(mesh.path("sales/main/file"), mesh.path("sales/exp/file"))), libc::EXDEV);
    assert_eq!(errno(fs::create_dir(mesh.path("sales/main/.meshfs/x"))), libc::EPERM);
    fs::create_dir(mesh.path("sales/main/dir")).unwrap();
    assert_eq!(errno(fs::create_dir(mesh.path("sales/main/dir/.meshfs"))), libc::EPERM);
    assert_eq!(errno(fs::metadata(mesh.path("sales/main/dir/.meshfs"))), libc::ENOENT);
    assert_eq!(errno(fs::rename(mesh.path("sales/main/dir"), mesh.path("sales/main/.meshfs"))), libc::EPERM);
}

/// Proves N4, C4.
#[test]
fn the_last_failure_is_told_in_sentences() {
    let world = World::new();
    let mesh = world.mount("a");
    assert_eq!(fs::read(mesh.path("sales/main/.meshfs/last-error")).unwrap(), b"");
    assert_eq!(errno(fs::create_dir(mesh.path("hr"))), libc::EPERM);
    let told = fs::read_to_string(mesh.path("sales/main/.meshfs/last-error")).unwrap();
    assert!(told.contains("meshfs domain create"), "{told}");
}

/// Proves N4, N7.
#[test]
fn revisions_are_symlinks_to_snapshots_found_and_never_listed() {
    let world = World::new();
    let mesh = world.mount("a");
    let link = fs::read_link(mesh.path("sales/@main")).unwrap();
    let name = link.to_str().unwrap().to_owned();
    assert!(name.len() == 65 && name.starts_with('@'), "{name}");
    let snapshot = mesh.path("sales").join(&name);
    assert!(fs::metadata(&snapshot).unwrap().is_dir());
    assert_eq!(fs::read_link(mesh.path("sales").join(&name[..13])).unwrap(), link);
    assert_eq!(names(&mesh.path("sales")), ["main"]);
    assert_eq!(names(&snapshot), Vec::<OsString>::new());
    assert_eq!(errno(fs::write(snapshot.join("file"), b"")), libc::EROFS);
    assert_eq!(errno(fs::metadata(mesh.path("sales/@nothing"))), libc::ENOENT);
    assert_eq!(errno(fs::metadata(mesh.path("sales/@main~1"))), libc::ENOENT);
    assert_eq!(errno(fs::metadata(mesh.path(&format!("sales/@{}", "0".repeat(64))))), libc::ENOENT);
}

/// Proves N1.
#[test]
fn what_other_machines_make_appears() {
    let world = World::new();
    let (here, there) = (world.mount("here"), world.mount("there"));
    assert_eq!(names(&here.path("sales")), ["main"]);
    assert_eq!(errno(fs::metadata(here.path("sales/exp"))), libc::ENOENT);
    assert_eq!(errno(fs::metadata(here.path("hr"))), libc::ENOENT);
    fs::create_dir(there.path("sales/exp")).unwrap();
    eventually("the branch appears", || here.path("sales/exp").is_dir());
    assert_eq!(names(&here.path("sales")), ["exp", "main"]);
    let mesh =
        there.block_on(there.vfs().mesh().create_domain(NewDomain { name: "hr".into(), ..NewDomain::default() }));
    mesh.unwrap();
    eventually("the domain appears", || here.path("hr/main").is_dir());
    let old = fs::metadata(here.path("sales/exp")).unwrap().ino();
    fs::remove_dir(there.path("sales/exp")).unwrap();
    eventually("the branch goes", || !here.path("sales/exp").exists());
    fs::create_dir(there.path("sales/exp")).unwrap();
    eventually("another branch of that name", || here.path("sales/exp").exists());
    assert_ne!(fs::metadata(here.path("sales/exp")).unwrap().ino(), old);
}
