//! `conflicts/{base,ours,theirs}`: the three sides of each path in conflict.

use super::{ConflictSide, ControlNode};
use crate::model::path::TreePath;
use crate::vfs::Vfs;
use crate::vfs::error::VfsError;
use crate::vfs::listing::ListEntry;
use crate::vfs::node::Lookup;

/// The symlink target that leads from `conflicts/ours/PATH` to PATH in the working tree.
pub(super) fn way_to_ours(path: &TreePath) -> Vec<u8> {
    // From the folder that holds the symlink: up through the path's own folders, then `ours`, `conflicts`, `.meshfs`.
    let ups = path.names().count().saturating_sub(1) + 3;
    let mut target = b"../".repeat(ups);
    target.extend_from_slice(path.as_bytes());
    target
}

impl Vfs {
    pub(super) fn lookup_conflict(
        &self,
        _dir: &ControlNode,
        _side: ConflictSide,
        _above: &TreePath,
        _name: &[u8],
    ) -> Result<Lookup, VfsError> {
        todo!()
    }
    pub(super) fn conflict_entries(
        &self,
        _dir: &ControlNode,
        _side: ConflictSide,
        _above: &TreePath,
    ) -> Result<Vec<ListEntry>, VfsError> {
        todo!()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ours_is_found_from_any_depth() {
        let target = |path: &[u8]| String::from_utf8(way_to_ours(&TreePath::parse(path).unwrap())).unwrap();
        assert_eq!(target(b"a"), "../../../a");
        assert_eq!(target(b"a/b"), "../../../../a/b");
    }
}
