//! Files that the kernel writes to without telling: nothing of it is missed, whatever goes on beside it.

use meshfs::model::path::TreePath;
use meshfs::workspace::attr::{Serving, SetAttr};
use meshfs::workspace::direct::Kernel;
use meshfs::workspace::open_file::OpenFile;

use super::commit::{commit, refresh};
use super::machine::{AnyFile, Machine, World};

/// A machine with a file that is staged whole.
fn with_staged(content: &[u8]) -> Machine {
    let machine = World::new().first_machine();
    machine.put("f", content).unwrap();
    machine
}

fn is_direct(file: &OpenFile) -> bool {
    matches!(file.serving(), Serving::Passthrough(_))
}

fn status(machine: &Machine) -> Vec<TreePath> {
    let changes = machine.block_on(machine.workspace().status()).unwrap();
    changes.iter().map(|change| change.path().clone()).collect()
}

/// What everybody else sees.
fn committed(machine: &Machine, path: &str) -> Vec<u8> {
    machine.world.machine(99).read(path).unwrap()
}

#[test]
fn only_what_is_whole_here_is_served_directly_and_as_long_as_anybody_has_it_open() {
    let machine = with_staged(b"bytes");
    let served = machine.open_file("f", false);
    let second = machine.open_direct("f", true);
    assert!(!is_direct(&second), "somebody has it open otherwise");
    drop((served, second));
    let reader = machine.open_direct("f", false);
    assert!(is_direct(&reader));
    let writer = machine.open_direct("f", true);
    assert!(is_direct(&writer) && is_direct(&machine.open_file("f", true)));
    drop((reader, writer));
    commit(&machine);
    assert!(!is_direct(&machine.open_direct("f", false)), "its bytes are in the store");
    let changed = machine.open_direct("f", true);
    machine.run(|_| changed.write(0, b"B")).unwrap();
    drop(changed);
    assert!(!is_direct(&machine.open_direct("f", true)), "the base shows through");
    machine.write("f", 1, b"YTES").unwrap();
    assert!(is_direct(&machine.open_direct("f", true)), "all of it was written");
}

#[test]
fn what_takes_privileges_off_is_told() {
    let machine = with_staged(b"program");
    let chmod = |mode| {
        let change = SetAttr { mode: Some(mode), ..SetAttr::default() };
        machine.on("f", |workspace, ino| workspace.set_attr(ino, change)).unwrap();
    };
    chmod(0o4755);
    assert!(!is_direct(&machine.open_direct("f", true)), "a write would not take setuid off");
    chmod(0o755);
    for (keeps_privileges, left) in [(true, 0o4755), (false, 0o755)] {
        let kernel = Kernel { backer: &AnyFile, keeps_privileges };
        let file = machine.on("f", |workspace, ino| workspace.open_file_for(Some(kernel), ino, true, false)).unwrap();
        machine.write_open(&file, 0, b"P").unwrap();
        chmod(0o4755);
        assert_eq!(status(&machine).len(), 1);
        assert_eq!(machine.attr("f").unwrap().mode, 0o4755, "nothing was written since");
        machine.write_open(&file, 0, b"X").unwrap();
        drop(file);
        assert_eq!(machine.attr("f").unwrap().mode, left);
        chmod(0o755);
    }
}

#[test]
fn each_commit_takes_what_was_written_before_it_and_leaves_what_came_after() {
    let machine = with_staged(b"0");
    let file = machine.open_direct("f", true);
    assert!(is_direct(&file));
    for round in 1..4u8 {
        machine.write_open(&file, 0, &[round; 3]).unwrap();
        assert_eq!(status(&machine).len(), 1, "round {round}");
        commit(&machine);
        assert_eq!(committed(&machine, "f"), [round; 3]);
        assert!(status(&machine).is_empty(), "round {round}");
        assert_eq!(machine.staged_files(), 1, "the kernel uses it");
    }
    machine.write_open(&file, 0, b"at the end").unwrap();
    drop(file);
    assert_eq!(status(&machine).len(), 1);
    assert_eq!(machine.read("f").unwrap(), b"at the end");
    commit(&machine);
    assert_eq!((committed(&machine, "f"), machine.staged_files()), (b"at the end".to_vec(), 0));
}

#[test]
fn what_is_written_while_a_commit_lands_stays_staged() {
    let machine = with_staged(b"first");
    let file = std::sync::Arc::new(machine.open_direct("f", true));
    let staged = machine.workspace_dir().join("files").join(format!("{:016x}", file.ino()));
    machine.reach.before_landing(move || std::fs::write(staged, b"later").unwrap());
    commit(&machine);
    assert_eq!(committed(&machine, "f"), b"first");
    drop(file);
    assert_eq!((machine.read("f").unwrap(), status(&machine).len()), (b"later".to_vec(), 1));
}

#[test]
fn a_file_that_the_kernel_reads_stays_until_it_is_closed() {
    let machine = with_staged(b"bytes");
    let reader = machine.open_direct("f", false);
    assert!(is_direct(&reader));
    commit(&machine);
    assert!(status(&machine).is_empty());
    assert_eq!(machine.staged_files(), 1);
    // A writer that comes now is served as the reader is, and both see one file.
    let writer = machine.open_direct("f", true);
    machine.write_open(&writer, 0, b"BYTES").unwrap();
    assert_eq!(machine.read_open(&reader, 0, 9), b"BYTES");
    drop(writer);
    assert_eq!(status(&machine).len(), 1);
    commit(&machine);
    drop(reader);
    assert_eq!((machine.staged_files(), committed(&machine, "f")), (0, b"BYTES".to_vec()));
}

#[test]
fn others_changes_replace_what_the_kernel_only_reads() {
    let machine = with_staged(b"ours");
    let reader = machine.open_direct("f", false);
    commit(&machine);
    let other = machine.world.machine(2);
    other.put("f", b"theirs").unwrap();
    commit(&other);
    refresh(&machine);
    assert_eq!(machine.read("f").unwrap(), b"theirs");
    assert_eq!(machine.read_open(&reader, 0, 9), b"ours", "who has it open keeps it");
    drop(reader);
    assert_eq!((machine.staged_files(), machine.read("f").unwrap()), (0, b"theirs".to_vec()));
}

#[test]
fn a_crash_loses_nothing_that_was_written_without_telling() {
    let mut machine = with_staged(b"0");
    let file = machine.open_direct("f", true);
    machine.write_open(&file, 0, b"committed").unwrap();
    commit(&machine);
    machine.write_open(&file, 0, b"and later").unwrap();
    let abandoned = machine.crash_in_use();
    assert_eq!(machine.read("f").unwrap(), b"and later");
    assert_eq!(status(&machine).len(), 1, "nobody looked, and it counts as changed");
    commit(&machine);
    assert_eq!(committed(&machine, "f"), b"and later");
    drop((file, abandoned));
}

#[test]
fn a_copy_into_a_file_that_the_kernel_serves_copies_its_bytes() {
    let machine = with_staged(&[7; 300_000]);
    commit(&machine);
    machine.put("copy", b"").unwrap();
    let (source, target) = (machine.open_file("f", false), machine.open_direct("copy", true));
    assert!(is_direct(&target));
    let mut copied = 0;
    while copied < 300_000 {
        copied += machine.run(|_| target.copy_from(&source, copied, copied, 300_000 - copied)).unwrap();
    }
    let staged = machine.workspace_dir().join("files").join(format!("{:016x}", target.ino()));
    assert_eq!(std::fs::read(staged).unwrap(), vec![7; 300_000], "the kernel shows what is in the file");
}
