//! Pure values: ids, paths, trees, commits, and what can be computed from them alone. No I/O, no bytes.

pub mod address;
pub mod commit;
pub mod content;
pub mod diff;
pub mod edit;
pub mod entry;
pub mod gc;
pub mod id;
pub mod log;
pub mod merge;
pub mod path;
pub mod quote;
pub mod report;
pub mod source;
pub mod time;
pub mod tree;
