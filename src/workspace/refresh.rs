//! Moving to the newest head of the branch.

use super::state::Result;
use super::view::Workspace;
use crate::model::id::CommitId;
use crate::model::merge::{Conflict, Side};
use crate::model::path::TreePath;

/// What became of a refresh.
#[derive(Clone, Debug)]
pub enum Refreshed {
    /// The workspace is on another base, with what is staged on top.
    Moved { from: CommitId, to: CommitId },
    /// It was on the newest head already.
    Current,
    /// The head changed paths that are staged here; tree and base are as they were. In tree order.
    Conflict(Vec<Conflict>),
}

impl Workspace {
    /// Moves to the newest head, merging it with what is staged. `strategy` decides conflicts at `paths` and below, or
    /// everywhere when there are none; what it decides is remembered while others are still open.
    pub async fn refresh(&self, _strategy: Option<Side>, _paths: &[TreePath]) -> Result<Refreshed> {
        todo!()
    }

    /// Moves a clean workspace to the newest head that is known here; a dirty one stays. True when it moved.
    pub async fn follow(&self) -> Result<bool> {
        todo!()
    }
}
