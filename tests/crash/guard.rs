//! A daemon that cannot answer: killed, stopped, or stuck on a disk that hangs. No mount is left behind, nobody waits
//! for ever, and nothing that returned is lost.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use crate::common::machine::{Machine, guards_of};
use crate::common::reference::base::noise;
use crate::common::s3::Server;
use crate::common::scratch::Scratch;

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(90);

/// A short wait for the store, and so the shortest for a daemon that does not answer.
const SHORT: [&str; 2] = ["--timeout", "1"];

fn eventually(what: &str, mut done: impl FnMut() -> bool) {
    let began = Instant::now();
    while !done() {
        assert!(began.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

fn is_there(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    !stat.is_empty() && !stat.contains(") Z ")
}

fn signal(pid: u32, signal: i32) {
    // SAFETY: a system call; the process is a daemon of ours.
    assert_eq!(unsafe { libc::kill(pid as i32, signal) }, 0);
}

/// Stops a process; returns when all its threads stand still.
fn stop(pid: u32) {
    signal(pid, libc::SIGSTOP);
    let stands =
        |task: fs::DirEntry| fs::read_to_string(task.path().join("stat")).is_ok_and(|stat| stat.contains(") T "));
    let tasks = || fs::read_dir(format!("/proc/{pid}/task")).unwrap().flatten();
    eventually("it is stopped", || tasks().all(stands));
}

fn run(program: &str, arguments: &[&str], path: &Path) {
    let output = Command::new(program).args(arguments).arg(path).output().unwrap();
    assert!(output.status.success(), "{program} {arguments:?}: {output:?}");
}

fn tree(machine: &Machine) -> PathBuf {
    machine.mesh().join("sales/main")
}

/// A machine with a mesh in a folder, mounted, and the numbers of its daemon and guard.
fn mounted(options: &[&str]) -> (Scratch, Machine, u32, u32) {
    let store = Scratch::new();
    let machine = Machine::new(&store.join("store").display().to_string());
    machine.meshfs(&["init"]);
    machine.meshfs(&["domain", "create", "sales"]);
    let (daemon, guard) = mount(&machine, options);
    fs::write(tree(&machine).join("kept"), "kept").unwrap();
    (store, machine, daemon, guard)
}

fn mount(machine: &Machine, options: &[&str]) -> (u32, u32) {
    machine.mount(options);
    let daemon = machine.daemons()[0];
    (daemon, guards_of(daemon)[0])
}

fn check_nothing_is_left(machine: &Machine, daemon: u32, guard: u32) {
    eventually("the mount is taken away", || !machine.is_mounted());
    eventually("daemon and guard have ended", || !is_there(daemon) && !is_there(guard));
}

fn check_all_is_there(machine: &Machine) {
    machine.mount(&[]);
    assert_eq!(fs::read_to_string(tree(machine).join("kept")).unwrap(), "kept");
}

#[test]
fn a_killed_daemon_leaves_no_mount_behind() {
    let (_store, machine, daemon, guard) = mounted(&[]);
    signal(daemon, libc::SIGKILL);
    check_nothing_is_left(&machine, daemon, guard);
    check_all_is_there(&machine);
}

#[test]
fn a_new_mount_and_the_guard_of_a_killed_daemon_do_not_meet() {
    let (_store, machine, ..) = mounted(&[]);
    for _ in 0..5 {
        machine.kill_daemon();
        check_all_is_there(&machine);
        assert!(machine.is_mounted());
    }
}

#[test]
fn a_daemon_that_unmounts_takes_its_guard_along() {
    let (_store, machine, daemon, guard) = mounted(&[]);
    machine.unmount();
    eventually("the daemon has ended", || !is_there(daemon));
    assert!(!is_there(guard), "the daemon waits for it");
}

#[test]
fn a_stopped_daemon_is_ended_and_whoever_waits_is_freed() {
    let (_store, machine, daemon, guard) = mounted(&SHORT);
    stop(daemon);
    let path = tree(&machine).join("asked");
    let asked = thread::spawn(move || fs::write(path, "x"));
    assert!(asked.join().unwrap().is_err(), "nobody could answer");
    check_nothing_is_left(&machine, daemon, guard);
    check_all_is_there(&machine);
}

#[test]
fn a_pause_shorter_than_the_limit_harms_nobody() {
    let (_store, machine, daemon, _) = mounted(&SHORT);
    stop(daemon);
    let path = tree(&machine).join("asked");
    let asked = thread::spawn(move || fs::write(path, "x"));
    thread::sleep(Duration::from_secs(1));
    signal(daemon, libc::SIGCONT);
    asked.join().unwrap().unwrap();
    assert_eq!(machine.daemons(), [daemon]);
}

#[test]
fn waiting_for_a_store_that_is_away_is_no_reason_to_end() {
    let server = Server::start();
    let machine = Machine::with_environment(&server.url("mesh"), server.environment());
    machine.meshfs(&["init"]);
    machine.meshfs(&["domain", "create", "sales"]);
    machine.mount(&[]);
    fs::write(tree(&machine).join("committed"), noise(3_000_000, 5)).unwrap();
    fs::write(tree(&machine).join(".meshfs/commit"), "data").unwrap();
    machine.unmount();
    machine.drop_cache();
    let (daemon, _) = mount(&machine, &SHORT);
    let names: Vec<_> = fs::read_dir(tree(&machine)).unwrap().collect();
    assert_eq!(names.len(), 1);
    server.set_away(true);
    // Somebody waits all the time, for longer than the limit; each for as long as it may.
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(7) {
        assert!(fs::read(tree(&machine).join("committed")).is_err(), "the store is away");
    }
    server.set_away(false);
    eventually("it is read when the store is back", || fs::read(tree(&machine).join("committed")).is_ok());
    assert_eq!(machine.daemons(), [daemon]);
}

/// A disk of its own in a file, which can be made to hang; root only.
struct Disk {
    scratch: Scratch,
}

impl Disk {
    fn new() -> Disk {
        let disk = Disk { scratch: Scratch::new() };
        let image = disk.scratch.join("image");
        fs::File::create(&image).unwrap().set_len(64 << 20).unwrap();
        run("mkfs.ext4", &["-q"], &image);
        disk.scratch.folder("disk");
        run("mount", &["-o", "loop", image.to_str().unwrap()], &disk.folder());
        disk
    }

    fn folder(&self) -> PathBuf {
        self.scratch.join("disk")
    }

    fn hang(&self) {
        run("fsfreeze", &["--freeze"], &self.folder());
    }

    fn go_on(&self) {
        run("fsfreeze", &["--unfreeze"], &self.folder());
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Not frozen any more when the test went well.
        let _ = Command::new("fsfreeze").arg("--unfreeze").arg(self.folder()).output();
        let _ = Command::new("umount").arg("-l").arg(self.folder()).output();
    }
}

#[test]
fn a_disk_that_hangs_holds_nobody_for_ever() {
    if meshfs::sys::process::effective_uid() != 0 {
        // Only root has disks that hang on command.
        return;
    }
    let disk = Disk::new();
    let state = disk.folder().join("state");
    let options = [&SHORT[..], &["--state-dir", state.to_str().unwrap()]].concat();
    let (_store, machine, daemon, guard) = mounted(&options);
    disk.hang();
    let writers: Vec<_> = (0..6)
        .map(|number| {
            let path = tree(&machine).join(format!("hangs-{number}"));
            thread::spawn(move || fs::write(path, "x"))
        })
        .collect();
    for writer in writers {
        assert!(writer.join().unwrap().is_err(), "nothing could be written");
    }
    eventually("the mount is taken away", || !machine.is_mounted());
    disk.go_on();
    check_nothing_is_left(&machine, daemon, guard);
    machine.mount(&options);
    assert_eq!(fs::read_to_string(tree(&machine).join("kept")).unwrap(), "kept");
    machine.unmount();
}
