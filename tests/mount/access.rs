//! Who gets in: other users, privileges of programs and devices on the mount, and what they are told.

use std::fs::{self, Permissions};
use std::os::unix::fs::{FileTypeExt, PermissionsExt, chown};
use std::path::Path;
use std::process::Command;

use crate::machine::{Mounted, World, as_user};

const ALICE: u32 = 1234;
const BOB: u32 = 1235;

/// Lets every user get to the mountpoint; whether they get in is the mount's to decide.
fn open_the_way(mesh: &Mounted) {
    for dir in mesh.dir().ancestors().skip(1).take(2) {
        fs::set_permissions(dir, Permissions::from_mode(0o755)).unwrap();
    }
}

#[track_caller]
fn assert_may(may: bool, user: u32, line: &str) {
    let output = as_user(user, line);
    let denied = ["Permission denied", "not permitted"];
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.success(), may, "{user}: {line}: {output:?}");
    assert!(may || denied.iter().any(|text| said.contains(text)), "{user}: {line}: {output:?}");
}

/// Proves A1.
#[test]
fn only_the_mounter_gets_into_an_ordinary_mount() {
    let world = World::new();
    let mesh = world.mount("a");
    open_the_way(&mesh);
    let main = mesh.path("sales/main");
    fs::write(main.join("file"), b"x").unwrap();
    fs::set_permissions(main.join("file"), Permissions::from_mode(0o666)).unwrap();
    for line in
        ["stat {}", "ls {}", "cat {}/sales/main/file", "echo x > {}/sales/main/new", "cat {}/sales/main/.meshfs/head"]
    {
        assert_may(false, ALICE, &line.replace("{}", &mesh.dir().display().to_string()));
    }
}

/// Proves A2, C2.
#[test]
fn in_a_mount_for_all_the_modes_decide() {
    let world = World::new();
    let mesh = world.mount_for_all("a");
    open_the_way(&mesh);
    let main = mesh.path("sales/main");
    let at = |name: &str| main.join(name).display().to_string();
    fs::write(at("secret"), b"x").unwrap();
    fs::set_permissions(at("secret"), Permissions::from_mode(0o640)).unwrap();
    chown(at("secret"), Some(ALICE), Some(BOB)).unwrap();
    assert_may(true, ALICE, &format!("cat {0} && echo y >> {0}", at("secret")));
    assert_may(true, BOB, &format!("cat {}", at("secret")));
    assert_may(false, BOB, &format!("echo y >> {}", at("secret")));
    assert_may(false, BOB + 1, &format!("cat {}", at("secret")));
    assert_may(false, BOB, &format!("chmod 666 {}", at("secret")));
    assert_may(false, ALICE, &format!("chown {BOB} {}", at("secret")));
    // Nobody but root may write in the branch's root, so nobody else may command.
    assert_may(false, ALICE, &format!("echo x > {}", at("new")));
    assert_may(false, ALICE, &format!("echo x > {}", at(".meshfs/commit")));
    assert_may(false, ALICE, &format!("rmdir {}", main.display()));
}

/// Proves A2.
#[test]
fn in_a_sticky_directory_only_owners_remove() {
    let world = World::new();
    let mesh = world.mount_for_all("a");
    open_the_way(&mesh);
    let shared = mesh.path("sales/main/shared");
    fs::create_dir(&shared).unwrap();
    fs::set_permissions(&shared, Permissions::from_mode(0o1777)).unwrap();
    let at = |name: &str| shared.join(name).display().to_string();
    assert_may(true, ALICE, &format!("echo a > {} && echo b > {}", at("one"), at("two")));
    assert_may(false, BOB, &format!("rm -f {}", at("one")));
    assert_may(false, BOB, &format!("mv -f {} {}", at("one"), at("mine")));
    assert_may(true, BOB, &format!("echo c > {0} && mv {0} {1}", at("own"), at("other")));
    assert_may(true, ALICE, &format!("rm {}", at("one")));
    fs::set_permissions(&shared, Permissions::from_mode(0o777)).unwrap();
    assert_may(true, BOB, &format!("rm -f {}", at("two")));
}

/// Options of the mount at `dir`, as the kernel has them.
fn mount_options(dir: &Path) -> Vec<String> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let line = mounts.lines().find(|line| line.split(' ').nth(4) == dir.to_str()).expect("mounted");
    line.split(' ').nth(5).unwrap().split(',').map(str::to_owned).collect()
}

/// Proves A4.
#[test]
fn privileges_of_programs_and_devices_count_only_when_root_asks_for_them() {
    let world = World::new();
    let mesh = world.mount_for_all("a");
    open_the_way(&mesh);
    let main = mesh.path("sales/main");
    let at = |name: &str| main.join(name).display().to_string();
    fs::copy("/usr/bin/id", at("id")).unwrap();
    fs::set_permissions(at("id"), Permissions::from_mode(0o4755)).unwrap();
    assert!(Command::new("mknod").args([&at("null"), "c", "1", "3"]).status().unwrap().success());
    fs::set_permissions(at("null"), Permissions::from_mode(0o666)).unwrap();
    assert!(fs::metadata(at("null")).unwrap().file_type().is_char_device());
    let effective = || String::from_utf8(as_user(ALICE, &format!("{} -u", at("id"))).stdout).unwrap();

    let options = mount_options(mesh.dir());
    assert!(["nosuid", "nodev"].iter().all(|option| options.iter().any(|o| o == option)), "{options:?}");
    assert_eq!(effective(), format!("{ALICE}\n"));
    assert_may(false, ALICE, &format!("cat {}", at("null")));

    let remount = ["--internal-only", "-o", "remount,suid,dev"];
    assert!(Command::new("mount").args(remount).arg(mesh.dir()).status().unwrap().success());
    assert_eq!(effective(), "0\n");
    assert_may(true, ALICE, &format!("cat {}", at("null")));
}
