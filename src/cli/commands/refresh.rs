//! `meshfs refresh`: moves a workspace to the newest head.

use std::ffi::OsString;

use crate::cli::args::Json;
use crate::cli::context::Context;
use crate::cli::{render, working};
use crate::daemon::control::protocol::{BranchName, Reply, Request};
use crate::daemon::failure::Failure;
use crate::model::id::CommitId;
use crate::model::path::TreePath;
use serde::Serialize;

/// Which side wins where both changed the same path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum StrategyName {
    /// Report the conflict and change nothing
    Fail,
    /// The version of the working tree, or of the branch that is merged into
    Ours,
    /// The other one
    Theirs,
}

/// Move a branch's workspace to the newest head, uncommitted changes and all.
///
/// Without changes this only takes what others committed. With changes it is a three-way merge;
/// when both sides changed the same path, the paths are listed, exit code 3, and everything
/// stays as it was. Then either
///   look at .meshfs/conflicts/{base,ours,theirs}/PATH in the mount and write the file as it should be, or
///   meshfs refresh --strategy ours|theirs PATH...
/// and commit again.
///
/// Example:
///   meshfs refresh sales/main
///   meshfs refresh --strategy theirs sales/main/orders/1.parquet
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Refresh {
    /// DOMAIN/BRANCH, then the paths to resolve; a deeper address is a path [default: the branch of the current directory]
    #[arg(value_name = "BRANCH|PATH")]
    pub addresses: Vec<OsString>,
    /// Resolve conflicts: all, or those of the given paths
    #[arg(long, value_name = "S")]
    pub strategy: Option<StrategyName>,
    #[command(flatten)]
    pub json: Json,
}

impl Refresh {
    pub async fn run(self, context: &Context<'_>) -> Result<(), Failure> {
        let (branch, paths) = self.targets(context)?;
        let strategy = self.strategy.and_then(StrategyName::side);
        let outcome = {
            let _progress = context.ui.spinner("refreshing");
            context.perform(Request::Refresh { branch, strategy, paths }).await
        };
        match render::conflicts_of(context.ui, self.json.json, outcome)? {
            Reply::Refreshed { base, moved } => {
                if self.json.json {
                    return context.ui.json(&RefreshShape { base, moved });
                }
                if !moved {
                    context.ui.note("already at the newest head");
                }
                context.ui.line(base)
            }
            other => Err(working::unexpected(&other)),
        }
    }

    /// The branch, and the paths in it: a bare branch is the branch, a deeper address a path.
    fn targets(&self, context: &Context<'_>) -> Result<(BranchName, Vec<TreePath>), Failure> {
        let Some((first, rest)) = self.addresses.split_first() else {
            let address = context.address_or_branch_here(None)?;
            return Ok((context.branch_name(&address)?, Vec::new()));
        };
        let first = context.address(first)?;
        let branch = context.branch_name(&first)?;
        let mut paths: Vec<TreePath> = (!first.path.is_root()).then(|| first.path.clone()).into_iter().collect();
        for text in rest {
            paths.push(working::path_in(context, &first, text)?);
        }
        if !paths.is_empty() && self.strategy.is_none_or(|strategy| strategy == StrategyName::Fail) {
            return Err(Failure::usage("paths are given, and not which side they are to have")
                .hint("meshfs refresh --strategy ours|theirs PATH..."));
        }
        Ok((branch, paths))
    }
}

#[derive(Serialize)]
struct RefreshShape {
    base: CommitId,
    moved: bool,
}
