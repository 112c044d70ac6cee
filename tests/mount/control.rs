//! Control files: commands by writing, what reading them tells.

use std::fs::{self, File, OpenOptions};
use std::io::Write;

use crate::machine::{Mounted, World, errno};

fn control(mesh: &Mounted, name: &str) -> std::path::PathBuf {
    mesh.path("sales/main/.meshfs").join(name)
}

fn read(mesh: &Mounted, name: &str) -> String {
    fs::read_to_string(control(mesh, name)).unwrap()
}

/// Proves N6.
#[test]
fn the_folder_is_found_and_never_listed() {
    let world = World::new();
    let mesh = world.mount("a");
    assert_eq!(fs::read_dir(mesh.path("sales/main")).unwrap().count(), 0);
    let mut names: Vec<_> = fs::read_dir(mesh.path("sales/main/.meshfs"))
        .unwrap()
        .map(|item| item.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["commit", "conflicts", "discard", "head", "last-error", "refresh", "status"]);
    assert_eq!(errno(fs::write(control(&mesh, "status"), b"x")), libc::EPERM);
    assert_eq!(errno(fs::read(control(&mesh, "discard"))), libc::EINVAL);
    assert_eq!(errno(fs::remove_file(control(&mesh, "head"))), libc::EPERM);
}

/// Proves C1.
#[test]
fn echo_into_commit_commits() {
    let world = World::new();
    let mesh = world.mount("a");
    let before = read(&mesh, "head");
    assert_eq!(read(&mesh, "commit"), "null\n");
    fs::create_dir(mesh.path("sales/main/orders")).unwrap();
    fs::write(mesh.path("sales/main/orders/1.csv"), b"1,2\n").unwrap();
    assert_eq!(read(&mesh, "status"), "A orders/\nA orders/1.csv\n");
    let line = format!("echo 'first orders' > {}", control(&mesh, "commit").display());
    let echo = std::process::Command::new("sh").args(["-c", &line]).output().unwrap();
    assert!(echo.status.success(), "{echo:?}");
    assert_eq!(read(&mesh, "status"), "");
    let head = read(&mesh, "head");
    assert_ne!(head, before);
    let told = read(&mesh, "commit");
    assert!(told.contains("\"message\":\"first orders\"") && told.contains(head.trim()), "{told}");
    assert_eq!(fs::read(mesh.path("sales/main/orders/1.csv")).unwrap(), b"1,2\n");
    assert_eq!(fs::read(mesh.path("sales/@main/orders/1.csv")).unwrap(), b"1,2\n");
    assert_eq!(errno(fs::read(mesh.path("sales/@main~1/orders/1.csv"))), libc::ENOENT);
    // An empty commit is no error and makes none.
    fs::write(control(&mesh, "commit"), "nothing").unwrap();
    assert_eq!(read(&mesh, "head"), head);
    assert_eq!(read(&mesh, "commit"), told);
}

/// Proves C1.
#[test]
fn one_write_is_one_command() {
    let world = World::new();
    let mesh = world.mount("a");
    fs::write(mesh.path("sales/main/file"), b"x").unwrap();
    let mut commit = OpenOptions::new().write(true).truncate(true).open(control(&mesh, "commit")).unwrap();
    commit.write_all(b"one\n").unwrap();
    assert_eq!(errno(commit.write_all(b"two\n")), libc::EINVAL);
    assert_eq!(errno(fs::write(control(&mesh, "commit"), b"\n")), libc::EINVAL);
    assert!(read(&mesh, "last-error").contains("needs a message"));
    assert_eq!(errno(fs::write(control(&mesh, "commit"), b"\xff")), libc::EINVAL);
    assert!(read(&mesh, "commit").contains("\"message\":\"one\""));
}

#[test]
fn discard_takes_a_path_or_everything() {
    let world = World::new();
    let mesh = world.mount("a");
    let at = |name: &str| mesh.path("sales/main").join(name);
    fs::create_dir(at("dir")).unwrap();
    fs::write(at("dir/kept"), b"old").unwrap();
    fs::write(at("gone"), b"old").unwrap();
    fs::write(control(&mesh, "commit"), "base").unwrap();
    assert_eq!(fs::read(at("dir/kept")).unwrap(), b"old");
    fs::write(at("dir/kept"), b"new").unwrap();
    fs::write(at("dir/added"), b"new").unwrap();
    fs::remove_file(at("gone")).unwrap();
    assert_eq!(read(&mesh, "status"), "A dir/added\nM dir/kept\nD gone\n");
    let names = || fs::read_dir(at("dir")).unwrap().count();
    assert_eq!(names(), 2);
    fs::write(control(&mesh, "discard"), "dir/added\n").unwrap();
    assert_eq!(errno(fs::metadata(at("dir/added"))), libc::ENOENT);
    assert_eq!(names(), 1);
    assert_eq!(fs::read(at("dir/kept")).unwrap(), b"new");
    fs::write(control(&mesh, "discard"), ".").unwrap();
    assert_eq!(read(&mesh, "status"), "");
    assert_eq!(fs::read(at("dir/kept")).unwrap(), b"old");
    assert_eq!(fs::metadata(at("dir/kept")).unwrap().len(), 3);
    assert_eq!(fs::read(at("gone")).unwrap(), b"old");
    assert_eq!(errno(fs::write(control(&mesh, "discard"), "never")), libc::ENOENT);
    assert!(fs::read_to_string(control(&mesh, "last-error")).unwrap().contains("never"));
    assert_eq!(errno(fs::write(control(&mesh, "discard"), "../up")), libc::EPERM);
}

/// Proves C3.
#[test]
fn a_conflict_is_busy_and_its_sides_are_files() {
    let world = World::new();
    let (here, there) = (world.mount("here"), world.mount("there"));
    fs::create_dir(here.path("sales/main/dir")).unwrap();
    fs::write(here.path("sales/main/dir/file"), b"base").unwrap();
    fs::write(control(&here, "commit"), "base").unwrap();
    crate::machine::eventually("the base arrives", || there.path("sales/main/dir/file").exists());
    // Staged on the base before the other machine commits.
    fs::write(there.path("sales/main/dir/file"), b"theirs to come, ours to be").unwrap();
    fs::write(here.path("sales/main/dir/file"), b"theirs").unwrap();
    fs::write(control(&here, "commit"), "theirs").unwrap();
    assert_eq!(errno(fs::write(control(&there, "commit"), "ours")), libc::EBUSY);
    let told = read(&there, "last-error");
    assert!(told.contains("dir/file") && told.contains("--strategy"), "{told}");
    assert!(read(&there, "commit").contains("\"state\":\"failed\""));
    let side = |side: &str| fs::read(control(&there, "conflicts").join(side).join("dir/file")).unwrap();
    assert_eq!(side("base"), b"base");
    assert_eq!(side("ours"), b"theirs to come, ours to be");
    assert_eq!(side("theirs"), b"theirs");
    let listed: Vec<_> =
        fs::read_dir(control(&there, "conflicts/theirs/dir")).unwrap().map(|i| i.unwrap().file_name()).collect();
    assert_eq!(listed, ["file"]);
    assert_eq!(errno(fs::write(control(&there, "conflicts/theirs/dir/file"), b"")), libc::EROFS);
    assert_eq!(errno(fs::write(control(&there, "refresh"), "go")), libc::EBUSY);
    // Nothing was lost, and putting it right by hand resolves it.
    assert_eq!(fs::read(there.path("sales/main/dir/file")).unwrap(), b"theirs to come, ours to be");
    fs::write(there.path("sales/main/dir/file"), b"both").unwrap();
    fs::write(control(&there, "commit"), "both").unwrap();
    assert_eq!(fs::read_dir(control(&there, "conflicts/theirs")).unwrap().count(), 0);
    crate::machine::eventually("the resolution arrives", || {
        fs::read(here.path("sales/main/dir/file")).unwrap() == b"both"
    });
}

/// Proves C2.
#[test]
fn control_files_take_the_rights_of_the_branch() {
    use std::os::unix::fs::PermissionsExt;
    let world = World::new();
    let mesh = world.mount("a");
    let mode = |name: &str| fs::metadata(control(&mesh, name)).unwrap().permissions().mode() & 0o777;
    fs::set_permissions(mesh.path("sales/main"), fs::Permissions::from_mode(0o775)).unwrap();
    assert_eq!((mode("commit"), mode("status"), mode("discard"), mode("")), (0o664, 0o444, 0o220, 0o555));
    fs::set_permissions(mesh.path("sales/main"), fs::Permissions::from_mode(0o700)).unwrap();
    assert_eq!((mode("commit"), mode("status"), mode("discard"), mode("")), (0o600, 0o400, 0o200, 0o500));
    File::open(control(&mesh, "conflicts")).unwrap().sync_all().unwrap();
}
