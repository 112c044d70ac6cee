//! What garbage collections condemned: looked up before anything sent under an older epoch is put under a newer one.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;

use super::domain::{Domain, Proposal, Proposed, Sent};
use super::error::RepoError;
use super::refs::LogState;
use crate::format::gc::decode_condemned;
use crate::model::gc::Condemned;
use crate::model::id::{CommitId, PackName};

/// Lists that were read; they never change. None: unreadable, so that everything older counts as condemned.
#[derive(Debug, Default)]
pub struct CondemnedCache {
    by_epoch: Mutex<BTreeMap<u64, Arc<Condemned>>>,
}

impl Domain {
    /// Those of the names that a collection condemned in an epoch after their label, up to `epoch`. A list that cannot
    /// be read condemns all that is older than it.
    pub async fn condemned(
        &self,
        packs: &[Sent<PackName>],
        records: &[Sent<CommitId>],
        epoch: u64,
    ) -> Result<(Vec<PackName>, Vec<CommitId>), RepoError> {
        let oldest = packs.iter().map(|sent| sent.epoch).chain(records.iter().map(|sent| sent.epoch)).min();
        let mut lists = BTreeMap::new();
        for epoch in oldest.unwrap_or(epoch) + 1..=epoch {
            lists.insert(epoch, self.condemned_in(epoch).await?);
        }
        let newer = |label: u64| lists.range(label + 1..).map(|(_, list)| list);
        let pack = |sent: &&Sent<PackName>| {
            newer(sent.epoch).any(|list| list.as_ref().is_none_or(|list| list.packs.contains(&sent.name)))
        };
        let record = |sent: &&Sent<CommitId>| {
            newer(sent.epoch).any(|list| list.as_ref().is_none_or(|list| list.records.contains(&sent.name)))
        };
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
    async fn condemned_in(&self, epoch: u64) -> Result<Option<Arc<Condemned>>, RepoError> {
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
                self.0.condemned.by_epoch.lock().insert(epoch, list.clone());
                Ok(Some(list))
            }
            Err(error) => {
                tracing::warn!(epoch, %error, "the list of a garbage collection cannot be read");
                Ok(None)
            }
        }
    }
}
