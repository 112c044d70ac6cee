//! `meshfs reflog`: where a branch has pointed.

use std::ffi::OsString;

use crate::cli::args::Json;

/// Show every move of a branch, newest first: what it pointed at, when, and who moved it.
///
/// Also of a branch that was deleted; `branch create --from DOMAIN/@ID` brings one back.
///
/// Example:
///   meshfs reflog sales/main
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Reflog {
    /// DOMAIN/BRANCH [default: the branch of the current directory]
    #[arg(value_name = "BRANCH")]
    pub branch: Option<OsString>,
    #[command(flatten)]
    pub json: Json,
}
