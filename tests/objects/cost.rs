//! What reading and committing cost, in requests and bytes.

use std::sync::Arc;

use meshfs::format::content::list_id;
use meshfs::model::content::{FileBody, FileContent, Item};
use meshfs::model::entry::Entry;
use meshfs::model::id::{ChunkId, Codec, Location, PackName};
use meshfs::model::source::NodeSource;
use meshfs::model::tree::{NamedEntry, Node, Root};
use meshfs::repo::objects::Objects;
use meshfs::repo::objects::ahead::ReadAhead;
use meshfs::telemetry::counters::{Counts, Verb};

use crate::lab::{KIB, Lab, MIB, dir, file, finish, random_bytes};

/// A content that is somewhere, for trees whose files nobody reads.
fn somewhere(number: u64) -> FileContent {
    let id = ChunkId(*blake3::hash(&number.to_le_bytes()).as_bytes());
    let location = Location { pack: PackName([7; 16]), offset: number * 4000, len: 4000, codec: Codec::Zstd };
    let items = vec![Item::Chunk { len: 4096, id, location }];
    FileContent { size: 4096, id: list_id(&items), body: FileBody::Items(items) }
}

/// The entries of a directory, read node by node in order as a listing does.
async fn list(objects: &Objects, entry: &Entry) -> Vec<NamedEntry> {
    let dir = entry.as_dir().expect("a directory");
    let mut nodes = vec![(dir.id, dir.body.clone())];
    let mut listed = Vec::new();
    while let Some((id, body)) = nodes.pop() {
        match &*objects.node(&id, &body).await.unwrap() {
            Node::Leaf(entries) => listed.extend(entries.iter().cloned()),
            Node::Inner { children, .. } => {
                nodes.extend(children.iter().rev().map(|child| (child.id, child.body.clone())));
            }
        }
    }
    listed
}

async fn find(objects: &Objects, root: &Root) -> usize {
    let mut found = 0;
    let mut dirs = vec![root.entry.clone()];
    while let Some(entry) = dirs.pop() {
        let listed = list(objects, &entry).await;
        found += listed.len();
        dirs.extend(listed.into_iter().rev().map(|named| named.entry).filter(|entry| entry.as_dir().is_some()));
    }
    found
}

async fn assert_find_costs(entries: Vec<NamedEntry>, expected: usize) {
    let lab = Lab::remote();
    let (root, _) = finish(&mut lab.upload(&lab.machine()), entries).await;
    let cold = lab.machine();
    let before = lab.counters.read();
    assert_eq!(find(&cold, &root).await, expected);
    let cost = lab.since(before);
    assert!(cost.total() <= 40, "{cost:?}");
    assert!(cost.received_bytes < 40 << 20, "{cost:?}");
    let before = lab.counters.read();
    assert_eq!(find(&cold, &root).await, expected);
    assert_eq!(lab.since(before).total(), 0, "the second time");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cold_find_over_100_000_files_in_1_000_directories() {
    let files =
        |dir: u64| (0..100).map(|at| file(format!("part-{at:05}.parquet"), somewhere(dir * 100 + at))).collect();
    let entries = (0..1000).map(|number| dir(format!("day={number:04}"), files(number))).collect();
    assert_find_costs(entries, 101_000).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cold_find_over_one_directory_of_100_000_files() {
    let entries = (0..100_000).map(|at| file(format!("part-{at:06}.parquet"), somewhere(at))).collect();
    assert_find_costs(entries, 100_000).await;
}

/// A file of 1 GiB, every segment alike, so that it is soon made and small to keep.
async fn gibibyte(lab: &Lab) -> (FileContent, Vec<u8>) {
    struct Repeated(Vec<u8>);
    impl meshfs::repo::upload::source::ReadAt for Repeated {
        fn read_at(&self, bytes: &mut [u8], offset: u64) -> std::io::Result<usize> {
            let start = (offset % self.0.len() as u64) as usize;
            let len = bytes.len().min(self.0.len() - start);
            bytes[..len].copy_from_slice(&self.0[start..start + len]);
            Ok(len)
        }
    }
    let segment = random_bytes(9, 64 * MIB);
    let content = lab.store_file(Repeated(segment.clone()), 1 << 30, None).await;
    (content, segment)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cold_read_of_the_last_bytes_of_a_gibibyte() {
    let lab = Lab::remote();
    let (content, segment) = gibibyte(&lab).await;
    let before = lab.counters.read();
    let last = lab.machine().read(&content, (1 << 30) - 8, 8).await.unwrap();
    let cost = lab.since(before);
    assert_eq!(last, segment[64 * MIB - 8..]);
    assert!(cost.total() <= 4 && cost.received_bytes <= 2 << 20, "{cost:?}");
}

/// Files of `len` bytes each in one directory, read in order by a cold machine.
async fn cat(files: usize, len: usize) -> Counts {
    let lab = Lab::remote();
    let mut upload = lab.upload(&lab.machine());
    let mut entries = Vec::new();
    for at in 0..files {
        let content = upload.file(Arc::new(random_bytes(at as u64, len)), len as u64, None).await.unwrap();
        entries.push(file(format!("{at:05}"), content));
    }
    let (root, _) = finish(&mut upload, entries).await;
    let cold = lab.machine();
    let before = lab.counters.read();
    for (at, named) in list(&cold, &root.entry).await.into_iter().enumerate() {
        let meshfs::model::entry::Content::File(content) = &named.entry.content else { panic!() };
        assert!(cold.read(content, 0, MIB as u64).await.unwrap() == random_bytes(at as u64, len));
    }
    lab.since(before)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cold_cat_of_a_directory_of_1_000_small_files() {
    let cost = cat(1000, 4 * KIB).await;
    assert!(cost.total() <= 8, "{cost:?}");
    let larger = cat(1000, 60 * KIB).await;
    assert!(larger.total() <= 20, "{larger:?}");
    assert!(larger.received_bytes < 70 << 20, "{larger:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_of_10_000_new_small_files() {
    let lab = Lab::remote();
    let before = lab.counters.read();
    let mut upload = lab.upload(&lab.machine());
    let mut entries = Vec::new();
    for at in 0..10_000u64 {
        let content = upload.file(Arc::new(random_bytes(at, 4 * KIB)), 4 * KIB as u64, None).await.unwrap();
        entries.push(file(format!("{at:05}"), content));
    }
    finish(&mut upload, entries).await;
    let cost = lab.since(before);
    // A record and a log entry come on top.
    assert!(cost.total() <= 10, "{cost:?}");
    assert_eq!(cost.of(Verb::Get), 0);
    assert!(cost.sent_bytes < 46 << 20, "{cost:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_of_one_small_file_is_one_pack() {
    let lab = Lab::remote();
    let before = lab.counters.read();
    let mut upload = lab.upload(&lab.machine());
    let content = upload.file(Arc::new(random_bytes(1, 4 * KIB)), 4 * KIB as u64, None).await.unwrap();
    finish(&mut upload, vec![file("one", content)]).await;
    let cost = lab.since(before);
    assert_eq!((cost.total(), cost.of(Verb::Put)), (1, 1), "{cost:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sequential_reader_is_served_by_few_large_requests_that_bring_nothing_twice() {
    let lab = Lab::remote();
    let bytes = random_bytes(4, 48 * MIB);
    let content = lab.store_bytes(&bytes).await;
    let cold = lab.machine();
    let ahead = ReadAhead::new();
    let before = lab.counters.read();
    for offset in (0..bytes.len()).step_by(128 * KIB) {
        cold.advance(&ahead, &content, offset as u64, 128 * KIB as u64);
        let read = cold.read(&content, offset as u64, 128 * KIB as u64).await.unwrap();
        assert!(read == bytes[offset..offset + 128 * KIB]);
    }
    let cost = lab.since(before);
    assert!(cost.total() <= 40, "{cost:?}");
    assert!(cost.received_bytes < 52 << 20, "{cost:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cold_footer_of_a_single_large_file_brings_little_else() {
    let lab = Lab::remote();
    let bytes = random_bytes(5, 20 * MIB);
    let content = lab.store_bytes(&bytes).await;
    let before = lab.counters.read();
    let read = lab.machine().read(&content, 20 * MIB as u64 - 8, 8).await.unwrap();
    let cost = lab.since(before);
    assert_eq!(read, bytes[20 * MIB - 8..]);
    assert!(cost.total() <= 2 && cost.received_bytes <= 3 << 19, "{cost:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_local_store_is_read_in_place() {
    let lab = Lab::local();
    let bytes = random_bytes(6, 3 * MIB);
    let content = lab.store_bytes(&bytes).await;
    let cache = lab.folder("own-cache");
    let machine = lab.machine_with(cache.clone());
    let before = lab.counters.read();
    assert!(machine.cached_read(&content, MIB as u64, 100).unwrap() == bytes[MIB..MIB + 100]);
    assert!(machine.read(&content, 0, 3 * MIB as u64).await.unwrap() == bytes);
    assert_eq!(lab.since(before).total(), 0);
    let packs = std::fs::read_dir(cache.join("packs")).unwrap().count();
    assert_eq!(packs, 0, "nothing was copied");
}
