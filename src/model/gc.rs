//! What a collector writes: the packs it condemned, and where the frames of a moved pack went.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::id::{CommitId, Location, Nonce, PackName};
use super::time::Time;

/// Object `gc/<epoch>`: what the collection of this epoch may delete, so that no writer builds on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condemned {
    pub epoch: u64,
    /// By which the collector recognises its own.
    pub nonce: Nonce,
    /// Log entries before this seq are no roots.
    pub horizon: u64,
    pub time: Time,
    /// Packs that are unreachable, or moved: not to be referred to anew.
    pub packs: BTreeSet<PackName>,
    /// Commit records that are not to be built on anew: no log entry names them, or the domain's settings let them
    /// expire, by this collection or one before.
    pub records: BTreeSet<CommitId>,
    /// Packs that this collection made by moving live frames: roots while the epoch is open.
    pub made: BTreeSet<PackName>,
}

/// Object `relocations/<pack>`: where the frames of a pack that was rewritten now lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relocations {
    /// The pack that was moved.
    pub pack: PackName,
    /// By which the collector recognises its own.
    pub nonce: Nonce,
    /// New place of each frame by its offset in the old pack.
    pub moved: BTreeMap<u64, Location>,
}

/// Objects and their bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Freed {
    pub packs: u64,
    pub records: u64,
    /// Of the packs.
    pub bytes: u64,
}

/// What one run of the collector did, or would do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CollectionReport {
    pub domain: String,
    /// Nothing was changed: this is what a run would do.
    pub dry_run: bool,
    /// The newest fence of the log after the run; 0 before the first.
    pub epoch: u64,
    /// Log entries before this one keep nothing by themselves.
    pub horizon: u64,
    /// Condemned by an earlier run, and deleted by this one.
    pub deleted: Freed,
    /// Condemned by an earlier run, and waiting for its readers.
    pub pending: Freed,
    /// Condemned by this run.
    pub condemned: Freed,
    /// Mostly dead packs whose live part this run copied, and the bytes that frees once they are deleted.
    pub moved: Freed,
    /// When what waits may be deleted, by the run after it.
    pub delete_after: Option<Time>,
    pub kept: Freed,
    /// Nodes that were read.
    pub read: u64,
}
