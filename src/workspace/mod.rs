//! The working tree of a branch: a base snapshot plus this machine's staged changes.

pub mod attr;
pub mod error;
pub mod observer;
pub mod open_file;
pub mod place;
pub mod snapshot;
pub mod view;
