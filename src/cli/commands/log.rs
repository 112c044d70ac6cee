//! `meshfs log`: the history of a branch.

use std::ffi::OsString;

use crate::cli::args::Json;

/// Show commits, newest first.
///
/// Example:
///   meshfs log sales/main -n 5
///   meshfs log sales/@v1.0 --json
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Log {
    /// A branch or DOMAIN/@REVISION [default: the branch of the current directory]
    #[arg(value_name = "ADDR")]
    pub address: Option<OsString>,
    /// At most this many
    #[arg(short = 'n', long = "max-count", value_name = "N")]
    pub count: Option<usize>,
    #[command(flatten)]
    pub json: Json,
}
