//! `meshfs diff`: what differs between two versions.

use std::ffi::OsString;

use crate::cli::args::Json;

/// Show what differs between two versions, as status lines.
///
/// With no address: from the last commit to the working tree, as `status`. With one: from it to the working tree of
/// its branch. With two: from the first to the second. DOMAIN/BRANCH is the working tree, DOMAIN/@BRANCH its head.
///
/// Example:
///   meshfs diff sales/@v1.0 sales/@main
///   meshfs diff sales/@main~1
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Diff {
    #[arg(value_name = "ADDR")]
    pub from: Option<OsString>,
    #[arg(value_name = "ADDR")]
    pub to: Option<OsString>,
    #[command(flatten)]
    pub json: Json,
}
