//! Pieces of files made ready to be sent, by all cores: hashed, looked up, compressed.

use std::collections::HashMap;
use std::num::NonZeroUsize;

use bytes::Bytes;
use lru::LruCache;
use parking_lot::Mutex;

use super::sent::SentIndex;
use crate::format::chunk::Piece;
use crate::format::content::chunk_id;
use crate::format::error::FormatError;
use crate::format::pack::{EncodedFrame, FrameKind, encode_frame};
use crate::model::id::{ChunkId, Location};
use crate::repo::db::SentChunk;
use crate::repo::error::RepoError;

/// Chunks of one upload that are remembered, so that equal ones go once: about 30 MiB, and 32 GiB of content. What is
/// forgotten goes twice, which is correct.
const CHUNKS_MAX: NonZeroUsize = NonZeroUsize::new(1 << 18).expect("not zero");

/// Chunks below this many bytes are used again only in runs: one small file here and one there would cost every reader
/// of their directory a request each.
pub(super) const CRUMB_BYTES: usize = 16 << 10;

/// Chunks that need not be sent.
pub(super) struct Known {
    /// Of this upload.
    here: Mutex<LruCache<ChunkId, Location>>,
    pub sent: Option<SentIndex>,
}

/// Chunks of the version that a file was made from.
pub(super) type BaseChunks = HashMap<ChunkId, Location>;

impl Known {
    pub fn new(sent: Option<SentIndex>) -> Known {
        Known { here: Mutex::new(LruCache::new(CHUNKS_MAX)), sent }
    }

    pub fn find(&self, id: &ChunkId) -> Option<Location> {
        self.here.lock().get(id).copied()
    }

    pub fn add(&self, id: ChunkId, location: Location) {
        self.here.lock().put(id, location);
    }
}

/// A piece ready to be placed.
#[derive(Debug)]
pub(super) enum Prepared {
    Hole(u64),
    Chunk(PreparedChunk),
}

#[derive(Debug)]
pub(super) struct PreparedChunk {
    pub len: u32,
    pub id: ChunkId,
    pub body: Body,
}

#[derive(Debug)]
pub(super) enum Body {
    /// Landed with the base, or sent by this upload.
    Known(Location),
    /// Sent by an earlier upload; a crumb has its frame beside it, in case that it goes again.
    Sent(SentChunk, Option<EncodedFrame>),
    New(EncodedFrame),
}

enum Hashed {
    Hole(u64),
    Chunk(ChunkId, Bytes),
}

/// Hashes and looks up pieces, and compresses what is new. Blocks.
pub(super) fn prepare(pieces: Vec<Piece>, known: &Known, base: &BaseChunks) -> Result<Vec<Prepared>, RepoError> {
    let hash = |piece| match piece {
        Piece::Hole(len) => Hashed::Hole(len),
        Piece::Chunk(raw) => Hashed::Chunk(chunk_id(&raw), raw),
    };
    let hashed: Vec<Hashed> = pieces.into_iter().map(hash).collect();
    let location = |id: &ChunkId| base.get(id).copied().or_else(|| known.find(id));
    let unknown = |hashed: &Hashed| match hashed {
        Hashed::Chunk(id, _) if location(id).is_none() => Some(*id),
        _ => None,
    };
    let unknown: Vec<ChunkId> = hashed.iter().filter_map(unknown).collect();
    let sent = match &known.sent {
        Some(index) if !unknown.is_empty() => index.find(&unknown)?,
        _ => HashMap::new(),
    };
    let ready = |hashed| match hashed {
        Hashed::Hole(len) => Ok(Prepared::Hole(len)),
        Hashed::Chunk(id, raw) => {
            let frame = || encode_frame(FrameKind::Chunk, &raw).map_err(|error| unstorable(&error));
            let crumb = raw.len() < CRUMB_BYTES;
            let body = match (location(&id), sent.get(&id)) {
                (Some(location), _) => Body::Known(location),
                (None, Some(sent)) => Body::Sent(*sent, if crumb { Some(frame()?) } else { None }),
                (None, None) => Body::New(frame()?),
            };
            Ok(Prepared::Chunk(PreparedChunk { len: raw.len() as u32, id, body }))
        }
    };
    hashed.into_iter().map(ready).collect()
}

/// A value that the format cannot hold, from a caller that should have checked.
pub(super) fn unstorable(error: &FormatError) -> RepoError {
    RepoError::Refused(error.to_string())
}
