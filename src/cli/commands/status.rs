//! `meshfs status`: what a commit would commit.

use std::ffi::OsString;

use crate::cli::args::Json;

/// Show uncommitted changes.
///
/// One line each: `A path` added, `M path` modified, `D path` deleted, `R old<TAB>new` renamed; quoted as git does
/// when a path has unusual bytes.
///
/// Example:
///   meshfs status sales/main
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Status {
    /// A branch, or a path in it [default: the branch of the current directory]
    #[arg(value_name = "ADDR")]
    pub address: Option<OsString>,
    #[command(flatten)]
    pub json: Json,
}
