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
    let status = working::status(context, context.branch_name(address)?, &address.path).await?;
    let domain = context.domain(&address.domain).await?;
    let base = SnapshotView::open(domain.snapshot(&status.base).await?).await?;
    let committed = counts_at(&base, &address.path).await?;
    let is_new = status.changes.iter().any(|change| {
        matches!(change.change, ChangeKind::Added | ChangeKind::Renamed) && change.path.starts_with(&address.path)
    });
    if committed.is_none() && !is_new {
        return Err(Failure::failed(format!("there is no {address}")));
    }
    let mut sum = Sum::from(committed.unwrap_or_default());
    for change in &status.changes {
        sum.take(&base, &address.path, change).await?;
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
    async fn take(&mut self, base: &SnapshotView, scope: &TreePath, change: &ChangeReport) -> Result<(), Failure> {
        let is_file = change.kind == Kind::File;
        let alone = Counts { entries: 1, files: u64::from(is_file), bytes: if is_file { change.size } else { 0 } };
        match change.change {
            ChangeKind::Added => self.add(alone, 1),
            ChangeKind::Deleted => self.add(alone, -1),
            ChangeKind::Modified if is_file => {
                let old = counts_at(base, &change.path).await?.unwrap_or_default();
                self.bytes += i128::from(change.size) - i128::from(old.bytes);
            }
            ChangeKind::Modified => {}
            ChangeKind::Renamed => {
                let from = change.from.clone().unwrap_or_default();
                let moved = counts_at(base, &from).await?.unwrap_or(alone);
                self.add(moved, i128::from(change.path.starts_with(scope)) - i128::from(from.starts_with(scope)));
            }
        }
        Ok(())
    }
}
