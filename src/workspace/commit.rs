//! Committing what is staged.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::state::Result;
use super::view::Workspace;
use crate::model::commit::Commit;
use crate::model::merge::Conflict;
use crate::repo::upload::ProgressHook;

#[derive(Clone, Default)]
pub struct CommitOptions {
    pub message: String,
    /// None: who this process acts for.
    pub author: Option<String>,
    pub metadata: BTreeMap<String, String>,
    /// Told how many bytes of staged files were dealt with since it was last told.
    pub progress: Option<ProgressHook>,
}

/// What became of a commit.
#[derive(Clone, Debug)]
pub enum Committed {
    Landed(Arc<Commit>),
    /// Nothing was staged that the branch's head does not have.
    Nothing,
    /// The head changed the same paths; nothing landed, nothing is lost. In tree order.
    Conflict(Vec<Conflict>),
}

impl Workspace {
    /// Makes what is staged the newest commit of the branch, merged with what others committed since.
    /// [`super::error::WorkspaceError::Changing`] names files that do not hold still.
    pub async fn commit(&self, _options: CommitOptions) -> Result<Committed> {
        todo!()
    }
}
