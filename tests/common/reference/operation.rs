//! Random operations, before anything is known of what they meet.

use meshfs::model::entry::{Kind, Owner};
use meshfs::workspace::attr::{AllocateMode, RenameMode};
use proptest::prelude::*;

use super::deed::Deed;
use super::model::{Id, Model};

/// A path that exists: the so-manieth, counted around.
pub type Pick = u16;

/// A new name: few, so that they meet.
pub type Name = u8;

/// Everything under this name belongs to the other machine.
pub const OTHERS: &str = "others";

/// Mode of whatever is made.
const NEW_MODE: u16 = 0o640;

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

/// What is written: never zero, so that it is no hole.
pub fn bytes(len: u16, seed: u8) -> Vec<u8> {
    (0..len).map(|at| (at as u8).wrapping_mul(31).wrapping_add(seed) | 1).collect()
}

impl Op {
    /// What this does to the tree as it is now; none when it finds nothing to act on, or acts on something else.
    pub fn deed(&self, model: &Model) -> Option<Deed> {
        let create = |pick, name, kind, target: &[u8]| {
            Some(Deed::Create { path: model.new_path(pick, name), kind, mode: NEW_MODE, target: target.to_vec() })
        };
        match *self {
            Op::Create(pick, name) => create(pick, name, Kind::File, b""),
            Op::Mkdir(pick, name) => create(pick, name, Kind::Dir, b""),
            Op::Symlink(pick, name) => create(pick, name, Kind::Symlink, b"to/where"),
            Op::Fifo(pick, name) => create(pick, name, Kind::Fifo, b""),
            Op::Link(from, to, name) => Some(Deed::Link { from: model.pick(from), to: model.new_path(to, name) }),
            Op::Unlink(pick) => Some(Deed::Unlink(model.pick(pick))),
            Op::Rmdir(pick) => Some(Deed::Rmdir(model.pick(pick))),
            Op::Rename(from, to, name, mode) => {
                Some(Deed::Rename { from: model.pick(from), to: model.new_path(to, name), mode: rename_mode(mode) })
            }
            Op::RenameOver(from, to, mode) => {
                Some(Deed::Rename { from: model.pick(from), to: model.pick(to), mode: rename_mode(mode) })
            }
            _ => self.deed_on_data(model).or_else(|| self.deed_on_meta(model)),
        }
    }

    fn deed_on_data(&self, model: &Model) -> Option<Deed> {
        match *self {
            Op::Write(pick, offset, len, seed) => {
                let (path, _) = model.pick_file(pick)?;
                Some(Deed::Write { path, offset: offset as usize, bytes: bytes(len, seed) })
            }
            Op::Append(pick, len, seed) => {
                let (path, _) = model.pick_file(pick)?;
                Some(Deed::Append { path, bytes: bytes(len, seed) })
            }
            Op::Truncate(pick, size) => {
                let (path, _) = model.pick_file(pick)?;
                Some(Deed::Truncate { path, size: size as usize })
            }
            Op::Allocate(pick, mode, offset, len) => {
                let modes = [
                    AllocateMode::Grow,
                    AllocateMode::KeepSize,
                    AllocateMode::PunchHole,
                    AllocateMode::ZeroRange,
                    AllocateMode::ZeroRangeKeepSize,
                ];
                let (path, _) = model.pick_file(pick)?;
                let (offset, len) = (offset as usize, len as usize);
                Some(Deed::Allocate { path, mode: modes[usize::from(mode)], offset, len })
            }
            Op::Copy(from, to, from_offset, offset, len) => copy(model, (from, to), (from_offset, offset, len)),
            _ => None,
        }
    }

    fn deed_on_meta(&self, model: &Model) -> Option<Deed> {
        let existing = |pick| Some(model.pick(pick)).filter(|path| model.find(path).is_ok());
        let attribute = |name: u8| format!("user.{name}").into_bytes();
        match *self {
            Op::Chmod(pick, mode) => Some(Deed::Chmod(existing(pick)?, mode)),
            Op::Chown(pick, uid) => Some(Deed::Chown(existing(pick)?, Owner { uid, gid: 7 })),
            Op::Utime(pick, time) => Some(Deed::Utime(existing(pick)?, time)),
            Op::SetXattr(pick, name, len, seed) => {
                Some(Deed::SetXattr { path: existing(pick)?, name: attribute(name), value: bytes(len, seed) })
            }
            Op::RemoveXattr(pick, name) => Some(Deed::RemoveXattr { path: existing(pick)?, name: attribute(name) }),
            _ => None,
        }
    }
}

fn copy(model: &Model, (from, to): (Pick, Pick), (from_offset, offset, len): (u32, u32, u32)) -> Option<Deed> {
    let ((from_path, from), (to_path, to)) = (model.pick_file(from)?, model.pick_file(to)?);
    // Half of the time what `cp` asks for: the same offset, which is the target's end.
    let to_size = model.file(to).data.len() as u32;
    let (from_offset, offset) = if len.is_multiple_of(2) { (to_size, to_size) } else { (from_offset, offset) };
    let data = &model.file(from).data;
    let until = data.len().min((from_offset + len) as usize);
    let len = until.saturating_sub(from_offset as usize);
    let (from_offset, offset) = (from_offset as usize, offset as usize);
    let overlaps = from == to && from_offset < offset + len && offset < until;
    (!overlaps).then_some(Deed::Copy { from: from_path, from_offset, to: to_path, offset, len })
}

fn rename_mode(code: u8) -> RenameMode {
    match code {
        0 => RenameMode::NoReplace,
        1 => RenameMode::Exchange,
        _ => RenameMode::Replace,
    }
}

/// Which paths the picks mean.
impl Model {
    pub fn pick(&self, pick: Pick) -> String {
        let mut paths = self.paths();
        paths.retain(|path| path != OTHERS && !path.starts_with("others/"));
        if paths.is_empty() { "nothing".to_owned() } else { paths[usize::from(pick) % paths.len()].clone() }
    }

    /// A name in an existing directory, or beside an existing file.
    pub fn new_path(&self, pick: Pick, name: Name) -> String {
        let near = self.pick(pick);
        let is_dir = self.find(&near).is_ok_and(|id| self.file(id).kind == Kind::Dir);
        let dir = if is_dir { near } else { near.rsplit_once('/').map_or(String::new(), |(dir, _)| dir.to_owned()) };
        let name = char::from(b'a' + name);
        if dir.is_empty() { name.to_string() } else { format!("{dir}/{name}") }
    }

    /// A regular file's path and id.
    pub fn pick_file(&self, pick: Pick) -> Option<(String, Id)> {
        let paths = self.paths();
        let files: Vec<_> = paths
            .into_iter()
            .filter(|path| !path.starts_with("others/"))
            .filter_map(|path| self.find(&path).ok().map(|id| (path, id)))
            .filter(|(_, id)| self.file(*id).kind == Kind::File)
            .collect();
        (!files.is_empty()).then(|| files[usize::from(pick) % files.len()].clone())
    }
}
