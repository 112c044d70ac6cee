//! Entries of a domain's log.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::super::error::{FormatError, Result};
use super::super::id;
use super::super::json::{self, Extra, LocationJson};
use super::super::limits::{ENTRY_BYTES_MAX, FORMAT_VERSION, FRAME_RAW_BYTES_MAX, TABLE_IN_ENTRY_BYTES_MAX};
use super::canonical;
use crate::model::address::check_label;
use crate::model::id::{ChunkId, Nonce};
use crate::model::log::{Change, Entry, Features, Fence, RefName, RefState, RefTable, TableRef};
use crate::model::time::Time;

const WHAT: &str = "a domain's log entry";
const TABLE: &str = "a table of refs";

/// Digits of the greatest seq.
const SEQ_DIGITS_MAX: usize = 20;

/// Hexadecimal digits of a commit id.
const COMMIT_ID_DIGITS: usize = 64;

#[derive(Serialize, Deserialize)]
struct EntryJson {
    format: u64,
    features: Features,
    seq: u64,
    nonce: Nonce,
    fence: Fence,
    actor: String,
    host: String,
    time: Time,
    changes: Vec<Change>,
    table: TableJson,
    #[serde(flatten)]
    extra: Extra,
}

/// Where the whole table stands.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum TableJson {
    Here(Vec<RefJson>),
    At { seq: u64, since: Vec<ChangedRefJson> },
    Packed { id: ChunkId, location: LocationJson },
}

#[derive(Serialize, Deserialize)]
struct RefJson {
    #[serde(flatten)]
    name: RefName,
    #[serde(flatten)]
    state: RefState,
}

/// A ref changed since the whole table; its state is null when it was deleted.
#[derive(Serialize, Deserialize)]
struct ChangedRefJson {
    #[serde(flatten)]
    name: RefName,
    state: Option<RefState>,
}

/// A table by itself, as a chunk.
#[derive(Serialize, Deserialize)]
struct WholeTableJson {
    format: u64,
    refs: Vec<RefJson>,
}

fn rows(table: &RefTable) -> Vec<RefJson> {
    table.refs.iter().map(|(name, state)| RefJson { name: name.clone(), state: *state }).collect()
}

fn damaged(what: &'static str, why: impl Into<String>) -> FormatError {
    FormatError::Damaged { what, why: why.into() }
}

/// Collects rows, no name twice, each name one that a ref may have.
fn collect<T>(what: &'static str, rows: impl Iterator<Item = (RefName, T)>) -> Result<BTreeMap<RefName, T>> {
    let mut table = BTreeMap::new();
    for (name, state) in rows {
        check_label(&name.name).map_err(|error| damaged(what, error.to_string()))?;
        if let Some(_twice) = table.insert(name, state) {
            return Err(damaged(what, "a ref stands twice in its table"));
        }
    }
    Ok(table)
}

fn whole(what: &'static str, rows: Vec<RefJson>) -> Result<RefTable> {
    let refs = collect(what, rows.into_iter().map(|row| (row.name, row.state)))?;
    match refs.values().all(|state| state.created_seq <= state.changed_seq) {
        true => Ok(RefTable { refs }),
        false => Err(damaged(what, "a ref changed before it was made")),
    }
}

/// The stored entry.
pub fn encode_entry(entry: &Entry) -> Result<Vec<u8>> {
    let table = match &entry.table {
        TableRef::Here(table) => TableJson::Here(rows(table)),
        TableRef::At { seq, since } => {
            let since = since.iter().map(|(name, state)| ChangedRefJson { name: name.clone(), state: *state });
            TableJson::At { seq: *seq, since: since.collect() }
        }
        TableRef::Packed { id, location } => TableJson::Packed { id: *id, location: location.into() },
    };
    let stored = EntryJson {
        format: u64::from(FORMAT_VERSION),
        features: entry.features.clone(),
        seq: entry.seq,
        nonce: entry.nonce,
        fence: entry.fence,
        actor: entry.actor.clone(),
        host: entry.host.clone(),
        time: entry.time,
        changes: entry.changes.clone(),
        table,
        extra: entry.extra.clone(),
    };
    let bytes = json::write(WHAT, &stored, ENTRY_BYTES_MAX)?;
    match decode_entry(&bytes) {
        Ok(_) => Ok(bytes),
        Err(error) => Err(FormatError::Unstorable { what: WHAT, why: error.to_string() }),
    }
}

/// Fails with [`FormatError::UnknownFeatures`] before it looks at anything that they may have changed.
pub fn decode_entry(bytes: &[u8]) -> Result<Entry> {
    let stored: EntryJson = json::read(WHAT, bytes, ENTRY_BYTES_MAX)?;
    let table = match stored.table {
        TableJson::Here(rows) => TableRef::Here(whole(WHAT, rows)?),
        TableJson::At { seq, .. } if seq >= stored.seq => {
            return Err(damaged(WHAT, "its table is in an entry that is not before it"));
        }
        TableJson::At { seq, since } => {
            TableRef::At { seq, since: collect(WHAT, since.into_iter().map(|row| (row.name, row.state)))? }
        }
        TableJson::Packed { id, location } => TableRef::Packed { id, location: location.location() },
    };
    let entry = Entry {
        seq: stored.seq,
        nonce: stored.nonce,
        fence: stored.fence,
        actor: stored.actor,
        host: stored.host,
        time: stored.time,
        changes: stored.changes,
        table,
        features: stored.features,
        extra: stored.extra,
    };
    check(&entry)?;
    Ok(entry)
}

fn check(entry: &Entry) -> Result<()> {
    if entry.seq == 0 {
        return Err(damaged(WHAT, "entries are counted from 1"));
    }
    for change in &entry.changes {
        check_label(&change.name.name).map_err(|error| damaged(WHAT, error.to_string()))?;
        if change.created_seq > entry.seq || change.previous_seq.is_some_and(|previous| previous >= entry.seq) {
            return Err(damaged(WHAT, format!("it changes `{}` before it was made", change.name.name)));
        }
    }
    let later = |state: &RefState| state.changed_seq > entry.seq || state.created_seq > state.changed_seq;
    let impossible = match &entry.table {
        TableRef::Here(table) => table.refs.values().any(later),
        TableRef::At { since, .. } => since.values().flatten().any(later),
        TableRef::Packed { .. } => false,
    };
    if impossible { Err(damaged(WHAT, "a ref in its table changed after it")) } else { Ok(()) }
}

/// Hash of the canonical bytes of all fields that this version knows.
pub fn entry_id(entry: &Entry) -> Result<[u8; 32]> {
    Ok(id::derive(id::ENTRY, &canonical::entry(entry)?))
}

/// Is this table small enough to stand in every entry?
pub fn fits_in_entry(table: &RefTable) -> bool {
    serde_json::to_vec(&rows(table)).is_ok_and(|bytes| bytes.len() <= TABLE_IN_ENTRY_BYTES_MAX)
}

/// The most that the row of a ref takes in a table, wherever the ref stands and whichever entry changes it: a name that a
/// ref may have is written as it is.
pub fn row_bytes_max(name: &RefName) -> usize {
    let row = r#"{"kind":"branch","name":"","created_seq":,"changed_seq":,"target":""},"#.len();
    row + name.name.len() + 2 * SEQ_DIGITS_MAX + COMMIT_ID_DIGITS
}

/// A table as a chunk, for when it is too large for its entry.
pub fn encode_table(table: &RefTable) -> Result<Vec<u8>> {
    let stored = WholeTableJson { format: u64::from(FORMAT_VERSION), refs: rows(table) };
    let bytes = json::write(TABLE, &stored, FRAME_RAW_BYTES_MAX)?;
    match decode_table(&bytes) {
        Ok(_) => Ok(bytes),
        Err(error) => Err(FormatError::Unstorable { what: TABLE, why: error.to_string() }),
    }
}

pub fn decode_table(bytes: &[u8]) -> Result<RefTable> {
    let stored: WholeTableJson = json::read(TABLE, bytes, FRAME_RAW_BYTES_MAX)?;
    whole(TABLE, stored.refs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::id::CommitId;
    use crate::model::log::RefKind;

    #[test]
    fn no_row_is_longer_than_it_is_counted() {
        let state = RefState { created_seq: u64::MAX, changed_seq: u64::MAX, target: CommitId([255; 32]) };
        let name = RefName::branch(&"x".repeat(128));
        let bytes_of = |name: &RefName| serde_json::to_vec(&RefJson { name: name.clone(), state }).unwrap().len();
        assert_eq!(bytes_of(&name) + 1, row_bytes_max(&name), "with its comma");
        for kind in [RefKind::Tag, RefKind::Pin] {
            let name = RefName { kind, ..name.clone() };
            assert!(bytes_of(&name) < row_bytes_max(&name));
        }
    }
}
