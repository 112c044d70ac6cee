//! `meshfs stat`: everything about one path.

use std::ffi::OsString;

use crate::cli::args::Json;

/// Show kind, size, mode, owner and times of a path.
///
/// Example:
///   meshfs stat sales/main/orders/1.parquet
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Stat {
    #[arg(value_name = "ADDR")]
    pub address: OsString,
    #[command(flatten)]
    pub json: Json,
}
