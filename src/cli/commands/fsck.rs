//! `meshfs fsck`: checks stored bytes against their ids.

use std::ffi::OsString;

use crate::cli::args::Json;

/// Re-hash one snapshot: every node it reaches, and with --read-data every chunk.
///
/// Exit code 1 when something is damaged or missing; each such path is listed.
///
/// Example:
///   meshfs fsck sales/@v1.0 --read-data
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Fsck {
    /// DOMAIN/@REVISION, or the head of DOMAIN/BRANCH [default: the branch of the current directory]
    #[arg(value_name = "ADDR")]
    pub address: Option<OsString>,
    /// Also download and re-hash the data of every file
    #[arg(long)]
    pub read_data: bool,
    #[command(flatten)]
    pub json: Json,
}
