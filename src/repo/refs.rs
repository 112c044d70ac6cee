//! The state that a log's entries add up to, and the entry that comes next.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::error::RepoError;
use super::follow::LogHead;
use super::objects::Objects;
use super::packed_table::read_table;
use super::write::Stamp;
use crate::format::error::FormatError;
use crate::format::limits::TABLE_EVERY;
use crate::format::log::{decode_entry, encode_entry, fits_in_entry};
use crate::model::id::{ChunkId, CommitId, Location};
use crate::model::log::{
    Change, Entry, Features, Fence, Operation, RefIdentity, RefKind, RefName, RefState, RefTable, TableRef,
};
use crate::model::time::Time;

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

    /// The table that the entry making `changes` next has to carry somewhere else, being too large for it.
    pub fn table_to_pack(&self, changes: &[Change]) -> Option<RefTable> {
        let (table, _) = self.after(&self.numbered(changes.to_vec()));
        (self.carries_table(&table) && !fits_in_entry(&table)).then_some(table)
    }

    /// The entry that makes `changes` next; without changes, one that only takes its seq. `packed` is where the table
    /// lies that [`Head::table_to_pack`] gave.
    pub fn next(&self, changes: Vec<Change>, packed: Option<(ChunkId, Location)>, stamp: Stamp) -> Entry {
        let changes = self.numbered(changes);
        let (table, since) = self.after(&changes);
        let table = match packed {
            Some((id, location)) => TableRef::Packed { id, location },
            None if self.carries_table(&table) => TableRef::Here(table),
            None => TableRef::At { seq: self.table_seq, since },
        };
        Entry {
            seq: self.state.seq + 1,
            nonce: stamp.nonce,
            fence: self.state.fence,
            actor: stamp.author.actor,
            host: stamp.author.host,
            time: stamp.time.max(self.state.time),
            changes,
            table,
            features: self.features.clone(),
            extra: serde_json::Map::new(),
        }
    }

    /// The next entry as a fence: it changes no ref, and everyone who puts an entry after it knows of this one.
    pub fn next_fence(&self, fence: Fence, packed: Option<(ChunkId, Location)>, stamp: Stamp) -> Entry {
        Entry { fence, ..self.next(Vec::new(), packed, stamp) }
    }

    /// What the next entry makes was created by it.
    fn numbered(&self, mut changes: Vec<Change>) -> Vec<Change> {
        for change in changes.iter_mut().filter(|change| change.operation == Operation::Create) {
            change.created_seq = self.state.seq + 1;
        }
        changes
    }

    /// Must the next entry carry the whole table, which will be this?
    fn carries_table(&self, table: &RefTable) -> bool {
        let seq = self.state.seq + 1;
        self.table_seq == 0 || seq.is_multiple_of(TABLE_EVERY) || table.refs.len() <= TABLE_ALWAYS_REFS_MAX
    }

    /// The table after the next entry made `changes`, and every ref changed since the last whole one.
    fn after(&self, changes: &[Change]) -> (RefTable, BTreeMap<RefName, Option<RefState>>) {
        let (mut table, mut since) = (self.state.refs.clone(), self.since.clone());
        apply(changes, self.state.seq + 1, &mut table, &mut since);
        (table, since)
    }
}

impl LogHead for Head {
    type Entry = Entry;
    type Table = RefTable;

    fn decode(bytes: &[u8]) -> Result<Entry, FormatError> {
        decode_entry(bytes)
    }

    fn encode(entry: &Entry) -> Result<Vec<u8>, FormatError> {
        encode_entry(entry)
    }

    fn entry_seq(entry: &Entry) -> u64 {
        entry.seq
    }

    fn table_seq(entry: &Entry) -> u64 {
        match &entry.table {
            TableRef::At { seq, .. } => *seq,
            TableRef::Here(_) | TableRef::Packed { .. } => entry.seq,
        }
    }

    async fn table(entry: &Entry, objects: Option<&Objects>) -> Result<Option<RefTable>, RepoError> {
        match (&entry.table, objects) {
            (TableRef::Here(table), _) => Ok(Some(table.clone())),
            (TableRef::At { .. }, _) => Ok(None),
            (TableRef::Packed { id, location }, Some(objects)) => read_table(objects, id, location).await.map(Some),
            (TableRef::Packed { .. }, None) => Err(damaged(entry.seq, "its table lies in a pack, and there are none")),
        }
    }

    fn packs_table(entry: &Entry) -> bool {
        matches!(entry.table, TableRef::Packed { .. })
    }

    fn at(entry: &Entry, table: RefTable) -> Head {
        let since = match &entry.table {
            TableRef::At { since, .. } => since.clone(),
            TableRef::Here(_) | TableRef::Packed { .. } => BTreeMap::new(),
        };
        let refs = overlaid(table, &since);
        let state = LogState { seq: entry.seq, fence: entry.fence, refs, time: entry.time };
        let table_seq = Head::table_seq(entry);
        Head { state: Arc::new(state), features: entry.features.clone(), table_seq, since }
    }

    fn then(&self, entry: &Entry) -> Result<Head, RepoError> {
        if entry.seq != self.state.seq + 1 {
            return Err(damaged(self.state.seq + 1, &format!("it says that it is entry {}", entry.seq)));
        }
        let mut refs = self.state.refs.clone();
        let mut since = self.since.clone();
        apply(&entry.changes, entry.seq, &mut refs, &mut since);
        match &entry.table {
            TableRef::Here(table) => {
                correct(&mut refs, table, entry.seq);
                since.clear();
            }
            TableRef::Packed { .. } => since.clear(),
            TableRef::At { since: theirs, .. } => since = theirs.clone(),
        }
        let table_seq = Head::table_seq(entry);
        // A fence never goes back; an entry of a writer that did not look would otherwise hide one.
        let fence = Fence {
            epoch: self.state.fence.epoch.max(entry.fence.epoch),
            horizon: self.state.fence.horizon.max(entry.fence.horizon),
        };
        let state = LogState { seq: entry.seq, fence, refs, time: entry.time.max(self.state.time) };
        Ok(Head { state: Arc::new(state), features: entry.features.clone(), table_seq, since })
    }

    fn with_table(mut self, table: RefTable) -> Head {
        let state = Arc::make_mut(&mut self.state);
        correct(&mut state.refs, &table, state.seq);
        self
    }

    fn into_table(self) -> RefTable {
        Arc::unwrap_or_clone(self.state).refs
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

/// What an entry carries whole goes before what was added up: it is what readers begin with from there.
fn correct(refs: &mut RefTable, table: &RefTable, seq: u64) {
    if refs != table {
        tracing::error!(seq, "a log's whole table differs from what its entries add up to");
        *refs = table.clone();
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

fn overlaid(table: RefTable, since: &BTreeMap<RefName, Option<RefState>>) -> RefTable {
    let mut refs = table.refs;
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
