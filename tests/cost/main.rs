//! What operations cost, counted where it is paid: requests and bytes at the S3 server, memory of the daemon. Every
//! count is of the built command on the kernel's own mount. Nothing here is timed.

#[path = "../common/mod.rs"]
mod common;

mod changes;
mod lake;
mod leaks;
mod memory;
mod reads;
