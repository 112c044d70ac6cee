//! The reference model: random operations run on a workspace (memory store, real SQLite and files) and on a small
//! filesystem in memory; everything that can be seen is compared after every step. A failure found becomes a test in
//! `regressions.rs`.

#[path = "../common/mod.rs"]
mod common;

mod attributes;
mod commit;
mod compare;
mod data;
mod direct;
mod hostile;
mod landed_unseen;
mod machine;
mod moves;
mod names;
mod pair;
mod perform;
mod regressions;
mod runs;
mod threads;

#[path = "../repo/watched.rs"]
mod watched;
