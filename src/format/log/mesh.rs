//! Entries of the mesh log.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::super::chunk::check_constants;
use super::super::error::{FormatError, Result};
use super::super::id;
use super::super::json::{self, Extra};
use super::super::limits::{ENTRY_BYTES_MAX, FORMAT_VERSION};
use super::canonical;
use crate::model::address::check_label;
use crate::model::content::Constants;
use crate::model::id::{Nonce, Uid};
use crate::model::log::{DomainChange, DomainInfo, DomainTableRef, Features, MeshEntry};
use crate::model::time::Time;

const WHAT: &str = "a mesh log entry";

#[derive(Serialize, Deserialize)]
struct EntryJson {
    format: u64,
    features: Features,
    seq: u64,
    nonce: Nonce,
    uid: Uid,
    constants: Constants,
    actor: String,
    host: String,
    time: Time,
    changes: Vec<DomainChange>,
    domains: DomainsJson,
    #[serde(flatten)]
    extra: Extra,
}

/// Where the whole table of domains stands.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum DomainsJson {
    Here(Vec<DomainInfo>),
    At { seq: u64, since: Vec<ChangedDomainJson> },
}

/// A domain changed since the whole table; null when it was deleted.
#[derive(Serialize, Deserialize)]
struct ChangedDomainJson {
    name: String,
    domain: Option<DomainInfo>,
}

fn damaged(why: impl Into<String>) -> FormatError {
    FormatError::Damaged { what: WHAT, why: why.into() }
}

fn collect<T>(rows: impl Iterator<Item = (String, T)>) -> Result<BTreeMap<String, T>> {
    let mut table = BTreeMap::new();
    for (name, domain) in rows {
        check_label(&name).map_err(|error| damaged(error.to_string()))?;
        if let Some(_twice) = table.insert(name, domain) {
            return Err(damaged("a domain stands twice in its table"));
        }
    }
    Ok(table)
}

/// The stored entry.
pub fn encode_mesh_entry(entry: &MeshEntry) -> Result<Vec<u8>> {
    let domains = match &entry.table {
        DomainTableRef::Here(table) => DomainsJson::Here(table.values().cloned().collect()),
        DomainTableRef::At { seq, since } => {
            let row = |(name, domain): (&String, &Option<DomainInfo>)| ChangedDomainJson {
                name: name.clone(),
                domain: domain.clone(),
            };
            DomainsJson::At { seq: *seq, since: since.iter().map(row).collect() }
        }
    };
    let stored = EntryJson {
        format: u64::from(FORMAT_VERSION),
        features: entry.features.clone(),
        seq: entry.seq,
        nonce: entry.nonce,
        uid: entry.uid,
        constants: entry.constants,
        actor: entry.actor.clone(),
        host: entry.host.clone(),
        time: entry.time,
        changes: entry.changes.clone(),
        domains,
        extra: entry.extra.clone(),
    };
    let bytes = json::write(WHAT, &stored, ENTRY_BYTES_MAX)?;
    match decode_mesh_entry(&bytes) {
        Ok(_) => Ok(bytes),
        Err(error) => Err(FormatError::Unstorable { what: WHAT, why: error.to_string() }),
    }
}

/// Fails with [`FormatError::UnknownFeatures`] before it looks at anything that they may have changed.
pub fn decode_mesh_entry(bytes: &[u8]) -> Result<MeshEntry> {
    let stored: EntryJson = json::read(WHAT, bytes, ENTRY_BYTES_MAX)?;
    check_constants(&stored.constants)?;
    if stored.seq == 0 {
        return Err(damaged("entries are counted from 1"));
    }
    for change in &stored.changes {
        check_label(&change.domain.name).map_err(|error| damaged(error.to_string()))?;
    }
    let table = match stored.domains {
        DomainsJson::Here(rows) => {
            DomainTableRef::Here(collect(rows.into_iter().map(|domain| (domain.name.clone(), domain)))?)
        }
        DomainsJson::At { seq, .. } if seq >= stored.seq => {
            return Err(damaged("its table is in an entry that is not before it"));
        }
        DomainsJson::At { seq, since } => {
            if since.iter().any(|row| row.domain.as_ref().is_some_and(|domain| domain.name != row.name)) {
                return Err(damaged("a domain stands under another one's name"));
            }
            DomainTableRef::At { seq, since: collect(since.into_iter().map(|row| (row.name, row.domain)))? }
        }
    };
    Ok(MeshEntry {
        seq: stored.seq,
        nonce: stored.nonce,
        uid: stored.uid,
        constants: stored.constants,
        actor: stored.actor,
        host: stored.host,
        time: stored.time,
        changes: stored.changes,
        table,
        features: stored.features,
        extra: stored.extra,
    })
}

/// Hash of the canonical bytes of all fields that this version knows.
pub fn mesh_entry_id(entry: &MeshEntry) -> Result<[u8; 32]> {
    Ok(id::derive(id::MESH_ENTRY, &canonical::mesh_entry(entry)?))
}
