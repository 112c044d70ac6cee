//! What is being taken into the branch from elsewhere in the history and met conflicts: a merge, a cherry-pick, a revert.
//! Nothing of it is staged: what is staged is what resolves it, and the commit takes the rest.

use super::conflict::KeptConflict;
use super::state::{Result, State};
use super::view::Workspace;
use crate::model::merge::{Conflict, Side};
use crate::model::path::TreePath;
use crate::overlay::error::OverlayError;
use crate::repo::pick::Pick;

/// Key of the overlay's note of it.
const INCOMING_KEY: &str = "incoming";

impl Workspace {
    /// What the next commit takes in.
    pub fn incoming(&self) -> Result<Option<Pick>> {
        let kept = self.shared.state.lock().overlay.db.meta(INCOMING_KEY)?.unwrap_or_default();
        if kept.is_empty() {
            return Ok(None);
        }
        let damaged = |_| OverlayError::Damaged {
            path: self.shared.dir.clone(),
            reason: "the note of what is being merged cannot be read".to_owned(),
        };
        Ok(serde_json::from_slice(&kept).map(Some).map_err(damaged)?)
    }

    /// Keeps the conflicts that `pick` met with the branch, for the next commit to take it in once they are resolved.
    /// False, and nothing kept: something is staged already, and would be taken for a part of it.
    pub async fn meet(&self, pick: Pick, conflicts: &[Conflict]) -> Result<bool> {
        let _verb = self.shared.verb.lock().await;
        if !self.take_up_earlier(None, &[]).await?.is_empty() || self.is_dirty()? {
            return Ok(false);
        }
        self.forget_incoming()?;
        let note = serde_json::to_vec(&pick).unwrap_or_default();
        let change = {
            let state = self.shared.state.lock();
            state.overlay.db.set_meta(INCOMING_KEY, &note)?;
            state.change
        };
        self.keep_conflicts(conflicts, &[], pick.theirs(), change)?;
        Ok(true)
    }

    /// `pick` is part of the branch by other means than a commit here.
    pub async fn took(&self, pick: &Pick) -> Result<()> {
        let _verb = self.shared.verb.lock().await;
        match self.incoming()?.is_some_and(|incoming| incoming == *pick) {
            true => self.forget_incoming(),
            false => Ok(()),
        }
    }

    /// What came in, if these conflicts of a commit are with it and not with the branch's head.
    pub fn met_incoming(&self, conflicts: &[Conflict]) -> Result<Option<Pick>> {
        let Some(pick) = self.incoming()? else { return Ok(None) };
        let is_met = |path: &TreePath| conflicts.iter().any(|conflict| conflict.path == *path);
        let open = self.conflicts()?.into_iter().filter(|kept| kept.resolved.is_none() && is_met(&kept.path));
        Ok(open.map(|kept| kept.head).all(|head| head == pick.theirs()).then_some(pick))
    }

    /// Gives up what was coming in. What was staged at the paths in conflict goes with it, everything else stays.
    pub async fn give_up(&self) -> Result<Option<Pick>> {
        let _verb = self.shared.verb.lock().await;
        let Some(pick) = self.incoming()? else { return Ok(None) };
        let conflicts = self.conflicts()?.into_iter().filter(|conflict| conflict.head == pick.theirs());
        let paths: Vec<TreePath> = conflicts.map(|conflict| conflict.path).collect();
        self.drop_changes(&paths).await?;
        self.forget_incoming()?;
        Ok(Some(pick))
    }

    /// Takes a side in the conflicts with what comes in, at these paths and below; everywhere when there are none.
    pub(super) async fn decide_incoming(&self, side: Side, paths: &[TreePath]) -> Result<()> {
        let Some(pick) = self.incoming()? else { return Ok(()) };
        let covered = |path: &TreePath| paths.is_empty() || paths.iter().any(|top| path.starts_with(top));
        for mut conflict in self.conflicts()? {
            if conflict.head == pick.theirs() && covered(&conflict.path) {
                conflict.resolved = Some(side);
                self.with_fetch(|this| this.shared.state.lock().keep_as_it_is(conflict.clone())).await?;
            }
        }
        Ok(())
    }

    /// It is part of a commit, or given up.
    pub(super) fn forget_incoming(&self) -> Result<()> {
        let Some(pick) = self.incoming()? else { return Ok(()) };
        let state = self.shared.state.lock();
        for conflict in state.overlay.db.conflicts()?.iter().filter(|conflict| conflict.head == pick.theirs()) {
            state.overlay.db.delete_conflict(&conflict.path, &conflict.head)?;
        }
        Ok(state.overlay.db.set_meta(INCOMING_KEY, b"")?)
    }
}

impl State {
    /// Keeps a conflict as one that is met now: what was done before says nothing about it.
    fn keep_as_it_is(&mut self, conflict: KeptConflict) -> Result<()> {
        let theirs = conflict.kind.split_once('/').map_or("modify", |(_, theirs)| theirs).to_owned();
        let kind = match self.find_path(&conflict.path)? {
            None => format!("delete/{theirs}"),
            Some(_) => conflict.kind,
        };
        Ok(self.overlay.db.put_conflict(&KeptConflict { kind, change: self.change, ..conflict })?)
    }
}
