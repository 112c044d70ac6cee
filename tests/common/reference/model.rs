//! The filesystem to compare with: inodes in a map, POSIX and nothing else.

use std::collections::BTreeMap;

use meshfs::model::entry::{Kind, Owner};
use meshfs::workspace::attr::RenameMode;

pub type Id = u64;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    pub kind: Kind,
    pub mode: u16,
    pub owner: Option<Owner>,
    pub mtime: i64,
    pub data: Vec<u8>,
    pub target: Vec<u8>,
    pub xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
    pub children: BTreeMap<String, Id>,
    pub nlink: u32,
}

/// What an operation that is refused is refused for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    NotFound,
    Exists,
    NotDirectory,
    IsDirectory,
    NotEmpty,
    Invalid,
    NotPermitted,
    NoAttribute,
}

#[derive(Clone, Debug)]
pub struct Model {
    pub files: BTreeMap<Id, File>,
    next: Id,
    pub now: i64,
}

pub const ROOT: Id = 0;

impl Model {
    pub fn new(now: i64) -> Model {
        let mut model = Model { files: BTreeMap::new(), next: ROOT, now };
        model.add(Kind::Dir, 0o755);
        model
    }

    fn add(&mut self, kind: Kind, mode: u16) -> Id {
        let id = self.next;
        self.next += 1;
        let file = File {
            kind,
            mode,
            owner: None,
            mtime: self.now,
            data: Vec::new(),
            target: Vec::new(),
            xattrs: BTreeMap::new(),
            children: BTreeMap::new(),
            nlink: 1,
        };
        self.files.insert(id, file);
        id
    }

    pub fn file(&self, id: Id) -> &File {
        &self.files[&id]
    }

    pub fn file_mut(&mut self, id: Id) -> &mut File {
        self.files.get_mut(&id).expect("known")
    }

    pub fn find(&self, path: &str) -> Result<Id, Refused> {
        let mut at = ROOT;
        for name in path.split('/').filter(|name| !name.is_empty()) {
            let file = self.file(at);
            if file.kind != Kind::Dir {
                return Err(Refused::NotDirectory);
            }
            at = *file.children.get(name).ok_or(Refused::NotFound)?;
        }
        Ok(at)
    }

    fn parent<'p>(&self, path: &'p str) -> Result<(Id, &'p str), Refused> {
        let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
        let parent = self.find(parent)?;
        if self.file(parent).kind != Kind::Dir {
            return Err(Refused::NotDirectory);
        }
        Ok((parent, name))
    }

    /// All paths but the root's, in byte order of names inside each directory.
    pub fn paths(&self) -> Vec<String> {
        fn below(model: &Model, dir: Id, prefix: &str, paths: &mut Vec<String>) {
            for (name, &id) in &model.file(dir).children {
                let path = if prefix.is_empty() { name.clone() } else { format!("{prefix}/{name}") };
                paths.push(path.clone());
                below(model, id, &path, paths);
            }
        }
        let mut paths = Vec::new();
        below(self, ROOT, "", &mut paths);
        paths
    }

    pub fn create(&mut self, path: &str, kind: Kind, mode: u16, target: &[u8]) -> Result<Id, Refused> {
        let (parent, name) = self.parent(path)?;
        if self.file(parent).children.contains_key(name) {
            return Err(Refused::Exists);
        }
        let id = self.add(kind, mode);
        self.file_mut(id).target = target.to_vec();
        self.put(parent, name, id);
        Ok(id)
    }

    fn put(&mut self, parent: Id, name: &str, id: Id) {
        let now = self.now;
        let dir = self.file_mut(parent);
        dir.children.insert(name.to_owned(), id);
        dir.mtime = now;
    }

    fn take(&mut self, parent: Id, name: &str) {
        let now = self.now;
        let dir = self.file_mut(parent);
        dir.children.remove(name);
        dir.mtime = now;
    }

    /// One name less; the inode stays in the map for who has it open.
    fn drop_name(&mut self, id: Id) {
        self.file_mut(id).nlink -= 1;
    }

    pub fn link(&mut self, from: &str, to: &str) -> Result<(), Refused> {
        let (parent, name) = self.parent(to)?;
        let id = self.find(from)?;
        if self.file(id).kind == Kind::Dir {
            return Err(Refused::NotPermitted);
        }
        if self.file(parent).children.contains_key(name) {
            return Err(Refused::Exists);
        }
        self.file_mut(id).nlink += 1;
        self.put(parent, name, id);
        Ok(())
    }

    pub fn unlink(&mut self, path: &str) -> Result<(), Refused> {
        let (parent, name) = self.parent(path)?;
        let id = *self.file(parent).children.get(name).ok_or(Refused::NotFound)?;
        if self.file(id).kind == Kind::Dir {
            return Err(Refused::IsDirectory);
        }
        self.drop_name(id);
        self.take(parent, name);
        Ok(())
    }

    pub fn rmdir(&mut self, path: &str) -> Result<(), Refused> {
        let (parent, name) = self.parent(path)?;
        let id = *self.file(parent).children.get(name).ok_or(Refused::NotFound)?;
        if self.file(id).kind != Kind::Dir {
            return Err(Refused::NotDirectory);
        }
        if !self.file(id).children.is_empty() {
            return Err(Refused::NotEmpty);
        }
        self.drop_name(id);
        self.take(parent, name);
        Ok(())
    }

    fn is_below(&self, id: Id, top: Id) -> bool {
        id == top || self.file(top).children.values().any(|&child| self.is_below(id, child))
    }

    pub fn rename(&mut self, from: &str, to: &str, mode: RenameMode) -> Result<(), Refused> {
        let (from_dir, from_name) = self.parent(from)?;
        let (to_dir, to_name) = self.parent(to)?;
        let moved = *self.file(from_dir).children.get(from_name).ok_or(Refused::NotFound)?;
        let target = self.file(to_dir).children.get(to_name).copied();
        match (target, mode) {
            (Some(_), RenameMode::NoReplace) => return Err(Refused::Exists),
            (None, RenameMode::Exchange) => return Err(Refused::NotFound),
            (Some(target), _) if target == moved => return Ok(()),
            _ => {}
        }
        if self.is_below(to_dir, moved) {
            return Err(Refused::Invalid);
        }
        let is_dir = |id| self.file(id).kind == Kind::Dir;
        match (target, mode) {
            (Some(target), RenameMode::Exchange) => {
                if self.is_below(from_dir, target) {
                    return Err(Refused::Invalid);
                }
                self.put(from_dir, from_name, target);
                self.put(to_dir, to_name, moved);
                return Ok(());
            }
            (Some(target), _) => {
                match (is_dir(moved), is_dir(target)) {
                    (true, false) => return Err(Refused::NotDirectory),
                    (false, true) => return Err(Refused::IsDirectory),
                    (true, true) if !self.file(target).children.is_empty() => return Err(Refused::NotEmpty),
                    _ => {}
                }
                self.drop_name(target);
            }
            (None, _) => {}
        }
        self.take(from_dir, from_name);
        self.put(to_dir, to_name, moved);
        Ok(())
    }

    pub fn write(&mut self, id: Id, offset: usize, bytes: &[u8]) {
        let now = self.now;
        let file = self.file_mut(id);
        let end = offset + bytes.len();
        file.data.resize(file.data.len().max(end), 0);
        file.data[offset..end].copy_from_slice(bytes);
        file.mtime = now;
    }

    pub fn truncate(&mut self, id: Id, size: usize) {
        let now = self.now;
        let file = self.file_mut(id);
        file.data.resize(size, 0);
        file.mtime = now;
    }

    pub fn zero(&mut self, id: Id, offset: usize, len: usize, keep_size: bool) {
        let now = self.now;
        let file = self.file_mut(id);
        let end = if keep_size { (offset + len).min(file.data.len()) } else { offset + len };
        if end > file.data.len() {
            file.data.resize(end, 0);
        }
        if offset < end {
            file.data[offset..end].fill(0);
        }
        file.mtime = now;
    }
}
