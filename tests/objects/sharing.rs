//! Readers who want the same at the same time share one request, and one budget.

use futures::future::join_all;

use crate::lab::{KIB, Lab, MIB, random_bytes};

#[tokio::test(flavor = "multi_thread")]
async fn many_readers_of_one_range_cost_one_request() {
    let lab = Lab::remote();
    let bytes = random_bytes(1, 400 * KIB);
    let content = lab.store_bytes(&bytes).await;
    let cold = lab.machine();
    let before = lab.counters.read();
    let reads = (0..64u64).map(|at| cold.read(&content, at * 1000, 500));
    for (at, read) in join_all(reads).await.into_iter().enumerate() {
        assert!(read.unwrap() == bytes[at * 1000..at * 1000 + 500]);
    }
    assert_eq!(lab.since(before).total(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_of_overlapping_ranges_fetch_no_byte_twice() {
    let lab = Lab::remote();
    let bytes = random_bytes(2, 24 * MIB);
    let content = lab.store_bytes(&bytes).await;
    let cold = lab.machine();
    let before = lab.counters.read();
    let reads = (0..40u64).map(|at| {
        let (cold, content) = (cold.clone(), content.clone());
        tokio::spawn(async move { cold.read(&content, at * MIB as u64 / 2, 4 * MIB as u64).await })
    });
    for (at, read) in join_all(reads).await.into_iter().enumerate() {
        let start = at * MIB / 2;
        assert!(read.unwrap().unwrap() == bytes[start..start + 4 * MIB]);
    }
    let cost = lab.since(before);
    assert!(cost.received_bytes < 25 << 20, "{cost:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_process_fetched_the_next_finds_on_disk() {
    let lab = Lab::remote();
    let bytes = random_bytes(3, 6 * MIB);
    let content = lab.store_bytes(&bytes).await;
    let cache = lab.folder("kept");
    lab.machine_with(cache.clone()).read(&content, 0, 6 * MIB as u64).await.unwrap();
    settled(&lab.machine_with(cache.clone()), &content).await;
    let before = lab.counters.read();
    let next = lab.machine_with(cache);
    assert!(next.cached_read(&content, 0, MIB as u64).unwrap() == bytes[..MIB]);
    assert!(next.read(&content, 0, 6 * MIB as u64).await.unwrap() == bytes);
    assert_eq!(lab.since(before).total(), 0);
}

/// Blocks reach the disk after their readers were served: waits until all of them have.
pub async fn settled(objects: &meshfs::repo::objects::Objects, content: &meshfs::model::content::FileContent) {
    while objects.cached_read(content, 0, content.size).is_none() {
        tokio::task::yield_now().await;
    }
}
