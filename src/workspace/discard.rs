//! Dropping staged changes.

use super::state::Result;
use super::view::Workspace;
use crate::model::path::TreePath;

impl Workspace {
    /// Drops what is staged at `path` and below, so that the base shows again; everything, for the root.
    /// [`super::error::WorkspaceError::NotFound`] when neither the working tree nor the base has the path.
    pub async fn discard(&self, _path: &TreePath) -> Result<()> {
        todo!()
    }
}
