//! Packs: frames one behind another, then a directory of them and a footer.

use std::cell::RefCell;
use std::ops::Range;

use bytes::{Bytes, BytesMut};

use super::error::{FormatError, Result};
use super::limits::{FORMAT_VERSION, FRAME_RAW_BYTES_MAX, PACK_BYTES_MAX, PACK_FRAMES_MAX};
use super::place::{codec_byte, codec_of};
use super::wire::{HEADER_BYTES, Reader, to_u32, unstorable, with_header};
use crate::model::id::{Codec, Location, PackName};

const DIRECTORY_MAGIC: &[u8; 4] = b"mfsD";
const FOOTER_MAGIC: &[u8; 4] = b"mfsK";
const FRAME: &str = "a frame";
const DIRECTORY: &str = "a pack's directory";
const FOOTER: &str = "a pack's footer";

/// Bytes before a frame's stored bytes.
pub const FRAME_HEADER_BYTES: usize = 16;

/// Bytes of the footer, the last of a pack.
pub const FOOTER_BYTES: usize = 32;

const DIRECTORY_ENTRY_BYTES: usize = 52;

/// Metadata is compressed well: it is read often and written little.
const METADATA_LEVEL: i32 = 3;

/// Data is compressed fast: commits must not wait for it.
const DATA_LEVEL: i32 = 1;

/// Slices of this length, from the start, middle and end of a chunk, tell whether compressing all of it would pay.
const PROBE_BYTES: usize = 8 << 10;

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

impl FrameKind {
    fn byte(self) -> u8 {
        match self {
            FrameKind::Chunk => b'c',
            FrameKind::Page => b'p',
            FrameKind::Node => b'n',
            FrameKind::LinkNode => b'l',
            FrameKind::Root => b'r',
            FrameKind::Directory => b'd',
        }
    }

    fn of(byte: u8) -> Option<FrameKind> {
        use FrameKind::{Chunk, Directory, LinkNode, Node, Page, Root};
        [Chunk, Page, Node, LinkNode, Root, Directory].into_iter().find(|kind| kind.byte() == byte)
    }
}

/// A frame as it lies in a pack, header included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodedFrame {
    pub kind: FrameKind,
    pub codec: Codec,
    pub raw_len: u32,
    pub bytes: Bytes,
}

/// Frames `raw`, compressed when that saves at least a twentieth.
pub fn encode_frame(kind: FrameKind, raw: &[u8]) -> Result<EncodedFrame> {
    if raw.len() > FRAME_RAW_BYTES_MAX {
        return Err(unstorable(FRAME, format!("{} bytes are too many", raw.len())));
    }
    let compressed = match kind {
        FrameKind::Chunk if !probe(raw)? => None,
        FrameKind::Chunk => Some(compress(raw, DATA_LEVEL)?),
        _ => Some(compress(raw, METADATA_LEVEL)?),
    };
    let compressed = compressed.filter(|compressed| pays(raw.len(), compressed.len()));
    let (codec, stored) = match &compressed {
        Some(compressed) => (Codec::Zstd, compressed.as_slice()),
        None => (Codec::Raw, raw),
    };
    let mut bytes = Vec::with_capacity(FRAME_HEADER_BYTES + stored.len());
    bytes.extend_from_slice(&[kind.byte(), codec_byte(codec), 0, 0]);
    bytes.extend_from_slice(&to_u32(FRAME, stored.len())?.to_le_bytes());
    bytes.extend_from_slice(&frame_checksum(&bytes, stored));
    bytes.extend_from_slice(stored);
    Ok(EncodedFrame { kind, codec, raw_len: to_u32(FRAME, raw.len())?, bytes: bytes.into() })
}

fn pays(raw: usize, compressed: usize) -> bool {
    compressed <= raw - raw / 20 && compressed < raw
}

fn probe(raw: &[u8]) -> Result<bool> {
    if raw.len() <= 4 * PROBE_BYTES {
        return Ok(true);
    }
    let middle = raw.len() / 2;
    let sample = [&raw[..PROBE_BYTES], &raw[middle..middle + PROBE_BYTES], &raw[raw.len() - PROBE_BYTES..]].concat();
    Ok(pays(sample.len(), compress(&sample, DATA_LEVEL)?.len()))
}

thread_local! {
    /// Compression contexts are large; each thread keeps its own.
    static COMPRESSOR: RefCell<Option<zstd::bulk::Compressor<'static>>> = const { RefCell::new(None) };
    static DECOMPRESSOR: RefCell<Option<zstd::bulk::Decompressor<'static>>> = const { RefCell::new(None) };
}

fn compress(raw: &[u8], level: i32) -> Result<Vec<u8>> {
    let run = |slot: &mut Option<zstd::bulk::Compressor<'static>>| -> std::io::Result<Vec<u8>> {
        let compressor = match slot {
            Some(compressor) => compressor,
            None => slot.insert(zstd::bulk::Compressor::new(level)?),
        };
        compressor.set_compression_level(level)?;
        compressor.compress(raw)
    };
    COMPRESSOR.with_borrow_mut(run).map_err(|error| unstorable(FRAME, error.to_string()))
}

fn decompress(stored: &[u8]) -> Result<Vec<u8>> {
    let damaged = |why: String| FormatError::Damaged { what: FRAME, why };
    let len = match zstd::zstd_safe::get_frame_content_size(stored) {
        Ok(Some(len)) if len <= FRAME_RAW_BYTES_MAX as u64 => len as usize,
        _ => return Err(damaged("its decompressed length is not given, or too large".to_owned())),
    };
    let run = |slot: &mut Option<zstd::bulk::Decompressor<'static>>| -> std::io::Result<Vec<u8>> {
        let decompressor = match slot {
            Some(decompressor) => decompressor,
            None => slot.insert(zstd::bulk::Decompressor::new()?),
        };
        decompressor.decompress(stored, len)
    };
    let raw = DECOMPRESSOR.with_borrow_mut(run).map_err(|error| damaged(error.to_string()))?;
    if raw.len() != len {
        return Err(damaged(format!("it decompresses to {} bytes in place of {len}", raw.len())));
    }
    Ok(raw)
}

/// First bytes of the BLAKE3 of the header before the checksum, and of the stored bytes.
fn frame_checksum(header: &[u8], stored: &[u8]) -> [u8; 8] {
    first_bytes(blake3::Hasher::new().update(&header[..8]).update(stored).finalize())
}

fn first_bytes(hash: blake3::Hash) -> [u8; 8] {
    let mut first = [0; 8];
    first.copy_from_slice(&hash.as_bytes()[..8]);
    first
}

/// The raw bytes of a whole frame, its checksum and kind verified. The id is for the caller to verify
/// ([`super::content::chunk_id`], [`super::node::decode_node`], ...).
pub fn decode_frame(expected: FrameKind, frame: &Bytes) -> Result<Bytes> {
    let mut reader = Reader::new(FRAME, frame);
    let header = reader.take(8)?;
    let checksum = reader.array::<8>()?;
    let (kind, codec, len) = match *header {
        [kind, codec, 0, 0, a, b, c, d] => (kind, codec, u32::from_le_bytes([a, b, c, d])),
        _ => return Err(reader.damaged("its header is impossible")),
    };
    let stored = reader.take(len as usize)?;
    reader.end()?;
    if frame_checksum(header, stored) != checksum {
        return Err(reader.damaged("its checksum is wrong"));
    }
    if kind != expected.byte() {
        let found = FrameKind::of(kind).map_or_else(|| format!("kind {kind:#x}"), |kind| format!("{kind:?}"));
        return Err(FormatError::WrongId { what: FRAME, expected: format!("{expected:?}"), found });
    }
    match codec_of(codec) {
        Some(Codec::Raw) if stored.len() <= FRAME_RAW_BYTES_MAX => Ok(frame.slice(FRAME_HEADER_BYTES..)),
        Some(Codec::Raw) => Err(reader.damaged("it is too long")),
        Some(Codec::Zstd) => decompress(stored).map(Bytes::from),
        None => Err(reader.damaged(format!("codec {codec} is unknown"))),
    }
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
pub struct PackBuilder {
    name: PackName,
    len: u64,
    untaken: BytesMut,
    directory: Vec<DirectoryEntry>,
}

impl PackBuilder {
    pub fn new(name: PackName) -> PackBuilder {
        PackBuilder { name, len: 0, untaken: BytesMut::new(), directory: Vec::new() }
    }

    pub fn name(&self) -> PackName {
        self.name
    }

    /// Appends a frame; its place is final at once.
    pub fn add(&mut self, frame: &EncodedFrame, id: [u8; 32]) -> Location {
        let EncodedFrame { kind, codec, raw_len, ref bytes } = *frame;
        let (offset, len) = (self.len, bytes.len() as u32);
        self.directory.push(DirectoryEntry { kind, codec, offset, len, raw_len, id });
        self.untaken.extend_from_slice(bytes);
        self.len += u64::from(len);
        Location { pack: self.name, offset, len, codec }
    }

    /// Bytes laid out so far, taken or not.
    pub fn len(&self) -> u64 {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Would a frame of this many bytes make the pack too large?
    pub fn is_full_for(&self, frame_bytes: usize) -> bool {
        self.len + frame_bytes as u64 > PACK_BYTES_MAX || self.directory.len() >= PACK_FRAMES_MAX
    }

    /// Laid-out bytes that were not taken yet.
    pub fn untaken(&self) -> usize {
        self.untaken.len()
    }

    /// Takes the next `len` laid-out bytes (all that are there, when they are less), to send a pack in parts.
    pub fn take(&mut self, len: usize) -> Bytes {
        self.untaken.split_to(len.min(self.untaken.len())).freeze()
    }

    /// The rest of the pack: what was not taken, the directory and the footer.
    pub fn finish(mut self) -> Result<Bytes> {
        let directory = encode_directory(&self.name, &self.directory)?;
        let frame = encode_frame(FrameKind::Directory, &directory)?;
        self.untaken.extend_from_slice(&frame.bytes);
        let mut footer = Vec::with_capacity(FOOTER_BYTES);
        footer.extend_from_slice(FOOTER_MAGIC);
        footer.extend_from_slice(&[FORMAT_VERSION, 0, 0, 0]);
        footer.extend_from_slice(&self.len.to_le_bytes());
        footer.extend_from_slice(&to_u32(FOOTER, frame.bytes.len())?.to_le_bytes());
        footer.extend_from_slice(&to_u32(FOOTER, self.directory.len())?.to_le_bytes());
        footer.extend_from_slice(&first_bytes(blake3::hash(&footer)));
        self.untaken.extend_from_slice(&footer);
        Ok(self.untaken.freeze())
    }
}

fn encode_directory(pack: &PackName, entries: &[DirectoryEntry]) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    with_header(DIRECTORY_MAGIC, 0, entries.len(), &mut bytes, |out| {
        out.extend_from_slice(&pack.0);
        for entry in entries {
            out.extend_from_slice(&[entry.kind.byte(), codec_byte(entry.codec), 0, 0]);
            out.extend_from_slice(&entry.offset.to_le_bytes());
            out.extend_from_slice(&entry.len.to_le_bytes());
            out.extend_from_slice(&entry.raw_len.to_le_bytes());
            out.extend_from_slice(&entry.id);
        }
        Ok(())
    })?;
    Ok(bytes)
}

/// Where the directory's frame lies, from a pack's last [`FOOTER_BYTES`].
pub fn decode_footer(footer: &[u8]) -> Result<Range<u64>> {
    let mut reader = Reader::new(FOOTER, footer);
    let (magic, version) = (reader.array::<4>()?, reader.u8()?);
    if magic != *FOOTER_MAGIC || version == 0 || reader.array::<3>()? != [0; 3] {
        return Err(reader.damaged("it does not begin as one does"));
    }
    if version > FORMAT_VERSION {
        let (version, known) = (u64::from(version), u64::from(FORMAT_VERSION));
        return Err(FormatError::NewerVersion { what: FOOTER, version, known });
    }
    let (offset, len, _count) = (reader.u64()?, reader.u32()?, reader.u32()?);
    let checksum = reader.array::<8>()?;
    reader.end()?;
    let end = offset.checked_add(u64::from(len));
    match end {
        Some(end) if checksum == first_bytes(blake3::hash(&footer[..FOOTER_BYTES - 8])) => Ok(offset..end),
        _ => Err(reader.damaged("its checksum is wrong")),
    }
}

/// The frames of a pack, from its directory's frame.
pub fn decode_directory(pack: &PackName, frame: &Bytes) -> Result<Vec<DirectoryEntry>> {
    let raw = decode_frame(FrameKind::Directory, frame)?;
    let mut reader = Reader::new(DIRECTORY, &raw);
    let (header, body) = reader.header(DIRECTORY_MAGIC, FRAME_RAW_BYTES_MAX as u64)?;
    reader.end()?;
    let mut reader = Reader::new(DIRECTORY, &body[HEADER_BYTES..]);
    let found = PackName(reader.array()?);
    if found != *pack {
        return Err(FormatError::WrongId { what: DIRECTORY, expected: pack.to_string(), found: found.to_string() });
    }
    let mut entries = Vec::with_capacity(reader.capacity(header.count, DIRECTORY_ENTRY_BYTES)?);
    let mut end = 0u64;
    for _ in 0..header.count {
        let entry = directory_entry(&mut reader)?;
        if entry.offset != end {
            return Err(reader.damaged("its frames do not follow one another"));
        }
        end += u64::from(entry.len);
        entries.push(entry);
    }
    reader.end()?;
    Ok(entries)
}

fn directory_entry(reader: &mut Reader<'_>) -> Result<DirectoryEntry> {
    let [kind, codec, 0, 0] = reader.array()? else { return Err(reader.damaged("an entry is impossible")) };
    let kind = FrameKind::of(kind).ok_or_else(|| reader.damaged(format!("frame kind {kind:#x} is unknown")))?;
    let codec = codec_of(codec).ok_or_else(|| reader.damaged(format!("codec {codec} is unknown")))?;
    let (offset, len, raw_len) = (reader.u64()?, reader.u32()?, reader.u32()?);
    Ok(DirectoryEntry { kind, codec, offset, len, raw_len, id: reader.array()? })
}
