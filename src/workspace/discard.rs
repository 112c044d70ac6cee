//! Dropping staged changes.

use super::error::WorkspaceError;
use super::state::Result;
use super::view::Workspace;
use crate::model::path::TreePath;
use crate::model::source::lookup;

impl Workspace {
    /// Drops what is staged at `path` and below, so that the base shows again; everything, for the root,
    /// also what was coming in.
    /// [`WorkspaceError::NotFound`] when neither the working tree nor the base has the path.
    pub async fn discard(&self, path: &TreePath) -> Result<()> {
        let _verb = self.shared.verb.lock().await;
        let here = self.with_fetch(|this| this.shared.state.lock().find_path(path)).await?;
        let base = self.base();
        if here.is_none() && lookup(&self.shared.objects, &base.root.entry, path).await?.is_none() {
            return Err(WorkspaceError::NotFound);
        }
        self.drop_changes(std::slice::from_ref(path)).await?;
        if path.is_root() {
            self.forget_incoming()?;
        }
        self.forget_conflicts_below(path)
    }
}
