//! Marking: every frame that some roots lead to, by where it lies. What is visited is known by its location, never by
//! its id: equal nodes may lie in two places, and each must stay.

use std::collections::HashMap;
use std::sync::Arc;

use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;

use super::Progress;
use crate::model::content::{FileBody, Item, Page, PageRef};
use crate::model::entry::{Content, Entry, XattrValue};
use crate::model::id::{Location, NodeId, PackName, RootId};
use crate::model::source::NodeSource;
use crate::model::tree::{LinkBody, LinkNode, Node, NodeBody, Root};
use crate::repo::error::RepoError;
use crate::repo::objects::Objects;

/// Frames read at once: covers a round trip; each is at most 4 MiB, and nearly all are far smaller.
const READS_MAX: usize = 16;

/// Frames of one pack that are live.
#[derive(Debug, Default)]
pub(super) struct PackMarks {
    /// Sorted. Packs end at 64 MiB, so 4 bytes a frame are all that marking keeps of it.
    offsets: Vec<u32>,
    /// Of these frames together.
    pub bytes: u64,
}

/// What is live.
#[derive(Debug, Default)]
pub(super) struct Marks {
    packs: HashMap<PackName, PackMarks>,
    /// Nodes, pages and roots that were read.
    pub reads: u64,
}

impl PackMarks {
    pub fn offsets(&self) -> &[u32] {
        &self.offsets
    }

    pub fn count(&self) -> usize {
        self.offsets.len()
    }

    pub fn has(&self, offset: u64) -> bool {
        u32::try_from(offset).is_ok_and(|offset| self.offsets.binary_search(&offset).is_ok())
    }
}

impl Marks {
    /// What is live in a pack; none when nothing is.
    pub fn of(&self, pack: &PackName) -> Option<&PackMarks> {
        self.packs.get(pack).filter(|marks| marks.count() > 0)
    }

    /// Marks a pack, whatever is in it.
    pub fn keep(&mut self, pack: PackName) {
        self.packs.entry(pack).or_default();
    }

    /// Marks a frame; tells whether it was not marked before.
    pub fn add(&mut self, location: &Location) -> Result<bool, RepoError> {
        let offset = u32::try_from(location.offset).map_err(|_| RepoError::Damaged {
            what: format!("a place in pack {}", location.pack),
            reason: format!("no frame lies at offset {}", location.offset),
        })?;
        let pack = self.packs.entry(location.pack).or_default();
        // Trees name places in rising order mostly, so this is nearly always the end.
        let Err(at) = pack.offsets.binary_search(&offset) else { return Ok(false) };
        pack.offsets.insert(at, offset);
        pack.bytes += u64::from(location.len);
        Ok(true)
    }

    pub fn is_marked(&self, pack: &PackName) -> bool {
        self.packs.contains_key(pack)
    }

    /// Marks all that these snapshots lead to.
    pub async fn mark(
        &mut self,
        objects: &Objects,
        snapshots: impl IntoIterator<Item = (RootId, Location)>,
        progress: Progress<'_>,
    ) -> Result<(), RepoError> {
        let mut snapshots = snapshots.into_iter();
        let mut walk = Walk { marks: self, open: Vec::new() };
        let mut reading = FuturesUnordered::new();
        loop {
            while reading.len() < READS_MAX {
                // What was begun goes first, so that little is open at a time.
                if let Some(place) = walk.open.pop() {
                    reading.push(read(objects, place));
                } else if let Some((id, location)) = snapshots.next() {
                    walk.visit(&location, Place::Root(id, location))?;
                } else {
                    break;
                }
            }
            let Some(found) = reading.next().await else { return Ok(()) };
            walk.found(&found?)?;
            walk.marks.reads += 1;
            progress(1);
        }
    }
}

/// Something to be read.
#[derive(Debug)]
enum Place {
    Root(RootId, Location),
    Node(NodeId, NodeBody),
    Links(NodeId, LinkBody),
    Page(PageRef),
}

/// What was read.
enum Found {
    Root(Box<Root>),
    Node(Arc<Node>),
    Links(Arc<LinkNode>),
    Page(Arc<Page>),
}

fn read(objects: &Objects, place: Place) -> BoxFuture<'_, Result<Found, RepoError>> {
    Box::pin(async move {
        Ok(match place {
            Place::Root(id, location) => Found::Root(Box::new(objects.root(&id, &location).await?)),
            Place::Node(id, body) => Found::Node(objects.node(&id, &body).await?),
            Place::Links(id, body) => Found::Links(objects.link_node(&id, &body).await?),
            Place::Page(page) => Found::Page(objects.page(&page).await?),
        })
    })
}

struct Walk<'a> {
    marks: &'a mut Marks,
    open: Vec<Place>,
}

impl Walk<'_> {
    fn visit(&mut self, location: &Location, place: Place) -> Result<(), RepoError> {
        if self.marks.add(location)? {
            self.open.push(place);
        }
        Ok(())
    }

    fn found(&mut self, found: &Found) -> Result<(), RepoError> {
        match found {
            Found::Root(root) => {
                self.entry(&root.entry)?;
                root.links.iter().try_for_each(|links| self.links(links.id, &links.body))
            }
            Found::Node(node) => self.inside(node),
            Found::Links(node) => self.inside_links(node),
            Found::Page(page) => match &**page {
                Page::Items(items) => self.items(items),
                Page::Pages { pages, .. } => {
                    pages.iter().try_for_each(|page| self.visit(&page.location, Place::Page(*page)))
                }
            },
        }
    }

    fn entry(&mut self, entry: &Entry) -> Result<(), RepoError> {
        for xattr in &entry.meta.xattrs {
            if let XattrValue::Chunk { location, .. } = &xattr.value {
                self.marks.add(location)?;
            }
        }
        match &entry.content {
            Content::Dir(dir) => self.node(dir.id, &dir.body),
            Content::File(file) => match &file.body {
                FileBody::Items(items) => self.items(items),
                FileBody::Pages(location) => {
                    let top = PageRef { len: file.size, id: file.id, location: *location };
                    self.visit(location, Place::Page(top))
                }
            },
            Content::Unknown { kind, stored, .. } if !stored.is_empty() => Err(RepoError::Unsupported {
                what: "a file".to_owned(),
                purpose: "collecting garbage beside it",
                features: vec![format!("content kind {kind}")],
            }),
            _ => Ok(()),
        }
    }

    fn items(&mut self, items: &[Item]) -> Result<(), RepoError> {
        for item in items {
            if let Item::Chunk { location, .. } = item {
                self.marks.add(location)?;
            }
        }
        Ok(())
    }

    fn node(&mut self, id: NodeId, body: &NodeBody) -> Result<(), RepoError> {
        match body {
            NodeBody::Stored(location) => self.visit(location, Place::Node(id, body.clone())),
            NodeBody::Here(node) => self.inside(node),
        }
    }

    fn inside(&mut self, node: &Node) -> Result<(), RepoError> {
        match node {
            Node::Leaf(entries) => entries.iter().try_for_each(|named| self.entry(&named.entry)),
            Node::Inner { children, .. } => children.iter().try_for_each(|child| self.node(child.id, &child.body)),
        }
    }

    fn links(&mut self, id: NodeId, body: &LinkBody) -> Result<(), RepoError> {
        match body {
            LinkBody::Stored(location) => self.visit(location, Place::Links(id, body.clone())),
            LinkBody::Here(node) => self.inside_links(node),
        }
    }

    fn inside_links(&mut self, node: &LinkNode) -> Result<(), RepoError> {
        match node {
            LinkNode::Leaf(_) => Ok(()),
            LinkNode::Inner { children, .. } => children.iter().try_for_each(|child| self.links(child.id, &child.body)),
        }
    }
}
