//! `meshfs show`: one commit.

use std::ffi::OsString;

use crate::cli::args::Json;

/// Show a commit and what it changed against its first parent.
///
/// Example:
///   meshfs show sales/@main
///   meshfs show sales/@0a1b2c3d
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Show {
    /// DOMAIN/@REVISION, or the head of DOMAIN/BRANCH [default: the branch of the current directory]
    #[arg(value_name = "ADDR")]
    pub address: Option<OsString>,
    #[command(flatten)]
    pub json: Json,
}
