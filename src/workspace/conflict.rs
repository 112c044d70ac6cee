//! Conflicts that a commit or a refresh met, kept until they are resolved: by a strategy, or by hand.
//!
//! By hand means that the path was written, replaced or deleted since the conflict was met, and that nobody is still
//! writing. Either way the decision holds for theirs as it was then; a head that moved further conflicts anew.

use std::collections::BTreeMap;

use super::state::{Inode, Result, State};
use super::view::Workspace;
use crate::model::id::CommitId;
use crate::model::merge::{Conflict, Resolution, Side};
use crate::model::path::TreePath;

pub use crate::overlay::conflict::KeptConflict;

/// Decisions by path, as a merge takes them.
pub(super) type Resolutions = BTreeMap<TreePath, Resolution>;

impl Workspace {
    /// Every conflict that was met and is not yet part of a commit or refresh, sorted by path.
    pub fn conflicts(&self) -> Result<Vec<KeptConflict>> {
        Ok(self.shared.state.lock().overlay.db.conflicts()?)
    }

    /// What was decided about conflicts met before; nodes that are needed for that are fetched.
    pub(super) async fn resolutions(&self) -> Result<Resolutions> {
        let mut resolutions = Resolutions::new();
        for conflict in self.conflicts()? {
            let side = match conflict.resolved {
                Some(Side::Ours) => Some(Side::Ours),
                // What was written after theirs had been chosen takes the choice back.
                decided => {
                    let by_hand =
                        self.with_fetch(|this| this.shared.state.lock().is_resolved_by_hand(&conflict)).await?;
                    by_hand.then_some(Side::Ours).or(decided)
                }
            };
            if let Some(side) = side {
                resolutions.insert(conflict.path, Resolution { theirs: conflict.theirs, side });
            }
        }
        Ok(resolutions)
    }

    /// Keeps what was met with `head`: the open conflicts, and beside them the decisions that hold.
    pub(super) fn keep_conflicts(
        &self,
        open: &[Conflict],
        decided: &[(Conflict, Side)],
        head: CommitId,
        change: u64,
    ) -> Result<()> {
        let state = self.shared.state.lock();
        let keep = |conflict: &Conflict, resolved: Option<Side>| KeptConflict {
            path: conflict.path.clone(),
            kind: conflict.kind.to_string(),
            base: conflict.base.clone(),
            ours: conflict.ours.clone(),
            theirs: conflict.theirs.clone(),
            head,
            resolved,
            change,
        };
        state.overlay.db.transaction(|db| {
            db.delete_conflicts()?;
            open.iter().try_for_each(|conflict| db.put_conflict(&keep(conflict, None)))?;
            decided.iter().try_for_each(|(conflict, side)| db.put_conflict(&keep(conflict, Some(*side))))
        })?;
        drop(state);
        Ok(self.shared.durability.sync()?)
    }

    /// [`Workspace::keep_conflicts`] of a commit: decisions made before that hold stay as they were.
    pub(super) fn keep_open_conflicts(
        &self,
        open: &[Conflict],
        decisions: &Resolutions,
        head: CommitId,
        change: u64,
    ) -> Result<()> {
        let before = self.conflicts()?;
        let holds = |kept: &KeptConflict| {
            decisions.contains_key(&kept.path) && !open.iter().any(|conflict| conflict.path == kept.path)
        };
        let decided: Vec<_> = before.into_iter().filter(holds).collect();
        self.keep_conflicts(open, &[], head, change)?;
        let state = self.shared.state.lock();
        Ok(state.overlay.db.transaction(|db| decided.iter().try_for_each(|kept| db.put_conflict(kept)))?)
    }

    /// All that was met is part of a commit or a refresh now.
    pub(super) fn forget_conflicts(&self) -> Result<()> {
        Ok(self.shared.state.lock().overlay.db.delete_conflicts()?)
    }

    /// Nothing at these paths or below is staged any more, so nothing is in conflict.
    pub(super) fn forget_conflicts_below(&self, top: &TreePath) -> Result<()> {
        let state = self.shared.state.lock();
        for conflict in state.overlay.db.conflicts()?.iter().filter(|conflict| conflict.path.starts_with(top)) {
            state.overlay.db.delete_conflict(&conflict.path)?;
        }
        Ok(())
    }
}

impl State {
    fn is_resolved_by_hand(&mut self, conflict: &KeptConflict) -> Result<bool> {
        let now = self.find_path(&conflict.path)?;
        Ok(match now {
            // Deleted since; what was deleted before says nothing new.
            None => conflict.kind_has_ours(),
            Some(Inode::Staged(node)) => node.change > conflict.change && !self.is_open_for_writing(node.ino),
            Some(Inode::Base(_) | Inode::Detached(..)) => false,
        })
    }
}

impl KeptConflict {
    /// Did the working tree have something at the path when the conflict was met?
    fn kind_has_ours(&self) -> bool {
        !self.kind.starts_with("delete/")
    }
}
