//! `conflicts/{base,ours,theirs}`: the three sides of each path in conflict.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::{ConflictSide, Control, ControlNode};
use crate::model::entry::Entry;
use crate::model::id::CommitId;
use crate::model::path::TreePath;
use crate::vfs::Vfs;
use crate::vfs::branch::Branch;
use crate::vfs::entries::plain;
use crate::vfs::error::VfsError;
use crate::vfs::listing::ListEntry;
use crate::vfs::miss::Miss;
use crate::vfs::node::Lookup;
use crate::vfs::snapshot::SnapshotEntry;
use crate::vfs::table::Node;

/// What a name in a folder of conflicts leads to.
#[derive(Clone, Debug)]
enum Found {
    /// Further folders.
    Folder,
    /// The side itself, and the commit that the conflict was met at.
    Side(Entry, CommitId),
    /// What the working tree has.
    Ours,
}

/// The symlink target that leads from `conflicts/ours/PATH` to PATH in the working tree.
pub(super) fn way_to_ours(path: &TreePath) -> Vec<u8> {
    // From the folder that holds the symlink: up through the path's own folders, then `ours`, `conflicts`, `.meshfs`.
    let ups = path.names().count().saturating_sub(1) + 3;
    let mut target = b"../".repeat(ups);
    target.extend_from_slice(path.as_bytes());
    target
}

/// The names in the folder `above`, of the paths that one side has. What is in conflict itself goes before folders on
/// the way to others.
fn names(sides: Vec<(TreePath, Found)>, above: &TreePath) -> BTreeMap<Vec<u8>, Found> {
    let mut found = BTreeMap::new();
    for (path, side) in sides {
        let Some(rest) = path.strip_prefix(above) else { continue };
        let mut rest = rest.names();
        let Some(name) = rest.next() else { continue };
        match rest.next() {
            None => {
                found.insert(name.to_vec(), side);
            }
            Some(_) => {
                found.entry(name.to_vec()).or_insert(Found::Folder);
            }
        }
    }
    found
}

impl Vfs {
    fn conflict_names(
        &self,
        dir: &ControlNode,
        side: ConflictSide,
        above: &TreePath,
    ) -> Result<BTreeMap<Vec<u8>, Found>, VfsError> {
        let branch = dir.branch();
        let conflicts = branch.workspace()?.conflicts().map_err(|error| branch.refused(error))?;
        let mut sides = Vec::new();
        for conflict in conflicts.into_iter().filter(|conflict| conflict.resolved.is_none()) {
            let head = conflict.head;
            let found = match side {
                ConflictSide::Base => conflict.base.map(|entry| Found::Side(entry, head)),
                ConflictSide::Theirs => conflict.theirs.map(|entry| Found::Side(entry, head)),
                ConflictSide::Ours => self.work_has(branch, &conflict.path)?.then_some(Found::Ours),
            };
            sides.extend(found.map(|found| (conflict.path, found)));
        }
        Ok(names(sides, above))
    }

    /// Has the working tree anything at `path` now?
    fn work_has(&self, branch: &Arc<Branch>, path: &TreePath) -> Result<bool, VfsError> {
        let workspace = branch.workspace()?;
        match workspace.lookup_path(path).map_err(|error| branch.refused(error)) {
            Ok(attr) => {
                workspace.forget(attr.ino, 1);
                Ok(true)
            }
            Err(VfsError::NotFound | VfsError::NotDirectory) => Ok(false),
            Err(error) => Err(error),
        }
    }

    pub(super) fn lookup_conflict(
        &self,
        dir: &ControlNode,
        side: ConflictSide,
        above: &TreePath,
        name: &[u8],
    ) -> Result<Lookup, VfsError> {
        let found = self.conflict_names(dir, side, above)?.remove(name);
        let path = || above.join(name);
        match found {
            None => Ok(Lookup::Absent { ttl: Duration::ZERO }),
            Some(Found::Folder) => self.found_control(ControlNode::new(dir.branch(), Control::Side(side, path()))),
            Some(Found::Ours) => self.found_control(ControlNode::new(dir.branch(), Control::Ours(path()))),
            Some(Found::Side(entry, head)) => {
                let entry = self.shown_side(dir, path(), entry, &head)?;
                let attr = self.snapshot_attr(&entry);
                let node = Node::Snapshot(Arc::new(entry));
                Ok(Lookup::Found(self.found(attr, node, Duration::ZERO, Duration::ZERO)))
            }
        }
    }

    /// A side as its commit had it, under numbers of this place.
    fn shown_side(
        &self,
        dir: &ControlNode,
        path: TreePath,
        entry: Entry,
        head: &CommitId,
    ) -> Result<SnapshotEntry, VfsError> {
        let domain = self.domain_of(dir.branch())?;
        let Some(tree) = domain.snapshot(head) else {
            return Err(VfsError::from(Miss::Snapshot(domain, *head)));
        };
        let node = tree.view().show(&path, entry);
        // Another content at this path is another file, for who has the first one open.
        let realm = dir.ino() ^ node.attr.ino;
        Ok(SnapshotEntry { tree, path, node, realm: Some(realm) })
    }

    pub(super) fn conflict_entries(
        &self,
        dir: &ControlNode,
        side: ConflictSide,
        above: &TreePath,
    ) -> Result<Vec<ListEntry>, VfsError> {
        let mut entries = Vec::new();
        for (name, found) in self.conflict_names(dir, side, above)? {
            let path = above.join(&name);
            let control = |control| ControlNode::new(dir.branch(), control);
            let (ino, kind) = match found {
                Found::Folder => {
                    let node = control(Control::Side(side, path));
                    (node.ino(), node.kind())
                }
                Found::Ours => {
                    let node = control(Control::Ours(path));
                    (node.ino(), node.kind())
                }
                Found::Side(entry, head) => {
                    let entry = self.shown_side(dir, path, entry, &head)?;
                    (entry.ino(), self.snapshot_attr(&entry).kind)
                }
            };
            entries.push(plain(name, ino, kind));
        }
        Ok(entries)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> TreePath {
        TreePath::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn ours_is_found_from_any_depth() {
        let target = |text| String::from_utf8(way_to_ours(&path(text))).unwrap();
        assert_eq!(target("a"), "../../../a");
        assert_eq!(target("a/b"), "../../../../a/b");
    }

    #[test]
    fn folders_lead_to_what_is_in_conflict() {
        let all = || ["a/b", "a/c/d", "e", "e/f"].map(|text| (path(text), Found::Ours)).to_vec();
        let shown = |above: &str| {
            let names = names(all(), &path(above)).into_iter();
            names
                .map(|(name, found)| (String::from_utf8(name).unwrap(), matches!(found, Found::Ours)))
                .collect::<Vec<_>>()
        };
        assert_eq!(shown(""), [("a".into(), false), ("e".into(), true)]);
        assert_eq!(shown("a"), [("b".into(), true), ("c".into(), false)]);
        assert_eq!(shown("a/c"), [("d".into(), true)]);
        assert_eq!(shown("x"), []);
    }
}
