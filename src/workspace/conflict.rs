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

/// What was decided about conflicts met before.
#[derive(Default)]
pub(super) struct Decided {
    /// With the branch's head.
    pub head: Resolutions,
    /// With what comes in.
    pub incoming: Resolutions,
}

impl Decided {
    /// By which a conflict with the head is decided: that may have become what comes in.
    pub fn with_head(&self) -> Resolutions {
        self.incoming.clone().into_iter().chain(self.head.clone()).collect()
    }

    fn holds(&self, conflict: &KeptConflict, incoming: Option<CommitId>) -> bool {
        let of = if Some(conflict.head) == incoming { &self.incoming } else { &self.head };
        of.contains_key(&conflict.path)
    }
}

impl Workspace {
    /// Every conflict that was met and is not yet part of a commit or refresh, sorted by path.
    pub fn conflicts(&self) -> Result<Vec<KeptConflict>> {
        Ok(self.shared.state.lock().overlay.db.conflicts()?)
    }

    /// Conflicts that nobody has decided.
    pub async fn open_conflicts(&self) -> Result<usize> {
        let (decided, incoming) = (self.decided().await?, self.incoming_theirs()?);
        let is_open = |conflict: &KeptConflict| !decided.holds(conflict, incoming);
        Ok(self.conflicts()?.iter().filter(|conflict| is_open(conflict)).count())
    }

    /// The commit whose tree is theirs in conflicts with what comes in.
    fn incoming_theirs(&self) -> Result<Option<CommitId>> {
        Ok(self.incoming()?.map(|pick| pick.theirs()))
    }

    /// What was decided about conflicts met before; nodes that are needed for that are fetched.
    pub(super) async fn decided(&self) -> Result<Decided> {
        let incoming = self.incoming_theirs()?;
        let mut decided = Decided::default();
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
            let Some(side) = side else { continue };
            let resolution = Resolution { theirs: conflict.theirs, side };
            let of = if incoming == Some(conflict.head) { &mut decided.incoming } else { &mut decided.head };
            of.insert(conflict.path, resolution);
        }
        Ok(decided)
    }

    /// Keeps what was met with the commit `with`: the open conflicts, and beside them the decisions that hold. What was
    /// kept of another commit than what comes in goes.
    pub(super) fn keep_conflicts(
        &self,
        open: &[Conflict],
        decided: &[(Conflict, Side)],
        with: CommitId,
        change: u64,
    ) -> Result<()> {
        let incoming = self.incoming_theirs()?;
        let decided = decided.iter().map(|(conflict, side)| kept(conflict, with, Some(*side), change));
        let met = open.iter().map(|conflict| kept(conflict, with, None, change)).chain(decided);
        self.replace_conflicts(|before| Some(before.head) == incoming && before.head != with, met.collect())
    }

    /// [`Workspace::keep_conflicts`] of a commit: decisions made before that hold stay as they were.
    pub(super) fn keep_open_conflicts(
        &self,
        open: &[Conflict],
        decided: &Decided,
        with: CommitId,
        change: u64,
    ) -> Result<()> {
        let incoming = self.incoming_theirs()?;
        let holds = |before: &KeptConflict| {
            // A path may be in conflict with the head beside what comes in, not with two heads.
            let of_the_same = (Some(before.head) == incoming) == (Some(with) == incoming);
            decided.holds(before, incoming)
                && !(of_the_same && open.iter().any(|conflict| conflict.path == before.path))
        };
        self.replace_conflicts(holds, open.iter().map(|conflict| kept(conflict, with, None, change)).collect())
    }

    fn replace_conflicts(&self, stays: impl Fn(&KeptConflict) -> bool, met: Vec<KeptConflict>) -> Result<()> {
        let state = self.shared.state.lock();
        state.overlay.db.transaction(|db| {
            for before in db.conflicts()?.iter().filter(|before| !stays(before)) {
                db.delete_conflict(&before.path, &before.head)?;
            }
            met.iter().try_for_each(|conflict| db.put_conflict(conflict))
        })?;
        drop(state);
        self.shared.make_durable()
    }

    /// All that was met with a head is part of a commit or a refresh now.
    pub(super) fn forget_conflicts(&self) -> Result<()> {
        let incoming = self.incoming_theirs()?;
        self.replace_conflicts(|before| Some(before.head) == incoming, Vec::new())
    }

    /// Nothing at these paths or below is staged any more: nothing is in conflict with a head, and nothing is decided
    /// about what comes in.
    pub(super) fn forget_conflicts_below(&self, top: &TreePath) -> Result<()> {
        let incoming = self.incoming_theirs()?;
        let below = self.conflicts()?.into_iter().filter(|conflict| conflict.path.starts_with(top));
        let undecided = below.filter(|conflict| Some(conflict.head) == incoming);
        let undecided = undecided.map(|conflict| KeptConflict { resolved: None, ..conflict }).collect();
        self.replace_conflicts(|before| !before.path.starts_with(top), undecided)
    }
}

fn kept(conflict: &Conflict, with: CommitId, resolved: Option<Side>, change: u64) -> KeptConflict {
    KeptConflict {
        path: conflict.path.clone(),
        kind: conflict.kind.to_string(),
        base: conflict.base.clone(),
        ours: conflict.ours.clone(),
        theirs: conflict.theirs.clone(),
        head: with,
        resolved,
        change,
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
