//! What differs between two trees, told in path order; what is equal is never looked into.

use std::ops::ControlFlow;

use super::entry::Entry;
use super::path::TreePath;
use super::source::NodeSource;

/// One difference between an old and a new tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    Added {
        path: TreePath,
        new: Entry,
    },
    Deleted {
        path: TreePath,
        old: Entry,
    },
    /// The same kind on both sides; a change of kind is a deletion and an addition.
    Modified {
        path: TreePath,
        old: Entry,
        new: Entry,
    },
    /// The same content under another path: a file, or a whole directory, whose inside is then not told.
    Renamed {
        from: TreePath,
        path: TreePath,
        old: Entry,
        new: Entry,
    },
}

impl Change {
    /// The path in the new tree; in the old one for a deletion.
    pub fn path(&self) -> &TreePath {
        match self {
            Change::Added { path, .. }
            | Change::Deleted { path, .. }
            | Change::Modified { path, .. }
            | Change::Renamed { path, .. } => path,
        }
    }

    /// The entry in the new tree; in the old one for a deletion.
    pub fn entry(&self) -> &Entry {
        match self {
            Change::Deleted { old, .. } => old,
            Change::Added { new, .. } | Change::Modified { new, .. } | Change::Renamed { new, .. } => new,
        }
    }
}

/// How a difference is told.
#[derive(Clone, Copy, Debug, Default)]
pub struct DiffOptions {
    /// Tell an addition and a deletion of equal content as one renaming. Holds all that was added or deleted in memory.
    pub renames: bool,
    /// Tell also directories of which nothing but the own time changed.
    pub directory_times: bool,
    /// Tell an added or deleted directory without what is in it.
    pub shallow: bool,
}

/// Tells every difference between `old` and `new` in tree order: a directory before what is in it, names in byte order.
/// The entries are those of the trees' roots; none is an empty tree without a root.
pub async fn diff<S: NodeSource>(
    _source: &S,
    _old: Option<&Entry>,
    _new: Option<&Entry>,
    _options: DiffOptions,
    _visit: &mut (dyn FnMut(Change) -> ControlFlow<()> + Send),
) -> Result<(), S::Error> {
    todo!()
}
