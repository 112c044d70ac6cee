//! Committing what is staged.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::conflict::Resolutions;
use super::earlier::Earlier;
use super::error::WorkspaceError;
use super::rebase::{Settle, Settlements};
use super::refresh::Refreshed;
use super::staged::StagedTree;
use super::state::Result;
use super::view::Workspace;
use crate::model::commit::Commit;
use crate::model::id::CommitId;
use crate::model::merge::{Conflict, MergeOptions};
use crate::repo::commit::{CommitOutcome, CommitRequest, Landed, land_noted};
use crate::repo::error::RepoError;
use crate::repo::pick::Incoming;
use crate::repo::upload::{ProgressHook, Upload};
use crate::sys::task::blocking_here;

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
    /// The head, or what comes in, changed the same paths; nothing landed, nothing is lost. In tree order.
    Conflict(Vec<Conflict>),
}

impl Workspace {
    /// Makes what is staged the newest commit of the branch, with what comes in, merged with what others committed since.
    /// [`super::error::WorkspaceError::Changing`] names files that do not hold still.
    pub async fn commit(&self, options: CommitOptions) -> Result<Committed> {
        let _verb = self.shared.verb.lock().await;
        let conflicts = self.take_up_earlier(None, &[]).await?;
        if !conflicts.is_empty() {
            return Ok(Committed::Conflict(conflicts));
        }
        self.write_back_all();
        let pick = self.incoming()?;
        if pick.is_none() && !self.shared.state.lock().any_change()? {
            return Ok(Committed::Nothing);
        }
        for _ in 0..UPLOADS_MAX {
            let mut upload = Upload::begin(&self.shared.domain, options.progress.clone());
            let (tree, edit) = self.staged_edit(&mut upload).await?;
            let decided = self.decided().await?;
            let by = |resolutions: Resolutions| MergeOptions { resolutions, ..Default::default() };
            let request = CommitRequest {
                branch: self.shared.branch.clone(),
                base: tree.base().commit.id,
                edit,
                links: tree.link_groups()?,
                sources: self.sources()?,
                author: options.author.clone().unwrap_or_else(|| self.shared.domain.actor().to_owned()),
                message: options.message.clone(),
                metadata: options.metadata.clone(),
                incoming: pick.map(|pick| Incoming { pick, options: by(decided.incoming.clone()) }),
                options: by(decided.with_head()),
                workspace: Some(self.id()),
            };
            let before_send = |landed: &Landed| {
                let what = || self.shared.dir.display().to_string();
                let kind = |error: &WorkspaceError| match error {
                    WorkspaceError::NoSpace(_) => std::io::ErrorKind::StorageFull,
                    _ => std::io::ErrorKind::Other,
                };
                let io = |error| std::io::Error::new(kind(&error), error);
                let local = |error| RepoError::Local { what: what(), source: Arc::new(io(error)) };
                blocking_here(|| self.keep_taken(&tree, landed)).map_err(local)
            };
            match land_noted(&self.shared.domain, &mut upload, &request, &before_send).await? {
                CommitOutcome::Landed(landed) => return self.landed(tree, landed).await,
                CommitOutcome::Nothing { head } => return self.had_already(&tree, head).await,
                CommitOutcome::Conflict { conflicts, with } => {
                    self.keep_open_conflicts(&conflicts, &decided, with, tree.change)?;
                    return Ok(Committed::Conflict(conflicts));
                }
                CommitOutcome::Condemned { .. } => {}
            }
        }
        let reason = "garbage collections condemned what was sent, time after time: try again".to_owned();
        Err(RepoError::Refused(reason).into())
    }

    /// How this workspace's attempts are known to the repository.
    pub(super) fn id(&self) -> String {
        self.shared.dir.to_string_lossy().into_owned()
    }

    /// Commits that staged things were taken from.
    fn sources(&self) -> Result<Vec<CommitId>> {
        let kept = self.shared.state.lock().overlay.db.meta(SOURCES_KEY)?.unwrap_or_default();
        let kept = String::from_utf8_lossy(&kept);
        Ok(kept.lines().filter_map(|line| line.parse().ok()).collect())
    }

    /// Nothing that is staged comes from another commit any more.
    pub(super) fn forget_sources(&self) -> Result<()> {
        Ok(self.shared.state.lock().overlay.db.set_meta(SOURCES_KEY, b"")?)
    }

    /// The commit is in the log: whatever happens from here on, it is not undone.
    async fn landed(&self, tree: StagedTree, landed: Landed) -> Result<Committed> {
        let commit = landed.commit.clone();
        let taken_up = match self.adopt_landed(tree, landed).await {
            Ok(Refreshed::Conflict(conflicts)) => {
                let paths = conflicts.len();
                tracing::warn!(commit = %commit.id, paths, "it landed beside others' changes of what was written since");
                Ok(())
            }
            Ok(_) => self.taken_up(),
            Err(error) => Err(error),
        };
        if let Err(error) = taken_up {
            // The next verb takes it up.
            tracing::warn!(commit = %commit.id, %error, "the commit landed, but the workspace is not on it yet");
        }
        Ok(Committed::Landed(commit))
    }

    async fn adopt_landed(&self, tree: StagedTree, landed: Landed) -> Result<Refreshed> {
        let snapshot = self.shared.domain.snapshot(&landed.commit.id).await?;
        let earlier = Earlier::new(snapshot, tree, settlements(landed.blended, landed.overruled))?;
        self.adopt(&earlier, None, &[]).await
    }

    /// Others committed the same: the workspace goes on from their commit.
    async fn had_already(&self, tree: &StagedTree, head: CommitId) -> Result<Committed> {
        if head != tree.base().commit.id {
            let snapshot = self.shared.domain.snapshot(&head).await?;
            self.move_to(snapshot, None, None, &[]).await?;
        }
        self.forget_incoming()?;
        Ok(Committed::Nothing)
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
