//! What the commands do: the verbs of the workspace, and how their outcomes are told.

use super::command::Command;
use crate::model::path::TreePath;
use crate::model::quote::quote;
use crate::model::report::{ChangeReport, CommitReport};
use crate::model::time::Time;
use crate::vfs::branch::Branch;
use crate::vfs::error::VfsError;
use crate::workspace::commit::{CommitOptions, Committed};
use crate::workspace::error::WorkspaceError;
use crate::workspace::refresh::Refreshed;
use crate::workspace::view::Workspace;
use std::sync::Arc;

/// Paths that a message names; `.meshfs/conflicts` shows all.
const PATHS_NAMED_MAX: usize = 10;

/// Who changed what is in conflict.
const OTHERS_COMMITTED: &str = "others committed";
const OTHERS_MERGED: &str = "what is being merged brings";

/// Performs a command to its end.
pub(super) async fn run(
    branch: &Arc<Branch>,
    workspace: &Workspace,
    command: Command,
    author: Option<String>,
    began: Time,
) -> Result<(), VfsError> {
    match command {
        Command::Commit(message) => commit(branch, workspace, message, author, began).await,
        Command::Refresh => match workspace.refresh(None, &[]).await.map_err(|error| branch.refused(error))? {
            Refreshed::Moved { .. } | Refreshed::Current => Ok(()),
            Refreshed::Conflict(conflicts) => {
                Err(in_conflict(OTHERS_COMMITTED, conflicts.iter().map(|conflict| &conflict.path)))
            }
        },
        Command::Discard(path) => workspace.discard(&path).await.map_err(|error| match branch.refused(error) {
            VfsError::NotFound => VfsError::Unknown(format!(
                "there is no `{path}` here, nor anything staged by that name: `.meshfs/status` lists what is staged"
            )),
            other => other,
        }),
    }
}

async fn commit(
    branch: &Arc<Branch>,
    workspace: &Workspace,
    message: String,
    author: Option<String>,
    began: Time,
) -> Result<(), VfsError> {
    let before = branch.control().begin(&message, began);
    let options = CommitOptions { message: message.clone(), author, ..CommitOptions::default() };
    let failure = match workspace.commit(options).await {
        Ok(Committed::Landed(commit)) => {
            branch.control().landed(CommitReport::from(&*commit));
            return Ok(());
        }
        Ok(Committed::Nothing) => {
            branch.control().nothing(before);
            return Ok(());
        }
        Ok(Committed::Conflict(conflicts)) => {
            let met = workspace.met_incoming(&conflicts).map_err(|error| branch.refused(error))?;
            let who = if met.is_some() { OTHERS_MERGED } else { OTHERS_COMMITTED };
            in_conflict(who, conflicts.iter().map(|conflict| &conflict.path))
        }
        Err(error) => branch.refused(error),
    };
    branch.control().failed(&message, failure.to_string(), workspace.head());
    Err(failure)
}

fn in_conflict<'a>(who: &str, paths: impl ExactSizeIterator<Item = &'a TreePath>) -> VfsError {
    let count = paths.len();
    let mut named: Vec<String> = paths.take(PATHS_NAMED_MAX).map(|path| quote(path.as_bytes()).into_owned()).collect();
    if count > named.len() {
        named.push(format!("and {} more", count - named.len()));
    }
    VfsError::Busy(format!(
        "{who} changes to the same paths, nothing was lost: {}. `.meshfs/conflicts` has the three sides of each; put right what is in the working tree, or `meshfs refresh --strategy ours|theirs ./PATH`, then commit again",
        named.join(", ")
    ))
}

/// One line for each change.
pub(super) async fn status_lines(workspace: &Workspace) -> Result<Vec<u8>, WorkspaceError> {
    let changes = workspace.status().await?;
    let lines = changes.iter().map(|change| format!("{}\n", ChangeReport::from(change)));
    Ok(lines.collect::<String>().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_conflict_names_its_first_paths_and_the_next_step() {
        let paths: Vec<TreePath> = (0..12).map(|at| TreePath::parse(format!("p{at}").as_bytes()).unwrap()).collect();
        let text = in_conflict(OTHERS_COMMITTED, paths.iter()).to_string();
        assert!(text.contains("p0, p1") && text.contains("p9, and 2 more") && !text.contains("p10"), "{text}");
        assert!(text.contains("--strategy ours|theirs ./PATH"), "{text}");
    }
}
