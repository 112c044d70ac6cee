//! `meshfs restore`: brings back an earlier version of a path.

use crate::cli::context::Context;
use crate::cli::{refs, working};
use crate::daemon::control::protocol::Request;
use crate::daemon::failure::Failure;
use crate::model::address::{Address, View};
use std::ffi::OsString;

/// Bring back a path, or a whole branch, as it was in a snapshot.
///
/// The result is staged in the workspace like any change; with -m it is committed at once.
/// Nothing is downloaded.
///
/// Example:
///   meshfs restore sales/@v1.0/orders sales/main
///   meshfs restore sales/@main~3/orders/1.parquet -m "Back to the good one"
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Restore {
    /// What: DOMAIN/@REVISION or DOMAIN/@REVISION/PATH
    #[arg(value_name = "ADDR")]
    pub source: OsString,
    /// Into which branch, or path of a branch; a bare branch means the same path [default: the branch of the current directory]
    #[arg(value_name = "INTO")]
    pub into: Option<OsString>,
    /// Commit the result with this message
    #[arg(short = 'm', long, value_name = "MSG")]
    pub message: Option<String>,
}

impl Restore {
    pub async fn run(self, context: &Context<'_>) -> Result<(), Failure> {
        let source = context.address(&self.source)?;
        let into = context.address_or_branch_here(self.into.as_ref())?;
        self.check_order(&source, &into)?;
        let branch = context.branch_name(&into)?;
        // A bare branch: the same path there.
        let into_path = if into.path.is_root() { source.path.clone() } else { into.path };
        let request = Request::Restore {
            source: refs::name_of(&source),
            source_path: source.path,
            into: branch.clone(),
            into_path,
        };
        context.perform(request).await?;
        working::commit_if_asked(context, branch, self.message).await
    }

    /// What and into are easily swapped.
    fn check_order(&self, source: &Address, into: &Address) -> Result<(), Failure> {
        if let (View::Default | View::Branch(_), View::Revision(_)) = (&source.view, &into.view) {
            return Err(Failure::usage(format!("{into} is a snapshot, which is read-only"))
                .hint(format!("what comes first, into what second: meshfs restore {into} {source}")));
        }
        Ok(())
    }
}
