//! `meshfs cat`: the bytes of files.

use std::ffi::OsString;

/// Write files to stdout, with or without a mount.
///
/// Example:
///   meshfs cat sales/@v1.0/orders/1.csv sales/@v1.0/orders/2.csv
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Cat {
    #[arg(value_name = "ADDR", required = true)]
    pub addresses: Vec<OsString>,
}
