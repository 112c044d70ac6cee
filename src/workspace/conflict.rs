//! Conflicts that a commit or a refresh met, kept until they are resolved.

use super::state::Result;
use super::view::Workspace;
use crate::model::entry::Entry;
use crate::model::id::CommitId;
use crate::model::merge::Side;
use crate::model::path::TreePath;

/// A path in conflict, with its sides as they were when it was met.
#[derive(Clone, Debug, PartialEq)]
pub struct KeptConflict {
    pub path: TreePath,
    /// As `model::merge::ConflictKind` shows itself.
    pub kind: String,
    pub base: Option<Entry>,
    /// What the working tree had; what it has now is in the working tree itself.
    pub ours: Option<Entry>,
    pub theirs: Option<Entry>,
    /// The commit that theirs is of.
    pub head: CommitId,
    /// Whose side was taken.
    pub resolved: Option<Side>,
}

impl Workspace {
    /// Every conflict that was met and is not yet part of a commit or refresh, sorted by path.
    pub fn conflicts(&self) -> Result<Vec<KeptConflict>> {
        todo!()
    }
}
