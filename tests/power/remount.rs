//! The same through a mount: the power is cut, the machine starts again, and programs look at the tree.

use std::collections::BTreeMap;
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use meshfs::model::entry::Kind;

use super::common::machine::Machine;
use super::cuts::{clear, machine_in, record};
use super::disk::{Image, MANNERS, Op};
use super::holdback::{Holdback, Recorder};
use super::recovered::{Shown, ShownThing, scratch};

/// Mounts as after another start of the machine: the kernel's id of this one is hidden, from the daemon alone. Gives the
/// mountpoint as the daemon has it; nobody else sees that mount, and it goes with the daemon.
pub fn mount_after_another_start(machine: &Machine, boot: &str) -> PathBuf {
    let id = machine.home().join("boot_id");
    std::fs::write(&id, boot).unwrap();
    let hidden = r#"mount --bind "$1" /proc/sys/kernel/random/boot_id && exec "$2" mount "$3""#;
    let arguments = ["--mount", "--propagation", "private", "sh", "-c", hidden, "sh"];
    let of_test = [id.as_path(), Path::new(env!("CARGO_BIN_EXE_meshfs")), &machine.mesh()];
    let output = machine.command("unshare").args(arguments).args(of_test).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let daemons = machine.daemons();
    assert_eq!(daemons.len(), 1, "one daemon serves it");
    let inside = machine.mesh().strip_prefix("/").unwrap().to_owned();
    Path::new(&format!("/proc/{}/root", daemons[0])).join(inside)
}

fn shown(tree: &Path) -> Shown {
    let mut shown = BTreeMap::new();
    let mut dirs = vec![PathBuf::new()];
    while let Some(dir) = dirs.pop() {
        for item in std::fs::read_dir(tree.join(&dir)).unwrap() {
            let item = item.unwrap();
            let (at, path) = (dir.join(item.file_name()), item.path());
            let about = std::fs::symlink_metadata(&path).unwrap();
            let kind = about.file_type();
            assert!(!kind.is_socket() && !kind.is_fifo(), "nobody made {}", at.display());
            let (kind, bytes) = match () {
                () if kind.is_dir() => (Kind::Dir, Vec::new()),
                () if kind.is_symlink() => {
                    (Kind::Symlink, std::fs::read_link(&path).unwrap().into_os_string().into_encoded_bytes())
                }
                () => (Kind::File, std::fs::read(&path).unwrap()),
            };
            if kind == Kind::Dir {
                dirs.push(at.clone());
            }
            let mode = (about.permissions().mode() & 0o7777) as u16;
            shown.insert(at.to_str().unwrap().to_owned(), ShownThing { kind, mode, ino: about.ino(), bytes });
        }
    }
    shown
}

/// Proves F7.
#[test]
fn programs_find_what_they_synced_when_the_machine_starts_again() {
    let root = scratch();
    let run = record(root.path(), 101, &[], 80);
    for (turn, manner) in MANNERS.into_iter().enumerate() {
        let cut = run.log_len() - turn * 50;
        run.image(cut, manner, turn as u64).write_to(root.path());
        let machine = machine_in(root.path());
        let tree = mount_after_another_start(&machine, &format!("boot {turn}")).join("sales/main");
        if let Err(problem) = run.check_shown(cut, manner, &shown(&tree)) {
            panic!("{}: {problem}", run.about(cut, manner));
        }
        std::fs::write(tree.join("again"), "goes on").unwrap();
        std::fs::write(tree.join(".meshfs/commit"), "After the cut").unwrap();
        machine.kill_daemon();
        assert_eq!(machine.meshfs(&["cat", "sales/@main/again"]), "goes on");
        clear(root.path());
    }
}

/// "What nobody syncs is synced by the daemon every five seconds", also what was written over bytes that the disk had.
#[test]
fn what_nobody_syncs_the_daemon_does() {
    const LOOKS_MAX: u32 = 600;
    let root = scratch();
    let disk = Recorder::new(Image::empty());
    let mounted = Holdback::mount(&disk, root.path());
    let machine = machine_in(root.path());
    machine.meshfs(&["init"]);
    machine.meshfs(&["domain", "create", "sales"]);
    let path = machine.mount(&[]).join("sales/main/again");
    std::fs::write(&path, [b'1'; 9000]).unwrap();
    let file = std::fs::File::options().write(true).open(&path).unwrap();
    file.sync_all().unwrap();
    for (turn, kept_open) in [(2, false), (3, true)] {
        let bytes = [b'0' + turn; 700];
        let writer = std::fs::File::options().write(true).open(&path).unwrap();
        writer.write_all_at(&bytes, 5000).unwrap();
        let _open = kept_open.then_some(writer);
        let synced = || {
            let disk = disk.lock();
            let writes = disk.log().iter().enumerate().rev();
            let mut of_staged = writes.filter_map(|(at, op)| match op {
                Op::Write { ino, bytes: written, .. } if written.ends_with(&bytes) => Some((at, *ino)),
                _ => None,
            });
            let (at, ino) = of_staged.next().expect("what a program wrote is in its staged file");
            disk.log()[at..].iter().any(|op| matches!(op, Op::Sync { ino: synced } if *synced == ino))
        };
        let mut looks = 0;
        while !synced() {
            looks += 1;
            assert!(looks < LOOKS_MAX, "written, and never synced");
            std::thread::sleep(Duration::from_millis(100));
        }
    }
    drop(file);
    machine.kill_daemon();
    drop(machine);
    mounted.unmount();
}
