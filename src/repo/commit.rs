//! Landing a commit: apply or merge onto the newest head, store, put the log entry; again when the head moved.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::domain::Domain;
use super::error::RepoError;
use super::upload::Upload;
use crate::model::commit::Commit;
use crate::model::edit::DirEdit;
use crate::model::id::{CommitId, PackName};
use crate::model::log::{Operation, RefIdentity};
use crate::model::merge::{Conflict, MergeOptions};
use crate::model::tree::LinkGroup;

/// What is to become the head of a branch.
#[derive(Clone, Debug)]
pub struct CommitRequest {
    pub branch: RefIdentity,
    /// The commit that the edit was made on.
    pub base: CommitId,
    /// What makes the new root directory of the base's.
    pub edit: DirEdit,
    /// All hard-link groups of the new tree; none when they are the base's.
    pub links: Option<Vec<LinkGroup>>,
    pub author: String,
    pub host: String,
    pub message: String,
    pub metadata: BTreeMap<String, String>,
    pub operation: Operation,
    /// Parents after the head that it lands on: what a merge merged.
    pub merged: Vec<CommitId>,
    /// How conflicts with a head that moved are decided.
    pub options: MergeOptions,
    /// Whose staged changes these are (see [`super::domain::Proposal`]).
    pub workspace: Option<String>,
}

/// What became of a commit.
#[derive(Clone, Debug)]
pub enum CommitOutcome {
    /// The new head.
    Landed(Arc<Commit>),
    /// The branch's head changed the same; nothing landed.
    Conflict { conflicts: Vec<Conflict>, head: CommitId },
    /// The tree is the head's already; no commit was made. The workspace may go on from `head`.
    Nothing { head: CommitId },
    /// A garbage collection condemned what the upload sent: nothing landed, the contents must go again in a new upload.
    Condemned { packs: Vec<PackName> },
}

/// Makes `request` the newest commit of its branch, on whatever head the branch has by then.
pub async fn land(
    _domain: &Domain,
    _upload: &mut Upload,
    _request: &CommitRequest,
) -> Result<CommitOutcome, RepoError> {
    todo!()
}
