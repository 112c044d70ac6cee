//! What several test binaries need: scratch folders and an S3 server.

// Each binary uses its own part of this.
#![allow(dead_code)]

pub mod machine;
pub mod s3;
pub mod scratch;
