//! Commit records: JSON outside, canonical bytes for the id.

use super::error::Result;
use crate::model::commit::Commit;
use crate::model::id::CommitId;

/// The id of a record with these fields; `commit.id` is not read.
pub fn commit_id(_commit: &Commit) -> Result<CommitId> {
    todo!()
}

/// The stored record.
pub fn encode_commit(_commit: &Commit) -> Result<Vec<u8>> {
    todo!()
}

/// The record of these bytes, checked against its id.
pub fn decode_commit(_bytes: &[u8], _expected: &CommitId) -> Result<Commit> {
    todo!()
}
