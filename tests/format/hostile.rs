//! Bytes that nobody vouches for: every decoder gives a value or an error, and what it accepts has no second form.

use bytes::Bytes;
use meshfs::format::content::{decode_page, encode_page};
use meshfs::format::error::FormatError;
use meshfs::format::gc::{decode_condemned, encode_condemned};
use meshfs::format::link::{decode_link_node, encode_link_node};
use meshfs::format::log::{
    decode_entry, decode_mesh_entry, decode_table, encode_entry, encode_mesh_entry, encode_table,
};
use meshfs::format::node::{decode_node, decode_root, encode_node, encode_root};
use meshfs::format::pack::{FrameKind, PackBuilder, decode_directory, decode_footer, decode_frame, encode_frame};
use meshfs::format::record::{decode_commit, encode_commit};
use meshfs::format::relocation::{decode_relocations, encode_relocations};
use meshfs::model::content::{Item, Page, PageRef, SEGMENT_BYTES};
use meshfs::model::id::{CommitId, ContentId, NodeId, PackName, RootId};
use meshfs::model::log::TableRef;
use meshfs::model::path::TreePath;
use meshfs::model::tree::{LinkGroup, LinkNode, Node, Root};
use proptest::prelude::*;

use crate::made::{chunk, location, one_of_each};
use crate::{raw, records};

/// Decodes bytes whose hashes and checksums are made to fit, so that what they guard is reached.
pub fn decode(decoder: &str, bytes: &[u8]) -> Result<(), FormatError> {
    let canonical = &bytes[raw::canonical_range(bytes)];
    match decoder {
        "node" => {
            let node = decode_node(bytes, &NodeId(raw::id_of(raw::NODE, bytes)))?;
            assert_eq!(encode_node(&node).unwrap().canonical(), canonical);
        }
        "root" => {
            let root = decode_root(bytes, &RootId(raw::id_of(raw::ROOT, bytes)))?;
            assert_eq!(encode_root(&root).unwrap().canonical(), canonical);
        }
        "link" => {
            let node = decode_link_node(bytes, &NodeId(raw::id_of(raw::LINK_NODE, bytes)))?;
            assert_eq!(encode_link_node(&node).unwrap().canonical(), canonical);
        }
        "page" => {
            let page = decode_page(bytes, &ContentId(raw::id_of(raw::FILE_CONTENT, bytes)))?;
            assert_eq!(encode_page(&page).unwrap().canonical(), canonical);
        }
        "frame" => drop(decode_frame(FrameKind::Chunk, &with_checksum(bytes))?),
        "directory" => {
            let frame = encode_frame(FrameKind::Directory, bytes).unwrap();
            decode_directory(&PackName([1; 16]), &frame.bytes)?;
        }
        "footer" => {
            let directory = decode_footer(&with_footer_checksum(bytes))?;
            assert!(directory.start <= directory.end);
        }
        "record" => decode_record(bytes)?,
        "entry" => {
            let entry = decode_entry(bytes)?;
            assert_eq!(decode_entry(&encode_entry(&entry).unwrap()).unwrap(), entry);
        }
        "mesh-entry" => {
            let entry = decode_mesh_entry(bytes)?;
            assert_eq!(decode_mesh_entry(&encode_mesh_entry(&entry).unwrap()).unwrap(), entry);
        }
        "table" => {
            let table = decode_table(bytes)?;
            assert_eq!(decode_table(&encode_table(&table).unwrap()).unwrap(), table);
        }
        "relocations" => {
            let bytes = with_seal(bytes);
            let map = decode_relocations(&bytes, &PackName([1; 16]))?;
            assert_eq!(decode_relocations(&encode_relocations(&map).unwrap(), &map.pack).unwrap(), map);
        }
        "condemned" => {
            let bytes = with_seal(bytes);
            let list = decode_condemned(&bytes, 3)?;
            assert_eq!(encode_condemned(&list).unwrap(), bytes);
        }
        other => panic!("there is no decoder `{other}`"),
    }
    Ok(())
}

/// A record is refused by any id but its own: the refusal tells it.
fn decode_record(bytes: &[u8]) -> Result<(), FormatError> {
    match decode_commit(bytes, &CommitId([0; 32])) {
        Err(FormatError::WrongId { found, .. }) => {
            let commit = decode_commit(bytes, &found.parse().unwrap())?;
            assert_eq!(decode_commit(&encode_commit(&commit).unwrap(), &commit.id).unwrap(), commit);
            Ok(())
        }
        Err(error) => Err(error),
        Ok(_) => panic!("a record with an id of zeros"),
    }
}

fn with_checksum(frame: &[u8]) -> Bytes {
    let mut bytes = frame.to_vec();
    if bytes.len() >= 16 {
        let hash = blake3::Hasher::new().update(&bytes[..8]).update(&bytes[16..]).finalize();
        bytes[8..16].copy_from_slice(&hash.as_bytes()[..8]);
    }
    bytes.into()
}

fn with_footer_checksum(footer: &[u8]) -> Vec<u8> {
    let mut bytes = footer.to_vec();
    if bytes.len() == 32 {
        let hash = blake3::hash(&bytes[..24]);
        bytes[24..].copy_from_slice(&hash.as_bytes()[..8]);
    }
    bytes
}

fn with_seal(sealed: &[u8]) -> Vec<u8> {
    let mut bytes = sealed.to_vec();
    if let Some(end) = bytes.len().checked_sub(32) {
        let hash = blake3::hash(&bytes[..end]);
        bytes[end..].copy_from_slice(hash.as_bytes());
    }
    bytes
}

/// Sound bytes for every decoder.
pub fn samples() -> Vec<(&'static str, Vec<u8>)> {
    let path = |text: &str| TreePath::parse(text.as_bytes()).unwrap();
    let groups = vec![LinkGroup(vec![path("a"), path("b/c")]), LinkGroup(vec![path("d"), path("e"), path("f")])];
    let items = vec![chunk(b"some", location(1, 0)), Item::Hole { len: 70_000 }, chunk(b"more", location(2, 9))];
    let page = PageRef { len: SEGMENT_BYTES, id: ContentId([3; 32]), location: location(3, 3) };
    let upper = Page::Pages { level: 1, pages: vec![page, page, PageRef { len: 77, ..page }] };
    let dir = one_of_each().into_iter().find(|named| named.name == b"dir-inlined").unwrap();
    let root = Root { id: RootId([0; 32]), entry: dir.entry, links: None };
    let mut pack = PackBuilder::new(PackName([1; 16]));
    pack.add(&encode_frame(FrameKind::Chunk, b"chunk").unwrap(), [1; 32]);
    let pack = pack.finish().unwrap();
    let directory = decode_footer(&pack[pack.len() - 32..]).unwrap();
    let directory = pack.slice(directory.start as usize..directory.end as usize);
    let TableRef::Here(table) = records::entry().table else { panic!("a whole table") };
    vec![
        ("node", encode_node(&Node::Leaf(one_of_each())).unwrap().bytes),
        ("node", inner()),
        ("root", encode_root(&root).unwrap().bytes),
        ("link", encode_link_node(&LinkNode::Leaf(groups)).unwrap().bytes),
        ("page", encode_page(&Page::Items(items)).unwrap().bytes),
        ("page", encode_page(&upper).unwrap().bytes),
        ("frame", encode_frame(FrameKind::Chunk, b"raw").unwrap().bytes.to_vec()),
        ("frame", encode_frame(FrameKind::Chunk, &[b'z'; 5000]).unwrap().bytes.to_vec()),
        ("directory", decode_frame(FrameKind::Directory, &directory).unwrap().to_vec()),
        ("footer", pack[pack.len() - 32..].to_vec()),
        ("record", encode_commit(&records::commit()).unwrap()),
        ("entry", encode_entry(&records::entry()).unwrap()),
        ("entry", encode_entry(&records::entry_at()).unwrap()),
        ("entry", encode_entry(&records::entry_packed()).unwrap()),
        ("mesh-entry", encode_mesh_entry(&records::mesh_entry()).unwrap()),
        ("mesh-entry", encode_mesh_entry(&records::mesh_entry_at()).unwrap()),
        ("table", encode_table(&table).unwrap()),
        ("relocations", encode_relocations(&records::relocations()).unwrap()),
        ("condemned", encode_condemned(&records::condemned()).unwrap()),
    ]
}

fn inner() -> Vec<u8> {
    let child = |name: u8| [&[1, name][..], &[name; 32], &raw::counts(5, 3, 1000)].concat();
    let canonical = raw::encoding(b"mfsN", 1, 3, &[child(b'a'), child(b'b'), child(b'c')].concat());
    raw::stored(&canonical, &raw::place().repeat(3))
}

#[test]
fn the_samples_are_sound() {
    samples().iter().for_each(|(decoder, bytes)| decode(decoder, bytes).unwrap());
}

#[derive(Clone, Debug)]
enum Damage {
    Set(prop::sample::Index, u8),
    Number(prop::sample::Index, u32),
    Cut(prop::sample::Index),
    Remove(prop::sample::Index, usize),
    Repeat(prop::sample::Index, usize),
    Insert(prop::sample::Index, Vec<u8>),
}

fn damages() -> impl Strategy<Value = Damage> {
    let at = any::<prop::sample::Index>;
    prop_oneof![
        5 => (at(), any::<u8>()).prop_map(|(at, byte)| Damage::Set(at, byte)),
        3 => (at(), prop::sample::select(vec![0, 1, 255, 256, 65_535, 1 << 31, u32::MAX]))
            .prop_map(|(at, number)| Damage::Number(at, number)),
        1 => at().prop_map(Damage::Cut),
        1 => (at(), 1usize..50).prop_map(|(at, len)| Damage::Remove(at, len)),
        1 => (at(), 1usize..100).prop_map(|(at, len)| Damage::Repeat(at, len)),
        1 => (at(), prop::collection::vec(any::<u8>(), 1..9)).prop_map(|(at, bytes)| Damage::Insert(at, bytes)),
    ]
}

/// Does the damage; when `fit`, the canonical length in the header follows.
fn damage(bytes: &mut Vec<u8>, damage: &Damage, fit: bool) {
    if bytes.is_empty() {
        return;
    }
    let (before, canonical) = (bytes.len(), raw::canonical_range(bytes).end);
    let at = match damage {
        Damage::Set(at, _)
        | Damage::Number(at, _)
        | Damage::Cut(at)
        | Damage::Remove(at, _)
        | Damage::Repeat(at, _)
        | Damage::Insert(at, _) => at.index(bytes.len()),
    };
    match damage {
        Damage::Set(_, byte) => bytes[at] = *byte,
        Damage::Number(_, number) => {
            let end = (at + 4).min(bytes.len());
            bytes[at..end].copy_from_slice(&number.to_le_bytes()[..end - at]);
        }
        Damage::Cut(_) => bytes.truncate(at),
        Damage::Remove(_, len) => drop(bytes.drain(at..(at + len).min(before))),
        Damage::Repeat(_, len) => {
            let again = bytes[at..(at + len).min(before)].to_vec();
            bytes.splice(at..at, again);
        }
        Damage::Insert(_, new) => drop(bytes.splice(at..at, new.iter().copied())),
    }
    if fit && at >= raw::HEADER_BYTES && at < canonical && bytes.len() >= raw::HEADER_BYTES {
        let body = (canonical + bytes.len()).saturating_sub(before + raw::HEADER_BYTES) as u32;
        bytes[12..16].copy_from_slice(&body.to_le_bytes());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn damaged_bytes_give_a_value_or_an_error(
        sample in any::<prop::sample::Index>(),
        damages in prop::collection::vec(damages(), 1..4),
        fit in any::<bool>(),
    ) {
        let samples = SAMPLES.with(Clone::clone);
        let (decoder, bytes) = sample.get(&samples);
        let mut bytes = bytes.clone();
        damages.iter().for_each(|one| damage(&mut bytes, one, fit));
        let _ = decode(decoder, &bytes);
    }

    #[test]
    fn any_bytes_give_a_value_or_an_error(
        sample in any::<prop::sample::Index>(),
        keep in 0usize..40,
        bytes in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let samples = SAMPLES.with(Clone::clone);
        let (decoder, sound) = sample.get(&samples);
        let _ = decode(decoder, &bytes);
        let _ = decode(decoder, &[&sound[..keep.min(sound.len())], &bytes].concat());
    }
}

thread_local! {
    static SAMPLES: Vec<(&'static str, Vec<u8>)> = samples();
}
