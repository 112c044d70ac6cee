//! Garbage collection: what no ref, pin or recent entry leads to is condemned, fenced, and deleted after the readers'
//! grace.
//!
//! A run keeps nothing of its own: what an earlier one began is found in the store. `gc/<epoch>` says what may go, and
//! binds writers as soon as it is there; its fence in the log orders it with everything that lands; a run after the
//! grace marks again from the state at the fence, and deletes what that does not reach. A run that ends anywhere
//! leaves only what the next one goes on with, and of two at once one drops its list.

pub(super) mod fence;
pub(super) mod inventory;
mod landed;
mod mark;
mod repack;
mod roots;
mod sweep;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use self::fence::Newest;
use self::inventory::{Inventory, Stored};
use self::landed::never_landed;
use self::mark::Marks;
use self::repack::MostlyDead;
use self::roots::{Moment, Records, Roots, before};
use super::domain::Domain;
use super::error::RepoError;
use super::refs::LogState;
use super::settings::{DomainSettings, Retention};
use super::write::check_writable;
use crate::model::gc::{CollectionReport, Condemned, Freed};
use crate::model::id::{CommitId, Nonce, PackName};
use crate::model::log::Fence;
use crate::model::time::Time;

/// From the fence on, for so long nothing is deleted: readers of what it condemned leave, or pin what they need, in
/// half of it. Machines look at the logs of domains in use at least every hour.
pub const READERS_GRACE: Duration = Duration::from_secs(24 * 3600);

/// Told how many nodes and objects were dealt with since it was last told.
pub type Progress<'a> = &'a (dyn Fn(u64) + Sync);

/// How to collect.
pub struct CollectOptions<'a> {
    /// Tell what a run would do, and change nothing.
    pub dry_run: bool,
    pub progress: Progress<'a>,
}

/// Things that may go.
#[derive(Debug, Default)]
struct Doomed {
    packs: BTreeSet<PackName>,
    /// Packs whose live frames all lie elsewhere too: they go, and their maps stay.
    moved: BTreeSet<PackName>,
    records: BTreeSet<CommitId>,
}

impl Doomed {
    fn is_empty(&self) -> bool {
        self.packs.is_empty() && self.moved.is_empty() && self.records.is_empty()
    }
}

/// One run on one domain.
struct Run<'a> {
    domain: &'a Domain,
    options: &'a CollectOptions<'a>,
    /// The newest state when the run began.
    state: Arc<LogState>,
    now: Time,
    retention: Retention,
    horizon: u64,
    newest: Option<Newest>,
    /// What the newest fence let expire.
    expired: BTreeSet<CommitId>,
    inventory: Inventory,
    records: Records,
    /// What any state that this run looked at keeps: a superset of each, so that nothing is read twice.
    marks: Marks,
    /// Trees that were marked.
    kept: BTreeSet<CommitId>,
}

impl Domain {
    /// One run of the collector: deletes what the newest fence condemned once its grace is over, then condemns what
    /// nothing leads to now. Any read error ends it, and everything stays.
    pub async fn collect(&self, options: &CollectOptions<'_>) -> Result<CollectionReport, RepoError> {
        let mut run = Run::begin(self, options).await?;
        let mut report = CollectionReport {
            domain: self.info().name.clone(),
            dry_run: options.dry_run,
            epoch: run.state.fence.epoch,
            horizon: run.state.fence.horizon,
            ..CollectionReport::default()
        };
        let expired = run.mark_now().await?;
        // Before the sweep, which marks by what still binds writers: that is more.
        let doomed = run.unmarked().await?;
        let mostly_dead = run.mostly_dead();
        let due = run.newest.as_ref().map(|newest| Time(newest.time().0 + READERS_GRACE.as_nanos() as i64));
        match due {
            Some(due) if due > run.now => {
                report.pending = run.pending().await?;
                report.delete_after = Some(due);
            }
            Some(_) => report.deleted = run.sweep().await?,
            None => {}
        }
        if report.delete_after.is_none() || report.pending == Freed::default() {
            run.condemn(doomed, mostly_dead, expired, &mut report).await?;
        }
        report.read = run.marks.reads;
        let live = run.inventory.packs.iter().filter(|(pack, _)| run.marks.is_marked(pack));
        report.kept = freed(live.map(|(_, stored)| stored), run.inventory.records.len());
        Ok(report)
    }
}

impl<'a> Run<'a> {
    async fn begin(domain: &'a Domain, options: &'a CollectOptions<'a>) -> Result<Run<'a>, RepoError> {
        domain.poll().await?;
        let head = domain.0.follower.head();
        let state = head.state.clone();
        if !options.dry_run {
            domain.check_mesh_writable()?;
            check_writable(domain.0.follower.title(), &head.features)?;
        }
        let now = domain.store_time()?;
        let retention = domain.settings(&state).await?.retention;
        let newest = fence::newest(domain, &state).await?;
        let expired = domain.expired_in(state.fence.epoch).await?;
        // The first entry that is younger than what is kept.
        let oldest = before(now, retention.unreferenced());
        let young = match oldest >= state.time {
            true => state.seq + 1,
            false => domain.newest_entry_at(oldest, state.seq).await? + 1,
        };
        let horizon = young.max(state.fence.horizon);
        // Marked before listed or after: what is put meanwhile is young.
        let inventory = Inventory::take(domain).await?;
        let records = Records::load(domain, &inventory).await;
        Ok(Run {
            domain,
            options,
            state,
            now,
            retention,
            horizon,
            newest,
            expired,
            inventory,
            records,
            marks: Marks::default(),
            kept: BTreeSet::new(),
        })
    }

    /// Marks what the newest state keeps; gives the history that expires by it.
    async fn mark_now(&mut self) -> Result<BTreeSet<CommitId>, RepoError> {
        let moment = Moment {
            state: &self.state,
            horizon: self.horizon,
            retention: &self.retention,
            now: self.now,
            expired: &self.expired,
        };
        let roots = Roots::at(self.domain, &mut self.records, &moment).await?;
        self.mark(&roots).await?;
        Ok(roots.expired)
    }

    async fn mark(&mut self, roots: &Roots) -> Result<(), RepoError> {
        for location in &roots.tables {
            self.marks.add(location)?;
        }
        let snapshots = roots.snapshots(self.domain, &mut self.records).await?;
        self.marks.mark(self.domain.objects(), snapshots, self.options.progress).await?;
        self.kept.extend(&roots.commits);
        // What the newest collection copied, nothing but its maps will name, and they may not be there yet.
        for pack in self.list().await?.iter().flat_map(|list| &list.made) {
            self.marks.keep(*pack);
        }
        self.follow_moves().await
    }

    /// Condemns what is old and unmarked, and fences that.
    async fn condemn(
        &mut self,
        mut doomed: Doomed,
        mostly_dead: Vec<MostlyDead>,
        expired: BTreeSet<CommitId>,
        report: &mut CollectionReport,
    ) -> Result<(), RepoError> {
        // Some of it the sweep may have deleted.
        doomed.packs.retain(|pack| self.is_there(pack));
        doomed.moved.retain(|pack| self.inventory.packs.contains_key(pack));
        doomed.records.retain(|record| self.inventory.records.contains_key(record));
        let copied = self.copy_live(mostly_dead).await?;
        if doomed.is_empty() && copied.moved.is_empty() {
            return Ok(());
        }
        report.condemned = self.size_of(&doomed);
        report.moved = copied.freed;
        if self.options.dry_run {
            return Ok(());
        }
        let mut list = Condemned {
            // Given when it is stored.
            epoch: 0,
            nonce: Nonce(self.domain.sys().random.name()),
            horizon: self.horizon,
            time: self.now,
            packs: doomed.packs.into_iter().chain(doomed.moved).chain(copied.moved).collect(),
            records: doomed.records.into_iter().chain(expired).collect(),
            made: copied.made,
        };
        self.domain.put_condemned(&mut list).await?;
        let Some(state) = self.domain.put_fence(Fence { epoch: list.epoch, horizon: self.horizon }).await? else {
            // Another collection got ahead: its list stands, and the next run finds what it has not.
            (report.condemned, report.moved) = Default::default();
            return Ok(());
        };
        report.epoch = state.fence.epoch;
        report.horizon = state.fence.horizon;
        report.delete_after = Some(Time(state.time.0 + READERS_GRACE.as_nanos() as i64));
        if !list.made.is_empty() {
            self.newest = fence::newest(self.domain, &state).await?;
            self.mark_at_fence().await?;
            self.place_maps(&list).await?;
        }
        Ok(())
    }

    /// What is old and nothing leads to.
    async fn unmarked(&self) -> Result<Doomed, RepoError> {
        let Inventory { packs, relocations, records } = &self.inventory;
        let old = packs.iter().filter(|(_, stored)| stored.is_old(self.now)).map(|(pack, _)| pack);
        // The map of a pack that is gone outlives it for as long as anything names a place in it.
        let moved = relocations.iter().filter(|pack| !packs.contains_key(pack));
        let unmarked = |pack: &&PackName| !self.marks.is_marked(pack);
        let stray = records.iter().filter(|(id, stored)| stored.is_old(self.now) && !self.kept.contains(id));
        let stray = stray.map(|(id, _)| *id);
        Ok(Doomed {
            packs: old.chain(moved).filter(unmarked).copied().collect(),
            moved: self.superseded().await?,
            records: never_landed(self.domain, &self.records, stray, self.state.seq).await?,
        })
    }

    /// The settings that decided at a fence; where they cannot be read, those that keep most.
    async fn retention_at(&self, state: &LogState) -> Result<Retention, RepoError> {
        match self.domain.settings(state).await {
            Ok(DomainSettings { retention, .. }) => Ok(retention),
            Err(RepoError::Refused(reason)) => {
                tracing::warn!(reason, "settings that cannot be used keep everything");
                Ok(Retention::default())
            }
            Err(error) => Err(error),
        }
    }

    fn size_of(&self, doomed: &Doomed) -> Freed {
        let packs = doomed.packs.iter().chain(&doomed.moved).filter_map(|pack| self.inventory.packs.get(pack));
        freed(packs, doomed.records.len())
    }
}

fn freed<'s>(packs: impl Iterator<Item = &'s Stored>, records: usize) -> Freed {
    packs.fold(Freed { records: records as u64, ..Freed::default() }, |sum, stored| Freed {
        packs: sum.packs + 1,
        bytes: sum.bytes + stored.bytes,
        ..sum
    })
}
