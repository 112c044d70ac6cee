//! Trees as values: edits, differences and merges, against plain maps of paths and against building from scratch.

mod apply;
mod diff;
mod hostile;
mod landing;
mod landing_cost;
mod links;
mod merge;
mod reference;
mod size;
mod support;
#[path = "../repo/watched.rs"]
mod watched;
// The store and the machines on it are those of the tests of `repo`.
#[allow(dead_code)]
#[path = "../repo/world.rs"]
mod world;
