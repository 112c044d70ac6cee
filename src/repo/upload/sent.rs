//! What this machine sent to a domain before, so that it need not go again.

use std::sync::Arc;

use crate::model::id::Uid;
use crate::repo::db::RepoDb;

/// One domain's part of the index of sent chunks.
#[derive(Clone, Debug)]
pub struct SentIndex {
    pub db: Arc<RepoDb>,
    pub domain: Uid,
}
