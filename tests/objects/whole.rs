//! Files stored whole and read back in any ranges.

use std::sync::Arc;

use meshfs::model::content::{FileBody, FileContent, Item};
use meshfs::repo::objects::Objects;
use proptest::prelude::*;

use crate::lab::{KIB, Lab, MIB, lines, random_bytes};

/// One stretch of a generated file.
#[derive(Clone, Debug)]
enum Stretch {
    Random(u64, usize),
    Lines(u64, usize),
    Zeros(usize),
}

/// Lengths around those where files are cut.
fn lengths() -> impl Strategy<Value = usize> {
    let around = |at: usize| (at.saturating_sub(2)..at + 3).boxed();
    prop_oneof![0..200usize, around(32 * KIB), around(64 * KIB), around(128 * KIB), around(512 * KIB), 0..MIB]
}

pub fn contents() -> impl Strategy<Value = Vec<u8>> {
    let stretch = prop_oneof![
        (any::<u64>(), lengths()).prop_map(|(seed, len)| Stretch::Random(seed, len)),
        (any::<u64>(), lengths()).prop_map(|(seed, len)| Stretch::Lines(seed, len)),
        lengths().prop_map(Stretch::Zeros),
    ];
    prop::collection::vec(stretch, 0..5).prop_map(|stretches| {
        let bytes = |stretch| match stretch {
            Stretch::Random(seed, len) => random_bytes(seed, len),
            Stretch::Lines(seed, len) => lines(seed, len),
            Stretch::Zeros(len) => vec![0; len],
        };
        stretches.into_iter().flat_map(bytes).collect()
    })
}

/// Every range asked for, and the whole, are as in `expected`, with and without the store.
pub async fn assert_reads(objects: &Objects, content: &FileContent, expected: &[u8], ranges: &[(u64, u64)]) {
    assert_eq!(content.size, expected.len() as u64);
    let whole = [(0, expected.len() as u64 + 10)];
    for &(offset, len) in ranges.iter().chain(&whole) {
        let start = expected.len().min(offset as usize);
        let end = expected.len().min((offset + len) as usize);
        let read = objects.read(content, offset, len).await.unwrap();
        assert!(read == expected[start..end], "{len} bytes at {offset} of {}", expected.len());
        if len <= MIB as u64 {
            let again = objects.cached_read(content, offset, len).expect("it was read a moment ago");
            assert!(again == expected[start..end], "{len} bytes at {offset} of {}, cached", expected.len());
        }
    }
}

pub fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(work)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn what_was_stored_reads_back_at_any_range(
        bytes in contents(),
        ranges in prop::collection::vec((0..3 * MIB as u64, 0..MIB as u64), 0..8),
        local in any::<bool>(),
    ) {
        block_on(async {
            let lab = if local { Lab::local() } else { Lab::remote() };
            let content = lab.store_bytes(&bytes).await;
            assert_reads(&lab.machine(), &content, &bytes, &ranges).await;
        });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_over_several_segments_reads_back_around_their_ends() {
    let lab = Lab::remote();
    let segment = 64 * MIB;
    let mut bytes = vec![0; 2 * segment + 3 * MIB];
    for (at, len) in [(0, 3 * MIB), (segment - MIB, 2 * MIB), (2 * segment - 1, 2), (2 * segment + MIB, 2 * MIB)] {
        bytes[at..at + len].copy_from_slice(&random_bytes(at as u64, len));
    }
    let content = lab.store_bytes(&bytes).await;
    assert!(matches!(content.body, FileBody::Pages(_)));
    let (segment, mib) = (segment as u64, MIB as u64);
    let ranges = [(segment - 3, 6), (2 * segment - 9, 20), (segment - mib / 2, mib), (2 * segment + 3 * mib - 8, 8)];
    assert_reads(&lab.machine(), &content, &bytes, &ranges).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn data_and_holes_are_found_as_lseek_has_them() {
    let lab = Lab::remote();
    let mib = MIB as u64;
    let mut bytes = vec![0; 70 * MIB];
    bytes[MIB..2 * MIB].copy_from_slice(&random_bytes(1, MIB));
    bytes[69 * MIB..].copy_from_slice(&random_bytes(2, MIB));
    let content = lab.store_bytes(&bytes).await;
    let cold = lab.machine();
    assert_eq!(cold.cached_next_data(&content, 0), None, "its pages are in the store");
    for (offset, data, hole) in [
        (0, Some(mib), Some(0)),
        (mib + 5, Some(mib + 5), Some(2 * mib)),
        (2 * mib, Some(69 * mib), Some(2 * mib)),
        (69 * mib + 1, Some(69 * mib + 1), Some(70 * mib)),
        (70 * mib, None, None),
    ] {
        assert_eq!(cold.next_data(&content, offset).await.unwrap(), data, "data from {offset}");
        assert_eq!(cold.next_hole(&content, offset).await.unwrap(), hole, "hole from {offset}");
        assert_eq!(cold.cached_next_data(&content, offset), Some(data));
        assert_eq!(cold.cached_next_hole(&content, offset), Some(hole));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_huge_sparse_file_is_stored_without_being_read() {
    let lab = Lab::remote();
    let file = tempfile::tempfile().unwrap();
    let size = 64u64 << 30;
    file.set_len(size).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, b"the end", size - 7).unwrap();
    let content = lab.store_file(file, size, None).await;
    let cold = lab.machine();
    assert_eq!(cold.read(&content, size - 10, 100).await.unwrap(), b"\0\0\0the end"[..]);
    assert!(lab.counters.read().sent_bytes < MIB as u64);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_ends_before_its_size_is_refused() {
    let lab = Lab::remote();
    let mut upload = lab.upload(&lab.machine());
    for size in [100 * KIB as u64, 5 * MIB as u64] {
        let source = Arc::new(random_bytes(1, 50 * KIB));
        upload.file(source as Arc<_>, size, None).await.unwrap_err();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_few_items_stands_in_the_entry() {
    let lab = Lab::remote();
    for (len, items) in [(0, 0), (1, 1), (512 * KIB, 1)] {
        let content = lab.store_bytes(&random_bytes(3, len)).await;
        let FileBody::Items(found) = &content.body else { panic!("{len} bytes in pages") };
        assert_eq!(found.len(), items, "{len} bytes");
        assert!(found.iter().all(|item| matches!(item, Item::Chunk { .. })));
    }
}
