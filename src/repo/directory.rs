//! Reading what a pack holds: its directory, and frames as they are stored.

use std::ops::Range;

use bytes::Bytes;

use super::error::RepoError;
use super::layout::Place;
use crate::format::pack::{DirectoryEntry, FOOTER_BYTES, decode_directory, decode_footer};
use crate::model::id::PackName;
use crate::storage::StoreError;

/// Frames this near to each other are fetched as one range, in bytes.
const GAP_BYTES_MAX: u64 = 64 << 10;

/// Bytes of one range at most, a single frame aside.
const RANGE_BYTES_MAX: u64 = 4 << 20;

/// The frames of a pack of `bytes` bytes, in the order in which they lie.
pub async fn read_directory(place: &Place, pack: &PackName, bytes: u64) -> Result<Vec<DirectoryEntry>, RepoError> {
    let what = || format!("pack {pack}");
    let key = place.pack_key(pack);
    let footer = bytes.saturating_sub(FOOTER_BYTES as u64)..bytes;
    let footer = place.store.get_range(&key, footer).await?;
    let range = decode_footer(&footer).map_err(|error| RepoError::of_format(what(), error))?;
    let frame = place.store.get_range(&key, range).await?;
    decode_directory(pack, &frame).map_err(|error| RepoError::of_format(what(), error))
}

/// The stored bytes of these frames of a pack, in order, in as few ranges as their places allow. `frames` are in the
/// order in which they lie.
pub async fn read_frames(place: &Place, pack: &PackName, frames: &[DirectoryEntry]) -> Result<Vec<Bytes>, StoreError> {
    let key = place.pack_key(pack);
    let mut found = Vec::with_capacity(frames.len());
    for (range, frames) in joined(frames) {
        let bytes = place.store.get_range(&key, range.clone()).await?;
        found.extend(frames.iter().map(|frame| {
            let start = ((frame.offset - range.start) as usize).min(bytes.len());
            bytes.slice(start..(start + frame.len as usize).min(bytes.len()))
        }));
    }
    Ok(found)
}

fn joined(frames: &[DirectoryEntry]) -> Vec<(Range<u64>, &[DirectoryEntry])> {
    let mut ranges = Vec::new();
    let mut first = 0;
    for at in 1..=frames.len() {
        let start = frames[first].offset;
        let end = frames[at - 1].offset + u64::from(frames[at - 1].len);
        let goes_on = frames.get(at).is_some_and(|next| {
            let with_it = next.offset + u64::from(next.len) - start;
            next.offset - end <= GAP_BYTES_MAX && with_it <= RANGE_BYTES_MAX
        });
        if !goes_on {
            ranges.push((start..end, &frames[first..at]));
            first = at;
        }
    }
    ranges
}
