//! Uploads: what is sent, what is not sent twice, and what is left of one given up.

use std::sync::Arc;

use meshfs::model::content::{FileBody, FileContent, Item};
use meshfs::model::id::{PackName, Uid};
use meshfs::repo::db::RepoDb;
use meshfs::repo::domain::Sent;
use meshfs::repo::upload::sent::SentIndex;
use meshfs::storage::fault::{Fault, FaultStore};
use meshfs::storage::{StoreSettings, backend};
use meshfs::sys::Sys;
use meshfs::sys::mark::ProcessMark;
use meshfs::telemetry::counters::Verb;

use crate::lab::{KIB, Lab, MIB, file, finish, random_bytes};
use crate::whole::assert_reads;

fn packs_of(content: &FileContent) -> Vec<PackName> {
    let FileBody::Items(items) = &content.body else { panic!("in pages") };
    let pack = |item: &Item| match item {
        Item::Chunk { location, .. } => Some(location.pack),
        Item::Hole { .. } => None,
    };
    items.iter().filter_map(pack).collect()
}

fn index(lab: &Lab) -> SentIndex {
    let db = RepoDb::open(&lab.folder("state"), ProcessMark::of_this()).unwrap();
    SentIndex { db, domain: Uid([5; 16]) }
}

#[tokio::test(flavor = "multi_thread")]
async fn equal_files_of_one_upload_are_sent_once() {
    let lab = Lab::remote();
    let bytes = random_bytes(1, 3 * MIB);
    let mut upload = lab.upload(&lab.machine());
    let mut contents = Vec::new();
    for _ in 0..3 {
        contents.push(upload.file(Arc::new(bytes.clone()), bytes.len() as u64, None).await.unwrap());
    }
    finish(&mut upload, Vec::new()).await;
    assert!(contents.windows(2).all(|pair| pair[0] == pair[1]));
    assert!(lab.counters.read().sent_bytes < 3 * MIB as u64 + 100 * KIB as u64);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_earlier_upload_sent_is_used_again_under_its_own_label() {
    let lab = Lab::remote();
    let bytes = random_bytes(1, 3 * MIB);
    let mut first = lab.upload_as(&lab.machine(), 3, Some(index(&lab)));
    first.file(Arc::new(bytes.clone()), bytes.len() as u64, None).await.unwrap();
    finish(&mut first, Vec::new()).await;
    let sent_before = first.packs();
    let before = lab.counters.read();
    let mut second = lab.upload_as(&lab.machine(), 8, Some(index(&lab)));
    let content = second.file(Arc::new(bytes.clone()), bytes.len() as u64, None).await.unwrap();
    finish(&mut second, Vec::new()).await;
    assert!(lab.since(before).sent_bytes < 10 * KIB as u64);
    assert!(sent_before.iter().all(|sent| sent.epoch == 3 && second.packs().contains(sent)));
    let own: Vec<Sent<PackName>> = second.packs().into_iter().filter(|sent| !sent_before.contains(sent)).collect();
    assert!(own.len() == 1 && own[0].epoch == 8, "{own:?}");
    assert_reads(&lab.machine(), &content, &bytes, &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn small_files_sent_before_are_used_again_in_runs_only() {
    let lab = Lab::remote();
    let small = |seed: u64| random_bytes(seed, 4 * KIB);
    for run in 0..2 {
        let mut upload = lab.upload_as(&lab.machine(), 0, Some(index(&lab)));
        for at in 0..10 {
            upload.file(Arc::new(small(run * 10 + at)), 4 * KIB as u64, None).await.unwrap();
        }
        finish(&mut upload, Vec::new()).await;
    }
    let resent = |seeds: Vec<u64>| {
        let (objects, index, lab) = (lab.machine(), index(&lab), &lab);
        async move {
            let mut upload = lab.upload_as(&objects, 0, Some(index));
            let mut resent = 0;
            for seed in seeds {
                let content = upload.file(Arc::new(small(seed)), 4 * KIB as u64, None).await.unwrap();
                let own: Vec<PackName> = upload.packs().iter().map(|sent| sent.name).collect();
                resent += usize::from(own.first() == packs_of(&content).first());
            }
            resent
        }
    };
    assert_eq!(resent((0..10).collect()).await, 1, "a run, but for its first");
    assert_eq!(resent((0..10).map(|at| at / 2 + 10 * (at % 2)).collect()).await, 10, "crumbs of two packs in turn");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_upload_goes_on_with_the_packs_it_finished() {
    let lab = Lab::remote();
    let bytes = random_bytes(1, 150 * MIB);
    let mut first = lab.upload_as(&lab.machine(), 0, Some(index(&lab)));
    first.file(Arc::new(bytes.clone()), bytes.len() as u64, None).await.unwrap();
    while lab.counters.read().of(Verb::Complete) < 2 || index_is_behind(&lab, &first).await {
        tokio::task::yield_now().await;
    }
    drop(first);
    let before = lab.counters.read();
    let mut second = lab.upload_as(&lab.machine(), 0, Some(index(&lab)));
    let content = second.file(Arc::new(bytes.clone()), bytes.len() as u64, None).await.unwrap();
    finish(&mut second, Vec::new()).await;
    assert!(lab.since(before).sent_bytes < 30 << 20, "{:?}", lab.since(before));
    let ranges = [(63 * MIB as u64, 2 * MIB as u64), (128 * MIB as u64 - 7, 100)];
    assert_reads(&lab.machine(), &content, &bytes, &ranges).await;
}

/// Packs are remembered a moment after they are complete.
async fn index_is_behind(lab: &Lab, upload: &meshfs::repo::upload::Upload) -> bool {
    let packs = upload.packs();
    let index = index(lab);
    let place = lab.place();
    let mut found = 0;
    for pack in packs {
        let Ok(object) = lab.bare.get(&place.pack_key(&pack.name)).await else { continue };
        let footer = object.bytes.slice(object.bytes.len() - meshfs::format::pack::FOOTER_BYTES..);
        let range = meshfs::format::pack::decode_footer(&footer).unwrap();
        let frame = object.bytes.slice(range.start as usize..range.end as usize);
        let entries = meshfs::format::pack::decode_directory(&pack.name, &frame).unwrap();
        let chunk = meshfs::model::id::ChunkId(entries[0].id);
        found += index.db.find_sent(&index.domain, &[chunk]).unwrap().len();
    }
    found < 2
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_is_dropped_gives_up_its_parts() {
    let lab = Lab::remote();
    let bytes = random_bytes(1, 20 * MIB);
    let mut upload = lab.upload(&lab.machine());
    upload.file(Arc::new(bytes.clone()), bytes.len() as u64, None).await.unwrap();
    assert_eq!(lab.counters.read().of(Verb::Initiate), 1);
    drop(upload);
    while lab.counters.read().of(Verb::Abort) < 1 {
        tokio::task::yield_now().await;
    }
    assert_eq!(lab.bare.list("", None, 10).await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_commit_goes_in_parts_of_full_size_and_packs_of_64_mib() {
    let lab = Lab::remote();
    let bytes = random_bytes(1, 150 * MIB);
    let mut upload = lab.upload(&lab.machine());
    let content = upload.file(Arc::new(bytes.clone()), bytes.len() as u64, None).await.unwrap();
    finish(&mut upload, vec![file("large", content.clone())]).await;
    let sizes: Vec<u64> = lab.bare.list("", None, 10).await.unwrap().into_iter().map(|listed| listed.size).collect();
    assert_eq!(sizes.len(), 3, "{sizes:?}");
    assert!(sizes.iter().all(|&size| size < 66 << 20), "{sizes:?}");
    let cost = lab.counters.read();
    assert!(cost.of(Verb::Part) <= 12 && cost.of(Verb::Put) == 0, "{cost:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_replies_and_busy_stores_change_nothing_that_is_stored() {
    let faults = std::sync::OnceLock::new();
    let lab = Lab::behind(|store| {
        let between = FaultStore::new(store, Sys::simulated(0, 1).0);
        faults.set(between.clone()).unwrap();
        let settings = StoreSettings { sys: Sys::simulated(0, 2).0, ..StoreSettings::new() };
        backend::assemble(Arc::new(between), &settings)
    });
    let faults = faults.get().unwrap();
    faults.plan(Verb::Put, "packs", Fault::LostReply, 1);
    faults.plan(Verb::Part, "packs", Fault::Busy, 1);
    faults.plan(Verb::Part, "packs", Fault::LostReply, 1);
    for len in [MIB, 40 * MIB] {
        let bytes = random_bytes(len as u64, len);
        let content = lab.store_bytes(&bytes).await;
        assert_reads(&lab.machine(), &content, &bytes, &[]).await;
    }
    assert_eq!(faults.struck().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_failure_nothing_of_the_upload_counts() {
    let faults = std::sync::OnceLock::new();
    let lab = Lab::behind(|store| {
        let between = FaultStore::new(store, Sys::simulated(0, 1).0);
        faults.set(between.clone()).unwrap();
        Arc::new(between)
    });
    faults.get().unwrap().plan(Verb::Part, "packs", Fault::Denied, 1);
    let mut upload = lab.upload(&lab.machine());
    let bytes = random_bytes(1, 20 * MIB);
    // The file may be placed before its part fails; the upload's end tells in any case.
    let placed = upload.file(Arc::new(bytes.clone()), bytes.len() as u64, None).await;
    for _ in 0..2 {
        upload.finish_nodes(crate::lab::root(Vec::new())).await.unwrap_err();
    }
    drop(placed);
    upload.file(Arc::new(bytes.clone()), 100, None).await.unwrap_err();
}

/// The daemon moves commits and reads between its threads: that this compiles is the test.
#[test]
fn uploads_and_reads_can_move_between_threads() {
    fn movable<T: Send>(_: T) {}
    fn check(upload: &mut meshfs::repo::upload::Upload, objects: &meshfs::repo::objects::Objects, old: &FileContent) {
        let dirty = &[3..5, 7..9];
        let base = meshfs::repo::upload::Base { content: old, dirty: Some(dirty) };
        movable(upload.file(Arc::new(Vec::new()), 10, Some(base)));
        movable(upload.xattr(Vec::new()));
        movable(upload.finish_nodes(crate::lab::root(Vec::new())));
        movable(objects.read(old, 0, 1));
        movable(objects.next_data(old, 0));
    }
    let _ = check;
}
