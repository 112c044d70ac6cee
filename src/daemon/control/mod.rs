//! The control socket: how commands ask a daemon to do what only the holder of a state folder may do.

pub mod client;
pub mod protocol;
pub mod server;
