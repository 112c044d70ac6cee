//! `meshfs log`: the history of a branch.

use std::ffi::OsString;

use crate::cli::args::Json;
use crate::cli::context::Context;
use crate::cli::{refs, render, working};
use crate::daemon::failure::Failure;
use crate::model::report::CommitReport;

/// Show commits, newest first.
///
/// With PATH only those that changed it or what is below it. A merge is shown if it has there
/// what none of its parents has.
///
/// Example:
///   meshfs log sales/main -n 5
///   meshfs log sales/@v1.0 --json
///   meshfs log sales/main -- orders/1.parquet
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Log {
    /// A branch or DOMAIN/@REVISION [default: the branch of the current directory]
    #[arg(value_name = "ADDR")]
    pub address: Option<OsString>,
    /// At most this many
    #[arg(short = 'n', long = "max-count", value_name = "N")]
    pub count: Option<usize>,
    /// A path from the branch's root, or a local one that starts with ./ or /
    #[arg(value_name = "PATH", last = true)]
    pub path: Option<OsString>,
    #[command(flatten)]
    pub json: Json,
}

impl Log {
    pub async fn run(self, context: &Context<'_>) -> Result<(), Failure> {
        let address = context.address_or_branch_here(self.address.as_ref())?;
        refs::whole(&address, "log shows the history of whole domains")?;
        let (domain, head) = refs::commit_of(context, &address).await?;
        let max = self.count.unwrap_or(usize::MAX);
        let commits = match &self.path {
            Some(path) => {
                let path = working::path_in(context, &address, path)?;
                domain.history_of(&head, &path, max).await?
            }
            None => domain.history(&head, max).await?,
        };
        let commits: Vec<CommitReport> = commits.iter().map(|commit| CommitReport::from(&**commit)).collect();
        if self.json.json {
            return context.ui.json(&commits);
        }
        for (at, commit) in commits.iter().enumerate() {
            if at > 0 {
                context.ui.line("")?;
            }
            render::commit(context.ui, commit)?;
        }
        Ok(())
    }
}
