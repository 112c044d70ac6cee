//! Cutting of files into chunks and holes, whole or only around what changed.

use std::ops::Range;

use bytes::Bytes;

use super::error::Result;
use crate::model::content::{Constants, Item};

/// A stretch of a file, cut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    Chunk(Bytes),
    /// Zero bytes, so many.
    Hole(u64),
}

/// Checks that this version can cut by these constants.
pub fn check_constants(_constants: &Constants) -> Result<()> {
    todo!()
}

/// Cuts a file given from its start, in bounded memory: `push` bytes, take pieces by `next` until none, go on;
/// after the last bytes `finish`, and take the rest.
#[derive(Debug)]
pub struct Chunker {}

impl Chunker {
    pub fn new(_constants: Constants) -> Chunker {
        todo!()
    }

    pub fn push(&mut self, _bytes: &[u8]) {
        todo!()
    }

    /// `len` zero bytes, without their being there: a stretch known to be a hole.
    pub fn push_zeros(&mut self, _len: u64) {
        todo!()
    }

    pub fn finish(&mut self) {
        todo!()
    }

    /// The next piece; none when more bytes are needed, or at the end.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Option<Piece> {
        todo!()
    }
}

/// Can an edited file be cut around its edits only? Else (a file that was or is one chunk per stretch) cut it whole.
pub fn may_recut(_constants: &Constants, _old_size: u64, _new_size: u64) -> bool {
    todo!()
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
#[derive(Debug)]
pub struct Recutter {}

impl Recutter {
    /// `old`: the segment's items; `dirty`: ranges of the segment (offsets from its start), sorted, outside of which
    /// old and new bytes are equal; what lies beyond the shorter of both lengths counts as dirty by itself.
    pub fn new(_constants: Constants, _old: &[Item], _new_len: u64, _dirty: &[Range<u64>]) -> Recutter {
        todo!()
    }

    pub fn step(&mut self) -> Step {
        todo!()
    }

    /// The bytes asked for by the last [`Step::Read`], or the first of them.
    pub fn push(&mut self, _bytes: &[u8]) {
        todo!()
    }
}
