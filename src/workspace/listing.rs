//! Listing directories: the base's names and the overlay's, merged in byte order.

use std::cmp::Ordering;

use super::base;
use super::error::WorkspaceError;
use super::state::{Inode, Result, State};
use crate::model::path::TreePath;
use crate::model::tree::NamedEntry;
use crate::overlay::dirent::{Dirent, NamedDirent};

/// Names looked at in one step of a listing.
const STEP: usize = 512;

/// A listed name with what it stands for.
pub type NamedInode = (Vec<u8>, Inode);

/// A step of a listing.
struct Step {
    found: Vec<NamedInode>,
    /// Where the next step goes on; none at the end.
    next: Option<Vec<u8>>,
}

impl State {
    /// At most `max` names after `after`; empty at the end.
    pub fn list(&mut self, dir: &Inode, after: Option<&[u8]>, max: usize) -> Result<Vec<NamedInode>> {
        let mut after = after.unwrap_or_default().to_vec();
        let mut found = Vec::new();
        while found.len() < max {
            let step = self.list_step(dir, &after, (max - found.len()).min(STEP))?;
            found.extend(step.found);
            match step.next {
                Some(next) => after = next,
                None => break,
            }
        }
        Ok(found)
    }

    pub fn is_empty(&mut self, dir: &Inode) -> Result<bool> {
        match dir {
            Inode::Base(base) => Ok(base.entry.as_dir().is_none_or(|dir| dir.counts.entries == 0)),
            Inode::Detached(..) => Ok(true),
            Inode::Staged(node) => Ok(!self.overlay.db.any_child(node.ino)? && self.list(dir, None, 1)?.is_empty()),
        }
    }

    /// Looks at `max` names of each side; may find fewer, or none, and still not be at the end.
    fn list_step(&mut self, dir: &Inode, after: &[u8], max: usize) -> Result<Step> {
        let max = max.max(1);
        let own = match dir {
            Inode::Staged(node) => self.overlay.db.dirents(node.ino, Some(after), max)?,
            _ => Vec::new(),
        };
        let through = dir.show_through();
        let base = match &through {
            Some(through) => base::list(&self.objects, &through.dir, after, max)?,
            None => Vec::new(),
        };
        // Past the last name of a side that has more, the other side alone says nothing.
        let ends = [
            own.last().filter(|_| own.len() == max).map(|last| last.name.clone()),
            base.last().filter(|_| base.len() == max).map(|last| last.name.clone()),
        ];
        let next = ends.into_iter().flatten().min();
        let within = |name: &[u8]| next.as_deref().is_none_or(|end| name <= end);
        let mut found = Vec::new();
        for (named, entry) in merge(own, base) {
            let name = named.as_ref().map_or_else(|| entry.as_ref().map(|e| e.name.clone()), |n| Some(n.name.clone()));
            let Some(name) = name.filter(|name| within(name)) else { break };
            let inode = match (named.map(|named| named.dirent), entry, &through) {
                (Some(Dirent::Whiteout), ..) => continue,
                (Some(Dirent::Ino(ino)), ..) => Inode::Staged(self.row(ino)?.ok_or(WorkspaceError::Stale)?),
                (None, Some(base), Some(through)) => {
                    let path = through.path.child(&name);
                    Inode::Base(Box::new(self.base_inode(dir.ino(), &name, path, base.entry)?))
                }
                _ => continue,
            };
            found.push((name, inode));
        }
        Ok(Step { found, next })
    }

    /// A path of the inode now; none when it has no name any more.
    pub fn path(&mut self, ino: u64) -> Result<Option<TreePath>> {
        let mut names = Vec::new();
        let mut at = ino;
        while at != self.root {
            let up = match self.overlay.db.name_of(at)? {
                Some(up) => up,
                None => match self.resolve(at)? {
                    Inode::Base(base) => (base.parent, base.name),
                    _ => return Ok(None),
                },
            };
            names.push(up.1);
            at = up.0;
        }
        Ok(Some(names.iter().rev().fold(TreePath::root(), |path, name| path.join(name))))
    }
}

/// Pairs two sorted lists by name.
fn merge(own: Vec<NamedDirent>, base: Vec<NamedEntry>) -> Vec<(Option<NamedDirent>, Option<NamedEntry>)> {
    let mut merged = Vec::with_capacity(own.len() + base.len());
    let (mut own, mut base) = (own.into_iter().peekable(), base.into_iter().peekable());
    loop {
        let order = match (own.peek(), base.peek()) {
            (None, None) => return merged,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(own), Some(base)) => own.name.cmp(&base.name),
        };
        merged.push(match order {
            Ordering::Less => (own.next(), None),
            Ordering::Equal => (own.next(), base.next()),
            Ordering::Greater => (None, base.next()),
        });
    }
}
