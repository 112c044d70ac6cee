//! Deleting what a fence condemned, once its grace is over.

use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, stream};

use super::landed::never_landed;
use super::roots::{Moment, Roots};
use super::{Doomed, Run};
use crate::model::gc::{Condemned, Freed};
use crate::model::id::{CommitId, PackName};
use crate::repo::error::RepoError;
use crate::repo::settings::Retention;

/// Objects deleted at once.
const DELETES_MAX: usize = 16;

impl Run<'_> {
    /// Deletes what the newest fence condemned and neither its state nor the newest one reaches, by the rules that bind
    /// writers until the next fence. The grace is over: what readers pinned meanwhile is in the newest state, with all
    /// that was made of it.
    pub(super) async fn sweep(&mut self) -> Result<Freed, RepoError> {
        let Some(list) = self.list().await? else { return Ok(Freed::default()) };
        if !self.anything_left_of(&list) {
            return Ok(Freed::default());
        }
        self.mark_at_fence().await?;
        self.mark_usable().await?;
        let doomed = self.doomed_of(&list).await?;
        let freed = self.size_of(&doomed);
        if self.options.dry_run {
            self.forget(&doomed);
            return Ok(freed);
        }
        self.delete(&doomed).await?;
        self.forget(&doomed);
        // A run that crashed after its fence left this undone.
        self.place_maps(&list).await?;
        Ok(freed)
    }

    async fn delete(&self, doomed: &Doomed) -> Result<(), RepoError> {
        let place = self.domain.place();
        let packs = doomed.packs.iter().flat_map(|pack| [place.pack_key(pack), place.relocation_key(pack)]);
        let packs = packs.chain(doomed.moved.iter().map(|pack| place.pack_key(pack)));
        let keys: Vec<String> = packs.chain(doomed.records.iter().map(|record| place.record_key(record))).collect();
        let deletes = stream::iter(keys).map(|key| {
            let store = self.domain.store().clone();
            async move { store.delete(&key).await }
        });
        let mut deletes = deletes.buffer_unordered(DELETES_MAX);
        while deletes.try_next().await?.is_some() {
            (self.options.progress)(1);
        }
        Ok(())
    }

    /// What the newest fence condemned, waits for its grace, and would go now.
    pub(super) async fn pending(&mut self) -> Result<Freed, RepoError> {
        match self.list().await? {
            Some(list) if self.anything_left_of(&list) => Ok(self.size_of(&self.doomed_of(&list).await?)),
            _ => Ok(Freed::default()),
        }
    }

    /// The list of the newest fence; none when it cannot be read, and then nothing is deleted.
    pub(super) async fn list(&self) -> Result<Option<Arc<Condemned>>, RepoError> {
        match &self.newest {
            Some(newest) => self.domain.condemned_in(newest.state.fence.epoch).await,
            None => Ok(None),
        }
    }

    fn anything_left_of(&self, list: &Condemned) -> bool {
        list.packs.iter().any(|pack| self.is_there(pack))
            || list.records.iter().any(|record| self.inventory.records.contains_key(record))
    }

    pub(super) fn is_there(&self, pack: &PackName) -> bool {
        self.inventory.packs.contains_key(pack) || self.inventory.relocations.contains(pack)
    }

    /// Marks what the state at the fence keeps, by the fence's own horizon and at its time.
    pub(super) async fn mark_at_fence(&mut self) -> Result<(), RepoError> {
        let Some(newest) = &self.newest else { return Ok(()) };
        let (state, before) = (newest.state.clone(), newest.epoch_before);
        let retention = self.retention_at(&state).await?;
        let expired = self.domain.expired_in(before).await?;
        let moment = Moment {
            state: &state,
            horizon: state.fence.horizon,
            retention: &retention,
            now: state.time,
            expired: &expired,
        };
        let roots = Roots::at(self.domain, &mut self.records, &moment).await?;
        self.mark(&roots).await
    }

    /// Marks what a writer may still build on: see [`crate::repo::domain::Domain::usable`].
    async fn mark_usable(&mut self) -> Result<(), RepoError> {
        let (state, retention) = (self.state.clone(), Retention::default());
        let moment = Moment {
            state: &state,
            horizon: state.fence.horizon,
            retention: &retention,
            now: self.now,
            expired: &self.expired,
        };
        let roots = Roots::at(self.domain, &mut self.records, &moment).await?;
        self.mark(&roots).await
    }

    /// Of a list, what is there and nothing marked reaches. Records of landed commits stay for ever.
    async fn doomed_of(&self, list: &Condemned) -> Result<Doomed, RepoError> {
        let packs = list.packs.iter().filter(|pack| self.is_there(pack) && !self.marks.is_marked(pack));
        let there = |record: &&CommitId| self.inventory.records.contains_key(record);
        let stray = list.records.iter().filter(there).filter(|record| !self.kept.contains(record)).copied();
        Ok(Doomed {
            packs: packs.copied().collect(),
            moved: self.superseded().await?.intersection(&list.packs).copied().collect(),
            records: never_landed(self.domain, &self.records, stray, self.state.seq).await?,
        })
    }

    fn forget(&mut self, doomed: &Doomed) {
        self.inventory.packs.retain(|pack, _| !doomed.packs.contains(pack) && !doomed.moved.contains(pack));
        self.inventory.relocations.retain(|pack| !doomed.packs.contains(pack));
        self.inventory.records.retain(|record, _| !doomed.records.contains(record));
    }
}
