//! Trees for tests: made from maps of paths, stored in memory node by node, with every load counted.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use meshfs::format::content::{chunk_id, list_id};
use meshfs::format::link::{decode_link_node, encode_link_node};
use meshfs::format::node::{decode_node, encode_node, is_inlined};
use meshfs::format::split::build_dir;
use meshfs::model::content::{FileBody, FileContent, Item};
use meshfs::model::diff::{Change, DiffOptions, diff};
use meshfs::model::entry::{Content, Entry, Kind, Meta, Owner, Xattr, XattrValue};
use meshfs::model::id::{Codec, Location, NodeId, PackName};
use meshfs::model::path::TreePath;
use meshfs::model::source::NodeSource;
use meshfs::model::time::Time;
use meshfs::model::tree::{
    Child, DirContent, LinkBody, LinkChild, LinkGroup, LinkNode, LinkTable, NamedEntry, Node, NodeBody, Root,
};
use meshfs::repo::error::RepoError;
use meshfs::repo::tree;
use parking_lot::Mutex;

pub fn path(text: &str) -> TreePath {
    TreePath::parse(text.as_bytes()).unwrap()
}

pub fn meta(mode: u16, mtime: i64) -> Meta {
    Meta { mode, owner: None, mtime: Time(mtime), xattrs: Vec::new() }
}

pub fn place() -> Location {
    Location { pack: PackName([1; 16]), offset: 0, len: 1, codec: Codec::Raw }
}

/// A file of the bytes of `text`.
pub fn file(text: &str) -> Entry {
    let items = match text.is_empty() {
        true => Vec::new(),
        false => vec![Item::Chunk { len: text.len() as u32, id: chunk_id(text.as_bytes()), location: place() }],
    };
    let content = FileContent { size: text.len() as u64, id: list_id(&items), body: FileBody::Items(items) };
    Entry { meta: meta(0o644, 1), content: Content::File(content) }
}

pub fn symlink(target: &str) -> Entry {
    Entry { meta: meta(0o777, 1), content: Content::Symlink(target.into()) }
}

/// An empty directory.
pub fn dir() -> Entry {
    Entry { meta: meta(0o755, 1), content: Content::Dir(build_dir(Vec::new()).unwrap()) }
}

pub fn with_xattr(mut entry: Entry, name: &str, value: &str) -> Entry {
    entry.meta.xattrs = vec![Xattr { name: name.into(), value: XattrValue::Inline(value.into()) }];
    entry
}

pub fn with_owner(mut entry: Entry, uid: u32) -> Entry {
    entry.meta.owner = Some(Owner { uid, gid: uid });
    entry
}

pub fn with_mode(mut entry: Entry, mode: u16) -> Entry {
    entry.meta.mode = mode;
    entry
}

pub fn at_time(mut entry: Entry, mtime: i64) -> Entry {
    entry.meta.mtime = Time(mtime);
    entry
}

/// Every path of a tree with its entry; of directories (the root too) only what is theirs counts.
pub type Flat = BTreeMap<TreePath, Entry>;

/// A tree of these texts: `name/` is a directory, `name=text` a file; directories on the way are made.
pub fn flat(lines: &[&str]) -> Flat {
    let mut flat = Flat::from([(TreePath::root(), dir())]);
    for line in lines {
        let (name, entry) = match line.split_once('=') {
            Some((name, text)) => (name, file(text)),
            None => (*line, dir()),
        };
        insert(&mut flat, &path(name), entry);
    }
    flat
}

pub fn insert(flat: &mut Flat, at: &TreePath, entry: Entry) {
    let mut above = at.clone();
    while let Some((parent, _)) = above.split_last() {
        flat.entry(parent.clone()).or_insert_with(dir);
        above = parent;
    }
    flat.insert(at.clone(), entry);
}

/// The tree of a map, built from scratch.
pub fn build(flat: &Flat) -> Entry {
    let mut below: BTreeMap<TreePath, Vec<(Vec<u8>, TreePath)>> = BTreeMap::new();
    for at in flat.keys() {
        if let Some((parent, name)) = at.split_last() {
            below.entry(parent).or_default().push((name.to_vec(), at.clone()));
        }
    }
    build_at(&TreePath::root(), flat, &below)
}

fn build_at(at: &TreePath, flat: &Flat, below: &BTreeMap<TreePath, Vec<(Vec<u8>, TreePath)>>) -> Entry {
    let entry = flat[at].clone();
    if entry.kind() != Kind::Dir {
        return entry;
    }
    let names = below.get(at).map(Vec::as_slice).unwrap_or_default();
    let mut entries: Vec<_> =
        names.iter().map(|(name, at)| NamedEntry { name: name.clone(), entry: build_at(at, flat, below) }).collect();
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    Entry { meta: entry.meta, content: Content::Dir(build_dir(entries).unwrap()) }
}

pub fn groups(names: &[&[&str]]) -> Vec<LinkGroup> {
    let mut groups: Vec<_> = names
        .iter()
        .map(|paths| {
            let mut paths: Vec<_> = paths.iter().map(|text| path(text)).collect();
            paths.sort();
            LinkGroup(paths)
        })
        .collect();
    groups.sort();
    groups
}

/// Nodes in memory.
#[derive(Default)]
pub struct Memory {
    nodes: Mutex<HashMap<NodeId, Vec<u8>>>,
    pub loads: AtomicUsize,
}

impl Memory {
    /// Stores all nodes that are not inlined: the entry as a reader of the store would have it.
    pub fn store(&self, entry: &Entry) -> Entry {
        let mut entry = entry.clone();
        if let Content::Dir(dir) = &mut entry.content
            && let NodeBody::Here(node) = &dir.body
        {
            dir.body = match is_inlined(dir) {
                true => NodeBody::Here(Arc::new(self.with_stored_children(node))),
                false => self.store_body(&dir.body),
            };
        }
        entry
    }

    fn store_body(&self, body: &NodeBody) -> NodeBody {
        let NodeBody::Here(node) = body else { return body.clone() };
        let encoded = encode_node(&self.with_stored_children(node)).unwrap();
        self.nodes.lock().insert(encoded.id, encoded.bytes);
        NodeBody::Stored(place())
    }

    fn with_stored_children(&self, node: &Node) -> Node {
        match node {
            Node::Leaf(entries) => Node::Leaf(
                entries
                    .iter()
                    .map(|found| NamedEntry { name: found.name.clone(), entry: self.store(&found.entry) })
                    .collect(),
            ),
            Node::Inner { level, children } => Node::Inner {
                level: *level,
                children: children
                    .iter()
                    .map(|child| Child { body: self.store_body(&child.body), ..child.clone() })
                    .collect(),
            },
        }
    }

    fn store_links(&self, body: &LinkBody) -> LinkBody {
        let LinkBody::Here(node) = body else { return body.clone() };
        let node = match &**node {
            LinkNode::Leaf(groups) => LinkNode::Leaf(groups.clone()),
            LinkNode::Inner { level, children } => LinkNode::Inner {
                level: *level,
                children: children
                    .iter()
                    .map(|child| LinkChild { body: self.store_links(&child.body), ..child.clone() })
                    .collect(),
            },
        };
        let encoded = encode_link_node(&node).unwrap();
        self.nodes.lock().insert(encoded.id, encoded.bytes);
        LinkBody::Stored(place())
    }

    /// A stored snapshot of this map and these hard links.
    pub fn root(&self, flat: &Flat, links: Vec<LinkGroup>) -> Root {
        let links = tree::links(links).unwrap();
        let links = links.map(|table| LinkTable { id: table.id, body: self.store_links(&table.body) });
        tree::root(self.store(&build(flat)), links).unwrap()
    }

    pub fn stored(&self, flat: &Flat) -> Entry {
        self.store(&build(flat))
    }

    /// Loads since last asked.
    pub fn take_loads(&self) -> usize {
        self.loads.swap(0, Ordering::Relaxed)
    }
}

impl NodeSource for Memory {
    type Error = RepoError;

    async fn node(&self, id: &NodeId, body: &NodeBody) -> Result<Arc<Node>, RepoError> {
        if let NodeBody::Here(node) = body {
            return Ok(node.clone());
        }
        self.loads.fetch_add(1, Ordering::Relaxed);
        let bytes = self.nodes.lock().get(id).cloned().expect("a node that was stored");
        Ok(Arc::new(decode_node(&bytes, id).unwrap()))
    }

    async fn link_node(&self, id: &NodeId, body: &LinkBody) -> Result<Arc<LinkNode>, RepoError> {
        if let LinkBody::Here(node) = body {
            return Ok(node.clone());
        }
        self.loads.fetch_add(1, Ordering::Relaxed);
        let bytes = self.nodes.lock().get(id).cloned().expect("a node that was stored");
        Ok(Arc::new(decode_link_node(&bytes, id).unwrap()))
    }
}

/// How many nodes of a directory are only here and not inlined, and the size of the largest of them as encoded.
pub fn new_nodes(dir: &DirContent) -> (usize, usize) {
    let memory = Memory::default();
    memory.store_body(&dir.body);
    let nodes = memory.nodes.lock();
    let size = |(id, bytes): (&NodeId, &Vec<u8>)| encode_node(&decode_node(bytes, id).unwrap()).unwrap().canonical_len;
    (nodes.len(), nodes.iter().map(size).max().unwrap_or(0))
}

/// All differences as one list.
pub async fn differences(
    memory: &Memory,
    old: Option<&Entry>,
    new: Option<&Entry>,
    options: DiffOptions,
) -> Vec<Change> {
    let mut told = Vec::new();
    let mut visit = |change| {
        told.push(change);
        std::ops::ControlFlow::Continue(())
    };
    diff(memory, old, new, options, &mut visit).await.unwrap();
    told
}

/// A tree as a map again.
pub async fn flatten(memory: &Memory, top: &Entry) -> Flat {
    let mut flat = Flat::from([(TreePath::root(), top.clone())]);
    let mut visit = |at: &TreePath, entry: &Entry| {
        flat.insert(at.clone(), entry.clone());
        tree::walk::Next::Into
    };
    tree::walk::walk(memory, top, &mut visit).await.unwrap();
    flat
}
