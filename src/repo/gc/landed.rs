//! Which records are no commits: written for an entry that never landed.

use std::collections::BTreeSet;

use futures::{StreamExt, stream};

use super::roots::Records;
use crate::model::id::CommitId;
use crate::model::log::Entry;
use crate::repo::domain::Domain;
use crate::repo::error::RepoError;

/// Entries read at once.
const READS_MAX: usize = 16;

/// Those of `candidates` that no entry up to `newest` names. Nearly always one of the first two entries that a record
/// was written for names it; for the rest the log is read once, from the first that could.
pub(super) async fn never_landed(
    domain: &Domain,
    records: &Records,
    candidates: impl IntoIterator<Item = CommitId>,
    newest: u64,
) -> Result<BTreeSet<CommitId>, RepoError> {
    // One that cannot be read tells nothing of its entry: it stays.
    let candidates = candidates.into_iter().filter(|id| records.known(id).is_some());
    let mut open: BTreeSet<CommitId> = candidates.collect();
    let first_seq = |id: &CommitId| records.known(id).map_or(1, |record| record.first_seq.max(1));
    let near: BTreeSet<u64> = open.iter().flat_map(|id| [first_seq(id), first_seq(id) + 1]).collect();
    take_out(domain, &mut open, near.into_iter().filter(|seq| *seq <= newest)).await?;
    let first = open.iter().map(first_seq).min().unwrap_or(newest + 1);
    take_out(domain, &mut open, first..=newest).await?;
    Ok(open)
}

async fn take_out(
    domain: &Domain,
    open: &mut BTreeSet<CommitId>,
    seqs: impl Iterator<Item = u64>,
) -> Result<(), RepoError> {
    if open.is_empty() {
        return Ok(());
    }
    let follower = &domain.0.follower;
    let mut entries = stream::iter(seqs.map(|seq| follower.entry(seq))).buffer_unordered(READS_MAX);
    while let Some(entry) = entries.next().await {
        let entry: Entry = entry?;
        for target in entry.changes.iter().filter_map(|change| change.target) {
            open.remove(&target);
        }
    }
    Ok(())
}
