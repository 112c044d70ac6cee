//! `meshfs commit`: makes changes durable and visible to all.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::cli::args::Json;

/// Commit the uncommitted changes of a branch.
///
/// If the branch has moved, the changes are put on its new head when they touch other paths; otherwise this is a
/// conflict: the paths are listed, exit code 3, and nothing is lost (see `meshfs refresh --help`).
///
/// Example:
///   meshfs commit sales/main -m "Fix the currency of March"
///   meshfs commit -F message.txt --meta ticket=DATA-7
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment, group = clap::ArgGroup::new("text").required(true))]
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
    /// Who made the changes [env: MESHFS_AUTHOR] [default: the configuration's author, else user@host]
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
