//! The state that a log's entries add up to, and the entry that comes next.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::error::RepoError;
use crate::model::id::{CommitId, Nonce};
use crate::model::log::{
    Change, Entry, Features, Fence, Operation, RefIdentity, RefKind, RefName, RefState, RefTable, TableRef,
};
use crate::model::time::Time;

/// Every entry whose seq is a multiple of this carries the whole table.
pub const TABLE_EVERY: u64 = 64;

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

/// Who puts an entry, when, and the mark by which the writer knows it again.
#[derive(Clone, Debug)]
pub struct Stamp {
    pub nonce: Nonce,
    pub actor: String,
    pub host: String,
    pub time: Time,
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

    /// The log at `entry`, whose whole table, if it is not in `entry` itself, stands in `table`.
    pub fn at(entry: &Entry, table: Option<&Entry>) -> Result<Head, RepoError> {
        let (refs, table_seq, since) = match (&entry.table, table.map(|table| &table.table)) {
            (TableRef::Here(table), _) => (table.clone(), entry.seq, BTreeMap::new()),
            (TableRef::At { seq, since }, Some(TableRef::Here(table))) => (overlaid(table, since), *seq, since.clone()),
            (TableRef::At { seq, .. }, _) => return Err(damaged(*seq, "an entry names it for the whole table")),
            (TableRef::Packed { .. }, _) => return Err(packed_table(entry.seq)),
        };
        let state = LogState { seq: entry.seq, fence: entry.fence, refs, time: entry.time };
        Ok(Head { state: Arc::new(state), features: entry.features.clone(), table_seq, since })
    }

    /// The log one entry further.
    pub fn then(&self, entry: &Entry) -> Result<Head, RepoError> {
        if entry.seq != self.state.seq + 1 {
            return Err(damaged(self.state.seq + 1, &format!("it says that it is entry {}", entry.seq)));
        }
        let mut refs = self.state.refs.clone();
        let mut since = self.since.clone();
        for change in &entry.changes {
            let now = change.target.map(|target| RefState {
                created_seq: change.created_seq,
                changed_seq: entry.seq,
                target,
            });
            match now {
                Some(now) => refs.refs.insert(change.name.clone(), now),
                None => refs.refs.remove(&change.name),
            };
            since.insert(change.name.clone(), now);
        }
        let table_seq = match &entry.table {
            TableRef::Here(table) => {
                if *table != refs {
                    tracing::error!(seq = entry.seq, "a log's whole table differs from what its entries add up to");
                    refs = table.clone();
                }
                since.clear();
                entry.seq
            }
            TableRef::At { seq, .. } => *seq,
            TableRef::Packed { .. } => return Err(packed_table(entry.seq)),
        };
        // A fence never goes back; an entry of a writer that did not look would otherwise hide one.
        let fence = self.state.fence.max(entry.fence);
        let state = LogState { seq: entry.seq, fence, refs, time: entry.time.max(self.state.time) };
        Ok(Head { state: Arc::new(state), features: entry.features.clone(), table_seq, since })
    }

    /// The entry that makes `changes` next; without changes, one that only takes its seq.
    pub fn next(&self, mut changes: Vec<Change>, stamp: Stamp) -> Entry {
        let seq = self.state.seq + 1;
        for change in changes.iter_mut().filter(|change| change.operation == Operation::Create) {
            change.created_seq = seq;
        }
        let mut entry = Entry {
            seq,
            nonce: stamp.nonce,
            fence: self.state.fence,
            actor: stamp.actor,
            host: stamp.host,
            time: stamp.time.max(self.state.time),
            changes,
            table: TableRef::At { seq: self.table_seq, since: BTreeMap::new() },
            features: self.features.clone(),
            extra: serde_json::Map::new(),
        };
        let mut refs = self.state.refs.clone();
        let mut since = self.since.clone();
        for change in &entry.changes {
            let now =
                change.target.map(|target| RefState { created_seq: change.created_seq, changed_seq: seq, target });
            match now {
                Some(now) => refs.refs.insert(change.name.clone(), now),
                None => refs.refs.remove(&change.name),
            };
            since.insert(change.name.clone(), now);
        }
        entry.table = if self.table_seq == 0 || seq.is_multiple_of(TABLE_EVERY) {
            TableRef::Here(RefTable { refs: refs.refs })
        } else {
            TableRef::At { seq: self.table_seq, since }
        };
        entry
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
