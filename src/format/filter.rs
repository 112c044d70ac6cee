//! Bloom filters of changed paths.

use crate::model::commit::PathFilter;
use crate::model::path::TreePath;

/// A filter of these paths and all their ancestors.
pub fn build<'a>(_paths: impl IntoIterator<Item = &'a TreePath>) -> PathFilter {
    todo!()
}

/// Does the filter allow that this path, or something below it, changed?
pub fn may_contain(_filter: &PathFilter, _path: &TreePath) -> bool {
    todo!()
}
