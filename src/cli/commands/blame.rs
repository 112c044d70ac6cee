//! `meshfs blame`: which commit last touched each file.

use std::ffi::OsString;

use serde::Serialize;

use crate::cli::args::Json;
use crate::cli::context::Context;
use crate::cli::refs;
use crate::cli::render::{self, PathShape};
use crate::daemon::failure::Failure;
use crate::model::commit::Commit;
use crate::model::id::CommitId;
use crate::model::path::TreePath;
use crate::model::quote::quote;
use crate::model::time::Time;

/// Show which commit last touched each file: at an address, or below it.
///
/// One line each: commit, time, author, path. A file that a renaming moved was touched by it.
/// What is uncommitted is not looked at.
///
/// Example:
///   meshfs blame sales/main/orders
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Blame {
    /// A file or directory in a branch or snapshot [default: the current directory]
    #[arg(value_name = "ADDR")]
    pub address: Option<OsString>,
    #[command(flatten)]
    pub json: Json,
}

#[derive(Serialize)]
struct BlameShape<'a> {
    #[serde(flatten)]
    path: PathShape,
    commit: CommitId,
    author: &'a str,
    time: Time,
    message: &'a str,
}

impl Blame {
    pub async fn run(self, context: &Context<'_>) -> Result<(), Failure> {
        let address = context.address_or_here(self.address.as_ref())?;
        let (domain, id) = refs::commit_of(context, &address).await?;
        let blamed = {
            let _progress = context.ui.spinner("reading history");
            domain.blame(&id, &address.path).await?
        };
        let blamed = blamed.ok_or_else(|| {
            Failure::failed(format!("there is no {address}"))
                .hint("of what was deleted, `meshfs log ADDR -- PATH` shows the commits")
        })?;
        if self.json.json {
            let shapes: Vec<_> = blamed.iter().map(|(path, commit)| shape(path, commit)).collect();
            return context.ui.json(&shapes);
        }
        let width = blamed.values().map(|commit| commit.author.chars().count()).max().unwrap_or(0);
        blamed.iter().try_for_each(|(path, commit)| {
            let (id, path) = (render::short(&commit.id), quote(path.as_bytes()));
            context.ui.line(format_args!("{id} {} {:width$} {path}", commit.time, commit.author))
        })
    }
}

fn shape<'a>(path: &TreePath, commit: &'a Commit) -> BlameShape<'a> {
    BlameShape {
        path: PathShape::of(path.as_bytes()),
        commit: commit.id,
        author: &commit.author,
        time: commit.time,
        message: &commit.message,
    }
}
