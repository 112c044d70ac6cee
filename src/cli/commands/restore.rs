//! `meshfs restore`: brings back an earlier version of a path.

use std::ffi::OsString;

/// Bring back a path, or a whole branch, as it was in a snapshot.
///
/// The result is staged in the workspace like any change; with -m it is committed at once. Nothing is downloaded.
///
/// Example:
///   meshfs restore sales/@v1.0/orders sales/main
///   meshfs restore sales/@main~3/orders/1.parquet -m "Back to the good one"
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Restore {
    /// What: DOMAIN/@REVISION or DOMAIN/@REVISION/PATH
    #[arg(value_name = "ADDR")]
    pub source: OsString,
    /// Into which branch, or path of a branch; a bare branch means the same path [default: the branch of the current directory]
    #[arg(value_name = "INTO")]
    pub into: Option<OsString>,
    /// Commit the result with this message
    #[arg(short = 'm', long, value_name = "MSG")]
    pub message: Option<String>,
}
