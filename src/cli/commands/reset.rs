//! `meshfs reset`: points a branch at another commit.

use std::ffi::OsString;

use serde::Serialize;

use crate::cli::args::Json;
use crate::cli::context::Context;
use crate::cli::{taking, working};
use crate::daemon::control::protocol::{Reply, Request};
use crate::daemon::failure::Failure;
use crate::model::id::CommitId;

/// Point a branch at another commit.
///
/// The log remembers where it was: `meshfs reflog` shows it, and another reset brings it back.
/// What is uncommitted stays, and is merged with the new head at the next commit.
///
/// Example:
///   meshfs reset sales/@main~1 sales/main
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Reset {
    /// DOMAIN/@REVISION, or a branch for its newest commit
    #[arg(value_name = "COMMIT")]
    pub commit: OsString,
    /// DOMAIN/BRANCH [default: the branch of the current directory]
    #[arg(value_name = "BRANCH")]
    pub branch: Option<OsString>,
    #[command(flatten)]
    pub json: Json,
}

#[derive(Serialize)]
struct ResetShape {
    old: CommitId,
    new: CommitId,
}

impl Reset {
    pub async fn run(self, context: &Context<'_>) -> Result<(), Failure> {
        let source = taking::source(context, &self.commit)?;
        let into = taking::target(context, self.branch.as_ref(), "reset")?;
        match context.perform(Request::Reset { source, into }).await? {
            Reply::Reset { old, new } if self.json.json => context.ui.json(&ResetShape { old, new }),
            Reply::Reset { old, new } => {
                match old == new {
                    true => context.ui.note("it is there already"),
                    false => context.ui.note(format!("it was at {old}: a reset to that undoes this")),
                }
                context.ui.line(new)
            }
            other => Err(working::unexpected(&other)),
        }
    }
}
