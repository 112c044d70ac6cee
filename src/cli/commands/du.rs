//! `meshfs du`: how much lies below a path.

use std::ffi::OsString;

use crate::cli::args::Json;

/// Show bytes and numbers of files below a path. Costs the same however much that is.
///
/// Example:
///   meshfs du sales/main
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Du {
    /// A directory or file [default: the current directory]
    #[arg(value_name = "ADDR")]
    pub address: Option<OsString>,
    #[command(flatten)]
    pub json: Json,
}
