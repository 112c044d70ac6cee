//! Bytes that are wrong, gone or elsewhere: an error that names them, or the right bytes, never others.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use meshfs::format::pack::{FrameKind, PackBuilder, decode_frame, encode_frame};
use meshfs::format::relocation::encode_relocations;
use meshfs::model::content::{FileBody, FileContent, Item};
use meshfs::model::gc::Relocations;
use meshfs::model::id::{Location, Nonce, PackName};
use meshfs::model::source::NodeSource;
use meshfs::repo::error::RepoError;
use meshfs::storage::Store;
use meshfs::telemetry::counters::Verb;
use proptest::prelude::*;

use crate::lab::{KIB, Lab, MIB, file, finish, random_bytes};
use crate::sharing::settled;
use crate::whole::block_on;

/// The first chunk of a content whose list stands in the entry.
fn first_chunk(content: &FileContent) -> Location {
    match &content.body {
        FileBody::Items(items) => items.iter().find_map(|item| match item {
            Item::Chunk { location, .. } => Some(*location),
            Item::Hole { .. } => None,
        }),
        FileBody::Pages(_) => None,
    }
    .expect("a chunk")
}

fn pack_key(pack: &PackName) -> String {
    format!("domains/sales-00/packs/{pack}")
}

async fn flip(store: &Arc<dyn Store>, key: &str, at: usize, bit: u8) {
    let mut bytes = store.get(key).await.unwrap().bytes.to_vec();
    let at = at % bytes.len();
    bytes[at] ^= 1 << bit;
    store.put(key, bytes.into()).await.unwrap();
}

fn assert_damaged(error: &RepoError, pack: &PackName) {
    let RepoError::Damaged { what, .. } = error else { panic!("{error}") };
    assert!(what.contains(&pack.to_string()), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_flipped_bit_in_a_pack_is_noticed_or_does_not_matter(at in any::<usize>(), bit in 0..8u8, seed in any::<u64>()) {
        block_on(async {
            let lab = Lab::remote();
            let bytes = random_bytes(seed, 700 * KIB);
            let mut upload = lab.upload(&lab.machine());
            let content = upload.file(Arc::new(bytes.clone()), bytes.len() as u64, None).await.unwrap();
            let (root, location) = finish(&mut upload, vec![file("a", content)]).await;
            flip(&lab.bare, &pack_key(&location.pack), at, bit).await;
            let cold = lab.machine();
            match cold.root(&root.id, &location).await {
                Err(error) => return assert_damaged(&error, &location.pack),
                Ok(read) => assert_eq!(read.id, root.id),
            }
            let top = root.entry.as_dir().unwrap();
            let node = match cold.node(&top.id, &top.body).await {
                Err(error) => return assert_damaged(&error, &location.pack),
                Ok(node) => node,
            };
            let meshfs::model::tree::Node::Leaf(entries) = &*node else { panic!() };
            let meshfs::model::entry::Content::File(content) = &entries[0].entry.content else { panic!() };
            match cold.read(content, 0, MIB as u64).await {
                Err(error) => assert_damaged(&error, &location.pack),
                Ok(read) => assert!(read == bytes, "wrong data"),
            }
        });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flipped_byte_of_a_chunk_is_an_error_that_names_pack_offset_and_id() {
    for lab in [Lab::remote(), Lab::local()] {
        let content = lab.store_bytes(&random_bytes(1, 400 * KIB)).await;
        let chunk = first_chunk(&content);
        let key = pack_key(&chunk.pack);
        match lab.bare.local_path(&key) {
            None => flip(&lab.bare, &key, chunk.offset as usize + 1000, 3).await,
            Some(path) => {
                let mut bytes = std::fs::read(&path).unwrap();
                bytes[chunk.offset as usize + 1000] ^= 8;
                std::fs::write(&path, bytes).unwrap();
            }
        }
        let error = lab.machine().read(&content, 0, 10).await.unwrap_err();
        assert_damaged(&error, &chunk.pack);
        let FileBody::Items(items) = &content.body else { panic!() };
        let Item::Chunk { id, .. } = items[0] else { panic!() };
        let text = error.to_string();
        assert!(text.contains(&format!("offset {}", chunk.offset)) && text.contains(&id.to_string()), "{text}");
        assert_eq!(lab.machine().cached_read(&content, 0, 10), None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_place_that_holds_something_else_is_an_error() {
    let lab = Lab::remote();
    let mut upload = lab.upload(&lab.machine());
    let mut contents = Vec::new();
    for seed in 0..2 {
        contents.push(upload.file(Arc::new(random_bytes(seed, 9000)), 9000, None).await.unwrap());
    }
    finish(&mut upload, Vec::new()).await;
    let other = first_chunk(&contents[1]);
    let FileBody::Items(items) = &mut contents[0].body else { panic!() };
    let Item::Chunk { location, .. } = &mut items[0] else { panic!() };
    *location = other;
    let cold = lab.machine();
    cold.read(&contents[1], 0, 9000).await.unwrap();
    assert_eq!(cold.cached_read(&contents[0], 0, 9000), None);
    assert_damaged(&cold.read(&contents[0], 0, 9000).await.unwrap_err(), &other.pack);
}

/// Applies `change` to every cached block; gives how many there were.
fn change_blocks(cache: &Path, change: impl Fn(&Path)) -> usize {
    let folders = std::fs::read_dir(cache.join("packs")).unwrap();
    let files = folders.flat_map(|folder| std::fs::read_dir(folder.unwrap().path()).unwrap());
    files.map(|file| change(&file.unwrap().path())).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn cached_blocks_that_are_damaged_cut_or_gone_are_fetched_again() {
    let lab = Lab::remote();
    let bytes = random_bytes(1, 3 * MIB);
    let content = lab.store_bytes(&bytes).await;
    let cache = lab.folder("cache");
    let damages: [&dyn Fn(&Path); 4] = [
        &|path| {
            let mut bytes = std::fs::read(path).unwrap();
            bytes.iter_mut().step_by(500).for_each(|byte| *byte ^= 1);
            std::fs::write(path, bytes).unwrap();
        },
        &|path| std::fs::write(path, b"").unwrap(),
        &|path| std::fs::OpenOptions::new().write(true).open(path).unwrap().set_len(100_000).unwrap(),
        &|path| std::fs::remove_file(path).unwrap(),
    ];
    for damage in damages {
        let machine = lab.machine_with(cache.clone());
        assert!(machine.read(&content, 0, 3 * MIB as u64).await.unwrap() == bytes);
        settled(&lab.machine_with(cache.clone()), &content).await;
        assert!(change_blocks(&cache, damage) >= 12);
        machine.shared().forget_memory();
        assert!(machine.cached_read(&content, 0, 3 * MIB as u64).is_none());
        let before = lab.counters.read();
        assert!(machine.read(&content, 0, 3 * MIB as u64).await.unwrap() == bytes);
        assert!(lab.since(before).of(Verb::Get) > 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cache_folder_deleted_under_a_running_process_is_no_error() {
    let lab = Lab::remote();
    let bytes = random_bytes(1, 3 * MIB);
    let content = lab.store_bytes(&bytes).await;
    let cache = lab.folder("cache");
    let machine = lab.machine_with(cache.clone());
    for _ in 0..2 {
        assert!(machine.read(&content, 0, 3 * MIB as u64).await.unwrap() == bytes);
        // Blocks may still be arriving while the folder goes.
        while cache.join("packs").exists() {
            let _ = std::fs::remove_dir_all(&cache);
        }
        machine.shared().forget_memory();
    }
}

/// Moves a chunk's frame into a new pack, leaves a map behind, and deletes the old pack if asked.
async fn relocate(lab: &Lab, from: &Location, to: PackName, delete: bool) -> Location {
    let place = lab.place();
    let old = lab.bare.get(&place.pack_key(&from.pack)).await.unwrap().bytes;
    let start = from.offset as usize;
    let raw = decode_frame(FrameKind::Chunk, &old.slice(start..start + from.len as usize)).unwrap();
    let mut builder = PackBuilder::new(to);
    let filler = encode_frame(FrameKind::Chunk, &random_bytes(77, 5000)).unwrap();
    builder.add(&filler, [1; 32]);
    let moved = builder.add(&encode_frame(FrameKind::Chunk, &raw).unwrap(), [2; 32]);
    lab.bare.put(&place.pack_key(&to), builder.finish().unwrap()).await.unwrap();
    leave_map(lab, from, moved).await;
    if delete {
        lab.bare.delete(&place.pack_key(&from.pack)).await.unwrap();
    }
    moved
}

async fn leave_map(lab: &Lab, from: &Location, to: Location) {
    let moved = BTreeMap::from([(from.offset, to)]);
    let map = encode_relocations(&Relocations { pack: from.pack, nonce: Nonce([3; 16]), moved }).unwrap();
    lab.bare.put(&lab.place().relocation_key(&from.pack), map.into()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_moved_pack_is_followed_also_when_it_moved_again() {
    let lab = Lab::remote();
    let bytes = random_bytes(1, 100 * KIB);
    let content = lab.store_bytes(&bytes).await;
    let mut at = first_chunk(&content);
    for number in 1..=3u8 {
        at = relocate(&lab, &at, PackName([number; 16]), true).await;
        let read = lab.machine().read(&content, 0, MIB as u64).await.unwrap();
        assert!(read == bytes, "after move {number}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_frame_is_looked_for_where_its_pack_was_moved_to() {
    let lab = Lab::remote();
    let bytes = random_bytes(1, 100 * KIB);
    let content = lab.store_bytes(&bytes).await;
    let chunk = first_chunk(&content);
    relocate(&lab, &chunk, PackName([1; 16]), false).await;
    flip(&lab.bare, &pack_key(&chunk.pack), chunk.offset as usize + 50_000, 0).await;
    assert!(lab.machine().read(&content, 0, MIB as u64).await.unwrap() == bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pack_that_is_gone_or_moved_in_a_circle_is_an_error_that_names_it() {
    let lab = Lab::remote();
    let content = lab.store_bytes(&random_bytes(1, 100 * KIB)).await;
    let chunk = first_chunk(&content);
    lab.bare.delete(&pack_key(&chunk.pack)).await.unwrap();
    assert_damaged(&lab.machine().read(&content, 0, 1).await.unwrap_err(), &chunk.pack);
    leave_map(&lab, &chunk, chunk).await;
    assert_damaged(&lab.machine().read(&content, 0, 1).await.unwrap_err(), &chunk.pack);
    lab.bare.put(&lab.place().relocation_key(&chunk.pack), b"no map"[..].into()).await.unwrap();
    assert_damaged(&lab.machine().read(&content, 0, 1).await.unwrap_err(), &chunk.pack);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_gone_is_an_error_and_never_an_empty_directory() {
    let lab = Lab::remote();
    let content = lab.store_bytes(&random_bytes(1, 100)).await;
    let many = (0..200).map(|at| file(format!("{at:04}"), content.clone())).collect();
    let (root, location) = finish(&mut lab.upload(&lab.machine()), many).await;
    lab.bare.delete(&pack_key(&location.pack)).await.unwrap();
    let top = root.entry.as_dir().unwrap();
    let cold = lab.machine();
    assert!(cold.cached_node(&top.id, &top.body).is_none());
    assert_damaged(&cold.node(&top.id, &top.body).await.unwrap_err(), &location.pack);
}
