//! Trouble below a mount: no room for staging, a store that is away, and what must not look like trouble in a log.

use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::common::machine::Machine;
use crate::common::scratch::Scratch;
use crate::machine::{Mounted, World, errno};

/// A small filesystem in memory on a folder; gone when dropped.
pub struct SmallDisk(PathBuf);

impl SmallDisk {
    pub fn on(dir: &Path, size: &str) -> SmallDisk {
        fs::create_dir_all(dir).unwrap();
        let options = format!("size={size}");
        assert!(
            Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(dir).status().unwrap().success()
        );
        SmallDisk(dir.to_owned())
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        Command::new("umount").arg("-l").arg(&self.0).status().ok();
    }
}

/// Proves F16.
#[test]
fn a_full_disk_is_told_to_the_writer_and_harms_nothing_else() {
    let world = World::new();
    let _disk = SmallDisk::on(&world.outside("a/state"), "24m");
    let mesh = world.mount_served("a");
    fill_and_make_room(&mesh);
    let told = fs::read_to_string(mesh.path("sales/main/.meshfs/last-error")).unwrap();
    assert!(told.contains("full"), "{told}");
}

#[test]
fn a_full_disk_harms_nothing_either_when_the_kernel_writes_by_itself() {
    let world = World::new();
    let _disk = SmallDisk::on(&world.outside("a/state"), "24m");
    fill_and_make_room(&world.mount("a"));
}

/// Making room by deleting works on a full disk, and so does going on.
fn fill_and_make_room(mesh: &Mounted) {
    let at = |name: &str| mesh.path("sales/main").join(name);
    fs::write(at("before"), vec![1; 1 << 20]).unwrap();
    let full = (0..40).map(|number| fs::write(at(&format!("big-{number}")), vec![2; 1 << 20])).find(Result::is_err);
    assert_eq!(errno(full.expect("24 MiB do not hold 40")), libc::ENOSPC);
    assert_eq!(fs::read(at("before")).unwrap(), vec![1; 1 << 20]);
    for item in fs::read_dir(mesh.path("sales/main")).unwrap() {
        let path = item.unwrap().path();
        if path != at("before") {
            fs::remove_file(path).unwrap();
        }
    }
    fs::write(at("after"), b"room again").unwrap();
    assert_eq!(fs::read(at("after")).unwrap(), b"room again");
    assert_eq!(fs::read(at("before")).unwrap(), vec![1; 1 << 20]);
}

/// Proves N2.
#[test]
fn while_the_store_is_away_staging_goes_on_and_the_rest_fails_in_time() {
    let world = World::new();
    {
        let mesh = world.mount("writer");
        fs::create_dir(mesh.path("sales/main/dir")).unwrap();
        let data: Vec<u8> = (0..4_000_000u32).flat_map(|at| at.to_le_bytes()).collect();
        fs::write(mesh.path("sales/main/dir/committed"), data).unwrap();
        fs::write(mesh.path("sales/main/.meshfs/commit"), "data").unwrap();
    }
    let mesh = world.mount("reader");
    let at = |name: &str| mesh.path("sales/main").join(name);
    assert_eq!(fs::read_dir(at("dir")).unwrap().count(), 1);
    let away = world.outside("away");
    fs::rename(world.store(), &away).unwrap();
    assert_eq!(errno(fs::read(at("dir/committed"))), libc::EIO);
    let told = fs::read_to_string(at(".meshfs/last-error")).unwrap();
    assert!(told.contains("read"), "{told}");
    fs::write(at("dir/staged"), b"goes on").unwrap();
    assert_eq!(fs::read(at("dir/staged")).unwrap(), b"goes on");
    assert_eq!(fs::read_dir(at("dir")).unwrap().count(), 2);
    fs::rename(&away, world.store()).unwrap();
    assert_eq!(fs::read(at("dir/committed")).unwrap().len(), 16_000_000);
    fs::write(at(".meshfs/commit"), "after").unwrap();
    assert_eq!(fs::read(at(".meshfs/status")).unwrap(), b"");
}

/// Proves F17, X6.
#[test]
fn what_is_left_to_the_kernel_works_and_fills_no_log() {
    let store = Scratch::new();
    let machine = Machine::new(store.join("store").to_str().unwrap());
    machine.meshfs(&["init"]);
    machine.meshfs(&["domain", "create", "sales"]);
    let mesh = machine.mount(&[]);
    let file = File::create(mesh.join("sales/main/file")).unwrap();
    let mut poll = libc::pollfd { fd: file.as_raw_fd(), events: libc::POLLIN | libc::POLLOUT, revents: 0 };
    // SAFETY: one entry, which outlives the call.
    assert_eq!(unsafe { libc::poll(&mut poll, 1, 0) }, 1);
    assert_eq!(poll.revents, libc::POLLIN | libc::POLLOUT);
    for _ in 0..3 {
        let mut flags: libc::c_long = 0;
        // SAFETY: room for what the call would answer, which outlives it.
        let answer = unsafe { libc::ioctl(file.as_raw_fd(), libc::FS_IOC_GETFLAGS, &mut flags) };
        assert_eq!((answer, std::io::Error::last_os_error().raw_os_error()), (-1, Some(libc::ENOTTY)));
    }
    drop(file);
    machine.unmount();
    let logs = fs::read_dir(machine.state_dir().join("meshfs/logs")).unwrap();
    let text: String = logs.map(|log| fs::read_to_string(log.unwrap().path()).unwrap()).collect();
    assert!(text.contains("mounted") && !text.contains("WARN") && !text.contains("ERROR"), "{text}");
}
