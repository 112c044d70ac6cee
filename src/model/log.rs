//! The log of a mesh or a domain: numbered entries, each changing some refs; the state they add up to.

use std::collections::BTreeMap;

use super::content::Constants;
use super::id::{ChunkId, CommitId, Location, Nonce, Uid};
use super::time::Time;

/// What a ref is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RefKind {
    Branch,
    Tag,
    /// Keeps a commit alive for a holder outside the domain's branches.
    Pin,
}

/// Name of a ref inside its domain.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct RefName {
    pub kind: RefKind,
    pub name: String,
}

impl RefName {
    pub fn branch(name: &str) -> RefName {
        RefName { kind: RefKind::Branch, name: name.to_owned() }
    }

    pub fn tag(name: &str) -> RefName {
        RefName { kind: RefKind::Tag, name: name.to_owned() }
    }
}

/// A ref's identity is its name and the entry that created it: a branch deleted and made again is another branch.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RefIdentity {
    pub name: RefName,
    pub created_seq: u64,
}

/// What a live ref stands for in the state of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct RefState {
    /// The entry that created this ref.
    pub created_seq: u64,
    /// The entry that last changed it; equals `created_seq` when none did.
    pub changed_seq: u64,
    pub target: CommitId,
}

/// What a change does to its ref.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Operation {
    Create,
    Commit,
    Merge,
    Revert,
    CherryPick,
    Reset,
    Delete,
}

/// One ref changed by one entry.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Change {
    pub operation: Operation,
    #[serde(flatten)]
    pub name: RefName,
    /// Entry that created the ref; this entry's own seq for a creation.
    pub created_seq: u64,
    /// Entry that changed the ref before this one; none for a creation.
    pub previous_seq: Option<u64>,
    /// None for a deletion.
    pub target: Option<CommitId>,
    /// The target before this entry, for the reflog; none for a creation.
    pub previous_target: Option<CommitId>,
}

/// The state of a log after some entry.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RefTable {
    pub refs: BTreeMap<RefName, RefState>,
}

/// The newest fence that a log carries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct Fence {
    /// 0 before the first fence.
    pub epoch: u64,
    /// Entries before this seq are no longer roots.
    pub horizon: u64,
}

/// Where the whole ref table stands that an entry's changes build on.
#[derive(Clone, Debug, PartialEq)]
pub enum TableRef {
    /// The whole table is in this entry.
    Here(RefTable),
    /// The whole table is in the earlier entry `seq`; `since` holds every ref changed after it, up to and including
    /// this entry; none is a deleted ref.
    At { seq: u64, since: BTreeMap<RefName, Option<RefState>> },
    /// The whole table is too large for the entry and lies in a pack, as a chunk.
    Packed { id: ChunkId, location: Location },
}

/// One entry of a domain's log.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    pub seq: u64,
    pub nonce: Nonce,
    pub fence: Fence,
    pub actor: String,
    pub host: String,
    /// Never earlier than the entry's before.
    pub time: Time,
    /// Empty in a fence and in the no-op that settles an attempt given up.
    pub changes: Vec<Change>,
    pub table: TableRef,
    /// Features that a reader, and a writer, must know to go on.
    pub features: Features,
    /// Fields of the stored entry that this version does not know.
    pub extra: serde_json::Map<String, serde_json::Value>,
}

/// Names of features that a mesh or domain needs.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Features {
    pub read: Vec<String>,
    pub write: Vec<String>,
}

/// A domain as the mesh log lists it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct DomainInfo {
    pub name: String,
    pub uid: Uid,
    pub owner: Option<String>,
    pub description: Option<String>,
    pub default_branch: String,
    /// URL of the store that holds the domain when it is not the mesh's own.
    pub store: Option<String>,
    /// Entry of the mesh log that created it.
    pub created_seq: u64,
    /// Fields that this version does not know: every writer copies the table on, and must not lose them.
    #[serde(flatten)]
    pub extra: serde_json::Map<String, serde_json::Value>,
}

/// What a change of the mesh log does to its domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DomainOperation {
    Create,
    Update,
    Delete,
}

/// One domain changed by one entry of the mesh log.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct DomainChange {
    pub operation: DomainOperation,
    /// The domain after the change; before it, for a deletion.
    pub domain: DomainInfo,
    /// Entry that changed the domain before this one; none for a creation.
    pub previous_seq: Option<u64>,
}

/// The domains of a mesh by name.
pub type DomainTable = BTreeMap<String, DomainInfo>;

/// Where the whole table of domains stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DomainTableRef {
    Here(DomainTable),
    /// In the earlier entry `seq`; `since` holds every domain changed after it, up to and including this entry; none
    /// is a deleted one.
    At {
        seq: u64,
        since: BTreeMap<String, Option<DomainInfo>>,
    },
}

/// One entry of the mesh log. Each carries what a newcomer must know, so that the newest alone is enough.
#[derive(Clone, Debug, PartialEq)]
pub struct MeshEntry {
    pub seq: u64,
    pub nonce: Nonce,
    /// The mesh, made with its first entry.
    pub uid: Uid,
    /// The mesh's chunking constants, the same in every entry.
    pub constants: Constants,
    pub actor: String,
    pub host: String,
    /// Never earlier than the entry's before.
    pub time: Time,
    /// Empty in the no-op that settles an attempt given up.
    pub changes: Vec<DomainChange>,
    pub table: DomainTableRef,
    pub features: Features,
    /// Fields of the stored entry that this version does not know.
    pub extra: serde_json::Map<String, serde_json::Value>,
}
