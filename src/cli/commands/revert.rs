//! `meshfs revert`: undoes what one commit changed, by another commit.

use std::ffi::OsString;

use crate::cli::context::Context;
use crate::cli::taking::{self, Options};
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
    /// DOMAIN/@REVISION, or a branch for its newest commit
    #[arg(value_name = "COMMIT")]
    pub commit: OsString,
    /// DOMAIN/BRANCH [default: the branch of the current directory]
    #[arg(value_name = "INTO")]
    pub into: Option<OsString>,
    /// Of a merge: the parent whose version comes back
    #[arg(long, value_name = "N")]
    pub parent: Option<usize>,
    #[command(flatten)]
    pub options: Options,
}

impl Revert {
    pub async fn run(self, context: &Context<'_>) -> Result<(), Failure> {
        let source = taking::source(context, &self.commit)?;
        let into = taking::target(context, self.into.as_ref(), "revert")?;
        taking::take(context, Taking::Revert, source, self.parent, into, self.options).await
    }
}
