//! What two commits have in common: their nearest common ancestors, and the tree that a merge of them starts from.

use std::collections::{BTreeMap, BinaryHeap};

use futures::future::BoxFuture;

use super::domain::Domain;
use super::error::RepoError;
use super::history::{Chain, Rank};
use super::tree::{self, apply::apply};
use crate::model::entry::{Entry, Kind};
use crate::model::id::CommitId;
use crate::model::merge::{Conflict, ConflictKind, MergeOptions, Resolution, Side, disputed, merge};
use crate::model::tree::Root;

/// Commits that were merged crosswise have several nearest common ancestors, which again may have several. Deeper than
/// this the first of them stands for all.
const CROSSINGS_MAX: u32 = 16;

/// Records of a long way back that are read side by side.
const AHEAD: usize = 32;

/// Steps of a walk after which its way is taken for a long one.
const SHORT_STEPS: usize = 4;

const OURS: u8 = 1;
const THEIRS: u8 = 2;
/// Below a common ancestor: itself common, and not nearest.
const BELOW: u8 = 4;

impl Domain {
    /// The common ancestors of `ours` (all of them together) and `theirs` that are not before another such one, newest
    /// first. A commit is its own ancestor.
    pub async fn nearest_common(&self, ours: &[CommitId], theirs: &CommitId) -> Result<Vec<CommitId>, RepoError> {
        let mut sides: BTreeMap<CommitId, u8> = BTreeMap::from([(*theirs, THEIRS)]);
        for id in ours {
            *sides.entry(*id).or_default() |= OURS;
        }
        let mut open = BinaryHeap::new();
        for id in sides.keys() {
            open.push(Rank::of(self.record(id).await?.as_ref()));
        }
        let state = self.state();
        let mut ahead: Vec<Option<Chain<'_>>> = sides.keys().map(|id| self.chain_of_head(&state, id)).collect();
        let (mut found, mut steps) = (Vec::new(), 0);
        // Children come before their parents, so that a commit's sides are all known when it is met.
        while open.iter().any(|rank: &Rank| sides[&rank.id] & BELOW == 0)
            && let Some(Rank { id, .. }) = open.pop()
        {
            let mut side = sides[&id];
            if side & BELOW == 0 && side == OURS | THEIRS {
                found.push(id);
                side |= BELOW;
            }
            let parents = self.record(&id).await?.parents.clone();
            if steps > SHORT_STEPS && parents.iter().any(|parent| !self.is_remembered(parent)) {
                for chain in &mut ahead {
                    self.read_ahead(chain, AHEAD).await?;
                }
            }
            for parent in parents {
                if sides.insert(parent, side | sides.get(&parent).copied().unwrap_or(0)).is_none() {
                    open.push(Rank::of(self.record(&parent).await?.as_ref()));
                }
            }
            steps += 1;
        }
        Ok(found)
    }

    /// The tree that a merge of the two starts from: the nearest common ancestor's. Of several, what a merge of them
    /// gives; where they are in conflict there is no version in common, and the merge's two sides have to agree.
    pub async fn merge_base(&self, ours: &CommitId, theirs: &CommitId) -> Result<Root, RepoError> {
        self.base_of(std::slice::from_ref(ours), *theirs, 0).await
    }

    fn base_of<'a>(
        &'a self,
        ours: &'a [CommitId],
        theirs: CommitId,
        crossings: u32,
    ) -> BoxFuture<'a, Result<Root, RepoError>> {
        Box::pin(async move {
            let common = self.nearest_common(ours, &theirs).await?;
            let Some(first) = common.first() else {
                let what = format!("commit {theirs} of domain `{}`", self.info().name);
                return Err(RepoError::Refused(format!(
                    "{what} has no history in common with what it is to be merged with"
                )));
            };
            let mut root = self.snapshot(first).await?.root.as_ref().clone();
            if crossings == CROSSINGS_MAX {
                return Ok(root);
            }
            for (at, next) in common.iter().enumerate().skip(1) {
                let base = self.base_of(&common[..at], *next, crossings + 1).await?;
                let next = self.snapshot(next).await?;
                root = self.in_common(&base, &root, &next.root).await?;
            }
            Ok(root)
        })
    }

    /// What two common ancestors come to. A directory's own attributes that are in conflict are the second's.
    async fn in_common(&self, base: &Root, one: &Root, other: &Root) -> Result<Root, RepoError> {
        let objects = self.objects();
        let mut merged = merge(objects, base, one, other, &MergeOptions::default()).await?;
        let conflicts = std::mem::take(&mut merged.conflicts);
        if !conflicts.is_empty() {
            // Decided for whoever has something there, so that there is a place to mark.
            let resolutions = conflicts.iter().map(|conflict| (conflict.path.clone(), whoever_has_it(conflict)));
            let options = MergeOptions { resolutions: resolutions.collect(), ..MergeOptions::default() };
            merged = merge(objects, base, one, other, &options).await?;
            for conflict in conflicts.iter().filter(|conflict| !is_of_attributes(conflict)) {
                merged.edit.put(objects, &conflict.path, disputed()).await?;
            }
        }
        let entry = apply(objects, &merged.edit).await?;
        let links = match merged.links {
            Some(groups) => tree::links(groups)?,
            None => other.links.clone(),
        };
        tree::root(entry, links)
    }
}

fn whoever_has_it(conflict: &Conflict) -> Resolution {
    let side = if conflict.ours.is_some() { Side::Ours } else { Side::Theirs };
    Resolution { theirs: conflict.theirs.clone(), side }
}

/// Is it about a directory itself, or about which names are one file?
fn is_of_attributes(conflict: &Conflict) -> bool {
    let is_dir = |entry: &Option<Entry>| entry.as_ref().is_some_and(|entry| entry.kind() == Kind::Dir);
    let sides = [&conflict.ours, &conflict.theirs];
    conflict.kind == ConflictKind::Links || sides.iter().all(|side| side.is_none() || is_dir(side))
}
