//! `meshfs ls`: what a directory holds.

use std::ffi::OsString;

use crate::cli::args::Json;

/// List a directory, with or without a mount.
///
/// Example:
///   meshfs ls -l sales/@v1.0/orders
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Ls {
    /// A directory or file [default: the current directory]
    #[arg(value_name = "ADDR")]
    pub address: Option<OsString>,
    /// With mode, owner, size and time
    #[arg(short = 'l', long)]
    pub long: bool,
    #[command(flatten)]
    pub json: Json,
}
