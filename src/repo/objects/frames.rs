//! One frame, whole and right, or the reason why it cannot be had.
//!
//! What does not decode is fetched once more past the caches, then looked for where its pack was moved to; only then is
//! it damaged. Missing and wrong are one case: a collector may have moved the pack, and a stale place may hold anything.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use super::Objects;
use super::packs::{Fetch, Reach};
use crate::format::error::FormatError;
use crate::format::limits::{FRAME_RAW_BYTES_MAX, PACK_BYTES_MAX};
use crate::format::pack::{FRAME_HEADER_BYTES, FrameKind, decode_frame};
use crate::format::relocation::decode_relocations;
use crate::model::gc::Relocations;
use crate::model::id::{Location, PackName};
use crate::repo::error::RepoError;
use crate::storage::StoreError;

/// Moves of a pack followed for one frame; a longer chain is a circle or a broken collector.
const MOVES_MAX: usize = 8;

/// No frame is longer, in bytes: a place that says so is damaged, and is not fetched.
const FRAME_BYTES_MAX: u32 = (FRAME_RAW_BYTES_MAX + FRAME_HEADER_BYTES) as u32;

/// What a frame is expected to be.
pub(super) struct Wanted<'a> {
    pub kind: FrameKind,
    /// For messages: the kind and the id.
    pub what: String,
    pub location: &'a Location,
    pub reach: Reach,
    /// A range that holds the frame and is being fetched already.
    pub fetch: Option<&'a Fetch>,
}

/// Why a place did not give the frame.
enum Miss {
    /// Not there, or not it: perhaps it was moved.
    Lost(String),
    Failed(RepoError),
}

impl From<StoreError> for Miss {
    fn from(error: StoreError) -> Miss {
        match error {
            StoreError::NotFound { .. } => Miss::Lost("the pack is gone".to_owned()),
            error => Miss::Failed(error.into()),
        }
    }
}

/// Damage is an error to whoever reads, and a line in the log for whoever looks after the mesh.
pub(super) fn damaged(what: String, reason: String) -> RepoError {
    let error = RepoError::Damaged { what, reason };
    tracing::error!("{error}");
    error
}

/// The bytes of a pack that a frame takes; none for a place where no frame can be.
pub(super) fn range_of(location: &Location) -> Option<Range<u64>> {
    let end = location.offset.checked_add(u64::from(location.len))?;
    (location.len <= FRAME_BYTES_MAX && end <= PACK_BYTES_MAX).then_some(location.offset..end)
}

impl Objects {
    /// The decoded frame, when it is on this machine whole and right.
    pub(super) fn frame_from_here<T>(
        &self,
        kind: FrameKind,
        location: &Location,
        decode: impl Fn(&Bytes) -> Result<T, FormatError>,
    ) -> Option<T> {
        let frame = self.0.packs.cached(&location.pack, range_of(location)?)?;
        decode(&decode_frame(kind, &frame).ok()?).ok()
    }

    /// The decoded frame, from wherever it is to be had. `decode` verifies the id.
    pub(super) async fn frame<T>(
        &self,
        wanted: Wanted<'_>,
        decode: impl Fn(&Bytes) -> Result<T, FormatError> + Send,
    ) -> Result<T, RepoError> {
        let mut place = *wanted.location;
        let mut reason = String::new();
        for moves in 0..=MOVES_MAX {
            match self.frame_at(&wanted, &place, moves == 0, &decode).await {
                Ok(value) => return Ok(value),
                Err(Miss::Failed(error)) => return Err(error),
                Err(Miss::Lost(why)) if reason.is_empty() => reason = why,
                Err(Miss::Lost(why)) => reason = format!("{reason}; where it was moved to, {why}"),
            }
            match self.moved_to(&place).await? {
                Some(next) => place = next,
                None => break,
            }
        }
        let Location { pack, offset, .. } = wanted.location;
        Err(damaged(format!("{} at offset {offset} of pack {pack}", wanted.what), reason))
    }

    /// The frame at one place, looked for twice: first as it is kept here, then as the store has it now.
    async fn frame_at<T>(
        &self,
        wanted: &Wanted<'_>,
        place: &Location,
        first_place: bool,
        decode: &(impl Fn(&Bytes) -> Result<T, FormatError> + Send),
    ) -> Result<T, Miss> {
        let range = range_of(place).ok_or_else(|| Miss::Lost("no frame can lie at its place".to_owned()))?;
        let packs = &self.0.packs;
        let frame = match wanted.fetch.filter(|_| first_place) {
            Some(fetch) => fetch.bytes(range.clone()).await?,
            None => packs.fetch(&place.pack, range.clone(), wanted.reach).bytes(range.clone()).await?,
        };
        let decoded = |frame: &Bytes| decode(&decode_frame(wanted.kind, frame)?);
        if let Ok(value) = decoded(&frame) {
            return Ok(value);
        }
        packs.forget(&place.pack, range.clone());
        let frame = packs.fetch(&place.pack, range.clone(), Reach::Exact).bytes(range).await?;
        decoded(&frame).map_err(|error| match error {
            FormatError::NewerVersion { .. } | FormatError::UnknownFeatures { .. } => {
                let features = vec![error.to_string()];
                Miss::Failed(RepoError::Unsupported { what: wanted.what.clone(), purpose: "reading", features })
            }
            error => Miss::Lost(error.to_string()),
        })
    }

    /// Where the collector moved a frame of this place to, if it moved its pack.
    async fn moved_to(&self, place: &Location) -> Result<Option<Location>, RepoError> {
        let known = self.0.shared.relocations.lock().get(&place.pack).cloned();
        let map = match known {
            Some(map) => Some(map),
            None => self.relocations(&place.pack).await?,
        };
        Ok(map.and_then(|map| map.moved.get(&place.offset).copied()))
    }

    /// The map of a moved pack; none when it was not moved, or the map cannot be used.
    pub(in crate::repo) async fn relocations(&self, pack: &PackName) -> Result<Option<Arc<Relocations>>, RepoError> {
        let place = self.0.packs.place();
        let object = match place.store.get(&place.relocation_key(pack)).await {
            Ok(object) => object,
            Err(StoreError::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        match decode_relocations(&object.bytes, pack) {
            Ok(map) => {
                let map = Arc::new(map);
                self.0.shared.relocations.lock().put(*pack, map.clone());
                Ok(Some(map))
            }
            Err(error) => {
                // The frame's own damage is what the caller hears of; this says why no other copy was found.
                tracing::error!("the map of moved pack {pack} cannot be used: {error}");
                Ok(None)
            }
        }
    }
}
