//! The merge as a function of three maps, path by path, with nothing skipped; and small trees to try it on.

use std::collections::BTreeSet;

use meshfs::model::entry::{Entry, Kind, Meta};
use meshfs::model::merge::{ConflictKind, Side};
use meshfs::model::path::TreePath;
use proptest::prelude::*;

use crate::support::*;

/// What became of a merge by the reference.
#[derive(Default)]
pub struct Outcome {
    pub tree: Flat,
    pub conflicts: Vec<(TreePath, ConflictKind)>,
}

pub struct Reference<'a> {
    pub base: &'a Flat,
    pub ours: &'a Flat,
    pub theirs: &'a Flat,
    /// Who wins a conflict.
    pub strategy: Option<Side>,
}

fn is_dir(entry: &Entry) -> bool {
    entry.kind() == Kind::Dir
}

fn same_meta(a: &Meta, b: &Meta) -> bool {
    a.mode == b.mode && a.owner == b.owner && a.xattrs == b.xattrs
}

/// Same but times; of directories only what is theirs.
fn same(a: &Entry, b: &Entry) -> bool {
    same_meta(&a.meta, &b.meta) && a.kind() == b.kind() && (is_dir(a) || a.content_key() == b.content_key())
}

fn pick<T: PartialEq + Clone>(base: Option<&T>, ours: &T, theirs: &T) -> Option<T> {
    if ours == theirs || base == Some(ours) {
        return Some(theirs.clone());
    }
    (base == Some(theirs)).then(|| ours.clone())
}

fn pick_meta(base: Option<&Meta>, ours: &Meta, theirs: &Meta) -> Option<Meta> {
    let mtime = pick(base.map(|m| &m.mtime), &ours.mtime, &theirs.mtime);
    Some(Meta {
        mode: pick(base.map(|m| &m.mode), &ours.mode, &theirs.mode)?,
        owner: pick(base.map(|m| &m.owner), &ours.owner, &theirs.owner)?,
        xattrs: pick(base.map(|m| &m.xattrs), &ours.xattrs, &theirs.xattrs)?,
        mtime: mtime.unwrap_or(ours.mtime.max(theirs.mtime)),
    })
}

impl Reference<'_> {
    pub fn merge(&self) -> Outcome {
        let mut outcome = Outcome::default();
        self.at(&TreePath::root(), &mut outcome);
        outcome.conflicts.sort_by(|a, b| a.0.tree_order(&b.0));
        outcome
    }

    fn side(&self, side: Side) -> &Flat {
        match side {
            Side::Ours => self.ours,
            Side::Theirs => self.theirs,
        }
    }

    fn conflict(&self, at: &TreePath, outcome: &mut Outcome) -> Option<Side> {
        if self.strategy.is_none() {
            let (b, o, t) = (self.base.get(at), self.ours.get(at), self.theirs.get(at));
            outcome.conflicts.push((at.clone(), kind(b, o, t)));
        }
        self.strategy
    }

    /// A whole side at and below a path.
    fn take(&self, at: &TreePath, side: Side, outcome: &mut Outcome) {
        let all = self.side(side).iter().filter(|(path, _)| path.starts_with(at));
        outcome.tree.extend(all.map(|(path, entry)| (path.clone(), entry.clone())));
    }

    fn children(&self, at: &TreePath, of: &[&Flat]) -> BTreeSet<TreePath> {
        let all = of.iter().flat_map(|flat| flat.keys());
        all.filter(|path| path.split_last().is_some_and(|(parent, _)| parent == *at)).cloned().collect()
    }

    fn at(&self, at: &TreePath, outcome: &mut Outcome) {
        let (b, o, t) = (self.base.get(at), self.ours.get(at), self.theirs.get(at));
        match (o, t) {
            (None, None) => {}
            (Some(o), Some(t)) if is_dir(o) && is_dir(t) => {
                let base = b.filter(|b| is_dir(b)).map(|b| &b.meta);
                let meta = pick_meta(base, &o.meta, &t.meta).unwrap_or_else(|| match self.conflict(at, outcome) {
                    Some(Side::Ours) => o.meta.clone(),
                    _ => t.meta.clone(),
                });
                outcome.tree.insert(at.clone(), Entry { meta, content: o.content.clone() });
                for child in self.children(at, &[self.base, self.ours, self.theirs]) {
                    self.at(&child, outcome);
                }
            }
            (Some(o), Some(t)) if is_dir(o) != is_dir(t) => {
                let keeper = if is_dir(o) { Side::Ours } else { Side::Theirs };
                let other = if is_dir(o) { Side::Theirs } else { Side::Ours };
                self.file_and_directory(at, b, keeper, other, outcome);
            }
            (Some(o), Some(t)) => {
                let base = b.filter(|b| !is_dir(b));
                let key = |entry: &Entry| entry.content_key();
                let content = pick(base.map(key).as_ref(), &key(o), &key(t));
                let meta = pick_meta(base.map(|b| &b.meta), &o.meta, &t.meta);
                let merged = match (content, meta) {
                    (Some(content), Some(meta)) => {
                        let from = if key(o) == content { o } else { t };
                        Entry { meta, content: from.content.clone() }
                    }
                    _ => match self.conflict(at, outcome) {
                        Some(Side::Ours) => o.clone(),
                        _ => t.clone(),
                    },
                };
                outcome.tree.insert(at.clone(), merged);
            }
            (Some(kept), None) => self.one_sided(at, b, kept, Side::Ours, outcome),
            (None, Some(kept)) => self.one_sided(at, b, kept, Side::Theirs, outcome),
        }
    }

    fn one_sided(&self, at: &TreePath, b: Option<&Entry>, kept: &Entry, keeper: Side, outcome: &mut Outcome) {
        match b {
            None => self.take(at, keeper, outcome),
            Some(b) if is_dir(b) && is_dir(kept) => self.gone(at, keeper, outcome),
            Some(b) if same(b, kept) => {}
            Some(_) => {
                if self.conflict(at, outcome) == Some(keeper) {
                    self.take(at, keeper, outcome);
                }
            }
        }
    }

    /// A directory of base that only the keeper has still.
    fn gone(&self, at: &TreePath, keeper: Side, outcome: &mut Outcome) {
        let kept = &self.side(keeper)[at];
        if !same(&self.base[at], kept) && self.conflict(at, outcome) == Some(keeper) {
            return self.take(at, keeper, outcome);
        }
        let mut below = Outcome::default();
        for child in self.children(at, &[self.side(keeper)]) {
            let kept = &self.side(keeper)[&child];
            match self.base.get(&child) {
                Some(b) if is_dir(b) && is_dir(kept) => self.gone(&child, keeper, &mut below),
                Some(b) if same(b, kept) => {}
                _ => {
                    if self.strategy.is_none() {
                        let base = self.base.get(&child);
                        let (o, t) = match keeper {
                            Side::Ours => (Some(kept), None),
                            Side::Theirs => (None, Some(kept)),
                        };
                        below.conflicts.push((child.clone(), kind(base, o, t)));
                    }
                    if self.strategy == Some(keeper) {
                        self.take(&child, keeper, &mut below);
                    }
                }
            }
        }
        if !below.tree.is_empty() {
            outcome.tree.insert(at.clone(), kept.clone());
        }
        outcome.tree.extend(below.tree);
        outcome.conflicts.extend(below.conflicts);
    }

    fn file_and_directory(&self, at: &TreePath, b: Option<&Entry>, keeper: Side, other: Side, outcome: &mut Outcome) {
        let (dir_side, file_side) = (self.side(keeper), self.side(other));
        let clean = match b {
            Some(b) if is_dir(b) => {
                let unchanged = |path: &TreePath, entry: &Entry| self.base.get(path).is_some_and(|b| same(b, entry));
                let mut all = dir_side.iter().filter(|(path, _)| path.starts_with(at));
                // Its own mode, or anything in it.
                all.all(|(path, entry)| unchanged(path, entry)).then_some(other)
            }
            Some(b) => same(b, &file_side[at]).then_some(keeper),
            None => None,
        };
        let side = clean.or_else(|| self.conflict(at, outcome)).unwrap_or(Side::Theirs);
        self.take(at, side, outcome);
    }
}

pub fn kind(b: Option<&Entry>, o: Option<&Entry>, t: Option<&Entry>) -> ConflictKind {
    match (b, o, t) {
        (_, Some(o), Some(t)) if is_dir(o) && !is_dir(t) => ConflictKind::DirectoryFile,
        (_, Some(o), Some(t)) if !is_dir(o) && is_dir(t) => ConflictKind::FileDirectory,
        (Some(_), Some(_), Some(_)) => ConflictKind::ModifyModify,
        (Some(_), Some(_), None) => ConflictKind::ModifyDelete,
        (Some(_), None, _) => ConflictKind::DeleteModify,
        (None, Some(_), Some(_)) => ConflictKind::AddAdd,
        (None, Some(_), None) => ConflictKind::AddDelete,
        (None, None, _) => ConflictKind::DeleteAdd,
    }
}

/// A path of up to three names of three.
pub fn small_path() -> impl Strategy<Value = TreePath> {
    prop::collection::vec(prop::sample::select(vec!["a", "b", "c"]), 1..4).prop_map(|names| path(&names.join("/")))
}

pub fn small_entry() -> impl Strategy<Value = Entry> {
    let content = prop_oneof![
        4 => prop::sample::select(vec!["", "1", "2", "3"]).prop_map(file),
        1 => prop::sample::select(vec!["a", "b"]).prop_map(symlink),
        3 => Just(dir()),
    ];
    (content, prop::sample::select(vec![0o644u16, 0o644, 0o600]), 1i64..4, 0u32..5).prop_map(
        |(entry, mode, mtime, rare)| {
            let entry = at_time(with_mode(entry, mode), mtime);
            match rare {
                0 => with_owner(entry, 7),
                1 => with_xattr(entry, "user.x", "1"),
                _ => entry,
            }
        },
    )
}

/// Puts an entry, with directories on the way; nothing stays below what is no directory.
pub fn set(flat: &mut Flat, at: &TreePath, entry: Option<Entry>) {
    let keep_below = matches!((&entry, flat.get(at)), (Some(new), Some(old)) if is_dir(new) && is_dir(old));
    if !keep_below {
        flat.retain(|path, _| !path.starts_with(at));
    }
    let Some(entry) = entry else { return };
    let mut above = at.clone();
    while let Some((parent, _)) = above.split_last() {
        if flat.get(&parent).is_none_or(|entry| !is_dir(entry)) {
            flat.insert(parent.clone(), dir());
        }
        above = parent;
    }
    flat.insert(at.clone(), entry);
}

pub fn small_tree() -> impl Strategy<Value = Flat> {
    prop::collection::vec((small_path(), small_entry()), 0..10).prop_map(|entries| {
        let mut flat = flat(&[]);
        entries.into_iter().for_each(|(at, entry)| set(&mut flat, &at, Some(entry)));
        flat
    })
}

#[derive(Clone, Debug)]
enum Step {
    Set(TreePath, Entry),
    Remove(prop::sample::Index),
    Move(prop::sample::Index, TreePath),
    Mode(prop::sample::Index, u16),
    Touch(prop::sample::Index, i64),
    Write(prop::sample::Index, &'static str),
}

fn step() -> impl Strategy<Value = Step> {
    let any_path = any::<prop::sample::Index>;
    prop_oneof![
        (small_path(), small_entry()).prop_map(|(at, entry)| Step::Set(at, entry)),
        any_path().prop_map(Step::Remove),
        (any_path(), small_path()).prop_map(|(from, to)| Step::Move(from, to)),
        (any_path(), prop::sample::select(vec![0o644u16, 0o600, 0o700])).prop_map(|(at, mode)| Step::Mode(at, mode)),
        (any_path(), 1i64..6).prop_map(|(at, time)| Step::Touch(at, time)),
        (any_path(), prop::sample::select(vec!["1", "2", "4"])).prop_map(|(at, text)| Step::Write(at, text)),
    ]
}

/// The tree after a few changes.
pub fn variant(of: Flat) -> impl Strategy<Value = Flat> {
    prop::collection::vec(step(), 0..5).prop_map(move |steps| {
        let mut flat = of.clone();
        steps.into_iter().for_each(|step| take_step(&mut flat, step));
        flat
    })
}

fn take_step(flat: &mut Flat, step: Step) {
    let all: Vec<_> = flat.keys().cloned().collect();
    match step {
        Step::Set(at, entry) => set(flat, &at, Some(entry)),
        Step::Remove(index) => {
            let at = index.get(&all);
            if !at.is_root() {
                set(flat, at, None);
            }
        }
        Step::Move(index, to) => {
            let from = index.get(&all);
            if from.is_root() || to.starts_with(from) || from.starts_with(&to) {
                return;
            }
            let moved: Vec<_> =
                all.iter().filter_map(|path| Some((path.strip_prefix(from)?.under(&to), flat[path].clone()))).collect();
            set(flat, from, None);
            set(flat, &to, None);
            moved.into_iter().for_each(|(at, entry)| set(flat, &at, Some(entry)));
        }
        Step::Mode(index, mode) => flat.get_mut(index.get(&all)).unwrap().meta.mode = mode,
        Step::Touch(index, time) => flat.get_mut(index.get(&all)).unwrap().meta.mtime.0 = time,
        Step::Write(index, text) => {
            let entry = flat.get_mut(index.get(&all)).unwrap();
            if entry.kind() == Kind::File {
                entry.content = file(text).content;
            }
        }
    }
}
