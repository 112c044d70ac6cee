//! Readahead: what one open file's reads so far tell about the next.

use std::ops::Range;

use parking_lot::Mutex;

use super::Objects;
use crate::model::content::FileContent;

/// First window after two reads in a row, in bytes.
const WINDOW_BYTES_MIN: u64 = 512 << 10;

/// Widest window, in bytes: at 50 ms a request it feeds one reader 320 MB/s.
const WINDOW_BYTES_MAX: u64 = 16 << 20;

/// Widest window over a local store, where reading ahead only decodes ahead.
const WINDOW_BYTES_LOCAL: u64 = 2 << 20;

/// How far reads of one stream may overtake each other, in bytes: the kernel sends several at once.
const DISORDER_BYTES: u64 = 1 << 20;

/// The state of one open handle. Shared by its readers.
#[derive(Debug, Default)]
pub struct ReadAhead {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Where a sequential reader goes on.
    next: u64,
    /// How much is kept ahead of it; 0 until two reads in a row.
    window: u64,
    /// Where what was asked for ahead ends.
    asked: u64,
    started: bool,
}

impl ReadAhead {
    pub fn new() -> ReadAhead {
        ReadAhead::default()
    }

    /// Takes notice of a read, and tells what to fetch for those that should follow.
    fn note(&self, offset: u64, len: u64, size: u64, window_max: u64) -> Option<Range<u64>> {
        let mut state = self.state.lock();
        let end = offset.saturating_add(len).min(size);
        let started = std::mem::replace(&mut state.started, true);
        let behind = offset < state.next && offset + DISORDER_BYTES >= state.next && end <= state.next;
        if started && behind {
            return None;
        }
        let follows = started && offset <= state.next.saturating_add(DISORDER_BYTES / 2) && end >= state.next;
        if !follows || offset.saturating_add(DISORDER_BYTES) < state.next {
            *state = State { next: end, window: 0, asked: end, started: true };
            return None;
        }
        state.next = end;
        state.window = (state.window * 2).clamp(WINDOW_BYTES_MIN, window_max);
        let from = state.asked.max(end);
        let target = end.saturating_add(state.window).min(size);
        // In halves of the window, so that requests stay large.
        let worth = target == size || target.saturating_sub(from) >= state.window / 2;
        if from >= target || !worth {
            return None;
        }
        state.asked = target;
        Some(from..target)
    }
}

impl Objects {
    /// Tells that a handle is about to read this range: fetches in the background what a sequential reader needs next.
    /// To be called before each read of the handle, hit or miss; returns at once.
    pub fn advance(&self, ahead: &ReadAhead, content: &FileContent, offset: u64, len: u64) {
        let local = self.place().store.is_local();
        let window_max = if local { WINDOW_BYTES_LOCAL } else { WINDOW_BYTES_MAX };
        let Some(range) = ahead.note(offset, len, content.size, window_max) else { return };
        let (objects, content) = (self.clone(), content.clone());
        self.shared().runtime.spawn(async move {
            if let Err(error) = objects.prefetch(&content, range).await {
                // Whoever needs these bytes meets the error again, and is told.
                tracing::debug!("reading ahead: {error}");
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIB: u64 = 1 << 10;
    const MIB: u64 = 1 << 20;

    fn reads(ahead: &ReadAhead, offsets: impl IntoIterator<Item = u64>, size: u64) -> Vec<Range<u64>> {
        offsets.into_iter().filter_map(|at| ahead.note(at, 128 * KIB, size, WINDOW_BYTES_MAX)).collect()
    }

    #[test]
    fn a_sequential_reader_is_kept_ahead_of_in_growing_windows_without_gap_or_overlap() {
        let ahead = ReadAhead::new();
        let asked = reads(&ahead, (0..1024).map(|at| at * 128 * KIB), 128 * MIB);
        assert_eq!(asked.first().unwrap().start, 256 * KIB);
        assert_eq!(asked.last().unwrap().end, 128 * MIB);
        assert!(asked.windows(2).all(|pair| pair[0].end == pair[1].start), "{asked:?}");
        let widest = asked.iter().map(|range| range.end - range.start).max().unwrap();
        assert!((8 * MIB..=16 * MIB).contains(&widest), "{widest}");
    }

    #[test]
    fn reads_of_a_stream_that_overtake_each_other_are_still_one_stream() {
        let ahead = ReadAhead::new();
        let order = (0..256u64).map(|at| (at ^ 1) * 128 * KIB);
        let asked = reads(&ahead, order, 32 * MIB);
        assert_eq!(asked.last().unwrap().end, 32 * MIB);
        assert!(asked.windows(2).all(|pair| pair[0].end == pair[1].start), "{asked:?}");
    }

    #[test]
    fn random_reads_and_a_first_read_ask_for_nothing() {
        let ahead = ReadAhead::new();
        assert_eq!(reads(&ahead, [100 * MIB, 3 * MIB, 50 * MIB, 0, 99 * MIB], 128 * MIB), []);
        let footer = ReadAhead::new();
        assert_eq!(reads(&footer, [128 * MIB - 128 * KIB], 128 * MIB), []);
    }

    #[test]
    fn nothing_is_asked_for_past_the_end() {
        let ahead = ReadAhead::new();
        let asked = reads(&ahead, [0, 128 * KIB, 256 * KIB, 384 * KIB], 400 * KIB);
        assert_eq!(asked, std::slice::from_ref(&(256 * KIB..400 * KIB)));
    }
}
