//! `meshfs diff`: what differs between two versions.

use std::ffi::OsString;

use crate::cli::args::Json;
use crate::cli::context::Context;
use crate::cli::{refs, render, working};
use crate::daemon::control::protocol::{Reply, Request, Version, VersionTree};
use crate::daemon::failure::Failure;
use crate::daemon::verbs;
use crate::model::address::{Address, RevisionBase, View};
use crate::model::report::ChangeReport;

/// Show what differs between two versions, as status lines.
///
/// With no address: from the last commit to the working tree, as `status`. With one: from it to
/// the working tree of its branch. With two: from the first to the second. DOMAIN/BRANCH is the
/// working tree, DOMAIN/@BRANCH its head.
///
/// Example:
///   meshfs diff sales/@v1.0 sales/@main
///   meshfs diff sales/@main~1
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Diff {
    #[arg(value_name = "ADDR")]
    pub from: Option<OsString>,
    #[arg(value_name = "ADDR")]
    pub to: Option<OsString>,
    #[command(flatten)]
    pub json: Json,
}

impl Diff {
    pub async fn run(self, context: &Context<'_>) -> Result<(), Failure> {
        let (from, to) = match (&self.from, &self.to) {
            (None, _) => return self.staged(context).await,
            (Some(from), Some(to)) => (context.address(from)?, context.address(to)?),
            (Some(from), None) => {
                let from = context.address(from)?;
                let to = self.branch_of(context, &from).await?;
                (from, to)
            }
        };
        let (from, to) = (version(context, &from)?, version(context, &to)?);
        let _progress = context.ui.spinner("comparing");
        let reply = match (&from.tree, &to.tree) {
            // Snapshots are everybody's: no daemon, no lock.
            (VersionTree::Snapshot(old), VersionTree::Snapshot(new)) => {
                verbs::compare_snapshots(context.mesh().await?, (old, &from.path), (new, &to.path)).await?
            }
            _ => context.perform(Request::Compare { from, to }).await?,
        };
        match reply {
            Reply::Changes { changes } => self.show(context, &changes),
            other => Err(working::unexpected(&other)),
        }
    }

    /// From the base to the working tree.
    async fn staged(&self, context: &Context<'_>) -> Result<(), Failure> {
        let address = context.address_or_branch_here(None)?;
        if let View::Revision(_) = address.view {
            return Err(Failure::usage(format!("{address} is a snapshot, which has no changes"))
                .hint("name two versions to compare: meshfs diff ADDR ADDR"));
        }
        let status = working::status(context, context.branch_name(&address)?, &address.path).await?;
        self.show(context, &status.changes)
    }

    /// The working tree that a version is compared with when no other is named: that of its branch.
    async fn branch_of(&self, context: &Context<'_>, from: &Address) -> Result<Address, Failure> {
        let View::Revision(revision) = &from.view else { return Ok(from.clone()) };
        let domain = context.domain(&from.domain).await?;
        let is_branch = |name: &String| domain.state().branch(name).is_some();
        let named = match &revision.base {
            RevisionBase::Label(name) => Some(name.clone()).filter(is_branch),
            RevisionBase::Commit { .. } => None,
        };
        let current = context.current_address().filter(|current| current.domain == from.domain);
        let view = match (named, current.map(|current| current.view)) {
            (Some(branch), _) => View::Branch(branch),
            (None, Some(view @ View::Branch(_))) => view,
            (None, _) => View::Default,
        };
        Ok(Address { view, ..from.clone() })
    }

    fn show(&self, context: &Context<'_>, changes: &[ChangeReport]) -> Result<(), Failure> {
        if self.json.json { context.ui.json(&changes) } else { render::changes(context.ui, changes) }
    }
}

fn version(context: &Context<'_>, address: &Address) -> Result<Version, Failure> {
    let tree = match address.view {
        View::Revision(_) => VersionTree::Snapshot(refs::name_of(address)),
        View::Branch(_) | View::Default => VersionTree::Working(context.branch_name(address)?),
    };
    Ok(Version { tree, path: address.path.clone() })
}
