//! The reference model: random operations run on a workspace (memory store, real SQLite and files) and on a small
//! filesystem in memory; everything that can be seen is compared after every step. A failure found becomes a test in
//! `regressions.rs`.

mod attributes;
mod commit;
mod compare;
mod data;
mod hostile;
mod landed_unseen;
mod machine;
mod model;
mod moves;
mod names;
mod operation;
mod regressions;
mod runs;
mod threads;

#[path = "../repo/watched.rs"]
mod watched;
