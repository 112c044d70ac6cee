//! The state that a log's entries add up to, and the entry that comes next.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::error::RepoError;
use super::follow::LogHead;
use super::write::Stamp;
use crate::format::error::FormatError;
use crate::format::log::{decode_entry, encode_entry, fits_in_entry};
use crate::model::id::CommitId;
use crate::model::log::{
    Change, Entry, Features, Fence, Operation, RefIdentity, RefKind, RefName, RefState, RefTable, TableRef,
};
use crate::model::time::Time;

/// Every entry whose seq is a multiple of this carries the whole table.
const TABLE_EVERY: u64 = 64;

/// A table of at most this many refs stands in every entry: it costs less than the read of another entry that it saves.
const TABLE_ALWAYS_REFS_MAX: usize = 16;

/// The state of a domain's log after its entry `seq`.
#[derive(Clone, Debug, PartialEq)]
pub struct LogState {
    pub seq: u64,
    pub fence: Fence,
    pub refs: RefTable,
    /// The entry's time, by the store's clock.
    pub time: Time,
}

impl LogState {
    pub fn get(&self, name: &RefName) -> Option<RefState> {
        self.refs.refs.get(name).copied()
    }

    /// The live branch of this name: which life of it, and where it stands.
    pub fn branch(&self, name: &str) -> Option<(RefIdentity, RefState)> {
        self.live(RefName::branch(name))
    }

    /// The live tag of this name.
    pub fn tag(&self, name: &str) -> Option<(RefIdentity, RefState)> {
        self.live(RefName::tag(name))
    }

    fn live(&self, name: RefName) -> Option<(RefIdentity, RefState)> {
        let state = self.get(&name)?;
        Some((RefIdentity { name, created_seq: state.created_seq }, state))
    }

    /// Where this very ref stands; none when it was deleted, also when another has its name now.
    pub fn of(&self, identity: &RefIdentity) -> Option<RefState> {
        self.get(&identity.name).filter(|state| state.created_seq == identity.created_seq)
    }

    /// Branches or tags or pins, by name.
    pub fn of_kind(&self, kind: RefKind) -> impl Iterator<Item = (&str, RefState)> {
        self.refs.refs.iter().filter(move |(name, _)| name.kind == kind).map(|(name, state)| (&name.name[..], *state))
    }

    /// The change that moves this very ref to `target`, or takes it away; none when it is not there any more.
    pub fn change(&self, operation: Operation, identity: &RefIdentity, target: Option<CommitId>) -> Option<Change> {
        let now = self.of(identity)?;
        Some(Change {
            operation,
            name: identity.name.clone(),
            created_seq: now.created_seq,
            previous_seq: Some(now.changed_seq),
            target,
            previous_target: Some(now.target),
        })
    }

    /// Does the change still mean here what it meant where it was worked out: is its ref as the change names it?
    pub fn admits(&self, change: &Change) -> bool {
        let now = self.get(&change.name);
        match change.operation {
            Operation::Create => now.is_none(),
            _ => now.is_some_and(|now| {
                now.created_seq == change.created_seq && Some(now.changed_seq) == change.previous_seq
            }),
        }
    }
}

/// The change that makes a ref; its `created_seq` is filled in when the entry's seq is known.
pub fn creation(name: RefName, target: CommitId) -> Change {
    Change {
        operation: Operation::Create,
        name,
        created_seq: 0,
        previous_seq: None,
        target: Some(target),
        previous_target: None,
    }
}

/// A log as read up to some entry: its state, and what the next entry must repeat.
#[derive(Clone, Debug)]
pub struct Head {
    pub state: Arc<LogState>,
    pub features: Features,
    /// The newest entry that carries the whole table.
    table_seq: u64,
    /// Every ref changed after it; none is a deleted ref.
    since: BTreeMap<RefName, Option<RefState>>,
}

impl Head {
    /// The log before its first entry.
    pub fn before_first(features: Features) -> Head {
        let state = LogState { seq: 0, fence: Fence::default(), refs: RefTable::default(), time: Time(i64::MIN) };
        Head { state: Arc::new(state), features, table_seq: 0, since: BTreeMap::new() }
    }

    /// The entry that makes `changes` next; without changes, one that only takes its seq.
    pub fn next(&self, mut changes: Vec<Change>, stamp: Stamp) -> Result<Entry, RepoError> {
        let seq = self.state.seq + 1;
        for change in changes.iter_mut().filter(|change| change.operation == Operation::Create) {
            change.created_seq = seq;
        }
        let mut refs = self.state.refs.clone();
        let mut since = self.since.clone();
        let grows = changes.iter().any(|change| change.operation == Operation::Create);
        apply(&changes, seq, &mut refs, &mut since);
        if grows && !fits_in_entry(&refs) {
            return Err(RepoError::Refused(format!(
                "the domain has {} branches and tags, and no room in its log's entries for more: delete some",
                self.state.refs.refs.len()
            )));
        }
        let whole = self.table_seq == 0 || seq.is_multiple_of(TABLE_EVERY) || refs.refs.len() <= TABLE_ALWAYS_REFS_MAX;
        Ok(Entry {
            seq,
            nonce: stamp.nonce,
            fence: self.state.fence,
            actor: stamp.author.actor,
            host: stamp.author.host,
            time: stamp.time.max(self.state.time),
            changes,
            table: if whole { TableRef::Here(refs) } else { TableRef::At { seq: self.table_seq, since } },
            features: self.features.clone(),
            extra: serde_json::Map::new(),
        })
    }
}

impl LogHead for Head {
    type Entry = Entry;

    fn decode(bytes: &[u8]) -> Result<Entry, FormatError> {
        decode_entry(bytes)
    }

    fn encode(entry: &Entry) -> Result<Vec<u8>, FormatError> {
        encode_entry(entry)
    }

    fn entry_seq(entry: &Entry) -> u64 {
        entry.seq
    }

    fn table_of(entry: &Entry) -> Option<u64> {
        match &entry.table {
            TableRef::At { seq, .. } => Some(*seq),
            TableRef::Here(_) | TableRef::Packed { .. } => None,
        }
    }

    fn at(entry: &Entry, table: Option<&Entry>) -> Result<Head, RepoError> {
        let (refs, table_seq, since) = match (&entry.table, table.map(|table| &table.table)) {
            (TableRef::Here(table), _) => (table.clone(), entry.seq, BTreeMap::new()),
            (TableRef::At { seq, since }, Some(TableRef::Here(table))) => (overlaid(table, since), *seq, since.clone()),
            (TableRef::At { seq, .. }, Some(TableRef::Packed { .. })) => return Err(packed_table(*seq)),
            (TableRef::At { seq, .. }, _) => return Err(damaged(*seq, "it should carry the whole table")),
            (TableRef::Packed { .. }, _) => return Err(packed_table(entry.seq)),
        };
        let state = LogState { seq: entry.seq, fence: entry.fence, refs, time: entry.time };
        Ok(Head { state: Arc::new(state), features: entry.features.clone(), table_seq, since })
    }

    fn then(&self, entry: &Entry) -> Result<Head, RepoError> {
        if entry.seq != self.state.seq + 1 {
            return Err(damaged(self.state.seq + 1, &format!("it says that it is entry {}", entry.seq)));
        }
        let mut refs = self.state.refs.clone();
        let mut since = self.since.clone();
        apply(&entry.changes, entry.seq, &mut refs, &mut since);
        let table_seq = match &entry.table {
            TableRef::Here(table) => {
                if *table != refs {
                    tracing::error!(seq = entry.seq, "a log's whole table differs from what its entries add up to");
                    refs = table.clone();
                }
                since.clear();
                entry.seq
            }
            TableRef::At { seq, since: theirs } => {
                since = theirs.clone();
                *seq
            }
            TableRef::Packed { .. } => return Err(packed_table(entry.seq)),
        };
        // A fence never goes back; an entry of a writer that did not look would otherwise hide one.
        let fence = Fence {
            epoch: self.state.fence.epoch.max(entry.fence.epoch),
            horizon: self.state.fence.horizon.max(entry.fence.horizon),
        };
        let state = LogState { seq: entry.seq, fence, refs, time: entry.time.max(self.state.time) };
        Ok(Head { state: Arc::new(state), features: entry.features.clone(), table_seq, since })
    }

    fn seq(&self) -> u64 {
        self.state.seq
    }

    fn time(&self) -> Time {
        self.state.time
    }

    fn features(&self) -> &Features {
        &self.features
    }
}

/// Makes the changes of entry `seq` in a table, and notes them.
fn apply(changes: &[Change], seq: u64, table: &mut RefTable, since: &mut BTreeMap<RefName, Option<RefState>>) {
    for change in changes {
        let now = change.target.map(|target| RefState { created_seq: change.created_seq, changed_seq: seq, target });
        match now {
            Some(now) => table.refs.insert(change.name.clone(), now),
            None => table.refs.remove(&change.name),
        };
        since.insert(change.name.clone(), now);
    }
}

fn overlaid(table: &RefTable, since: &BTreeMap<RefName, Option<RefState>>) -> RefTable {
    let mut refs = table.refs.clone();
    for (name, now) in since {
        match now {
            Some(now) => refs.insert(name.clone(), *now),
            None => refs.remove(name),
        };
    }
    RefTable { refs }
}

fn damaged(seq: u64, reason: &str) -> RepoError {
    RepoError::Damaged { what: format!("entry {seq} of the log"), reason: reason.to_owned() }
}

fn packed_table(seq: u64) -> RepoError {
    RepoError::Unsupported {
        what: format!("the ref table of log entry {seq}"),
        purpose: "reading",
        features: vec!["packed ref tables".to_owned()],
    }
}
