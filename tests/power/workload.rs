//! Steps that a seed chooses: done on a mounted working tree and in the model alike.

use std::fs::{File, OpenOptions, Permissions};
use std::os::unix::fs::{FileExt, OpenOptionsExt, PermissionsExt};
use std::path::PathBuf;

use meshfs::sys::sparse::{Allocate, allocate, copy_range};

use super::disk::chance;
use super::model::{Model, Thing};

const DIRS: [&str; 3] = ["", "d/", "e/"];
const NAMES: [&str; 6] = ["a", "b", "c", "f", "g", "t"];

/// Lengths below, at and above what a disk and a kernel handle whole.
const LENS: [usize; 7] = [1, 100, 700, 4096, 5000, 20_000, 70_000];

#[derive(Clone, Debug)]
pub enum Step {
    Create(String),
    Write {
        path: String,
        offset: usize,
        len: usize,
    },
    SetLen {
        path: String,
        len: usize,
    },
    Empty(String),
    Punch {
        path: String,
        offset: usize,
        len: usize,
    },
    CopyFrom {
        path: String,
        from: String,
    },
    Rename {
        from: String,
        to: String,
    },
    Unlink(String),
    Mkdir(String),
    Rmdir(String),
    Link {
        from: String,
        to: String,
    },
    Symlink {
        path: String,
        target: String,
    },
    Chmod {
        path: String,
        mode: u16,
    },
    SyncFile(String),
    SyncDir,
    Commit,
    /// The process is killed, and another one goes on.
    Reopen,
}

impl Step {
    pub fn create(path: &str) -> Step {
        Step::Create(path.to_owned())
    }

    pub fn mkdir(path: &str) -> Step {
        Step::Mkdir(path.to_owned())
    }

    pub fn write(path: &str, offset: usize, len: usize) -> Step {
        Step::Write { path: path.to_owned(), offset, len }
    }

    pub fn set_len(path: &str, len: usize) -> Step {
        Step::SetLen { path: path.to_owned(), len }
    }

    pub fn rename(from: &str, to: &str) -> Step {
        Step::Rename { from: from.to_owned(), to: to.to_owned() }
    }

    pub fn sync(path: &str) -> Step {
        Step::SyncFile(path.to_owned())
    }
}

/// Chooses steps that can be done.
pub struct Chooser {
    seed: u64,
    asked: u64,
    /// What belongs together and was begun.
    planned: Vec<Step>,
}

impl Chooser {
    pub fn new(seed: u64) -> Chooser {
        Chooser { seed, asked: 0, planned: Vec::new() }
    }

    fn below(&mut self, bound: usize) -> usize {
        self.asked += 1;
        (chance(self.seed, &[self.asked]) % bound as u64) as usize
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        if from.is_empty() { None } else { from.get(self.below(from.len())) }
    }

    pub fn next(&mut self, model: &Model) -> Step {
        loop {
            if let Some(step) = self.planned.pop().or_else(|| self.choose(model)) {
                return step;
            }
        }
    }

    fn choose(&mut self, model: &Model) -> Option<Step> {
        let files: Vec<String> = paths(model, |thing| matches!(thing, Thing::File(_)));
        let free: Vec<String> = free_paths(model);
        let (file, new) = (self.pick(&files).cloned(), self.pick(&free).cloned());
        let len = *self.pick(&LENS)?;
        Some(match self.below(34) {
            0..4 => {
                let path = new?;
                self.planned.push(Step::Write { path: path.clone(), offset: 0, len });
                Step::Create(path)
            }
            4..12 => {
                let path = file?;
                let offset = self.below(size(model, &path) + 1);
                Step::Write { path, offset, len }
            }
            12..14 => {
                let path = file?;
                let len = self.below(size(model, &path) + 3000);
                Step::SetLen { path, len }
            }
            14..16 => {
                let path = file?;
                self.planned.push(Step::Write { path: path.clone(), offset: 0, len });
                Step::Empty(path)
            }
            16 => {
                let path = file?;
                let offset = self.below(size(model, &path) + 1);
                Step::Punch { path, offset, len }
            }
            17 => {
                let (path, from) = (new?, file?);
                self.planned.push(Step::CopyFrom { path: path.clone(), from });
                Step::Create(path)
            }
            18 => {
                let from = self.pick(&files)?.clone();
                self.copy_over(model, file?, from)?
            }
            19..22 => self.replace(file?, new?, len),
            22 => Step::Rename { from: file?, to: new? },
            23 => Step::Unlink(file?),
            24 => self.choose_dir(model)?,
            25 => Step::Link { from: file?, to: new? },
            26 => Step::Symlink { path: new?, target: file? },
            27 => Step::Chmod { path: file?, mode: 0o600 + self.below(0o100) as u16 },
            28..31 => Step::SyncFile(file?),
            31 => Step::SyncDir,
            32 => {
                if self.below(2) == 0 {
                    Step::Commit
                } else {
                    Step::Reopen
                }
            }
            _ => {
                let (from, to) = (file?, self.pick(&files)?.clone());
                if from == to { Step::SyncFile(from) } else { Step::Rename { from, to } }
            }
        })
    }

    /// A synced file becomes a copy of another.
    fn copy_over(&mut self, model: &Model, path: String, from: String) -> Option<Step> {
        if path == from || model.tree.names[&path] == model.tree.names[&from] {
            return None;
        }
        self.planned.push(Step::CopyFrom { path: path.clone(), from });
        self.planned.push(Step::Empty(path.clone()));
        Some(Step::SyncFile(path))
    }

    /// As programs replace a file: write another, put it in its place.
    fn replace(&mut self, to: String, path: String, len: usize) -> Step {
        self.planned.push(Step::Rename { from: path.clone(), to });
        if self.below(3) == 0 {
            self.planned.push(Step::SyncFile(path.clone()));
        }
        self.planned.push(Step::Write { path: path.clone(), offset: 0, len });
        Step::Create(path)
    }

    fn choose_dir(&mut self, model: &Model) -> Option<Step> {
        let dir = self.pick(&["d", "e"])?.to_string();
        let inside = format!("{dir}/");
        match model.tree.names.get(&dir) {
            None => Some(Step::Mkdir(dir)),
            Some(Thing::Dir) if !model.tree.names.keys().any(|path| path.starts_with(&inside)) => {
                Some(Step::Rmdir(dir))
            }
            Some(_) => None,
        }
    }
}

fn paths(model: &Model, wanted: impl Fn(&Thing) -> bool) -> Vec<String> {
    model.tree.names.iter().filter(|(_, thing)| wanted(thing)).map(|(path, _)| path.clone()).collect()
}

fn free_paths(model: &Model) -> Vec<String> {
    let dirs = DIRS.iter().filter(|dir| dir.is_empty() || model.tree.names.contains_key(dir.trim_end_matches('/')));
    let all = dirs.flat_map(|dir| NAMES.iter().map(move |name| format!("{dir}{name}")));
    all.filter(|path| !model.tree.names.contains_key(path)).collect()
}

fn size(model: &Model, path: &str) -> usize {
    model.content(id(model, path)).len()
}

fn id(model: &Model, path: &str) -> usize {
    match model.tree.names[path] {
        Thing::File(id) => id,
        ref other => panic!("{path} is {other:?}"),
    }
}

/// Bytes that no other step wrote, and no zeros: these are what a lost write looks like.
fn bytes_of(step: usize, len: usize) -> Vec<u8> {
    (0..len).map(|at| ((step * 37 + at / 64) % 255 + 1) as u8).collect()
}

/// A working tree on the kernel, and how its daemon is killed and started again.
pub struct Mounted<'a> {
    pub tree: PathBuf,
    pub reopen: &'a dyn Fn(),
}

impl Mounted<'_> {
    fn path(&self, path: &str) -> PathBuf {
        self.tree.join(path)
    }

    fn file(&self, path: &str) -> File {
        OpenOptions::new().read(true).write(true).open(self.path(path)).unwrap()
    }

    /// Does one step, on the tree and in the model alike.
    pub fn perform(&self, model: &mut Model, step: &Step) {
        match step {
            Step::Commit => {
                std::fs::write(self.path(".meshfs/commit"), "More").unwrap();
                model.committed();
            }
            Step::Reopen => (self.reopen)(),
            Step::SyncDir => {
                File::open(&self.tree).unwrap().sync_all().unwrap();
                model.synced_names();
            }
            Step::SyncFile(path) => {
                self.file(path).sync_all().unwrap();
                model.synced_file(id(model, path));
                model.synced_names();
            }
            Step::Chmod { path, mode } => {
                std::fs::set_permissions(self.path(path), Permissions::from_mode((*mode).into())).unwrap();
                let id = id(model, path);
                model.tree.modes.insert(id, *mode);
            }
            Step::Create(_) | Step::Mkdir(_) | Step::Symlink { .. } | Step::Link { .. } => self.make(model, step),
            Step::Rename { from, to } => self.rename(model, from, to),
            Step::Unlink(path) => {
                std::fs::remove_file(self.path(path)).unwrap();
                model.tree.names.remove(path);
            }
            Step::Rmdir(path) => {
                std::fs::remove_dir(self.path(path)).unwrap();
                model.tree.names.remove(path);
            }
            content => self.change_content(model, content),
        }
        model.next();
    }

    fn make(&self, model: &mut Model, step: &Step) {
        let (path, thing) = match step {
            Step::Create(path) => {
                OpenOptions::new().write(true).create_new(true).mode(0o644).open(self.path(path)).unwrap();
                (path, Thing::File(model.new_file()))
            }
            Step::Mkdir(path) => {
                std::fs::create_dir(self.path(path)).unwrap();
                (path, Thing::Dir)
            }
            Step::Symlink { path, target } => {
                std::os::unix::fs::symlink(target, self.path(path)).unwrap();
                (path, Thing::Symlink(target.clone()))
            }
            Step::Link { from, to } => {
                std::fs::hard_link(self.path(from), self.path(to)).unwrap();
                (to, model.tree.names[from].clone())
            }
            other => panic!("{other:?} makes nothing"),
        };
        model.tree.names.insert(path.clone(), thing);
    }

    fn rename(&self, model: &mut Model, from: &str, to: &str) {
        std::fs::rename(self.path(from), self.path(to)).unwrap();
        let (moved, target) = (model.tree.names[from].clone(), model.tree.names.get(to).cloned());
        if target.as_ref() == Some(&moved) {
            // Two names of one file: rename(2) does nothing.
            return;
        }
        if let (Thing::File(id), Some(_)) = (&moved, &target) {
            model.replaced_another(*id);
        }
        model.tree.names.remove(from);
        model.tree.names.insert(to.to_owned(), moved);
    }

    fn change_content(&self, model: &mut Model, step: &Step) {
        let (Step::Write { path, .. }
        | Step::SetLen { path, .. }
        | Step::Empty(path)
        | Step::Punch { path, .. }
        | Step::CopyFrom { path, .. }) = step
        else {
            panic!("{step:?} changes no content")
        };
        let id = id(model, path);
        let mut now = model.content(id).to_vec();
        match step {
            Step::Write { offset, len, .. } => {
                let bytes = bytes_of(model.step(), *len);
                assert_eq!(self.file(path).write_at(&bytes, *offset as u64).unwrap(), *len, "written at once");
                now.resize((offset + len).max(now.len()), 0);
                now[*offset..offset + len].copy_from_slice(&bytes);
            }
            Step::SetLen { len, .. } => {
                self.file(path).set_len(*len as u64).unwrap();
                if *len > now.len() {
                    model.lengthened(id);
                }
                now.resize(*len, 0);
            }
            Step::Empty(_) => {
                OpenOptions::new().write(true).truncate(true).open(self.path(path)).unwrap();
                now.clear();
            }
            Step::Punch { offset, len, .. } => {
                allocate(&self.file(path), Allocate::PunchHole, *offset as u64, *len as u64).unwrap();
                let end = (offset + len).min(now.len());
                now[(*offset).min(end)..end].fill(0);
            }
            Step::CopyFrom { from, .. } => {
                let bytes = model.content(self::id(model, from)).to_vec();
                let (source, target) = (File::open(self.path(from)).unwrap(), self.file(path));
                let copied = copy_range(&source, 0, &target, 0, bytes.len() as u64).unwrap();
                assert_eq!(copied, bytes.len() as u64, "copied whole");
                now.resize(now.len().max(bytes.len()), 0);
                now[..bytes.len()].copy_from_slice(&bytes);
            }
            _ => {}
        }
        model.set_content(id, now);
    }
}
