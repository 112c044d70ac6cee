//! Inode numbers across a move to another base.

use std::collections::BTreeMap;

use super::super::base::{self, LinkIndex};
use super::super::number::{self, Seeds};
use super::super::state::{Result, State};
use super::super::taken::Taken;
use crate::model::path::TreePath;
use crate::overlay::node::OriginPath;
use crate::overlay::number::Kept;

impl State {
    /// What a commit moved keeps its numbers, and what comes to be where it was gets others.
    pub(super) fn move_seeds(&mut self, taken: &Taken) -> Result<()> {
        let random = self.sys.random.clone();
        let now = moved_seeds(&self.seeds, taken, &mut || OriginPath::foreign(random.number()));
        for (path, _) in self.seeds.iter().filter(|(path, _)| now.get(path).is_none()) {
            self.overlay.db.delete_seed(path)?;
        }
        for (path, seed) in now.iter().filter(|(path, seed)| self.seeds.get(path) != Some(*seed)) {
            self.overlay.db.put_seed(path, seed)?;
        }
        self.seeds = now;
        Ok(())
    }

    /// Several names of one file have their number from the first, which may be another one now.
    pub(super) fn keep_link_numbers(&mut self, taken: Option<&Taken>, links: &LinkIndex, seeds: &Seeds) -> Result<()> {
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
            let kept = self.overlay.db.kept(&seed, &mark)?;
            let kept = kept.unwrap_or_else(|| Kept { ino: self.numbering.number(&seed, &mark, 0), ctime: None });
            if self.row(kept.ino)?.is_none() {
                self.keep_number(&now, &mark, kept)?;
            }
        }
        Ok(())
    }
}

/// The seeds after a commit. No two paths ever have the same: a seed goes where its directory goes, and whatever comes
/// to be where a directory was has a fresh one.
fn moved_seeds(before: &Seeds, taken: &Taken, fresh: &mut dyn FnMut() -> OriginPath) -> Seeds {
    let of_base = OriginPath::of_base;
    let came_from: BTreeMap<&TreePath, &TreePath> = taken.moved.iter().map(|(was, now)| (now, was)).collect();
    let mut after = Seeds::default();
    for (path, seed) in before.iter() {
        let Some(was) = path.base_path() else { continue };
        let now = taken.map(&was);
        // Left over from something that another directory came in the place of.
        let replaced = now == was && nearest(&came_from, &was).is_some_and(|(now, was)| now != was);
        if !replaced {
            after.put(of_base(&now), seed.clone());
        }
    }
    for (was, now) in &taken.moved {
        if let Some(left) = left_behind(taken, was).filter(|left| left != now && !came_from.contains_key(left)) {
            after.put(of_base(&left), fresh());
        }
    }
    // Directories before what is in them.
    for (now, was) in &came_from {
        let seed = before.seed(&of_base(was));
        if after.seed(&of_base(now)) != seed {
            after.put(of_base(now), seed);
        }
    }
    for (path, foreign) in &taken.foreign {
        after.put(of_base(path), foreign.clone());
    }
    after
}

/// Where what was at `was` would be, had it gone along with the directory above; the topmost deleted one of those
/// above, when they were deleted. None for the root.
fn left_behind(taken: &Taken, was: &TreePath) -> Option<TreePath> {
    let (mut parent, mut name) = was.split_last().map(|(parent, name)| (parent, name.to_vec()))?;
    // What a thing was moved out of is touched, so it is among those moved unless it was deleted.
    while !taken.moved.contains_key(&parent) {
        (parent, name) = parent.split_last().map(|(above, name)| (above, name.to_vec()))?;
    }
    Some(taken.map(&parent).join(&name))
}

/// The nearest directory at or above `path` that the commit touched, with where it was.
fn nearest<'a>(
    came_from: &BTreeMap<&'a TreePath, &'a TreePath>,
    path: &TreePath,
) -> Option<(&'a TreePath, &'a TreePath)> {
    let mut above = Some(path.clone());
    while let Some(at) = above {
        if let Some((now, was)) = came_from.get_key_value(&at) {
            return Some((now, was));
        }
        above = at.split_last().map(|(parent, _)| parent);
    }
    None
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn path(text: &str) -> TreePath {
        TreePath::parse(text.as_bytes()).unwrap()
    }

    /// A directory: where the last commit has it, and the seed it had then.
    #[derive(Clone, Debug, Default)]
    struct Dir {
        committed: Option<(TreePath, OriginPath)>,
        touched: bool,
    }

    /// Directories by where they are.
    #[derive(Default)]
    struct Tree {
        seeds: Seeds,
        dirs: BTreeMap<TreePath, Dir>,
        fresh: u64,
    }

    impl Tree {
        /// Touches the directories above a path; false when they are not there.
        fn touch_above(&mut self, path: &TreePath) -> bool {
            let mut above = path.split_last().map(|(parent, _)| parent);
            while let Some(dir) = above.filter(|dir| !dir.is_root()) {
                match self.dirs.get_mut(&dir) {
                    Some(found) => found.touched = true,
                    None => return false,
                }
                above = dir.split_last().map(|(parent, _)| parent);
            }
            true
        }

        fn make(&mut self, path: TreePath) {
            if self.touch_above(&path) {
                self.dirs.entry(path).or_insert(Dir { committed: None, touched: true });
            }
        }

        fn remove(&mut self, path: &TreePath) {
            if self.touch_above(path) {
                self.dirs.retain(|at, _| !at.starts_with(path));
            }
        }

        fn rename(&mut self, from: &TreePath, to: &TreePath) {
            let possible = self.dirs.contains_key(from) && !self.dirs.contains_key(to) && !to.starts_with(from);
            if !possible || !self.touch_above(from) || !self.touch_above(to) {
                return;
            }
            let moved = |(at, dir): (TreePath, Dir)| match at.strip_prefix(from) {
                Some(rest) => (rest.under(to), Dir { touched: dir.touched || rest.is_root(), ..dir }),
                None => (at, dir),
            };
            self.dirs = std::mem::take(&mut self.dirs).into_iter().map(moved).collect();
        }

        fn commit(&mut self) {
            let mut taken = Taken::default();
            taken.moved.insert(TreePath::root(), TreePath::root());
            for (now, dir) in self.dirs.iter().filter(|(_, dir)| dir.touched) {
                taken.moved.extend(dir.committed.iter().map(|(was, _)| (was.clone(), now.clone())));
            }
            let mut fresh = self.fresh;
            self.seeds = moved_seeds(&self.seeds, &taken, &mut || {
                fresh += 1;
                OriginPath::foreign(fresh)
            });
            self.fresh = fresh;
            let mut seen = BTreeSet::new();
            for (now, dir) in &mut self.dirs {
                let seed = self.seeds.seed(&OriginPath::of_base(now));
                if let Some((_, before)) = &dir.committed {
                    assert_eq!(seed, *before, "{now} keeps its seed");
                }
                assert!(seen.insert(seed.clone()), "{now} has the seed of another: {seed:?}");
                *dir = Dir { committed: Some((now.clone(), seed)), touched: false };
            }
        }
    }

    #[test]
    fn a_seed_goes_along_with_the_directory_above() {
        let mut tree = Tree::default();
        ["a", "a/b"].into_iter().for_each(|text| tree.make(path(text)));
        tree.commit();
        tree.rename(&path("a/b"), &path("z"));
        tree.make(path("a/b"));
        tree.commit();
        tree.rename(&path("a"), &path("x"));
        tree.commit();
        assert_eq!(tree.seeds.seed(&OriginPath::of_base(&path("z"))), OriginPath::of_base(&path("a/b")));
    }

    #[test]
    fn what_leaves_a_directory_that_moves_leaves_its_new_place() {
        let mut tree = Tree::default();
        ["a", "a/b"].into_iter().for_each(|text| tree.make(path(text)));
        tree.commit();
        tree.rename(&path("a/b"), &path("z"));
        tree.rename(&path("a"), &path("x"));
        tree.commit();
        tree.make(path("x/b"));
        tree.commit();
    }

    proptest! {
        #[test]
        fn directories_keep_seeds_of_their_own_wherever_they_move(
            steps in prop::collection::vec((0..8u8, "[ab](/[ab]){0,2}", "[ab](/[ab]){0,2}"), 1..60),
        ) {
            let mut tree = Tree::default();
            for (step, one, two) in steps {
                match step {
                    0..3 => tree.make(path(&one)),
                    3..6 => tree.rename(&path(&one), &path(&two)),
                    6 => tree.remove(&path(&one)),
                    _ => tree.commit(),
                }
            }
            tree.commit();
        }
    }
}
