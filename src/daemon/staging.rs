//! The verbs on what is staged in a workspace.

use std::collections::BTreeMap;

use super::compare;
use super::control::protocol::{BranchName, CommitName, IncomingReport, Reply, StatusReport};
use super::failure::Failure;
use super::integrate;
use super::verbs::{Host, in_this_domain, open_workspace, resolve};
use crate::model::merge::{Conflict, Side};
use crate::model::path::TreePath;
use crate::model::quote::quote;
use crate::model::report::{ChangeReport, CommitReport};
use crate::repo::domain::Domain;
use crate::workspace::commit::{CommitOptions, Committed};
use crate::workspace::error::WorkspaceError;
use crate::workspace::refresh::Refreshed;
use crate::workspace::view::Workspace;

pub async fn status(host: &dyn Host, branch: BranchName) -> Result<Reply, Failure> {
    let (domain, workspace) = open_workspace(host, branch).await?;
    let changes = workspace.status().await?;
    Ok(Reply::Status(StatusReport {
        domain: domain.info().name.clone(),
        branch: workspace.branch().name.name.clone(),
        base: workspace.head(),
        changes: changes.iter().map(ChangeReport::from).collect(),
        incoming: incoming(&workspace).await?,
    }))
}

async fn incoming(workspace: &Workspace) -> Result<Option<IncomingReport>, Failure> {
    let Some(pick) = workspace.incoming()? else { return Ok(None) };
    Ok(Some(IncomingReport { pick, open: workspace.open_conflicts().await? }))
}

pub async fn commit(
    host: &dyn Host,
    branch: BranchName,
    message: String,
    metadata: BTreeMap<String, String>,
    author: String,
) -> Result<Reply, Failure> {
    let (domain, workspace) = open_workspace(host, branch).await?;
    let options = CommitOptions { message, author: Some(author), metadata, progress: None };
    let committed = |commit| Reply::Committed {
        domain: domain.info().name.clone(),
        branch: workspace.branch().name.name.clone(),
        commit,
    };
    match workspace.commit(options).await? {
        Committed::Landed(commit) => Ok(committed(Some(CommitReport::from(&*commit)))),
        Committed::Nothing => Ok(committed(None)),
        Committed::Conflict(conflicts) => Err(match workspace.met_incoming(&conflicts)? {
            Some(pick) => Failure::conflict(
                format!("{} is not settled yet; nothing was changed by this", integrate::told(&pick)),
                integrate::paths(&conflicts),
            )
            .hint(integrate::way_out(&address(&domain, &workspace))),
            None => conflict(&domain, &workspace, &conflicts, UNTOUCHED),
        }),
    }
}

pub async fn refresh(
    host: &dyn Host,
    branch: BranchName,
    strategy: Option<Side>,
    paths: &[TreePath],
) -> Result<Reply, Failure> {
    let (domain, workspace) = open_workspace(host, branch).await?;
    match workspace.refresh(strategy, paths).await? {
        Refreshed::Moved { to, .. } => Ok(Reply::Refreshed { base: to, moved: true }),
        Refreshed::Current => Ok(Reply::Refreshed { base: workspace.head(), moved: false }),
        Refreshed::Conflict(conflicts) => {
            let done = if paths.is_empty() { UNTOUCHED } else { "the sides chosen so far are kept" };
            Err(conflict(&domain, &workspace, &conflicts, done))
        }
    }
}

pub async fn discard(host: &dyn Host, branch: BranchName, path: &TreePath) -> Result<Reply, Failure> {
    let (domain, workspace) = open_workspace(host, branch).await?;
    match workspace.discard(path).await {
        Ok(()) => Ok(Reply::Done),
        Err(WorkspaceError::NotFound) => Err(nothing_at(&address(&domain, &workspace), path)),
        Err(error) => Err(error.into()),
    }
}

pub async fn restore(
    host: &dyn Host,
    source: &CommitName,
    source_path: &TreePath,
    into: BranchName,
    into_path: &TreePath,
) -> Result<Reply, Failure> {
    let (domain, workspace) = open_workspace(host, into).await?;
    let id = resolve(&domain, in_this_domain(&domain, source)?).await?;
    let snapshot = domain.snapshot(&id).await?;
    if compare::find(domain.objects(), &snapshot.root.entry, source_path).await?.is_none() {
        // The workspace would delete there what the snapshot has not: too much for a slip of the finger.
        return Err(nothing_at(&format!("{}/@{id}", domain.info().name), source_path));
    }
    workspace.restore(&snapshot, source_path, into_path).await?;
    Ok(Reply::Done)
}

fn address(domain: &Domain, workspace: &Workspace) -> String {
    format!("{}/{}", domain.info().name, workspace.branch().name.name)
}

fn nothing_at(tree: &str, path: &TreePath) -> Failure {
    Failure::failed(format!("there is no {} in {tree}", quote(path.as_bytes())))
        .hint(format!("`meshfs ls {tree}` shows what there is"))
}

/// What a verb in conflict did.
const UNTOUCHED: &str = "nothing was changed by this";

/// What conflicts, and both ways out.
fn conflict(domain: &Domain, workspace: &Workspace, conflicts: &[Conflict], done: &str) -> Failure {
    let address = address(domain, workspace);
    let changed = match conflicts {
        [_] => "a path that is".to_owned(),
        _ => format!("{} paths that are", conflicts.len()),
    };
    let what = format!("the head of {address} changed {changed} changed here too; {done}");
    Failure::conflict(what, integrate::paths(conflicts)).hint(format!(
        "`meshfs refresh {address} --strategy ours|theirs PATH` takes a side; or, mounted, compare the three under \
         {address}/.meshfs/conflicts/ and write the file as it should be; then commit again"
    ))
}
