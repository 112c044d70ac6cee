//! Power loss: what was promised to survive it does, on a disk that forgets what was not synced. Runs as root.

// Files are made with their modes as an image of a disk has them.
#![allow(clippy::disallowed_methods)]

#[path = "../common/mod.rs"]
mod common;
mod cuts;
mod disk;
mod holdback;
mod model;
mod recovered;
mod remount;
mod workload;
