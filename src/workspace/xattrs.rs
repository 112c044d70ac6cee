//! Extended attributes: the origin's until one is changed, then a set of the inode's own.

use super::attr::XattrMode;
use super::error::{Miss, WorkspaceError};
use super::state::{Inode, Result, State};
use crate::model::entry::{XATTRS_BYTES_MAX, Xattr, XattrValue};
use crate::overlay::node::Node;
use crate::overlay::xattr::StagedValue;

/// Longest name of an attribute, in bytes (Linux `XATTR_NAME_MAX`).
const NAME_BYTES_MAX: usize = 255;

impl State {
    /// All attributes of an inode, by name.
    pub fn xattrs(&self, inode: &Inode) -> Result<Vec<(Vec<u8>, StagedValue)>> {
        let staged = |xattrs: &[Xattr]| {
            xattrs.iter().map(|xattr| (xattr.name.clone(), StagedValue::Base(xattr.value.clone()))).collect()
        };
        Ok(match inode {
            Inode::Staged(node) if node.own_xattrs => self.overlay.db.xattrs(node.ino)?,
            Inode::Staged(node) => node.origin.as_ref().map(|o| staged(&o.entry.meta.xattrs)).unwrap_or_default(),
            Inode::Base(base) => staged(&base.entry.meta.xattrs),
            Inode::Detached(_, entry) => staged(&entry.meta.xattrs),
        })
    }

    pub fn get_xattr(&mut self, ino: u64, name: &[u8]) -> Result<Vec<u8>> {
        let inode = self.resolve(ino)?;
        let found = self.xattrs(&inode)?.into_iter().find(|(found, _)| found == name);
        match found.ok_or(WorkspaceError::NoAttribute)?.1 {
            StagedValue::Bytes(bytes) | StagedValue::Base(XattrValue::Inline(bytes)) => Ok(bytes),
            StagedValue::Base(value) => {
                let bytes = self.objects.cached_xattr_value(&value);
                Ok(bytes.ok_or_else(|| Miss::Xattr(Box::new(value)))?.to_vec())
            }
        }
    }

    pub fn set_xattr(&mut self, ino: u64, name: &[u8], value: &[u8], mode: XattrMode) -> Result<()> {
        if name.is_empty() || name.len() > NAME_BYTES_MAX {
            return Err(WorkspaceError::Invalid("an attribute's name is 1 to 255 bytes long"));
        }
        self.look(ino)?;
        self.change(|state| {
            let inode = state.resolve(ino)?;
            let mut all = state.xattrs(&inode)?;
            let at = all.iter().position(|(found, _)| found == name);
            match (at, mode) {
                (Some(_), XattrMode::Create) => return Err(WorkspaceError::Exists),
                (None, XattrMode::Replace) => return Err(WorkspaceError::NoAttribute),
                (Some(at), _) => drop(all.remove(at)),
                (None, _) => {}
            }
            let held: usize = all.iter().map(|(name, value)| name.len() + value_len(value)).sum();
            if held + name.len() + value.len() > XATTRS_BYTES_MAX {
                return Err(WorkspaceError::NoSpace("all attributes of one file are at most 64 KiB".into()));
            }
            let node = state.own_xattrs(&inode)?;
            state.overlay.db.put_xattr(node.ino, name, &StagedValue::Bytes(value.to_vec()))?;
            state.update_row(node).map(drop)
        })
    }

    pub fn remove_xattr(&mut self, ino: u64, name: &[u8]) -> Result<()> {
        self.change(|state| {
            let inode = state.resolve(ino)?;
            if !state.xattrs(&inode)?.iter().any(|(found, _)| found == name) {
                return Err(WorkspaceError::NoAttribute);
            }
            let node = state.own_xattrs(&inode)?;
            state.overlay.db.delete_xattr(node.ino, name)?;
            state.update_row(node).map(drop)
        })
    }

    /// The row of an inode with its own set of attributes, its ctime moved but not yet stored. Inside a transaction.
    fn own_xattrs(&mut self, inode: &Inode) -> Result<Node> {
        let node = self.materialise(inode)?;
        if !node.own_xattrs {
            for (name, value) in self.xattrs(&Inode::Staged(node.clone()))? {
                self.overlay.db.put_xattr(node.ino, &name, &value)?;
            }
        }
        Ok(Node { own_xattrs: true, ctime: self.now(), ..(*node).clone() })
    }
}

fn value_len(value: &StagedValue) -> usize {
    match value {
        StagedValue::Bytes(bytes) | StagedValue::Base(XattrValue::Inline(bytes)) => bytes.len(),
        StagedValue::Base(XattrValue::Chunk { len, .. }) => *len as usize,
    }
}
