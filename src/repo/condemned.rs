//! What garbage collections condemned: looked up before anything sent under an older epoch is put under a newer one.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, stream};
use lru::LruCache;
use parking_lot::Mutex;

use super::domain::{Domain, Proposal, Proposed, Sent};
use super::error::RepoError;
use super::refs::LogState;
use crate::format::gc::decode_condemned;
use crate::model::gc::Condemned;
use crate::model::id::{CommitId, PackName};

/// Collections that something sent is looked up in at most: what has waited longer counts as condemned. One is days apart
/// from the next.
pub const LISTS_MAX: u64 = 16;

/// Lists fetched at once.
const FETCHES_MAX: usize = 4;

/// Lists kept: those that one look may need.
const KEPT_MAX: NonZeroUsize = NonZeroUsize::new(LISTS_MAX as usize).unwrap();

/// Lists that were read; they never change.
#[derive(Debug)]
pub struct CondemnedCache {
    by_epoch: Mutex<LruCache<u64, Arc<Condemned>>>,
}

impl Default for CondemnedCache {
    fn default() -> CondemnedCache {
        CondemnedCache { by_epoch: Mutex::new(LruCache::new(KEPT_MAX)) }
    }
}

impl Domain {
    /// Those of the names that a collection condemned in an epoch after their label, up to `epoch`; and those that are
    /// too old to be looked up.
    pub async fn condemned(
        &self,
        packs: &[Sent<PackName>],
        records: &[Sent<CommitId>],
        epoch: u64,
    ) -> Result<(Vec<PackName>, Vec<CommitId>), RepoError> {
        let too_old = |label: u64| label.saturating_add(LISTS_MAX) < epoch;
        let labels = packs.iter().map(|sent| sent.epoch).chain(records.iter().map(|sent| sent.epoch));
        let oldest = labels.filter(|label| !too_old(*label)).min().unwrap_or(epoch);
        let lists = stream::iter(oldest.saturating_add(1)..=epoch)
            .map(async |epoch| Ok::<_, RepoError>((epoch, self.condemned_in(epoch).await?)))
            .buffered(FETCHES_MAX);
        let lists: BTreeMap<u64, Option<Arc<Condemned>>> = lists.try_collect().await?;
        // A list that cannot be read condemns all that is older.
        let any_newer = |label: u64, names: &dyn Fn(&Condemned) -> bool| {
            let mut newer = lists.range(label.saturating_add(1)..).map(|(_, list)| list);
            too_old(label) || newer.any(|list| list.as_deref().is_none_or(names))
        };
        let pack = |sent: &&Sent<PackName>| any_newer(sent.epoch, &|list| list.packs.contains(&sent.name));
        let record = |sent: &&Sent<CommitId>| any_newer(sent.epoch, &|list| list.records.contains(&sent.name));
        Ok((
            packs.iter().filter(pack).map(|sent| sent.name).collect(),
            records.iter().filter(record).map(|sent| sent.name).collect(),
        ))
    }

    /// What of a proposal must go again under new names before it can be put on `state`; none when all may stay.
    pub(super) async fn condemned_of(
        &self,
        proposal: &Proposal,
        state: &Arc<LogState>,
    ) -> Result<Option<Proposed>, RepoError> {
        let (packs, records) = self.condemned(&proposal.packs, &proposal.records, state.fence.epoch).await?;
        if packs.is_empty() && records.is_empty() {
            return Ok(None);
        }
        self.db().forget_sent(&self.info().uid, &packs)?;
        Ok(Some(Proposed::Condemned { packs, records, state: state.clone() }))
    }

    /// The list of one epoch; none when it is there no more or is unreadable.
    pub(super) async fn condemned_in(&self, epoch: u64) -> Result<Option<Arc<Condemned>>, RepoError> {
        if let Some(list) = self.0.condemned.by_epoch.lock().get(&epoch) {
            return Ok(Some(list.clone()));
        }
        let object = match self.store().get(&self.place().gc_key(epoch)).await {
            Ok(object) => object,
            Err(error) if error.may_pass() => return Err(error.into()),
            Err(error) => {
                tracing::warn!(epoch, %error, "the list of a garbage collection cannot be read");
                return Ok(None);
            }
        };
        match decode_condemned(&object.bytes, epoch) {
            Ok(list) => {
                let list = Arc::new(list);
                self.0.condemned.by_epoch.lock().put(epoch, list.clone());
                Ok(Some(list))
            }
            Err(error) => {
                tracing::warn!(epoch, %error, "the list of a garbage collection cannot be read");
                Ok(None)
            }
        }
    }
}
