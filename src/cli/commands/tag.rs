//! `meshfs tag`: names that never move.

use std::ffi::OsString;

use crate::cli::args::Json;

/// Create, list and delete tags.
///
/// A tag names one commit for good and keeps it. It is read at DOMAIN/@NAME.
///
/// Example:
///   meshfs tag create sales/@v1.0 sales/main
///   meshfs tag list sales
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Tag {
    #[command(subcommand)]
    pub command: TagCommand,
}

#[derive(Debug, clap::Subcommand)]
pub enum TagCommand {
    /// Create a tag
    Create {
        /// DOMAIN/@NAME
        #[arg(value_name = "DOMAIN/@NAME")]
        tag: OsString,
        /// What it names: the head of DOMAIN/BRANCH, or DOMAIN/@REVISION
        #[arg(value_name = "ADDR")]
        target: OsString,
    },
    /// List the tags of a domain and their commits
    List {
        /// The domain [default: that of the current directory]
        #[arg(value_name = "DOMAIN")]
        domain: Option<OsString>,
        #[command(flatten)]
        json: Json,
    },
    /// Delete a tag
    Delete {
        /// DOMAIN/@NAME
        #[arg(value_name = "DOMAIN/@NAME")]
        tag: OsString,
    },
}
