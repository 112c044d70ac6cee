//! Looking after a mesh: collecting garbage beside writers, readers and other collectors, finding damage and undoing it.

mod cost;
mod crash;
mod cut;
mod fsck;
mod keeping;
mod lab;
mod pins;
mod repack;
mod retention;
mod rules;
// Working trees are those of the tests of `workspace`.
#[allow(dead_code)]
#[path = "../workspace/support.rs"]
mod support;
#[path = "../repo/watched.rs"]
mod watched;
// The store and the machines on it are those of the tests of `repo`.
#[allow(dead_code)]
#[path = "../repo/world.rs"]
mod world;
