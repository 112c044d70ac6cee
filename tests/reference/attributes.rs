//! Extended attributes through refreshes and commits, long ones above all: theirs are the only bytes.

use meshfs::workspace::attr::{SetAttr, XattrMode};
use meshfs::workspace::commit::{CommitOptions, Committed};
use meshfs::workspace::refresh::Refreshed;

use super::machine::{Machine, World};
use crate::common::reference::base::noise;

fn set_xattr(machine: &Machine, path: &str, name: &str, value: &[u8]) {
    machine.on(path, |workspace, ino| workspace.set_xattr(ino, name.as_bytes(), value, XattrMode::Any)).unwrap();
}

fn xattr(machine: &Machine, path: &str, name: &str) -> Vec<u8> {
    machine.on(path, |workspace, ino| workspace.get_xattr(ino, name.as_bytes())).unwrap()
}

fn commit(machine: &Machine) {
    let committed = machine.block_on(machine.workspace().commit(CommitOptions::default())).unwrap();
    assert!(matches!(committed, Committed::Landed(_)), "{committed:?}");
}

fn refresh(machine: &Machine) {
    let refreshed = machine.block_on(machine.workspace().refresh(None, &[])).unwrap();
    assert!(matches!(refreshed, Refreshed::Moved { .. }), "{refreshed:?}");
}

/// Two machines that have the file `f`, and the directory `d`.
fn pair() -> (Machine, Machine) {
    let world = World::new();
    let here = world.first_machine();
    here.put("f", b"v0").unwrap();
    here.mkdir("d").unwrap();
    set_xattr(&here, "f", "user.old", &noise(400, 3));
    commit(&here);
    let there = world.machine(2);
    (here, there)
}

#[test]
fn a_long_attribute_set_here_survives_a_refresh_onto_a_change_of_the_same_file() {
    for path in ["f", "d"] {
        let (here, there) = pair();
        set_xattr(&here, path, "user.long", &noise(300, 1));
        there
            .on(path, |workspace, ino| workspace.set_attr(ino, SetAttr { mode: Some(0o711), ..SetAttr::default() }))
            .unwrap();
        commit(&there);
        refresh(&here);
        let check = |machine: &Machine| {
            assert!(xattr(machine, path, "user.long") == noise(300, 1), "{path}");
            assert_eq!(machine.attr(path).unwrap().mode, 0o711);
        };
        check(&here);
        commit(&here);
        check(&here);
        check(&here.world.machine(3));
        assert!(xattr(&here, "f", "user.old") == noise(400, 3));
    }
}

#[test]
fn a_long_attribute_set_here_survives_a_refresh_onto_new_content() {
    let (here, there) = pair();
    set_xattr(&here, "f", "user.long", &noise(300, 1));
    there.put("f", b"theirs").unwrap();
    commit(&there);
    refresh(&here);
    assert_eq!(here.read("f").unwrap(), b"theirs");
    commit(&here);
    let fresh = here.world.machine(3);
    assert!(xattr(&fresh, "f", "user.long") == noise(300, 1));
    assert!(xattr(&fresh, "f", "user.old") == noise(400, 3));
    assert_eq!(fresh.read("f").unwrap(), b"theirs");
}

#[test]
fn a_long_attribute_set_here_survives_a_commit_onto_a_change_of_the_same_file() {
    let (here, there) = pair();
    set_xattr(&here, "f", "user.long", &noise(300, 1));
    there.put("f", b"theirs").unwrap();
    commit(&there);
    commit(&here);
    assert!(!here.workspace().is_dirty().unwrap(), "all is committed");
    for machine in [&here, &here.world.machine(3)] {
        assert!(xattr(machine, "f", "user.long") == noise(300, 1));
        assert_eq!(machine.read("f").unwrap(), b"theirs");
    }
}
