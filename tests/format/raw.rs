//! Encodings written by hand, byte by byte as the README says, sound or not.

use std::ops::Range;

/// Contexts of ids.
pub const NODE: &str = "meshfs 2026-11 tree node v1";
pub const LINK_NODE: &str = "meshfs 2026-11 hard-link node v1";
pub const ROOT: &str = "meshfs 2026-11 root v1";
pub const FILE_CONTENT: &str = "meshfs 2026-11 file content v1";

pub const HEADER_BYTES: usize = 16;

pub fn derive(context: &str, bytes: &[u8]) -> [u8; 32] {
    *blake3::Hasher::new_derive_key(context).update(bytes).finalize().as_bytes()
}

/// The canonical part of stored bytes by what their header says, as far as it is there.
pub fn canonical_range(bytes: &[u8]) -> Range<usize> {
    let body = bytes.get(12..16).map_or(0, |len| u32::from_le_bytes(len.try_into().unwrap()) as usize);
    0..(HEADER_BYTES + body).min(bytes.len())
}

/// Id of stored bytes, sound or not.
pub fn id_of(context: &str, bytes: &[u8]) -> [u8; 32] {
    derive(context, &bytes[canonical_range(bytes)])
}

pub fn encoding(magic: &[u8; 4], level: u8, count: u32, body: &[u8]) -> Vec<u8> {
    let mut bytes = magic.to_vec();
    bytes.extend_from_slice(&[1, level, 0, 0]);
    bytes.extend_from_slice(&count.to_le_bytes());
    bytes.extend_from_slice(&(body.len() as u32).to_le_bytes());
    bytes.extend_from_slice(body);
    bytes
}

pub fn leaf(entries: &[Vec<u8>]) -> Vec<u8> {
    encoding(b"mfsN", 0, entries.len() as u32, &entries.concat())
}

/// Canonical bytes, a table of one pack, and places.
pub fn stored(canonical: &[u8], places: &[u8]) -> Vec<u8> {
    [canonical, &1u16.to_le_bytes(), &[7; 16], places].concat()
}

/// Place of a frame of 100 bytes at offset 5 of the table's only pack.
pub fn place() -> Vec<u8> {
    [&0u16.to_le_bytes()[..], &[1, 0], &100u32.to_le_bytes(), &5u64.to_le_bytes()].concat()
}

/// An entry's parts, each of which a test may spoil.
#[derive(Clone)]
pub struct RawEntry {
    pub kind: u8,
    pub flags: u8,
    pub mode: u16,
    pub name: Vec<u8>,
    /// Owner, when the flags say that there is one.
    pub owner: Vec<u8>,
    pub xattr_count: u16,
    pub xattrs: Vec<u8>,
    pub content: Vec<u8>,
}

impl RawEntry {
    pub fn new(name: &[u8], kind: u8, content: Vec<u8>) -> RawEntry {
        let name = name.to_vec();
        RawEntry { kind, flags: 0, mode: 0o644, name, owner: Vec::new(), xattr_count: 0, xattrs: Vec::new(), content }
    }

    pub fn fifo(name: &[u8]) -> RawEntry {
        RawEntry::new(name, 5, Vec::new())
    }

    pub fn with_xattrs(mut self, xattrs: &[Vec<u8>]) -> RawEntry {
        self.xattr_count = xattrs.len() as u16;
        self.xattrs = xattrs.concat();
        self
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut body = vec![self.kind, self.flags];
        body.extend_from_slice(&self.mode.to_le_bytes());
        body.extend_from_slice(&1_000_000_000i64.to_le_bytes());
        body.push(self.name.len() as u8);
        body.extend_from_slice(&self.name);
        body.extend_from_slice(&self.owner);
        body.extend_from_slice(&self.xattr_count.to_le_bytes());
        body.extend_from_slice(&self.xattrs);
        body.extend_from_slice(&self.content);
        [&(body.len() as u32).to_le_bytes()[..], &body].concat()
    }
}

pub fn xattr(name: &[u8], value: &[u8]) -> Vec<u8> {
    [&[name.len() as u8], name, &[0], &(value.len() as u16).to_le_bytes(), value].concat()
}

pub fn xattr_chunk(name: &[u8], len: u32) -> Vec<u8> {
    [&[name.len() as u8], name, &[1], &len.to_le_bytes(), &[9; 32]].concat()
}

pub fn counts(entries: u64, files: u64, bytes: u64) -> Vec<u8> {
    [entries.to_le_bytes(), files.to_le_bytes(), bytes.to_le_bytes()].concat()
}

pub fn dir(name: &[u8], id: [u8; 32], counts: &[u8]) -> RawEntry {
    RawEntry::new(name, 3, [&id[..], counts].concat())
}

/// A list of items: their canonical bytes, and what stands in the entry's places.
#[derive(Default)]
pub struct RawList {
    pub count: u32,
    pub canonical: Vec<u8>,
    pub places: Vec<u8>,
}

impl RawList {
    pub fn chunk(mut self, len: u32) -> RawList {
        let item = [&[0], &len.to_le_bytes()[..], &[8; 32]].concat();
        self.count += 1;
        self.canonical.extend_from_slice(&item);
        self.places.extend_from_slice(&item);
        self.places.extend_from_slice(&place());
        self
    }

    pub fn hole(mut self, len: u64) -> RawList {
        let item = [&[1], &len.to_le_bytes()[..]].concat();
        self.count += 1;
        self.canonical.extend_from_slice(&item);
        self.places.extend_from_slice(&item);
        self
    }

    pub fn page(&self) -> Vec<u8> {
        encoding(b"mfsP", 0, self.count, &self.canonical)
    }

    /// A leaf with one file of this list.
    pub fn node(&self, size: u64) -> Vec<u8> {
        let content = [&size.to_le_bytes()[..], &derive(FILE_CONTENT, &self.page())].concat();
        let entry = RawEntry::new(b"f", 1, content).bytes();
        stored(&leaf(&[entry]), &[&[self.count as u8], &self.places[..]].concat())
    }
}

/// `depth` directories, each inlined in the one above, the innermost empty.
pub fn inlined_chain(depth: usize) -> Vec<u8> {
    let (mut node, mut places) = (leaf(&[]), Vec::new());
    for below in 0..depth {
        let entry = dir(b"d", derive(NODE, &node), &counts(below as u64, 0, 0));
        places = [&[1], &node[..], &places].concat();
        node = leaf(&[entry.bytes()]);
    }
    stored(&node, &places)
}
