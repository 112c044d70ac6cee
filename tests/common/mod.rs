//! What several test binaries need: scratch folders, machines, an S3 server and a network to it, the reference model.

// Each binary uses its own part of this.
#![allow(dead_code)]

pub mod machine;
pub mod proxy;
pub mod reference;
pub mod s3;
pub mod scratch;
