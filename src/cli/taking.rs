//! What merge, cherry-pick and revert have in common: their options, and how their outcome is told.

use std::ffi::OsString;

use super::args::Json;
use super::commands::refresh::StrategyName;
use super::context::Context;
use super::{refs, render, working};
use crate::daemon::control::protocol::{BranchName, CommitName, Integrate, Reply, Request, Source, Taking};
use crate::daemon::failure::Failure;
use crate::model::address::View;
use crate::model::merge::Side;

/// Options of each.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// The message of the commit
    #[arg(short = 'm', long, value_name = "MSG")]
    pub message: Option<String>,
    /// Who makes the commit [default: $MESHFS_AUTHOR, the configuration, user@host]
    #[arg(long, value_name = "A")]
    pub author: Option<String>,
    /// Which side wins where both changed the same path; ours is the branch
    #[arg(long, value_name = "S")]
    pub strategy: Option<StrategyName>,
    /// Only show what would change in the branch
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub json: Json,
}

/// What a verb needs that takes the changes of one commit.
#[derive(Clone, Debug, clap::Args)]
pub struct OneCommit {
    /// DOMAIN/@REVISION, or a branch for its newest commit
    #[arg(value_name = "COMMIT")]
    pub commit: OsString,
    /// DOMAIN/BRANCH [default: the branch of the current directory]
    #[arg(value_name = "INTO")]
    pub into: Option<OsString>,
    /// Of a merge: the parent, from 1, that its changes are compared with
    #[arg(long, value_name = "N")]
    pub parent: Option<usize>,
    #[command(flatten)]
    pub options: Options,
}

impl OneCommit {
    /// `verb`: as a person calls it.
    pub async fn take(self, context: &Context<'_>, taking: Taking, verb: &str) -> Result<(), Failure> {
        let source = source(context, &self.commit)?;
        let into = target(context, self.into.as_ref(), verb)?;
        take(context, taking, source, self.parent, into, self.options).await
    }
}

/// The commit that an argument means.
pub fn source(context: &Context<'_>, text: &OsString) -> Result<Source, Failure> {
    let address = context.address(text)?;
    refs::whole(&address, "whole commits are taken")?;
    Ok(match &address.view {
        View::Default | View::Branch(_) => Source::Branch(context.branch_name(&address)?),
        View::Revision(revision) => {
            Source::Commit(CommitName { domain: address.domain.clone(), revision: Some(revision.to_string()) })
        }
    })
}

/// The branch that an argument means, by default the one that the current folder is in.
pub fn target(context: &Context<'_>, into: Option<&OsString>, verb: &str) -> Result<BranchName, Failure> {
    let address = context.address_or_branch_here(into)?;
    working::whole_branch(context, &address, verb)
}

/// Takes `source` into the branch `into`, and tells the new head.
pub async fn take(
    context: &Context<'_>,
    taking: Taking,
    source: Source,
    parent: Option<usize>,
    into: BranchName,
    options: Options,
) -> Result<(), Failure> {
    let json = options.json.json;
    let request = Integrate {
        taking,
        source,
        parent,
        into,
        message: options.message,
        author: options.author.unwrap_or_else(|| context.settings.author.clone()),
        strategy: options.strategy.and_then(StrategyName::side),
        dry_run: options.dry_run,
    };
    let outcome = {
        let _progress = context.ui.spinner("merging");
        context.perform(Request::Integrate(request)).await
    };
    match render::conflicts_of(context.ui, json, outcome)? {
        Reply::Changes { changes } if json => context.ui.json(&changes),
        Reply::Changes { changes } => render::changes(context.ui, &changes),
        Reply::Committed { commit, .. } => {
            if commit.is_none() {
                context.ui.note("nothing to take: the branch has it all");
            }
            match commit {
                commit if json => context.ui.json(&commit),
                Some(commit) => context.ui.line(commit.id),
                None => Ok(()),
            }
        }
        other => Err(working::unexpected(&other)),
    }
}

/// What [`StrategyName::Fail`] and none mean is the same.
impl StrategyName {
    pub fn side(self) -> Option<Side> {
        match self {
            StrategyName::Fail => None,
            StrategyName::Ours => Some(Side::Ours),
            StrategyName::Theirs => Some(Side::Theirs),
        }
    }
}
