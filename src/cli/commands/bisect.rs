//! `meshfs bisect`: which commit made it wrong.

use std::ffi::OsString;

use serde::Serialize;

use crate::cli::args::Json;
use crate::cli::context::Context;
use crate::cli::{refs, render};
use crate::daemon::bisect::{self, Outcome};
use crate::daemon::failure::Failure;
use crate::model::commit::Commit;
use crate::model::report::CommitReport;
use crate::repo::bisect::Verdict;

/// Find the commit that made a command fail.
#[derive(Debug, clap::Args)]
pub struct Bisect {
    #[command(subcommand)]
    pub command: BisectCommand,
}

#[derive(Debug, clap::Subcommand)]
pub enum BisectCommand {
    /// Run a command on the snapshots between FROM and TO, halving them each time
    ///
    /// The command runs in the folder of each snapshot in the mount, and says by its exit code what
    /// it found: 0 good, 125 nothing, any other below 128 bad. What it prints goes to stderr. It
    /// must succeed on FROM and fail on TO.
    ///
    /// Example:
    ///   meshfs bisect run sales/@v1.0 sales/@main -- python3 /home/ann/check.py
    #[command(verbatim_doc_comment)]
    Run {
        /// Where the command succeeds: DOMAIN/@REVISION or DOMAIN/BRANCH
        #[arg(value_name = "FROM")]
        from: OsString,
        /// Where it fails
        #[arg(value_name = "TO")]
        to: OsString,
        /// The command and its arguments
        #[arg(value_name = "CMD", last = true, required = true)]
        command: Vec<OsString>,
        #[command(flatten)]
        json: Json,
    },
}

#[derive(Serialize)]
struct OutcomeShape {
    first_bad: Vec<CommitReport>,
    tried: Vec<TriedShape>,
}

#[derive(Serialize)]
struct TriedShape {
    commit: crate::model::id::CommitId,
    verdict: &'static str,
}

impl Bisect {
    pub async fn run(self, context: &Context<'_>) -> Result<(), Failure> {
        let BisectCommand::Run { from, to, command, json } = self.command;
        let (from, to) = (context.address(&from)?, context.address(&to)?);
        for address in [&from, &to] {
            refs::whole(address, "whole commits are searched")?;
        }
        if from.domain != to.domain {
            return Err(Failure::usage(format!("{from} and {to} are in different domains")));
        }
        let (domain, good) = refs::commit_of(context, &from).await?;
        let (_, bad) = refs::commit_of(context, &to).await?;
        let Some(daemon) = context.daemon().await? else {
            return Err(Failure::failed("the command runs in the mount, and this mesh is not mounted")
                .hint("meshfs mount DIR, then again"));
        };
        let tell = |commit: &Commit, left: usize| {
            let first_line = commit.message.lines().next().unwrap_or_default();
            context.ui.note(format_args!("{left} left, trying {} {first_line}", render::short(&commit.id)));
        };
        let outcome = bisect::run(&domain, &daemon.info().mountpoint, (good, bad), &command, &tell).await?;
        match json.json {
            true => context.ui.json(&shape(&outcome)),
            false => show(context, &outcome),
        }
    }
}

fn show(context: &Context<'_>, outcome: &Outcome) -> Result<(), Failure> {
    if outcome.first_bad.len() > 1 {
        context.ui.note("the first bad commit is one of these; those between cannot be tried");
    }
    for (at, commit) in outcome.first_bad.iter().enumerate() {
        if at > 0 {
            context.ui.line("")?;
        }
        render::commit(context.ui, &CommitReport::from(&**commit))?;
    }
    Ok(())
}

fn shape(outcome: &Outcome) -> OutcomeShape {
    let verdict = |verdict: &Verdict| match verdict {
        Verdict::Good => "good",
        Verdict::Bad => "bad",
        Verdict::Skipped => "skipped",
    };
    OutcomeShape {
        first_bad: outcome.first_bad.iter().map(|commit| CommitReport::from(&**commit)).collect(),
        tried: outcome
            .tried
            .iter()
            .map(|(commit, found)| TriedShape { commit: commit.id, verdict: verdict(found) })
            .collect(),
    }
}
