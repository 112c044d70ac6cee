//! What differs between two trees, told in path order; what is equal is never looked into.

use std::ops::ControlFlow;

use futures::future::{BoxFuture, try_join_all};

use super::entry::{Entry, Kind, same_xattrs};
use super::path::TreePath;
use super::source::NodeSource;
use super::tree::Misfit;
use lockstep::{Lockstep, Pair};

pub mod lockstep;
mod renames;

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

    /// The same in a tree that has this one at `top`.
    #[must_use]
    pub fn under(self, top: &TreePath) -> Change {
        let at = |path: TreePath| path.under(top);
        match self {
            Change::Added { path, new } => Change::Added { path: at(path), new },
            Change::Deleted { path, old } => Change::Deleted { path: at(path), old },
            Change::Modified { path, old, new } => Change::Modified { path: at(path), old, new },
            Change::Renamed { from, path, old, new } => Change::Renamed { from: at(from), path: at(path), old, new },
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

/// Child directories opened at once: covers a round trip; each holds two top nodes of at most 256 KiB.
const OPEN_AT_ONCE: usize = 32;

/// Tells every difference between `old` and `new` in tree order: a directory before what is in it, names in byte order,
/// a deletion before an addition at the same path. The entries are those of the trees' roots, which are told only when
/// both are there; none is an empty tree.
pub async fn diff<S: NodeSource>(
    source: &S,
    old: Option<&Entry>,
    new: Option<&Entry>,
    options: DiffOptions,
    visit: &mut (dyn FnMut(Change) -> ControlFlow<()> + Send),
) -> Result<(), S::Error> {
    if options.renames {
        return renames::diff(source, old, new, options, visit).await;
    }
    let root = TreePath::root();
    if let (Some(old), Some(new)) = (old, new)
        && tell_pair(&root, Some(old), Some(new), options, visit).is_break()
    {
        return Ok(());
    }
    let step = Lockstep::open(source, old.and_then(Entry::as_dir), new.and_then(Entry::as_dir)).await?;
    let mut walk = Walk { source, options, visit };
    walk.inside(root, step).await.map(|_| ())
}

/// Tells what differs between two entries themselves, not what is in them.
fn tell_pair(
    path: &TreePath,
    old: Option<&Entry>,
    new: Option<&Entry>,
    options: DiffOptions,
    visit: &mut (dyn FnMut(Change) -> ControlFlow<()> + Send),
) -> ControlFlow<()> {
    if let (Some(old), Some(new)) = (old, new)
        && old.kind() == new.kind()
    {
        let told = match old.kind() {
            Kind::Dir => !same_directory(old, new) || (options.directory_times && old.meta.mtime != new.meta.mtime),
            _ => !old.same(new),
        };
        return match told {
            true => visit(Change::Modified { path: path.clone(), old: old.clone(), new: new.clone() }),
            false => ControlFlow::Continue(()),
        };
    }
    if let Some(old) = old {
        visit(Change::Deleted { path: path.clone(), old: old.clone() })?;
    }
    match new {
        Some(new) => visit(Change::Added { path: path.clone(), new: new.clone() }),
        None => ControlFlow::Continue(()),
    }
}

/// Two directories with the same mode, owner and extended attributes, whatever is in them and whenever it changed.
fn same_directory(a: &Entry, b: &Entry) -> bool {
    a.meta.mode == b.meta.mode && a.meta.owner == b.meta.owner && same_xattrs(&a.meta.xattrs, &b.meta.xattrs)
}

struct Walk<'a, S> {
    source: &'a S,
    options: DiffOptions,
    visit: &'a mut (dyn FnMut(Change) -> ControlFlow<()> + Send),
}

impl<S: NodeSource> Walk<'_, S> {
    fn inside(&mut self, path: TreePath, mut step: Lockstep) -> BoxFuture<'_, Result<ControlFlow<()>, S::Error>> {
        Box::pin(async move {
            loop {
                let pairs = step.next_batch(self.source, OPEN_AT_ONCE).await?;
                if pairs.is_empty() {
                    return Ok(ControlFlow::Continue(()));
                }
                let below = open_below(self.source, &pairs, self.options.shallow).await?;
                for (pair, below) in pairs.iter().zip(below) {
                    let path = path.join(&pair.name);
                    let (old, new) = (pair.old.as_ref(), pair.new.as_ref());
                    if tell_pair(&path, old, new, self.options, self.visit).is_break() {
                        return Ok(ControlFlow::Break(()));
                    }
                    let Some((dir, below)) =
                        new.or(old).and_then(Entry::as_dir).or(old.and_then(Entry::as_dir)).zip(below)
                    else {
                        continue;
                    };
                    if path.is_too_deep() {
                        return Err(Misfit::too_deep(dir).into());
                    }
                    if self.inside(path, below).await?.is_break() {
                        return Ok(ControlFlow::Break(()));
                    }
                }
            }
        })
    }
}

/// Opens all the pairs' directories at once.
async fn open_below<S: NodeSource>(
    source: &S,
    pairs: &[Pair],
    shallow: bool,
) -> Result<Vec<Option<Lockstep>>, S::Error> {
    let open = pairs.iter().map(async |pair| {
        let old = pair.old.as_ref().and_then(Entry::as_dir);
        let new = pair.new.as_ref().and_then(Entry::as_dir);
        match (old, new) {
            (None, None) => Ok(None),
            (None, _) | (_, None) if shallow => Ok(None),
            _ => Lockstep::open(source, old, new).await.map(Some),
        }
    });
    try_join_all(open).await
}
