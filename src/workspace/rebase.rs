//! Putting what is staged on another base: after a commit landed, at a refresh, and to drop staged changes.
//!
//! Every row is looked at once, directories before what is in them. A row gets the entry of the new base that it is
//! now derived from; what it did not change itself it takes from there; what then differs in nothing is dropped, so
//! that the base shows through, and keeps its number.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use super::base::{self, LinkIndex};
use super::contents::unsent_xattr;
use super::error::WorkspaceError;
use super::live::Place;
use super::number::{self, Seeds};
use super::state::{After, Result, State};
use super::taken::Taken;
use crate::model::entry::{Entry, Kind, Owner, Xattr};
use crate::model::path::TreePath;
use crate::model::time::Time;
use crate::overlay::dirent::{Dirent, NamedDirent};
use crate::overlay::node::{Node, Origin, OriginPath};
use crate::overlay::xattr::StagedValue;
use crate::repo::domain::Snapshot;

/// Names of a directory looked at in one step.
const NAMES_PER_STEP: usize = 512;

/// What becomes of the staged changes at one path.
#[derive(Clone, Debug)]
pub enum Settle {
    /// Drop them, with all below: the new base shows.
    Theirs,
    /// Put this in their place: neither theirs nor what is staged.
    Blend(Entry),
}

/// Decisions by path as it is in the working tree.
pub type Settlements = BTreeMap<TreePath, Settle>;

/// One run over all rows.
pub struct Rebase<'a> {
    pub taken: Option<&'a Taken>,
    pub settle: &'a Settlements,
    /// Open files whose data is locked by the caller, so that they may change what they are.
    pub locked: &'a HashSet<u64>,
    /// Files without a row from now on, with what they are.
    pub cleared: Vec<(u64, Arc<Entry>)>,
    /// Files met under one of several names: the row they have now, and whether it goes.
    met: HashMap<u64, (Arc<Node>, bool)>,
    /// Files whose names the new base may have more of.
    linked: Vec<u64>,
}

impl<'a> Rebase<'a> {
    pub fn new(taken: Option<&'a Taken>, settle: &'a Settlements, locked: &'a HashSet<u64>) -> Rebase<'a> {
        Rebase { taken, settle, locked, cleared: Vec::new(), met: HashMap::new(), linked: Vec::new() }
    }

    /// Is the inode part of the commit?
    fn took(&self, ino: u64) -> bool {
        self.taken.is_some_and(|taken| taken.nodes.contains_key(&ino))
    }
}

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

/// A directory of the walk: its row, and what of the new base shows through it.
struct Spot<'a> {
    ino: u64,
    path: &'a TreePath,
    origin: Option<&'a Origin>,
}

impl State {
    /// Puts everything staged on `snapshot`. With a miss nothing is done.
    pub fn rebase(&mut self, snapshot: &Arc<Snapshot>, links: &Arc<LinkIndex>, run: &mut Rebase<'_>) -> Result<()> {
        let before = (self.snapshot.clone(), self.links.clone(), self.seeds.clone());
        self.snapshot = snapshot.clone();
        self.links = links.clone();
        let outcome = self.change(|state| {
            if let Some(taken) = run.taken {
                state.move_seeds(taken)?;
            }
            state.keep_link_numbers(run.taken, &before.1, &before.2)?;
            state.rebase_root(run)?;
            for ino in std::mem::take(&mut run.linked) {
                state.attach_links(ino)?;
            }
            let base = state.snapshot.commit.id.to_string();
            Ok(state.overlay.db.set_meta(super::view::BASE_KEY, base.as_bytes())?)
        });
        if outcome.is_err() {
            (self.snapshot, self.links, self.seeds) = before;
            run.cleared.clear();
        }
        outcome
    }

    fn rebase_root(&mut self, run: &mut Rebase<'_>) -> Result<()> {
        let node = self.row(self.root)?.ok_or(WorkspaceError::Stale)?;
        let path = TreePath::root();
        let origin = Origin { path: OriginPath::of_base(&path), entry: Arc::new(self.snapshot.root.entry.clone()) };
        let theirs = matches!(run.settle.get(&path), Some(Settle::Theirs));
        self.rebase_names(run, &Spot { ino: node.ino, path: &path, origin: Some(&origin) }, theirs)?;
        let node = self.adopt(run, &node, None, &origin, theirs)?;
        self.put_row(Node { origin: Some(origin), ..node }).map(drop)
    }

    /// Everything that the directory says of names. `theirs`: nothing staged here or below is to stay.
    fn rebase_names(&mut self, run: &mut Rebase<'_>, here: &Spot<'_>, theirs: bool) -> Result<()> {
        let names = self.overlay.db.dirents(here.ino, None, usize::MAX)?;
        let before = run.taken.and_then(|taken| taken.names.get(&here.ino));
        for named in &names {
            let below = match here.origin.and_then(|origin| origin.entry.as_dir()) {
                Some(dir) => base::find(&self.objects, dir, &named.name)?,
                None => None,
            };
            let path = here.path.join(&named.name);
            let theirs = theirs || matches!(run.settle.get(&path), Some(Settle::Theirs));
            match named.dirent {
                Dirent::Whiteout => {
                    let committed = before.and_then(|names| names.get(&named.name)) == Some(&Dirent::Whiteout);
                    if below.is_none() || committed || theirs {
                        self.overlay.db.delete_dirent(here.ino, &named.name)?;
                    }
                }
                Dirent::Ino(ino) => self.rebase_child(run, here, named, ino, below, &path, theirs)?,
            }
        }
        // What the commit has and was deleted or moved since must not come back.
        let still: HashSet<&[u8]> = names.iter().map(|named| named.name.as_slice()).collect();
        for (name, dirent) in before.into_iter().flatten() {
            if matches!(dirent, Dirent::Ino(_)) && !still.contains(name.as_slice()) {
                let dir = here.origin.and_then(|origin| origin.entry.as_dir());
                let shows = dir.map(|dir| base::find(&self.objects, dir, name)).transpose()?.flatten();
                if shows.is_some() {
                    self.overlay.db.put_dirent(here.ino, name, Dirent::Whiteout, false)?;
                }
            }
        }
        Ok(())
    }

    #[allow(clippy::too_many_arguments)] // One name has this many sides.
    fn rebase_child(
        &mut self,
        run: &mut Rebase<'_>,
        here: &Spot<'_>,
        named: &NamedDirent,
        ino: u64,
        below: Option<Entry>,
        path: &TreePath,
        theirs: bool,
    ) -> Result<()> {
        // Another of its names may have been dealt with, and with it this one, or the row.
        if self.overlay.db.dirent(here.ino, &named.name)? != Some(named.dirent) {
            return Ok(());
        }
        let Some(node) = self.row(ino)? else { return Ok(self.overlay.db.delete_dirent(here.ino, &named.name)?) };
        if let Some((node, goes)) = run.met.get(&ino).cloned() {
            return if goes { self.clear(run, here, named, &node) } else { self.put_again(here, named, &node) };
        }
        let replaced = self.replaced(run, here, named, &node, below.as_ref())?;
        let origin = self.new_origin(run, here, named, &node, below)?;
        if origin.is_none() && !theirs && self.is_unchanged_below(&node)? {
            return self.drop_staged(here.ino, &named.name, ino);
        }
        let home = self.is_home(here, named, origin.as_ref());
        let keeps_row = home && (node.kind == Kind::Dir || !node.staged);
        if theirs && !keeps_row || self.is_outdated(run, &node, origin.as_ref()) {
            return self.drop_staged(here.ino, &named.name, ino);
        }
        if let (Some(Settle::Blend(entry)), false) = (run.settle.get(path), theirs) {
            return self.blend(run, here, named, &node, origin, entry);
        }
        let node = self.replace_if_other_content(&node, origin.as_ref())?;
        if node.kind == Kind::Dir {
            if let (Some(replaced), Some(origin), false) = (&replaced, &origin, theirs) {
                self.hide(ino, replaced, &origin.entry)?;
            }
            self.rebase_names(run, &Spot { ino, path, origin: origin.as_ref() }, theirs)?;
        }
        let Some(origin) = origin else { return self.keep_without_base(here, named, &node) };
        let adopted =
            Node { origin: Some(origin.clone()), ..self.adopt(run, &node, replaced.as_ref(), &origin, theirs)? };
        let goes = home && self.may_clear(run, &node, &adopted)?;
        if node.nlink > 1 {
            run.met.insert(node.ino, (Arc::new(adopted.clone()), goes));
            run.linked.push(node.ino);
        }
        if goes {
            return self.clear(run, here, named, &adopted);
        }
        let committed = node.staged && run.taken.is_some_and(|taken| taken.is_unchanged(&node));
        let node = self.put_row(Node { settled: adopted.settled || committed, ..adopted })?;
        if node.kind != Kind::Dir && node.nlink == 1 {
            run.linked.push(node.ino);
        }
        self.put_again(here, named, &node)
    }

    fn put_again(&mut self, here: &Spot<'_>, named: &NamedDirent, node: &Node) -> Result<()> {
        let home = self.is_home(here, named, node.origin.as_ref());
        Ok(self.overlay.db.put_dirent(here.ino, &named.name, Dirent::Ino(node.ino), home)?)
    }

    fn is_home(&self, here: &Spot<'_>, named: &NamedDirent, origin: Option<&Origin>) -> bool {
        let (Some(origin), Some(parent)) = (origin, here.origin) else { return false };
        let path = parent.path.child(&named.name);
        path == origin.path || self.canonical(&path, &origin.entry) == origin.path
    }

    /// The new base has nothing at the row's origin: what it had of it stays all the same.
    fn keep_without_base(&mut self, here: &Spot<'_>, named: &NamedDirent, node: &Node) -> Result<()> {
        let origin =
            node.origin.as_ref().map(|old| Origin { path: OriginPath::foreign(node.ino), entry: old.entry.clone() });
        self.put_row(Node { origin, settled: false, ..node.clone() })?;
        Ok(self.overlay.db.put_dirent(here.ino, &named.name, Dirent::Ino(node.ino), false)?)
    }

    /// Was the row, which the base had, touched without changing anything, nor anything below it?
    fn is_unchanged_below(&mut self, node: &Node) -> Result<bool> {
        if node.origin.as_ref().is_none_or(|origin| origin.path.base_path().is_none()) || node.dirty {
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
    fn is_outdated(&self, run: &Rebase<'_>, node: &Node, new: Option<&Origin>) -> bool {
        let content = |origin: &Origin| origin.entry.content_key();
        let taken = run.taken.is_some_and(|taken| taken.changes.contains_key(&node.ino));
        node.settled && !taken && node.origin.as_ref().map(content) != new.map(content)
    }

    /// Content that comes from the base and changes with it is another inode: who has the old one open keeps it.
    fn replace_if_other_content(&mut self, node: &Arc<Node>, new: Option<&Origin>) -> Result<Arc<Node>> {
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
    fn new_origin(
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
            // Made here, and there too: the two become one, as far as names go.
            (None, None) => {
                let entry = below.filter(|entry| entry.kind() == node.kind).map(Arc::new);
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
    fn replaced(
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
    fn hide(&mut self, ino: u64, before: &Entry, now: &Entry) -> Result<()> {
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
    fn adopt(
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

    fn has_xattrs(&self, node: &Node, expected: &[(Vec<u8>, StagedValue)]) -> bool {
        self.overlay.db.xattrs(node.ino).is_ok_and(|xattrs| xattrs == expected)
    }

    /// Is there nothing about this row, which is where its new origin is, that the base does not say as well?
    fn may_clear(&mut self, run: &Rebase<'_>, node: &Node, adopted: &Node) -> Result<bool> {
        let committed = run.taken.is_some_and(|taken| taken.is_unchanged(node));
        if node.kind == Kind::Dir {
            let same =
                committed || adopted.mtime == adopted.origin.as_ref().map_or(adopted.mtime, |o| o.entry.meta.mtime);
            return Ok(same && !self.differs(adopted)? && !self.overlay.db.any_dirent(node.ino)?);
        }
        let in_use = self.open.get(&node.ino).is_some_and(|open| open.writers > 0 || !run.locked.contains(&node.ino));
        let path = adopted.origin.as_ref().and_then(|origin| origin.path.base_path());
        let names = path.and_then(|path| self.links.group(&path)).map_or(1, |group| group.0.len());
        let all_names =
            node.nlink as usize == names && (committed || self.overlay.db.home_names_of(node.ino)?.len() == names);
        let same = !node.staged && !self.differs(adopted)?;
        Ok(all_names && ((committed && !(node.staged && in_use)) || same))
    }

    /// Takes the row away under one of its names; with its last name it is gone, and its number kept.
    fn clear(&mut self, run: &mut Rebase<'_>, here: &Spot<'_>, named: &NamedDirent, node: &Node) -> Result<()> {
        self.overlay.db.delete_dirent(here.ino, &named.name)?;
        let Some(origin) = &node.origin else { return Ok(()) };
        if self.overlay.db.name_of(node.ino)?.is_some() {
            return Ok(());
        }
        let mark = number::content_mark(&origin.entry);
        self.keep_number(&origin.path, &mark, node.ino)?;
        self.delete_row(node.ino)?;
        if node.staged {
            self.then(After::RemoveFile(node.ino));
        }
        if node.kind != Kind::Dir {
            run.cleared.push((node.ino, origin.entry.clone()));
        }
        let name = named.name.clone().into_boxed_slice();
        self.then(After::Place(node.ino, Place::Base { parent: here.ino, name, mark }));
        Ok(())
    }

    /// Takes a staged thing away, with all below, as if it had never been there. Who has it open keeps it.
    pub(super) fn drop_staged(&mut self, dir: u64, name: &[u8], ino: u64) -> Result<()> {
        self.overlay.db.delete_dirent(dir, name)?;
        let Some(node) = self.row(ino)? else { return Ok(()) };
        if node.kind == Kind::Dir {
            for named in self.overlay.db.dirents(ino, None, usize::MAX)? {
                if let Dirent::Ino(child) = named.dirent {
                    self.drop_staged(ino, &named.name, child)?;
                }
            }
            self.overlay.db.delete_dirents(ino)?;
        }
        let mut left = self.overlay.db.names_of(ino)?;
        if !left.is_empty() && node.origin.is_some() {
            // All its names of the base go together: half of them would be another file.
            for (dir, name) in self.overlay.db.home_names_of(ino)? {
                self.overlay.db.delete_dirent(dir, &name)?;
            }
            left = self.overlay.db.names_of(ino)?;
        }
        let nlink = u32::try_from(left.len()).unwrap_or(u32::MAX);
        self.update_row(Node { nlink, ..(*node).clone() })?;
        if nlink == 0 {
            self.then(After::Orphan(ino));
        }
        Ok(())
    }

    /// Puts a merged entry in the place of what is staged.
    fn blend(
        &mut self,
        run: &mut Rebase<'_>,
        here: &Spot<'_>,
        named: &NamedDirent,
        node: &Node,
        origin: Option<Origin>,
        entry: &Entry,
    ) -> Result<()> {
        let path = here.path.join(&named.name);
        let theirs = origin.as_ref().is_some_and(|origin| origin.entry.content_key() == entry.content_key());
        let replaced = node.staged && theirs && node.kind != Kind::Dir;
        let ino = if replaced { self.fresh_ino()? } else { node.ino };
        if replaced {
            self.drop_staged(here.ino, &named.name, node.ino)?;
        } else if node.kind == Kind::Dir {
            self.rebase_names(run, &Spot { ino, path: &path, origin: origin.as_ref() }, false)?;
        }
        let blended = match &origin {
            Some(origin) if replaced => super::state::derived_node(ino, origin.clone()),
            _ => Node { origin: origin.clone(), ..node.clone() },
        };
        self.blend_xattrs(node.ino, ino, origin.as_ref(), &entry.meta.xattrs)?;
        let meta = &entry.meta;
        let blended = Node {
            mode: meta.mode,
            owner: meta.owner,
            mtime: meta.mtime,
            own_xattrs: true,
            settled: false,
            ctime: self.now(),
            ..blended
        };
        let home = self.is_home(here, named, origin.as_ref());
        self.put_row(blended)?;
        Ok(self.overlay.db.put_dirent(here.ino, &named.name, Dirent::Ino(ino), home)?)
    }

    /// Gives `to` the attributes of a merge, of whose long values only the ids count: their bytes are the base's, or
    /// what was set at `from`, which may be the only copy.
    fn blend_xattrs(&mut self, from: u64, to: u64, base: Option<&Origin>, merged: &[Xattr]) -> Result<()> {
        let staged: HashMap<_, _> = self.overlay.db.xattrs(from)?.into_iter().collect();
        let base = base.map(|origin| origin.entry.meta.xattrs.as_slice()).unwrap_or_default();
        self.overlay.db.delete_xattrs(to)?;
        for Xattr { name, value } in merged {
            let of_base = base.iter().find(|xattr| xattr.name == *name && xattr.value.same(value));
            let value = match (of_base, staged.get(name)) {
                (Some(xattr), _) => StagedValue::Base(xattr.value.clone()),
                (None, Some(StagedValue::Bytes(bytes))) if unsent_xattr(bytes.clone()).same(value) => {
                    StagedValue::Bytes(bytes.clone())
                }
                (None, _) => StagedValue::Base(value.clone()),
            };
            self.overlay.db.put_xattr(to, name, &value)?;
        }
        Ok(())
    }

    /// Names that the new base gives to the row's file and the row does not have yet.
    fn attach_links(&mut self, ino: u64) -> Result<()> {
        let Some(node) = self.row(ino)?.filter(|node| node.nlink > 0) else { return Ok(()) };
        let path = node.origin.as_ref().and_then(|origin| origin.path.base_path());
        let group = path.filter(|_| node.kind != Kind::Dir).and_then(|path| self.links.group(&path).cloned());
        let Some(group) = group else { return Ok(()) };
        for (parent, name) in group.0.iter().filter_map(TreePath::split_last) {
            let dir = match self.dir_of_origin(&parent) {
                // Deleted or moved here; the merge decided so.
                Err(WorkspaceError::NotFound | WorkspaceError::Stale) => continue,
                dir => dir?,
            };
            if self.overlay.db.dirent(dir.ino, name)?.is_none() {
                self.overlay.db.put_dirent(dir.ino, name, Dirent::Ino(node.ino), true)?;
            }
        }
        let nlink = u32::try_from(self.overlay.db.names_of(node.ino)?.len()).unwrap_or(u32::MAX);
        if nlink != node.nlink {
            self.update_row(Node { nlink, ..(*node).clone() })?;
        }
        Ok(())
    }

    /// What a commit moved keeps its numbers, and what comes to be where it was gets others.
    fn move_seeds(&mut self, taken: &Taken) -> Result<()> {
        let before = self.seeds.clone();
        for (was, now) in taken.moved.iter().filter(|(was, now)| was != now) {
            let Some((parent, name)) = was.split_last() else { continue };
            if taken.map(&parent).join(name) == *now {
                // Moved with the directory that holds it.
                continue;
            }
            let seed = before.seed(&OriginPath::of_base(was));
            self.put_seed(&OriginPath::of_base(now), seed)?;
            if !taken.moved.values().any(|now| now == was) {
                let fresh = OriginPath::foreign(self.sys.random.number());
                self.put_seed(&OriginPath::of_base(was), fresh)?;
            }
        }
        Ok(())
    }

    /// Several names of one file have their number from the first, which may be another one now.
    fn keep_link_numbers(&mut self, taken: Option<&Taken>, links: &LinkIndex, seeds: &Seeds) -> Result<()> {
        for group in links.groups() {
            let Some(was) = group.0.first() else { continue };
            let mapped = taken.map_or_else(|| was.clone(), |taken| taken.map(was));
            let now = self.canonical_path(&OriginPath::of_base(&mapped));
            if now == OriginPath::of_base(&mapped) {
                continue;
            }
            let seed = seeds.seed(&OriginPath::of_base(was));
            let Some(entry) = base::find_path(&self.objects, &self.snapshot.root.entry, &mapped)? else { continue };
            let mark = number::content_mark(&entry);
            let kept = self.overlay.db.number(&seed, &mark)?;
            let ino = kept.unwrap_or_else(|| self.numbering.number(&seed, &mark, 0));
            if self.row(ino)?.is_none() {
                self.keep_number(&now, &mark, ino)?;
            }
        }
        Ok(())
    }

    fn put_seed(&mut self, path: &OriginPath, seed: OriginPath) -> Result<()> {
        self.overlay.db.put_seed(path, &seed)?;
        self.seeds.put(path.clone(), seed);
        Ok(())
    }
}
