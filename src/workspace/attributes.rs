//! Attributes: what stat(2) shows, and changing mode, owner and times. Sizes change in `open_file`.

use super::attr::{Attr, SetAttr};
use super::error::WorkspaceError;
use super::state::{BaseInode, Inode, Result, State};
use crate::model::entry::{Content, Entry, Kind, Xattr, same_xattrs};
use crate::model::time::Time;
use crate::overlay::files;
use crate::overlay::node::Node;
use crate::overlay::xattr::StagedValue;

/// Unit of `Attr::blocks`.
const BLOCK_BYTES: u64 = 512;

/// The attributes of an entry that nothing here touched.
pub fn entry_attr(ino: u64, entry: &Entry, nlink: u32) -> Attr {
    let rdev = match entry.content {
        Content::CharDevice { rdev } | Content::BlockDevice { rdev } => rdev,
        _ => 0,
    };
    let size = entry.size();
    Attr {
        ino,
        kind: entry.kind(),
        mode: entry.meta.mode,
        owner: entry.meta.owner,
        rdev,
        size,
        blocks: size.div_ceil(BLOCK_BYTES),
        mtime: entry.meta.mtime,
        ctime: entry.meta.mtime,
        atime: entry.meta.mtime,
        nlink,
    }
}

impl State {
    pub fn attr(&self, inode: &Inode) -> Result<Attr> {
        match inode {
            Inode::Staged(node) => self.row_attr(node),
            Inode::Base(base) => {
                let attr = entry_attr(base.ino, &base.entry, self.base_links(base));
                Ok(Attr { ctime: base.ctime.unwrap_or(attr.ctime), ..attr })
            }
            Inode::Detached(ino, entry) => Ok(entry_attr(*ino, entry, 0)),
        }
    }

    fn base_links(&self, base: &BaseInode) -> u32 {
        if self.links.is_empty() || base.entry.kind() == Kind::Dir {
            return 1;
        }
        let group = base.path.base_path().and_then(|path| self.links.group(&path));
        group.map_or(1, |group| u32::try_from(group.0.len()).unwrap_or(u32::MAX))
    }

    fn row_attr(&self, node: &Node) -> Result<Attr> {
        let (mut mtime, mut ctime) = (node.mtime, node.ctime);
        let (size, blocks) = if node.staged {
            let file = self.overlay.files.identity(node.ino)?;
            mtime = file.mtime;
            ctime = self.ctime_of_staged(node, mtime);
            let all_here = node.under.is_none();
            (file.size, if all_here { file.blocks } else { file.size.div_ceil(BLOCK_BYTES) })
        } else {
            let origin = node.origin.as_ref().map_or(0, |origin| origin.entry.size());
            let size = node.target.as_ref().map_or(origin, |target| target.len() as u64);
            (size, size.div_ceil(BLOCK_BYTES))
        };
        Ok(Attr {
            ino: node.ino,
            kind: node.kind,
            mode: node.mode,
            owner: node.owner,
            rdev: node.rdev,
            size,
            blocks,
            mtime,
            ctime,
            atime: mtime,
            nlink: node.nlink,
        })
    }

    /// The ctime of a file whose bytes are, or were, staged with this mtime.
    pub fn ctime_of_staged(&self, node: &Node, mtime: Time) -> Time {
        // A write moves both; a time set into the future is no write.
        if mtime <= self.now() { node.ctime.max(mtime) } else { node.ctime }
    }

    /// Changes everything but the size.
    pub fn set_meta(&mut self, ino: u64, change: &SetAttr) -> Result<Attr> {
        // What was written before takes no privilege off that is given now.
        self.look(ino)?;
        self.change(|state| {
            let inode = state.resolve(ino)?;
            let mut node = (*state.materialise(&inode)?).clone();
            node.mode = change.mode.map_or(node.mode, |mode| mode & 0o7777);
            node.owner = change.owner.or(node.owner);
            if let Some(mtime) = change.mtime {
                node.mtime = mtime;
                if node.staged {
                    state.set_file_mtime(ino, mtime)?;
                    // A time alone makes the file differ from what a commit stored, as a write does.
                    if std::mem::take(&mut node.settled) {
                        state.put_row(node.clone())?;
                    }
                }
            }
            node.ctime = state.now();
            let node = state.update_row(node)?;
            state.attr(&Inode::Staged(node))
        })
    }

    fn set_file_mtime(&self, ino: u64, mtime: Time) -> Result<()> {
        let file = self.overlay.files.open_existing(ino)?;
        let set = files::set_mtime(&file, mtime);
        set.map_err(|source| crate::overlay::error::OverlayError::io(&self.overlay.files.path(ino), source).into())
    }

    /// Does a row differ from its origin otherwise than by name? What has no origin differs by name.
    pub fn differs(&self, node: &Node) -> Result<bool> {
        let Some(origin) = &node.origin else { return Ok(false) };
        let meta = &origin.entry.meta;
        let time = node.kind != Kind::Dir && !node.staged && node.mtime != meta.mtime;
        Ok(time || self.differs_but_for_times(node)?)
    }

    /// [`State::differs`] in what a merge may conflict about.
    pub fn differs_but_for_times(&self, node: &Node) -> Result<bool> {
        let Some(origin) = &node.origin else { return Ok(false) };
        let meta = &origin.entry.meta;
        let data = node.staged && !node.settled;
        Ok(data || node.mode != meta.mode || node.owner != meta.owner || self.xattrs_differ(node)?)
    }

    fn xattrs_differ(&self, node: &Node) -> Result<bool> {
        let origin = node.origin.as_ref().map(|origin| origin.entry.meta.xattrs.as_slice()).unwrap_or_default();
        if !node.own_xattrs {
            return Ok(false);
        }
        let own = self.overlay.db.xattrs(node.ino)?;
        let own = own.into_iter().map(|(name, value)| Xattr {
            name,
            value: match value {
                StagedValue::Bytes(bytes) => crate::model::entry::XattrValue::Inline(bytes),
                StagedValue::Base(value) => value,
            },
        });
        Ok(!same_xattrs(&own.collect::<Vec<_>>(), origin))
    }

    pub fn readlink(&mut self, ino: u64) -> Result<Vec<u8>> {
        let of_entry = |entry: &Entry| match &entry.content {
            Content::Symlink(target) => Some(target.clone()),
            _ => None,
        };
        let target = match self.resolve(ino)? {
            Inode::Staged(node) => node.target.clone(),
            Inode::Base(base) => of_entry(&base.entry),
            Inode::Detached(_, entry) => of_entry(&entry),
        };
        target.ok_or(WorkspaceError::Invalid("not a symbolic link"))
    }
}
