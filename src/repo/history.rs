//! History: commits newest first, and what each ref pointed to when.

use std::sync::Arc;

use super::domain::Domain;
use super::error::RepoError;
use crate::model::commit::Commit;
use crate::model::id::CommitId;
use crate::model::log::Change;
use crate::model::time::Time;

/// One change of a ref, as the log has it.
#[derive(Clone, Debug)]
pub struct ReflogEntry {
    pub seq: u64,
    pub time: Time,
    pub actor: String,
    pub host: String,
    pub change: Change,
}

impl Domain {
    /// The newest `max` commits that `from` and its ancestors are, newest first.
    pub async fn history(&self, _from: &CommitId, _max: usize) -> Result<Vec<Arc<Commit>>, RepoError> {
        todo!()
    }

    /// The newest `max` changes of the branch of this name, in all its lives, newest first.
    pub async fn reflog(&self, _branch: &str, _max: usize) -> Result<Vec<ReflogEntry>, RepoError> {
        todo!()
    }
}
