//! Cases that a decoder must refuse, each kept as a file so that it is tried for ever.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::golden::{WRITE, compare_or_write, writes};
use crate::hostile::decode;
use crate::raw::{
    RawEntry, RawList, counts, derive, dir, encoding, inlined_chain, leaf, place, stored, xattr, xattr_chunk,
};
use crate::{raw, records};

type Cases = BTreeMap<String, Vec<u8>>;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/format/corpus")
}

fn node_of(entries: &[RawEntry]) -> Vec<u8> {
    stored(&leaf(&entries.iter().map(RawEntry::bytes).collect::<Vec<_>>()), &[])
}

fn spoiled(spoil: impl FnOnce(&mut RawEntry)) -> Vec<u8> {
    let mut entry = RawEntry::fifo(b"a");
    spoil(&mut entry);
    node_of(&[entry])
}

fn patched(mut bytes: Vec<u8>, at: usize, with: &[u8]) -> Vec<u8> {
    bytes[at..at + with.len()].copy_from_slice(with);
    bytes
}

fn header_cases(add: &mut impl FnMut(&str, Vec<u8>)) {
    let whole = node_of(&[RawEntry::fifo(b"a")]);
    add("node/empty", Vec::new());
    add("node/half-a-header", whole[..9].to_vec());
    add("node/cut-in-an-entry", whole[..30].to_vec());
    add("node/cut-before-the-places", whole[..raw::canonical_range(&whole).end].to_vec());
    add("node/more-behind", [&whole[..], &[0]].concat());
    add("node/other-magic", patched(whole.clone(), 0, b"mfsX"));
    add("node/version-0", patched(whole.clone(), 4, &[0]));
    add("node/version-2", patched(whole.clone(), 4, &[2]));
    add("node/reserved-bytes", patched(whole.clone(), 6, &[1]));
    add("node/huge-count", patched(whole.clone(), 8, &u32::MAX.to_le_bytes()));
    add("node/count-too-high", patched(whole.clone(), 8, &[2]));
    add("node/count-too-low", patched(whole.clone(), 8, &[0]));
    add("node/huge-length", patched(whole.clone(), 12, &u32::MAX.to_le_bytes()));
    add("node/length-over-the-limit", patched(whole.clone(), 12, &262_129u32.to_le_bytes()));
    add("node/huge-entry", patched(whole.clone(), 16, &u32::MAX.to_le_bytes()));
    add("node/entry-too-short", patched(whole.clone(), 16, &[5]));
    add("node/huge-pack-table", [&leaf(&[])[..], &u16::MAX.to_le_bytes()].concat());
}

fn entry_cases(add: &mut impl FnMut(&str, Vec<u8>)) {
    let fifo = RawEntry::fifo;
    add("node/duplicate-name", node_of(&[fifo(b"a"), fifo(b"a")]));
    add("node/unsorted-names", node_of(&[fifo(b"b"), fifo(b"a")]));
    let names: [(&str, &[u8]); 6] = [
        ("empty", b""),
        ("dot", b"."),
        ("dot-dot", b".."),
        ("control", b".meshfs"),
        ("slash", b"a/b"),
        ("nul", b"a\0b"),
    ];
    for (what, name) in names {
        add(&format!("node/name-{what}"), node_of(&[fifo(name)]));
    }
    add("node/kind-0", spoiled(|e| e.kind = 0));
    add("node/unknown-flag", spoiled(|e| e.flags = 2));
    add("node/owner-missing", spoiled(|e| e.flags = 1));
    add("node/mode-too-large", spoiled(|e| e.mode = 0o10000));
    add("node/content-of-a-fifo", spoiled(|e| e.content = vec![0]));
    add("node/device-cut", spoiled(|e| (e.kind, e.content) = (7, vec![0; 7])));
    add("node/symlink-empty", spoiled(|e| (e.kind, e.content) = (4, vec![0, 0])));
    add("node/symlink-with-nul", spoiled(|e| (e.kind, e.content) = (4, vec![2, 0, b'a', 0])));
    add("node/symlink-too-long", spoiled(|e| (e.kind, e.content) = (4, [&[0, 16][..], &[b'x'; 4096]].concat())));
    add("node/url-not-utf8", spoiled(|e| (e.kind, e.content) = (2, [&[0; 8][..], &[1, 0, 255, 0, 0]].concat())));
    add("node/etag-tag", spoiled(|e| (e.kind, e.content) = (2, [&[0; 8][..], &[1, 0, b'u', 7, 0]].concat())));
    add("node/unknown-kind-without-size", spoiled(|e| (e.kind, e.content) = (99, vec![1, 2, 3])));
    add("node/unknown-kind-without-places", spoiled(|e| (e.kind, e.content) = (99, vec![0; 20])));
    let with = |xattrs: &[Vec<u8>]| node_of(&[fifo(b"a").with_xattrs(xattrs)]);
    add("node/xattr-name-empty", with(&[xattr(b"", b"v")]));
    add("node/xattr-name-nul", with(&[xattr(b"a\0", b"v")]));
    add("node/xattr-twice", with(&[xattr(b"a", b"v"), xattr(b"a", b"v")]));
    add("node/xattrs-unsorted", with(&[xattr(b"b", b"v"), xattr(b"a", b"v")]));
    add("node/xattr-inline-too-long", with(&[xattr(b"a", &[1; 257])]));
    add("node/xattr-value-tag", with(&[[&[1, b'a', 9, 0, 0][..]].concat()]));
    let chunks = |len: u32, count: u8| {
        let xattrs: Vec<_> = (0..count).map(|at| xattr_chunk(&[b'a' + at], len)).collect();
        let entry = RawEntry::fifo(b"a").with_xattrs(&xattrs);
        stored(&leaf(&[entry.bytes()]), &place().repeat(usize::from(count)))
    };
    add("node/xattr-chunk-too-short", chunks(256, 1));
    add("node/xattrs-over-64-kib", chunks(40_000, 2));
    add("node/xattr-huge", chunks(u32::MAX, 1));
    add("node/xattr-count-huge", spoiled(|e| e.xattr_count = u16::MAX));
}

fn content_cases(add: &mut impl FnMut(&str, Vec<u8>)) {
    let list = RawList::default;
    add("node/list-of-5", list().chunk(1).chunk(1).chunk(1).chunk(1).chunk(1).node(5));
    add("node/size-wrong", list().chunk(9).node(10));
    add("node/chunk-of-no-bytes", list().chunk(0).node(0));
    add("node/chunk-too-long", list().chunk((4 << 20) + 1).node((4 << 20) + 1));
    add("node/hole-over-a-segment", list().hole((64 << 20) + 1).node((64 << 20) + 1));
    add("node/chunk-over-a-segment", list().hole((64 << 20) - 1).chunk(2).node((64 << 20) + 1));
    add("node/holes-side-by-side", list().hole(70_000).hole(70_000).node(140_000));
    add("node/hole-of-2-to-the-64", list().hole(u64::MAX).node(u64::MAX));
    let file = |id: [u8; 32], size: u64, places: &[u8]| {
        let entry = RawEntry::new(b"f", 1, [&size.to_le_bytes()[..], &id].concat());
        stored(&leaf(&[entry.bytes()]), places)
    };
    let empty = derive(raw::FILE_CONTENT, &list().page());
    add("node/content-of-another-id", file([1; 32], 0, &[0]));
    add("node/pages-of-an-empty-file", file(empty, 0, &[&[255], &place()[..]].concat()));
    add("node/place-of-no-pack", file(empty, 9, &[&[255], &patched(place(), 0, &[1, 0])[..]].concat()));
    add("node/place-of-unknown-codec", file(empty, 9, &[&[255], &patched(place(), 2, &[2])[..]].concat()));
    add("node/place-reserved-byte", file(empty, 9, &[&[255], &patched(place(), 3, &[1])[..]].concat()));
    add("node/place-past-2-to-the-64", file(empty, 9, &[&[255], &patched(place(), 8, &[255; 8])[..]].concat()));
    add("node/item-tag", file(empty, 0, &[1, 9]));
}

fn tree_cases(add: &mut impl FnMut(&str, Vec<u8>)) {
    let inlining = |child: &[u8], id: [u8; 32], counts: &[u8]| {
        stored(&leaf(&[dir(b"d", id, counts).bytes()]), &[&[1], child].concat())
    };
    let child = leaf(&[RawEntry::fifo(b"a").bytes()]);
    let id = derive(raw::NODE, &child);
    add("node/inlined-of-another-id", inlining(&child, [1; 32], &counts(1, 0, 0)));
    add("node/inlined-with-wrong-counts", inlining(&child, id, &counts(2, 0, 0)));
    add("node/dir-tag", stored(&leaf(&[dir(b"d", id, &counts(1, 0, 0)).bytes()]), &[2]));
    let overflow = |n: &[u8]| dir(n, [1; 32], &counts(1, 1, u64::MAX)).bytes();
    let places = [&[0], &place()[..], &[0], &place()[..]].concat();
    add("node/counts-overflow", stored(&leaf(&[overflow(b"a"), overflow(b"b")]), &places));
    let many: Vec<_> = (0..200).map(|n: u32| RawEntry::fifo(format!("{n:04}").as_bytes()).bytes()).collect();
    let large = leaf(&many);
    add("node/inlined-too-large", inlining(&large, derive(raw::NODE, &large), &counts(200, 0, 0)));
    let inner_child = [&[1, b'a'][..], &[1; 32], &counts(1, 0, 0)].concat();
    let inner = encoding(b"mfsN", 1, 1, &inner_child);
    let below = [&inner[..], &place()].concat();
    add("node/inlined-of-two-levels", inlining(&below, derive(raw::NODE, &inner), &counts(1, 0, 0)));
    add("node/inlined-deep", inlined_chain(60));
    add("node/inlined-very-deep", inlined_chain(500));
    let of = |level: u8, children: &[&[u8]]| {
        let canonical = encoding(b"mfsN", level, children.len() as u32, &children.concat());
        stored(&canonical, &place().repeat(children.len()))
    };
    add("node/inner-empty", of(1, &[]));
    add("node/inner-level-too-high", of(33, &[&inner_child]));
    add("node/inner-twice", of(1, &[&inner_child, &inner_child]));
    let most = [&[1, b'b'][..], &[1; 32], &counts(u64::MAX, 0, 0)].concat();
    add("node/inner-counts-overflow", of(1, &[&inner_child, &most]));
    let dot_dot = [&[2, b'.', b'.'][..], &[1; 32], &counts(1, 0, 0)].concat();
    add("node/inner-dot-dot", of(1, &[&dot_dot]));
    let root = |name: &[u8], kind: u8, count: u32, behind: &[u8]| {
        let mut entry = dir(name, [1; 32], &counts(1, 0, 0));
        entry.kind = kind;
        let body = [&entry.bytes()[..], behind].concat();
        stored(&encoding(b"mfsR", 0, count, &body), &[&[0], &place()[..]].concat())
    };
    add("root/with-a-name", root(b"r", 3, 0, &[]));
    add("root/no-directory", root(b"", 7, 0, &[]));
    add("root/links-missing", root(b"", 3, 1, &[]));
    add("root/two-link-tables", root(b"", 3, 2, &[1; 64]));
    add("root/more-behind", root(b"", 3, 0, &[1]));
}

fn list_cases(add: &mut impl FnMut(&str, Vec<u8>)) {
    let part = |paths: &[&[u8]]| {
        let paths: Vec<_> = paths.iter().map(|path| [&(path.len() as u16).to_le_bytes()[..], path].concat()).collect();
        [&(paths.len() as u32).to_le_bytes()[..], &paths.concat()].concat()
    };
    let leaf = |parts: &[Vec<u8>]| stored(&encoding(b"mfsL", 0, parts.len() as u32, &parts.concat()), &[]);
    add("link/empty", leaf(&[]));
    add("link/alone", leaf(&[part(&[b"a-path-of-one-file"])]));
    add("link/twice", leaf(&[part(&[b"a", b"a"])]));
    add("link/unsorted-paths", leaf(&[part(&[b"b", b"a"])]));
    add("link/unsorted-groups", leaf(&[part(&[b"c", b"d"]), part(&[b"a", b"b"])]));
    add("link/parts-overlap", leaf(&[part(&[b"a", b"c"]), part(&[b"a", b"b"])]));
    for (what, path) in
        [("dot-dot", &b"a/.."[..]), ("absolute", b"/z"), ("slash-behind", b"z/"), ("two-slashes", b"z//z")]
    {
        add(&format!("link/path-{what}"), leaf(&[part(&[b"a", path])]));
    }
    add("link/huge-count", leaf(&[[&u32::MAX.to_le_bytes()[..], &[0; 20]].concat()]));
    let page = |list: &RawList| {
        let places = place().repeat(list.canonical.iter().filter(|b| **b == 8).count() / 32);
        stored(&list.page(), &places)
    };
    add("page/empty", page(&RawList::default()));
    add("page/holes-side-by-side", page(&RawList::default().hole(70_000).hole(70_000)));
    add("page/two-segments", page(&RawList::default().hole(64 << 20).hole(64 << 20)));
    let upper = |level: u8, lens: &[u64]| {
        let body: Vec<_> = lens.iter().flat_map(|len| [&len.to_le_bytes()[..], &[1; 32]].concat()).collect();
        stored(&encoding(b"mfsP", level, lens.len() as u32, &body), &place().repeat(lens.len()))
    };
    add("page/short-in-the-middle", upper(1, &[5, 64 << 20]));
    add("page/longer-than-a-segment", upper(1, &[(64 << 20) + 1]));
    add("page/of-none", upper(1, &[]));
    add("page/of-1025", upper(1, &[64 << 20; 1025]));
    add("page/level-5", upper(5, &[5]));
    add("page/lengths-overflow", upper(4, &[1 << 56; 1024]));
}

fn json_cases(add: &mut impl FnMut(&str, Vec<u8>)) {
    use meshfs::format::log::{encode_entry, encode_mesh_entry};
    use meshfs::format::record::encode_commit;
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let record = text(encode_commit(&records::commit()).unwrap());
    let entry = text(encode_entry(&records::entry()).unwrap());
    let at = text(encode_entry(&records::entry_at()).unwrap());
    let mesh = text(encode_mesh_entry(&records::mesh_entry()).unwrap());
    let mut spoil = |name: &str, text: &str, from: &str, to: &str| {
        assert!(text.contains(from), "{name}: {text}");
        add(name, text.replace(from, to).into_bytes());
    };
    spoil("record/cut", &record, "\"nonce\"", "\0");
    spoil("record/format-0", &record, "\"format\":1", "\"format\":0");
    spoil("record/format-2", &record, "\"format\":1", "\"format\":2");
    spoil("record/format-negative", &record, "\"format\":1", "\"format\":-1");
    spoil("record/id-in-capitals", &record, "\"root\":\"01", "\"root\":\"0A");
    spoil("record/field-twice", &record, "\"format\":1", "\"format\":1,\"host\":\"x\"");
    spoil("record/time-that-is-none", &record, "2023-", "2023-13-");
    spoil("record/number-too-large", &record, "\"generation\":7", "\"generation\":18446744073709551616");
    spoil("record/unknown-codec", &record, "\"zstd\"", "\"lz4\"");
    spoil("entry/seq-0", &entry, "\"seq\":64", "\"seq\":0");
    spoil("entry/table-behind", &at, "\"at\":{\"seq\":64", "\"at\":{\"seq\":65");
    spoil("entry/name-with-slash", &entry, "\"v1.0\"", "\"../v1\"");
    spoil("entry/unknown-feature", &entry, "\"read\":[]", "\"read\":[\"later\"]");
    spoil("entry/changed-before-made", &entry, "\"created_seq\":5", "\"created_seq\":6");
    spoil("entry/unknown-operation", &entry, "\"operation\":\"commit\"", "\"operation\":\"later\"");
    spoil("mesh-entry/constants", &mesh, "\"chunk_min\":32768", "\"chunk_min\":1");
    spoil("mesh-entry/segment", &mesh, "\"segment\":67108864", "\"segment\":0");
    spoil("mesh-entry/domain-name", &mesh, "\"name\":\"sales\"", "\"name\":\"..\"");
    let deep = format!("\"x\":{}{},\"format\":1", "[".repeat(10_000), "]".repeat(10_000));
    spoil("record/deep", &record, "\"format\":1", &deep);
    spoil("entry/deep", &entry, "\"format\":1", &deep);
    add("entry/empty", Vec::new());
    add("table/no-rows", b"{\"format\":1}".to_vec());
}

fn binary_cases(add: &mut impl FnMut(&str, Vec<u8>)) {
    let frame = |kind: u8, codec: u8, flags: u8, len: u32, stored: &[u8]| {
        [&[kind, codec, flags, 0][..], &len.to_le_bytes(), &[0; 8], stored].concat()
    };
    add("frame/half-a-header", vec![b'c'; 7]);
    add("frame/unknown-kind", frame(b'z', 0, 0, 1, b"x"));
    add("frame/unknown-codec", frame(b'c', 2, 0, 1, b"x"));
    add("frame/flags", frame(b'c', 0, 1, 1, b"x"));
    add("frame/cut", frame(b'c', 0, 0, 2, b"x"));
    add("frame/more-behind", frame(b'c', 0, 0, 0, b"x"));
    add("frame/no-zstd", frame(b'c', 1, 0, 1, b"x"));
    let bomb = zstd::bulk::compress(&vec![0; (4 << 20) + 1], 3).unwrap();
    add("frame/too-large-unpacked", frame(b'c', 1, 0, bomb.len() as u32, &bomb));
    let cut = &zstd::bulk::compress(&raw::derive("x", b"x").repeat(9), 3).unwrap();
    add("frame/zstd-cut", frame(b'c', 1, 0, cut.len() as u32 - 3, &cut[..cut.len() - 3]));
    add("footer/short", vec![0; 31]);
    add("footer/zeros", vec![0; 32]);
    let relocations = meshfs::format::relocation::encode_relocations(&records::relocations()).unwrap();
    // Behind the header, the pack and the nonce: the count, and the first offset.
    add("relocations/huge-count", patched(relocations.clone(), 48, &u32::MAX.to_le_bytes()));
    add("relocations/unsorted", patched(relocations.clone(), 52, &[255; 8]));
    add("relocations/cut", relocations[..60].to_vec());
    let condemned = meshfs::format::gc::encode_condemned(&records::condemned()).unwrap();
    // Behind the header, epoch, nonce, horizon and time: the count of packs, and the first of them.
    add("condemned/huge-count", patched(condemned.clone(), 56, &u32::MAX.to_le_bytes()));
    add("condemned/unsorted", patched(condemned.clone(), 60, &[255; 16]));
    add("condemned/cut", condemned[..70].to_vec());
}

fn cases() -> Cases {
    let mut cases = Cases::new();
    let mut add = |name: &str, bytes: Vec<u8>| assert!(cases.insert(name.to_owned(), bytes).is_none(), "{name} twice");
    header_cases(&mut add);
    entry_cases(&mut add);
    content_cases(&mut add);
    tree_cases(&mut add);
    list_cases(&mut add);
    json_cases(&mut add);
    binary_cases(&mut add);
    cases
}

#[test]
fn every_case_is_kept_as_a_file() {
    for (name, bytes) in cases() {
        let file = folder().join(&name);
        if writes() {
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(&file, &bytes).unwrap();
        }
        assert!(fs::read(&file).is_ok_and(|kept| kept == bytes), "{name}: {WRITE}=1 writes it, if that is meant");
    }
}

#[test]
fn every_kept_file_is_refused_for_its_reason() {
    let mut refusals = Vec::new();
    for decoder in fs::read_dir(folder()).unwrap().map(|decoder| decoder.unwrap().path()) {
        let name = decoder.file_name().unwrap().to_string_lossy().into_owned();
        for case in fs::read_dir(&decoder).unwrap().map(|case| case.unwrap().path()) {
            let Err(error) = decode(&name, &fs::read(&case).unwrap()) else { panic!("{} is sound", case.display()) };
            refusals.push(format!("{name}/{}: {error}\n", case.file_name().unwrap().to_string_lossy()));
        }
    }
    refusals.sort();
    compare_or_write("refusals.txt", refusals.concat().as_bytes());
}

#[test]
fn what_is_written_by_hand_is_what_the_encoder_writes() {
    use meshfs::format::node::encode_node;
    use meshfs::model::{entry::Content, time::Time, tree::Node};
    let mut fifo = crate::made::named("a", Content::Fifo);
    fifo.entry.meta.mtime = Time(1_000_000_000);
    let encoded = encode_node(&Node::Leaf(vec![fifo])).unwrap();
    let by_hand = leaf(&[RawEntry::fifo(b"a").bytes()]);
    assert_eq!(encoded.canonical(), by_hand);
    assert_eq!(encoded.id.0, derive(raw::NODE, &by_hand));
    assert!(
        decode("node", &node_of(&[RawEntry::fifo(b"a")])).is_ok(),
        "sound, so the cases above are wrong by one thing"
    );
    assert!(decode("node", &RawList::default().chunk(9).hole(70_000).node(70_009)).is_ok());
    assert!(decode("node", &inlined_chain(20)).is_ok());
}
