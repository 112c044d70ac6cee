//! What a branch takes from elsewhere in the history: all that another commit has, what one commit changed, or that
//! undone. Each is a merge of three trees, of which one is the branch's.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::commit::Settled;
use super::domain::{Domain, Snapshot};
use super::error::RepoError;
use super::tree::{self, apply::apply};
use crate::model::id::CommitId;
use crate::model::log::Operation;
use crate::model::merge::{Conflict, MergeOptions, merge};
use crate::model::tree::Root;

/// What is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "operation", rename_all = "kebab-case")]
pub enum Pick {
    /// All that the commit has and the branch has not.
    Merge { commit: CommitId },
    /// What the commit changed against one of its parents.
    CherryPick { commit: CommitId, parent: CommitId },
    /// That, undone.
    Revert { commit: CommitId, parent: CommitId },
}

/// What is taken, and how conflicts with it are decided. Ours is the branch.
#[derive(Clone, Debug)]
pub struct Incoming {
    pub pick: Pick,
    pub options: MergeOptions,
}

/// A tree with something taken into it.
pub enum Taken {
    Tree { root: Box<Root>, settled: Settled },
    Conflict(Vec<Conflict>),
}

impl Pick {
    pub fn operation(&self) -> Operation {
        match self {
            Pick::Merge { .. } => Operation::Merge,
            Pick::CherryPick { .. } => Operation::CherryPick,
            Pick::Revert { .. } => Operation::Revert,
        }
    }

    /// The commit that was named.
    pub fn commit(&self) -> CommitId {
        match self {
            Pick::Merge { commit } | Pick::CherryPick { commit, .. } | Pick::Revert { commit, .. } => *commit,
        }
    }

    /// The commit whose tree is theirs.
    pub fn theirs(&self) -> CommitId {
        match self {
            Pick::Merge { commit } | Pick::CherryPick { commit, .. } => *commit,
            Pick::Revert { parent, .. } => *parent,
        }
    }

    /// What becomes a parent of the commit that takes it.
    pub fn parent(&self) -> Option<CommitId> {
        match self {
            Pick::Merge { commit } => Some(*commit),
            Pick::CherryPick { .. } | Pick::Revert { .. } => None,
        }
    }

    /// The tree that both sides come from, the branch being at `onto`, and theirs.
    async fn sides(&self, domain: &Domain, onto: &CommitId) -> Result<(Root, Arc<Snapshot>), RepoError> {
        let theirs = domain.snapshot(&self.theirs()).await?;
        let base = match self {
            Pick::Merge { commit } => domain.merge_base(onto, commit).await?,
            Pick::CherryPick { parent, .. } => domain.snapshot(parent).await?.root.as_ref().clone(),
            Pick::Revert { commit, .. } => domain.snapshot(commit).await?.root.as_ref().clone(),
        };
        Ok((base, theirs))
    }
}

impl Domain {
    /// Takes `incoming` into the tree `ours`, which is of the commit `onto` or was made of it.
    pub async fn take_in(&self, ours: &Root, onto: &CommitId, incoming: &Incoming) -> Result<Taken, RepoError> {
        let (base, theirs) = incoming.pick.sides(self, onto).await?;
        let merged = merge(self.objects(), &base, ours, &theirs.root, &incoming.options).await?;
        if !merged.conflicts.is_empty() {
            return Ok(Taken::Conflict(merged.conflicts));
        }
        let entry = apply(self.objects(), &merged.edit).await?;
        let links = match merged.links {
            Some(groups) => tree::links(groups)?,
            None => theirs.root.links.clone(),
        };
        let settled = Settled::new(merged.blended, merged.overruled);
        Ok(Taken::Tree { root: Box::new(tree::root(entry, links)?), settled })
    }
}
