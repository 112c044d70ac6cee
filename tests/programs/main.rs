//! Programs as users have them, unmodified, on a mount: each writes, its work is committed, and a machine that has
//! nothing but the store reads it back with the program's own means of telling whether it is right.

#[path = "../common/mod.rs"]
mod common;

mod builds;
mod copies;
mod data;
mod databases;
mod git;
mod journey;
mod publish;
mod together;
