//! Fences: the entry that makes a list of condemned things bind everyone, found and put.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::format::gc::encode_condemned;
use crate::format::log::parse_entry_name;
use crate::model::gc::Condemned;
use crate::model::id::CommitId;
use crate::model::log::Fence;
use crate::model::time::Time;
use crate::repo::attempt::jittered;
use crate::repo::domain::Domain;
use crate::repo::error::RepoError;
use crate::repo::refs::LogState;
use crate::repo::write::Put;
use crate::storage::{CreateError, StoreError};

/// Pause before a create whose outcome is not known is looked at again, and how often that is done.
const PAUSE: Duration = Duration::from_millis(500);
const LOOKS_MAX: u32 = 120;

/// Pause after a race lost for the fence's entry.
const RACE_PAUSE: Duration = Duration::from_millis(50);

/// The newest fence of a log.
#[derive(Debug)]
pub(in crate::repo) struct Newest {
    /// The state right after it.
    pub state: Arc<LogState>,
    /// The epoch before it.
    pub epoch_before: u64,
}

impl Newest {
    /// By the store's clock.
    pub fn time(&self) -> Time {
        self.state.time
    }
}

/// The newest fence in `state`; none when nothing was ever collected. Epochs never go back along a log.
pub(in crate::repo) async fn newest(domain: &Domain, state: &LogState) -> Result<Option<Newest>, RepoError> {
    if state.fence.epoch == 0 {
        return Ok(None);
    }
    let follower = &domain.0.follower;
    // `low` has an older epoch (before the first entry there is none), `high` the newest.
    let (mut low, mut high, mut epoch_before) = (0, state.seq, 0);
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        let epoch = follower.entry(middle).await?.fence.epoch;
        if epoch < state.fence.epoch {
            (low, epoch_before) = (middle, epoch);
        } else {
            high = middle;
        }
    }
    let at_fence = follower.state_at(high).await?;
    Ok(Some(Newest { state: at_fence.state.clone(), epoch_before }))
}

impl Domain {
    /// Stores the list as `gc/<epoch>` under the first free epoch after all that were ever used, which it is given.
    pub(super) async fn put_condemned(&self, list: &mut Condemned) -> Result<(), RepoError> {
        let prefix = self.place().gc_prefix();
        let newest = self.store().list(&prefix, None, 1).await?;
        let listed = newest.first().and_then(|line| parse_entry_name(line.key.strip_prefix(&prefix)?));
        list.epoch = listed.unwrap_or(0).max(self.state().fence.epoch) + 1;
        loop {
            let bytes = encode_condemned(list)
                .map_err(|error| RepoError::of_format("the list of what a collection condemns", error))?;
            if self.create_mine(&self.place().gc_key(list.epoch), bytes.into()).await? {
                return Ok(());
            }
            list.epoch += 1;
        }
    }

    /// Creates an object of a collection and reads it back; tells whether it is mine. Bodies carry a nonce, so equal
    /// ones have one writer.
    pub(super) async fn create_mine(&self, key: &str, bytes: Bytes) -> Result<bool, RepoError> {
        let mut last = None;
        for _ in 0..LOOKS_MAX {
            match self.store().create(key, bytes.clone()).await {
                Ok(()) => return Ok(true),
                Err(CreateError::Refused(error)) => return Err(error.into()),
                Err(CreateError::Exists) => {}
                Err(CreateError::Unknown(error)) => last = Some(error),
            }
            match self.store().get(key).await {
                Ok(there) => {
                    self.store().settle(key).await?;
                    return Ok(there.bytes == bytes);
                }
                Err(StoreError::NotFound { .. }) => {}
                Err(error) => last = Some(error),
            }
            self.sys().clock.sleep(jittered(self.sys(), PAUSE)).await;
        }
        Err(match last {
            Some(error) => error.into(),
            None => RepoError::Refused(format!("the store says that `{key}` exists, and does not give it")),
        })
    }

    /// Appends the fence; none when the log carries its epoch or a newer one already, and the run is to be dropped.
    pub(super) async fn put_fence(&self, fence: Fence) -> Result<Option<Arc<LogState>>, RepoError> {
        let _writing = self.0.queue.writing.lock().await;
        self.settle_open().await?;
        self.check_mesh_writable()?;
        loop {
            let head = self.0.follower.head();
            if head.state.fence.epoch >= fence.epoch {
                return Ok(None);
            }
            let horizon = fence.horizon.max(head.state.fence.horizon);
            let fence = Fence { horizon, ..fence };
            let table = self.send_table(&head, &[]).await?;
            match self.0.writer.put(&head, &[], |stamp| head.next_fence(fence, table, stamp)).await? {
                Put::Landed(now) => return Ok(Some(now.state.clone())),
                Put::Taken(_) => self.sys().clock.sleep(jittered(self.sys(), RACE_PAUSE)).await,
            }
        }
    }

    /// The list of an epoch, if it can be read, and what it let expire.
    pub(super) async fn expired_in(&self, epoch: u64) -> Result<BTreeSet<CommitId>, RepoError> {
        Ok(match epoch {
            0 => BTreeSet::new(),
            epoch => self.condemned_in(epoch).await?.map(|list| list.records.clone()).unwrap_or_default(),
        })
    }
}
