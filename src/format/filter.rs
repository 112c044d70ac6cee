//! Bloom filters of changed paths: which commits `log -- PATH` need not look into.

use std::collections::HashSet;

use super::limits::FILTER_BYTES_MAX;
use crate::model::commit::PathFilter;
use crate::model::path::TreePath;

/// Positions per path; best for the bits per path below, which make one answer in a hundred wrong.
const HASHES: u8 = 7;
const BITS_PER_PATH: usize = 10;

/// Most positions per path that a reader goes through.
const HASHES_MAX: u8 = 32;

/// With fewer bits per path than this most answers would be wrong: such a filter is not kept.
const BITS_PER_PATH_MIN: usize = 3;

/// Filters grow in steps of this.
const STEP_BYTES: usize = 8;

/// A filter of these paths and all their ancestors.
pub fn build<'a>(paths: impl IntoIterator<Item = &'a TreePath>) -> PathFilter {
    let mut all: HashSet<&[u8]> = HashSet::new();
    for path in paths {
        let mut path = path.as_bytes();
        while !path.is_empty() && all.insert(path) {
            if all.len() * BITS_PER_PATH_MIN > FILTER_BYTES_MAX * 8 {
                return PathFilter::default();
            }
            path = path.iter().rposition(|&b| b == b'/').map_or(b"", |at| &path[..at]);
        }
    }
    let bytes = (all.len() * BITS_PER_PATH).div_ceil(8).next_multiple_of(STEP_BYTES);
    let mut filter = PathFilter { hashes: HASHES, bits: vec![0; bytes.clamp(STEP_BYTES, FILTER_BYTES_MAX)] };
    for path in all {
        for position in positions(filter.hashes, filter.bits.len(), path) {
            filter.bits[position / 8] |= 1 << (position % 8);
        }
    }
    filter
}

/// Does the filter allow that this path, or something below it, changed?
pub fn may_contain(filter: &PathFilter, path: &TreePath) -> bool {
    if path.is_root() || filter.bits.is_empty() || !is_sound(filter) {
        return true;
    }
    positions(filter.hashes, filter.bits.len(), path.as_bytes())
        .all(|position| filter.bits[position / 8] & 1 << (position % 8) != 0)
}

/// Is this a filter that [`may_contain`] can ask? (Any other may contain anything.)
pub(super) fn is_sound(filter: &PathFilter) -> bool {
    match filter.bits.len() {
        0 => filter.hashes == 0,
        len => len <= FILTER_BYTES_MAX && (1..=HASHES_MAX).contains(&filter.hashes),
    }
}

/// Position i is a + i * b modulo the number of bits; a and b are the first two little-endian words of BLAKE3(path).
fn positions(hashes: u8, bytes: usize, path: &[u8]) -> impl Iterator<Item = usize> {
    let hash = blake3::hash(path);
    let word = |at: usize| {
        let mut word = [0; 8];
        word.copy_from_slice(&hash.as_bytes()[at..at + 8]);
        u64::from_le_bytes(word)
    };
    let (a, b, bits) = (word(0), word(8), bytes as u64 * 8);
    (0..u64::from(hashes)).map(move |i| (a.wrapping_add(i.wrapping_mul(b)) % bits) as usize)
}
