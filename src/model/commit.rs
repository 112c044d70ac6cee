//! Commits: immutable snapshots of a whole domain, with who, when and why.

use std::collections::BTreeMap;

use super::id::{CommitId, Location, Nonce, RootId};
use super::time::Time;

/// What a commit changed against its first parent, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Stats {
    pub added: u64,
    pub modified: u64,
    pub deleted: u64,
    pub renamed: u64,
}

/// A commit record. Its id is the BLAKE3 of the canonical encoding of all but `root_location`, `first_seq`
/// and `changed_paths`.
#[derive(Clone, Debug, PartialEq)]
pub struct Commit {
    pub id: CommitId,
    pub root: RootId,
    /// The first parent is the head that the commit landed on; none for a domain's first commit.
    pub parents: Vec<CommitId>,
    /// 1 above the highest parent's; the first commit's is 0.
    pub generation: u64,
    pub author: String,
    pub host: String,
    pub time: Time,
    pub message: String,
    pub metadata: BTreeMap<String, String>,
    pub stats: Stats,
    /// Makes each attempt its own record, so that a condemned one can be written again under another name.
    pub nonce: Nonce,
    /// Where the root object lies; a hint.
    pub root_location: Location,
    /// The log entry this record was first put for, so that its entry is found in one or two reads.
    pub first_seq: u64,
    /// Bloom filter of the paths changed against the first parent, and their ancestors; at most 2 KiB.
    pub changed_paths: PathFilter,
    /// Fields of the stored record that this version does not know; not hashed.
    pub extra: serde_json::Map<String, serde_json::Value>,
}

/// A set of paths that may say yes wrongly and never no wrongly.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct PathFilter {
    /// Number of hash positions per path; 0 together with empty bits means "may contain anything".
    pub hashes: u8,
    pub bits: Vec<u8>,
}
