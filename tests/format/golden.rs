//! Golden files: one of each encoding with its id. One that changes is a change of the stored format.

use std::fs;
use std::path::Path;

use bytes::Bytes;
use meshfs::format::chunk::{Chunker, Piece};
use meshfs::format::content::{encode_page, external_id, list_id};
use meshfs::format::filter;
use meshfs::format::link::{build_links, encode_link_node};
use meshfs::format::log::{encode_table, entry_id, entry_name, mesh_entry_id};
use meshfs::format::node::{encode_node, encode_root};
use meshfs::format::pack::{
    FOOTER_BYTES, FrameKind, PackBuilder, decode_directory, decode_footer, decode_frame, encode_frame,
};
use meshfs::format::split::build_dir;
use meshfs::model::content::{Constants, Item, Page, PageRef, SEGMENT_BYTES};
use meshfs::model::entry::{Content, Entry};
use meshfs::model::id::{ContentId, NodeId, PackName, RootId};
use meshfs::model::log::TableRef;
use meshfs::model::path::TreePath;
use meshfs::model::tree::{
    Child, DirContent, LinkBody, LinkChild, LinkGroup, LinkNode, LinkTable, Node, NodeBody, Root,
};

use crate::made::{chunk, external, location, meta, named, one_of_each};
use crate::{raw, records};

/// Set, it writes golden files and corpus in place of comparing them.
pub const WRITE: &str = "MESHFS_WRITE_FORMAT_FILES";

pub fn writes() -> bool {
    std::env::var_os(WRITE).is_some()
}

fn path_of(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/format/golden").join(name)
}

pub fn compare_or_write(name: &str, bytes: &[u8]) {
    let file = path_of(name);
    if writes() {
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, bytes).unwrap();
    }
    let kept = fs::read(&file).unwrap_or_default();
    let at = kept.iter().zip(bytes).position(|(a, b)| a != b).unwrap_or(kept.len().min(bytes.len()));
    let around =
        |bytes: &[u8]| String::from_utf8_lossy(&bytes[at.saturating_sub(40)..(at + 60).min(bytes.len())]).into_owned();
    assert!(kept == bytes, "{name} differs from byte {at} on:\nkept {:?}\nnow  {:?}", around(&kept), around(bytes));
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Ids as lines of one golden file.
#[derive(Default)]
struct Ids(String);

impl Ids {
    fn add(&mut self, name: &str, id: impl std::fmt::Display) {
        self.0.push_str(&format!("{name} {id}\n"));
    }
}

fn inner() -> Node {
    let child = |name: &str, offset: u64| Child {
        last_name: name.into(),
        id: NodeId([offset as u8; 32]),
        counts: meshfs::model::tree::Counts { entries: 300, files: 200, bytes: 123_456 },
        body: NodeBody::Stored(location(1, offset)),
    };
    Node::Inner { level: 1, children: vec![child("m", 4096), child("z", 70_000)] }
}

fn root(links: bool) -> Root {
    let small = build_dir(vec![named("README", Content::Fifo)]).unwrap();
    let links = links.then(|| LinkTable { id: NodeId([6; 32]), body: LinkBody::Stored(location(2, 10)) });
    Root { id: RootId([0; 32]), entry: Entry { meta: meta(0o755), content: Content::Dir(small) }, links }
}

fn items() -> Vec<Item> {
    vec![chunk(b"first", location(1, 0)), Item::Hole { len: 65_536 }, chunk(b"second", location(2, 400))]
}

#[test]
fn nodes_roots_links_and_pages() {
    let mut ids = Ids::default();
    let mut keep = |name: &str, id: [u8; 32], bytes: &[u8]| {
        compare_or_write(&format!("{name}.bin"), bytes);
        ids.add(name, hex(&id));
    };
    let leaf = encode_node(&Node::Leaf(one_of_each())).unwrap();
    keep("node-leaf", leaf.id.0, &leaf.bytes);
    let empty = encode_node(&Node::empty()).unwrap();
    keep("node-empty", empty.id.0, &empty.bytes);
    let inner = encode_node(&inner()).unwrap();
    keep("node-inner", inner.id.0, &inner.bytes);
    for (name, links) in [("root", false), ("root-with-links", true)] {
        let root = encode_root(&root(links)).unwrap();
        keep(name, root.id.0, &root.bytes);
    }
    let path = |text: &str| TreePath::parse(text.as_bytes()).unwrap();
    let groups = vec![LinkGroup(vec![path("a"), path("b/c")]), LinkGroup(vec![path("d"), path("e"), path("f")])];
    let links = encode_link_node(&LinkNode::Leaf(groups)).unwrap();
    keep("link-leaf", links.id.0, &links.bytes);
    let child = |key: &[u8], n: u8| LinkChild {
        last_key: key.to_vec(),
        id: NodeId([n; 32]),
        body: LinkBody::Stored(location(n, 5)),
    };
    let children = vec![child(b"a\0b", 1), child(b"k\0l", 2)];
    let links = encode_link_node(&LinkNode::Inner { level: 1, children }).unwrap();
    keep("link-inner", links.id.0, &links.bytes);
    let page = encode_page(&Page::Items(items())).unwrap();
    keep("page-items", page.id.0, &page.bytes);
    let full = PageRef { len: SEGMENT_BYTES, id: ContentId([3; 32]), location: location(3, 3) };
    let pages = vec![full, PageRef { len: 99, id: ContentId([4; 32]), location: location(3, 900) }];
    let page = encode_page(&Page::Pages { level: 1, pages }).unwrap();
    keep("page-upper", page.id.0, &page.bytes);
    ids.add("list", list_id(&items()));
    ids.add("list-empty", list_id(&[]));
    ids.add("external", external_id(&external("https://example.org/a.parquet", Some("\"e1\""))).unwrap());
    compare_or_write("ids-of-trees.txt", ids.0.as_bytes());
}

#[test]
fn records_and_logs() {
    use meshfs::format::{gc, log, record, relocation};
    let mut ids = Ids::default();
    compare_or_write("commit.json", &record::encode_commit(&records::commit()).unwrap());
    ids.add("commit", records::commit().id);
    for (name, entry) in
        [("entry", records::entry()), ("entry-at", records::entry_at()), ("entry-packed", records::entry_packed())]
    {
        compare_or_write(&format!("{name}.json"), &log::encode_entry(&entry).unwrap());
        ids.add(name, hex(&entry_id(&entry).unwrap()));
        ids.add(&format!("{name}-name"), entry_name(entry.seq));
    }
    for (name, entry) in [("mesh-entry", records::mesh_entry()), ("mesh-entry-at", records::mesh_entry_at())] {
        compare_or_write(&format!("{name}.json"), &log::encode_mesh_entry(&entry).unwrap());
        ids.add(name, hex(&mesh_entry_id(&entry).unwrap()));
    }
    let TableRef::Here(table) = records::entry().table else { panic!("a whole table") };
    compare_or_write("table.json", &encode_table(&table).unwrap());
    compare_or_write("relocations.bin", &relocation::encode_relocations(&records::relocations()).unwrap());
    compare_or_write("condemned.bin", &gc::encode_condemned(&records::condemned()).unwrap());
    let paths = ["orders/1.parquet", "orders/2.parquet", "README.md"];
    let filter = filter::build(&paths.map(|path| TreePath::parse(path.as_bytes()).unwrap()));
    ids.add("filter", format!("{} {}", filter.hashes, hex(&filter.bits)));
    compare_or_write("ids-of-records.txt", ids.0.as_bytes());
}

fn noise(len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    blake3::Hasher::new().update(b"golden").finalize_xof().fill(&mut bytes);
    bytes
}

/// Where files are cut must never depend on the version of a crate: ids of contents do.
#[test]
fn cuts_of_files() {
    let mut bytes = noise(6 << 20);
    bytes[1_000_000..1_100_000].fill(0);
    bytes[3_000_000..3_065_535].fill(0);
    let mut chunker = Chunker::new(Constants::default());
    let mut lines = String::new();
    chunker.push(&bytes);
    chunker.finish();
    while let Some(piece) = chunker.next() {
        match piece {
            Piece::Chunk(bytes) => lines.push_str(&format!("chunk {} {}\n", bytes.len(), blake3::hash(&bytes))),
            Piece::Hole(len) => lines.push_str(&format!("hole {len}\n")),
        }
    }
    compare_or_write("cuts.txt", lines.as_bytes());
}

/// Where directories are cut, on every level.
#[test]
fn cuts_of_directories() {
    let entries = (0..120_000).map(|n| named(&format!("entry-{n:06}"), Content::Symlink(b"target".to_vec())));
    let mut lines = String::new();
    let mut work = vec![build_dir(entries.collect()).unwrap()];
    while let Some(DirContent { id, body, .. }) = work.pop() {
        let NodeBody::Here(node) = body else { panic!("it was just made") };
        let last = String::from_utf8_lossy(node.last_name().unwrap()).into_owned();
        lines.push_str(&format!("level {} {id} {last}\n", node.level()));
        if let Node::Inner { children, .. } = node.as_ref() {
            let below = children.iter().rev();
            work.extend(below.map(|child| DirContent { id: child.id, counts: child.counts, body: child.body.clone() }));
        }
    }
    let groups = (0..3000).map(|n| {
        let path = |which: &str| TreePath::parse(format!("{which}/{n:05}/a-file-of-two-names").as_bytes()).unwrap();
        LinkGroup(vec![path("left"), path("right")])
    });
    lines.push_str(&format!("links {}\n", build_links(groups.collect()).unwrap().unwrap().id));
    compare_or_write("cuts-of-directories.txt", lines.as_bytes());
}

/// A pack as it was written once is read for ever. (What zstd writes today may differ.)
#[test]
fn a_pack_written_long_ago() {
    let name = PackName([0xab; 16]);
    let text = b"compressible ".repeat(100);
    let frames: [(FrameKind, &[u8]); 3] =
        [(FrameKind::Chunk, &noise(300)), (FrameKind::Chunk, &text), (FrameKind::Node, &raw::leaf(&[]))];
    if writes() {
        let mut pack = PackBuilder::new(name);
        for (kind, raw) in frames {
            pack.add(&encode_frame(kind, raw).unwrap(), *blake3::hash(raw).as_bytes());
        }
        compare_or_write("pack.bin", &pack.finish().unwrap());
    }
    let pack = Bytes::from(fs::read(path_of("pack.bin")).unwrap());
    let directory = decode_footer(&pack[pack.len() - FOOTER_BYTES..]).unwrap();
    let entries = decode_directory(&name, &pack.slice(directory.start as usize..directory.end as usize)).unwrap();
    assert_eq!(entries.len(), frames.len());
    for (entry, (kind, raw)) in entries.iter().zip(frames) {
        let frame = pack.slice(entry.offset as usize..entry.offset as usize + entry.len as usize);
        assert_eq!(decode_frame(kind, &frame).unwrap(), raw);
        assert_eq!((entry.kind, entry.raw_len as usize, entry.id), (kind, raw.len(), *blake3::hash(raw).as_bytes()));
    }
    // A raw frame has one form.
    assert_eq!(encode_frame(FrameKind::Chunk, &noise(300)).unwrap().bytes, pack.slice(..316));
}
