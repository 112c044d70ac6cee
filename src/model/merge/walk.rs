//! The walk of a merge: both sides' changes of each directory in step, down to where they meet.

use std::collections::BTreeMap;

use futures::future::{BoxFuture, try_join, try_join_all};

use super::Side;
use super::decide::{Decisions, Sides};
use super::table::same_meta;
use crate::model::diff::lockstep::{Lockstep, Pair};
use crate::model::edit::{DirEdit, Edit};
use crate::model::entry::{Entry, Kind};
use crate::model::id::NodeId;
use crate::model::path::{TOO_DEEP, TreePath};
use crate::model::source::NodeSource;
use crate::model::tree::Misfit;

/// Directories opened at once, on up to three sides: covers a round trip.
const OPEN_AT_ONCE: usize = 16;

/// The names of one directory that are to differ.
type Names = BTreeMap<Vec<u8>, Edit>;

/// A name that both sides changed.
struct Met {
    name: Vec<u8>,
    base: Option<Entry>,
    ours: Option<Entry>,
    theirs: Option<Entry>,
}

/// What has to be passed to decide about a name that both sides changed.
enum Below {
    Nothing,
    /// A directory on both sides.
    Both(Lockstep, Lockstep),
    /// A directory of base that one side has no longer; the other side's changes in it.
    Kept(Lockstep),
}

pub(super) struct Walk<'a, S> {
    pub source: &'a S,
    pub decisions: Decisions<'a>,
}

impl<S: NodeSource> Walk<'_, S> {
    /// Merges a directory that both sides have; the edits are to theirs.
    pub fn both<'a>(
        &'a mut self,
        path: &'a TreePath,
        mut ours: Lockstep,
        mut theirs: Lockstep,
    ) -> BoxFuture<'a, Result<Names, S::Error>> {
        Box::pin(async move {
            let mut names = Names::new();
            let mut next_ours = ours.next(self.source).await?;
            let mut next_theirs = theirs.next(self.source).await?;
            loop {
                let mut met = Vec::new();
                while met.len() < OPEN_AT_ONCE {
                    let order = match (&next_ours, &next_theirs) {
                        (None, _) => break,
                        (Some(_), None) => std::cmp::Ordering::Less,
                        (Some(ours), Some(theirs)) => ours.name.cmp(&theirs.name),
                    };
                    if order.is_gt() {
                        next_theirs = theirs.next(self.source).await?;
                        continue;
                    }
                    let our_pair = std::mem::replace(&mut next_ours, ours.next(self.source).await?);
                    let their_pair = match order.is_eq() {
                        true => std::mem::replace(&mut next_theirs, theirs.next(self.source).await?),
                        false => None,
                    };
                    match (our_pair, their_pair) {
                        (Some(our), Some(their)) => met.push(Met::new(our, their)),
                        (Some(our), None) => {
                            names.insert(our.name, our.new.map_or(Edit::Remove, Edit::Put));
                        }
                        (None, _) => {}
                    }
                }
                if met.is_empty() {
                    return Ok(names);
                }
                let below = try_join_all(met.iter().map(|met| met.open(self.source))).await?;
                for (met, below) in met.into_iter().zip(below) {
                    let path = path.join(&met.name);
                    if let Some(edit) = self.met(&path, &met, below).await? {
                        names.insert(met.name, edit);
                    }
                }
            }
        })
    }

    /// What becomes of a name that both sides changed, as an edit to theirs.
    async fn met(&mut self, path: &TreePath, met: &Met, below: Below) -> Result<Option<Edit>, S::Error> {
        let sides = Sides { base: met.base.as_ref(), ours: met.ours.as_ref(), theirs: met.theirs.as_ref() };
        match (sides.ours, sides.theirs, below) {
            (Some(ours), Some(theirs), below) if is_dir(ours) && is_dir(theirs) => {
                self.directories(path, sides.base, ours, theirs, below).await
            }
            (Some(ours), None, Below::Kept(changes)) => self.kept(path, sides, Side::Ours, ours, changes).await,
            (None, Some(theirs), Below::Kept(changes)) => {
                let kept = self.kept(path, sides, Side::Theirs, theirs, changes).await?;
                Ok(Some(kept.unwrap_or(Edit::Remove)))
            }
            (Some(ours), Some(theirs), Below::Kept(changes)) => self.replaced(path, sides, ours, theirs, changes).await,
            (Some(ours), Some(theirs), _) if is_dir(ours) == is_dir(theirs) => {
                let merged = self.decisions.entry(path, sides.base, ours, theirs);
                Ok((!merged.same(theirs)).then_some(Edit::Put(merged)))
            }
            _ => Ok(self.whole(path, sides)),
        }
    }

    /// One side as it is, for what cannot be mixed. A side that changed only times has not changed it.
    fn whole(&mut self, path: &TreePath, sides: Sides<'_>) -> Option<Edit> {
        let untouched = |side: Option<&Entry>| match (sides.base, side) {
            (Some(base), Some(side)) => base.same_but_times(side),
            (base, side) => base.is_none() && side.is_none(),
        };
        let side = match (sides.ours, sides.theirs) {
            (None, None) => Side::Theirs,
            (ours, _) if untouched(ours) => Side::Theirs,
            (_, theirs) if untouched(theirs) => Side::Ours,
            _ => self.decisions.disagree(path, sides).unwrap_or(Side::Theirs),
        };
        take(side, sides)
    }

    async fn directories(
        &mut self,
        path: &TreePath,
        base: Option<&Entry>,
        ours: &Entry,
        theirs: &Entry,
        below: Below,
    ) -> Result<Option<Edit>, S::Error> {
        let meta = self.decisions.directory_meta(path, base, ours, theirs);
        let base_content = base.filter(|base| is_dir(base)).map(Entry::content_key);
        let from = match base_content == Some(theirs.content_key()) {
            true => ours,
            false => theirs,
        };
        let names = match below {
            Below::Both(..) if path.is_too_deep() => return Err(too_deep(ours)),
            Below::Both(ours, theirs) => self.both(path, ours, theirs).await?,
            Below::Nothing | Below::Kept(_) => Names::new(),
        };
        if !names.is_empty() {
            return Ok(Some(Edit::Dir(DirEdit { from: Some(from.clone()), meta, names })));
        }
        let merged = Entry { meta, content: from.content.clone() };
        Ok((!merged.same(theirs)).then_some(Edit::Put(merged)))
    }

    /// A directory that one side deleted (or renamed) and the other kept: what is left of it, as an edit to nothing.
    async fn kept(
        &mut self,
        path: &TreePath,
        sides: Sides<'_>,
        keeper: Side,
        kept: &Entry,
        changes: Lockstep,
    ) -> Result<Option<Edit>, S::Error> {
        let changed = sides.base.is_none_or(|base| !same_meta(&base.meta, &kept.meta));
        if changed && self.decisions.directory_itself(path, sides) == Some(keeper) {
            return Ok(Some(Edit::Put(kept.clone())));
        }
        if path.is_too_deep() {
            return Err(too_deep(kept));
        }
        let names = self.left_in(path, keeper, changes).await?;
        let left = !names.is_empty();
        match keeper {
            _ if !left => {}
            // Only what is left of it is there, not all that it was.
            Side::Ours => self.decisions.blended.push((path.clone(), kept.clone())),
            Side::Theirs => self.decisions.overruled.push(path.clone()),
        }
        Ok(left.then(|| Edit::Dir(DirEdit { from: None, meta: kept.meta.clone(), names })))
    }

    /// What one side changed in a directory that the other has no longer is in conflict; what is left is what was
    /// decided for the keeper.
    fn left_in<'a>(
        &'a mut self,
        path: &'a TreePath,
        keeper: Side,
        mut changes: Lockstep,
    ) -> BoxFuture<'a, Result<Names, S::Error>> {
        Box::pin(async move {
            let mut names = Names::new();
            loop {
                let pairs = changes.next_batch(self.source, OPEN_AT_ONCE).await?;
                if pairs.is_empty() {
                    return Ok(names);
                }
                let met: Vec<_> = pairs.into_iter().map(|pair| Met::kept(pair, keeper)).collect();
                let below = try_join_all(met.iter().map(|met| met.open(self.source))).await?;
                for (met, below) in met.into_iter().zip(below) {
                    let path = path.join(&met.name);
                    let sides = Sides { base: met.base.as_ref(), ours: met.ours.as_ref(), theirs: met.theirs.as_ref() };
                    let Some(kept) = keeper.of(sides.ours, sides.theirs) else { continue };
                    let edit = match below {
                        Below::Kept(changes) => self.kept(&path, sides, keeper, kept, changes).await?,
                        _ if sides.base.is_some_and(|base| base.same_but_times(kept)) => None,
                        _ => {
                            let side = self.decisions.disagree(&path, sides);
                            (side == Some(keeper)).then(|| Edit::Put(kept.clone()))
                        }
                    };
                    if let Some(edit) = edit {
                        names.insert(met.name, edit);
                    }
                }
            }
        })
    }

    /// A directory of base that is something else on one side: what the other changed in it makes one conflict of it.
    async fn replaced(
        &mut self,
        path: &TreePath,
        sides: Sides<'_>,
        ours: &Entry,
        theirs: &Entry,
        changes: Lockstep,
    ) -> Result<Option<Edit>, S::Error> {
        let (keeper, kept) = if is_dir(ours) { (Side::Ours, ours) } else { (Side::Theirs, theirs) };
        let before = self.decisions.mark();
        let left = self.left_in(path, keeper, changes).await?;
        let changed = !left.is_empty()
            || self.decisions.mark().conflicts > before.conflicts
            || sides.base.is_none_or(|base| !same_meta(&base.meta, &kept.meta));
        self.decisions.back_to(before);
        let side = match changed {
            true => self.decisions.disagree(path, sides).unwrap_or(Side::Theirs),
            false => keeper.of(Side::Theirs, Side::Ours),
        };
        Ok(take(side, sides))
    }
}

/// A whole side, as an edit to theirs.
fn take(side: Side, sides: Sides<'_>) -> Option<Edit> {
    match (side, sides.ours, sides.theirs) {
        (Side::Theirs, ..) | (Side::Ours, None, None) => None,
        (Side::Ours, None, Some(_)) => Some(Edit::Remove),
        (Side::Ours, Some(ours), _) => Some(Edit::Put(ours.clone())),
    }
}

fn too_deep<E: From<Misfit>>(directory: &Entry) -> E {
    let id = directory.as_dir().map_or(NodeId([0; 32]), |dir| dir.id);
    Misfit { id, why: TOO_DEEP }.into()
}

fn is_dir(entry: &Entry) -> bool {
    entry.kind() == Kind::Dir
}

impl Met {
    fn new(our: Pair, their: Pair) -> Met {
        Met { name: our.name, base: our.old.or(their.old), ours: our.new, theirs: their.new }
    }

    /// A change in a directory that the other side has no longer.
    fn kept(pair: Pair, keeper: Side) -> Met {
        let (ours, theirs) = keeper.of((pair.new.clone(), None), (None, pair.new));
        Met { name: pair.name, base: pair.old, ours, theirs }
    }

    /// Opens the directories that have to be passed to decide.
    async fn open<S: NodeSource>(&self, source: &S) -> Result<Below, S::Error> {
        let dir = |entry: &Option<Entry>| entry.as_ref().and_then(Entry::as_dir).cloned();
        match (dir(&self.base), dir(&self.ours), dir(&self.theirs)) {
            (base, Some(ours), Some(theirs)) => {
                let base_id = base.as_ref().map(|base| base.id);
                if ours.id == theirs.id || base_id == Some(ours.id) || base_id == Some(theirs.id) {
                    return Ok(Below::Nothing);
                }
                let our_changes = Lockstep::open(source, base.as_ref(), Some(&ours));
                let their_changes = Lockstep::open(source, base.as_ref(), Some(&theirs));
                let (ours, theirs) = try_join(our_changes, their_changes).await?;
                Ok(Below::Both(ours, theirs))
            }
            (Some(base), Some(kept), None) | (Some(base), None, Some(kept)) => {
                Lockstep::open(source, Some(&base), Some(&kept)).await.map(Below::Kept)
            }
            _ => Ok(Below::Nothing),
        }
    }
}
