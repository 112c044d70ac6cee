//! Changing names: making, removing, renaming, linking.

use std::sync::Arc;

use super::Vfs;
use super::attr::{TREE_TTL, inherits_group, read_only_snapshot};
use super::branch::Branch;
use super::error::VfsError;
use super::node::{Caller, NewNode, NodeEntry};
use super::table::Node;
use crate::model::path::{CONTROL_DIR, check_name};
use crate::workspace::attr::{NewNode as WorkNewNode, RenameMode};

const SETGID: u16 = 0o2000;

impl Vfs {
    /// Makes `name` in the directory `parent`; it counts as one reference.
    pub fn make(
        &self,
        caller: &Caller,
        parent: u64,
        name: &[u8],
        node: NewNode<'_>,
        mode: u16,
    ) -> Result<NodeEntry, VfsError> {
        match self.nodes.get(parent)? {
            Node::Branch(branch) | Node::Work(branch) => self.make_in_tree(caller, &branch, parent, name, node, mode),
            Node::Domain(domain) if node == NewNode::Dir => self.make_branch(&domain, name),
            other => Err(cannot_change(&other, node == NewNode::Dir)),
        }
    }

    pub(super) fn make_in_tree(
        &self,
        caller: &Caller,
        branch: &Arc<Branch>,
        parent: u64,
        name: &[u8],
        node: NewNode<'_>,
        mode: u16,
    ) -> Result<NodeEntry, VfsError> {
        self.check_writable()?;
        check_name(name)?;
        branch.freshness().used(self.clock().elapsed());
        let (workspace, inner) = branch.inner(parent)?;
        let dir = workspace.attr(inner).map_err(|error| branch.refused(error))?;
        let mode = if node == NewNode::Dir && inherits_group(&dir) { mode | SETGID } else { mode };
        let owner = self.owner_of_new(caller, &dir);
        let made =
            workspace.create(inner, name, work_node(node), mode, owner).map_err(|error| branch.refused(error))?;
        branch.listings().changed(parent);
        let attr = self.work_attr(branch, &made);
        Ok(self.found(attr, Node::Work(branch.clone()), TREE_TTL, TREE_TTL))
    }

    pub fn unlink(&self, _caller: &Caller, parent: u64, name: &[u8]) -> Result<(), VfsError> {
        self.remove(parent, name, false)
    }

    pub fn rmdir(&self, _caller: &Caller, parent: u64, name: &[u8]) -> Result<(), VfsError> {
        self.remove(parent, name, true)
    }

    fn remove(&self, parent: u64, name: &[u8], is_dir: bool) -> Result<(), VfsError> {
        match self.nodes.get(parent)? {
            Node::Branch(branch) | Node::Work(branch) => {
                self.check_writable()?;
                check_name(name)?;
                let (workspace, inner) = branch.inner(parent)?;
                let removed = if is_dir { workspace.rmdir(inner, name) } else { workspace.unlink(inner, name) };
                removed.map_err(|error| branch.refused(error))?;
                branch.listings().changed(parent);
                Ok(())
            }
            Node::Domain(domain) if is_dir && !name.starts_with(b"@") => self.remove_branch(&domain, name),
            other => Err(cannot_change(&other, is_dir)),
        }
    }

    pub fn rename(&self, _caller: &Caller, from: (u64, &[u8]), to: (u64, &[u8]), flags: u32) -> Result<(), VfsError> {
        let mode = match flags {
            0 => RenameMode::Replace,
            libc::RENAME_NOREPLACE => RenameMode::NoReplace,
            libc::RENAME_EXCHANGE => RenameMode::Exchange,
            _ => return Err(VfsError::Invalid("renameat2: of the flags, NOREPLACE and EXCHANGE are offered".into())),
        };
        let (source, target) = (self.nodes.get(from.0)?, self.nodes.get(to.0)?);
        let (branch, other) = match (&source, &target) {
            (Node::Branch(branch) | Node::Work(branch), Node::Branch(other) | Node::Work(other)) => (branch, other),
            (Node::Branch(_) | Node::Work(_), other) | (other, _) => return Err(cannot_change(other, false)),
        };
        if branch.ino() != other.ino() {
            return Err(VfsError::CrossDevice(
                "from one branch to another things are copied, not renamed, as between filesystems".into(),
            ));
        }
        self.check_writable()?;
        check_name(from.1)?;
        check_name(to.1)?;
        let (workspace, source) = branch.inner(from.0)?;
        let (_, target) = branch.inner(to.0)?;
        workspace.rename((source, from.1), (target, to.1), mode).map_err(|error| branch.refused(error))?;
        branch.listings().changed(from.0);
        branch.listings().changed(to.0);
        Ok(())
    }

    /// Another name for the file `ino`; it counts as one reference.
    pub fn link(&self, _caller: &Caller, ino: u64, parent: u64, name: &[u8]) -> Result<NodeEntry, VfsError> {
        let (file, dir) = (self.nodes.get(ino)?, self.nodes.get(parent)?);
        let (branch, dir) = match (&file, &dir) {
            (Node::Work(branch), Node::Branch(dir) | Node::Work(dir)) => (branch, dir),
            (_, other @ (Node::Mesh | Node::Domain(_) | Node::Revision(_) | Node::Snapshot(_) | Node::Control(_))) => {
                return Err(cannot_change(other, false));
            }
            (other, _) => return Err(cannot_link(other)),
        };
        if branch.ino() != dir.ino() {
            return Err(VfsError::CrossDevice("a hard link stays in its branch, as in its filesystem".into()));
        }
        self.check_writable()?;
        check_name(name)?;
        let (workspace, inner) = branch.inner(parent)?;
        let attr = workspace.link(ino, inner, name).map_err(|error| branch.refused(error))?;
        branch.listings().changed(parent);
        let attr = self.work_attr(branch, &attr);
        Ok(self.found(attr, Node::Work(branch.clone()), TREE_TTL, TREE_TTL))
    }
}

fn work_node(node: NewNode<'_>) -> WorkNewNode {
    match node {
        NewNode::File => WorkNewNode::File,
        NewNode::Dir => WorkNewNode::Dir,
        NewNode::Symlink(target) => WorkNewNode::Symlink(target.to_vec()),
        NewNode::Fifo => WorkNewNode::Fifo,
        NewNode::Socket => WorkNewNode::Socket,
        NewNode::CharDevice(rdev) => WorkNewNode::CharDevice { rdev },
        NewNode::BlockDevice(rdev) => WorkNewNode::BlockDevice { rdev },
    }
}

/// Why names do not change in a directory that is no working tree's.
pub(super) fn cannot_change(dir: &Node, is_dir: bool) -> VfsError {
    match dir {
        Node::Mesh if is_dir => VfsError::NotPermitted(
            "domains are not made or removed as folders: `meshfs domain create NAME`, `meshfs domain delete NAME`".into(),
        ),
        Node::Mesh => VfsError::NotPermitted("here are domains only; files belong into a branch: DOMAIN/BRANCH".into()),
        Node::Domain(_) => VfsError::NotPermitted(
            "here are branches only: mkdir makes one, rmdir takes back an unused one, `meshfs branch` does the rest; files belong into a branch".into(),
        ),
        Node::Snapshot(_) => read_only_snapshot(),
        Node::Control(_) => VfsError::NotPermitted(format!(
            "the files in `{}` are fixed: writing into them gives commands",
            String::from_utf8_lossy(CONTROL_DIR)
        )),
        Node::Revision(_) => VfsError::NotDirectory,
        // Working trees are changed before it comes to this.
        Node::Branch(_) | Node::Work(_) => VfsError::NotPermitted("this cannot be changed here".into()),
    }
}

fn cannot_link(node: &Node) -> VfsError {
    match node {
        Node::Snapshot(_) => VfsError::CrossDevice("a hard link stays in its branch: copy from a snapshot".into()),
        Node::Mesh | Node::Domain(_) | Node::Branch(_) | Node::Work(_) | Node::Revision(_) | Node::Control(_) => {
            VfsError::NotPermitted("only files of a working tree have several names".into())
        }
    }
}
