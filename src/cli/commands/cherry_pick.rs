//! `meshfs cherry-pick`: brings a branch what one commit changed.

use std::ffi::OsString;

use crate::cli::context::Context;
use crate::cli::taking::{self, Options};
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
    /// DOMAIN/@REVISION, or a branch for its newest commit
    #[arg(value_name = "COMMIT")]
    pub commit: OsString,
    /// DOMAIN/BRANCH [default: the branch of the current directory]
    #[arg(value_name = "INTO")]
    pub into: Option<OsString>,
    /// Of a merge: the parent against which its changes are meant
    #[arg(long, value_name = "N")]
    pub parent: Option<usize>,
    #[command(flatten)]
    pub options: Options,
}

impl CherryPick {
    pub async fn run(self, context: &Context<'_>) -> Result<(), Failure> {
        let source = taking::source(context, &self.commit)?;
        let into = taking::target(context, self.into.as_ref(), "cherry-pick")?;
        taking::take(context, Taking::CherryPick, source, self.parent, into, self.options).await
    }
}
