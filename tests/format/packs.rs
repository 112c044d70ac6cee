//! Packs: frames, directory, footer.

use bytes::Bytes;
use meshfs::format::error::FormatError;
use meshfs::format::limits::{FRAME_RAW_BYTES_MAX, PACK_BYTES_MAX, PACK_FRAMES_MAX};
use meshfs::format::pack::{
    FOOTER_BYTES, FRAME_HEADER_BYTES, FrameKind, PackBuilder, decode_directory, decode_footer, decode_frame,
    encode_frame,
};
use meshfs::model::id::{Codec, PackName};
use proptest::prelude::*;

fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}

fn kinds() -> impl Strategy<Value = FrameKind> {
    use FrameKind::{Chunk, LinkNode, Node, Page, Root};
    prop::sample::select(vec![Chunk, LinkNode, Node, Page, Root])
}

fn raws() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        (any::<u64>(), 0usize..100_000).prop_map(|(seed, len)| noise(seed, len)),
        (any::<u8>(), 0usize..200_000).prop_map(|(byte, len)| vec![byte; len]),
        prop::collection::vec(any::<u8>(), 0..64),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn every_frame_is_found_again_through_the_directory(
        frames in prop::collection::vec((kinds(), raws()), 0..12),
        part in 1usize..300_000,
    ) {
        let name = PackName([9; 16]);
        let mut builder = PackBuilder::new(name);
        let mut pack = Vec::new();
        let mut locations = Vec::new();
        for (at, (kind, raw)) in frames.iter().enumerate() {
            locations.push(builder.add(&encode_frame(*kind, raw).unwrap(), [at as u8; 32]));
            while builder.untaken() >= part {
                pack.extend_from_slice(&builder.take(part));
            }
        }
        prop_assert_eq!(builder.len(), locations.iter().map(|location| u64::from(location.len)).sum::<u64>());
        pack.extend_from_slice(&builder.finish().unwrap());
        let slice = |range: std::ops::Range<u64>| Bytes::copy_from_slice(&pack[range.start as usize..range.end as usize]);
        let directory = decode_footer(&pack[pack.len() - FOOTER_BYTES..]).unwrap();
        prop_assert_eq!(directory.end, (pack.len() - FOOTER_BYTES) as u64);
        let entries = decode_directory(&name, &slice(directory)).unwrap();
        prop_assert_eq!(entries.len(), frames.len());
        for (at, ((kind, raw), entry)) in frames.iter().zip(entries).enumerate() {
            prop_assert_eq!((entry.kind, entry.raw_len as usize, entry.id), (*kind, raw.len(), [at as u8; 32]));
            prop_assert_eq!((entry.offset, entry.len, entry.codec), (locations[at].offset, locations[at].len, locations[at].codec));
            let frame = slice(entry.offset..entry.offset + u64::from(entry.len));
            prop_assert_eq!(&decode_frame(*kind, &frame).unwrap()[..], &raw[..]);
        }
    }

    #[test]
    fn no_flipped_byte_goes_unseen(kind in kinds(), raw in raws(), at in any::<prop::sample::Index>(), flip in 1u8..) {
        let mut bytes = encode_frame(kind, &raw).unwrap().bytes.to_vec();
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        prop_assert!(decode_frame(kind, &bytes.into()).is_err());
    }
}

#[test]
fn data_is_compressed_where_that_pays() {
    let codec = |raw: &[u8]| encode_frame(FrameKind::Chunk, raw).unwrap().codec;
    assert_eq!(codec(&noise(1, 300_000)), Codec::Raw);
    assert_eq!(codec(&vec![b'x'; 300_000]), Codec::Zstd);
    assert_eq!(codec(b"x"), Codec::Raw);
    let text: Vec<u8> = (0..50_000).flat_map(|n: u32| format!("{n},{},row\n", n % 97).into_bytes()).collect();
    assert_eq!(codec(&text[..500_000]), Codec::Zstd);
    assert_eq!(codec(&[&noise(1, 1000)[..], &[0; 20]].concat()), Codec::Raw, "two in a hundred do not pay");
}

#[test]
fn a_frame_of_another_kind_is_told_from_a_damaged_one() {
    let frame = encode_frame(FrameKind::Node, b"node").unwrap().bytes;
    assert!(matches!(decode_frame(FrameKind::Chunk, &frame), Err(FormatError::WrongId { .. })));
    let short = frame.slice(..frame.len() - 1);
    assert!(matches!(decode_frame(FrameKind::Node, &short), Err(FormatError::Damaged { .. })));
}

#[test]
fn a_frame_that_claims_to_be_huge_is_refused_before_it_is_unpacked() {
    let bomb = zstd::bulk::compress(&vec![0; FRAME_RAW_BYTES_MAX + 1], 3).unwrap();
    assert!(decode_frame(FrameKind::Chunk, &frame_of(1, &bomb)).is_err());
    // A second zstd frame behind the first would pass the length that the first one gives.
    let twice = [zstd::bulk::compress(&[1; 500], 3).unwrap(), zstd::bulk::compress(&[2; 500], 3).unwrap()].concat();
    assert!(decode_frame(FrameKind::Chunk, &frame_of(1, &twice)).is_err());
    assert!(encode_frame(FrameKind::Chunk, &vec![0; FRAME_RAW_BYTES_MAX + 1]).is_err());
}

/// A frame with a sound checksum over whatever bytes.
fn frame_of(codec: u8, stored: &[u8]) -> Bytes {
    let mut bytes = vec![b'c', codec, 0, 0];
    bytes.extend_from_slice(&(stored.len() as u32).to_le_bytes());
    let hash = blake3::Hasher::new().update(&bytes).update(stored).finalize();
    bytes.extend_from_slice(&hash.as_bytes()[..8]);
    assert_eq!(bytes.len(), FRAME_HEADER_BYTES);
    bytes.extend_from_slice(stored);
    bytes.into()
}

#[test]
fn a_directory_of_another_pack_is_refused() {
    let pack = PackBuilder::new(PackName([1; 16])).finish().unwrap();
    let directory = decode_footer(&pack[pack.len() - FOOTER_BYTES..]).unwrap();
    let frame = pack.slice(directory.start as usize..directory.end as usize);
    assert!(decode_directory(&PackName([1; 16]), &frame).unwrap().is_empty());
    assert!(matches!(decode_directory(&PackName([2; 16]), &frame), Err(FormatError::WrongId { .. })));
}

#[test]
fn a_pack_is_full_by_its_bytes_and_by_its_frames() {
    let mut builder = PackBuilder::new(PackName([1; 16]));
    assert!(!builder.is_full_for(PACK_BYTES_MAX as usize) && builder.is_full_for(PACK_BYTES_MAX as usize + 1));
    let frame = encode_frame(FrameKind::Chunk, b"x").unwrap();
    for _ in 0..PACK_FRAMES_MAX {
        assert!(!builder.is_full_for(frame.bytes.len()));
        builder.add(&frame, [0; 32]);
    }
    assert!(builder.is_full_for(frame.bytes.len()));
    builder.finish().unwrap();
}
