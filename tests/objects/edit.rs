//! Files stored from an old version and the ranges written over it.

use std::ops::Range;
use std::sync::Arc;

use meshfs::model::content::FileContent;
use meshfs::repo::upload::Base;
use meshfs::telemetry::counters::Verb;
use proptest::prelude::*;

use crate::lab::{KIB, Lab, MIB, finish, lines, random_bytes};
use crate::whole::{assert_reads, block_on, contents};

/// Sorted ranges that do not touch.
fn joined(mut ranges: Vec<Range<u64>>) -> Vec<Range<u64>> {
    ranges.retain(|range| !range.is_empty());
    ranges.sort_by_key(|range| range.start);
    let mut joined: Vec<Range<u64>> = Vec::new();
    for range in ranges {
        match joined.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => joined.push(range),
        }
    }
    joined
}

/// A file of which only the written ranges hold what was written: the rest must not count.
fn staged(new: &[u8], dirty: &[Range<u64>]) -> Vec<u8> {
    let mut source: Vec<u8> = new.iter().map(|byte| !byte).collect();
    for range in dirty {
        let range = range.start as usize..range.end as usize;
        source[range.clone()].copy_from_slice(&new[range]);
    }
    source
}

#[derive(Clone, Debug)]
struct Write {
    offset: u64,
    bytes: Vec<u8>,
}

fn writes() -> impl Strategy<Value = Vec<Write>> {
    let bytes = prop_oneof![
        (any::<u64>(), 1..300 * KIB).prop_map(|(seed, len)| random_bytes(seed, len)),
        (1..300 * KIB).prop_map(|len| vec![0; len]),
        any::<u8>().prop_map(|byte| vec![byte]),
    ];
    prop::collection::vec((0..3 * MIB as u64, bytes).prop_map(|(offset, bytes)| Write { offset, bytes }), 0..4)
}

/// What writing and truncating makes of `old`, and where it may differ.
fn edited(old: &[u8], writes: &[Write], size: Option<usize>) -> (Vec<u8>, Vec<Range<u64>>) {
    let mut new = old.to_vec();
    let mut dirty = Vec::new();
    for Write { offset, bytes } in writes {
        let (start, end) = (*offset as usize, *offset as usize + bytes.len());
        if new.len() < end {
            new.resize(end, 0);
        }
        new[start..end].copy_from_slice(bytes);
        dirty.push(start as u64..end as u64);
    }
    if let Some(size) = size {
        // What was cut off and grown back is zeros, not the old bytes.
        let kept = new.len().min(size);
        new.truncate(size);
        new.resize(size, 0);
        dirty.push(kept as u64..size as u64);
        dirty.iter_mut().for_each(|range| range.end = range.end.min(size as u64));
    }
    (new, joined(dirty))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn an_edited_file_is_the_same_as_one_stored_whole(
        old in contents(),
        writes in writes(),
        size in prop::option::of(0..3 * MIB),
    ) {
        block_on(async {
            let lab = Lab::remote();
            let base = lab.store_bytes(&old).await;
            let (new, dirty) = edited(&old, &writes, size);
            let source = staged(&new, &dirty);
            let over = Base { content: &base, dirty: Some(&dirty) };
            let content = lab.store_file(source, new.len() as u64, Some(over)).await;
            let whole = Lab::remote().store_bytes(&new).await;
            assert_eq!(content.id, whole.id);
            assert_reads(&lab.machine(), &content, &new, &[]).await;
        });
    }
}

/// Stores `new` over `base`; gives its content, and the bytes sent and received for it.
async fn store_edit(lab: &Lab, base: &FileContent, new: &[u8], dirty: &[Range<u64>]) -> (FileContent, u64, u64) {
    let before = lab.counters.read();
    let over = Base { content: base, dirty: Some(dirty) };
    let content = lab.store_file(staged(new, dirty), new.len() as u64, Some(over)).await;
    let cost = lab.since(before);
    (content, cost.sent_bytes, cost.received_bytes)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_small_write_into_a_large_file_fetches_and_sends_only_what_it_touches() {
    let lab = Lab::remote();
    let mut bytes = random_bytes(1, 80 * MIB);
    let base = lab.store_bytes(&bytes).await;
    bytes[30 * MIB..30 * MIB + 10].copy_from_slice(b"0123456789");
    let dirty = std::iter::once(30 * MIB as u64..30 * MIB as u64 + 10).collect::<Vec<_>>();
    let (content, sent, received) = store_edit(&lab, &base, &bytes, &dirty).await;
    assert_ne!(content.id, base.id);
    assert!(sent < 2 << 20, "{sent} bytes sent");
    assert!(received < 4 << 20, "{received} bytes received");
    let at = 30 * MIB as u64;
    assert_eq!(lab.machine().read(&content, at - 2, 14).await.unwrap(), bytes[30 * MIB - 2..30 * MIB + 12]);
}

/// A sparse file of this size with these bytes at these offsets.
fn sparse(size: u64, written: &[(u64, Vec<u8>)]) -> std::fs::File {
    let file = tempfile::tempfile().unwrap();
    file.set_len(size).unwrap();
    for (offset, bytes) in written {
        std::os::unix::fs::FileExt::write_all_at(&file, bytes, *offset).unwrap();
    }
    file
}

#[tokio::test(flavor = "multi_thread")]
async fn appending_to_a_file_of_many_segments_reuses_its_pages() {
    let lab = Lab::remote();
    let (size, grown) = (330 * MIB as u64, 330 * MIB as u64 + 100_000);
    let old = [(0, random_bytes(1, 2 * MIB)), (329 * MIB as u64, random_bytes(2, MIB))];
    let appended = (size, random_bytes(3, 100_000));
    let base = lab.store_file(sparse(size, &old), size, None).await;
    let before = lab.counters.read();
    let dirty = std::iter::once(size..grown).collect::<Vec<_>>();
    let over = Base { content: &base, dirty: Some(&dirty) };
    let content = lab.store_file(sparse(grown, std::slice::from_ref(&appended)), grown, Some(over)).await;
    let cost = lab.since(before);
    assert!(cost.sent_bytes < MIB as u64 && cost.of(Verb::Get) <= 4, "{cost:?}");
    let whole = [old[0].clone(), old[1].clone(), appended.clone()];
    assert_eq!(content.id, Lab::remote().store_file(sparse(grown, &whole), grown, None).await.id);
    assert_eq!(lab.machine().read(&content, size, MIB as u64).await.unwrap(), appended.1);
}

#[tokio::test(flavor = "multi_thread")]
async fn segments_that_are_new_or_written_from_end_to_end_are_cut_as_in_the_whole() {
    let lab = Lab::remote();
    let mib = MIB as u64;
    let old_size = 130 * mib;
    let old = [(63 * mib, random_bytes(1, 3 * MIB)), (129 * mib, random_bytes(2, MIB))];
    let base = lab.store_file(sparse(old_size, &old), old_size, None).await;
    let written = [(64 * mib, random_bytes(3, 70_000)), (300 * mib, random_bytes(4, 200_000))];
    for size in [64 * mib, 64 * mib + 100, 128 * mib, 300 * mib, 320 * mib, 320 * mib + 7] {
        let mut dirty = vec![64 * mib..128 * mib, 300 * mib..size];
        if size < old_size {
            dirty.push(size..old_size);
        }
        dirty.iter_mut().for_each(|range| range.end = range.end.min(size));
        let dirty = joined(dirty);
        let file = sparse(size, &written.clone());
        file.set_len(size).unwrap();
        let over = Base { content: &base, dirty: Some(&dirty) };
        let content = lab.store_file(file, size, Some(over)).await;
        let whole = sparse(size, &[old[0].clone(), old[1].clone()]);
        std::os::unix::fs::FileExt::write_all_at(&whole, &vec![0; 64 * MIB], 64 * mib).unwrap();
        for (offset, bytes) in &written {
            std::os::unix::fs::FileExt::write_all_at(&whole, bytes, *offset).unwrap();
        }
        whole.set_len(size).unwrap();
        assert_eq!(content.id, Lab::remote().store_file(whole, size, None).await.id, "{size} bytes");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_grown_by_truncate_is_not_read_for_its_zeros() {
    let lab = Lab::remote();
    let base = lab.store_bytes(&random_bytes(1, MIB)).await;
    let size = 32u64 << 30;
    let before = lab.counters.read();
    let over = Base { content: &base, dirty: Some(&[]) };
    let content = lab.store_file(sparse(size, &[]), size, Some(over)).await;
    assert!(lab.since(before).sent_bytes < MIB as u64);
    assert_eq!(lab.machine().next_hole(&content, 0).await.unwrap(), Some(MIB as u64));
    let whole = sparse(size, &[(0, random_bytes(1, MIB))]);
    assert_eq!(content.id, lab.store_file(whole, size, None).await.id);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rewritten_file_sends_only_what_its_old_version_lacks() {
    let lab = Lab::remote();
    let old = lines(1, 20 * MIB);
    let base = lab.store_bytes(&old).await;
    let mut new = old.clone();
    new.splice(7 * MIB..7 * MIB, *b"one line more\n");
    let before = lab.counters.read();
    let over = Base { content: &base, dirty: None };
    let content = lab.store_file(new.clone(), new.len() as u64, Some(over)).await;
    let sent = lab.since(before).sent_bytes;
    assert!(sent < 2 << 20, "{sent} bytes sent");
    assert_reads(&lab.machine(), &content, &new, &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_base_that_cannot_be_read_fails_the_edit() {
    let lab = Lab::remote();
    let bytes = random_bytes(1, 3 * MIB);
    let base = lab.store_bytes(&bytes).await;
    for listed in lab.bare.list("", None, 100).await.unwrap() {
        lab.bare.delete(&listed.key).await.unwrap();
    }
    let mut upload = lab.upload(&lab.machine());
    let dirty = std::iter::once(MIB as u64..MIB as u64 + 1).collect::<Vec<_>>();
    let over = Base { content: &base, dirty: Some(&dirty) };
    upload.file(Arc::new(bytes.clone()), bytes.len() as u64, Some(over)).await.unwrap_err();
    finish(&mut upload, Vec::new()).await;
}
