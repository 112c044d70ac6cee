//! Cutting an edited segment again, from the last old cut that the edit cannot have moved to the first new one that is
//! an old one too.

use std::ops::Range;

use super::{Chunker, Piece};
use crate::model::content::{Constants, Item};

/// Can an edited file be cut around its edits only? Else (a file that was or is one chunk per stretch) cut it whole.
pub fn may_recut(constants: &Constants, old_size: u64, new_size: u64) -> bool {
    old_size.min(new_size) > u64::from(constants.chunk_max)
}

/// What a [`Recutter`] needs, or gives, next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Push the new bytes of this range of the segment.
    Read(Range<u64>),
    /// These items (indices into the old ones) stay as they are.
    Keep(Range<usize>),
    New(Piece),
    Done,
}

/// Cuts one edited segment again, reading no more of it than the edits make necessary. The pieces are exactly those
/// that [`Chunker`] gives for the whole new bytes.
///
/// - An old cut stands if it lies before the edit by more than a shortest hole, and two bytes: a chunk's end depends on
///   the bytes up to two after it, and on where the stretch ends; and a hole that a changed byte is part of starts, if
///   further back, where already a hole was.
/// - A new cut behind all edits that is also an old cut starts the same pieces, up to the next edit: what follows a cut
///   depends only on the bytes behind it.
#[derive(Debug)]
pub struct Recutter {
    constants: Constants,
    /// Where old items start, and the old end.
    cuts: Vec<u64>,
    new_len: u64,
    /// Sorted, apart from each other.
    dirty: Vec<Range<u64>>,
    state: State,
}

#[derive(Debug)]
enum State {
    /// A new piece starts at this old cut, and none of the bytes behind it has been read.
    AtOldCut(usize),
    /// A new piece starts at `cut`; the bytes up to `read` are in the chunker.
    Cutting {
        chunker: Box<Chunker>,
        cut: u64,
        read: u64,
    },
    Done,
}

impl Recutter {
    /// `old`: the segment's items; `dirty`: ranges of the segment (offsets from its start), outside of which old and
    /// new bytes are equal; what lies beyond the shorter of both lengths counts as dirty by itself.
    pub fn new(constants: Constants, old: &[Item], new_len: u64, dirty: &[Range<u64>]) -> Recutter {
        let mut cuts = vec![0];
        let mut old_len = 0;
        for item in old {
            old_len += item.len();
            cuts.push(old_len);
        }
        let beyond = old_len.min(new_len)..old_len.max(new_len);
        let mut all: Vec<_> = dirty.iter().cloned().chain([beyond]).filter(|range| range.start < range.end).collect();
        all.sort_by_key(|range| range.start);
        let mut dirty: Vec<Range<u64>> = Vec::with_capacity(all.len());
        for range in all {
            match dirty.last_mut() {
                Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
                _ => dirty.push(range),
            }
        }
        Recutter { constants, cuts, new_len, dirty, state: State::AtOldCut(0) }
    }

    pub fn step(&mut self) -> Step {
        loop {
            match &mut self.state {
                State::Done => return Step::Done,
                State::AtOldCut(at) => {
                    let at = *at;
                    let kept = self.leave_old_cut(at);
                    if kept > at {
                        return Step::Keep(at..kept);
                    }
                }
                State::Cutting { cut, .. } if *cut >= self.new_len => self.state = State::Done,
                State::Cutting { chunker, cut, read } => match chunker.next() {
                    Some(piece) => {
                        *cut += piece.len();
                        let cut = *cut;
                        self.realign(cut);
                        return Step::New(piece);
                    }
                    None => {
                        let read = *read;
                        return Step::Read(read..self.read_until(read));
                    }
                },
            }
        }
    }

    /// The bytes asked for by the last [`Step::Read`], or the first of them.
    pub fn push(&mut self, bytes: &[u8]) {
        if let State::Cutting { chunker, read, .. } = &mut self.state {
            chunker.push(bytes);
            *read += bytes.len() as u64;
        }
    }

    /// From old cut `at` the old items stay up to the cut returned, where cutting goes on, if anywhere.
    fn leave_old_cut(&mut self, at: usize) -> usize {
        let kept = self.kept_from(at);
        self.state = if self.cuts[kept] >= self.new_len {
            State::Done
        } else {
            let cut = self.cuts[kept];
            let chunker = Box::new(Chunker::resume(self.constants, self.new_len - cut));
            State::Cutting { chunker, cut, read: cut }
        };
        kept
    }

    /// The last old cut, `at` or later, that the next edit behind `at` cannot have moved.
    fn kept_from(&self, at: usize) -> usize {
        let Some(edit) = self.dirty.iter().find(|range| range.end > self.cuts[at]) else { return self.cuts.len() - 1 };
        let safe = edit.start.checked_sub(u64::from(self.constants.hole_min) + 2);
        let before = safe.map_or(0, |safe| self.cuts.partition_point(|cut| *cut <= safe));
        before.saturating_sub(1).max(at)
    }

    /// Back to the old items, if a new piece starts where an old one did and the next edit lies further on.
    fn realign(&mut self, cut: u64) {
        let Ok(at) = self.cuts.binary_search(&cut) else { return };
        let in_edit = self.dirty.iter().any(|range| range.start < cut && cut < range.end);
        if !in_edit && self.kept_from(at) > at {
            self.state = State::AtOldCut(at);
        }
    }

    /// Up to the next old cut, but no more than a chunk: what is asked for is rarely in vain.
    fn read_until(&self, read: u64) -> u64 {
        let next = self.cuts.get(self.cuts.partition_point(|cut| *cut <= read)).copied().unwrap_or(self.new_len);
        next.min(read + u64::from(self.constants.chunk_max)).min(self.new_len)
    }
}
