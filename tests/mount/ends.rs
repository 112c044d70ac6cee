//! How mounts end, well and badly: busy, dead, killed; and mounts by an ordinary user.

use std::fs::{self, File, Permissions};
use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use meshfs::fuse::dead;
use meshfs::fuse::session::{self, MountError, MountOptions, Unmounted};

use crate::common::machine::guards_of;
use crate::common::scratch::Scratch;
use crate::machine::{World, errno, eventually};

const MESHFS: &str = env!("CARGO_BIN_EXE_meshfs");

/// A user that every machine knows by name, as fusermount3 wants it.
const NOBODY: u32 = 65534;

/// A daemon in the foreground, with folders of its own; killed and its mount cleared when dropped.
struct Daemon {
    child: Child,
    dir: PathBuf,
    user: Option<u32>,
}

/// Folders of a user: a store with the domain `sales`, state, cache and a mountpoint.
struct Home {
    scratch: Scratch,
    user: Option<u32>,
}

impl Home {
    fn new(user: Option<u32>) -> Home {
        let home = Home { scratch: Scratch::new(), user };
        fs::set_permissions(home.scratch.path(), Permissions::from_mode(0o755)).unwrap();
        for folder in ["store", "state", "cache", "mesh"] {
            chown(home.scratch.folder(folder), user, user).unwrap();
        }
        let domain = ["domain", "create", "sales"];
        for arguments in [&["init"][..], &domain] {
            let output = home.command(arguments).output().unwrap();
            assert!(output.status.success(), "{output:?}");
        }
        home
    }

    fn at(&self, name: &str) -> PathBuf {
        self.scratch.join(name)
    }

    /// The program as the user runs it.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = match self.user {
            None => Command::new(MESHFS),
            Some(user) => as_user(user, MESHFS),
        };
        command
            .args(arguments)
            .env("MESHFS_STORE", self.at("store"))
            .env("MESHFS_STATE_DIR", self.at("state"))
            .env("MESHFS_CACHE_DIR", self.at("cache"))
            .env("HOME", self.at("state"));
        command
    }

    /// Mounts, and returns when the mount is usable.
    fn mount(&self) -> Daemon {
        let dir = self.at("mesh");
        let dir_text = dir.display().to_string();
        let mut command = self.command(&["mount", "--foreground", &dir_text]);
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let daemon = Daemon { child, dir, user: self.user };
        eventually("the mount", || daemon.has("sales/main"));
        daemon
    }
}

fn as_user(user: u32, program: &str) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--reuid", &user.to_string(), "--regid", &user.to_string(), "--clear-groups", "--", program]);
    command
}

impl Daemon {
    /// Is there something at the address, as its user sees it?
    fn has(&self, address: &str) -> bool {
        let path = self.dir.join(address);
        match self.user {
            None => path.exists(),
            Some(user) => as_user(user, "test").arg("-e").arg(&path).status().unwrap().success(),
        }
    }

    /// Runs a shell line as the daemon's user, in the working tree.
    fn shell(&self, line: &str) -> String {
        let line = format!("cd {}/sales/main && {line}", self.dir.display());
        let mut command = self.user.map_or_else(|| Command::new("sh"), |user| as_user(user, "sh"));
        let output = command.args(["-c", &line]).output().unwrap();
        assert!(output.status.success(), "{line}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Kills it and its guard, so that nobody takes the dead mount away.
    fn kill_with_guard(&mut self) {
        for guard in guards_of(self.child.id()) {
            // SAFETY: a plain system call on the guard of our own child.
            assert_eq!(unsafe { libc::kill(guard as i32, libc::SIGKILL) }, 0);
        }
        self.signal(libc::SIGKILL);
    }

    fn signal(&mut self, signal: i32) {
        // SAFETY: a plain system call on a child that was not waited for.
        assert_eq!(unsafe { libc::kill(self.child.id() as i32, signal) }, 0);
        self.child.wait().unwrap();
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
        Command::new("umount").arg("-l").arg(&self.dir).stderr(Stdio::null()).status().ok();
    }
}

fn is_mounted(dir: &Path) -> bool {
    fs::read_to_string("/proc/self/mountinfo").unwrap().contains(&format!(" {} ", dir.display()))
}

#[test]
fn a_busy_mount_is_detached_and_served_until_its_last_file_is_closed() {
    let world = World::new();
    let mesh = world.mount("a");
    let path = mesh.path("sales/main/file");
    let mut file = File::options().read(true).write(true).create_new(true).open(&path).unwrap();
    file.write_all(b"before").unwrap();
    assert_eq!(mesh.session().unmount().unwrap(), Unmounted::Lazy);
    assert!(!is_mounted(mesh.dir()));
    assert_eq!(errno(fs::metadata(&path)), libc::ENOENT);
    file.write_all(b" and after").unwrap();
    file.sync_all().unwrap();
    assert!(!mesh.session().has_ended());
    drop(file);
    eventually("the session ends", || mesh.session().has_ended());
    assert_eq!(mesh.vfs().usage().handles, 0);
    // What ended does not touch what is mounted there next.
    assert_eq!(mesh.session().unmount().unwrap(), Unmounted::Clean);
}

/// Proves K3.
#[test]
fn every_reference_is_given_back() {
    let world = World::new();
    let mesh = world.mount("a");
    for number in 0..300 {
        fs::write(mesh.path("sales/main").join(format!("file-{number}")), b"x").unwrap();
    }
    let mut listed = 0;
    for item in fs::read_dir(mesh.path("sales/main")).unwrap() {
        item.unwrap().metadata().unwrap();
        listed += 1;
    }
    assert_eq!(listed, 300);
    assert!(mesh.vfs().usage().nodes >= 300);
    assert_eq!(mesh.session().unmount().unwrap(), Unmounted::Clean);
    eventually("the session ends", || mesh.session().has_ended());
    // Unmounting sends no forgets; what counts is that none was left over before, which removing shows.
    let mesh = world.mount("b");
    for round in 0..3 {
        let path = mesh.path("sales/main").join(format!("brief-{round}"));
        fs::write(&path, b"x").unwrap();
        fs::metadata(&path).unwrap();
        assert_eq!(fs::read_dir(mesh.path("sales/main")).unwrap().count(), 1);
        fs::remove_file(&path).unwrap();
    }
    eventually("nodes of removed files are forgotten", || {
        let held = mesh.vfs().usage();
        (held.nodes, held.handles) == (2, 0)
    });
}

#[test]
fn an_unusable_mountpoint_is_refused_with_its_reason() {
    let world = World::new();
    let mesh = world.mount("a");
    let options = MountOptions { source: "test".into(), allow_other: false, read_only: false, passthrough: true };
    let refusal = |dir: &Path| session::mount(mesh.vfs().clone(), dir, &options).unwrap_err();
    assert!(matches!(refusal(&world.outside("missing")), MountError::Missing(_)));
    let full = world.outside("full");
    fs::create_dir_all(full.join("something")).unwrap();
    assert!(matches!(refusal(&full), MountError::NotEmpty(_)));
    fs::write(world.outside("file"), b"").unwrap();
    assert!(matches!(refusal(&world.outside("file")), MountError::NotFolder(_)));
    assert!(matches!(refusal(mesh.dir()), MountError::Mounted(_)));
    // A live mount is not taken for a dead one.
    assert!(!dead::clear(mesh.dir()).unwrap());
    assert!(mesh.path("sales/main").is_dir());
}

/// Proves F6.
#[test]
fn a_killed_daemon_loses_nothing_and_its_dead_mount_is_cleared() {
    let home = Home::new(None);
    let mut daemon = home.mount();
    daemon.shell("mkdir dir && echo kept > dir/file && echo also > other && rm other");
    daemon.kill_with_guard();
    // At once, while the kernel still remembers attributes.
    assert!(dead::is_dead(&daemon.dir));
    assert_eq!(errno(fs::read_dir(daemon.dir.join("sales/main/dir"))), libc::ENOTCONN);
    let again = home.mount();
    assert_eq!(again.shell("cat dir/file && ls"), "kept\ndir\n");
    std::mem::forget(daemon);
}

#[test]
fn told_to_end_a_daemon_unmounts() {
    let home = Home::new(None);
    let mut daemon = home.mount();
    daemon.shell("echo kept > file");
    daemon.signal(libc::SIGTERM);
    assert!(!is_mounted(&daemon.dir));
    let again = home.mount();
    assert_eq!(again.shell("cat file"), "kept\n");
}

/// Ordinary users can open /dev/fuse on every desktop and server; where it is root's only, as in some virtual machines,
/// this makes it as elsewhere.
fn let_users_mount() {
    fs::set_permissions("/dev/fuse", Permissions::from_mode(0o666)).unwrap();
}

/// Proves A1.
#[test]
fn an_ordinary_user_mounts_works_commits_and_unmounts() {
    let_users_mount();
    let home = Home::new(Some(NOBODY));
    let daemon = home.mount();
    assert_eq!(daemon.shell("echo mine > file && mkdir dir && mv file dir/ && cat dir/file"), "mine\n");
    assert_eq!(daemon.shell("stat -c '%u %g' dir/file ."), "65534 65534\n65534 65534\n");
    daemon.shell("echo 'by a user' > .meshfs/commit");
    assert!(daemon.shell("cat .meshfs/commit").contains("\"message\":\"by a user\""));
    // Root is not let in by the kernel, and the daemon has nothing of it to fear.
    assert_eq!(errno(fs::metadata(daemon.dir.join("sales"))), libc::EACCES);
    let dir = daemon.dir.display().to_string();
    let output = home.command(&["umount", &dir]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    eventually("it is unmounted", || !is_mounted(&daemon.dir));
}

#[test]
fn an_ordinary_users_dead_mount_is_cleared_too() {
    let_users_mount();
    let home = Home::new(Some(NOBODY));
    let mut daemon = home.mount();
    daemon.shell("echo kept > file");
    daemon.kill_with_guard();
    let again = home.mount();
    assert_eq!(again.shell("cat file"), "kept\n");
    std::mem::forget(daemon);
}

#[test]
fn a_mapped_file_is_whole_when_its_writer_is_killed() {
    let home = Home::new(None);
    let mut daemon = home.mount();
    let path = daemon.dir.join("sales/main/mapped");
    let file = File::options().read(true).write(true).create_new(true).open(&path).unwrap();
    file.set_len(4096).unwrap();
    // SAFETY: a new mapping of an open file, written within its bounds, synced and unmapped.
    unsafe {
        let prot = libc::PROT_READ | libc::PROT_WRITE;
        let map = libc::mmap(std::ptr::null_mut(), 4096, prot, libc::MAP_SHARED, file.as_raw_fd(), 0);
        assert_ne!(map, libc::MAP_FAILED);
        std::ptr::copy_nonoverlapping(b"synced".as_ptr(), map.cast::<u8>(), 6);
        assert_eq!(libc::msync(map, 4096, libc::MS_SYNC), 0);
        assert_eq!(libc::munmap(map, 4096), 0);
    }
    daemon.signal(libc::SIGKILL);
    drop(file);
    let again = home.mount();
    assert!(again.shell("cat mapped").starts_with("synced"));
    std::mem::forget(daemon);
}
