//! Working trees and their verbs: what is staged, committed, refreshed, discarded, restored; alone and against another
//! machine on the same store.

mod commit;
mod conflict;
mod discard;
mod follow;
mod history;
mod integrate;
mod merge;
mod protect;
mod random;
mod refresh;
mod restore;
mod status;
mod support;
// The store and the machines on it are those of the tests of `repo`.
#[allow(dead_code)]
#[path = "../repo/world.rs"]
mod world;
