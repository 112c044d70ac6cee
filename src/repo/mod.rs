//! Repositories in an object store: logs, objects, history, merge. Knows no mount and no workspace.

pub mod append;
pub mod attempt;
pub mod branches;
pub mod catalog;
pub mod changed;
pub mod commit;
pub mod condemned;
pub mod db;
pub mod domain;
pub mod error;
pub mod follow;
pub mod fsck;
pub mod history;
pub mod layout;
pub mod log;
pub mod mesh;
pub mod new_domain;
pub mod objects;
pub mod refs;
pub mod revision;
pub mod settle;
pub mod tree;
pub mod upload;
pub mod usable;
pub mod write;
