//! Garbage collection beside writers, readers and other collectors: what must stay stays, what nothing leads to goes.

mod cost;
mod crash;
mod cut;
mod keeping;
mod lab;
mod pins;
mod repack;
mod retention;
mod rules;
#[path = "../repo/watched.rs"]
mod watched;
// The store and the machines on it are those of the tests of `repo`.
#[allow(dead_code)]
#[path = "../repo/world.rs"]
mod world;
