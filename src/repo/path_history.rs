//! The history of paths: which commits changed one, and which commit last touched each file below one.
//!
//! A record's filter of changed paths says against the first parent what was surely not changed; only where it says
//! "maybe" are trees looked into. Of a merge that has a path as one of its parents has it, only that parent is followed.

use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap};
use std::ops::ControlFlow;
use std::sync::Arc;

use super::domain::Domain;
use super::error::RepoError;
use super::history::{Chain, Rank};
use super::tree::lookup;
use super::tree::walk::{Next, walk};
use crate::format::filter::may_contain;
use crate::model::commit::Commit;
use crate::model::diff::{DiffOptions, diff};
use crate::model::entry::{Entry, Kind};
use crate::model::id::CommitId;
use crate::model::path::TreePath;

/// Records read side by side along a branch.
const AHEAD: usize = 32;

/// Paths that are asked for in a filter one by one; of more, the directory above them all is.
const ASKED_MAX: usize = 64;

/// Files that are looked for, and the commit whose tree has them as they are.
type Wanted = BTreeSet<TreePath>;

/// Commits yet to be looked at, newest first, each with what is wanted of it.
struct Walk<'a, T> {
    domain: &'a Domain,
    open: BinaryHeap<Rank>,
    wanted: HashMap<CommitId, T>,
    ahead: Option<Chain<'a>>,
}

impl<'a, T: Default> Walk<'a, T> {
    async fn from(domain: &'a Domain, id: &CommitId, wanted: T) -> Result<Walk<'a, T>, RepoError> {
        let ahead = domain.chain_of_head(&domain.state(), id);
        let mut walk = Walk { domain, open: BinaryHeap::new(), wanted: HashMap::new(), ahead };
        *walk.wanted_of(id).await? = wanted;
        Ok(walk)
    }

    /// What is wanted of a commit, which will be looked at in its turn.
    async fn wanted_of(&mut self, id: &CommitId) -> Result<&mut T, RepoError> {
        if !self.wanted.contains_key(id) {
            if !self.domain.is_remembered(id) {
                self.domain.read_ahead(&mut self.ahead, AHEAD).await?;
            }
            self.open.push(Rank::of(self.domain.record(id).await?.as_ref()));
        }
        Ok(self.wanted.entry(*id).or_default())
    }

    async fn next(&mut self) -> Result<Option<(Arc<Commit>, T)>, RepoError> {
        let Some(Rank { id, .. }) = self.open.pop() else { return Ok(None) };
        let wanted = self.wanted.remove(&id).unwrap_or_default();
        Ok(Some((self.domain.record(&id).await?, wanted)))
    }
}

impl Domain {
    /// Ancestors of `from`, itself included, that changed what is at `path` or below, newest first, at most `max`. A
    /// merge is among them if it has there what none of its parents has.
    pub async fn history_of(
        &self,
        from: &CommitId,
        path: &TreePath,
        max: usize,
    ) -> Result<Vec<Arc<Commit>>, RepoError> {
        let mut walk: Walk<'_, ()> = Walk::from(self, from, ()).await?;
        let mut found = Vec::new();
        while found.len() < max
            && let Some((commit, ())) = walk.next().await?
        {
            match self.parent_with_same(&commit, path).await? {
                Some(parent) => walk.wanted_of(&parent).await.map(drop)?,
                None => {
                    // A domain's first commit made nothing but the root itself.
                    let made = !path.is_root() && self.entry_in(&commit.id, path).await?.is_some();
                    if !commit.parents.is_empty() || made {
                        found.push(commit.clone());
                    }
                    for parent in &commit.parents {
                        walk.wanted_of(parent).await?;
                    }
                }
            }
        }
        Ok(found)
    }

    /// The first parent that has at `path` what the commit has.
    async fn parent_with_same(&self, commit: &Commit, path: &TreePath) -> Result<Option<CommitId>, RepoError> {
        if !may_contain(&commit.changed_paths, path) {
            return Ok(commit.parents.first().copied());
        }
        let here = match commit.parents.is_empty() {
            true => return Ok(None),
            false => self.entry_in(&commit.id, path).await?,
        };
        for parent in &commit.parents {
            if is_same(here.as_ref(), self.entry_in(parent, path).await?.as_ref()) {
                return Ok(Some(*parent));
            }
        }
        Ok(None)
    }

    async fn entry_in(&self, commit: &CommitId, path: &TreePath) -> Result<Option<Entry>, RepoError> {
        lookup(self.objects(), &self.snapshot(commit).await?.root.entry, path).await
    }

    /// The commit that last touched each file at `top` or below, as `from` has them. None: there is nothing at `top`.
    pub async fn blame(
        &self,
        from: &CommitId,
        top: &TreePath,
    ) -> Result<Option<BTreeMap<TreePath, Arc<Commit>>>, RepoError> {
        let Some(entry) = self.entry_in(from, top).await? else { return Ok(None) };
        let mut walk = Walk::from(self, from, self.files_below(top, &entry).await?).await?;
        let mut blamed = BTreeMap::new();
        while let Some((commit, mut wanted)) = walk.next().await? {
            for (at, parent) in commit.parents.iter().enumerate() {
                if wanted.is_empty() {
                    break;
                }
                let touched = match at == 0 && !may_contain_any(&commit, top, &wanted) {
                    true => Wanted::new(),
                    false => self.touched(&commit.id, parent, top).await?,
                };
                let (left, passed): (Wanted, Wanted) = wanted.into_iter().partition(|path| touched.contains(path));
                wanted = left;
                if !passed.is_empty() {
                    walk.wanted_of(parent).await?.extend(passed);
                }
            }
            blamed.extend(wanted.into_iter().map(|path| (path, commit.clone())));
        }
        Ok(Some(blamed))
    }

    /// Everything at `top` and below that is no directory.
    async fn files_below(&self, top: &TreePath, entry: &Entry) -> Result<Wanted, RepoError> {
        if entry.kind() != Kind::Dir {
            return Ok(Wanted::from([top.clone()]));
        }
        let mut files = Wanted::new();
        let mut visit = |path: &TreePath, entry: &Entry| {
            if entry.kind() != Kind::Dir {
                files.insert(path.under(top));
            }
            Next::Into
        };
        walk(self.objects(), entry, &mut visit).await?;
        Ok(files)
    }

    /// Paths at `top` and below that the commit has otherwise than `parent`.
    async fn touched(&self, commit: &CommitId, parent: &CommitId, top: &TreePath) -> Result<Wanted, RepoError> {
        let (old, new) = (self.entry_in(parent, top).await?, self.entry_in(commit, top).await?);
        let is_dir = |entry: &Option<Entry>| entry.as_ref().is_some_and(|entry| entry.kind() == Kind::Dir);
        let mut touched = Wanted::new();
        if !is_dir(&old) || !is_dir(&new) {
            if !is_same(old.as_ref(), new.as_ref()) {
                touched.insert(top.clone());
            }
            if !is_dir(&new) {
                return Ok(touched);
            }
        }
        let old = old.filter(|entry| entry.kind() == Kind::Dir);
        let mut visit = |change: crate::model::diff::Change| {
            touched.insert(change.path().under(top));
            ControlFlow::Continue(())
        };
        diff(self.objects(), old.as_ref(), new.as_ref(), DiffOptions::default(), &mut visit).await?;
        Ok(touched)
    }
}

/// May the commit have changed any of these paths, all at `top` or below, against its first parent?
fn may_contain_any(commit: &Commit, top: &TreePath, wanted: &Wanted) -> bool {
    let filter = &commit.changed_paths;
    may_contain(filter, top) && (wanted.len() > ASKED_MAX || wanted.iter().any(|path| may_contain(filter, path)))
}

/// A directory's own time is committed with what changes in it, and says nothing.
fn is_same(a: Option<&Entry>, b: Option<&Entry>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) if a.kind() == Kind::Dir => a.same_but_times(b),
        (Some(a), Some(b)) => a.same(b),
        (a, b) => a.is_none() && b.is_none(),
    }
}
