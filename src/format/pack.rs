//! Packs: frames, and the directory and footer at a pack's end.

use bytes::Bytes;

use super::error::Result;
use crate::model::id::{Codec, Location, PackName};

/// What a frame holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FrameKind {
    Chunk,
    Page,
    Node,
    LinkNode,
    Root,
    /// A pack's own directory.
    Directory,
}

/// Bytes before a frame's stored bytes.
pub const FRAME_HEADER_BYTES: usize = 16;

/// A frame as it lies in a pack, header included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodedFrame {
    pub kind: FrameKind,
    pub codec: Codec,
    pub raw_len: u32,
    pub bytes: Bytes,
}

/// Frames `raw`, compressed when that pays.
pub fn encode_frame(_kind: FrameKind, _raw: &[u8]) -> Result<EncodedFrame> {
    todo!()
}

/// The raw bytes of a whole frame, its checksum and kind verified. The id is for the caller to verify
/// ([`super::content::chunk_id`], [`super::node::decode_node`], ...).
pub fn decode_frame(_expected: FrameKind, _frame: &Bytes) -> Result<Bytes> {
    todo!()
}

/// One frame, as a pack's directory lists it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DirectoryEntry {
    pub kind: FrameKind,
    pub codec: Codec,
    /// Of the frame's header in the pack.
    pub offset: u64,
    /// Of the frame, header included, in bytes.
    pub len: u32,
    pub raw_len: u32,
    /// Chunk, page, node or root id.
    pub id: [u8; 32],
}

/// Lays frames out in a pack.
#[derive(Debug)]
pub struct PackBuilder {}

impl PackBuilder {
    pub fn new(_name: PackName) -> PackBuilder {
        todo!()
    }

    pub fn name(&self) -> PackName {
        todo!()
    }

    /// Appends a frame; its place is final at once.
    pub fn add(&mut self, _frame: &EncodedFrame, _id: [u8; 32]) -> Location {
        todo!()
    }

    /// Bytes laid out so far, taken or not.
    pub fn len(&self) -> u64 {
        todo!()
    }

    pub fn is_empty(&self) -> bool {
        todo!()
    }

    /// Would a frame of this many bytes make the pack too large?
    pub fn is_full_for(&self, _frame_bytes: usize) -> bool {
        todo!()
    }

    /// Laid-out bytes that were not taken yet.
    pub fn untaken(&self) -> usize {
        todo!()
    }

    /// Takes the next `len` laid-out bytes, to send a pack in parts.
    pub fn take(&mut self, _len: usize) -> Bytes {
        todo!()
    }

    /// The rest of the pack: what was not taken, the directory and the footer.
    pub fn finish(self) -> Result<Bytes> {
        todo!()
    }
}

/// Bytes of the footer, the last of a pack.
pub const FOOTER_BYTES: usize = 32;

/// Where the directory's frame lies, from a pack's last [`FOOTER_BYTES`].
pub fn decode_footer(_footer: &[u8]) -> Result<std::ops::Range<u64>> {
    todo!()
}

/// The frames of a pack, from its directory's frame.
pub fn decode_directory(_frame: &Bytes) -> Result<Vec<DirectoryEntry>> {
    todo!()
}
