//! Re-hashing a domain's packs: every frame against its checksum and its id, whether or not anything names it.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use super::super::directory::{read_directory, read_frames};
use super::super::domain::Domain;
use super::super::error::RepoError;
use super::super::gc::inventory::Inventory;
use super::super::layout::Place;
use crate::format::content::{chunk_id, decode_page};
use crate::format::error::FormatError;
use crate::format::link::decode_link_node;
use crate::format::node::{decode_node, decode_root};
use crate::format::pack::{DirectoryEntry, FrameKind, decode_frame};
use crate::model::id::{ChunkId, ContentId, Location, NodeId, PackName, RootId};
use crate::storage::StoreError;

/// Frames held in memory at once while a pack is checked.
const FRAMES_AT_ONCE: usize = 64;

/// What is wrong with a pack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// It is not there, or its directory cannot be read: nothing in it can be relied on.
    Whole(String),
    /// These frames, by offset.
    Frames(BTreeMap<u64, String>),
}

/// What was found wrong in a domain's packs.
#[derive(Debug, Default)]
pub struct Audit {
    pub packs: u64,
    pub frames: u64,
    pub bytes: u64,
    pub wrong: BTreeMap<PackName, Wrong>,
    /// Packs that are there.
    there: BTreeSet<PackName>,
    moved: BTreeSet<PackName>,
}

impl Audit {
    /// Why a frame cannot be had; none when nothing is known against it.
    pub fn problem(&self, location: &Location) -> Option<String> {
        match self.wrong.get(&location.pack) {
            // What a map leads to was checked where it lies.
            _ if self.moved.contains(&location.pack) => None,
            Some(Wrong::Whole(problem)) => Some(problem.clone()),
            Some(Wrong::Frames(frames)) => frames.get(&location.offset).cloned(),
            None if !self.there.contains(&location.pack) => Some("the pack is gone".to_owned()),
            None => None,
        }
    }
}

/// Re-hashes the packs of a domain, or of them `percent` in a hundred, chosen by chance. `advance` is told of bytes.
pub async fn audit(domain: &Domain, percent: u64, advance: &(dyn Fn(u64) + Sync)) -> Result<Audit, RepoError> {
    let inventory = Inventory::take(domain).await?;
    let mut audit = Audit {
        there: inventory.packs.keys().copied().collect(),
        moved: inventory.relocations.clone(),
        ..Audit::default()
    };
    for (pack, stored) in &inventory.packs {
        if domain.sys().random.below(100) >= percent {
            continue;
        }
        let checked = check_pack(domain.place(), pack, stored.bytes).await?;
        audit.packs += 1;
        audit.frames += checked.frames;
        audit.bytes += stored.bytes;
        audit.wrong.extend(checked.wrong.map(|wrong| (*pack, wrong)));
        advance(stored.bytes);
    }
    Ok(audit)
}

/// One pack, re-hashed.
pub struct Checked {
    pub frames: u64,
    pub wrong: Option<Wrong>,
}

/// Re-hashes one pack. What the store cannot give for now is an error, what is not right is told.
pub async fn check_pack(place: &Place, pack: &PackName, bytes: u64) -> Result<Checked, RepoError> {
    let whole = |problem: String| Ok(Checked { frames: 0, wrong: Some(Wrong::Whole(problem)) });
    let entries = match read_directory(place, pack, bytes).await {
        Ok(entries) => entries,
        Err(RepoError::Damaged { reason, .. }) => return whole(reason),
        Err(RepoError::Store(StoreError::NotFound { .. })) => return whole("the pack is gone".to_owned()),
        Err(error) => return Err(error),
    };
    let mut wrong = BTreeMap::new();
    for group in entries.chunks(FRAMES_AT_ONCE) {
        let frames = read_frames(place, pack, group).await?;
        for (entry, frame) in group.iter().zip(frames) {
            if let Err(error) = check_frame(entry, &frame) {
                wrong.insert(entry.offset, error.to_string());
            }
        }
    }
    let wrong = (!wrong.is_empty()).then_some(Wrong::Frames(wrong));
    Ok(Checked { frames: entries.len() as u64, wrong })
}

fn check_frame(entry: &DirectoryEntry, frame: &Bytes) -> Result<(), FormatError> {
    let raw = decode_frame(entry.kind, frame)?;
    match entry.kind {
        FrameKind::Chunk => match chunk_id(&raw) {
            found if found == ChunkId(entry.id) => Ok(()),
            found => Err(FormatError::WrongId {
                what: "chunk",
                expected: ChunkId(entry.id).to_string(),
                found: found.to_string(),
            }),
        },
        FrameKind::Page => decode_page(&raw, &ContentId(entry.id)).map(drop),
        FrameKind::Node => decode_node(&raw, &NodeId(entry.id)).map(drop),
        FrameKind::LinkNode => decode_link_node(&raw, &NodeId(entry.id)).map(drop),
        FrameKind::Root => decode_root(&raw, &RootId(entry.id)).map(drop),
        FrameKind::Directory => Ok(()),
    }
}
