//! Many callers at once: nobody waits for ever, and what is seen at the end is what a crash leaves.

use std::collections::BTreeMap;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use meshfs::model::entry::Kind;
use meshfs::model::path::TreePath;
use meshfs::sys::random::{Random, SeededRandom};
use meshfs::workspace::attr::{NewNode, RenameMode, SetAttr};
use meshfs::workspace::commit::{CommitOptions, Committed};
use meshfs::workspace::error::WorkspaceError;
use meshfs::workspace::view::Workspace;

use super::commit::commit;
use super::machine::{Machine, World};

const CALLERS: u64 = 4;

const CALLS: u64 = 1500;

/// Longer than the calls take on the slowest machine: past it, they wait for each other.
const STUCK: Duration = Duration::from_secs(240);

/// One random call; being refused is fine.
fn call(workspace: &Workspace, random: &SeededRandom) -> Result<(), WorkspaceError> {
    let name = |random: &SeededRandom| format!("{}", random.below(6)).into_bytes();
    let root = workspace.root_ino();
    let (dir, held) = match workspace.lookup(root, &name(random)) {
        Ok(attr) if attr.kind == Kind::Dir => (attr.ino, Some(attr.ino)),
        Ok(attr) => {
            let outcome = use_file(workspace, attr.ino, random);
            workspace.forget(attr.ino, 1);
            return outcome;
        }
        Err(_) => (root, None),
    };
    let outcome = match random.below(8) {
        0 => workspace.create(dir, &name(random), NewNode::Dir, 0o755, None).map(|made| workspace.forget(made.ino, 1)),
        1 | 2 => workspace.create(dir, &name(random), NewNode::File, 0o644, None).map(|made| {
            let written = use_file(workspace, made.ino, random);
            workspace.forget(made.ino, 1);
            written
        })?,
        3 => workspace.unlink(dir, &name(random)),
        4 => workspace.rmdir(dir, &name(random)),
        5 => workspace.rename((dir, &name(random)), (root, &name(random)), RenameMode::Replace),
        6 => workspace.rename((root, &name(random)), (dir, &name(random)), RenameMode::Exchange),
        _ => workspace.readdir(dir, None, 10).map(drop),
    };
    held.into_iter().for_each(|ino| workspace.forget(ino, 1));
    outcome
}

fn use_file(workspace: &Workspace, ino: u64, random: &SeededRandom) -> Result<(), WorkspaceError> {
    let file = workspace.open_file(ino, true, random.below(4) == 0)?;
    for _ in 0..random.below(4) {
        match random.below(5) {
            0 | 1 => drop(file.write(random.below(20_000), &[7; 1000])?),
            2 => file.truncate(random.below(20_000))?,
            3 => drop(workspace.set_attr(ino, SetAttr { mode: Some(0o600), ..SetAttr::default() })?),
            _ => drop(file.read(0, 4000)?),
        }
    }
    Ok(())
}

/// Kind, size and number of names of everything by path; a directory's links change when it is committed.
fn seen(machine: &Machine) -> BTreeMap<String, (Kind, u64, u32)> {
    let mut seen = BTreeMap::new();
    let mut waiting = vec![String::new()];
    while let Some(dir) = waiting.pop() {
        for name in machine.names(&dir, 100).unwrap() {
            let path = if dir.is_empty() { name } else { format!("{dir}/{name}") };
            let attr = machine.attr(&path).unwrap();
            if attr.kind == Kind::Dir {
                waiting.push(path.clone());
                seen.insert(path, (attr.kind, attr.size, 1));
                continue;
            }
            assert_eq!(machine.read(&path).unwrap().len() as u64, attr.size);
            seen.insert(path, (attr.kind, attr.size, attr.nlink));
        }
    }
    seen
}

#[test]
fn callers_at_once_do_not_wait_for_each_other_for_ever() {
    let mut machine = World::new().first_machine();
    let (done, wait) = mpsc::channel();
    for seed in 0..CALLERS {
        let (workspace, runtime, done) = (machine.workspace().clone(), machine.world.runtime.clone(), done.clone());
        std::thread::spawn(move || {
            let _runtime = runtime.enter();
            let random = SeededRandom::new(seed);
            for _ in 0..CALLS {
                if let Err(WorkspaceError::Miss(miss)) = call(&workspace, &random) {
                    runtime.block_on(workspace.fetch(&miss)).unwrap();
                }
            }
            drop(workspace);
            done.send(()).unwrap();
        });
    }
    drop(done);
    for _ in 0..6 {
        let tree = machine.workspace().staged().unwrap();
        assert_eq!(tree.paths(tree.root()).unwrap(), [TreePath::root()]);
        drop_a_change(&machine);
        let options = CommitOptions { message: "meanwhile".to_owned(), ..CommitOptions::default() };
        match machine.block_on(machine.workspace().commit(options)) {
            Ok(Committed::Landed(_) | Committed::Nothing) => {}
            Err(WorkspaceError::Busy(_) | WorkspaceError::Changing(_)) => {}
            other => panic!("{other:?}"),
        }
    }
    for _ in 0..CALLERS {
        wait.recv_timeout(STUCK).expect("a caller failed, or waits for ever");
    }
    // A thread's own end is a moment after its word.
    while Arc::strong_count(machine.workspace()) > 1 {
        std::thread::yield_now();
    }
    let before = seen(&machine);
    machine.crash();
    assert_eq!(seen(&machine), before);
    commit(&machine);
    assert_eq!(seen(&machine), before);
    let other = machine.world.machine(2);
    assert_eq!(seen(&other), before);
}

/// Moves all data locks and the view's at once, as a commit that landed does.
fn drop_a_change(machine: &Machine) {
    let path = TreePath::parse(b"3").unwrap();
    match machine.block_on(machine.workspace().drop_changes(&[path])) {
        Ok(()) | Err(WorkspaceError::Busy(_)) => {}
        Err(error) => panic!("{error}"),
    }
}
