//! Repositories in an object store: logs, objects, history, merge. Knows no mount and no workspace.

pub mod commit;
pub mod db;
pub mod domain;
pub mod error;
pub mod history;
pub mod layout;
pub mod mesh;
pub mod objects;
pub mod refs;
pub mod revision;
pub mod tree;
pub mod upload;
