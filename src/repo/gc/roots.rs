//! What a state of the log keeps: heads with their history, what recent entries name, and the tables of refs.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use futures::{StreamExt, stream};

use super::inventory::Inventory;
use crate::model::commit::Commit;
use crate::model::id::{CommitId, Location, RootId};
use crate::model::log::{Entry, TableRef};
use crate::model::time::Time;
use crate::repo::domain::Domain;
use crate::repo::error::RepoError;
use crate::repo::refs::LogState;
use crate::repo::settings::Retention;

/// Records and entries read at once.
const READS_MAX: usize = 16;

/// What a collection needs of a record.
#[derive(Clone, Debug)]
pub(super) struct Slim {
    pub root: RootId,
    pub root_location: Location,
    pub first_seq: u64,
    parents: Vec<CommitId>,
    time: Time,
}

impl Slim {
    fn of(record: &Commit) -> Slim {
        Slim {
            root: record.root,
            root_location: record.root_location,
            first_seq: record.first_seq,
            parents: record.parents.clone(),
            time: record.time,
        }
    }
}

/// The records of a domain, read side by side: along their parents, each would wait for the one before.
#[derive(Debug, Default)]
pub(super) struct Records(HashMap<CommitId, Slim>);

impl Records {
    pub async fn load(domain: &Domain, inventory: &Inventory) -> Records {
        let ids: Vec<CommitId> = inventory.records.keys().copied().collect();
        let reads = stream::iter(ids).map(|id| {
            let domain = domain.clone();
            async move { domain.record(&id).await }
        });
        let mut reads = reads.buffer_unordered(READS_MAX);
        let mut records = HashMap::new();
        while let Some(read) = reads.next().await {
            // What cannot be read is missed, and told, when something leads to it.
            records.extend(read.ok().map(|record| (record.id, Slim::of(&record))));
        }
        Records(records)
    }

    pub fn known(&self, id: &CommitId) -> Option<&Slim> {
        self.0.get(id)
    }

    pub async fn get(&mut self, domain: &Domain, id: &CommitId) -> Result<&Slim, RepoError> {
        // Not listed: it was put since, or is damaged.
        if !self.0.contains_key(id) {
            let record = domain.record(id).await?;
            self.0.insert(*id, Slim::of(&record));
        }
        Ok(&self.0[id])
    }
}

/// A state of the log, and by which rules it keeps what it leads to.
pub(super) struct Moment<'a> {
    pub state: &'a LogState,
    pub horizon: u64,
    pub retention: &'a Retention,
    pub now: Time,
    /// Commits that an earlier collection let expire: they are no history any more.
    pub expired: &'a BTreeSet<CommitId>,
}

/// What must stay.
#[derive(Debug, Default)]
pub(super) struct Roots {
    /// Whole trees.
    pub commits: BTreeSet<CommitId>,
    /// Tables of refs that lie in packs.
    pub tables: Vec<Location>,
    /// History that the domain's settings let expire, then and now.
    pub expired: BTreeSet<CommitId>,
}

impl Roots {
    pub async fn at(domain: &Domain, records: &mut Records, moment: &Moment<'_>) -> Result<Roots, RepoError> {
        let mut roots = Roots { expired: moment.expired.clone(), ..Roots::default() };
        roots.add_history(domain, records, moment).await?;
        roots.add_entries(domain, moment).await?;
        Ok(roots)
    }

    /// The trees, for marking.
    pub async fn snapshots(
        &self,
        domain: &Domain,
        records: &mut Records,
    ) -> Result<Vec<(RootId, Location)>, RepoError> {
        let mut snapshots = Vec::with_capacity(self.commits.len());
        for id in &self.commits {
            let record = records.get(domain, id).await?;
            snapshots.push((record.root, record.root_location));
        }
        Ok(snapshots)
    }

    /// Heads, and what came before them as far as it is kept: a commit for as long after its successor as the settings
    /// say, so that the newest state of every kept day is there.
    async fn add_history(
        &mut self,
        domain: &Domain,
        records: &mut Records,
        moment: &Moment<'_>,
    ) -> Result<(), RepoError> {
        let spans = moment.state.refs.refs.iter().map(|(name, now)| (moment.retention.history_of(name), now.target));
        let mut heads: Vec<(Option<Duration>, CommitId)> = spans.collect();
        // Those with the longest history first: what they keep need not be looked at again.
        heads.sort_by_key(|(span, _)| std::cmp::Reverse(span.unwrap_or(Duration::MAX)));
        for (span, head) in heads {
            let oldest = span.map(|span| before(moment.now, span));
            let mut open = vec![head];
            while let Some(id) = open.pop() {
                if !self.commits.insert(id) {
                    continue;
                }
                let record = records.get(domain, &id).await?;
                if oldest.is_none_or(|oldest| record.time >= oldest) {
                    open.extend(record.parents.iter().filter(|parent| !moment.expired.contains(parent)));
                }
            }
        }
        let kept: Vec<CommitId> = self.commits.iter().copied().collect();
        for id in kept {
            let mut open = records.get(domain, &id).await?.parents.clone();
            while let Some(id) = open.pop() {
                if !self.commits.contains(&id) && self.expired.insert(id) {
                    open.extend(&records.get(domain, &id).await?.parents);
                }
            }
        }
        Ok(())
    }

    /// What entries that are not before the horizon name: what they set refs to, and what they took them from. Of
    /// these, and of the newest entry whatever its age, the table of refs that it needs.
    async fn add_entries(&mut self, domain: &Domain, moment: &Moment<'_>) -> Result<(), RepoError> {
        let follower = &domain.0.follower;
        let newest = moment.state.seq;
        let oldest = moment.horizon.min(newest).max(1);
        let seqs = oldest..=newest;
        let mut entries = stream::iter(seqs.map(|seq| follower.entry(seq))).buffered(READS_MAX);
        let mut holders = BTreeSet::new();
        while let Some(entry) = entries.next().await {
            let entry = entry?;
            if entry.seq >= moment.horizon {
                let named = entry.changes.iter().flat_map(|change| [change.target, change.previous_target]);
                self.commits.extend(named.flatten());
            }
            self.add_table(&entry);
            if let TableRef::At { seq, .. } = entry.table {
                holders.insert(seq);
            }
        }
        for seq in holders.into_iter().filter(|seq| *seq < oldest) {
            self.add_table(&follower.entry(seq).await?);
        }
        Ok(())
    }

    fn add_table(&mut self, entry: &Entry) {
        if let TableRef::Packed { location, .. } = &entry.table {
            self.tables.push(*location);
        }
    }
}

/// So long before `now`.
pub(super) fn before(now: Time, span: Duration) -> Time {
    Time(now.0.saturating_sub(i64::try_from(span.as_nanos()).unwrap_or(i64::MAX)))
}
