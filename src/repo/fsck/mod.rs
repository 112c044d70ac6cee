//! Checking what is stored: one snapshot here, all packs of a domain in [`audit`], what damage touches in [`trace`],
//! bringing it back from another copy in [`repair`].
//!
//! Of a snapshot: every node, page and link node it reaches, and every chunk when the data is to be read too.
//!
//! All reads go through [`Objects`], which hands out nothing that does not hash to its id; a problem is noted with its
//! path, and the rest goes on.

pub mod audit;
pub mod repair;
pub mod trace;

use std::collections::HashSet;

use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream;
use parking_lot::Mutex;

use super::domain::Snapshot;
use super::error::RepoError;
use super::objects::Objects;
use crate::model::content::{FileBody, FileContent, Item, Page, PageRef};
use crate::model::entry::{Content, Entry, XattrValue};
use crate::model::id::{Location, NodeId};
use crate::model::path::TreePath;
use crate::model::source::NodeSource;
use crate::model::tree::{LinkBody, LinkNode, Misfit, Node, NodeBody, Said};

/// Entries of one node looked into at once; each holds at most a node or [`CHUNKS_AT_ONCE`] chunks.
const AT_ONCE: usize = 8;

/// Chunks of a file read at once, neighbours in one request; each has at most 4 MiB.
const CHUNKS_AT_ONCE: usize = 8;

/// Something that is damaged or missing.
#[derive(Debug)]
pub struct Damage {
    /// The file or directory; the root for what belongs to the whole snapshot.
    pub path: TreePath,
    pub error: RepoError,
}

/// What was checked.
#[derive(Debug, Default)]
pub struct Report {
    pub nodes: u64,
    pub files: u64,
    /// Bytes of data re-hashed.
    pub bytes: u64,
    /// In tree order.
    pub damaged: Vec<Damage>,
}

/// Checks `snapshot`; `advance` is told of entries done.
pub async fn check(snapshot: &Snapshot, read_data: bool, advance: &(dyn Fn(u64) + Sync)) -> Report {
    let check = Check {
        objects: snapshot.domain.objects(),
        read_data,
        advance,
        report: Mutex::default(),
        seen: Mutex::default(),
    };
    check.entry(TreePath::root(), &snapshot.root.entry).await;
    if let Some(links) = &snapshot.root.links {
        check.link_node(&links.id, &links.body).await;
    }
    let mut report = check.report.into_inner();
    report.damaged.sort_by(|a, b| a.path.cmp(&b.path));
    report
}

struct Check<'a> {
    objects: &'a Objects,
    read_data: bool,
    advance: &'a (dyn Fn(u64) + Sync),
    report: Mutex<Report>,
    /// Nodes that were found sound: a tree may hold one in any number of places.
    seen: Mutex<HashSet<(NodeId, Location)>>,
}

impl Check<'_> {
    fn damage(&self, path: &TreePath, error: RepoError) {
        self.report.lock().damaged.push(Damage { path: path.clone(), error });
    }

    async fn entry(&self, path: TreePath, entry: &Entry) {
        for xattr in &entry.meta.xattrs {
            if let XattrValue::Chunk { .. } = xattr.value
                && let Err(error) = self.objects.xattr_value(&xattr.value).await
            {
                self.damage(&path, error);
            }
        }
        match &entry.content {
            Content::Dir(dir) if path.is_too_deep() => self.damage(&path, Misfit::too_deep(dir).into()),
            Content::Dir(dir) => self.node(&path, dir.said()).await,
            Content::File(file) => self.file(&path, file).await,
            _ => {}
        }
        (self.advance)(1);
    }

    fn boxed<'b>(&'b self, path: TreePath, entry: &'b Entry) -> BoxFuture<'b, ()> {
        Box::pin(self.entry(path, entry))
    }

    fn node<'b>(&'b self, path: &'b TreePath, said: Said) -> BoxFuture<'b, ()> {
        Box::pin(async move {
            let node = match self.objects.node(&said.id, &said.body).await {
                Ok(node) => node,
                Err(error) => return self.damage(path, error),
            };
            if let Err(error) = said.check(&node) {
                self.damage(path, error.into());
            }
            if let NodeBody::Stored(location) = &said.body
                && !self.seen.lock().insert((said.id, *location))
            {
                return;
            }
            self.report.lock().nodes += 1;
            match &*node {
                Node::Leaf(entries) => {
                    let each = entries.iter().map(|named| self.boxed(path.join(&named.name), &named.entry));
                    let each: Vec<BoxFuture<'_, ()>> = each.collect();
                    stream::iter(each).buffer_unordered(AT_ONCE).collect::<()>().await;
                }
                Node::Inner { children, .. } => {
                    for below in (0..children.len()).filter_map(|at| node.said_of(at, said.after())) {
                        self.node(path, below).await;
                    }
                }
            }
        })
    }

    async fn file(&self, path: &TreePath, file: &FileContent) {
        self.report.lock().files += 1;
        let top = match &file.body {
            FileBody::Items(items) => return self.items(path, items).await,
            FileBody::Pages(location) => PageRef { len: file.size, id: file.id, location: *location },
        };
        let (mut pages, mut seen) = (vec![top], HashSet::new());
        while let Some(page) = pages.pop() {
            match self.objects.page(&page).await {
                Err(error) => self.damage(path, error),
                Ok(_) if !seen.insert((page.id, page.location)) => {}
                Ok(read) => match &*read {
                    Page::Items(items) => self.items(path, items).await,
                    Page::Pages { pages: below, .. } => pages.extend(below.iter().rev()),
                },
            }
        }
    }

    /// Re-hashes the chunks of a list, if data is to be read.
    async fn items(&self, path: &TreePath, items: &[Item]) {
        let check = async |item: &Item| {
            let Item::Chunk { len, id, location } = item else { return };
            match self.objects.chunk(id, location).await {
                Err(error) => self.damage(path, error),
                Ok(bytes) if bytes.len() as u64 != u64::from(*len) => {
                    let reason = format!("it has {} bytes, and {len} are expected", bytes.len());
                    self.damage(path, RepoError::Damaged { what: format!("chunk {id} of `{path}`"), reason });
                }
                Ok(bytes) => self.report.lock().bytes += bytes.len() as u64,
            }
        };
        if self.read_data {
            stream::iter(items.iter().map(check)).buffer_unordered(CHUNKS_AT_ONCE).collect::<()>().await;
        }
    }

    fn link_node<'b>(&'b self, id: &'b NodeId, body: &'b LinkBody) -> BoxFuture<'b, ()> {
        Box::pin(async move {
            match self.objects.link_node(id, body).await {
                Ok(node) => {
                    self.report.lock().nodes += 1;
                    if let LinkNode::Inner { children, .. } = &*node {
                        for child in children {
                            self.link_node(&child.id, &child.body).await;
                        }
                    }
                }
                Err(error) => self.damage(&TreePath::root(), error),
            }
        })
    }
}
