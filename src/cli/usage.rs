//! How much lies below an address: the counts that nodes carry, and what is staged added to them. No walk.

use super::context::Context;
use super::{refs, tree, working};
use crate::daemon::failure::Failure;
use crate::model::address::{Address, View};
use crate::model::entry::{Content, Entry, Kind};
use crate::model::path::TreePath;
use crate::model::report::{ChangeKind, ChangeReport};
use crate::model::tree::Counts;
use crate::workspace::error::WorkspaceError;
use crate::workspace::snapshot::SnapshotView;

/// Files, entries and bytes below an address, itself included.
pub async fn below(context: &Context<'_>, address: &Address) -> Result<Counts, Failure> {
    if let View::Revision(_) = address.view {
        let (domain, id) = refs::commit_of(context, address).await?;
        let view = SnapshotView::open(domain.snapshot(&id).await?).await?;
        return counts_at(&view, &address.path).await?.ok_or_else(|| Failure::failed(format!("there is no {address}")));
    }
    // All changes: what left here is told under the path it has now.
    let status = working::status(context, context.branch_name(address)?, &TreePath::root()).await?;
    let domain = context.domain(&address.domain).await?;
    let base = SnapshotView::open(domain.snapshot(&status.base).await?).await?;
    let moves = Moves::of(&status.changes);
    let origin = moves.in_base(&address.path);
    let committed = match moves.carried(&origin) == address.path {
        true => counts_at(&base, &origin).await?,
        // What the base has under this path was renamed away with a directory above it.
        false => None,
    };
    let mut sum = Sum::from(committed.unwrap_or_default());
    for change in &status.changes {
        sum.take(&base, &address.path, &moves, change).await?;
    }
    // Anything but the root is itself an entry.
    if sum.entries <= 0 && !address.path.is_root() {
        return Err(Failure::failed(format!("there is no {address}")));
    }
    Ok(sum.counts())
}

/// The counts of what `path` leads to in a snapshot, itself included.
async fn counts_at(view: &SnapshotView, path: &TreePath) -> Result<Option<Counts>, Failure> {
    match tree::settled(view, || view.lookup(path)).await {
        Ok(node) => Ok(Some(counts_of(&node.entry, path.is_root()))),
        Err(WorkspaceError::NotFound | WorkspaceError::NotDirectory) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn counts_of(entry: &Entry, is_root: bool) -> Counts {
    let own = Counts { entries: u64::from(!is_root), files: 0, bytes: 0 };
    match &entry.content {
        Content::Dir(dir) => own + dir.counts,
        Content::File(_) | Content::External(_) => own + Counts { entries: 0, files: 1, bytes: entry.size() },
        _ => own,
    }
}

/// Directories that were renamed: their paths in the base, and now.
struct Moves(Vec<(TreePath, TreePath)>);

impl Moves {
    fn of(changes: &[ChangeReport]) -> Moves {
        let dirs = changes.iter().filter(|change| change.kind == Kind::Dir);
        Moves(dirs.filter_map(|change| Some((change.from.clone()?, change.path.clone()))).collect())
    }

    /// Where the base has what is at `path` now, by the directory above it that was renamed.
    fn in_base(&self, path: &TreePath) -> TreePath {
        through(path, self.0.iter().map(|(from, to)| (to, from)))
    }

    /// Where the base's `path` came to lie when the directories above it were renamed.
    fn carried(&self, path: &TreePath) -> TreePath {
        through(path, self.0.iter().map(|(from, to)| (from, to)))
    }
}

/// `path` with its deepest beginning that is left of a pair, and not all of it, replaced by what is right of it.
fn through<'a>(path: &TreePath, pairs: impl Iterator<Item = (&'a TreePath, &'a TreePath)>) -> TreePath {
    let inside = pairs.filter_map(|(left, right)| {
        let rest = path.strip_prefix(left).filter(|rest| !rest.is_root())?;
        Some((left.as_bytes().len(), rest.under(right)))
    });
    inside.max_by_key(|(depth, _)| *depth).map_or_else(|| path.clone(), |(_, path)| path)
}

/// Counts that may pass below zero on the way.
struct Sum {
    entries: i128,
    files: i128,
    bytes: i128,
}

impl Sum {
    fn from(counts: Counts) -> Sum {
        Sum { entries: counts.entries.into(), files: counts.files.into(), bytes: counts.bytes.into() }
    }

    fn counts(&self) -> Counts {
        let positive = |number: i128| u64::try_from(number.max(0)).unwrap_or(u64::MAX);
        Counts { entries: positive(self.entries), files: positive(self.files), bytes: positive(self.bytes) }
    }

    fn add(&mut self, counts: Counts, times: i128) {
        self.entries += times * i128::from(counts.entries);
        self.files += times * i128::from(counts.files);
        self.bytes += times * i128::from(counts.bytes);
    }

    /// Adds what `change` adds below `scope`. An added or deleted directory is followed by changes for what is in it.
    async fn take(
        &mut self,
        base: &SnapshotView,
        scope: &TreePath,
        moves: &Moves,
        change: &ChangeReport,
    ) -> Result<(), Failure> {
        let within = |path: &TreePath| i128::from(path.starts_with(scope));
        let is_file = change.kind == Kind::File;
        let alone = Counts { entries: 1, files: u64::from(is_file), bytes: if is_file { change.size } else { 0 } };
        match change.change {
            ChangeKind::Added => self.add(alone, within(&change.path)),
            ChangeKind::Deleted => self.add(alone, -within(&change.path)),
            ChangeKind::Modified if is_file => {
                let old = counts_at(base, &moves.in_base(&change.path)).await?.unwrap_or_default();
                self.bytes += within(&change.path) * (i128::from(change.size) - i128::from(old.bytes));
            }
            ChangeKind::Modified => {}
            ChangeKind::Renamed => {
                let from = change.from.clone().unwrap_or_default();
                let moved = counts_at(base, &from).await?.unwrap_or(alone);
                self.add(moved, within(&change.path) - within(&moves.carried(&from)));
                if is_file {
                    self.bytes += within(&change.path) * (i128::from(change.size) - i128::from(moved.bytes));
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> TreePath {
        TreePath::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn the_deepest_renamed_directory_above_decides() {
        let moves = Moves(vec![(path("b/c"), path("d")), (path("b/c/deep"), path("e"))]);
        assert_eq!(moves.carried(&path("b/c/1")), path("d/1"));
        assert_eq!(moves.carried(&path("b/c/deep")), path("d/deep"), "not through its own renaming");
        assert_eq!(moves.carried(&path("b/c/deep/1")), path("e/1"));
        assert_eq!(moves.in_base(&path("e/2")), path("b/c/deep/2"));
        assert_eq!(moves.in_base(&path("a/2")), path("a/2"));
    }
}
