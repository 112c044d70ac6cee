//! Files that the kernel reads and writes without us: which may be, and what is looked at because nobody tells.
//!
//! An inode is served one way from the first of its handles to the last, as the kernel demands. Served directly, it has
//! a staged file with nothing of the base showing through, and keeps it until the last handle is closed. Writes are
//! seen by what they do to that file: whoever relies on being told of each looks first (`State::look`).

use std::any::Any;
use std::fs::File;
use std::sync::Arc;

use super::attr::{Serving, without_privileges};
use super::file_state::{Data, io};
use super::state::{Inode, Result, State};
use crate::overlay::files::FileIdentity;
use crate::overlay::node::Node;

/// The attribute that gives a program capabilities; changing its file takes them away.
pub const CAPABILITY: &[u8] = b"security.capability";

/// Whoever can let the kernel use local files by itself.
pub trait Backer: std::fmt::Debug + Send + Sync {
    /// None: not this file.
    fn back(&self, file: &File) -> Option<Backing>;
}

/// A kernel that opens a file.
#[derive(Clone, Copy, Debug)]
pub struct Kernel<'a> {
    pub backer: &'a dyn Backer,
    /// Whoever opens may write to a file and leave it setuid.
    pub keeps_privileges: bool,
}

/// A local file that the kernel may use; it may until this is dropped.
pub type Backing = Arc<dyn Any + Send + Sync>;

/// An open inode that is served directly.
pub struct Direct {
    file: Arc<File>,
    backing: Backing,
    /// The file as last noted.
    seen: FileIdentity,
    /// All who opened it to write may leave it setuid.
    keeps_privileges: bool,
}

impl std::fmt::Debug for Direct {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Direct").field("file", &self.file).field("seen", &self.seen).finish_non_exhaustive()
    }
}

impl Direct {
    pub fn serving(&self) -> Serving {
        Serving::Passthrough(self.backing.clone())
    }

    /// How the file is, if it is not as last noted.
    fn news(&self) -> Result<Option<FileIdentity>> {
        let found = FileIdentity::of(&self.file).map_err(io)?;
        Ok((!self.seen.same_writes(&found)).then_some(found))
    }
}

impl State {
    /// Lets the kernel serve an inode that is being opened for the first time, if it may.
    pub fn try_direct(
        &mut self,
        inode: &Inode,
        data: &mut Data,
        write: bool,
        kernel: Kernel<'_>,
    ) -> Result<Option<Direct>> {
        let Inode::Staged(node) = inode else { return Ok(None) };
        if !self.may_be_direct(node)? {
            return Ok(None);
        }
        if write && matches!(data, Data::Empty) {
            *data = Data::Staged(self.stage(node.ino, false)?);
        }
        let Data::Staged(staged) = data else { return Ok(None) };
        if !staged.is_whole() {
            return Ok(None);
        }
        let file = &staged.file;
        let Some(backing) = kernel.backer.back(file) else { return Ok(None) };
        let seen = FileIdentity::of(file).map_err(io)?;
        Ok(Some(Direct { file: file.clone(), backing, seen, keeps_privileges: true }))
    }

    /// The kernel tells of no write, so what a write takes off a file would stay on it.
    fn may_be_direct(&self, node: &Arc<Node>) -> Result<bool> {
        let has_capability = self.xattrs(&Inode::Staged(node.clone()))?.iter().any(|(name, _)| name == CAPABILITY);
        Ok(without_privileges(node.mode) == node.mode && !has_capability)
    }

    pub fn is_direct(&self, ino: u64) -> bool {
        self.open.get(&ino).is_some_and(|open| open.direct.is_some())
    }

    /// May it be written to at this moment without anybody being told?
    pub fn is_written_directly(&self, ino: u64) -> bool {
        self.is_direct(ino) && self.is_open_for_writing(ino)
    }

    /// Somebody opens the file to write to it.
    pub fn add_direct_writer(&mut self, ino: u64, kernel: Option<Kernel<'_>>) -> Result<()> {
        let keeps_privileges = kernel.is_none_or(|kernel| kernel.keeps_privileges);
        match self.open.get_mut(&ino).and_then(|open| open.direct.as_mut()) {
            Some(direct) => direct.keeps_privileges &= keeps_privileges,
            None => return Ok(()),
        }
        self.mark_direct(ino, true)
    }

    /// Notes durably whether the kernel may write to the file without telling.
    pub fn mark_direct(&mut self, ino: u64, direct: bool) -> Result<()> {
        let Some(node) = self.row(ino)?.filter(|node| node.direct != direct) else { return Ok(()) };
        self.overlay.db.set_direct(ino, direct)?;
        self.remember_row(ino, Some(Arc::new(Node { direct, ..(*node).clone() })));
        Ok(())
    }

    /// Notes what was written to the file without telling since it was last looked at. True: something was.
    pub fn look(&mut self, ino: u64) -> Result<bool> {
        let open = self.open.get(&ino).filter(|open| open.writers > 0);
        let news = open.and_then(|open| open.direct.as_ref()).map(Direct::news).transpose()?;
        let Some(found) = news.flatten() else { return Ok(false) };
        self.note_write(ino)?;
        self.drop_privileges_of(ino)?;
        if let Some(direct) = self.open.get_mut(&ino).and_then(|open| open.direct.as_mut()) {
            direct.seen = found;
        }
        Ok(true)
    }

    /// Inodes that may be written to at this moment without anybody being told.
    pub fn written_directly(&self) -> Vec<u64> {
        self.open.keys().copied().filter(|ino| self.is_written_directly(*ino)).collect()
    }

    pub fn look_at_all(&mut self) -> Result<()> {
        self.written_directly().into_iter().try_for_each(|ino| self.look(ino).map(drop))
    }

    /// Privileges that the file was given while it was open, and written to afterwards.
    fn drop_privileges_of(&mut self, ino: u64) -> Result<()> {
        let Some(node) = self.row(ino)? else { return Ok(()) };
        let mode = without_privileges(node.mode);
        let direct = self.open.get(&ino).and_then(|open| open.direct.as_ref());
        if mode != node.mode && direct.is_some_and(|direct| !direct.keeps_privileges) {
            self.change(|state| state.update_row(Node { mode, ..(*node).clone() }).map(drop))?;
        }
        if node.own_xattrs && self.overlay.db.xattrs(ino)?.iter().any(|(name, _)| name == CAPABILITY) {
            self.remove_xattr(ino, CAPABILITY)?;
        }
        Ok(())
    }
}
