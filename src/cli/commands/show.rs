//! `meshfs show`: one commit.

use std::ffi::OsString;

use crate::cli::args::Json;
use crate::cli::context::Context;
use crate::cli::{refs, render};
use crate::daemon::compare;
use crate::daemon::failure::Failure;
use crate::model::report::{ChangeReport, CommitReport};
use serde::Serialize;

/// Show a commit and what it changed against its first parent.
///
/// Example:
///   meshfs show sales/@main
///   meshfs show sales/@0a1b2c3d
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Show {
    /// DOMAIN/@REVISION, or the head of DOMAIN/BRANCH [default: the branch of the current directory]
    #[arg(value_name = "ADDR")]
    pub address: Option<OsString>,
    #[command(flatten)]
    pub json: Json,
}

#[derive(Serialize)]
struct ShowShape<'a> {
    #[serde(flatten)]
    commit: &'a CommitReport,
    changes: &'a [ChangeReport],
}

impl Show {
    pub async fn run(self, context: &Context<'_>) -> Result<(), Failure> {
        let address = context.address_or_branch_here(self.address.as_ref())?;
        refs::whole(&address, "show shows whole commits")?;
        let (domain, id) = refs::commit_of(context, &address).await?;
        let changes = compare::commit_changes(&domain, &id).await?;
        let commit = CommitReport::from(&*domain.record(&id).await?);
        if self.json.json {
            return context.ui.json(&ShowShape { commit: &commit, changes: &changes });
        }
        render::commit(context.ui, &commit)?;
        if !changes.is_empty() {
            context.ui.line("")?;
        }
        render::changes(context.ui, &changes)
    }
}
