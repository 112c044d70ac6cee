//! `meshfs commit`: makes changes durable and visible to all.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::cli::args::Json;
use crate::cli::context::Context;
use crate::cli::{render, working};
use crate::daemon::failure::Failure;
use std::io;
use std::path::Path;

/// Commit the uncommitted changes of a branch.
///
/// If the branch has moved, the changes are put on its new head when they touch other paths;
/// otherwise this is a conflict: the paths are listed, exit code 3, and nothing is lost (see
/// `meshfs refresh --help`).
///
/// Example:
///   meshfs commit sales/main -m "Fix the currency of March"
///   meshfs commit -F message.txt --meta ticket=DATA-7
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment, group = clap::ArgGroup::new("text"))]
pub struct Commit {
    /// DOMAIN/BRANCH [default: the branch of the current directory]
    #[arg(value_name = "BRANCH")]
    pub branch: Option<OsString>,
    /// The message
    #[arg(short = 'm', long, value_name = "MSG", group = "text")]
    pub message: Option<String>,
    /// A file that holds the message; - is stdin
    #[arg(short = 'F', long, value_name = "FILE", group = "text")]
    pub file: Option<PathBuf>,
    /// Something to keep with the commit; may be given again
    #[arg(long, value_name = "K=V", value_parser = parse_pair)]
    pub meta: Vec<(String, String)>,
    /// Who made the changes [default: $MESHFS_AUTHOR, the configuration, user@host]
    #[arg(long, value_name = "A")]
    pub author: Option<String>,
    #[command(flatten)]
    pub json: Json,
}

fn parse_pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("expected K=V, such as ticket=DATA-7".to_owned()),
    }
}

impl Commit {
    pub async fn run(self, context: &Context<'_>) -> Result<(), Failure> {
        let message = self.message()?;
        let address = context.address_or_branch_here(self.branch.as_ref())?;
        let branch = working::whole_branch(context, &address, "commit")?;
        let author = self.author.filter(|author| !author.is_empty());
        let metadata = self.meta.into_iter().collect();
        let outcome = working::commit(context, branch, message, metadata, author).await;
        let commit = render::conflicts_of(context.ui, self.json.json, outcome)?;
        if commit.is_none() {
            context.ui.note("nothing to commit");
        }
        match &commit {
            _ if self.json.json => context.ui.json(&commit),
            Some(commit) => context.ui.line(commit.id),
            None => Ok(()),
        }
    }

    fn message(&self) -> Result<String, Failure> {
        let text = match (&self.message, &self.file) {
            (Some(message), _) => message.clone(),
            (None, Some(file)) => read_message(file)?,
            (None, None) => {
                return Err(Failure::usage("a commit needs a message")
                    .hint("say in a sentence what changed: -m \"...\", or -F FILE"));
            }
        };
        match text.trim_end() {
            "" => Err(Failure::usage("the message is empty").hint("say in a sentence what changed: -m \"...\"")),
            text => Ok(text.to_owned()),
        }
    }
}

fn read_message(file: &Path) -> Result<String, Failure> {
    let read = if file == Path::new("-") { io::read_to_string(io::stdin()) } else { std::fs::read_to_string(file) };
    read.map_err(|error| Failure::failed(format!("cannot read the message from {}", file.display())).because(&error))
}
