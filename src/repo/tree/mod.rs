//! Trees made and read: edits applied node by node, paths looked up, directories listed and walked.

use crate::format::error::FormatError;
use crate::format::{link, node};
use crate::model::entry::Entry;
use crate::model::id::RootId;
use crate::model::tree::{LinkGroup, LinkTable, Root};
use crate::repo::error::RepoError;

pub mod apply;
mod old;
mod sequence;
pub mod walk;

pub use crate::model::source::{find, lookup, read_links};

/// A snapshot's root of this directory and these hard links.
pub fn root(entry: Entry, links: Option<LinkTable>) -> Result<Root, RepoError> {
    let mut root = Root { id: RootId([0; 32]), entry, links };
    root.id = node::root_id(&root).map_err(refused)?;
    Ok(root)
}

/// The table of these groups of names of one file.
pub fn links(groups: Vec<LinkGroup>) -> Result<Option<LinkTable>, RepoError> {
    link::build_links(groups).map_err(refused)
}

/// What was to be stored does not fit the format.
fn refused(error: FormatError) -> RepoError {
    RepoError::Refused(error.to_string())
}
