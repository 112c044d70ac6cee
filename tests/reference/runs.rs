//! The runs: a base commit with everything in it, then random operations.

use std::sync::{Mutex, OnceLock, PoisonError};

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use meshfs::model::entry::Kind;
use meshfs::workspace::attr::{NewNode, XattrMode};

use super::commit::commit;
use super::machine::{Machine, World};
use super::model::{Model, ROOT};
use super::operation::{OTHERS, Op, Pair, op};

/// Bytes of the base's large file: several chunks and a hole.
const LARGE_BYTES: usize = 1_200_000;

/// Runs unless `PROPTEST_CASES` says otherwise.
const CASES: u32 = 48;

/// Bytes that do not compress and do not repeat.
pub fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    let step = |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    (0..len).map(step).collect()
}

/// A machine on a base commit with nested directories, hard links, a large file and a listing of many names; and the
/// same in the model.
pub fn prepared() -> (Machine, Model) {
    let machine = World::new().first_machine();
    let mut model = Model::new(machine.world.now());
    let root = machine.run(|workspace| workspace.attr(workspace.root_ino())).unwrap();
    let root_model = model.file_mut(ROOT);
    (root_model.mode, root_model.owner, root_model.mtime) = (root.mode, root.owner, root.mtime.0);
    for dir in ["a", "a/b", "a/b/c", "d", "many", OTHERS] {
        machine.mkdir(dir).unwrap();
        model.create(dir, Kind::Dir, 0o755, &[]).unwrap();
    }
    let mut large = noise(LARGE_BYTES, 7);
    large[300_000..500_000].fill(0);
    let small = [("a/b/c/e", 3000), ("a/b/b", 100), ("d/a", 5000), ("others/a", 40)];
    for (path, len) in small {
        add_file(&machine, &mut model, path, &noise(len, len as u64));
    }
    add_file(&machine, &mut model, "d/large", &large);
    for number in 0..12 {
        add_file(&machine, &mut model, &format!("many/{number:02}"), &[number; 10]);
    }
    for (from, to) in [("d/a", "d/link"), ("d/a", "a/b/link"), ("many/03", "many/linked")] {
        machine.link(from, to).unwrap();
        model.link(from, to).unwrap();
    }
    machine.create("d/s", NewNode::Symlink(b"a/b".to_vec()), 0o777).unwrap();
    model.create("d/s", Kind::Symlink, 0o777, b"a/b").unwrap();
    let value = noise(900, 3);
    machine.on("a/b/b", |workspace, ino| workspace.set_xattr(ino, b"user.0", &value, XattrMode::Any)).unwrap();
    let id = model.find("a/b/b").unwrap();
    model.file_mut(id).xattrs.insert(b"user.0".to_vec(), value);
    commit(&machine);
    (machine, model)
}

fn add_file(machine: &Machine, model: &mut Model, path: &str, bytes: &[u8]) {
    machine.put(path, bytes).unwrap();
    let id = model.create(path, Kind::File, 0o644, &[]).unwrap();
    model.write(id, 0, bytes);
}

/// Two machines on a branch of the prepared base, and the model of it. The base is made once; every call has a branch
/// of its own.
pub fn on_base() -> (Machine, Machine, Model) {
    static BASE: OnceLock<Mutex<(Machine, Machine, Model, u32)>> = OnceLock::new();
    let base = BASE.get_or_init(|| {
        let (machine, model) = prepared();
        let other = machine.world.machine(2);
        Mutex::new((machine, other, model, 0))
    });
    let (machine, other, model, runs) = &mut *base.lock().unwrap_or_else(PoisonError::into_inner);
    *runs += 1;
    let branch = format!("run-{runs}");
    machine.create_branch(&branch);
    (machine.on_branch(&branch), other.on_branch(&branch), model.clone())
}

/// Runs operations on a fresh pair, comparing after every one.
pub fn run(ops: &[Op]) {
    // All runs share the base's clock, which the model has to know.
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let (machine, other, model) = on_base();
    let mut pair = Pair::new(machine, other, model);
    for op in ops {
        pair.apply(op);
        pair.compare();
    }
}

#[test]
fn random_operations_do_what_they_do_on_a_plain_filesystem() {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(CASES);
    let config = Config { cases, max_shrink_iters: 400, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new(config);
    let ops = prop::collection::vec(op(), 1..40);
    runner
        .run(&ops, |ops| {
            run(&ops);
            Ok(())
        })
        .unwrap();
}
