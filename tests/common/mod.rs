//! What several test binaries need: scratch folders, machines, an S3 server, the reference model.

// Each binary uses its own part of this.
#![allow(dead_code)]

pub mod machine;
pub mod reference;
pub mod s3;
pub mod scratch;
