//! The process around a mount, and everything that a command needs to find it, talk to it, or do without it.

pub mod config;
pub mod control;
pub mod failure;
pub mod instance;
pub mod mounts;
pub mod store_name;
pub mod wire;
