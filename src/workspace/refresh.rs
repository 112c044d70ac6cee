//! Moving to the newest head of the branch.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use super::commit::settlements;
use super::contents::{Partly, Reading, Unread};
use super::earlier::Earlier;
use super::edit::{Builder, Contents};
use super::error::WorkspaceError;
use super::rebase::{Settle, Settlements};
use super::staged::StagedTree;
use super::state::Result;
use super::view::Workspace;
use crate::model::id::CommitId;
use crate::model::merge::{Conflict, MergeOptions, Merged, Side, merge};
use crate::model::path::TreePath;
use crate::model::source::lookup;
use crate::model::tree::Root;
use crate::repo::domain::Snapshot;
use crate::repo::error::RepoError;
use crate::repo::tree::apply::apply;
use crate::repo::tree::{links, root};
use crate::repo::upload::Upload;

/// Evaluations of a working tree that changes while they are made; then whoever asked is told to try later.
const EVALUATIONS_MAX: u32 = 8;

/// Pause before the second evaluation; doubles with each.
const PAUSE: Duration = Duration::from_millis(20);

/// What became of a refresh.
#[derive(Clone, Debug)]
pub enum Refreshed {
    /// The workspace is on another base, with what is staged on top.
    Moved { from: CommitId, to: CommitId },
    /// It was on the newest head already.
    Current,
    /// The head changed paths that are staged here; tree and base are as they were. In tree order.
    Conflict(Vec<Conflict>),
}

impl Workspace {
    /// Moves to the newest head, merging it with what is staged. `strategy` decides conflicts at `paths` and below, or
    /// everywhere when there are none, also those with what comes in; what it decides is remembered while others are
    /// still open.
    pub async fn refresh(&self, strategy: Option<Side>, paths: &[TreePath]) -> Result<Refreshed> {
        let _verb = self.shared.verb.lock().await;
        let conflicts = self.take_up_earlier(strategy, paths).await?;
        if !conflicts.is_empty() {
            return Ok(Refreshed::Conflict(conflicts));
        }
        if let Some(side) = strategy {
            self.decide_incoming(side, paths).await?;
        }
        self.shared.domain.poll().await?;
        let head = self.newest_head()?;
        if head == self.head() {
            self.forget_conflicts()?;
            return Ok(Refreshed::Current);
        }
        let snapshot = self.shared.domain.snapshot(&head).await?;
        self.move_to(snapshot, None, strategy, paths).await
    }

    /// Moves a clean workspace to the newest head that is known here; a dirty one stays. True when it moved.
    pub async fn follow(&self) -> Result<bool> {
        // Whoever is at work moves it as well.
        let Ok(_verb) = self.shared.verb.try_lock() else { return Ok(false) };
        let Some(head) = self.shared.domain.state().of(&self.shared.branch).map(|now| now.target) else {
            return Ok(false);
        };
        if head == self.head() || self.is_dirty()? {
            return Ok(false);
        }
        let snapshot = self.shared.domain.snapshot(&head).await?;
        self.follow_to(snapshot).await
    }

    fn newest_head(&self) -> Result<CommitId> {
        let (domain, branch) = (&self.shared.domain, &self.shared.branch);
        let now = domain.state().of(branch).map(|now| now.target);
        let gone = || RepoError::Moved {
            what: format!("branch `{}` of domain `{}`", branch.name.name, domain.info().name),
            now: "it was deleted: `meshfs cp` can still save what is staged here".to_owned(),
        };
        Ok(now.ok_or_else(gone)?)
    }

    /// Puts the workspace on `head`, if nothing is in conflict with it. `earlier`: what `head` has of what is staged.
    pub(super) async fn move_to(
        &self,
        head: Arc<Snapshot>,
        earlier: Option<&Earlier>,
        strategy: Option<Side>,
        paths: &[TreePath],
    ) -> Result<Refreshed> {
        let from = self.head();
        let moved = Ok(Refreshed::Moved { from, to: head.commit.id });
        for evaluation in 0..EVALUATIONS_MAX {
            if evaluation > 0 {
                self.shared.sys.clock.sleep(PAUSE * (1 << (evaluation - 1))).await;
            }
            if !self.is_dirty()? && self.follow_to(head.clone()).await? {
                self.forget_conflicts()?;
                return moved;
            }
            let options = MergeOptions {
                strategy,
                strategy_paths: paths.to_vec(),
                resolutions: self.decided().await?.with_head(),
            };
            let (tree, merged, settle) = match self.evaluate(&head, earlier, &options).await {
                Err(WorkspaceError::Stale) => continue,
                evaluated => evaluated?,
            };
            if !merged.conflicts.is_empty() {
                self.keep_conflicts(&merged.conflicts, &merged.decided, head.commit.id, tree.change)?;
                return Ok(Refreshed::Conflict(merged.conflicts));
            }
            if self.rebase_if(head.clone(), earlier.map(|it| &it.taken), &settle, tree.change).await? {
                self.forget_conflicts()?;
                return moved;
            }
        }
        Err(WorkspaceError::Busy("the working tree changed all the time while it was compared: try again".into()))
    }

    /// Merges what is staged with `head`. Only files that both sides changed are read.
    async fn evaluate(
        &self,
        head: &Snapshot,
        earlier: Option<&Earlier>,
        options: &MergeOptions,
    ) -> Result<(StagedTree, Merged, Settlements)> {
        let tree = self.staged()?;
        let (base, mut settle) = match earlier {
            Some(earlier) => (earlier.root(self).await?, earlier.settled_still(&tree)?),
            None => (tree.base().root.as_ref().clone(), Settlements::new()),
        };
        let mut builder = Builder::new(&tree, Unread { workspace: self, earlier, met: Vec::new() });
        let merged = self.merge_with(&mut builder, &base, head, options).await?;
        let disputed = merged.conflicts.iter().chain(merged.decided.iter().map(|(conflict, _)| conflict));
        let disputed: Vec<&TreePath> = disputed.map(|conflict| &conflict.path).collect();
        let met = builder.contents.met;
        let to_read: Vec<_> =
            met.into_iter().filter(|(path, _)| disputed.iter().any(|top| path.starts_with(top))).collect();
        if to_read.is_empty() {
            settle.extend(settlements(merged.blended.clone(), merged.overruled.clone()));
            return Ok((tree, merged, settle));
        }
        let mut upload = Upload::dry(&self.shared.domain);
        let contents = Partly {
            read: Reading { workspace: self, upload: &mut upload },
            unread: Unread { workspace: self, earlier, met: Vec::new() },
            to_read: to_read.iter().map(|(_, ino)| *ino).collect::<HashSet<u64>>(),
        };
        let mut builder = Builder::new(&tree, contents);
        let merged = self.merge_with(&mut builder, &base, head, options).await?;
        settle.extend(settlements(merged.blended.clone(), merged.overruled.clone()));
        for (path, ino) in to_read {
            let theirs = lookup(&self.shared.objects, &head.root.entry, &path).await?;
            let ours = builder.read_entry(ino);
            if ours.zip(theirs).is_some_and(|(ours, theirs)| ours.same_but_times(&theirs)) {
                // Both wrote the same: nothing of it is staged any more.
                settle.entry(path).or_insert(Settle::Theirs);
            }
        }
        Ok((tree, merged, settle))
    }

    async fn merge_with<C: Contents>(
        &self,
        builder: &mut Builder<'_, C>,
        base: &Root,
        head: &Snapshot,
        options: &MergeOptions,
    ) -> Result<Merged> {
        let objects = &self.shared.objects;
        let edit = builder.root().await?;
        let entry = apply(objects, &edit).await?;
        let table = match builder.tree.link_groups()? {
            Some(groups) => links(groups)?,
            None => builder.tree.base().root.links.clone(),
        };
        let ours = root(entry, table)?;
        Ok(merge(objects, base, &ours, &head.root, options).await?)
    }
}
