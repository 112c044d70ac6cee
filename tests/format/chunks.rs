//! Cutting: against a plain reference, in any portions, and around edits only.

use std::ops::Range;

use fastcdc::v2020::{FastCDC, Normalization};
use meshfs::format::chunk::{Chunker, Piece, Recutter, Step, may_recut};
use meshfs::format::content::chunk_id;
use meshfs::model::content::{Constants, Item};
use meshfs::model::id::{Codec, Location, PackName};
use proptest::prelude::*;

/// Small enough for thousands of cases; the code knows no other numbers.
const SMALL: Constants =
    Constants { chunk_min: 64, chunk_target: 256, chunk_max: 1024, hole_min: 128, segment: 16 << 10 };

/// The rules of the format, written for clarity: maximal zero runs of each segment, FastCDC on what is between.
fn reference(constants: &Constants, bytes: &[u8]) -> Vec<Piece> {
    let small = bytes.len() <= constants.chunk_max as usize;
    let mut pieces = Vec::new();
    for segment in bytes.chunks(constants.segment as usize) {
        let mut start = 0;
        while start < segment.len() {
            let hole = (start..segment.len()).find(|&at| zeros_at(segment, at) >= constants.hole_min as usize);
            let stretch = &segment[start..hole.unwrap_or(segment.len())];
            if small && !stretch.is_empty() {
                pieces.push(Piece::Chunk(stretch.to_vec().into()));
            } else if !stretch.is_empty() {
                let Constants { chunk_min, chunk_target, chunk_max, .. } = *constants;
                let (min, target, max) = (chunk_min as usize, chunk_target as usize, chunk_max as usize);
                for cut in FastCDC::with_level_and_seed(stretch, min, target, max, Normalization::Level1, 0) {
                    pieces.push(Piece::Chunk(stretch[cut.offset..cut.offset + cut.length].to_vec().into()));
                }
            }
            start += stretch.len();
            if let Some(hole) = hole {
                let len = zeros_at(segment, hole);
                pieces.push(Piece::Hole(len as u64));
                start += len;
            }
        }
    }
    pieces
}

fn zeros_at(bytes: &[u8], at: usize) -> usize {
    bytes[at..].iter().take_while(|&&b| b == 0).count()
}

fn cut_in_portions(constants: Constants, bytes: &[u8], portions: &[usize]) -> Vec<Piece> {
    let mut chunker = Chunker::new(constants);
    let mut pieces = Vec::new();
    let mut left = bytes;
    let mut sizes = portions.iter().copied().cycle();
    while !left.is_empty() {
        let (portion, rest) = left.split_at(sizes.next().unwrap().clamp(1, left.len()));
        if portion.iter().all(|&b| b == 0) {
            chunker.push_zeros(portion.len() as u64)
        } else {
            chunker.push(portion)
        }
        pieces.extend(std::iter::from_fn(|| chunker.next()));
        left = rest;
    }
    chunker.finish();
    pieces.extend(std::iter::from_fn(|| chunker.next()));
    pieces
}

fn item(piece: &Piece) -> Item {
    let location = Location { pack: PackName([0; 16]), offset: 0, len: 0, codec: Codec::Raw };
    match piece {
        Piece::Chunk(bytes) => Item::Chunk { len: bytes.len() as u32, id: chunk_id(bytes), location },
        Piece::Hole(len) => Item::Hole { len: *len },
    }
}

/// Runs of random bytes, of zeros around the shortest hole, and of a repeated byte (which FastCDC cannot cut).
fn stretches(count: usize) -> impl Strategy<Value = Vec<u8>> {
    let run = prop_oneof![
        4 => prop::collection::vec(any::<u8>(), 1..1500),
        2 => (100usize..160).prop_map(|len| vec![0; len]),
        1 => (1usize..4000).prop_map(|len| vec![0; len]),
        1 => (any::<u8>(), 1usize..3000).prop_map(|(byte, len)| vec![byte; len]),
    ];
    prop::collection::vec(run, 0..count).prop_map(|runs| runs.concat())
}

#[derive(Clone, Debug)]
enum Edit {
    Write {
        at: prop::sample::Index,
        bytes: Vec<u8>,
    },
    /// So many bytes before or behind an old cut: where the rules are at their edges.
    WriteNear {
        cut: prop::sample::Index,
        offset: isize,
        bytes: Vec<u8>,
    },
    Append(Vec<u8>),
    Truncate(prop::sample::Index),
}

fn edits() -> impl Strategy<Value = Vec<Edit>> {
    let bytes = || {
        prop_oneof![
            3 => prop::collection::vec(any::<u8>(), 1..300),
            2 => (1usize..300).prop_map(|len| vec![0; len]),
            1 => Just(vec![0]),
        ]
    };
    let edit = prop_oneof![
        6 => (any::<prop::sample::Index>(), bytes()).prop_map(|(at, bytes)| Edit::Write { at, bytes }),
        6 => (any::<prop::sample::Index>(), -135isize..135, bytes())
            .prop_map(|(cut, offset, bytes)| Edit::WriteNear { cut, offset, bytes }),
        1 => bytes().prop_map(Edit::Append),
        1 => any::<prop::sample::Index>().prop_map(Edit::Truncate),
    ];
    prop::collection::vec(edit, 1..5)
}

fn apply(bytes: &mut Vec<u8>, old: &[Item], edits: &[Edit]) -> Vec<Range<u64>> {
    let mut dirty = Vec::new();
    let write = |bytes: &mut Vec<u8>, at: usize, new: &[u8]| {
        let (at, end) = (at.min(bytes.len()), (at + new.len()).min(bytes.len()));
        bytes[at..end].copy_from_slice(&new[..end - at]);
        at as u64..end as u64
    };
    for edit in edits {
        match edit {
            Edit::Write { at, bytes: new } => {
                let at = at.index(bytes.len() + 1);
                dirty.push(write(bytes, at, new));
            }
            Edit::WriteNear { cut, offset, bytes: new } => {
                let before = &old[..cut.index(old.len() + 1)];
                let cut = before.iter().map(Item::len).sum::<u64>() as usize;
                dirty.push(write(bytes, cut.saturating_add_signed(*offset), new));
            }
            Edit::Append(new) => {
                let start = bytes.len() as u64;
                bytes.extend_from_slice(new);
                dirty.push(start..bytes.len() as u64);
            }
            Edit::Truncate(at) => {
                // What comes back after a truncation is not what was there.
                let len = at.index(bytes.len() + 1);
                dirty.push(len as u64..bytes.len() as u64);
                bytes.truncate(len);
            }
        }
    }
    dirty
}

/// All items of the new bytes, and how many of the bytes were asked for.
fn recut(old: &[Item], new: &[u8], dirty: &[Range<u64>]) -> (Vec<Item>, u64) {
    let mut recutter = Recutter::new(SMALL, old, new.len() as u64, dirty);
    let mut items = Vec::new();
    let mut read = 0;
    loop {
        match recutter.step() {
            Step::Read(range) => {
                assert!(range.start < range.end && range.end <= new.len() as u64);
                read += range.end - range.start;
                recutter.push(&new[range.start as usize..range.end as usize]);
            }
            Step::Keep(range) => {
                assert!(!range.is_empty());
                items.extend_from_slice(&old[range]);
            }
            Step::New(piece) => items.push(item(&piece)),
            Step::Done => return (items, read),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn pieces_are_those_of_the_reference_whatever_the_portions(
        bytes in stretches(30),
        portions in prop::collection::vec(1usize..3000, 1..6),
    ) {
        prop_assert_eq!(cut_in_portions(SMALL, &bytes, &portions), reference(&SMALL, &bytes));
    }

    #[test]
    fn cutting_around_edits_gives_what_cutting_the_whole_gives(bytes in stretches(14), edits in edits()) {
        let mut bytes = bytes;
        bytes.truncate(SMALL.segment as usize);
        let old: Vec<_> = reference(&SMALL, &bytes).iter().map(item).collect();
        let old_len = bytes.len() as u64;
        let dirty = apply(&mut bytes, &old, &edits);
        bytes.truncate(SMALL.segment as usize);
        if !may_recut(&SMALL, old_len, bytes.len() as u64) {
            return Ok(());
        }
        let (items, _) = recut(&old, &bytes, &dirty);
        prop_assert_eq!(items, reference(&SMALL, &bytes).iter().map(item).collect::<Vec<_>>());
    }
}

/// Bytes that compress and repeat as random ones do.
fn noise(seed: &str, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    blake3::Hasher::new().update(seed.as_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}

#[test]
fn a_small_edit_reads_little() {
    let mut bytes = noise("little", SMALL.segment as usize);
    let old: Vec<_> = reference(&SMALL, &bytes).iter().map(item).collect();
    bytes[8000] ^= 1;
    let (items, read) = recut(&old, &bytes, std::slice::from_ref(&(8000..8001)));
    assert_eq!(items, reference(&SMALL, &bytes).iter().map(item).collect::<Vec<_>>());
    let touched = items.iter().filter(|item| !old.contains(item)).count();
    assert_eq!(touched, 1, "one byte is in one chunk");
    assert!(read <= 3 * u64::from(SMALL.chunk_max), "read {read} bytes");
}

#[test]
fn a_cut_two_bytes_before_a_new_hole_is_looked_at_again() {
    // FastCDC tests bytes in pairs: the last byte of an odd stretch is never one to cut before. A run of zeros one byte
    // short of a hole stands right behind such a cut; the edit adds that byte, and the cut goes.
    let hole_min = SMALL.hole_min as usize;
    let mut tried = 0;
    for seed in 0..200 {
        let mut bytes = noise(&format!("pairs {seed}"), 8000);
        let pieces = reference(&SMALL, &bytes);
        let cut = pieces[0].len() as usize;
        if cut % 2 == 1 || cut + hole_min + 2 > bytes.len() {
            continue;
        }
        bytes[cut + 1..cut + hole_min].fill(0);
        bytes[cut + hole_min] = 1;
        let old: Vec<_> = reference(&SMALL, &bytes).iter().map(item).collect();
        bytes[cut + hole_min] = 0;
        let edit = (cut + hole_min) as u64..(cut + hole_min) as u64 + 1;
        let new: Vec<_> = reference(&SMALL, &bytes).iter().map(item).collect();
        assert_eq!(recut(&old, &bytes, std::slice::from_ref(&edit)).0, new);
        tried += usize::from(old[0] != new[0]);
    }
    assert!(tried > 20, "the edit moved the cut in {tried} cases");
}

#[test]
fn cuts_do_not_shift_past_a_segment() {
    let old = noise("segment", 3 * SMALL.segment as usize);
    let mut new = old.clone();
    new.insert(100, 7);
    let bounds = |bytes: &[u8]| -> Vec<u64> {
        let mut end = 0;
        let ends = reference(&SMALL, bytes)
            .iter()
            .map(|piece| {
                end += piece.len();
                end
            })
            .collect::<Vec<_>>();
        assert_eq!(ends.last(), Some(&(bytes.len() as u64)));
        ends
    };
    for bytes in [&old, &new] {
        let cut: Vec<_> = cut_in_portions(SMALL, bytes, &[777]);
        assert_eq!(cut, reference(&SMALL, bytes));
        assert!(bounds(bytes).contains(&SMALL.segment) && bounds(bytes).contains(&(2 * SMALL.segment)));
    }
}

#[test]
fn files_up_to_the_longest_chunk_are_not_cut() {
    let constants = Constants::default();
    let bytes = noise("whole", constants.chunk_max as usize);
    assert_eq!(cut_in_portions(constants, &bytes, &[100_000]).len(), 1);
    let bytes = noise("whole", constants.chunk_max as usize + 1);
    assert!(cut_in_portions(constants, &bytes, &[100_000]).len() > 1);
}

#[test]
fn a_hole_of_many_segments_costs_no_bytes() {
    let constants = Constants::default();
    let mut chunker = Chunker::new(constants);
    chunker.push_zeros(1 << 40);
    chunker.finish();
    let mut holes = 0;
    while let Some(piece) = chunker.next() {
        assert_eq!(piece, Piece::Hole(constants.segment));
        holes += 1;
    }
    assert_eq!(holes, (1u64 << 40) / constants.segment);
}
