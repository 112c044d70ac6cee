//! Extended attributes, and the space that statfs(2) tells of.

use super::Vfs;
use super::attr::read_only_snapshot;
use super::error::VfsError;
use super::node::{Caller, StatFs, XattrAnswer};
use super::table::Node;
use crate::model::path::NAME_BYTES_MAX;
use crate::sys::disk;
use crate::workspace::attr::XattrMode;

/// Bytes of one block in statfs(2).
const BLOCK_BYTES: u32 = 4096;

/// What names begin with that can be set. ACLs (`system.posix_acl_`) are not enforced, so they are not taken.
const NAMESPACES: [&[u8]; 3] = [b"user.", b"trusted.", b"security."];

impl Vfs {
    /// The value of an attribute, or how much room it takes when `room` is 0.
    pub fn xattr(&self, _caller: &Caller, ino: u64, name: &[u8], room: u32) -> Result<XattrAnswer, VfsError> {
        let value = match self.nodes.get(ino)? {
            Node::Branch(branch) | Node::Work(branch) => match branch.entered() {
                Some(workspace) => {
                    let (_, inner) = branch.inner(ino)?;
                    workspace.get_xattr(inner, name).map_err(|error| branch.refused(error))?
                }
                // Asking is not entering: ls asks for each entry of a listing.
                None => return Err(VfsError::NoAttribute),
            },
            Node::Snapshot(entry) => {
                entry.tree.view().get_xattr(&entry.node, name).map_err(|error| entry.refused(error))?
            }
            Node::Mesh | Node::Domain(_) | Node::Revision(_) | Node::Control(_) => return Err(VfsError::NoAttribute),
        };
        in_room(value, room)
    }

    /// The names, each ended by NUL, or how much room they take when `room` is 0.
    pub fn xattr_names(&self, _caller: &Caller, ino: u64, room: u32) -> Result<XattrAnswer, VfsError> {
        let names: Vec<Vec<u8>> = match self.nodes.get(ino)? {
            Node::Branch(branch) | Node::Work(branch) => match branch.entered() {
                Some(workspace) => {
                    let (_, inner) = branch.inner(ino)?;
                    workspace.list_xattrs(inner).map_err(|error| branch.refused(error))?
                }
                None => Vec::new(),
            },
            Node::Snapshot(entry) => entry.node.entry.meta.xattrs.iter().map(|xattr| xattr.name.clone()).collect(),
            Node::Mesh | Node::Domain(_) | Node::Revision(_) | Node::Control(_) => Vec::new(),
        };
        let mut list = Vec::new();
        for name in names {
            list.extend_from_slice(&name);
            list.push(0);
        }
        in_room(list, room)
    }

    pub fn set_xattr(&self, _caller: &Caller, ino: u64, name: &[u8], value: &[u8], flags: i32) -> Result<(), VfsError> {
        let mode = match flags {
            0 => XattrMode::Any,
            libc::XATTR_CREATE => XattrMode::Create,
            libc::XATTR_REPLACE => XattrMode::Replace,
            _ => return Err(VfsError::Invalid("setxattr: of the flags, CREATE and REPLACE are offered".into())),
        };
        if !NAMESPACES.iter().any(|namespace| name.starts_with(namespace)) {
            return Err(VfsError::NotSupported(
                "extended attributes are kept in the namespaces user, trusted and security; access lists are not"
                    .into(),
            ));
        }
        self.change_xattrs(ino, |workspace, inner| workspace.set_xattr(inner, name, value, mode))
    }

    pub fn remove_xattr(&self, _caller: &Caller, ino: u64, name: &[u8]) -> Result<(), VfsError> {
        self.change_xattrs(ino, |workspace, inner| workspace.remove_xattr(inner, name))
    }

    fn change_xattrs(
        &self,
        ino: u64,
        change: impl FnOnce(&crate::workspace::view::Workspace, u64) -> Result<(), crate::workspace::error::WorkspaceError>,
    ) -> Result<(), VfsError> {
        match self.nodes.get(ino)? {
            Node::Branch(branch) | Node::Work(branch) => {
                self.check_writable()?;
                let (workspace, inner) = branch.inner(ino)?;
                change(workspace, inner).map_err(|error| branch.refused(error))
            }
            Node::Snapshot(_) => Err(read_only_snapshot()),
            Node::Mesh | Node::Domain(_) | Node::Revision(_) | Node::Control(_) => {
                Err(VfsError::NotSupported("extended attributes belong to files of a branch".into()))
            }
        }
    }

    /// Room for staging: what the disk of the state folder has. The store's own is not known, and seldom bounded.
    pub fn statfs(&self, _caller: &Caller, _ino: u64) -> Result<StatFs, VfsError> {
        let space = disk::space(&self.options.state_dir)
            .map_err(|error| VfsError::Unreadable(format!("{}: {error}", self.options.state_dir.display())))?;
        let blocks = |bytes: u64| bytes / u64::from(BLOCK_BYTES);
        Ok(StatFs {
            block_bytes: BLOCK_BYTES,
            blocks: blocks(space.total_bytes),
            blocks_free: blocks(space.available_bytes),
            blocks_available: blocks(space.available_bytes),
            files: space.total_files,
            files_free: space.available_files,
            name_bytes_max: NAME_BYTES_MAX as u32,
        })
    }
}

/// `data` when it fits into `room`; its size when `room` is 0.
fn in_room(data: Vec<u8>, room: u32) -> Result<XattrAnswer, VfsError> {
    let size = u32::try_from(data.len()).unwrap_or(u32::MAX);
    match room {
        0 => Ok(XattrAnswer::Size(size)),
        room if size > room => Err(VfsError::BufferTooSmall),
        _ => Ok(XattrAnswer::Data(data)),
    }
}
