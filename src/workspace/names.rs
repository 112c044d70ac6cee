//! Making and taking away names: rows for what is touched, whiteouts for what the base still has.

use std::sync::Arc;

use super::attr::NewNode;
use super::base;
use super::error::WorkspaceError;
use super::state::{After, BaseInode, Inode, Result, State, derived_node, show_through};
use crate::model::entry::{Kind, Owner};
use crate::model::path::{TreePath, check_name};
use crate::overlay::dirent::Dirent;
use crate::overlay::node::{EMPTY_DIR_LINKS, Node, Origin, OriginPath, UNCOUNTED};

/// Hard links that one file may have, as on ext4.
const LINKS_MAX: u32 = 65_000;

impl State {
    /// The row of an inode, made if it has none yet, and with it those of the directories above. Inside a transaction.
    pub fn materialise(&mut self, inode: &Inode) -> Result<Arc<Node>> {
        match inode {
            Inode::Staged(node) => Ok(node.clone()),
            Inode::Base(base) => self.materialise_base(base),
            Inode::Detached(ino, entry) => {
                let origin = Origin { path: OriginPath::foreign(*ino), entry: entry.clone() };
                let node = Node { nlink: 0, ..derived_node(*ino, origin) };
                self.then(After::Orphan(*ino));
                self.put_row(node)
            }
        }
    }

    fn materialise_base(&mut self, base: &BaseInode) -> Result<Arc<Node>> {
        let mut above = Vec::new();
        let mut parent = base.parent;
        while let Inode::Base(dir) = self.resolve(parent)? {
            parent = dir.parent;
            above.push(dir);
        }
        for dir in above.iter().rev() {
            self.materialise_below_row(dir)?;
        }
        self.materialise_below_row(base)
    }

    /// The row of an inode whose directory has one.
    fn materialise_below_row(&mut self, base: &BaseInode) -> Result<Arc<Node>> {
        if let Some(row) = self.row(base.ino)? {
            return Ok(row);
        }
        let group = base.path.base_path().filter(|_| base.entry.kind() != Kind::Dir);
        let group = group.and_then(|path| self.links.group(&path).cloned());
        let entry = Arc::new(base.entry.clone());
        let Some(group) = group else {
            let origin = Origin { path: base.path.clone(), entry };
            let node = self.put_row(base.row(origin))?;
            self.overlay.db.put_dirent(base.parent, &base.name, Dirent::Ino(base.ino), true)?;
            return Ok(node);
        };
        let origin = Origin { path: self.canonical(&base.path, &base.entry), entry };
        let nlink = u32::try_from(group.0.len()).unwrap_or(LINKS_MAX);
        let node = self.put_row(Node { nlink, ..base.row(origin) })?;
        for path in &group.0 {
            if let Some((parent, name)) = path.split_last() {
                let parent = self.dir_of_origin(&parent)?;
                self.overlay.db.put_dirent(parent.ino, name, Dirent::Ino(base.ino), true)?;
            }
        }
        Ok(node)
    }

    /// The row of the directory that was `path` in the base, wherever it is now. Inside a transaction.
    pub fn dir_of_origin(&mut self, path: &TreePath) -> Result<Arc<Node>> {
        let mut rest: Vec<Vec<u8>> = Vec::new();
        let mut at = path.clone();
        let row = loop {
            let origin = OriginPath::of_base(&at);
            let found = if at.is_root() { Some(self.root) } else { self.overlay.db.node_of_origin(&origin)? };
            if let Some(ino) = found {
                break self.row(ino)?.ok_or(WorkspaceError::Stale)?;
            }
            let Some((parent, name)) = at.split_last() else { return Err(WorkspaceError::Stale) };
            rest.push(name.to_vec());
            at = parent;
        };
        let mut here = row;
        for name in rest.iter().rev() {
            let child = self.child(&Inode::Staged(here), name)?.ok_or(WorkspaceError::NotFound)?;
            here = self.materialise(&child)?;
        }
        Ok(here)
    }

    /// The directory `ino` as a row, for changing its names. Inside a transaction.
    pub fn dir_for_change(&mut self, ino: u64) -> Result<(Inode, Arc<Node>)> {
        let inode = self.dir(ino)?;
        if inode.is_nameless() {
            return Err(WorkspaceError::NotFound);
        }
        let row = self.materialise(&inode)?;
        Ok((Inode::Staged(row.clone()), row))
    }

    /// Puts a name that the directory does not have. Inside a transaction.
    pub fn put_name(&mut self, parent: &Node, name: &[u8], node: &Node) -> Result<()> {
        let home = match (show_through(parent), &node.origin) {
            (Some(through), Some(origin)) => {
                let here = through.path.child(name);
                here == origin.path || self.canonical(&here, &origin.entry) == origin.path
            }
            _ => false,
        };
        self.overlay.db.put_dirent(parent.ino, name, Dirent::Ino(node.ino), home)?;
        Ok(())
    }

    /// Takes a name away, so that the base does not show through in its place. Inside a transaction.
    pub fn remove_name(&mut self, parent: &Node, name: &[u8]) -> Result<()> {
        let in_base = match show_through(parent) {
            Some(through) => base::find(&self.objects, &through.dir, name)?.is_some(),
            None => false,
        };
        if in_base {
            self.overlay.db.put_dirent(parent.ino, name, Dirent::Whiteout, false)?;
        } else {
            self.overlay.db.delete_dirent(parent.ino, name)?;
        }
        Ok(())
    }

    /// The directory's names changed now, and with them the number of its subdirectories. Inside a transaction.
    pub fn touch_dir(&mut self, ino: u64, more_dirs: i32) -> Result<()> {
        let now = self.now();
        if let Some(row) = self.row(ino)? {
            let counted = row.nlink != UNCOUNTED;
            let nlink = if counted { row.nlink.saturating_add_signed(more_dirs) } else { UNCOUNTED };
            self.update_row(Node { mtime: now, ctime: now, nlink, ..(*row).clone() })?;
        }
        Ok(())
    }

    pub fn create(
        &mut self,
        parent: u64,
        name: &[u8],
        new: &NewNode,
        mode: u16,
        owner: Option<Owner>,
    ) -> Result<Inode> {
        check_name(name)?;
        self.change(|state| {
            let (dir, row) = state.dir_for_change(parent)?;
            if state.child(&dir, name)?.is_some() {
                return Err(WorkspaceError::Exists);
            }
            let ino = state.fresh_ino()?;
            let node = state.new_node(ino, new, mode, owner);
            let node = state.put_row(node)?;
            state.put_name(&row, name, &node)?;
            state.touch_dir(parent, i32::from(node.kind == Kind::Dir))?;
            Ok(Inode::Staged(node))
        })
    }

    fn new_node(&self, ino: u64, new: &NewNode, mode: u16, owner: Option<Owner>) -> Node {
        let now = self.now();
        let (kind, rdev, target) = match new {
            NewNode::File => (Kind::File, 0, None),
            NewNode::Dir => (Kind::Dir, 0, None),
            NewNode::Symlink(target) => (Kind::Symlink, 0, Some(target.clone())),
            NewNode::Fifo => (Kind::Fifo, 0, None),
            NewNode::Socket => (Kind::Socket, 0, None),
            NewNode::CharDevice { rdev } => (Kind::CharDevice, *rdev, None),
            NewNode::BlockDevice { rdev } => (Kind::BlockDevice, *rdev, None),
        };
        Node {
            ino,
            kind,
            mode: mode & 0o7777,
            owner,
            rdev,
            mtime: now,
            ctime: now,
            nlink: if kind == Kind::Dir { EMPTY_DIR_LINKS } else { 1 },
            origin: None,
            staged: false,
            direct: false,
            under: None,
            target,
            own_xattrs: false,
            settled: false,
            dirty: false,
            change: 0,
        }
    }

    pub fn link(&mut self, ino: u64, parent: u64, name: &[u8]) -> Result<Inode> {
        check_name(name)?;
        self.change(|state| {
            let inode = state.resolve(ino)?;
            if inode.kind() == Kind::Dir {
                return Err(WorkspaceError::NotPermitted("a directory has one name only"));
            }
            if inode.is_nameless() {
                return Err(WorkspaceError::NotFound);
            }
            let (dir, row) = state.dir_for_change(parent)?;
            if state.child(&dir, name)?.is_some() {
                return Err(WorkspaceError::Exists);
            }
            let node = state.materialise(&inode)?;
            if node.nlink >= LINKS_MAX {
                return Err(WorkspaceError::TooManyLinks);
            }
            let node = Node { nlink: node.nlink + 1, ctime: state.now(), ..(*node).clone() };
            let node = state.update_row(node)?;
            state.put_name(&row, name, &node)?;
            state.touch_dir(parent, 0)?;
            Ok(Inode::Staged(node))
        })
    }

    pub fn unlink(&mut self, parent: u64, name: &[u8]) -> Result<()> {
        self.change(|state| {
            let (dir, row) = state.dir_for_change(parent)?;
            let child = state.child(&dir, name)?.ok_or(WorkspaceError::NotFound)?;
            if child.kind() == Kind::Dir {
                return Err(WorkspaceError::IsDirectory);
            }
            state.drop_name(&row, name, &child)?;
            state.remove_name(&row, name)?;
            state.touch_dir(parent, 0)
        })
    }

    pub fn rmdir(&mut self, parent: u64, name: &[u8]) -> Result<()> {
        self.change(|state| {
            let (dir, row) = state.dir_for_change(parent)?;
            let child = state.child(&dir, name)?.ok_or(WorkspaceError::NotFound)?;
            if child.kind() != Kind::Dir {
                return Err(WorkspaceError::NotDirectory);
            }
            if !state.is_empty(&child)? {
                return Err(WorkspaceError::NotEmpty);
            }
            state.drop_name(&row, name, &child)?;
            state.remove_name(&row, name)?;
            state.touch_dir(parent, -1)
        })
    }

    /// One name of `inode` goes: what that does to the inode itself. The name is the caller's to remove or to give to
    /// another. Inside a transaction.
    pub fn drop_name(&mut self, parent: &Node, name: &[u8], inode: &Inode) -> Result<()> {
        let linked = |base: &BaseInode| base.path.base_path().is_some_and(|path| self.links.group(&path).is_some());
        let node = match inode {
            Inode::Base(base) if base.entry.kind() == Kind::Dir || !linked(base) => {
                // It needs no row to be gone: who holds it keeps its entry.
                self.then(After::Detach(base.ino, Arc::new(base.entry.clone())));
                return Ok(());
            }
            other => self.materialise(other)?,
        };
        debug_assert!(self.overlay.db.dirent(parent.ino, name).is_ok_and(|found| found == Some(Dirent::Ino(node.ino))));
        let nlink = if node.kind == Kind::Dir { 0 } else { node.nlink.saturating_sub(1) };
        if nlink == 0 && node.kind == Kind::Dir {
            self.overlay.db.delete_dirents(node.ino)?;
        }
        self.update_row(Node { nlink, ctime: self.now(), ..(*node).clone() })?;
        if nlink == 0 {
            self.then(After::Orphan(node.ino));
        }
        Ok(())
    }
}
