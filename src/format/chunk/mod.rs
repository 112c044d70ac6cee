//! Cutting of files into chunks and holes, whole or only around what changed.

mod cut;
mod recut;

pub use recut::{Recutter, Step, may_recut};

use bytes::{Buf as _, Bytes, BytesMut};

use self::cut::{Cdc, Run, first_run, leading_zeros};
use super::error::{FormatError, Result};
use super::limits::CHUNK_BYTES_MAX;
use crate::model::content::{Constants, SEGMENT_BYTES};

/// A stretch of a file, cut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    Chunk(Bytes),
    /// Zero bytes, so many.
    Hole(u64),
}

impl Piece {
    pub fn len(&self) -> u64 {
        match self {
            Piece::Chunk(bytes) => bytes.len() as u64,
            Piece::Hole(len) => *len,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Checks that this version can cut by these constants.
pub fn check_constants(constants: &Constants) -> Result<()> {
    let Constants { chunk_min, chunk_target, chunk_max, hole_min, segment } = *constants;
    let sizes = chunk_min >= 1024 && chunk_min <= chunk_target && chunk_target <= chunk_max;
    let even = chunk_min % 2 == 0 && chunk_max % 2 == 0 && chunk_target.is_power_of_two();
    let bounded = chunk_max <= CHUNK_BYTES_MAX && hole_min >= 4096 && segment == SEGMENT_BYTES;
    if sizes && even && bounded {
        return Ok(());
    }
    Err(FormatError::Damaged { what: "the set of a mesh's constants", why: format!("{constants:?} are impossible") })
}

/// What is known of the file as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Size {
    /// Not yet longer than a chunk may be.
    Open,
    /// The file is no longer than a chunk may be: each stretch between holes is one chunk.
    Small,
    Large,
}

/// Cuts a file given from its start, in bounded memory: `push` bytes, take pieces by `next` until none, go on;
/// after the last bytes `finish`, and take the rest.
#[derive(Debug)]
pub struct Chunker {
    constants: Constants,
    cdc: Cdc,
    size: Size,
    /// Bytes pushed so far.
    pushed: u64,
    /// Bytes that are in no piece yet, and zeros that follow them.
    waiting: BytesMut,
    zeros: u64,
    /// Zeros before `waiting` that are the start of a hole.
    hole: u64,
    /// From the first byte in `waiting` to the end of its segment.
    room: u64,
    finished: bool,
    /// Cut as soon as the bytes here decide, at the price of looking at some of them again.
    eager: bool,
}

impl Chunker {
    pub fn new(constants: Constants) -> Chunker {
        Chunker {
            constants,
            cdc: Cdc::new(&constants),
            size: Size::Open,
            pushed: 0,
            waiting: BytesMut::new(),
            zeros: 0,
            hole: 0,
            room: constants.segment,
            finished: false,
            eager: false,
        }
    }

    /// From a place in a large file where a piece starts, `room` bytes before the end of its segment or of the file.
    fn resume(constants: Constants, room: u64) -> Chunker {
        Chunker { size: Size::Large, room, eager: true, ..Chunker::new(constants) }
    }

    pub fn push(&mut self, bytes: &[u8]) {
        self.fill(u64::MAX);
        self.waiting.extend_from_slice(bytes);
        self.pushed += bytes.len() as u64;
    }

    /// `len` zero bytes, without their being there: a stretch known to be a hole.
    pub fn push_zeros(&mut self, len: u64) {
        self.zeros += len;
        self.pushed += len;
    }

    pub fn finish(&mut self) {
        self.finished = true;
    }

    /// Moves zeros that were not given as bytes to where bytes are, up to `len` of them in all.
    fn fill(&mut self, len: u64) {
        let more = self.zeros.min(len.saturating_sub(self.waiting.len() as u64));
        self.waiting.resize(self.waiting.len() + more as usize, 0);
        self.zeros -= more;
    }

    /// How many bytes decide the next cut, whatever follows them.
    fn enough(&self) -> u64 {
        u64::from(self.constants.chunk_max) + u64::from(self.constants.hole_min)
    }

    /// The next piece; none when more bytes are needed, or at the end.
    #[allow(clippy::should_implement_trait, reason = "it goes on after none, when more is pushed")]
    pub fn next(&mut self) -> Option<Piece> {
        if self.size == Size::Open {
            self.size = match self.pushed > u64::from(self.constants.chunk_max) {
                true => Size::Large,
                false if self.finished => Size::Small,
                false => return None,
            };
        }
        if self.hole == 0 {
            self.fill(self.enough());
            let len = self.chunk_len()?;
            if len > 0 {
                self.leave(len as u64);
                return Some(Piece::Chunk(self.waiting.split_to(len).freeze()));
            }
            self.enter_hole();
        }
        self.grow_hole()
    }

    /// Length of the chunk at the start of what waits, 0 when a hole is there; none while that is not decided.
    fn chunk_len(&self) -> Option<usize> {
        let here = (self.waiting.len() as u64).min(self.room);
        let at_end = here == self.room || (self.finished && self.zeros == 0);
        if here == 0 || !(at_end || self.eager || here >= self.enough()) {
            return None;
        }
        let (chunk_max, window) = (self.constants.chunk_max as usize, &self.waiting[..here as usize]);
        // The stretch before the next hole: how long it is, or how long at least. Chunks see two bytes further than
        // where they end.
        let (stretch, known) = match first_run(window, self.constants.hole_min as usize, chunk_max + 2) {
            Run::At(start) => (start, true),
            Run::NotBefore(_) if at_end => (window.len(), true),
            Run::NotBefore(start) => (start, false),
        };
        if self.size == Size::Small || stretch == 0 {
            return known.then_some(stretch);
        }
        let len = self.cdc.cut(&window[..stretch]);
        (known || stretch >= chunk_max || len + 2 <= stretch).then_some(len)
    }

    /// `len` bytes have become part of a piece.
    fn leave(&mut self, len: u64) {
        self.room -= len;
        if self.room == 0 && self.hole == 0 {
            self.room = self.constants.segment;
        }
    }

    fn enter_hole(&mut self) {
        let len = self.constants.hole_min as usize;
        self.waiting.advance(len);
        self.hole = len as u64;
        self.leave(len as u64);
    }

    /// The hole under way, once its end is seen.
    fn grow_hole(&mut self) -> Option<Piece> {
        let here = (self.waiting.len() as u64).min(self.room) as usize;
        let zeros = leading_zeros(&self.waiting[..here]);
        self.waiting.advance(zeros);
        self.hole += zeros as u64;
        self.leave(zeros as u64);
        if self.waiting.is_empty() {
            let zeros = self.zeros.min(self.room);
            self.zeros -= zeros;
            self.hole += zeros;
            self.leave(zeros);
        }
        let ended = self.room == 0 || !self.waiting.is_empty() || self.finished;
        ended.then(|| {
            let piece = Piece::Hole(std::mem::take(&mut self.hole));
            self.leave(0);
            piece
        })
    }
}
