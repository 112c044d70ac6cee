//! `meshfs revert`: undoes what one commit changed, by another commit.

use crate::cli::context::Context;
use crate::cli::taking::OneCommit;
use crate::daemon::control::protocol::Taking;
use crate::daemon::failure::Failure;

/// Undo the changes of one commit, by a new commit.
///
/// What was changed again since is a conflict, as in a merge: see `meshfs merge --help`. Of a
/// merge, --parent 1 undoes what it brought into its branch.
///
/// Example:
///   meshfs revert sales/@main~2 sales/main
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Revert {
    #[command(flatten)]
    pub of: OneCommit,
}

impl Revert {
    pub async fn run(self, context: &Context<'_>) -> Result<(), Failure> {
        self.of.take(context, Taking::Revert, "revert").await
    }
}
