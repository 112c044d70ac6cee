//! Moving to another base: commits with work going on beside them, refreshes, discards, and what the kernel is told.

use std::collections::BTreeMap;
use std::sync::Arc;

use meshfs::model::entry::{Entry, Meta};
use meshfs::model::path::TreePath;
use meshfs::workspace::attr::{NewNode, RenameMode, SeekFor, SetAttr};
use meshfs::workspace::error::WorkspaceError;
use meshfs::workspace::observer::{BaseObserver, Invalidation};
use meshfs::workspace::rebase::{Settle, Settlements};
use meshfs::workspace::snapshot::SnapshotView;
use meshfs::workspace::view::Workspace;
use parking_lot::Mutex;

use super::commit::{commit, refresh};
use super::machine::{Machine, World};
use crate::common::reference::base::noise;

fn path(text: &str) -> TreePath {
    TreePath::parse(text.as_bytes()).unwrap()
}

/// A machine that committed `d/f`, `d/g` and `top`, and another.
fn two_machines() -> (Machine, Machine) {
    let world = World::new();
    let machine = world.first_machine();
    machine.mkdir("d").unwrap();
    machine.put("d/f", b"first").unwrap();
    machine.put("d/g", b"other").unwrap();
    machine.put("top", b"top").unwrap();
    commit(&machine);
    let other = world.machine(2);
    (machine, other)
}

fn chmod(machine: &Machine, path: &str, mode: u16) {
    let change = SetAttr { mode: Some(mode), ..SetAttr::default() };
    machine.on(path, |workspace, ino| workspace.set_attr(ino, change)).unwrap();
}

fn drop_changes(machine: &Machine, paths: &[&str]) {
    let paths: Vec<TreePath> = paths.iter().map(|text| path(text)).collect();
    machine.block_on(machine.workspace().drop_changes(&paths)).unwrap();
}

fn is_dirty(machine: &Machine) -> bool {
    machine.workspace().is_dirty().unwrap()
}

fn newest(machine: &Machine) -> Arc<meshfs::repo::domain::Snapshot> {
    machine.block_on(async {
        machine.domain.poll().await.unwrap();
        let (_, head) = machine.domain.state().branch(&machine.branch).unwrap();
        machine.domain.snapshot(&head.target).await.unwrap()
    })
}

#[test]
fn a_commit_leaves_nothing_staged() {
    let (machine, _) = two_machines();
    machine.put("d/f", b"second").unwrap();
    machine.rename("d/g", "d/h", RenameMode::Replace).unwrap();
    machine.mkdir("new").unwrap();
    machine.put("new/f", b"new").unwrap();
    commit(&machine);
    assert!(!is_dirty(&machine));
    assert_eq!(machine.staged_files(), 0);
    let tree = machine.workspace().staged().unwrap();
    assert!(tree.names(tree.root()).unwrap().is_empty());
    assert_eq!(machine.read("d/f").unwrap(), b"second");
    assert_eq!(machine.names("d", 10).unwrap(), ["f", "h"]);
}

#[test]
fn what_changes_while_a_commit_is_under_way_stays_staged() {
    let (machine, other) = two_machines();
    for name in ["written", "replaced", "moved", "deleted", "chmodded", "kept"] {
        machine.put(&format!("d/{name}"), b"as committed").unwrap();
    }
    machine.rename("top", "d/top", RenameMode::Replace).unwrap();
    let workspace = machine.workspace().clone();
    machine.reach.before_landing(move || {
        let inode = |text: &str| workspace.lookup_path(&path(text)).unwrap().ino;
        let dir = inode("d");
        workspace.open_file(inode("d/written"), true, false).unwrap().write(0, b"AS").unwrap();
        workspace.unlink(dir, b"replaced").unwrap();
        workspace.create(dir, b"replaced", NewNode::Dir, 0o755, None).unwrap();
        workspace.rename((dir, b"moved"), (workspace.root_ino(), b"moved"), RenameMode::Replace).unwrap();
        workspace.unlink(dir, b"deleted").unwrap();
        workspace.set_attr(inode("d/chmodded"), SetAttr { mode: Some(0o600), ..SetAttr::default() }).unwrap();
        workspace.rename((workspace.root_ino(), b"d"), (workspace.root_ino(), b"e"), RenameMode::Replace).unwrap();
    });
    commit(&machine);
    refresh(&other);
    assert_eq!(other.names("", 10).unwrap(), ["d"]);
    assert_eq!(other.read("d/moved").unwrap(), b"as committed");
    assert_eq!(other.read("d/written").unwrap(), b"as committed");
    assert!(is_dirty(&machine));
    let check = |machine: &Machine| {
        assert_eq!(machine.names("", 10).unwrap(), ["e", "moved"]);
        assert_eq!(machine.names("e", 3).unwrap(), ["chmodded", "f", "g", "kept", "replaced", "top", "written"]);
        assert_eq!(machine.read("e/written").unwrap(), b"AS committed");
        assert_eq!(machine.read("e/kept").unwrap(), b"as committed");
        assert_eq!(machine.read("moved").unwrap(), b"as committed");
        assert_eq!(machine.attr("e/chmodded").unwrap().mode, 0o600);
    };
    check(&machine);
    commit(&machine);
    assert!(!is_dirty(&machine));
    check(&machine);
    refresh(&other);
    check(&other);
}

#[test]
fn a_file_open_for_writing_stays_staged_until_its_last_writer_is_gone() {
    let (machine, _) = two_machines();
    let file = machine.open_file("d/f", true);
    machine.run(|_| file.write(0, b"FIRST")).unwrap();
    commit(&machine);
    assert_eq!(machine.staged_files(), 1);
    assert!(is_dirty(&machine));
    drop(file);
    assert_eq!(machine.staged_files(), 0, "nothing was written since the commit");
    assert!(!is_dirty(&machine));
    assert_eq!(machine.read("d/f").unwrap(), b"FIRST");
    let file = machine.open_file("d/f", true);
    machine.run(|_| file.write(0, b"f")).unwrap();
    commit(&machine);
    machine.run(|_| file.write(1, b"i")).unwrap();
    drop(file);
    assert!(is_dirty(&machine), "this was written since");
    assert_eq!(machine.read("d/f").unwrap(), b"fiRST");
    commit(&machine);
    assert!(!is_dirty(&machine));
}

#[test]
fn a_reader_goes_on_reading_when_its_file_is_committed() {
    let (machine, _) = two_machines();
    let large = noise(2 << 20, 3);
    machine.put("large", &large).unwrap();
    let file = machine.open_file("large", false);
    commit(&machine);
    assert_eq!(machine.staged_files(), 0);
    assert!(machine.read_open(&file, 0, 3 << 20) == large);
    machine.write("large", 5, b"later").unwrap();
    assert_eq!(machine.read_open(&file, 5, 5), b"later", "one inode, one content");
}

#[test]
fn a_refresh_that_changes_content_is_a_replacement() {
    let (machine, other) = two_machines();
    other.put("d/f", b"from the other").unwrap();
    other.unlink("d/g").unwrap();
    chmod(&other, "top", 0o600);
    commit(&other);
    let (before, top) = (machine.attr("d/f").unwrap().ino, machine.attr("top").unwrap().ino);
    let (changed, deleted) = (machine.open_file("d/f", true), machine.open_file("d/g", false));
    refresh(&machine);
    let now = machine.attr("d/f").unwrap();
    assert_ne!(now.ino, before);
    assert_eq!(machine.read("d/f").unwrap(), b"from the other");
    assert!(matches!(machine.attr("d/g"), Err(WorkspaceError::NotFound)));
    assert_eq!(machine.read_open(&changed, 0, 20), b"first");
    assert_eq!(machine.read_open(&deleted, 0, 20), b"other");
    assert_eq!(machine.run(|_| changed.attr()).unwrap().nlink, 0);
    machine.run(|_| changed.write(0, b"F")).unwrap();
    assert_eq!(machine.read_open(&changed, 0, 20), b"First");
    assert_eq!(machine.read("d/f").unwrap(), b"from the other");
    let top_now = machine.attr("top").unwrap();
    assert_eq!((top_now.ino, top_now.mode), (top, 0o600), "content and path stay, so the inode does");
    drop(changed);
    assert_eq!(machine.staged_files(), 0);
}

#[test]
fn staged_changes_stay_on_a_new_base() {
    let (machine, other) = two_machines();
    other.put("d/theirs", b"theirs").unwrap();
    other.mkdir("both").unwrap();
    other.put("both/theirs", b"t").unwrap();
    chmod(&other, "d", 0o700);
    commit(&other);
    machine.put("d/f", b"mine").unwrap();
    machine.mkdir("both").unwrap();
    machine.put("both/mine", b"m").unwrap();
    machine.unlink("d/g").unwrap();
    let mine = machine.attr("d/f").unwrap().ino;
    refresh(&machine);
    assert_eq!(machine.names("d", 10).unwrap(), ["f", "theirs"]);
    assert_eq!(machine.names("both", 10).unwrap(), ["mine", "theirs"]);
    assert_eq!(machine.attr("d").unwrap().mode, 0o700);
    assert_eq!((machine.attr("d/f").unwrap().ino, machine.read("d/f").unwrap()), (mine, b"mine".to_vec()));
    commit(&machine);
    assert!(!is_dirty(&machine));
    refresh(&other);
    assert_eq!(other.names("both", 10).unwrap(), ["mine", "theirs"]);
    assert_eq!(other.read("d/f").unwrap(), b"mine");
}

#[test]
fn a_directory_made_where_a_committed_one_was_deleted_stays_empty() {
    let (machine, other) = two_machines();
    for name in ["d/f", "d/g"] {
        machine.unlink(name).unwrap();
    }
    machine.rmdir("d").unwrap();
    machine.mkdir("d").unwrap();
    other.put("elsewhere", b"x").unwrap();
    commit(&other);
    refresh(&machine);
    assert!(machine.names("d", 10).unwrap().is_empty());
    commit(&machine);
    refresh(&other);
    assert!(other.names("d", 10).unwrap().is_empty());
}

#[test]
fn each_side_keeps_what_the_other_did_not_change() {
    let (machine, other) = two_machines();
    other.put("d/f", b"their content").unwrap();
    chmod(&other, "d/g", 0o600);
    commit(&other);
    chmod(&machine, "d/f", 0o640);
    machine.write("d/g", 0, b"OTHER").unwrap();
    refresh(&machine);
    assert_eq!((machine.read("d/f").unwrap(), machine.attr("d/f").unwrap().mode), (b"their content".to_vec(), 0o640));
    assert_eq!((machine.read("d/g").unwrap(), machine.attr("d/g").unwrap().mode), (b"OTHER".to_vec(), 0o600));
    assert!(is_dirty(&machine));
}

#[test]
fn a_refresh_drops_what_is_decided_against_and_blends_what_is_merged() {
    let (machine, other) = two_machines();
    other.put("d/f", b"theirs").unwrap();
    other.put("top", b"theirs").unwrap();
    commit(&other);
    machine.put("d/f", b"mine").unwrap();
    machine.put("top", b"mine").unwrap();
    machine.put("d/g", b"mine too").unwrap();
    let open = machine.open_file("d/f", false);
    let snapshot = newest(&machine);
    let theirs = machine.block_on(SnapshotView::open(snapshot.clone())).unwrap();
    let entry = theirs.lookup(&path("top")).unwrap().entry;
    let blended = Entry { meta: Meta { mode: 0o711, ..entry.meta.clone() }, content: entry.content.clone() };
    let settle: Settlements = BTreeMap::from([(path("d/f"), Settle::Theirs), (path("top"), Settle::Blend(blended))]);
    machine.block_on(machine.workspace().rebase(snapshot, &settle)).unwrap();
    assert_eq!(machine.read("d/f").unwrap(), b"theirs");
    assert_eq!(machine.read_open(&open, 0, 9), b"mine", "who has it open keeps it");
    assert_eq!((machine.read("top").unwrap(), machine.attr("top").unwrap().mode), (b"theirs".to_vec(), 0o711));
    assert_eq!(machine.read("d/g").unwrap(), b"mine too");
    drop(open);
    assert_eq!(machine.staged_files(), 1);
}

#[test]
fn dropped_changes_show_the_base_again() {
    let (mut machine, _) = two_machines();
    let dir = machine.attr("d").unwrap().ino;
    machine.put("d/f", b"mine").unwrap();
    machine.unlink("d/g").unwrap();
    chmod(&machine, "d", 0o700);
    machine.mkdir("new").unwrap();
    machine.put("new/f", b"x").unwrap();
    machine.rename("top", "moved", RenameMode::Replace).unwrap();
    drop_changes(&machine, &["d/f"]);
    assert_eq!(machine.read("d/f").unwrap(), b"first");
    assert_eq!(machine.names("d", 10).unwrap(), ["f"]);
    drop_changes(&machine, &["d", "new"]);
    assert_eq!(machine.names("d", 10).unwrap(), ["f", "g"]);
    assert_eq!((machine.attr("d").unwrap().ino, machine.attr("d").unwrap().mode), (dir, 0o755));
    assert_eq!(machine.names("", 10).unwrap(), ["d", "moved"]);
    machine.crash();
    drop_changes(&machine, &[""]);
    assert_eq!(machine.names("", 10).unwrap(), ["d", "top"]);
    assert!(!is_dirty(&machine));
    assert_eq!(machine.staged_files(), 0);
}

#[test]
fn names_of_one_file_come_back_together() {
    let (machine, _) = two_machines();
    machine.link("d/f", "d/link").unwrap();
    commit(&machine);
    machine.unlink("d/link").unwrap();
    machine.put("d/f", b"mine").unwrap();
    drop_changes(&machine, &["d"]);
    assert_eq!((machine.read("d/f").unwrap(), machine.read("d/link").unwrap()), (b"first".to_vec(), b"first".to_vec()));
    assert_eq!(machine.attr("d/f").unwrap().ino, machine.attr("d/link").unwrap().ino);
    assert_eq!(machine.attr("d/f").unwrap().nlink, 2);
    assert!(!is_dirty(&machine));
}

#[derive(Debug, Default)]
struct Told(Mutex<Vec<Invalidation>>);

impl BaseObserver for Told {
    fn changed(&self, what: &[Invalidation]) {
        self.0.lock().extend_from_slice(what);
    }
}

#[test]
fn the_observer_is_told_of_what_is_held_and_nothing_else() {
    let (machine, other) = two_machines();
    machine.world.tick();
    other.put("d/f", b"changed").unwrap();
    other.unlink("d/g").unwrap();
    other.put("d/new", b"new").unwrap();
    other.mkdir("unseen").unwrap();
    chmod(&other, "top", 0o600);
    commit(&other);
    let told = Arc::new(Told::default());
    machine.workspace().observe(told.clone());
    let workspace: &Workspace = machine.workspace();
    let root = workspace.root_ino();
    let dir = machine.run(|workspace| workspace.lookup(root, b"d")).unwrap().ino;
    let top = machine.run(|workspace| workspace.lookup(root, b"top")).unwrap().ino;
    refresh(&machine);
    let entry = |parent, name: &str| Invalidation::Entry { parent, name: name.as_bytes().to_vec() };
    let mut seen = std::mem::take(&mut *told.0.lock());
    seen.sort_by_key(|told| format!("{told:?}"));
    let mut expected = vec![
        Invalidation::Attributes { ino: root },
        Invalidation::Attributes { ino: dir },
        Invalidation::Attributes { ino: top },
        entry(dir, "f"),
        entry(dir, "g"),
        entry(dir, "new"),
        entry(root, "unseen"),
    ];
    expected.sort_by_key(|told| format!("{told:?}"));
    assert_eq!(seen, expected);
    for ino in [dir, top] {
        workspace.forget(ino, 1);
    }
    other.put("d/f", b"changed again").unwrap();
    commit(&other);
    refresh(&machine);
    assert!(told.0.lock().is_empty(), "nobody holds `d` now, and the root did not change");
    told.0.lock().clear();
    machine.put("top", b"mine").unwrap();
    commit(&machine);
    assert!(told.0.lock().is_empty(), "what was done here the kernel has seen");
}

#[test]
fn a_snapshot_is_a_tree_of_its_own() {
    let (machine, _) = two_machines();
    let mut bytes = noise(1 << 20, 4);
    bytes[100_000..400_000].fill(0);
    machine.put("d/large", &bytes).unwrap();
    machine.link("d/large", "linked").unwrap();
    machine.create("s", NewNode::Symlink(b"d/f".to_vec()), 0o777).unwrap();
    commit(&machine);
    let view = machine.block_on(SnapshotView::open(newest(&machine))).unwrap();
    machine.put("d/f", b"later").unwrap();
    let run = |operation: &dyn Fn() -> Result<Vec<u8>, WorkspaceError>| loop {
        match operation() {
            Err(WorkspaceError::Miss(miss)) => machine.block_on(view.fetch(&miss)).unwrap(),
            outcome => break outcome,
        }
    };
    let _runtime = machine.world.runtime.enter();
    let read =
        |text: &str| run(&|| view.read(&view.lookup(&path(text))?, 0, 2 << 20, None).map(|bytes| bytes.to_vec()));
    assert_eq!(read("d/f").unwrap(), b"first");
    assert!(read("linked").unwrap() == bytes);
    let (large, linked) = (view.lookup(&path("d/large")).unwrap(), view.lookup(&path("linked")).unwrap());
    assert_eq!((large.attr.ino, large.attr.nlink), (linked.attr.ino, 2));
    assert_eq!(view.seek(&large, SeekFor::Hole, 0).unwrap(), 100_000);
    assert_eq!(view.seek(&large, SeekFor::Data, 100_000).unwrap(), 400_000);
    assert_eq!(view.readlink(&view.lookup(&path("s")).unwrap()).unwrap(), b"d/f");
    let listed = view.readdir(&path("d"), Some(b"f"), 10).unwrap();
    assert_eq!(listed.iter().map(|(name, _)| name.as_slice()).collect::<Vec<_>>(), [&b"g"[..], b"large"]);
    assert!(matches!(view.lookup(&path("absent")), Err(WorkspaceError::NotFound)));
}
