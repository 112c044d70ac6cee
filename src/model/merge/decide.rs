//! Decisions of a merge: what the table, earlier resolutions and the strategy make of a disagreement.

use super::table::{conflict_kind, is_disputed, merge_entry, merge_meta, same_meta};
use super::{Conflict, ConflictKind, MergeOptions, Side};
use crate::model::entry::{Entry, Kind, Meta};
use crate::model::path::TreePath;

/// One path on three sides.
#[derive(Clone, Copy)]
pub(super) struct Sides<'a> {
    pub base: Option<&'a Entry>,
    pub ours: Option<&'a Entry>,
    pub theirs: Option<&'a Entry>,
}

pub(super) struct Decisions<'a> {
    options: &'a MergeOptions,
    pub conflicts: Vec<Conflict>,
    pub decided: Vec<(Conflict, Side)>,
    pub blended: Vec<(TreePath, Entry)>,
    pub overruled: Vec<TreePath>,
}

/// How much was decided by some time.
pub(super) struct Mark {
    pub conflicts: usize,
    decided: usize,
    blended: usize,
    overruled: usize,
}

impl Decisions<'_> {
    pub fn mark(&self) -> Mark {
        Mark {
            conflicts: self.conflicts.len(),
            decided: self.decided.len(),
            blended: self.blended.len(),
            overruled: self.overruled.len(),
        }
    }

    /// Takes back what was noted since: it was only to find something out.
    pub fn back_to(&mut self, mark: Mark) {
        self.conflicts.truncate(mark.conflicts);
        self.decided.truncate(mark.decided);
        self.blended.truncate(mark.blended);
        self.overruled.truncate(mark.overruled);
    }

    pub fn new(options: &MergeOptions) -> Decisions<'_> {
        Decisions { options, conflicts: Vec::new(), decided: Vec::new(), blended: Vec::new(), overruled: Vec::new() }
    }

    /// May a decision differ between names of one file?
    pub fn are_by_path(&self) -> bool {
        !self.options.resolutions.is_empty() || !self.options.strategy_paths.is_empty()
    }

    /// The side to take on a path where the two disagree; none, and the conflict noted, when nobody decided.
    pub fn disagree(&mut self, path: &TreePath, sides: Sides<'_>) -> Option<Side> {
        let side = self.decide(path, sides, conflict_kind(sides.base, sides.ours, sides.theirs), same_entries);
        if side == Some(Side::Theirs) {
            self.overruled.push(path.clone());
        }
        side
    }

    /// The side to take on whether these paths are one file; none when nobody decided, or differently for some. What is
    /// in conflict anyway, or was decided for itself, is not asked about again.
    pub fn disagree_on_links(&mut self, names: &[(&TreePath, Sides<'_>)]) -> Option<Side> {
        let is_one = |path: &TreePath| names.iter().any(|(name, _)| *name == path);
        if self.conflicts.iter().any(|conflict| is_one(&conflict.path)) {
            return None;
        }
        let decided = self.decided.iter().filter(|(conflict, _)| is_one(&conflict.path)).map(|(_, side)| Some(*side));
        let mut sides: Vec<Option<Side>> = decided.collect();
        if sides.is_empty() {
            let decide =
                |(path, on): &(&TreePath, Sides<'_>)| self.decide(path, *on, ConflictKind::Links, same_entries);
            sides = names.iter().map(decide).collect();
        }
        let side = sides[0].filter(|first| sides.iter().all(|side| *side == Some(*first)));
        if side == Some(Side::Theirs) {
            self.overruled.extend(names.iter().map(|(path, _)| (*path).clone()));
        }
        side
    }

    fn decide(
        &mut self,
        path: &TreePath,
        sides: Sides<'_>,
        kind: ConflictKind,
        same: fn(Option<&Entry>, Option<&Entry>) -> bool,
    ) -> Option<Side> {
        let conflict = Conflict {
            path: path.clone(),
            kind,
            base: sides.base.filter(|base| !is_disputed(base)).cloned(),
            ours: sides.ours.cloned(),
            theirs: sides.theirs.cloned(),
        };
        let resolution = self.options.resolutions.get(path);
        let resolved = resolution.filter(|resolution| same(resolution.theirs.as_ref(), sides.theirs));
        let paths = &self.options.strategy_paths;
        let covered = paths.is_empty() || paths.iter().any(|top| path.starts_with(top));
        // What is asked for now goes before what was decided earlier.
        let asked = self.options.strategy.filter(|_| covered);
        let side = asked.or(resolved.map(|resolution| resolution.side));
        match side {
            Some(side) => self.decided.push((conflict, side)),
            None => self.conflicts.push(conflict),
        }
        side
    }

    /// The merged entry of a path that is no directory on either side.
    pub fn entry(&mut self, path: &TreePath, base: Option<&Entry>, ours: &Entry, theirs: &Entry) -> Entry {
        let Some(merged) = merge_entry(base, ours, theirs) else {
            let sides = Sides { base, ours: Some(ours), theirs: Some(theirs) };
            let side = self.disagree(path, sides).unwrap_or(Side::Theirs);
            return side.of(ours, theirs).clone();
        };
        self.note_blended(path, &merged, ours, theirs);
        merged
    }

    fn note_blended(&mut self, path: &TreePath, merged: &Entry, ours: &Entry, theirs: &Entry) {
        if !merged.same(ours) && !merged.same(theirs) {
            self.blended.push((path.clone(), merged.clone()));
        }
    }

    /// Mode, owner, extended attributes and time of a directory that both sides have.
    pub fn directory_meta(&mut self, path: &TreePath, base: Option<&Entry>, ours: &Entry, theirs: &Entry) -> Meta {
        let directory = base.filter(|base| base.kind() == Kind::Dir);
        let Some(meta) = merge_meta(directory.map(|base| &base.meta), &ours.meta, &theirs.meta) else {
            let sides = Sides { base, ours: Some(ours), theirs: Some(theirs) };
            let side = self.directory_itself(path, sides);
            if side == Some(Side::Theirs) {
                self.blended.push((path.clone(), theirs.clone()));
            }
            return side.unwrap_or(Side::Theirs).of(ours, theirs).meta.clone();
        };
        let as_if_equal_inside = Entry { meta: meta.clone(), content: ours.content.clone() };
        let theirs = Entry { meta: theirs.meta.clone(), content: ours.content.clone() };
        self.note_blended(path, &as_if_equal_inside, ours, &theirs);
        meta
    }

    /// The side to take on a directory's own mode, owner and extended attributes, or on its being there at all.
    /// What changes inside it does not make an earlier resolution void.
    pub fn directory_itself(&mut self, path: &TreePath, sides: Sides<'_>) -> Option<Side> {
        self.decide(path, sides, conflict_kind(sides.base, sides.ours, sides.theirs), same_directories)
    }
}

fn same_entries(a: Option<&Entry>, b: Option<&Entry>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => a.same_but_times(b),
        (a, b) => a.is_none() && b.is_none(),
    }
}

fn same_directories(a: Option<&Entry>, b: Option<&Entry>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => a.kind() == b.kind() && same_meta(&a.meta, &b.meta),
        (a, b) => a.is_none() && b.is_none(),
    }
}
