//! Trouble with the store, as users meet it: the built command and its mounts on networks that fail, with credentials
//! that expire, and on stores that somebody hostile wrote to.

// chmod(2) on scratch folders; and waiting is on the machine's own time.
#![allow(clippy::disallowed_methods)]

#[path = "../common/mod.rs"]
mod common;
#[path = "../format/raw.rs"]
#[allow(dead_code)]
mod raw;

mod credentials;
mod forge;
mod hostile;
mod network;
mod support;
