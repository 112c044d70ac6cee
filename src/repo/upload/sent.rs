//! What this machine sent to a domain before, so that it need not go again.

use std::collections::HashMap;
use std::sync::Arc;

use crate::model::id::{ChunkId, Location, Uid};
use crate::repo::db::{RepoDb, SentChunk};
use crate::repo::error::RepoError;

/// Collections after which what was sent is not used again.
const EPOCHS_MAX: u64 = 4;

/// One domain's part of the index of sent chunks. Calls block on local storage.
#[derive(Clone, Debug)]
pub struct SentIndex {
    pub db: Arc<RepoDb>,
    pub domain: Uid,
}

impl SentIndex {
    /// Forgets what was sent too long before `epoch` to be used: looking up in so many collections whether it is still
    /// there costs more than sending it again.
    pub(super) fn forget_old(&self, epoch: u64) {
        let oldest = epoch.saturating_sub(EPOCHS_MAX);
        if oldest > 0
            && let Err(error) = self.db.forget_sent_before(&self.domain, oldest)
        {
            tracing::warn!(%error, "what was sent long ago cannot be forgotten");
        }
    }

    /// Where these chunks were sent to, and under which label: whoever uses one answers for its pack
    /// ([`super::Upload::packs`]).
    pub(super) fn find(&self, chunks: &[ChunkId]) -> Result<HashMap<ChunkId, SentChunk>, RepoError> {
        self.db.find_sent(&self.domain, chunks)
    }

    /// Keeps the chunks of a pack that is whole in the store, sent in an upload begun under `epoch`.
    pub(super) fn keep(&self, epoch: u64, chunks: &[(ChunkId, Location)]) -> Result<(), RepoError> {
        self.db.add_sent(&self.domain, epoch, chunks)
    }
}
