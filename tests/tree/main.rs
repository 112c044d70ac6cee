//! Trees as values: edits, differences and merges, against plain maps of paths and against building from scratch.

mod apply;
mod diff;
mod links;
mod merge;
mod reference;
mod size;
mod support;
