//! Operations with everything decided: what is done to which path, and what it does to the model.

use meshfs::model::entry::{Kind, Owner};
use meshfs::workspace::attr::{AllocateMode, RenameMode};

use super::model::{Model, Refused};

/// Each is one change of the tree.
#[derive(Clone, Debug)]
pub enum Deed {
    Create {
        path: String,
        kind: Kind,
        mode: u16,
        target: Vec<u8>,
    },
    Link {
        from: String,
        to: String,
    },
    Unlink(String),
    Rmdir(String),
    Rename {
        from: String,
        to: String,
        mode: RenameMode,
    },
    Write {
        path: String,
        offset: usize,
        bytes: Vec<u8>,
    },
    Append {
        path: String,
        bytes: Vec<u8>,
    },
    Truncate {
        path: String,
        size: usize,
    },
    Allocate {
        path: String,
        mode: AllocateMode,
        offset: usize,
        len: usize,
    },
    /// The range lies inside of the source.
    Copy {
        from: String,
        from_offset: usize,
        to: String,
        offset: usize,
        len: usize,
    },
    Chmod(String, u16),
    Chown(String, Owner),
    Utime(String, i64),
    SetXattr {
        path: String,
        name: Vec<u8>,
        value: Vec<u8>,
    },
    RemoveXattr {
        path: String,
        name: Vec<u8>,
    },
}

impl Deed {
    pub fn file(path: &str, bytes: Vec<u8>) -> [Deed; 2] {
        let path = path.to_owned();
        let create = Deed::Create { path: path.clone(), kind: Kind::File, mode: 0o644, target: Vec::new() };
        [create, Deed::Write { path, offset: 0, bytes }]
    }

    pub fn dir(path: &str) -> Deed {
        Deed::Create { path: path.to_owned(), kind: Kind::Dir, mode: 0o755, target: Vec::new() }
    }

    pub fn apply(&self, model: &mut Model) -> Result<(), Refused> {
        match self {
            Deed::Create { path, kind, mode, target } => model.create(path, *kind, *mode, target).map(drop),
            Deed::Link { from, to } => model.link(from, to),
            Deed::Unlink(path) => model.unlink(path),
            Deed::Rmdir(path) => model.rmdir(path),
            Deed::Rename { from, to, mode } => model.rename(from, to, *mode),
            Deed::Chmod(path, mode) => model.find(path).map(|id| model.file_mut(id).mode = *mode),
            Deed::Chown(path, owner) => model.find(path).map(|id| model.file_mut(id).owner = Some(*owner)),
            Deed::Utime(path, time) => model.find(path).map(|id| model.file_mut(id).mtime = *time),
            Deed::SetXattr { path, name, value } => {
                let id = model.find(path)?;
                model.file_mut(id).xattrs.insert(name.clone(), value.clone());
                Ok(())
            }
            Deed::RemoveXattr { path, name } => {
                let id = model.find(path)?;
                model.file_mut(id).xattrs.remove(name).map(drop).ok_or(Refused::NoAttribute)
            }
            _ => self.apply_to_data(model),
        }
    }

    /// The file whose bytes it changes, if it changes bytes: unfinished, it may have changed any part of them.
    pub fn target(&self) -> Option<&str> {
        match self {
            Deed::Write { path, .. } | Deed::Append { path, .. } | Deed::Truncate { path, .. } => Some(path),
            Deed::Allocate { path, .. } | Deed::Copy { to: path, .. } => Some(path),
            _ => None,
        }
    }

    fn apply_to_data(&self, model: &mut Model) -> Result<(), Refused> {
        match self {
            Deed::Write { path, offset, bytes } => model.write(model.find(path)?, *offset, bytes),
            Deed::Append { path, bytes } => {
                let id = model.find(path)?;
                model.write(id, model.file(id).data.len(), bytes);
            }
            Deed::Truncate { path, size } => model.truncate(model.find(path)?, *size),
            Deed::Allocate { path, mode, offset, len } => {
                let id = model.find(path)?;
                let size = model.file(id).data.len();
                match mode {
                    AllocateMode::Grow => model.truncate(id, size.max(offset + len)),
                    AllocateMode::KeepSize => model.truncate(id, size),
                    AllocateMode::PunchHole | AllocateMode::ZeroRangeKeepSize => model.zero(id, *offset, *len, true),
                    AllocateMode::ZeroRange => model.zero(id, *offset, *len, false),
                }
            }
            Deed::Copy { from, from_offset, to, offset, len } => {
                let (from, to) = (model.find(from)?, model.find(to)?);
                // Nothing copied is nothing changed, wherever it should have gone.
                if *len > 0 {
                    let bytes = model.file(from).data[*from_offset..][..*len].to_vec();
                    model.write(to, *offset, &bytes);
                }
            }
            other => panic!("{other:?} is dealt with elsewhere"),
        }
        Ok(())
    }
}
