//! `meshfs cherry-pick`: brings a branch what one commit changed.

use crate::cli::context::Context;
use crate::cli::taking::OneCommit;
use crate::daemon::control::protocol::Taking;
use crate::daemon::failure::Failure;

/// Make the changes of one commit on another branch.
///
/// The new commit has the author, message and metadata of the old one. Conflicts are those of a
/// merge: see `meshfs merge --help`.
///
/// Example:
///   meshfs cherry-pick sales/@exp~1 sales/main
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct CherryPick {
    #[command(flatten)]
    pub of: OneCommit,
}

impl CherryPick {
    pub async fn run(self, context: &Context<'_>) -> Result<(), Failure> {
        self.of.take(context, Taking::CherryPick, "cherry-pick").await
    }
}
