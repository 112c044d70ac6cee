//! The state that the mesh log's entries add up to: which domains there are; and the entry that comes next.

use std::collections::BTreeMap;

use super::error::RepoError;
use super::follow::LogHead;
use super::objects::Objects;
use super::write::Stamp;
use crate::format::error::FormatError;
use crate::format::limits::{ENTRY_BYTES_MAX, TABLE_EVERY};
use crate::format::log::{decode_mesh_entry, encode_mesh_entry};
use crate::model::content::Constants;
use crate::model::id::Uid;
use crate::model::log::{DomainChange, DomainInfo, DomainOperation, DomainTable, DomainTableRef, Features, MeshEntry};
use crate::model::time::Time;

/// A table of at most this many domains stands in every entry: it costs less than the read of another entry that it
/// saves.
const TABLE_ALWAYS_DOMAINS_MAX: usize = 64;

/// A table of domains takes at most half of an entry: what changed since stands beside it.
const TABLE_BYTES_MAX: usize = ENTRY_BYTES_MAX / 2;

/// The mesh log as read up to some entry.
#[derive(Clone, Debug)]
pub struct Catalog {
    pub seq: u64,
    pub uid: Uid,
    pub constants: Constants,
    pub domains: DomainTable,
    pub features: Features,
    pub time: Time,
    table_seq: u64,
    since: BTreeMap<String, Option<DomainInfo>>,
    /// Fields of the newest entry that this version does not know: the newest entry alone is read, so each repeats them.
    extra: serde_json::Map<String, serde_json::Value>,
}

impl Catalog {
    /// A mesh before its first entry.
    pub fn before_first(uid: Uid) -> Catalog {
        Catalog {
            seq: 0,
            uid,
            constants: Constants::default(),
            domains: DomainTable::new(),
            features: Features::default(),
            time: Time(i64::MIN),
            table_seq: 0,
            since: BTreeMap::new(),
            extra: serde_json::Map::new(),
        }
    }

    /// Can every later entry still write the table that the mesh has with this domain?
    pub fn has_room_for(&self, domain: &DomainInfo) -> bool {
        let bytes = |domain: &DomainInfo| serde_json::to_vec(domain).map_or(usize::MAX, |bytes| bytes.len() + 1);
        let table = self.domains.values().chain([domain]).map(bytes);
        table.fold(0, usize::saturating_add) <= TABLE_BYTES_MAX
    }

    /// The entry that makes `change` next; without one, an entry that only takes its seq.
    pub fn next(&self, change: Option<DomainChange>, stamp: Stamp) -> MeshEntry {
        let seq = self.seq + 1;
        let changes: Vec<_> = change
            .map(|mut change| {
                if change.operation == DomainOperation::Create {
                    change.domain.created_seq = seq;
                }
                change
            })
            .into_iter()
            .collect();
        let (mut domains, mut since) = (self.domains.clone(), self.since.clone());
        apply(&changes, &mut domains, &mut since);
        let whole = self.table_seq == 0 || seq.is_multiple_of(TABLE_EVERY) || domains.len() <= TABLE_ALWAYS_DOMAINS_MAX;
        MeshEntry {
            seq,
            nonce: stamp.nonce,
            uid: self.uid,
            constants: self.constants,
            actor: stamp.author.actor,
            host: stamp.author.host,
            time: stamp.time.max(self.time),
            changes,
            table: match whole {
                true => DomainTableRef::Here(domains),
                false => DomainTableRef::At { seq: self.table_seq, since },
            },
            features: self.features.clone(),
            extra: self.extra.clone(),
        }
    }
}

impl LogHead for Catalog {
    type Entry = MeshEntry;
    type Table = DomainTable;

    fn decode(bytes: &[u8]) -> Result<MeshEntry, FormatError> {
        decode_mesh_entry(bytes)
    }

    fn encode(entry: &MeshEntry) -> Result<Vec<u8>, FormatError> {
        encode_mesh_entry(entry)
    }

    fn entry_seq(entry: &MeshEntry) -> u64 {
        entry.seq
    }

    fn table_seq(entry: &MeshEntry) -> u64 {
        match &entry.table {
            DomainTableRef::At { seq, .. } => *seq,
            DomainTableRef::Here(_) => entry.seq,
        }
    }

    async fn table(entry: &MeshEntry, _objects: Option<&Objects>) -> Result<Option<DomainTable>, RepoError> {
        match &entry.table {
            DomainTableRef::Here(table) => Ok(Some(table.clone())),
            DomainTableRef::At { .. } => Ok(None),
        }
    }

    fn packs_table(_entry: &MeshEntry) -> bool {
        false
    }

    fn at(entry: &MeshEntry, table: DomainTable) -> Catalog {
        let since = match &entry.table {
            DomainTableRef::At { since, .. } => since.clone(),
            DomainTableRef::Here(_) => BTreeMap::new(),
        };
        Catalog {
            seq: entry.seq,
            uid: entry.uid,
            constants: entry.constants,
            domains: overlaid(table, &since),
            features: entry.features.clone(),
            time: entry.time,
            table_seq: Catalog::table_seq(entry),
            since,
            extra: entry.extra.clone(),
        }
    }

    fn then(&self, entry: &MeshEntry) -> Result<Catalog, RepoError> {
        if entry.seq != self.seq + 1 {
            return Err(damaged(self.seq + 1, &format!("it says that it is entry {}", entry.seq)));
        }
        if self.seq > 0 && (entry.uid != self.uid || entry.constants != self.constants) {
            return Err(damaged(entry.seq, "it is of another mesh than the entry before"));
        }
        let (mut domains, mut since) = (self.domains.clone(), self.since.clone());
        apply(&entry.changes, &mut domains, &mut since);
        let table_seq = match &entry.table {
            DomainTableRef::Here(table) => {
                if *table != domains {
                    tracing::error!(seq = entry.seq, "the mesh log's table differs from what its entries add up to");
                    domains = table.clone();
                }
                since.clear();
                entry.seq
            }
            DomainTableRef::At { seq, since: theirs } => {
                since = theirs.clone();
                *seq
            }
        };
        Ok(Catalog {
            seq: entry.seq,
            uid: entry.uid,
            constants: entry.constants,
            domains,
            features: entry.features.clone(),
            time: entry.time.max(self.time),
            table_seq,
            since,
            extra: entry.extra.clone(),
        })
    }

    fn with_table(self, table: DomainTable) -> Catalog {
        Catalog { domains: table, ..self }
    }

    fn into_table(self) -> DomainTable {
        self.domains
    }

    fn seq(&self) -> u64 {
        self.seq
    }

    fn time(&self) -> Time {
        self.time
    }

    fn features(&self) -> &Features {
        &self.features
    }
}

fn apply(changes: &[DomainChange], table: &mut DomainTable, since: &mut BTreeMap<String, Option<DomainInfo>>) {
    for change in changes {
        let name = change.domain.name.clone();
        let now = (change.operation != DomainOperation::Delete).then(|| change.domain.clone());
        match &now {
            Some(now) => table.insert(name.clone(), now.clone()),
            None => table.remove(&name),
        };
        since.insert(name, now);
    }
}

fn overlaid(mut domains: DomainTable, since: &BTreeMap<String, Option<DomainInfo>>) -> DomainTable {
    for (name, now) in since {
        match now {
            Some(now) => domains.insert(name.clone(), now.clone()),
            None => domains.remove(name),
        };
    }
    domains
}

fn damaged(seq: u64, reason: &str) -> RepoError {
    RepoError::Damaged { what: format!("entry {seq} of the mesh log"), reason: reason.to_owned() }
}
