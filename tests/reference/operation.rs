//! Random operations, run on both sides.

use meshfs::model::entry::{Kind, Owner};
use meshfs::model::time::Time;
use meshfs::workspace::attr::{AllocateMode, NewNode, RenameMode, SetAttr, XattrMode};
use meshfs::workspace::error::WorkspaceError;
use meshfs::workspace::open_file::OpenFile;
use proptest::prelude::*;

use super::commit;
use super::compare::{Numbers, compare};
use super::machine::Machine;
use super::model::{Id, Model, Refused};

/// A path that exists: the so-manieth, counted around.
pub type Pick = u16;

/// A new name: few, so that they meet.
pub type Name = u8;

/// Everything under this name belongs to the other machine.
pub const OTHERS: &str = "others";

#[derive(Clone, Debug)]
pub enum Op {
    Create(Pick, Name),
    Mkdir(Pick, Name),
    Symlink(Pick, Name),
    Fifo(Pick, Name),
    Link(Pick, Pick, Name),
    Unlink(Pick),
    Rmdir(Pick),
    Rename(Pick, Pick, Name, u8),
    /// Rename onto a path that exists.
    RenameOver(Pick, Pick, u8),
    Write(Pick, u32, u16, u8),
    Append(Pick, u16, u8),
    Truncate(Pick, u32),
    Allocate(Pick, u8, u32, u32),
    Copy(Pick, Pick, u32, u32, u32),
    Chmod(Pick, u16),
    Chown(Pick, u32),
    Utime(Pick, i64),
    SetXattr(Pick, u8, u16, u8),
    RemoveXattr(Pick, u8),
    /// Keep a file open, and write through that handle whatever becomes of its names.
    Open(Pick),
    WriteOpen(u8, u32, u16, u8),
    CloseAll,
    Crash,
    Commit,
    Refresh,
    /// The other machine changes something of its own and commits.
    Other(u8, Name, u16),
}

/// What the other machine committed and this one has not seen yet.
#[derive(Debug)]
struct News {
    time: i64,
    deed: Deed,
}

#[derive(Debug)]
enum Deed {
    Put(String, Vec<u8>),
    Unlink(String),
    Rename(String, String),
}

pub fn op() -> impl Strategy<Value = Op> {
    let pick = any::<Pick>;
    let name = || 0..5u8;
    let offset = || prop_oneof![4 => 0..3000u32, 1 => 0..1_400_000u32];
    prop_oneof![
        4 => (pick(), name()).prop_map(|(p, n)| Op::Create(p, n)),
        3 => (pick(), name()).prop_map(|(p, n)| Op::Mkdir(p, n)),
        1 => (pick(), name()).prop_map(|(p, n)| Op::Symlink(p, n)),
        1 => (pick(), name()).prop_map(|(p, n)| Op::Fifo(p, n)),
        3 => (pick(), pick(), name()).prop_map(|(f, t, n)| Op::Link(f, t, n)),
        5 => pick().prop_map(Op::Unlink),
        3 => pick().prop_map(Op::Rmdir),
        5 => (pick(), pick(), name(), 0..4u8).prop_map(|(f, t, n, m)| Op::Rename(f, t, n, m)),
        4 => (pick(), pick(), 0..4u8).prop_map(|(f, t, m)| Op::RenameOver(f, t, m)),
        6 => (pick(), offset(), 1..5000u16, any::<u8>()).prop_map(|(p, o, l, b)| Op::Write(p, o, l, b)),
        2 => (pick(), 1..5000u16, any::<u8>()).prop_map(|(p, l, b)| Op::Append(p, l, b)),
        3 => (pick(), offset()).prop_map(|(p, s)| Op::Truncate(p, s)),
        2 => (pick(), 0..5u8, offset(), 1..9000u32).prop_map(|(p, m, o, l)| Op::Allocate(p, m, o, l)),
        3 => (pick(), pick(), offset(), offset(), offset()).prop_map(|(f, t, a, b, l)| Op::Copy(f, t, a, b, l)),
        2 => (pick(), 0..0o10000u16).prop_map(|(p, m)| Op::Chmod(p, m)),
        1 => (pick(), 0..3u32).prop_map(|(p, o)| Op::Chown(p, o)),
        1 => (pick(), any::<i64>()).prop_map(|(p, t)| Op::Utime(p, t >> 3)),
        2 => (pick(), 0..3u8, 0..700u16, any::<u8>()).prop_map(|(p, n, l, b)| Op::SetXattr(p, n, l, b)),
        1 => (pick(), 0..3u8).prop_map(|(p, n)| Op::RemoveXattr(p, n)),
        2 => pick().prop_map(Op::Open),
        3 => (any::<u8>(), offset(), 1..3000u16, any::<u8>()).prop_map(|(h, o, l, b)| Op::WriteOpen(h, o, l, b)),
        1 => Just(Op::CloseAll),
        2 => Just(Op::Crash),
        4 => Just(Op::Commit),
        2 => Just(Op::Refresh),
        3 => (any::<u8>(), name(), any::<u16>()).prop_map(|(k, n, p)| Op::Other(k, n, p)),
    ]
}

/// Both sides, and what is open on both.
pub struct Pair {
    pub machine: Machine,
    other: Machine,
    pub model: Model,
    open: Vec<(OpenFile, Id)>,
    numbers: Numbers,
    news: Vec<News>,
}

fn refused(error: &WorkspaceError) -> Refused {
    match error {
        WorkspaceError::NotFound => Refused::NotFound,
        WorkspaceError::Exists => Refused::Exists,
        WorkspaceError::NotDirectory => Refused::NotDirectory,
        WorkspaceError::IsDirectory => Refused::IsDirectory,
        WorkspaceError::NotEmpty => Refused::NotEmpty,
        WorkspaceError::Invalid(_) => Refused::Invalid,
        WorkspaceError::NotPermitted(_) => Refused::NotPermitted,
        WorkspaceError::NoAttribute => Refused::NoAttribute,
        other => panic!("unexpected: {other}"),
    }
}

fn agree<T>(op: &Op, real: Result<T, WorkspaceError>, model: Result<(), Refused>) {
    let real = real.map(drop).map_err(|error| refused(&error));
    assert_eq!(real, model, "{op:?}: the workspace answers the first, the model the second");
}

fn rename_mode(code: u8) -> RenameMode {
    match code {
        0 => RenameMode::NoReplace,
        1 => RenameMode::Exchange,
        _ => RenameMode::Replace,
    }
}

fn bytes(len: u16, seed: u8) -> Vec<u8> {
    (0..len).map(|at| (at as u8).wrapping_mul(31).wrapping_add(seed) | 1).collect()
}

impl Pair {
    pub fn new(machine: Machine, other: Machine, model: Model) -> Pair {
        let mut pair = Pair { machine, other, model, open: Vec::new(), numbers: Numbers::default(), news: Vec::new() };
        pair.compare();
        pair
    }

    pub fn compare(&mut self) {
        compare(&self.machine, &self.model, &mut self.numbers);
        for (file, id) in &self.open {
            let size = self.model.file(*id).data.len();
            let read = self.machine.run(|_| file.read(0, size + 7)).unwrap();
            assert!(read == self.model.file(*id).data, "an open file has other bytes than the model's {id}");
            let attr = self.machine.run(|_| file.attr()).unwrap();
            assert_eq!(attr.nlink, self.model.file(*id).nlink, "names of an open file");
        }
    }

    fn pick(&self, pick: Pick) -> String {
        let mut paths = self.model.paths();
        paths.retain(|path| path != OTHERS && !path.starts_with("others/"));
        if paths.is_empty() { "nothing".to_owned() } else { paths[usize::from(pick) % paths.len()].clone() }
    }

    /// A name in an existing directory, or beside an existing file.
    fn new_path(&self, pick: Pick, name: Name) -> String {
        let near = self.pick(pick);
        let is_dir = self.model.find(&near).is_ok_and(|id| self.model.file(id).kind == Kind::Dir);
        let dir = if is_dir { near } else { near.rsplit_once('/').map_or(String::new(), |(dir, _)| dir.to_owned()) };
        let name = char::from(b'a' + name);
        if dir.is_empty() { name.to_string() } else { format!("{dir}/{name}") }
    }

    /// A regular file's path and id.
    fn pick_file(&self, pick: Pick) -> Option<(String, Id)> {
        let paths = self.model.paths();
        let files: Vec<_> = paths
            .into_iter()
            .filter(|path| !path.starts_with("others/"))
            .filter_map(|path| self.model.find(&path).ok().map(|id| (path, id)))
            .filter(|(_, id)| self.model.file(*id).kind == Kind::File)
            .collect();
        (!files.is_empty()).then(|| files[usize::from(pick) % files.len()].clone())
    }

    pub fn apply(&mut self, op: &Op) {
        self.machine.world.tick();
        self.model.now = self.machine.world.now();
        match op {
            Op::Create(pick, name) => self.create(op, *pick, *name, NewNode::File, Kind::File),
            Op::Mkdir(pick, name) => self.create(op, *pick, *name, NewNode::Dir, Kind::Dir),
            Op::Symlink(pick, name) => {
                self.create(op, *pick, *name, NewNode::Symlink(b"to/where".to_vec()), Kind::Symlink)
            }
            Op::Fifo(pick, name) => self.create(op, *pick, *name, NewNode::Fifo, Kind::Fifo),
            Op::Link(from, to, name) => {
                let (from, to) = (self.pick(*from), self.new_path(*to, *name));
                agree(op, self.machine.link(&from, &to), self.model.link(&from, &to));
            }
            Op::Unlink(pick) => {
                let path = self.pick(*pick);
                agree(op, self.machine.unlink(&path), self.model.unlink(&path));
            }
            Op::Rmdir(pick) => {
                let path = self.pick(*pick);
                agree(op, self.machine.rmdir(&path), self.model.rmdir(&path));
            }
            Op::Rename(from, to, name, mode) => {
                let (from, to, mode) = (self.pick(*from), self.new_path(*to, *name), rename_mode(*mode));
                agree(op, self.machine.rename(&from, &to, mode), self.model.rename(&from, &to, mode));
            }
            Op::RenameOver(from, to, mode) => {
                let (from, to, mode) = (self.pick(*from), self.pick(*to), rename_mode(*mode));
                agree(op, self.machine.rename(&from, &to, mode), self.model.rename(&from, &to, mode));
            }
            Op::Crash => {
                self.open.clear();
                self.machine.crash();
            }
            Op::Commit => {
                commit::commit(&self.machine);
                self.take_news();
            }
            Op::Refresh => {
                commit::refresh(&self.machine);
                self.take_news();
            }
            Op::Other(kind, name, pick) => self.other_machine(*kind, *name, *pick),
            Op::Open(pick) => {
                if let Some((path, id)) = self.pick_file(*pick) {
                    let file = self.machine.on(&path, |workspace, ino| workspace.open_file(ino, true, false)).unwrap();
                    self.open.push((file, id));
                }
            }
            Op::WriteOpen(handle, offset, len, seed) => {
                if !self.open.is_empty() {
                    let (file, id) = &self.open[usize::from(*handle) % self.open.len()];
                    let bytes = bytes(*len, *seed);
                    self.machine.run(|_| file.write(u64::from(*offset), &bytes)).unwrap();
                    self.model.write(*id, *offset as usize, &bytes);
                }
            }
            Op::CloseAll => self.open.clear(),
            _ => self.apply_to_data(op),
        }
    }

    fn create(&mut self, op: &Op, pick: Pick, name: Name, new: NewNode, kind: Kind) {
        let path = self.new_path(pick, name);
        let target = if let NewNode::Symlink(target) = &new { target.clone() } else { Vec::new() };
        let real = self.machine.create(&path, new, 0o640);
        agree(op, real, self.model.create(&path, kind, 0o640, &target).map(drop));
    }

    fn apply_to_data(&mut self, op: &Op) {
        match op {
            Op::Write(pick, offset, len, seed) => {
                let Some((path, id)) = self.pick_file(*pick) else { return };
                let bytes = bytes(*len, *seed);
                self.machine.write(&path, u64::from(*offset), &bytes).unwrap();
                self.model.write(id, *offset as usize, &bytes);
            }
            Op::Append(pick, len, seed) => {
                let Some((path, id)) = self.pick_file(*pick) else { return };
                let bytes = bytes(*len, *seed);
                let end = self.model.file(id).data.len();
                let append = |file: &OpenFile| file.append(&bytes);
                assert_eq!(self.with_file(&path, append), (end as u64, bytes.len()));
                self.model.write(id, end, &bytes);
            }
            Op::Truncate(pick, size) => {
                let Some((path, id)) = self.pick_file(*pick) else { return };
                let change = SetAttr { size: Some(u64::from(*size)), ..SetAttr::default() };
                self.machine.on(&path, |workspace, ino| workspace.set_attr(ino, change)).unwrap();
                self.model.truncate(id, *size as usize);
            }
            Op::Allocate(pick, mode, offset, len) => self.allocate(*pick, *mode, *offset, *len),
            Op::Copy(from, to, from_offset, offset, len) => self.copy(*from, *to, *from_offset, *offset, *len),
            _ => self.apply_to_meta(op),
        }
    }

    fn with_file<T>(&self, path: &str, mut work: impl FnMut(&OpenFile) -> Result<T, WorkspaceError>) -> T {
        let file = self.machine.on(path, |workspace, ino| workspace.open_file(ino, true, false)).unwrap();
        self.machine.run(|_| work(&file)).unwrap()
    }

    fn allocate(&mut self, pick: Pick, mode: u8, offset: u32, len: u32) {
        let Some((path, id)) = self.pick_file(pick) else { return };
        let modes = [
            AllocateMode::Grow,
            AllocateMode::KeepSize,
            AllocateMode::PunchHole,
            AllocateMode::ZeroRange,
            AllocateMode::ZeroRangeKeepSize,
        ];
        let mode = modes[usize::from(mode)];
        self.with_file(&path, |file| file.allocate(mode, u64::from(offset), u64::from(len)));
        let (offset, len) = (offset as usize, len as usize);
        let size = self.model.file(id).data.len();
        match mode {
            AllocateMode::Grow => self.model.truncate(id, size.max(offset + len)),
            AllocateMode::KeepSize => self.model.truncate(id, size),
            AllocateMode::PunchHole | AllocateMode::ZeroRangeKeepSize => self.model.zero(id, offset, len, true),
            AllocateMode::ZeroRange => self.model.zero(id, offset, len, false),
        }
    }

    fn copy(&mut self, from: Pick, to: Pick, from_offset: u32, offset: u32, len: u32) {
        let (Some((from_path, from)), Some((to_path, to))) = (self.pick_file(from), self.pick_file(to)) else { return };
        // Half of the time what `cp` asks for: the same offset, which is the target's end.
        let same = len.is_multiple_of(2);
        let to_size = self.model.file(to).data.len() as u32;
        let (from_offset, offset) = if same { (to_size, to_size) } else { (from_offset, offset) };
        let data = &self.model.file(from).data;
        let until = data.len().min((from_offset + len) as usize);
        let bytes = data.get(from_offset as usize..until).unwrap_or_default().to_vec();
        if from == to && (from_offset as usize) < offset as usize + bytes.len() && (offset as usize) < until {
            return;
        }
        let source = self.machine.on(&from_path, |workspace, ino| workspace.open_file(ino, false, false)).unwrap();
        let mut copied = 0;
        while copied < bytes.len() as u64 {
            let (at, to) = (u64::from(from_offset) + copied, u64::from(offset) + copied);
            copied += self.with_file(&to_path, |file| file.copy_from(&source, at, to, bytes.len() as u64 - copied));
        }
        if !bytes.is_empty() {
            self.model.write(to, offset as usize, &bytes);
        }
    }

    fn apply_to_meta(&mut self, op: &Op) {
        let (Op::Chmod(pick, _) | Op::Chown(pick, _) | Op::Utime(pick, _)) = op else {
            return self.apply_to_xattrs(op);
        };
        let path = self.pick(*pick);
        let Ok(id) = self.model.find(&path) else { return };
        let file = self.model.file_mut(id);
        let mut change = SetAttr::default();
        match op {
            Op::Chmod(_, mode) => {
                file.mode = *mode;
                change.mode = Some(*mode);
            }
            Op::Chown(_, uid) => {
                file.owner = Some(Owner { uid: *uid, gid: 7 });
                change.owner = file.owner;
            }
            Op::Utime(_, time) => {
                file.mtime = *time;
                change.mtime = Some(Time(*time));
            }
            other => panic!("{other:?} is dealt with elsewhere"),
        }
        self.machine.on(&path, |workspace, ino| workspace.set_attr(ino, change)).unwrap();
    }

    fn apply_to_xattrs(&mut self, op: &Op) {
        match op {
            Op::SetXattr(pick, name, len, seed) => {
                let path = self.pick(*pick);
                let Ok(id) = self.model.find(&path) else { return };
                let (name, value) = (format!("user.{name}").into_bytes(), bytes(*len, *seed));
                let set = |workspace: &meshfs::workspace::view::Workspace, ino| {
                    workspace.set_xattr(ino, &name, &value, XattrMode::Any)
                };
                self.machine.on(&path, set).unwrap();
                self.model.file_mut(id).xattrs.insert(name.clone(), value.clone());
            }
            Op::RemoveXattr(pick, name) => {
                let path = self.pick(*pick);
                let Ok(id) = self.model.find(&path) else { return };
                let name = format!("user.{name}").into_bytes();
                let real = self.machine.on(&path, |workspace, ino| workspace.remove_xattr(ino, &name));
                let removed = self.model.file_mut(id).xattrs.remove(&name);
                agree(op, real, removed.map(drop).ok_or(Refused::NoAttribute));
            }
            other => panic!("{other:?} is dealt with elsewhere"),
        }
    }

    /// The other machine works in its own directory only, so that nothing is in conflict.
    fn other_machine(&mut self, kind: u8, name: Name, pick: u16) {
        let other = &self.other;
        commit::refresh(other);
        let path = format!("{OTHERS}/{}", char::from(b'a' + name));
        let to = format!("{OTHERS}/{}", char::from(b'a' + (pick % 5) as u8));
        let deed = match kind % 4 {
            0 | 1 => {
                let bytes = bytes(pick % 3000 + 1, kind);
                // Replaced content is another inode.
                let _ = other.unlink(&path);
                other.put(&path, &bytes).unwrap();
                Deed::Put(path, bytes)
            }
            2 if other.unlink(&path).is_ok() => Deed::Unlink(path),
            3 if path != to && other.rename(&path, &to, RenameMode::Replace).is_ok() => Deed::Rename(path, to),
            _ => return,
        };
        commit::commit(other);
        self.news.push(News { time: self.model.now, deed });
    }

    /// What the other machine did shows here once this workspace's base has it: a commit of nothing does not look for it.
    fn take_news(&mut self) {
        let (ours, theirs) = (self.machine.workspace().head(), self.other.workspace().head());
        let has_theirs = self.machine.domain.is_ancestor(&theirs, &ours);
        if self.news.is_empty() || !self.machine.block_on(has_theirs).unwrap() {
            return;
        }
        self.numbers.forget_below(OTHERS);
        let now = self.model.now;
        for News { time, deed } in std::mem::take(&mut self.news) {
            self.model.now = time;
            match deed {
                Deed::Put(path, bytes) => {
                    let _ = self.model.unlink(&path);
                    let id = self.model.create(&path, Kind::File, 0o644, &[]).unwrap();
                    self.model.write(id, 0, &bytes);
                }
                Deed::Unlink(path) => self.model.unlink(&path).unwrap(),
                Deed::Rename(from, to) => self.model.rename(&from, &to, RenameMode::Replace).unwrap(),
            }
        }
        self.model.now = now;
    }
}
