//! History: commits newest first, and what each ref pointed to when.

use std::collections::{BTreeSet, BinaryHeap};
use std::sync::Arc;

use futures::StreamExt;
use futures::stream;

use super::domain::Domain;
use super::error::RepoError;
use super::refs::LogState;
use crate::model::commit::Commit;
use crate::model::id::CommitId;
use crate::model::log::{Change, Entry, Operation, RefIdentity, RefName};
use crate::model::time::Time;

/// Objects read at once.
const READS_MAX: usize = 16;

/// Commits of a walk that are read one after the other, each by its child's word alone; what goes further is a long
/// walk, and worth the log entries by which it goes faster.
const PAGE: usize = 20;

/// Entries looked at together where a ref's changes stand close to each other.
const WINDOW_MAX: u64 = 32;

/// One change of a ref, as the log has it.
#[derive(Clone, Debug)]
pub struct ReflogEntry {
    pub seq: u64,
    pub time: Time,
    pub actor: String,
    pub host: String,
    pub change: Change,
}

/// A record in the order of a walk: children before parents, the newer before the older.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank {
    generation: u64,
    time: Time,
    pub id: CommitId,
}

impl Rank {
    pub fn of(record: &Commit) -> Rank {
        Rank { generation: record.generation, time: record.time, id: record.id }
    }
}

/// The changes of one ref, from a known one back to its creation.
pub(super) struct Chain<'a> {
    domain: &'a Domain,
    name: RefName,
    /// The next entry to read; none at the end.
    next_seq: Option<u64>,
    window: u64,
}

impl Chain<'_> {
    /// Some more changes, newest first; none at the end. Entries beside each other are read together as long as that
    /// finds something.
    async fn more(&mut self) -> Result<Vec<(Entry, Change)>, RepoError> {
        let Some(newest) = self.next_seq else { return Ok(Vec::new()) };
        let oldest = newest.saturating_sub(self.window - 1).max(1);
        let follower = &self.domain.0.follower;
        let reads = stream::iter((oldest..=newest).rev().map(|seq| follower.entry(seq))).buffered(READS_MAX);
        let entries = reads.collect::<Vec<_>>().await;
        let mut found = Vec::new();
        for entry in entries {
            let entry = entry?;
            if self.next_seq != Some(entry.seq) {
                continue;
            }
            let Some(change) = entry.changes.iter().find(|change| change.name == self.name).cloned() else {
                return Err(RepoError::Damaged {
                    what: format!("entry {} of the log of {}", entry.seq, follower.title()),
                    reason: format!("a later entry says that it changed `{}`, and it did not", self.name.name),
                });
            };
            self.next_seq = change.previous_seq.filter(|previous| *previous < entry.seq);
            found.push((entry, change));
        }
        self.window = if found.len() as u64 * 2 >= self.window { (self.window * 2).min(WINDOW_MAX) } else { 1 };
        Ok(found)
    }
}

impl Domain {
    /// `from` and its ancestors, newest first, `max` of them at most.
    pub async fn history(&self, from: &CommitId, max: usize) -> Result<Vec<Arc<Commit>>, RepoError> {
        let mut ahead = self.chain_of_head(&self.state(), from);
        let mut seen = BTreeSet::from([*from]);
        let mut open = BinaryHeap::from([Rank::of(self.record(from).await?.as_ref())]);
        let mut found = Vec::new();
        while found.len() < max
            && let Some(Rank { id, .. }) = open.pop()
        {
            let record = self.record(&id).await?;
            let parents: Vec<_> = record.parents.iter().copied().filter(|parent| seen.insert(*parent)).collect();
            found.push(record);
            if found.len() == max {
                break;
            }
            if found.len() > PAGE && parents.iter().any(|parent| !self.is_remembered(parent)) {
                self.read_ahead(&mut ahead, max - found.len()).await?;
            }
            let reads = stream::iter(parents.iter().map(|parent| self.record(parent))).buffered(READS_MAX);
            for parent in reads.collect::<Vec<_>>().await {
                open.push(Rank::of(parent?.as_ref()));
            }
        }
        Ok(found)
    }

    /// The newest `max` changes of a branch or tag, newest first: of the live one of this name, else of its last life.
    pub async fn reflog(&self, name: &RefName, max: usize) -> Result<Vec<ReflogEntry>, RepoError> {
        let state = self.state();
        let newest = match state.get(name) {
            Some(now) => Some(now.changed_seq),
            None => self.deletion_of(name, state.seq).await?,
        };
        let mut chain = Chain { domain: self, name: name.clone(), next_seq: newest, window: 1 };
        let mut found = Vec::new();
        while found.len() < max {
            let more = chain.more().await?;
            if more.is_empty() {
                break;
            }
            found.extend(more.into_iter().map(|(entry, change)| ReflogEntry {
                seq: entry.seq,
                time: entry.time,
                actor: entry.actor,
                host: entry.host,
                change,
            }));
        }
        found.truncate(max);
        Ok(found)
    }

    /// The live ref of this name as an identity, for a caller that has only the name.
    pub fn identity(&self, name: &RefName) -> Option<RefIdentity> {
        let now = self.state().get(name)?;
        Some(RefIdentity { name: name.clone(), created_seq: now.created_seq })
    }

    /// The newest entry up to `newest` that deleted a ref of this name.
    async fn deletion_of(&self, name: &RefName, newest: u64) -> Result<Option<u64>, RepoError> {
        let mut entries = stream::iter((1..=newest).rev().map(|seq| self.0.follower.entry(seq))).buffered(READS_MAX);
        while let Some(entry) = entries.next().await {
            let entry = entry?;
            let deletes = |change: &Change| change.operation == Operation::Delete && change.name == *name;
            if entry.changes.iter().any(deletes) {
                return Ok(Some(entry.seq));
            }
        }
        Ok(None)
    }

    /// The changes that led to a live ref's target, by which its ancestors can be read side by side instead of one
    /// after the other. A local store answers too fast for that to help.
    pub(super) fn chain_of_head(&self, state: &LogState, commit: &CommitId) -> Option<Chain<'_>> {
        if self.store().is_local() {
            return None;
        }
        let (name, now) = state.refs.refs.iter().find(|(_, now)| now.target == *commit)?;
        Some(Chain { domain: self, name: name.clone(), next_seq: Some(now.changed_seq), window: 1 })
    }

    /// Reads records that a walk of `wanted` more commits will come to.
    pub(super) async fn read_ahead(&self, chain: &mut Option<Chain<'_>>, wanted: usize) -> Result<(), RepoError> {
        let Some(changes) = chain else { return Ok(()) };
        let changes = changes.more().await?;
        if changes.is_empty() {
            *chain = None;
        }
        let targets = changes.iter().filter_map(|(_, change)| change.previous_target).take(wanted);
        let unread: Vec<_> = targets.filter(|target| !self.is_remembered(target)).collect();
        let reads = unread.into_iter().map(async |target| self.record(&target).await);
        let reads = stream::iter(reads).buffered(READS_MAX);
        // What cannot be read is missed, and told, when the walk comes to it.
        reads.for_each(|_| std::future::ready(())).await;
        Ok(())
    }
}
