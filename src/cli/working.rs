//! What commands do with the working tree of a branch, whichever process holds it.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use super::context::Context;
use super::{address, render};
use crate::daemon::control::protocol::{BranchName, Reply, Request, StatusReport};
use crate::daemon::failure::Failure;
use crate::model::address::{Address, View};
use crate::model::path::TreePath;
use crate::model::report::CommitReport;

/// The staged changes of a branch at and below `path`.
pub async fn status(context: &Context<'_>, branch: BranchName, path: &TreePath) -> Result<StatusReport, Failure> {
    match context.perform(Request::Status { branch }).await? {
        Reply::Status(mut status) => {
            let below = |other: &TreePath| other.starts_with(path);
            status.changes.retain(|change| below(&change.path) || change.from.as_ref().is_some_and(below));
            Ok(status)
        }
        other => Err(unexpected(&other)),
    }
}

/// Commits what is staged; none when nothing is.
pub async fn commit(
    context: &Context<'_>,
    branch: BranchName,
    message: String,
    metadata: BTreeMap<String, String>,
    author: Option<String>,
) -> Result<Option<CommitReport>, Failure> {
    let author = author.unwrap_or_else(|| context.settings.author.clone());
    let _progress = context.ui.spinner("committing");
    match context.perform(Request::Commit { branch, message, metadata, author }).await? {
        Reply::Committed { commit, .. } => Ok(commit),
        other => Err(unexpected(&other)),
    }
}

/// The branch that an address without a path names.
pub fn whole_branch(context: &Context<'_>, address: &Address, verb: &str) -> Result<BranchName, Failure> {
    if address.path.is_root() {
        return context.branch_name(address);
    }
    let whole = Address { path: TreePath::root(), ..address.clone() };
    let failure = Failure::usage(format!("{verb} takes a whole branch, and {address} is a path"));
    Err(match address.view {
        View::Revision(_) => failure,
        _ => failure.hint(format!("leave out the path: {whole}")),
    })
}

/// A path in the branch or snapshot that `whole` is in: an address there, a local path, or, as everything lists it, a path
/// from its root.
pub fn path_in(context: &Context<'_>, whole: &Address, text: &OsStr) -> Result<TreePath, Failure> {
    if let Ok(address) = context.address(text)
        && !address.path.is_root()
        && (&address.domain, &address.view) == (&whole.domain, &whole.view)
    {
        return Ok(address.path);
    }
    if address::is_local(text) {
        let whole = Address { path: TreePath::root(), ..whole.clone() };
        return Err(Failure::usage(format!("{} is not a path in {whole}", text.display()))
            .hint("write it as it is called there, from the root"));
    }
    TreePath::parse(text.as_bytes()).map_err(|why| Failure::usage(format!("`{}` is no path: {why}", text.display())))
}

/// The daemon answered something else than it was asked: it is not of this version.
pub fn unexpected(reply: &Reply) -> Failure {
    Failure::failed(format!("the daemon gave an answer to another question: {reply:?}"))
        .hint("`meshfs umount` and `meshfs mount` start the version that is installed now")
}

/// What `cp` and `restore` staged is committed when a message says so.
pub async fn commit_if_asked(
    context: &Context<'_>,
    branch: BranchName,
    message: Option<String>,
) -> Result<(), Failure> {
    let Some(message) = message else { return Ok(()) };
    let outcome = commit(context, branch, message, BTreeMap::new(), None).await;
    match render::conflicts_of(context.ui, false, outcome)? {
        Some(commit) => context.ui.line(commit.id),
        None => {
            context.ui.note("nothing to commit");
            Ok(())
        }
    }
}
