//! Putting what a commit has into the working tree, as staged changes.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::attr::NewNode;
use super::commit::SOURCES_KEY;
use super::error::WorkspaceError;
use super::state::{Inode, Result, State, derived_node};
use super::view::Workspace;
use crate::model::entry::{Entry, Kind};
use crate::model::path::TreePath;
use crate::model::source::lookup;
use crate::overlay::node::{Origin, OriginPath};
use crate::repo::domain::Snapshot;
use crate::repo::tree::walk::Listing;

/// Mode of directories that are made on the way.
const DIR_MODE: u16 = 0o755;

/// Names listed in one step.
const STEP: usize = 512;

impl Workspace {
    /// Makes `to` (and all below) what `from` is in a commit of the same domain; where that has nothing, deletes it.
    /// No content is copied.
    pub async fn restore(&self, source: &Snapshot, from: &TreePath, to: &TreePath) -> Result<()> {
        let _verb = self.shared.verb.lock().await;
        let entry = lookup(&self.shared.objects, &source.root.entry, from).await?;
        self.note_source(source)?;
        if !to.is_root() {
            return self.restore_one(entry, to).await;
        }
        let entry = entry.filter(|entry| entry.kind() == Kind::Dir).ok_or(WorkspaceError::NotDirectory)?;
        for name in self.names_of_both(&entry).await? {
            let child = lookup(&self.shared.objects, &entry, &TreePath::root().join(&name)).await?;
            self.restore_one(child, &TreePath::root().join(&name)).await?;
        }
        Ok(())
    }

    /// The commit must stay alive until what was taken from it is committed.
    fn note_source(&self, source: &Snapshot) -> Result<()> {
        let state = self.shared.state.lock();
        let mut kept = state.overlay.db.meta(SOURCES_KEY)?.unwrap_or_default();
        let line = format!("{}\n", source.commit.id);
        if !String::from_utf8_lossy(&kept).contains(&line) {
            kept.extend_from_slice(line.as_bytes());
            state.overlay.db.set_meta(SOURCES_KEY, &kept)?;
        }
        Ok(())
    }

    async fn names_of_both(&self, entry: &Entry) -> Result<BTreeSet<Vec<u8>>> {
        let mut names = BTreeSet::new();
        if let Some(dir) = entry.as_dir() {
            let mut listing = Listing::open(&self.shared.objects, dir).await?;
            loop {
                let some = listing.next_batch(&self.shared.objects, STEP).await?;
                if some.is_empty() {
                    break;
                }
                names.extend(some.into_iter().map(|found| found.name));
            }
        }
        let root = self.root_ino();
        let mut after: Option<Vec<u8>> = None;
        loop {
            let some = self.with_fetch(|this| this.readdir(root, after.as_deref(), STEP)).await?;
            let Some(last) = some.last() else { return Ok(names) };
            after = Some(last.name.clone());
            names.extend(some.into_iter().map(|listed| listed.name));
        }
    }

    async fn restore_one(&self, entry: Option<Entry>, to: &TreePath) -> Result<()> {
        if self.is_base(entry.as_ref(), to).await? {
            self.drop_changes(std::slice::from_ref(to)).await?;
            if self.with_fetch(|this| this.shared.state.lock().shows(to, entry.is_some())).await? {
                return Ok(());
            }
        }
        let entry = entry.map(Arc::new);
        let made = self.with_fetch(|this| this.shared.state.lock().first_missing(to)).await?;
        self.with_fetch(|this| this.shared.state.lock().put_restored(to, entry.as_ref())).await?;
        // A directory made on the way is news as well: the kernel may hold that there is none.
        if let Some(made) = made.filter(|made| made != to) {
            self.tell_of(&made).await?;
        }
        self.tell_of(to).await
    }

    /// Has the base the very same there?
    async fn is_base(&self, entry: Option<&Entry>, path: &TreePath) -> Result<bool> {
        let base = lookup(&self.shared.objects, &self.base().root.entry, path).await?;
        Ok(match (entry, base) {
            (Some(entry), Some(base)) => entry.same(&base),
            (entry, base) => entry.is_none() && base.is_none(),
        })
    }
}

impl State {
    /// Is there something at the path, or nothing, as expected?
    fn shows(&mut self, path: &TreePath, something: bool) -> Result<bool> {
        Ok(self.find_path(path)?.is_some() == something)
    }

    /// The first name on the way to the path, itself included, that leads to nothing.
    fn first_missing(&mut self, path: &TreePath) -> Result<Option<TreePath>> {
        let mut here = TreePath::root();
        for name in path.names() {
            here = here.join(name);
            if self.find_path(&here)?.is_none() {
                return Ok(Some(here));
            }
        }
        Ok(None)
    }

    /// Puts an entry of another commit in the place of whatever is at the path; none: takes that away.
    fn put_restored(&mut self, path: &TreePath, entry: Option<&Arc<Entry>>) -> Result<()> {
        let Some((parent, name)) = path.split_last() else { return Ok(()) };
        let Some(parent) = self.dir_on_the_way(&parent, entry.is_some())? else { return Ok(()) };
        self.change(|state| {
            let (dir, row) = state.dir_for_change(parent)?;
            let mut more_dirs = 0;
            if let Some(child) = state.child(&dir, name)? {
                more_dirs -= i32::from(child.kind() == Kind::Dir);
                match &child {
                    Inode::Staged(node) if node.kind == Kind::Dir => state.drop_staged(row.ino, name, node.ino)?,
                    child => state.drop_name(&row, name, child)?,
                }
                state.remove_name(&row, name)?;
            }
            if let Some(entry) = entry {
                let ino = state.fresh_ino()?;
                let origin = Origin { path: OriginPath::foreign(ino), entry: entry.clone() };
                let node = state.put_row(derived_node(ino, origin))?;
                state.put_name(&row, name, &node)?;
                more_dirs += i32::from(node.kind == Kind::Dir);
            }
            state.touch_dir(parent, more_dirs)
        })
    }

    /// The directory at the path, made with those above it if `make`.
    fn dir_on_the_way(&mut self, path: &TreePath, make: bool) -> Result<Option<u64>> {
        let mut here = self.resolve(self.root)?;
        for name in path.names() {
            here = match self.child(&here, name)? {
                Some(child) if child.kind() == Kind::Dir => child,
                Some(_) if make => return Err(WorkspaceError::NotDirectory),
                None if make => self.create(here.ino(), name, &NewNode::Dir, DIR_MODE, None)?,
                _ => return Ok(None),
            };
        }
        // What is changed needs a row, and what has one needs none of its directories to be held.
        self.change(|state| state.materialise(&here).map(|node| Some(node.ino)))
    }
}
