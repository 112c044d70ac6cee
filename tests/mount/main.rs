//! Mounts on the machine's own kernel: what programs see. Runs as root; each test has its own scratch folders and
//! leaves nothing mounted.

// chmod(2) on the mount is what is tested, and its users live in the machine's own time.
#![allow(clippy::disallowed_methods)]

#[path = "../common/mod.rs"]
mod common;
mod machine;

mod access;
mod content;
mod control;
mod ends;
mod levels;
mod local_disk;
mod machines;
mod names;
mod rights;
mod serving;
mod trouble;
