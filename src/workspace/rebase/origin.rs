//! What a row is derived from in the new base, and what it takes from there.

use std::sync::Arc;

use super::super::base;
use super::super::state::{After, Result, State};
use super::{Rebase, Spot};
use crate::model::entry::{Entry, Kind, Owner};
use crate::model::path::TreePath;
use crate::model::time::Time;
use crate::overlay::dirent::{Dirent, NamedDirent};
use crate::overlay::node::{Node, Origin, OriginPath};
use crate::overlay::xattr::StagedValue;

/// Names of a directory looked at in one step.
const NAMES_PER_STEP: usize = 512;

/// Where the untouched name comes from when its directory keeps what it was renamed with (see `new_origin`).
fn inside_moved(here: &Spot<'_>, named: &NamedDirent) -> Option<OriginPath> {
    let parent = here.origin.filter(|parent| named.home && parent.path.base_path().is_none())?;
    Some(parent.path.child(&named.name))
}

/// What a row's fields are compared with to see whether they were changed here.
struct Reference {
    mode: u16,
    owner: Option<Owner>,
    mtime: Time,
}

impl State {
    /// The new base has nothing at the row's origin: what it had of it stays all the same.
    pub(super) fn keep_without_base(&mut self, here: &Spot<'_>, named: &NamedDirent, node: &Node) -> Result<()> {
        let origin =
            node.origin.as_ref().map(|old| Origin { path: OriginPath::foreign(node.ino), entry: old.entry.clone() });
        self.put_row(Node { origin, settled: false, ..node.clone() })?;
        Ok(self.overlay.db.put_dirent(here.ino, &named.name, Dirent::Ino(node.ino), false)?)
    }

    /// The new base has no directory where the old one had this: what was untouched in it went with it.
    pub(super) fn keep_what_is_staged(&mut self, here: &Spot<'_>, named: &NamedDirent, node: &Node) -> Result<()> {
        if !self.overlay.db.any_dirent(node.ino)? && !self.differs_but_for_times(node)? {
            return self.drop_staged(here.ino, &named.name, node.ino);
        }
        let shown = node.origin.iter().filter(|_| !node.own_xattrs).flat_map(|origin| &origin.entry.meta.xattrs);
        for xattr in shown {
            self.overlay.db.put_xattr(node.ino, &xattr.name, &StagedValue::Base(xattr.value.clone()))?;
        }
        self.put_row(Node { origin: None, own_xattrs: true, settled: false, ..node.clone() })?;
        Ok(self.overlay.db.put_dirent(here.ino, &named.name, Dirent::Ino(node.ino), false)?)
    }

    /// Was the row, which the base had, touched without changing anything but times, nor anything below it?
    pub(super) fn is_unchanged_below(&mut self, node: &Node) -> Result<bool> {
        let of_the_base = node.origin.as_ref().is_some_and(|origin| origin.path.base_path().is_some());
        if !of_the_base || (node.dirty && self.differs_but_for_times(node)?) {
            return Ok(false);
        }
        if node.kind != Kind::Dir {
            return Ok(!node.staged || node.settled);
        }
        for named in self.overlay.db.dirents(node.ino, None, usize::MAX)? {
            let Dirent::Ino(ino) = named.dirent else { return Ok(false) };
            let Some(child) = self.row(ino)? else { return Ok(false) };
            if !named.home || !self.is_unchanged_below(&child)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Staged bytes that were the old base's, as a commit left them, and are not the new one's.
    pub(super) fn is_outdated(&self, run: &Rebase<'_>, node: &Node, new: Option<&Origin>) -> bool {
        let content = |origin: &Origin| origin.entry.content_key();
        let taken = run.taken.is_some_and(|taken| taken.changes.contains_key(&node.ino));
        node.settled && !taken && node.origin.as_ref().map(content) != new.map(content)
    }

    /// Content that comes from the base and changes with it is another inode: who has the old one open keeps it.
    pub(super) fn replace_if_other_content(&mut self, node: &Arc<Node>, new: Option<&Origin>) -> Result<Arc<Node>> {
        let (Some(old), Some(new)) = (&node.origin, new) else { return Ok(node.clone()) };
        if node.kind == Kind::Dir || node.staged || old.entry.content_key() == new.entry.content_key() {
            return Ok(node.clone());
        }
        let ino = self.fresh_ino()?;
        let xattrs = self.overlay.db.xattrs(node.ino)?;
        let replacement = self.put_row(Node { ino, ..(**node).clone() })?;
        for (name, value) in xattrs {
            self.overlay.db.put_xattr(ino, &name, &value)?;
        }
        self.overlay.db.rename_ino(node.ino, ino)?;
        self.put_row(Node { nlink: 0, ..(**node).clone() })?;
        self.then(After::Orphan(node.ino));
        Ok(replacement)
    }

    /// What the row is derived from in the new base: none when that has nothing of the kind there.
    pub(super) fn new_origin(
        &self,
        run: &Rebase<'_>,
        here: &Spot<'_>,
        named: &NamedDirent,
        node: &Node,
        below: Option<Entry>,
    ) -> Result<Option<Origin>> {
        let committed = run.taken.and_then(|taken| taken.paths.get(&node.ino)).cloned();
        let mapped = |path: TreePath| run.taken.map_or_else(|| path.clone(), |taken| taken.map(&path));
        let path = match (&node.origin, committed) {
            (_, Some(path)) => path,
            (Some(origin), None) if let Some(path) = inside_moved(here, named) => {
                return Ok(Some(Origin { path, entry: origin.entry.clone() }));
            }
            (Some(origin), None) => match origin.path.base_path() {
                Some(path) => mapped(path),
                // Put here from elsewhere, and nothing of it is in any base yet.
                None => return Ok(Some(origin.clone())),
            },
            // Made here, and there too: the two become one, as far as names go. What has no bytes of its own to show
            // must not show those.
            (None, None) => {
                let may_share = node.kind == Kind::Dir || node.staged;
                let entry = below.filter(|entry| may_share && entry.kind() == node.kind).map(Arc::new);
                let path = here.origin.map(|origin| origin.path.child(&named.name));
                return Ok(entry.zip(path).map(|(entry, path)| Origin { path, entry }));
            }
        };
        let entry = base::find_path(&self.objects, &self.snapshot.root.entry, &path)?;
        if let (Some(old), Some(entry), false) = (&node.origin, &entry, run.took(node.ino))
            && !(old.entry.same_but_times(entry)
                && (node.kind == Kind::Dir || old.entry.meta.mtime == entry.meta.mtime))
            && !named.home
            && self.overlay.db.home_names_of(node.ino)?.is_empty()
        {
            // It was renamed here and changed there: it stays what was renamed, as the merge has it.
            return Ok(Some(Origin { path: OriginPath::foreign(node.ino), entry: old.entry.clone() }));
        }
        let path = OriginPath::of_base(&path);
        Ok(entry
            .filter(|entry| entry.kind() == node.kind)
            .map(|entry| Origin { path: self.canonical(&path, &entry), entry: Arc::new(entry) }))
    }

    /// What of its kind the base had at the place of something new: names of it that are not here were deleted here.
    pub(super) fn replaced(
        &mut self,
        run: &Rebase<'_>,
        here: &Spot<'_>,
        named: &NamedDirent,
        node: &Node,
        below: Option<&Entry>,
    ) -> Result<Option<Entry>> {
        if node.origin.is_some() || run.took(node.ino) {
            return Ok(None);
        }
        // Made after the commit looked: whatever the commit has there was replaced.
        let before = match run.taken {
            Some(_) => below.cloned(),
            None => {
                let parent = self.row(here.ino)?;
                let origin = parent.as_ref().and_then(|parent| parent.origin.as_ref());
                match origin.and_then(|origin| origin.entry.as_dir()) {
                    Some(dir) => base::find(&self.objects, dir, &named.name)?,
                    None => None,
                }
            }
        };
        Ok(before.filter(|entry| entry.kind() == node.kind))
    }

    /// Lets nothing of the new base show in a directory that was deleted there and made again here.
    pub(super) fn hide(&mut self, ino: u64, before: &Entry, now: &Entry) -> Result<()> {
        let (Some(before), Some(now)) = (before.as_dir(), now.as_dir()) else { return Ok(()) };
        let mut after = Vec::new();
        loop {
            let names = base::list(&self.objects, before, &after, NAMES_PER_STEP)?;
            let Some(last) = names.last() else { return Ok(()) };
            after = last.name.clone();
            for found in names {
                let shows = base::find(&self.objects, now, &found.name)?.is_some();
                if shows && self.overlay.db.dirent(ino, &found.name)?.is_none() {
                    self.overlay.db.put_dirent(ino, &found.name, Dirent::Whiteout, false)?;
                }
            }
        }
    }

    /// The row with what was not changed here taken from its new origin.
    pub(super) fn adopt(
        &mut self,
        run: &Rebase<'_>,
        node: &Node,
        replaced: Option<&Entry>,
        new: &Origin,
        theirs: bool,
    ) -> Result<Node> {
        let taken = run.taken.and_then(|taken| taken.nodes.get(&node.ino));
        let before = node.origin.as_ref().map(|old| &*old.entry).or(replaced).map(|entry| &entry.meta);
        let reference = match (taken, before) {
            (Some(taken), _) => Some(Reference { mode: taken.mode, owner: taken.owner, mtime: taken.mtime }),
            (None, Some(meta)) => Some(Reference { mode: meta.mode, owner: meta.owner, mtime: meta.mtime }),
            (None, None) => None,
        };
        let meta = &new.entry.meta;
        let mut node = node.clone();
        // It has no attributes, or its own, and none of a base that it was not made from.
        node.own_xattrs |= node.origin.is_none() && taken.is_none();
        let same = |same: fn(&Node, &Reference) -> bool, node: &Node| {
            theirs || reference.as_ref().is_some_and(|reference| same(node, reference))
        };
        if same(|node, old| node.mode == old.mode, &node) {
            node.mode = meta.mode;
        }
        if same(|node, old| node.owner == old.owner, &node) {
            node.owner = meta.owner;
        }
        if same(|node, old| node.mtime == old.mtime, &node) {
            node.mtime = meta.mtime;
        }
        let committed_xattrs = run.taken.and_then(|taken| taken.xattrs.get(&node.ino));
        if node.own_xattrs && (theirs || committed_xattrs.is_some_and(|committed| self.has_xattrs(&node, committed))) {
            self.overlay.db.delete_xattrs(node.ino)?;
            node.own_xattrs = false;
        }
        Ok(node)
    }

    pub(super) fn has_xattrs(&self, node: &Node, expected: &[(Vec<u8>, StagedValue)]) -> bool {
        self.overlay.db.xattrs(node.ino).is_ok_and(|xattrs| xattrs == expected)
    }
}
