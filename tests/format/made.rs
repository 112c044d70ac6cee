//! Values to encode: one of each kind, and strategies for all.

use std::collections::BTreeMap;

use meshfs::format::content::{chunk_id, external_id, list_id};
use meshfs::format::node::{encode_node, is_inlined};
use meshfs::format::split::build_dir;
use meshfs::model::content::{ExternalContent, FileBody, FileContent, Item};
use meshfs::model::entry::{Content, Entry, Meta, Owner, Xattr, XattrValue};
use meshfs::model::id::{ChunkId, Codec, ContentId, Location, PackName};
use meshfs::model::path::check_name;
use meshfs::model::time::Time;
use meshfs::model::tree::{DirContent, NamedEntry, Node, NodeBody};
use proptest::prelude::*;

pub fn location(pack: u8, offset: u64) -> Location {
    Location { pack: PackName([pack; 16]), offset, len: 100, codec: Codec::Zstd }
}

pub fn chunk(bytes: &[u8], location: Location) -> Item {
    Item::Chunk { len: bytes.len() as u32, id: chunk_id(bytes), location }
}

pub fn file_of(items: Vec<Item>) -> FileContent {
    FileContent { size: items.iter().map(Item::len).sum(), id: list_id(&items), body: FileBody::Items(items) }
}

pub fn external(url: &str, etag: Option<&str>) -> ExternalContent {
    let mut external = ExternalContent {
        url: url.to_owned(),
        size: 7,
        etag: etag.map(str::to_owned),
        version: None,
        id: ContentId([0; 32]),
    };
    external.id = external_id(&external).unwrap();
    external
}

pub fn meta(mode: u16) -> Meta {
    Meta { mode, owner: None, mtime: Time(1_700_000_000_123_456_789), xattrs: Vec::new() }
}

pub fn named(name: &str, content: Content) -> NamedEntry {
    NamedEntry { name: name.into(), entry: Entry { meta: meta(0o644), content } }
}

/// An entry of each kind, sorted.
pub fn one_of_each() -> Vec<NamedEntry> {
    let small = build_dir(vec![named("inside", Content::Fifo)]).unwrap();
    let large = build_dir((0..200).map(|n| named(&format!("{n:04}"), Content::Fifo)).collect()).unwrap();
    let large = DirContent { body: NodeBody::Stored(location(3, 4096)), ..large };
    let pages = FileContent { size: 1 << 30, id: ContentId([9; 32]), body: FileBody::Pages(location(4, 77)) };
    let mut owned = named("owned", Content::File(file_of(vec![chunk(b"data", location(1, 0))])));
    owned.entry.meta.owner = Some(Owner { uid: 1000, gid: 100 });
    owned.entry.meta.xattrs = vec![
        Xattr {
            name: b"user.long".to_vec(),
            value: XattrValue::Chunk { len: 300, id: ChunkId([5; 32]), location: location(1, 500) },
        },
        Xattr { name: b"user.short".to_vec(), value: XattrValue::Inline(b"value".to_vec()) },
    ];
    let list = vec![chunk(b"a", location(1, 16)), Item::Hole { len: 70_000 }, chunk(b"b", location(2, 0))];
    vec![
        named("block", Content::BlockDevice { rdev: 0x0801 }),
        named("char", Content::CharDevice { rdev: 0x0103 }),
        named("dir-inlined", Content::Dir(small)),
        named("dir-outside", Content::Dir(large)),
        named("empty", Content::File(file_of(Vec::new()))),
        named("external", Content::External(external("https://example.org/a.parquet", Some("\"e1\"")))),
        named("fifo", Content::Fifo),
        named("list", Content::File(file_of(list))),
        owned,
        named("paged", Content::File(pages)),
        named("socket", Content::Socket),
        named("symlink", Content::Symlink(b"../target".to_vec())),
        named(
            "unknown",
            Content::Unknown { kind: 200, size: 12, canonical: b"later".to_vec(), stored: b"places".to_vec() },
        ),
    ]
}

/// A tree to be built: a directory's names, with leaves of any kind but directories.
#[derive(Clone, Debug)]
pub enum Made {
    Entry(Entry),
    Dir(Meta, BTreeMap<Vec<u8>, Made>),
}

pub fn names() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => "[a-z]{1,6}".prop_map(String::into_bytes),
        1 => prop::collection::vec(any::<u8>(), 1..40),
    ]
    .prop_filter("a name that a tree may have", |name| check_name(name).is_ok())
}

fn locations() -> impl Strategy<Value = Location> {
    (1u8..20, 0u64..(64 << 20), 16u32..600_000, any::<bool>()).prop_map(|(pack, offset, len, zstd)| Location {
        pack: PackName([pack; 16]),
        offset,
        len,
        codec: if zstd { Codec::Zstd } else { Codec::Raw },
    })
}

fn xattrs() -> impl Strategy<Value = Vec<Xattr>> {
    let value = prop_oneof![
        3 => prop::collection::vec(any::<u8>(), 0..=256).prop_map(XattrValue::Inline),
        1 => (257u32..2000, any::<[u8; 32]>(), locations())
            .prop_map(|(len, id, location)| XattrValue::Chunk { len, id: ChunkId(id), location }),
    ];
    prop::collection::btree_map("user\\.[a-z]{1,9}", value, 0..4)
        .prop_map(|values| values.into_iter().map(|(name, value)| Xattr { name: name.into_bytes(), value }).collect())
}

fn metas() -> impl Strategy<Value = Meta> {
    let owners = prop::option::of((any::<u32>(), any::<u32>()).prop_map(|(uid, gid)| Owner { uid, gid }));
    let xattrs = prop_oneof![3 => Just(Vec::new()), 1 => xattrs()];
    (0u16..=0o7777, owners, any::<i64>(), xattrs).prop_map(|(mode, owner, mtime, xattrs)| Meta {
        mode,
        owner,
        mtime: Time(mtime),
        xattrs,
    })
}

fn contents() -> impl Strategy<Value = Content> {
    let item = (1u32..500_000, any::<[u8; 32]>(), locations()).prop_map(|(len, id, location)| Item::Chunk {
        len,
        id: ChunkId(id),
        location,
    });
    let pages = (1u64.., any::<[u8; 32]>(), locations()).prop_map(|(size, id, location)| {
        // Sums over a tree stay far below 2^64, as those of files do.
        FileContent { size: size >> 20 | 1, id: ContentId(id), body: FileBody::Pages(location) }
    });
    prop_oneof![
        6 => prop::collection::vec(item, 0..=4).prop_map(|items| Content::File(file_of(items))),
        1 => pages.prop_map(Content::File),
        1 => ("[a-z:/]{1,30}", prop::option::of("[a-z\"]{0,9}"))
            .prop_map(|(url, etag)| Content::External(external(&url, etag.as_deref()))),
        1 => prop::collection::vec(1u8.., 1..50).prop_map(Content::Symlink),
        1 => Just(Content::Fifo),
        1 => Just(Content::Socket),
        1 => any::<u64>().prop_map(|rdev| Content::CharDevice { rdev }),
        1 => any::<u64>().prop_map(|rdev| Content::BlockDevice { rdev }),
        1 => (9u8.., 0u64..1 << 40, prop::collection::vec(any::<u8>(), 0..60), prop::collection::vec(any::<u8>(), 0..60))
            .prop_map(|(kind, size, canonical, stored)| Content::Unknown { kind, size, canonical, stored }),
    ]
}

pub fn entries() -> impl Strategy<Value = Entry> {
    (metas(), contents()).prop_map(|(meta, content)| Entry { meta, content })
}

/// Directories of up to `width` names and four levels.
pub fn trees(width: usize) -> impl Strategy<Value = Made> {
    let leaf = entries().prop_map(Made::Entry);
    leaf.prop_recursive(4, 600, width as u32, move |inner| {
        (metas(), prop::collection::btree_map(names(), inner, 0..width))
            .prop_map(|(meta, names)| Made::Dir(meta, names))
    })
    .prop_map(|made| match made {
        Made::Entry(_) => Made::Dir(meta(0o755), BTreeMap::from([(b"only".to_vec(), made)])),
        dir @ Made::Dir(..) => dir,
    })
}

/// The entry that `made` stands for; `keep` gets each directory just built, and gives what its parent refers to.
pub fn build(made: &Made, keep: &mut impl FnMut(DirContent) -> DirContent) -> Entry {
    match made {
        Made::Entry(entry) => entry.clone(),
        Made::Dir(meta, names) => {
            let entries = names.iter().map(|(name, made)| NamedEntry { name: name.clone(), entry: build(made, keep) });
            let dir = build_dir(entries.collect()).unwrap();
            Entry { meta: meta.clone(), content: Content::Dir(keep(dir)) }
        }
    }
}

/// Stores every node of a directory that is not inlined, deepest first: `put` gets it, with its id verified, and tells
/// its place.
pub fn store(dir: DirContent, put: &mut impl FnMut([u8; 32], Vec<u8>) -> Location) -> DirContent {
    if is_inlined(&dir) {
        return dir;
    }
    let NodeBody::Here(node) = &dir.body else { return dir };
    let mut node = node.as_ref().clone();
    if let Node::Inner { children, .. } = &mut node {
        for child in children {
            let below = DirContent { id: child.id, counts: child.counts, body: child.body.clone() };
            child.body = store_node(below, put).body;
        }
    }
    put_node(dir, &node, put)
}

/// As [`store`], for a node below a directory's top: those are never inlined.
fn store_node(dir: DirContent, put: &mut impl FnMut([u8; 32], Vec<u8>) -> Location) -> DirContent {
    match &dir.body {
        NodeBody::Here(node) if node.level() == 0 => {
            let node = node.clone();
            put_node(dir, &node, put)
        }
        _ => store(dir, put),
    }
}

fn put_node(dir: DirContent, node: &Node, put: &mut impl FnMut([u8; 32], Vec<u8>) -> Location) -> DirContent {
    let encoded = encode_node(node).unwrap();
    assert_eq!(encoded.id, dir.id, "an id does not depend on where children are");
    let location = put(encoded.id.0, encoded.bytes);
    DirContent { body: NodeBody::Stored(location), ..dir }
}
