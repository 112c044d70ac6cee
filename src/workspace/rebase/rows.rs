//! What becomes of a row: cleared, dropped, blended, joined with names that the new base gives it.

use std::collections::HashMap;

use super::super::contents::unsent_xattr;
use super::super::error::WorkspaceError;
use super::super::file_state::OpenState;
use super::super::live::Place;
use super::super::number;
use super::super::state::{After, Result, State, derived_node};
use super::{Rebase, Spot};
use crate::model::entry::{Entry, Kind, Xattr};
use crate::model::path::TreePath;
use crate::overlay::dirent::{Dirent, NamedDirent};
use crate::overlay::node::{Node, Origin};
use crate::overlay::number::Kept;
use crate::overlay::xattr::StagedValue;

impl State {
    /// Is there nothing about this row, which is where its new origin is, that the base does not say as well?
    pub(super) fn may_clear(&mut self, run: &Rebase<'_>, node: &Node, adopted: &Node) -> Result<bool> {
        let committed = run.taken.is_some_and(|taken| taken.is_unchanged(node));
        if node.kind == Kind::Dir {
            let same =
                committed || adopted.mtime == adopted.origin.as_ref().map_or(adopted.mtime, |o| o.entry.meta.mtime);
            return Ok(same && !self.differs(adopted)? && !self.overlay.db.any_dirent(node.ino)?);
        }
        let used = |open: &OpenState| open.writers > 0 || open.direct.is_some() || !run.locked.contains(&node.ino);
        let in_use = self.open.get(&node.ino).is_some_and(used);
        let path = adopted.origin.as_ref().and_then(|origin| origin.path.base_path());
        let names = path.and_then(|path| self.links.group(&path)).map_or(1, |group| group.0.len());
        let all_names =
            node.nlink as usize == names && (committed || self.overlay.db.home_names_of(node.ino)?.len() == names);
        let same = !node.staged && !self.differs(adopted)?;
        Ok(all_names && ((committed && !(node.staged && in_use)) || same))
    }

    /// Takes the row away under one of its names; with its last name it is gone, and its number kept.
    pub(super) fn clear(
        &mut self,
        run: &mut Rebase<'_>,
        here: &Spot<'_>,
        named: &NamedDirent,
        node: &Node,
    ) -> Result<()> {
        self.overlay.db.delete_dirent(here.ino, &named.name)?;
        let Some(origin) = &node.origin else { return Ok(()) };
        if self.overlay.db.name_of(node.ino)?.is_some() {
            return Ok(());
        }
        let mark = number::content_mark(&origin.entry);
        let mtime = origin.entry.meta.mtime;
        let ctime = if node.staged { self.ctime_of_staged(node, mtime) } else { node.ctime };
        let kept = Kept { ino: node.ino, ctime: Some(ctime).filter(|ctime| *ctime != mtime) };
        self.keep_number(&origin.path, &mark, kept)?;
        self.drop_file(node.ino)?;
        self.delete_row(node.ino)?;
        if node.kind != Kind::Dir {
            run.cleared.push((node.ino, origin.entry.clone()));
        }
        let name = named.name.clone().into_boxed_slice();
        self.then(After::Place(node.ino, Place::Base { parent: here.ino, name, mark }));
        Ok(())
    }

    /// Takes a staged thing away, with all below, as if it had never been there. Who has it open keeps it.
    pub(in crate::workspace) fn drop_staged(&mut self, dir: u64, name: &[u8], ino: u64) -> Result<()> {
        self.overlay.db.delete_dirent(dir, name)?;
        let Some(node) = self.row(ino)? else { return Ok(()) };
        if node.kind == Kind::Dir {
            for named in self.overlay.db.dirents(ino, None, usize::MAX)? {
                if let Dirent::Ino(child) = named.dirent {
                    self.drop_staged(ino, &named.name, child)?;
                }
            }
            self.overlay.db.delete_dirents(ino)?;
        }
        let mut left = self.overlay.db.names_of(ino)?;
        if !left.is_empty() && node.origin.is_some() {
            // All its names of the base go together: half of them would be another file.
            for (dir, name) in self.overlay.db.home_names_of(ino)? {
                self.overlay.db.delete_dirent(dir, &name)?;
            }
            left = self.overlay.db.names_of(ino)?;
        }
        let nlink = u32::try_from(left.len()).unwrap_or(u32::MAX);
        self.update_row(Node { nlink, ..(*node).clone() })?;
        if nlink == 0 {
            self.then(After::Orphan(ino));
        }
        Ok(())
    }

    /// Puts a merged entry in the place of what is staged.
    pub(super) fn blend(
        &mut self,
        run: &mut Rebase<'_>,
        here: &Spot<'_>,
        named: &NamedDirent,
        node: &Node,
        origin: Option<Origin>,
        entry: &Entry,
    ) -> Result<()> {
        let path = here.path.join(&named.name);
        let theirs = origin.as_ref().is_some_and(|origin| origin.entry.content_key() == entry.content_key());
        let replaced = node.staged && theirs && node.kind != Kind::Dir;
        let ino = if replaced { self.fresh_ino()? } else { node.ino };
        if replaced {
            self.drop_staged(here.ino, &named.name, node.ino)?;
        } else if node.kind == Kind::Dir {
            self.rebase_names(run, &Spot { ino, path: &path, origin: origin.as_ref() }, false)?;
        }
        let blended = match &origin {
            Some(origin) if replaced => derived_node(ino, origin.clone()),
            _ => Node { origin: origin.clone(), ..node.clone() },
        };
        self.blend_xattrs(node.ino, ino, origin.as_ref(), &entry.meta.xattrs)?;
        let meta = &entry.meta;
        let blended = Node {
            mode: meta.mode,
            owner: meta.owner,
            mtime: meta.mtime,
            own_xattrs: true,
            settled: false,
            ctime: self.now(),
            ..blended
        };
        let home = self.is_home(here, named, origin.as_ref());
        self.put_row(blended)?;
        Ok(self.overlay.db.put_dirent(here.ino, &named.name, Dirent::Ino(ino), home)?)
    }

    /// Gives `to` the attributes of a merge, of whose long values only the ids count: their bytes are the base's, or
    /// what was set at `from`, which may be the only copy.
    fn blend_xattrs(&mut self, from: u64, to: u64, base: Option<&Origin>, merged: &[Xattr]) -> Result<()> {
        let staged: HashMap<_, _> = self.overlay.db.xattrs(from)?.into_iter().collect();
        let base = base.map(|origin| origin.entry.meta.xattrs.as_slice()).unwrap_or_default();
        self.overlay.db.delete_xattrs(to)?;
        for Xattr { name, value } in merged {
            let of_base = base.iter().find(|xattr| xattr.name == *name && xattr.value.same(value));
            let value = match (of_base, staged.get(name)) {
                (Some(xattr), _) => StagedValue::Base(xattr.value.clone()),
                (None, Some(StagedValue::Bytes(bytes))) if unsent_xattr(bytes.clone()).same(value) => {
                    StagedValue::Bytes(bytes.clone())
                }
                (None, _) => StagedValue::Base(value.clone()),
            };
            self.overlay.db.put_xattr(to, name, &value)?;
        }
        Ok(())
    }

    /// Names that the new base gives to the row's file and the row does not have yet.
    pub(super) fn attach_links(&mut self, ino: u64) -> Result<()> {
        let Some(node) = self.row(ino)?.filter(|node| node.nlink > 0) else { return Ok(()) };
        let path = node.origin.as_ref().and_then(|origin| origin.path.base_path());
        let group = path.filter(|_| node.kind != Kind::Dir).and_then(|path| self.links.group(&path).cloned());
        let Some(group) = group else { return Ok(()) };
        for (parent, name) in group.0.iter().filter_map(TreePath::split_last) {
            let dir = match self.dir_of_origin(&parent) {
                // Deleted or moved here; the merge decided so.
                Err(WorkspaceError::NotFound | WorkspaceError::Stale) => continue,
                dir => dir?,
            };
            if self.overlay.db.dirent(dir.ino, name)?.is_none() {
                self.overlay.db.put_dirent(dir.ino, name, Dirent::Ino(node.ino), true)?;
            }
        }
        let nlink = u32::try_from(self.overlay.db.names_of(node.ino)?.len()).unwrap_or(u32::MAX);
        if nlink != node.nlink {
            self.update_row(Node { nlink, ..(*node).clone() })?;
        }
        Ok(())
    }
}
