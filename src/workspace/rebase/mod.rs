//! Putting what is staged on another base: after a commit landed, at a refresh, and to drop staged changes.
//!
//! Every row is looked at once, directories before what is in them. A row gets the entry of the new base that it is
//! now derived from; what it did not change itself it takes from there; what then differs in nothing is dropped, so
//! that the base shows through, and keeps its number.

mod numbers;
mod origin;
mod rows;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use super::base::{self, LinkIndex};
use super::error::WorkspaceError;
use super::state::{Result, State};
use super::taken::Taken;
use crate::model::entry::{Entry, Kind};
use crate::model::path::TreePath;
use crate::overlay::dirent::{Dirent, NamedDirent};
use crate::overlay::node::{Node, Origin, OriginPath};
use crate::repo::domain::Snapshot;

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
            state.count_subdirectories()?;
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
        let Some(origin) = origin else {
            return match node.kind {
                Kind::Dir if named.home => self.keep_what_is_staged(here, named, &node),
                _ => self.keep_without_base(here, named, &node),
            };
        };
        let adopted =
            Node { origin: Some(origin.clone()), ..self.adopt(run, &node, replaced.as_ref(), &origin, theirs)? };
        let goes = home && self.may_clear(run, &node, &adopted)?;
        if node.kind != Kind::Dir && node.nlink > 1 {
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
}
