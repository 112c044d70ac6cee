//! `meshfs doctor`: looks for what stands in the way.

use crate::cli::args::Json;

/// Check the store, the clock, FUSE and the folders, each with a next step.
///
/// Writes and removes small objects of its own under `doctor/` in the store. Exit code 1 when a check fails.
///
/// Example:
///   meshfs doctor
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Doctor {
    #[command(flatten)]
    pub json: Json,
}
