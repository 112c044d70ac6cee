//! Committing what is staged.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::rebase::{Settle, Settlements};
use super::staged::StagedTree;
use super::state::Result;
use super::view::Workspace;
use crate::model::commit::Commit;
use crate::model::id::CommitId;
use crate::model::log::Operation;
use crate::model::merge::{Conflict, MergeOptions};
use crate::repo::commit::{CommitOutcome, CommitRequest, Landed, land};
use crate::repo::error::RepoError;
use crate::repo::upload::{ProgressHook, Upload};

/// Uploads of the same contents that garbage collections condemned, one after the other; each takes a collection.
const UPLOADS_MAX: u32 = 3;

/// Key of the overlay's note of commits that staged things were taken from.
pub(super) const SOURCES_KEY: &str = "sources";

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
    pub async fn commit(&self, options: CommitOptions) -> Result<Committed> {
        let _verb = self.shared.verb.lock().await;
        self.take_up_earlier().await?;
        if !self.shared.state.lock().overlay.db.any_change()? {
            return Ok(Committed::Nothing);
        }
        for _ in 0..UPLOADS_MAX {
            let mut upload = Upload::begin(&self.shared.domain, options.progress.clone());
            let (tree, edit) = self.staged_edit(&mut upload).await?;
            let request = CommitRequest {
                branch: self.shared.branch.clone(),
                base: tree.base().commit.id,
                edit,
                links: tree.link_groups()?,
                sources: self.sources()?,
                author: options.author.clone().unwrap_or_else(|| self.shared.domain.actor().to_owned()),
                message: options.message.clone(),
                metadata: options.metadata.clone(),
                operation: Operation::Commit,
                merged: Vec::new(),
                options: MergeOptions { resolutions: self.resolutions().await?, ..MergeOptions::default() },
                workspace: Some(self.id()),
            };
            match land(&self.shared.domain, &mut upload, &request).await? {
                CommitOutcome::Landed(landed) => return self.landed(&tree, landed).await,
                CommitOutcome::Nothing { head } => return self.had_already(&tree, head).await,
                CommitOutcome::Conflict { conflicts, head } => {
                    let decisions = &request.options.resolutions;
                    self.keep_open_conflicts(&conflicts, decisions, head, tree.change)?;
                    return Ok(Committed::Conflict(conflicts));
                }
                CommitOutcome::Condemned { .. } => {}
            }
        }
        let reason = "garbage collections condemned what was sent, time after time: try again".to_owned();
        Err(RepoError::Refused(reason).into())
    }

    /// How this workspace's attempts are known to the repository.
    fn id(&self) -> String {
        self.shared.dir.to_string_lossy().into_owned()
    }

    /// Commits that staged things were taken from.
    fn sources(&self) -> Result<Vec<CommitId>> {
        let kept = self.shared.state.lock().overlay.db.meta(SOURCES_KEY)?.unwrap_or_default();
        let kept = String::from_utf8_lossy(&kept);
        Ok(kept.lines().filter_map(|line| line.parse().ok()).collect())
    }

    /// The commit is in the log: whatever happens from here on, it is not undone.
    async fn landed(&self, tree: &StagedTree, landed: Landed) -> Result<Committed> {
        let commit = landed.commit.clone();
        if let Err(error) = self.adopt_landed(tree, landed).await {
            // The next verb takes it up: what landed and what is staged still then agree wherever they are the same.
            tracing::warn!(commit = %commit.id, %error, "the commit landed, but the workspace is not on it yet");
        }
        Ok(Committed::Landed(commit))
    }

    async fn adopt_landed(&self, tree: &StagedTree, landed: Landed) -> Result<()> {
        let snapshot = self.shared.domain.snapshot(&landed.commit.id).await?;
        let settle = settlements(landed.blended, landed.overruled);
        let moved = self.commit_landed(snapshot.clone(), tree, &settle).await?;
        if moved {
            self.forget_conflicts()?;
            self.shared.state.lock().overlay.db.set_meta(SOURCES_KEY, b"")?;
        } else {
            self.move_to(snapshot, None, &[]).await?;
        }
        Ok(self.shared.domain.take_up(&self.id())?)
    }

    /// Others committed the same: the workspace goes on from their commit.
    async fn had_already(&self, tree: &StagedTree, head: CommitId) -> Result<Committed> {
        if head != tree.base().commit.id {
            let snapshot = self.shared.domain.snapshot(&head).await?;
            self.move_to(snapshot, None, &[]).await?;
        }
        Ok(Committed::Nothing)
    }

    /// A commit of this workspace may have landed without its process living to see it.
    pub(super) async fn take_up_earlier(&self) -> Result<()> {
        let domain = &self.shared.domain;
        let settled = domain.settled(&self.id()).await?;
        if settled.is_empty() {
            return Ok(());
        }
        let ours = |change: &&crate::model::log::Change| {
            change.name == self.shared.branch.name && change.created_seq == self.shared.branch.created_seq
        };
        let landed = settled.iter().filter(|attempt| attempt.landed).flat_map(|attempt| &attempt.changes);
        if let Some(commit) = landed.filter(ours).filter_map(|change| change.target).next_back()
            && !domain.is_ancestor(&commit, &self.head()).await?
        {
            let snapshot = domain.snapshot(&commit).await?;
            self.move_to(snapshot, None, &[]).await?;
        }
        Ok(domain.take_up(&self.id())?)
    }
}

/// What has to become of staged changes that a merge settled otherwise than they are.
pub(super) fn settlements(
    blended: Vec<(crate::model::path::TreePath, crate::model::entry::Entry)>,
    overruled: Vec<crate::model::path::TreePath>,
) -> Settlements {
    let blended = blended.into_iter().map(|(path, entry)| (path, Settle::Blend(entry)));
    let overruled = overruled.into_iter().map(|path| (path, Settle::Theirs));
    blended.chain(overruled).collect()
}
