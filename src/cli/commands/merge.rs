//! `meshfs merge`: brings a branch all that another commit has.

use std::ffi::OsString;

use crate::cli::context::Context;
use crate::cli::taking::{self, Options};
use crate::daemon::control::protocol::{Reply, Request, Taking};
use crate::daemon::failure::Failure;

/// Merge a branch, a tag or a commit into a branch.
///
/// Path by path, against what both have in common; what only one side changed is taken, what both
/// changed differently is a conflict. Commits are merged, not what is uncommitted on either side.
/// A branch that has nothing of its own is moved to FROM, unless -m asks for a commit.
///
/// In conflict, the paths are listed, exit code 3, and the branch stays as it was. Then
///   write each path as it should be (mounted, .meshfs/conflicts/{base,ours,theirs}/PATH are the sides),
///   or meshfs refresh INTO --strategy ours|theirs PATH,
/// and meshfs commit INTO -m MSG makes the merge; or meshfs merge --abort INTO gives it up.
///
/// Example:
///   meshfs merge sales/exp sales/main
///   meshfs merge sales/exp sales/main --dry-run
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Merge {
    /// DOMAIN/BRANCH or DOMAIN/@REVISION; with --abort the branch
    #[arg(value_name = "FROM", required_unless_present = "abort")]
    pub from: Option<OsString>,
    /// DOMAIN/BRANCH [default: the branch of the current directory]
    #[arg(value_name = "INTO", conflicts_with = "abort")]
    pub into: Option<OsString>,
    /// Give up a merge, cherry-pick or revert that met conflicts, and what was written at their paths
    #[arg(long, conflicts_with_all = ["message", "strategy", "dry_run"])]
    pub abort: bool,
    #[command(flatten)]
    pub options: Options,
}

impl Merge {
    pub async fn run(self, context: &Context<'_>) -> Result<(), Failure> {
        match &self.from {
            Some(from) if !self.abort => {
                let source = taking::source(context, from)?;
                let into = taking::target(context, self.into.as_ref(), "merge")?;
                taking::take(context, Taking::Merge, source, None, into, self.options).await
            }
            branch => {
                let branch = taking::target(context, branch.as_ref(), "merge --abort")?;
                context.perform(Request::GiveUp { branch }).await.map(|_: Reply| ())
            }
        }
    }
}
