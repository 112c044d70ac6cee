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

use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream;
use parking_lot::Mutex;

use super::domain::Snapshot;
use super::error::RepoError;
use super::objects::Objects;
use crate::model::content::FileContent;
use crate::model::entry::{Content, Entry, XattrValue};
use crate::model::id::NodeId;
use crate::model::path::TreePath;
use crate::model::source::NodeSource;
use crate::model::tree::{LinkBody, LinkNode, Node, Said};

/// Entries of one node looked into at once; each holds at most a node or [`READ_BYTES`] of data.
const AT_ONCE: usize = 8;

/// Data read at a time: some chunks, fetched together.
const READ_BYTES: u64 = 8 << 20;

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
    let check = Check { objects: snapshot.domain.objects(), read_data, advance, report: Mutex::default() };
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
            self.report.lock().nodes += 1;
            if let Err(error) = said.check(&node) {
                self.damage(path, error.into());
            }
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
        if !self.read_data {
            if let Err(error) = self.objects.items(file, 0..file.size).await {
                self.damage(path, error);
            }
            return;
        }
        let mut offset = 0;
        while offset < file.size {
            match self.objects.read(file, offset, READ_BYTES).await {
                Ok(bytes) if bytes.is_empty() => {
                    return self.damage(
                        path,
                        RepoError::Damaged {
                            what: format!("the list of chunks of `{path}`"),
                            reason: format!("it ends at {offset} of {} bytes", file.size),
                        },
                    );
                }
                Ok(bytes) => {
                    offset += bytes.len() as u64;
                    self.report.lock().bytes += bytes.len() as u64;
                }
                Err(error) => return self.damage(path, error),
            }
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
