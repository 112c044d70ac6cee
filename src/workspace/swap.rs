//! Moving a workspace to another base, and telling what thereby changed behind the kernel's back.

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use super::base::LinkIndex;
use super::error::WorkspaceError;
use super::file_state::{Data, FileState};
use super::observer::Invalidation;
use super::rebase::{Rebase, Settle, Settlements};
use super::staged::StagedTree;
use super::state::{Result, State};
use super::taken::Taken;
use super::view::Workspace;
use crate::model::diff::{Change, DiffOptions, diff};
use crate::model::entry::{Entry, Kind};
use crate::model::path::TreePath;
use crate::overlay::node::Node;
use crate::repo::domain::Snapshot;
use crate::sys::task::blocking_here;

/// Asked once nothing can change any more: is the working tree still as the caller takes it to be?
type May<'a> = &'a (dyn Fn(&State) -> Result<bool> + Sync);

/// What changed at a path when the base did.
enum Moved {
    /// The name stands for something else.
    Name,
    /// The same inode has other attributes.
    Attributes,
}

impl Workspace {
    /// Puts everything staged on `snapshot`, except what `settle` decides otherwise. The caller has seen that nothing
    /// is in conflict, or decided it.
    pub async fn rebase(&self, snapshot: Arc<Snapshot>, settle: &Settlements) -> Result<()> {
        self.swap(snapshot, None, settle, true, &|_| Ok(true)).await.map(drop)
    }

    /// [`Workspace::rebase`], if nothing happened in the working tree since the operation `change`. False: it did.
    /// `taken`: what of it `snapshot` has already.
    pub(super) async fn rebase_if(
        &self,
        snapshot: Arc<Snapshot>,
        taken: Option<&Taken>,
        settle: &Settlements,
        change: u64,
    ) -> Result<bool> {
        self.swap(snapshot, taken, settle, true, &|state| Ok(state.change == change)).await
    }

    /// Moves to `snapshot` if nothing is staged and no file is open for writing. False: something is.
    pub(super) async fn follow_to(&self, snapshot: Arc<Snapshot>) -> Result<bool> {
        self.swap(snapshot, None, &Settlements::new(), true, &|state| Ok(!state.is_dirty()?)).await
    }

    /// The commit of `tree` landed as `snapshot`, or is part of it: what did not change since is no longer staged.
    /// `settle` decides about paths of which the snapshot does not have what was staged.
    ///
    /// False, and nothing done: the snapshot has others' changes too, and something happened in the working tree since
    /// `tree` was taken, which may be in conflict with them.
    pub async fn commit_landed(
        &self,
        snapshot: Arc<Snapshot>,
        tree: &StagedTree,
        settle: &Settlements,
    ) -> Result<bool> {
        let base = self.base().commit.id;
        if tree.base().commit.id != base {
            return Err(WorkspaceError::Busy("the workspace moved to another base while it was committed".into()));
        }
        let taken = Taken::read(tree)?;
        // On its own base a commit that takes nothing in brings nothing that the kernel has not seen.
        let news = snapshot.commit.parents.first() != Some(&base) || self.incoming()?.is_some();
        let may = |state: &State| Ok(!news || state.change == tree.change);
        self.swap(snapshot, Some(&taken), settle, news, &may).await
    }

    async fn swap(
        &self,
        snapshot: Arc<Snapshot>,
        taken: Option<&Taken>,
        settle: &Settlements,
        news: bool,
        may: May<'_>,
    ) -> Result<bool> {
        let before = self.base();
        let links = Arc::new(LinkIndex::load(&self.shared.objects, &snapshot.root).await?);
        let mut moved = Vec::new();
        if news && before.root.id != snapshot.root.id {
            self.differences(&before, &snapshot, &mut moved).await?;
        }
        loop {
            match blocking_here(|| self.try_swap(&snapshot, &links, taken, settle, may)) {
                Err(WorkspaceError::Miss(miss)) => self.fetch(&miss).await?,
                Ok(false) => return Ok(false),
                outcome => break outcome.map(drop)?,
            }
        }
        blocking_here(|| self.shared.make_durable())?;
        moved.extend(settle.keys().map(|path| (path.clone(), Moved::Name)));
        moved.extend(settle.keys().map(|path| (path.clone(), Moved::Attributes)));
        self.tell(&moved).await?;
        Ok(true)
    }

    fn try_swap(
        &self,
        snapshot: &Arc<Snapshot>,
        links: &Arc<LinkIndex>,
        taken: Option<&Taken>,
        settle: &Settlements,
        may: May<'_>,
    ) -> Result<bool> {
        // Data before view: what is opened from here on is not locked, and then stays staged.
        let mut files: Vec<Arc<FileState>> =
            self.shared.state.lock().open.values().map(|open| open.state.clone()).collect();
        files.sort_by_key(|file| file.ino);
        let mut locked: Vec<_> = files.iter().map(|file| (file.ino, file.data.write())).collect();
        let inos: HashSet<u64> = files.iter().map(|file| file.ino).collect();
        let state = &mut *self.shared.state.lock();
        state.look_at_all()?;
        if !may(state)? {
            return Ok(false);
        }
        let mut run = Rebase::new(taken, settle, &inos);
        state.rebase(snapshot, links, &mut run)?;
        for (ino, entry) in run.cleared {
            if let Some(open) = state.open.get_mut(&ino) {
                open.entry = Some(entry.clone());
            }
            if let Ok(at) = locked.binary_search_by_key(&ino, |(ino, _)| *ino)
                && matches!(*locked[at].1, Data::Staged(_))
            {
                *locked[at].1 = Data::Base(entry);
            }
        }
        Ok(true)
    }

    async fn differences(&self, before: &Snapshot, after: &Snapshot, moved: &mut Vec<(TreePath, Moved)>) -> Result<()> {
        let mut visit = |change: Change| {
            let what = match &change {
                Change::Modified { old, new, .. }
                    if new.kind() == Kind::Dir || old.content_key() == new.content_key() =>
                {
                    Moved::Attributes
                }
                _ => Moved::Name,
            };
            moved.push((change.path().clone(), what));
            ControlFlow::Continue(())
        };
        let options = DiffOptions { renames: false, directory_times: true, shallow: true };
        let (old, new) = (Some(&before.root.entry), Some(&after.root.entry));
        Ok(diff(&self.shared.objects, old, new, options, &mut visit).await?)
    }

    /// Tells the observer about those of the paths that somebody holds.
    async fn tell(&self, moved: &[(TreePath, Moved)]) -> Result<()> {
        let observer = self.shared.observer.lock().clone();
        let Some(observer) = observer else { return Ok(()) };
        let mut told = Vec::new();
        for (path, what) in moved {
            let told_of = self.with_fetch(|workspace| workspace.shared.state.lock().invalidation(path, what)).await?;
            told.extend(told_of);
        }
        if !told.is_empty() {
            observer.changed(&told);
        }
        Ok(())
    }

    /// Tells the observer that a name and all below it changed without a call of the kernel's.
    pub(super) async fn tell_of(&self, path: &TreePath) -> Result<()> {
        self.tell(&[(path.clone(), Moved::Name)]).await
    }

    /// Drops the staged changes at these paths and below: the base shows again.
    pub async fn drop_changes(&self, paths: &[TreePath]) -> Result<()> {
        let staged = self.status().await?;
        let settle = paths.iter().map(|path| (path.clone(), Settle::Theirs)).collect();
        self.rebase(self.base(), &settle).await?;
        // Each name below on its own: of those in use the kernel would keep what it knows when a name above goes.
        let names = staged.iter().flat_map(|change| match change {
            Change::Renamed { from, path, .. } => vec![from, path],
            Change::Added { path, .. } | Change::Deleted { path, .. } | Change::Modified { path, .. } => vec![path],
        });
        let dropped = names.filter(|name| paths.iter().any(|path| name.starts_with(path)));
        let moved: Vec<_> =
            dropped.flat_map(|name| [(name.clone(), Moved::Name), (name.clone(), Moved::Attributes)]).collect();
        self.tell(&moved).await?;
        if !self.shared.state.lock().any_change()? {
            self.forget_sources()?;
        }
        Ok(())
    }
}

impl State {
    fn invalidation(&mut self, path: &TreePath, what: &Moved) -> Result<Option<Invalidation>> {
        match (what, path.split_last()) {
            (Moved::Name, Some((parent, name))) => {
                let parent = self.find_path(&parent)?.map(|parent| parent.ino());
                let held = parent.filter(|&parent| self.live.is_live(parent));
                Ok(held.map(|parent| Invalidation::Entry { parent, name: name.to_vec() }))
            }
            _ => {
                let ino = self.find_path(path)?.map(|inode| inode.ino());
                Ok(ino.filter(|&ino| self.live.is_live(ino)).map(|ino| Invalidation::Attributes { ino }))
            }
        }
    }

    /// Looks again at a staged file whose last writer is gone: is it still what a commit stored? Then the base has it,
    /// as this entry.
    pub fn look_again(&mut self, ino: u64) -> Result<Option<Arc<Entry>>> {
        let Some(node) = self.row(ino)?.filter(|node| node.staged && node.settled && node.nlink > 0) else {
            return Ok(None);
        };
        let Some(origin) = node.origin.clone() else { return Ok(None) };
        self.change(|state| {
            state.drop_file(ino)?;
            state.overlay.db.delete_extents(ino)?;
            state.overlay.db.delete_unsynced(ino)?;
            let mtime = origin.entry.meta.mtime;
            let ctime = state.ctime_of_staged(&node, mtime);
            let node = Node { staged: false, settled: false, under: None, mtime, ctime, ..(*node).clone() };
            state.put_row(node)?;
            Ok(())
        })?;
        if let Some(open) = self.open.get_mut(&ino) {
            open.entry = Some(origin.entry.clone());
        }
        Ok(Some(origin.entry))
    }
}
