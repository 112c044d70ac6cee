//! What the commands do: the verbs of the workspace.

use super::command::Command;
use crate::model::time::Time;
use crate::vfs::branch::Branch;
use crate::vfs::error::VfsError;
use crate::workspace::error::WorkspaceError;
use crate::workspace::view::Workspace;

pub(super) async fn run(
    _branch: &Branch,
    _workspace: &Workspace,
    _command: Command,
    _author: Option<String>,
    _began: Time,
) -> Result<(), VfsError> {
    todo!()
}

pub(super) async fn status_lines(_workspace: &Workspace) -> Result<Vec<u8>, WorkspaceError> {
    todo!()
}
