//! What a machine did, and what may be found of it after the power went.

use std::collections::BTreeMap;
use std::fmt::Write;

use meshfs::model::entry::Kind;

use super::disk::Manner;
use super::recovered::{Shown, ShownThing};

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Thing {
    Dir,
    File(usize),
    Symlink(String),
}

/// All names after a step, and the modes of files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree {
    pub names: BTreeMap<String, Thing>,
    pub modes: BTreeMap<usize, u16>,
}

/// Everything that one file ever was.
#[derive(Clone, Debug, Default)]
struct File {
    /// After which step, and what.
    versions: Vec<(usize, Vec<u8>)>,
    /// Steps after which what it was then survives.
    synced: Vec<usize>,
    /// Steps after which that holds if the names are of that step, or later.
    replaced_others: Vec<usize>,
    /// Steps that made it longer without bytes: a filesystem may know of the length before the bytes of an earlier write.
    lengthened: Vec<usize>,
}

/// Steps are counted from 1; 0 is where it all began.
#[derive(Clone, Debug, Default)]
pub struct Model {
    pub tree: Tree,
    files: Vec<File>,
    trees: Vec<Tree>,
    /// Steps after which all names survive.
    durable: Vec<usize>,
    commits: Vec<usize>,
}

impl Model {
    /// The step under way, or about to begin.
    pub fn step(&self) -> usize {
        self.trees.len()
    }

    /// The step is over.
    pub fn next(&mut self) {
        self.trees.push(self.tree.clone());
    }

    pub fn new_file(&mut self) -> usize {
        self.files.push(File { versions: vec![(self.step(), Vec::new())], ..File::default() });
        self.tree.modes.insert(self.files.len() - 1, 0o644);
        self.files.len() - 1
    }

    pub fn content(&self, id: usize) -> &[u8] {
        &self.files[id].versions.last().expect("a file begins empty").1
    }

    pub fn set_content(&mut self, id: usize, bytes: Vec<u8>) {
        let step = self.step();
        self.files[id].versions.push((step, bytes));
    }

    pub fn lengthened(&mut self, id: usize) {
        let step = self.step();
        self.files[id].lengthened.push(step);
    }

    pub fn synced_names(&mut self) {
        self.durable.push(self.step());
    }

    pub fn synced_file(&mut self, id: usize) {
        let step = self.step();
        self.files[id].synced.push(step);
    }

    pub fn replaced_another(&mut self, id: usize) {
        let step = self.step();
        self.files[id].replaced_others.push(step);
    }

    pub fn synced_all(&mut self) {
        self.synced_names();
        (0..self.files.len()).for_each(|id| self.synced_file(id));
    }

    pub fn committed(&mut self) {
        self.synced_all();
        self.commits.push(self.step());
    }

    /// Is this what may be found when `done` steps had returned, and the next had perhaps begun?
    pub fn check(&self, done: usize, manner: Manner, shown: &Shown) -> Result<(), String> {
        let least = self.durable.iter().copied().filter(|&step| step <= done).max().unwrap_or(0);
        let last = (done + 1).min(self.trees.len() - 1);
        let mut problems = String::new();
        for step in (least..=last).rev() {
            match self.check_tree(step, done, manner, shown) {
                Ok(()) => return Ok(()),
                Err(problem) => writeln!(problems, "not the tree after step {step}: {problem}").expect("memory"),
            }
        }
        Err(problems)
    }

    /// Is this what some commit has: the last that returned, or the one under way?
    pub fn check_committed(&self, done: usize, shown: &Shown) -> Result<(), String> {
        let acknowledged = self.commits.iter().copied().filter(|&step| step <= done).max();
        let under_way = self.commits.iter().copied().find(|&step| step == done + 1);
        let mut problems = String::new();
        for step in [under_way, acknowledged].into_iter().flatten() {
            match self.check_exactly(step, shown) {
                Ok(()) => return Ok(()),
                Err(problem) => writeln!(problems, "not the commit of step {step}: {problem}").expect("memory"),
            }
        }
        Err(problems)
    }

    fn check_exactly(&self, step: usize, shown: &Shown) -> Result<(), String> {
        let tree = &self.trees[step];
        same_names(tree, shown)?;
        for (path, thing) in &tree.names {
            let Thing::File(id) = thing else { continue };
            if self.version(*id, step) != shown[path].bytes {
                return Err(format!("{path} has other bytes"));
            }
        }
        Ok(())
    }

    fn version(&self, id: usize, step: usize) -> &[u8] {
        let versions = &self.files[id].versions;
        &versions.iter().rev().find(|(at, _)| *at <= step).expect("it was there by then").1
    }

    fn check_tree(&self, step: usize, done: usize, manner: Manner, shown: &Shown) -> Result<(), String> {
        let tree = &self.trees[step];
        same_names(tree, shown)?;
        for (path, thing) in &tree.names {
            if let Thing::File(id) = thing {
                self.check_bytes(*id, step, done, manner, &shown[path].bytes)
                    .map_err(|problem| format!("{path} (file {id}): {problem}"))?;
            }
        }
        Ok(())
    }

    /// Each byte must be what the file had there when it was last synced, or at some time since.
    fn check_bytes(&self, id: usize, step: usize, done: usize, manner: Manner, bytes: &[u8]) -> Result<(), String> {
        let file = &self.files[id];
        let synced = file.synced.iter().filter(|&&at| at <= done);
        let synced = synced.chain(file.replaced_others.iter().filter(|&&at| at <= step)).copied().max().unwrap_or(0);
        let first = file.versions.iter().rposition(|(at, _)| *at <= synced).unwrap_or(0);
        let versions: Vec<&[u8]> =
            file.versions[first..].iter().filter(|(at, _)| *at <= done + 1).map(|(_, bytes)| &bytes[..]).collect();
        let lens = || versions.iter().map(|version| version.len());
        let (shortest, longest) = (lens().min().unwrap_or(0), lens().max().unwrap_or(0));
        if !(shortest..=longest).contains(&bytes.len()) {
            return Err(format!("{} bytes; since step {synced} it had {shortest} to {longest}", bytes.len()));
        }
        // A disk that lets a file grow before its bytes are there shows zeros in what was added.
        let grows_first = !matches!(manner, Manner::Ordered | Manner::SomeFiles | Manner::Nothing)
            || file.lengthened.iter().any(|&at| at > synced && at <= done + 1);
        for (at, &byte) in bytes.iter().enumerate() {
            let had = versions.iter().any(|version| version.get(at) == Some(&byte));
            let added = at >= versions[0].len().min(shortest);
            let may_be_zero = added && grows_first;
            if !(had || byte == 0 && may_be_zero) {
                let values: Vec<_> = versions.iter().map(|version| version.get(at)).collect();
                return Err(format!("byte {at} is {byte}; since step {synced} it was {values:?}"));
            }
        }
        Ok(())
    }
}

/// Names, kinds, modes, and which names are one file.
fn same_names(tree: &Tree, shown: &Shown) -> Result<(), String> {
    if !tree.names.keys().eq(shown.keys()) {
        return Err(format!("{:?} instead of {:?}", shown.keys(), tree.names.keys()));
    }
    let mut inos = BTreeMap::new();
    for (path, thing) in &tree.names {
        let ShownThing { kind, mode, ino, bytes } = &shown[path];
        let same = match thing {
            Thing::Dir => *kind == Kind::Dir,
            Thing::Symlink(target) => *kind == Kind::Symlink && bytes == target.as_bytes(),
            Thing::File(id) => {
                *kind == Kind::File && tree.modes[id] == *mode && *inos.entry(*id).or_insert(*ino) == *ino
            }
        };
        if !same {
            return Err(format!("{path} is {kind:?} {mode:o}, no longer {thing:?}"));
        }
    }
    let files = inos.len();
    let distinct: std::collections::BTreeSet<_> = inos.into_values().collect();
    if distinct.len() != files { Err("two files became one".to_owned()) } else { Ok(()) }
}
