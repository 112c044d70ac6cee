//! The verbs, as the tests use them: nothing is ever in conflict.

use meshfs::workspace::commit::{CommitOptions, Committed};
use meshfs::workspace::refresh::Refreshed;

use super::machine::Machine;

/// Commits everything staged.
pub fn commit(machine: &Machine) {
    let options = CommitOptions { message: "test".to_owned(), ..CommitOptions::default() };
    match machine.block_on(machine.workspace().commit(options)).unwrap() {
        Committed::Landed(_) | Committed::Nothing => {}
        Committed::Conflict(conflicts) => panic!("in conflict: {conflicts:?}"),
    }
}

/// Moves the workspace to the newest head; what is staged stays.
pub fn refresh(machine: &Machine) {
    match machine.block_on(machine.workspace().refresh(None, &[])).unwrap() {
        Refreshed::Moved { .. } | Refreshed::Current => {}
        Refreshed::Conflict(conflicts) => panic!("in conflict: {conflicts:?}"),
    }
}
