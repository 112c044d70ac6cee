//! Deeds done on a workspace.

use meshfs::model::entry::Kind;
use meshfs::model::time::Time;
use meshfs::workspace::attr::{NewNode, SetAttr, XattrMode};
use meshfs::workspace::error::WorkspaceError;
use meshfs::workspace::open_file::OpenFile;

use super::machine::{Machine, Result};
use crate::common::reference::deed::Deed;

impl Machine {
    pub fn perform(&self, deed: &Deed) -> Result<()> {
        let set_attr = |path: &str, change| self.on(path, |workspace, ino| workspace.set_attr(ino, change)).map(drop);
        match deed {
            Deed::Create { path, kind, mode, target } => {
                let node = match kind {
                    Kind::File => NewNode::File,
                    Kind::Dir => NewNode::Dir,
                    Kind::Symlink => NewNode::Symlink(target.clone()),
                    Kind::Fifo => NewNode::Fifo,
                    other => panic!("nothing makes a {other:?}"),
                };
                self.create(path, node, *mode)
            }
            Deed::Link { from, to } => self.link(from, to),
            Deed::Unlink(path) => self.unlink(path),
            Deed::Rmdir(path) => self.rmdir(path),
            Deed::Rename { from, to, mode } => self.rename(from, to, *mode),
            Deed::Chmod(path, mode) => set_attr(path, SetAttr { mode: Some(*mode), ..SetAttr::default() }),
            Deed::Chown(path, owner) => set_attr(path, SetAttr { owner: Some(*owner), ..SetAttr::default() }),
            Deed::Utime(path, time) => set_attr(path, SetAttr { mtime: Some(Time(*time)), ..SetAttr::default() }),
            Deed::SetXattr { path, name, value } => {
                self.on(path, |workspace, ino| workspace.set_xattr(ino, name, value, XattrMode::Any))
            }
            Deed::RemoveXattr { path, name } => self.on(path, |workspace, ino| workspace.remove_xattr(ino, name)),
            _ => self.perform_on_data(deed),
        }
    }

    fn perform_on_data(&self, deed: &Deed) -> Result<()> {
        match deed {
            Deed::Write { path, offset, bytes } => self.write(path, *offset as u64, bytes),
            Deed::Append { path, bytes } => {
                let (_, written) = self.with_file(path, |file| file.append(bytes))?;
                assert_eq!(written, bytes.len());
                Ok(())
            }
            Deed::Truncate { path, size } => {
                let change = SetAttr { size: Some(*size as u64), ..SetAttr::default() };
                self.on(path, |workspace, ino| workspace.set_attr(ino, change)).map(drop)
            }
            Deed::Allocate { path, mode, offset, len } => {
                self.with_file(path, |file| file.allocate(*mode, *offset as u64, *len as u64))
            }
            Deed::Copy { from, from_offset, to, offset, len } => {
                let source = self.open_file(from, false);
                let mut copied = 0;
                while copied < *len as u64 {
                    let (at, to_at, left) =
                        (*from_offset as u64 + copied, *offset as u64 + copied, *len as u64 - copied);
                    copied += self.with_file(to, |file| file.copy_from(&source, at, to_at, left))?;
                }
                Ok(())
            }
            other => panic!("{other:?} is dealt with elsewhere"),
        }
    }

    fn with_file<T>(
        &self,
        path: &str,
        mut work: impl FnMut(&OpenFile) -> std::result::Result<T, WorkspaceError>,
    ) -> Result<T> {
        let file = self.open_file(path, true);
        self.run(|_| work(&file))
    }
}
