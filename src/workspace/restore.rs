//! Putting what a commit has into the working tree, as staged changes.

use super::state::Result;
use super::view::Workspace;
use crate::model::path::TreePath;
use crate::repo::domain::Snapshot;

impl Workspace {
    /// Makes `to` (and all below) what `from` is in a commit of the same domain; where that has nothing, deletes it.
    /// No content is copied.
    pub async fn restore(&self, _source: &Snapshot, _from: &TreePath, _to: &TreePath) -> Result<()> {
        todo!()
    }
}
