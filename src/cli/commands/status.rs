//! `meshfs status`: what a commit would commit.

use std::ffi::OsString;

use crate::cli::args::Json;
use crate::cli::context::Context;
use crate::cli::{render, working};
use crate::daemon::failure::Failure;
use crate::daemon::integrate;

/// Show uncommitted changes.
///
/// One line each: `A path` added, `M path` modified, `D path` deleted, `R old<TAB>new` renamed;
/// quoted as git does when a path has unusual bytes.
///
/// Example:
///   meshfs status sales/main
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Status {
    /// A branch, or a path in it [default: the branch of the current directory]
    #[arg(value_name = "ADDR")]
    pub address: Option<OsString>,
    #[command(flatten)]
    pub json: Json,
}

impl Status {
    pub async fn run(self, context: &Context<'_>) -> Result<(), Failure> {
        let address = context.address_or_branch_here(self.address.as_ref())?;
        let branch = context.branch_name(&address)?;
        let status = working::status(context, branch, &address.path).await?;
        if self.json.json {
            return context.ui.json(&status);
        }
        if let Some(incoming) = &status.incoming {
            let open = match incoming.open {
                0 => "commit makes it".to_owned(),
                1 => "1 conflict is not settled, see .meshfs/conflicts".to_owned(),
                open => format!("{open} conflicts are not settled, see .meshfs/conflicts"),
            };
            context.ui.note(format!("{} is under way: {open}", integrate::told(&incoming.pick)));
        }
        render::changes(context.ui, &status.changes)
    }
}
