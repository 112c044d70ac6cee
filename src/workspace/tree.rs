//! The working tree as a tree of entries, to be compared with any other.

use super::contents::Reading;
use super::edit::Builder;
use super::error::WorkspaceError;
use super::staged::StagedTree;
use super::state::Result;
use super::view::Workspace;
use crate::model::edit::DirEdit;
use crate::model::entry::Entry;
use crate::repo::tree::apply::apply;
use crate::repo::upload::Upload;

/// Looks at all names anew when files came and went while they were read: as often, then the caller is told.
const LOOKS_MAX: u32 = 5;

impl Workspace {
    /// The root directory as a commit would have it now. Staged files are read and hashed; nothing is sent, so that
    /// what they hold cannot be read through the entry.
    pub async fn tree(&self) -> Result<Entry> {
        let mut upload = Upload::dry(&self.shared.domain);
        let (_, edit) = self.staged_edit(&mut upload).await?;
        Ok(apply(&self.shared.objects, &edit).await?)
    }

    /// What is staged, as of one instant, with the contents of its files given to `upload`.
    pub(super) async fn staged_edit(&self, upload: &mut Upload) -> Result<(StagedTree, DirEdit)> {
        for _ in 0..LOOKS_MAX {
            let tree = self.staged()?;
            let mut builder = Builder::new(&tree, Reading { workspace: self, upload });
            match builder.root().await {
                Err(WorkspaceError::Stale) => {}
                edit => return edit.map(|edit| (tree, edit)),
            }
        }
        Err(WorkspaceError::Busy("files came and went all the time while they were read: try again".into()))
    }
}
