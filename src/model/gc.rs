//! What a collector writes: the packs it condemned, and where the frames of a moved pack went.

use std::collections::{BTreeMap, BTreeSet};

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
    /// Commit records that no log entry names.
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
