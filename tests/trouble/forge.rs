//! A forge of commits: whoever can write to a store can write anything into it. Here every checksum and id fits, so that
//! what is inside is met by whatever reads it.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use bytes::Bytes;
use meshfs::format::log::{decode_entry, encode_entry, entry_name};
use meshfs::format::pack::{EncodedFrame, FrameKind, PackBuilder};
use meshfs::format::record::{commit_id, decode_commit, encode_commit};
use meshfs::model::commit::{Commit, PathFilter, Stats};
use meshfs::model::id::{Codec, CommitId, Location, Nonce, PackName, RootId};
use meshfs::model::log::{Change, Entry, Operation, RefName, TableRef};
use meshfs::sys::Sys;

use super::raw;

/// What a directory's entry says of it.
#[derive(Clone)]
pub struct Dir {
    pub id: [u8; 32],
    pub counts: [u64; 3],
    /// Its places as they stand behind the node of its parent.
    pub places: Vec<u8>,
}

impl Dir {
    /// Its entry in a parent.
    pub fn named(&self, name: &[u8]) -> Named {
        let [entries, files, bytes] = self.counts;
        let mut entry = raw::dir(name, self.id, &raw::counts(entries, files, bytes));
        entry.mode = 0o755;
        let counts = [entries + 1, files, bytes];
        Named { canonical: entry.bytes(), places: self.places.clone(), counts }
    }
}

/// An entry, the places behind it, and what it adds to its parent's counts.
#[derive(Clone)]
pub struct Named {
    pub canonical: Vec<u8>,
    pub places: Vec<u8>,
    pub counts: [u64; 3],
}

impl Named {
    /// A file of `size` bytes whose content is `id` with these places.
    pub fn file(name: &[u8], size: u64, id: [u8; 32], places: Vec<u8>) -> Named {
        let content = [&size.to_le_bytes()[..], &id].concat();
        Named { canonical: raw::RawEntry::new(name, 1, content).bytes(), places, counts: [1, 1, size] }
    }

    pub fn of(entry: &raw::RawEntry, places: Vec<u8>, counts: [u64; 3]) -> Named {
        Named { canonical: entry.bytes(), places, counts }
    }
}

/// A pack that is being forged.
pub struct Pack {
    name: PackName,
    builder: PackBuilder,
}

impl Pack {
    pub fn new() -> Pack {
        let name = PackName(Sys::real().random.name());
        Pack { name, builder: PackBuilder::new(name) }
    }

    /// Where the next frame of `len` stored bytes will lie, header included.
    pub fn next_place(&self, len: usize) -> Location {
        Location { pack: self.name, offset: self.builder.len(), len: len as u32 + 16, codec: Codec::Raw }
    }

    /// A frame of any bytes, with a checksum that fits.
    pub fn frame(&mut self, kind: FrameKind, letter: u8, codec: Codec, stored: &[u8], id: [u8; 32]) -> Location {
        let codec_byte = u8::from(codec == Codec::Zstd);
        let mut header = vec![letter, codec_byte, 0, 0];
        header.extend_from_slice(&(stored.len() as u32).to_le_bytes());
        let checksum = blake3::Hasher::new().update(&header).update(stored).finalize();
        let bytes = [&header[..], &checksum.as_bytes()[..8], stored].concat();
        let raw_len = stored.len() as u32;
        self.builder.add(&EncodedFrame { kind, codec, raw_len, bytes: Bytes::from(bytes) }, id)
    }

    /// A place, as it stands behind canonical bytes whose table names this pack alone.
    pub fn place(&self, at: &Location) -> Vec<u8> {
        let codec = u8::from(at.codec == Codec::Zstd);
        [&[0, 0, codec, 0][..], &at.len.to_le_bytes(), &at.offset.to_le_bytes()].concat()
    }

    /// Canonical bytes with their places, as an object is stored.
    pub fn stored(&self, canonical: &[u8], places: &[u8]) -> Vec<u8> {
        [canonical, &1u16.to_le_bytes(), &self.name.0, places].concat()
    }

    /// A directory of one leaf with these entries, in this order.
    pub fn leaf(&mut self, entries: &[Named]) -> Dir {
        let canonical = raw::leaf(&entries.iter().map(|entry| entry.canonical.clone()).collect::<Vec<_>>());
        let places: Vec<u8> = entries.iter().flat_map(|entry| entry.places.clone()).collect();
        let counts = entries.iter().fold([0; 3], |sum: [u64; 3], one| {
            [sum[0] + one.counts[0], sum[1] + one.counts[1], sum[2].saturating_add(one.counts[2])]
        });
        self.node(&canonical, &places, counts)
    }

    /// A directory whose top node is these bytes.
    pub fn node(&mut self, canonical: &[u8], places: &[u8], counts: [u64; 3]) -> Dir {
        let id = raw::derive(raw::NODE, canonical);
        let stored = self.stored(canonical, places);
        let at = self.frame(FrameKind::Node, b'n', Codec::Raw, &stored, id);
        Dir { id, counts, places: [&[0][..], &self.place(&at)].concat() }
    }

    /// A page of a long list: its id, and its place.
    pub fn page(&mut self, canonical: &[u8], places: &[u8]) -> ([u8; 32], Vec<u8>) {
        let id = raw::derive(raw::FILE_CONTENT, canonical);
        let stored = self.stored(canonical, places);
        let at = self.frame(FrameKind::Page, b'p', Codec::Raw, &stored, id);
        (id, self.place(&at))
    }

    /// A chunk of these bytes, raw.
    pub fn chunk(&mut self, bytes: &[u8]) -> ([u8; 32], Vec<u8>) {
        let id = *blake3::hash(bytes).as_bytes();
        let at = self.frame(FrameKind::Chunk, b'c', Codec::Raw, bytes, id);
        (id, self.place(&at))
    }
}

/// The folder of a domain in a local store.
pub struct Forge(pub PathBuf);

impl Forge {
    fn newest(&self) -> Entry {
        let names = fs::read_dir(self.0.join("log")).unwrap().map(|entry| entry.unwrap().path());
        decode_entry(&fs::read(names.min().unwrap()).unwrap()).unwrap()
    }

    /// Lands a commit on main whose root directory is `top`.
    pub fn land(&self, mut pack: Pack, top: &Dir) {
        let [entries, files, bytes] = top.counts;
        let mut entry = raw::dir(b"", top.id, &raw::counts(entries, files, bytes));
        entry.mode = 0o755;
        let canonical = raw::encoding(b"mfsR", 0, 0, &entry.bytes());
        let id = raw::derive(raw::ROOT, &canonical);
        let stored = pack.stored(&canonical, &top.places);
        let root_location = pack.frame(FrameKind::Root, b'r', Codec::Raw, &stored, id);
        fs::write(self.0.join("packs").join(pack.name.to_string()), pack.builder.finish().unwrap()).unwrap();
        self.land_root(id, root_location);
    }

    fn land_root(&self, root: [u8; 32], root_location: Location) {
        let before = self.newest();
        let TableRef::Here(mut table) = before.table else { panic!("a small table stands in its entry") };
        let branch = RefName::branch("main");
        let state = table.refs.get_mut(&branch).unwrap();
        let parent = fs::read(self.0.join("commits").join(state.target.to_string())).unwrap();
        let parent = decode_commit(&parent, &state.target).unwrap();
        let seq = before.seq + 1;
        let commit = Commit {
            id: CommitId([0; 32]),
            root: RootId(root),
            parents: vec![parent.id],
            generation: parent.generation + 1,
            author: "mallory".into(),
            host: "elsewhere".into(),
            time: parent.time,
            message: "Nothing to see here".into(),
            metadata: BTreeMap::new(),
            stats: Stats::default(),
            nonce: Nonce(Sys::real().random.name()),
            root_location,
            first_seq: seq,
            changed_paths: PathFilter::default(),
            extra: Default::default(),
        };
        let commit = Commit { id: commit_id(&commit).unwrap(), ..commit };
        fs::write(self.0.join("commits").join(commit.id.to_string()), encode_commit(&commit).unwrap()).unwrap();
        let change = Change {
            operation: Operation::Commit,
            name: branch,
            created_seq: state.created_seq,
            previous_seq: Some(state.changed_seq),
            target: Some(commit.id),
            previous_target: Some(parent.id),
        };
        (state.changed_seq, state.target) = (seq, commit.id);
        let nonce = Nonce(Sys::real().random.name());
        let entry = Entry { seq, nonce, changes: vec![change], table: TableRef::Here(table), ..before };
        self.put_entry(seq, &encode_entry(&entry).unwrap());
    }

    /// The log entry after the newest, of any bytes.
    pub fn put_next_entry(&self, bytes: &[u8]) {
        self.put_entry(self.newest().seq + 1, bytes);
    }

    fn put_entry(&self, seq: u64, bytes: &[u8]) {
        fs::write(self.0.join("log").join(entry_name(seq)), bytes).unwrap();
    }
}
