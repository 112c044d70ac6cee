//! Bisection: which of the commits between a good and a bad one is to be tried next.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::domain::Domain;
use super::error::RepoError;
use crate::model::commit::Commit;
use crate::model::id::CommitId;

/// What a trial found out about a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Good,
    Bad,
    /// It says nothing.
    Skipped,
}

/// What is to be done next.
#[derive(Clone, Debug)]
pub enum Step {
    Try(Arc<Commit>),
    /// It is the first bad one.
    Found(Arc<Commit>),
    /// It is one of these, newest first: the others of them cannot be tried.
    OneOf(Vec<Arc<Commit>>),
}

/// A bisection under way.
#[derive(Clone, Debug)]
pub struct Bisection {
    /// Commits that may be the first bad one, children before their parents; the first is known to be bad.
    suspects: Vec<Arc<Commit>>,
    skipped: BTreeSet<CommitId>,
}

impl Domain {
    /// Between the ancestors of `bad`, itself included, and those of `good`.
    pub async fn bisect(&self, good: &CommitId, bad: &CommitId) -> Result<Bisection, RepoError> {
        let cleared: BTreeSet<CommitId> =
            self.history(good, usize::MAX).await?.iter().map(|commit| commit.id).collect();
        let mut suspects = self.history(bad, usize::MAX).await?;
        suspects.retain(|commit| !cleared.contains(&commit.id));
        Ok(Bisection { suspects, skipped: BTreeSet::new() })
    }
}

impl Bisection {
    pub fn suspects(&self) -> usize {
        self.suspects.len()
    }

    /// None: the bad commit is an ancestor of the good one.
    pub fn next(&self) -> Option<Step> {
        let bad = self.suspects.first()?;
        if self.suspects.len() == 1 {
            return Some(Step::Found(bad.clone()));
        }
        let half = self.suspects.len() / 2;
        let tried = self.suspects.iter().skip(1).filter(|commit| !self.skipped.contains(&commit.id));
        // The one that leaves least to do, whatever is found: nearest to half of them are its ancestors.
        let next = tried.min_by_key(|commit| self.ancestors(&commit.id).len().abs_diff(half));
        Some(match next {
            Some(commit) => Step::Try(commit.clone()),
            None => Step::OneOf(self.suspects.clone()),
        })
    }

    /// Takes a verdict into account.
    pub fn judge(&mut self, id: &CommitId, verdict: Verdict) {
        let below = self.ancestors(id);
        match verdict {
            Verdict::Good => self.suspects.retain(|commit| !below.contains(&commit.id)),
            Verdict::Bad => self.suspects.retain(|commit| below.contains(&commit.id)),
            Verdict::Skipped => {
                self.skipped.insert(*id);
            }
        }
    }

    /// The suspects that are ancestors of one, itself included.
    fn ancestors(&self, id: &CommitId) -> BTreeSet<CommitId> {
        let by_id: HashMap<&CommitId, &Arc<Commit>> = self.suspects.iter().map(|commit| (&commit.id, commit)).collect();
        let (mut found, mut open) = (BTreeSet::new(), vec![*id]);
        while let Some(id) = open.pop() {
            if let Some(commit) = by_id.get(&id)
                && found.insert(id)
            {
                open.extend(&commit.parents);
            }
        }
        found
    }
}
