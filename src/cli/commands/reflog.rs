//! `meshfs reflog`: where a branch has pointed.

use std::ffi::OsString;

use crate::cli::args::Json;
use crate::cli::context::Context;
use crate::cli::{render, working};
use crate::daemon::failure::Failure;
use crate::daemon::verbs;
use crate::model::id::CommitId;
use crate::model::log::{Operation, RefName};
use crate::model::time::Time;
use crate::repo::history::ReflogEntry;
use serde::Serialize;

/// Show every move of a branch, newest first: what it pointed at, when, and who moved it.
///
/// Also of a branch that was deleted; `branch create --from DOMAIN/@ID` brings one back.
///
/// Example:
///   meshfs reflog sales/main
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Reflog {
    /// DOMAIN/BRANCH [default: the branch of the current directory]
    #[arg(value_name = "BRANCH")]
    pub branch: Option<OsString>,
    #[command(flatten)]
    pub json: Json,
}

#[derive(Serialize)]
struct MoveShape<'a> {
    seq: u64,
    time: Time,
    operation: Operation,
    old: Option<CommitId>,
    new: Option<CommitId>,
    actor: &'a str,
    host: &'a str,
}

impl<'a> MoveShape<'a> {
    fn of(entry: &'a ReflogEntry) -> MoveShape<'a> {
        MoveShape {
            seq: entry.seq,
            time: entry.time,
            operation: entry.change.operation,
            old: entry.change.previous_target,
            new: entry.change.target,
            actor: &entry.actor,
            host: &entry.host,
        }
    }
}

impl Reflog {
    pub async fn run(self, context: &Context<'_>) -> Result<(), Failure> {
        let address = context.address_or_branch_here(self.branch.as_ref())?;
        let branch = working::whole_branch(context, &address, "reflog")?;
        let domain = context.domain(&branch.domain).await?;
        let name = verbs::branch_or_default(&domain, branch.branch);
        let moves = domain.reflog(&RefName::branch(&name), usize::MAX).await?;
        let moves: Vec<MoveShape> = moves.iter().map(MoveShape::of).collect();
        if self.json.json {
            return context.ui.json(&moves);
        }
        moves.iter().try_for_each(|entry| {
            let operation = serde_json::to_value(entry.operation).unwrap_or_default();
            let operation = operation.as_str().unwrap_or_default();
            let target = entry.new.map_or_else(|| "-".to_owned(), |id| render::short(&id));
            context.ui.line(format_args!("{target} {} {operation} {}", entry.time, entry.actor))
        })
    }
}
