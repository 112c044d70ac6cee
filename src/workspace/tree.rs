//! The working tree as a tree of entries, to be compared with any other.

use super::state::Result;
use super::view::Workspace;
use crate::model::entry::Entry;

impl Workspace {
    /// The root directory as a commit would have it now. Staged files are read and hashed; nothing is sent, so that
    /// what they hold cannot be read through the entry.
    pub async fn tree(&self) -> Result<Entry> {
        todo!()
    }
}
