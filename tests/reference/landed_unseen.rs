//! Commits that land while their workspace does not learn of it, and is written to again: it must never be in conflict
//! with what it committed itself.

use meshfs::model::merge::Side;
use meshfs::repo::error::RepoError;
use meshfs::storage::fault::{Fault, FaultStore};
use meshfs::telemetry::counters::Verb;
use meshfs::workspace::attr::{RenameMode, XattrMode};
use meshfs::workspace::commit::{CommitOptions, Committed};
use meshfs::workspace::error::WorkspaceError;
use meshfs::workspace::refresh::Refreshed;

use super::machine::{Machine, World};
use crate::common::reference::base::noise;

fn try_commit(machine: &Machine) -> Result<Committed, WorkspaceError> {
    machine.block_on(machine.workspace().commit(CommitOptions::default()))
}

fn commit(machine: &Machine) {
    let committed = try_commit(machine).unwrap();
    assert!(matches!(committed, Committed::Landed(_)), "{committed:?}");
}

/// Commits; the entry lands, and nobody hears of it until the store is itself again.
fn commit_unseen(machine: &Machine, faults: &FaultStore) {
    faults.plan(Verb::Create, "/log/", Fault::LostReply, 1);
    faults.plan(Verb::Create, "/log/", Fault::Timeout, 1000);
    machine.block_on(machine.domain.poll()).unwrap();
    let entry = format!("/log/{:020}", u64::MAX - (machine.domain.state().seq + 1));
    faults.plan(Verb::Get, &entry, Fault::Timeout, 1000);
    let outcome = try_commit(machine);
    assert!(
        matches!(outcome, Err(WorkspaceError::Repo(RepoError::OutcomeUnknown { .. }))),
        "{outcome:?} after {:?}",
        faults.struck()
    );
}

/// A machine behind faults with a tree that is committed: files `f`, `g` and `h`, and `d/e`.
fn prepared() -> (World, Machine, FaultStore) {
    let world = World::new();
    let first = world.first_machine();
    for file in ["f", "g", "h"] {
        first.put(file, b"v0").unwrap();
    }
    first.mkdir("d").unwrap();
    first.put("d/e", b"v0").unwrap();
    commit(&first);
    let (machine, faults) = world.machine_with_faults(2);
    (world, machine, faults)
}

/// Stages something of each kind.
fn stage_much(machine: &Machine) {
    machine.put("f", b"v1").unwrap();
    machine.put("new", b"new").unwrap();
    machine.put("empty", b"").unwrap();
    machine.unlink("h").unwrap();
    machine.rename("d", "moved", RenameMode::Replace).unwrap();
    machine.on("g", |workspace, ino| workspace.set_xattr(ino, b"user.long", &noise(300, 1), XattrMode::Any)).unwrap();
}

/// Writes over some of what [`stage_much`] staged.
fn write_again(machine: &Machine) {
    machine.put("f", b"v2").unwrap();
    machine.put("empty", b"not any more").unwrap();
    machine.put("moved/e", b"v1").unwrap();
    machine.unlink("new").unwrap();
    machine.put("h", b"again").unwrap();
}

fn check_written_again(machine: &Machine) {
    for (path, bytes) in [("f", "v2"), ("empty", "not any more"), ("moved/e", "v1"), ("h", "again"), ("g", "v0")] {
        assert_eq!(machine.read(path).unwrap(), bytes.as_bytes(), "{path}");
    }
    for path in ["new", "d"] {
        assert!(matches!(machine.attr(path), Err(WorkspaceError::NotFound)), "{path}");
    }
    let long = machine.on("g", |workspace, ino| workspace.get_xattr(ino, b"user.long")).unwrap();
    assert!(long == noise(300, 1));
}

#[test]
fn what_is_written_while_the_outcome_is_unknown_goes_on_top() {
    let (world, machine, faults) = prepared();
    stage_much(&machine);
    commit_unseen(&machine, &faults);
    write_again(&machine);
    faults.calm();
    commit(&machine);
    check_written_again(&machine);
    assert!(!machine.workspace().is_dirty().unwrap());
    check_written_again(&world.machine(3));
}

#[test]
fn a_process_that_died_before_it_saw_its_commit_land_is_on_it_when_it_is_back() {
    let (_, mut machine, faults) = prepared();
    stage_much(&machine);
    commit_unseen(&machine, &faults);
    faults.calm();
    machine.restart();
    assert!(!machine.workspace().is_dirty().unwrap(), "all of it is committed");
    write_again(&machine);
    commit(&machine);
    check_written_again(&machine);
}

#[test]
fn a_process_that_died_after_further_writes_keeps_them_on_top() {
    let (world, mut machine, faults) = prepared();
    stage_much(&machine);
    commit_unseen(&machine, &faults);
    write_again(&machine);
    // The store is still away when the next process begins.
    machine.restart();
    faults.calm();
    machine.restart();
    check_written_again(&machine);
    commit(&machine);
    check_written_again(&world.machine(3));
}

#[test]
fn others_changes_that_the_commit_landed_on_are_no_reason_for_a_conflict_with_oneself() {
    let (world, machine, faults) = prepared();
    let other = world.machine(4);
    other.put("others", b"theirs").unwrap();
    other.put("moved-here", b"theirs").unwrap();
    other.on("g", |workspace, ino| workspace.open_file(ino, true, false)?.write(0, b"w0")).unwrap();
    commit(&other);
    stage_much(&machine);
    commit_unseen(&machine, &faults);
    write_again(&machine);
    faults.calm();
    commit(&machine);
    assert_eq!(machine.read("g").unwrap(), b"w0", "blended: their bytes, our attribute");
    machine.on("g", |workspace, ino| workspace.open_file(ino, true, false)?.write(0, b"v0")).unwrap();
    check_written_again(&machine);
    assert_eq!(machine.read("others").unwrap(), b"theirs");
    assert_eq!(world.machine(3).read("f").unwrap(), b"v2");
}

#[test]
fn a_conflict_with_others_is_told_and_can_be_settled() {
    let (world, machine, faults) = prepared();
    let other = world.machine(4);
    other.put("g", b"theirs").unwrap();
    commit(&other);
    machine.put("f", b"v1").unwrap();
    commit_unseen(&machine, &faults);
    machine.put("f", b"v2").unwrap();
    machine.put("g", b"ours").unwrap();
    faults.calm();
    let Committed::Conflict(conflicts) = try_commit(&machine).unwrap() else { panic!("`g` is both's") };
    let paths: Vec<_> = conflicts.iter().map(|conflict| conflict.path.to_string()).collect();
    assert_eq!(paths, ["g"]);
    let refreshed = machine.block_on(machine.workspace().refresh(Some(Side::Ours), &[])).unwrap();
    assert!(matches!(refreshed, Refreshed::Moved { .. } | Refreshed::Current), "{refreshed:?}");
    commit(&machine);
    let fresh = world.machine(3);
    assert_eq!((fresh.read("f").unwrap(), fresh.read("g").unwrap()), (b"v2".to_vec(), b"ours".to_vec()));
}
