//! A log as objects in a store: finding its newest entry, reading and creating entries. Knows names, not bodies.

use std::sync::Arc;

use bytes::Bytes;

use super::error::RepoError;
use crate::format::log::{entry_name, parse_entry_name};
use crate::storage::{CreateError, Store, StoreError};

/// Names that are no entry's and sort before all that are, passed over in one listing at most.
const ALIEN_NAMES_MAX: usize = 1000;

/// The objects of one log.
#[derive(Clone, Debug)]
pub struct LogFiles {
    store: Arc<dyn Store>,
    /// Ends in a slash.
    prefix: String,
}

impl LogFiles {
    pub fn new(store: Arc<dyn Store>, prefix: String) -> LogFiles {
        LogFiles { store, prefix }
    }

    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    pub fn key(&self, seq: u64) -> String {
        format!("{}{}", self.prefix, entry_name(seq))
    }

    /// Entry `seq` as stored; none when it is absent.
    pub async fn read(&self, seq: u64) -> Result<Option<Bytes>, RepoError> {
        match self.store.get(&self.key(seq)).await {
            Ok(object) => Ok(Some(object.bytes)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Entry `seq` as stored and sure to stay; none when it is absent.
    pub async fn read_durable(&self, seq: u64) -> Result<Option<Bytes>, RepoError> {
        let entry = self.read(seq).await?;
        if entry.is_some() {
            self.store.settle(&self.key(seq)).await?;
        }
        Ok(entry)
    }

    /// Sends entry `seq` once.
    pub async fn create(&self, seq: u64, body: Bytes) -> Result<(), CreateError> {
        self.store.create(&self.key(seq), body).await
    }

    /// An entry and its seq that is the newest as far as the store's listing tells, for who looks again soon; none in an
    /// empty log.
    pub async fn newest_listed(&self) -> Result<Option<(u64, Bytes)>, RepoError> {
        let listed = if self.store.ordered_listing() { self.list_newest().await? } else { 0 };
        match listed {
            0 => self.newest(0).await,
            seq => Ok(Some((seq, self.read_existing(seq).await?))),
        }
    }

    /// The newest entry and its seq, given that entry `known` exists (0: nothing is known); none in an empty log.
    pub async fn newest(&self, known: u64) -> Result<Option<(u64, Bytes)>, RepoError> {
        let listed = if self.store.ordered_listing() { self.list_newest().await? } else { 0 };
        let low = known.max(listed);
        if low == 0 {
            // An empty listing proves nothing: entry 1 tells.
            return match self.read(1).await? {
                None => Ok(None),
                Some(first) => self.upward_from(1, first).await.map(Some),
            };
        }
        if listed == 0 {
            let newest = self.gallop(low).await?;
            return Ok(Some((newest, self.read_existing(newest).await?)));
        }
        // A listing may be behind: the entry above is looked for at once, beside reading the one that was found.
        let (found, above) = futures::future::try_join(self.read_existing(low), self.read(low + 1)).await?;
        match above {
            None => Ok(Some((low, found))),
            Some(above) => self.upward_from(low + 1, above).await.map(Some),
        }
    }

    /// The newest entry, given the entry `known` and its body.
    async fn upward_from(&self, known: u64, body: Bytes) -> Result<(u64, Bytes), RepoError> {
        let newest = self.gallop(known).await?;
        if newest == known {
            return Ok((known, body));
        }
        Ok((newest, self.read_existing(newest).await?))
    }

    async fn read_existing(&self, seq: u64) -> Result<Bytes, RepoError> {
        self.read(seq).await?.ok_or_else(|| RepoError::Damaged {
            what: format!("the log `{}`", self.prefix),
            reason: format!("entry {seq} was there and is gone: does a lifecycle rule of the store delete objects?"),
        })
    }

    /// The greatest seq that the least key names; 0 when there is none. A lower bound, for listings may be stale.
    async fn list_newest(&self) -> Result<u64, RepoError> {
        let mut after: Option<String> = None;
        for max in [1, ALIEN_NAMES_MAX] {
            let listed = self.store.list(&self.prefix, after.as_deref(), max).await?;
            let seq = |key: &str| key.strip_prefix(&self.prefix).and_then(parse_entry_name);
            if let Some(newest) = listed.iter().find_map(|line| seq(&line.key)) {
                return Ok(newest);
            }
            match listed.last() {
                Some(last) => after = Some(last.key.clone()),
                None => break,
            }
        }
        Ok(0)
    }

    /// The newest entry at or above `known`, which exists: doubling steps up, then halving ones between.
    async fn gallop(&self, known: u64) -> Result<u64, RepoError> {
        let (mut low, mut step) = (known, 1);
        while self.exists(low + step).await? {
            low += step;
            step *= 2;
        }
        let mut absent = low + step;
        while absent - low > 1 {
            let middle = low + (absent - low) / 2;
            if self.exists(middle).await? {
                low = middle;
            } else {
                absent = middle;
            }
        }
        Ok(low)
    }

    async fn exists(&self, seq: u64) -> Result<bool, RepoError> {
        match self.store.size(&self.key(seq)).await {
            Ok(_) => Ok(true),
            Err(StoreError::NotFound { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}
