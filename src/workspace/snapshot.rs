//! A commit as a read-only tree, by path, for `@revision` and the sides of conflicts.

use std::sync::Arc;

use bytes::Bytes;

use super::attr::{Attr, SeekFor};
use super::attributes::entry_attr;
use super::base::{self, LinkIndex};
use super::error::{Miss, WorkspaceError};
use super::external::ExternalCache;
use super::file_state::{Sources, read_entry};
use super::number::{self, Numbering};
use super::state::Result;
use super::view::fetch;
use crate::model::entry::{Content, Entry, Kind, XattrValue};
use crate::model::log::{RefIdentity, RefKind, RefName};
use crate::model::path::{NameError, TreePath};
use crate::overlay::node::OriginPath;
use crate::repo::domain::Snapshot;
use crate::repo::objects::Objects;
use crate::repo::objects::ahead::ReadAhead;

/// What a path of a snapshot stands for.
#[derive(Clone, Debug)]
pub struct SnapshotNode {
    pub attr: Attr,
    pub entry: Arc<Entry>,
}

/// One commit's tree, in the same way as a workspace: never waits for the store, says what is missing.
#[derive(Clone, Debug)]
pub struct SnapshotView {
    snapshot: Arc<Snapshot>,
    links: Arc<LinkIndex>,
    objects: Objects,
    external: Arc<ExternalCache>,
    numbering: Numbering,
}

impl SnapshotView {
    /// Loads the snapshot's hard-link table, if there is one.
    pub async fn open(snapshot: Arc<Snapshot>) -> Result<SnapshotView> {
        let objects = snapshot.domain.objects().clone();
        let links = Arc::new(LinkIndex::load(&objects, &snapshot.root).await?);
        // Every snapshot has numbers of its own, as if it were a branch called by its commit.
        let name = RefName { kind: RefKind::Pin, name: snapshot.commit.id.to_string() };
        let numbering = Numbering::new(&snapshot.domain.info().uid, &RefIdentity { name, created_seq: 0 });
        Ok(SnapshotView { snapshot, links, objects, external: Arc::default(), numbering })
    }

    pub fn snapshot(&self) -> &Arc<Snapshot> {
        &self.snapshot
    }

    /// Loads what a miss names.
    pub async fn fetch(&self, miss: &Miss) -> Result<()> {
        fetch(&self.objects, &self.external, miss).await
    }

    fn node(&self, path: &TreePath, entry: Entry) -> SnapshotNode {
        let group = self.links.group(path).filter(|_| entry.kind() != Kind::Dir);
        let first = group.and_then(|group| group.0.first()).unwrap_or(path);
        let ino = self.numbering.number(&OriginPath::of_base(first), &number::content_mark(&entry), 0);
        let nlink = group.map_or(1, |group| u32::try_from(group.0.len()).unwrap_or(u32::MAX));
        SnapshotNode { attr: entry_attr(ino, &entry, nlink), entry: Arc::new(entry) }
    }

    pub fn lookup(&self, path: &TreePath) -> Result<SnapshotNode> {
        let entry = base::find_path(&self.objects, &self.snapshot.root.entry, path)?;
        Ok(self.node(path, entry.ok_or(WorkspaceError::NotFound)?))
    }

    /// The entry `name` of a directory that was looked up before.
    pub fn lookup_in(&self, dir: &SnapshotNode, path: &TreePath, name: &[u8]) -> Result<SnapshotNode> {
        let content = dir.entry.as_dir().ok_or(WorkspaceError::NotDirectory)?;
        if path.is_too_deep() {
            return Err(NameError::TooDeep.into());
        }
        let entry = base::find(&self.objects, content, name)?.ok_or(WorkspaceError::NotFound)?;
        Ok(self.node(&path.join(name), entry))
    }

    /// At most `max` entries after the name `after`, in byte order.
    pub fn readdir(&self, dir: &TreePath, after: Option<&[u8]>, max: usize) -> Result<Vec<(Vec<u8>, SnapshotNode)>> {
        let entry = base::find_path(&self.objects, &self.snapshot.root.entry, dir)?.ok_or(WorkspaceError::NotFound)?;
        self.list(&entry, dir, after, max)
    }

    /// The same of a directory that was looked up before.
    pub fn readdir_in(
        &self,
        dir: &SnapshotNode,
        path: &TreePath,
        after: Option<&[u8]>,
        max: usize,
    ) -> Result<Vec<(Vec<u8>, SnapshotNode)>> {
        self.list(&dir.entry, path, after, max)
    }

    fn list(
        &self,
        dir: &Entry,
        path: &TreePath,
        after: Option<&[u8]>,
        max: usize,
    ) -> Result<Vec<(Vec<u8>, SnapshotNode)>> {
        let content = dir.as_dir().ok_or(WorkspaceError::NotDirectory)?;
        let found = base::list(&self.objects, content, after.unwrap_or_default(), max)?;
        let named = found.into_iter().map(|named| {
            let node = self.node(&path.join(&named.name), named.entry);
            (named.name, node)
        });
        Ok(named.collect())
    }

    /// An entry of another snapshot of the domain, shown as if it lay at `path` here: a side of a conflict.
    pub fn show(&self, path: &TreePath, entry: Entry) -> SnapshotNode {
        self.node(path, entry)
    }

    /// At most `len` bytes; fewer only at the end of the file. `ahead` is the reading handle's.
    pub fn read(&self, file: &SnapshotNode, offset: u64, len: usize, ahead: Option<&Arc<ReadAhead>>) -> Result<Bytes> {
        let end = offset.saturating_add(len as u64).min(file.attr.size);
        if offset >= end {
            return Ok(Bytes::new());
        }
        if let (Some(ahead), Content::File(content)) = (ahead, &file.entry.content) {
            self.objects.advance(ahead, content, offset, end - offset);
        }
        let sources = Sources { objects: &self.objects, external: &self.external };
        read_entry(sources, &file.entry, offset, end - offset)
    }

    /// The first offset at or after `offset` that is data, or a hole; the end of the file counts as a hole.
    pub fn seek(&self, file: &SnapshotNode, what: SeekFor, offset: u64) -> Result<u64> {
        if offset >= file.attr.size {
            return Err(WorkspaceError::BeyondEnd);
        }
        let found = match (&file.entry.content, what) {
            (Content::File(content), SeekFor::Data) => self.objects.cached_next_data(content, offset),
            (Content::File(content), SeekFor::Hole) => self.objects.cached_next_hole(content, offset),
            (_, SeekFor::Data) => Some(Some(offset)),
            (_, SeekFor::Hole) => Some(None),
        };
        match (found, what, &file.entry.content) {
            (Some(found), SeekFor::Data, _) => found.ok_or(WorkspaceError::BeyondEnd),
            (Some(found), SeekFor::Hole, _) => Ok(found.unwrap_or(file.attr.size)),
            (None, _, Content::File(content)) => Err(Miss::Items { content: Box::new(content.clone()), offset }.into()),
            (None, ..) => Err(WorkspaceError::Invalid("not a regular file")),
        }
    }

    pub fn readlink(&self, node: &SnapshotNode) -> Result<Vec<u8>> {
        match &node.entry.content {
            Content::Symlink(target) => Ok(target.clone()),
            _ => Err(WorkspaceError::Invalid("not a symbolic link")),
        }
    }

    pub fn get_xattr(&self, node: &SnapshotNode, name: &[u8]) -> Result<Vec<u8>> {
        let found = node.entry.meta.xattrs.iter().find(|xattr| xattr.name == name);
        match &found.ok_or(WorkspaceError::NoAttribute)?.value {
            XattrValue::Inline(bytes) => Ok(bytes.clone()),
            value => {
                let bytes = self.objects.cached_xattr_value(value);
                Ok(bytes.ok_or_else(|| Miss::Xattr(Box::new(value.clone())))?.to_vec())
            }
        }
    }
}
