//! The runs: a base commit with everything in it, then random operations.

use std::sync::{Mutex, OnceLock, PoisonError};

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::commit::commit;
use super::machine::{Machine, World};
use super::pair::Pair;
use crate::common::reference::base::base;
use crate::common::reference::model::{Model, ROOT};
use crate::common::reference::operation::{Op, op};

/// Runs unless `PROPTEST_CASES` says otherwise.
const CASES: u32 = 48;

/// A machine on a commit of the base, and the same in the model.
pub fn prepared() -> (Machine, Model) {
    let machine = World::new().first_machine();
    let mut model = Model::new(machine.world.now());
    let root = machine.run(|workspace| workspace.attr(workspace.root_ino())).unwrap();
    let root_model = model.file_mut(ROOT);
    (root_model.mode, root_model.owner, root_model.mtime) = (root.mode, root.owner, root.mtime.0);
    for deed in base() {
        machine.perform(&deed).unwrap();
        deed.apply(&mut model).unwrap();
    }
    commit(&machine);
    (machine, model)
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

/// Proves F1, F3, F6, F10.
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
