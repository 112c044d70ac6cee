//! Commit records: JSON outside, canonical bytes for the id.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::error::{FormatError, Result};
use super::id;
use super::json::{self, Extra, FilterJson, LocationJson};
use super::limits::{FORMAT_VERSION, RECORD_BYTES_MAX};
use super::wire::{put_long, to_u32, with_header};
use crate::model::commit::{Commit, Stats};
use crate::model::id::{CommitId, Nonce, RootId};
use crate::model::time::Time;

const MAGIC: &[u8; 4] = b"mfsC";
const WHAT: &str = "a commit record";

/// The stored fields, hashed ones first.
#[derive(Serialize, Deserialize)]
struct RecordJson {
    format: u64,
    root: RootId,
    parents: Vec<CommitId>,
    generation: u64,
    author: String,
    host: String,
    time: Time,
    message: String,
    metadata: BTreeMap<String, String>,
    stats: Stats,
    nonce: Nonce,
    root_location: LocationJson,
    first_seq: u64,
    changed_paths: FilterJson,
    #[serde(flatten)]
    extra: Extra,
}

/// The id of a record with these fields; `commit.id` is not read.
pub fn commit_id(commit: &Commit) -> Result<CommitId> {
    let mut bytes = Vec::new();
    with_header(MAGIC, 0, commit.parents.len(), &mut bytes, |out| write_canonical(commit, out))?;
    Ok(CommitId(id::derive(id::COMMIT, &bytes)))
}

fn write_canonical(commit: &Commit, out: &mut Vec<u8>) -> Result<()> {
    out.extend_from_slice(&commit.root.0);
    commit.parents.iter().for_each(|parent| out.extend_from_slice(&parent.0));
    out.extend_from_slice(&commit.generation.to_le_bytes());
    put_long(WHAT, commit.author.as_bytes(), out)?;
    put_long(WHAT, commit.host.as_bytes(), out)?;
    out.extend_from_slice(&commit.time.0.to_le_bytes());
    put_long(WHAT, commit.message.as_bytes(), out)?;
    out.extend_from_slice(&to_u32(WHAT, commit.metadata.len())?.to_le_bytes());
    for (key, value) in &commit.metadata {
        put_long(WHAT, key.as_bytes(), out)?;
        put_long(WHAT, value.as_bytes(), out)?;
    }
    let Stats { added, modified, deleted, renamed } = commit.stats;
    [added, modified, deleted, renamed].iter().for_each(|count| out.extend_from_slice(&count.to_le_bytes()));
    out.extend_from_slice(&commit.nonce.0);
    Ok(())
}

/// The stored record; `commit.id` must be its id.
pub fn encode_commit(commit: &Commit) -> Result<Vec<u8>> {
    let record = RecordJson {
        format: u64::from(FORMAT_VERSION),
        root: commit.root,
        parents: commit.parents.clone(),
        generation: commit.generation,
        author: commit.author.clone(),
        host: commit.host.clone(),
        time: commit.time,
        message: commit.message.clone(),
        metadata: commit.metadata.clone(),
        stats: commit.stats,
        nonce: commit.nonce,
        root_location: LocationJson::from(&commit.root_location),
        first_seq: commit.first_seq,
        changed_paths: FilterJson::from(&commit.changed_paths),
        extra: commit.extra.clone(),
    };
    let bytes = json::write(WHAT, &record, RECORD_BYTES_MAX)?;
    match decode_commit(&bytes, &commit.id) {
        Ok(_) => Ok(bytes),
        Err(error) => Err(FormatError::Unstorable { what: WHAT, why: error.to_string() }),
    }
}

/// The record of these bytes, checked against its id.
pub fn decode_commit(bytes: &[u8], expected: &CommitId) -> Result<Commit> {
    let record: RecordJson = json::read(WHAT, bytes, RECORD_BYTES_MAX)?;
    let commit = Commit {
        id: *expected,
        root: record.root,
        parents: record.parents,
        generation: record.generation,
        author: record.author,
        host: record.host,
        time: record.time,
        message: record.message,
        metadata: record.metadata,
        stats: record.stats,
        nonce: record.nonce,
        root_location: record.root_location.location(),
        first_seq: record.first_seq,
        changed_paths: record.changed_paths.filter(),
        extra: record.extra,
    };
    id::verify(WHAT, expected, &commit_id(&commit)?)?;
    Ok(commit)
}
