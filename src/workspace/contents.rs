//! Contents of staged files: read while they hold still, or told apart without being read.

use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::runtime::Handle;

use super::earlier::Earlier;
use super::edit::{Contents, ReadFile};
use super::error::{ChangingFile, WorkspaceError};
use super::observer::Invalidation;
use super::staged::{StagedFile, StagedTree};
use super::state::Result;
use super::view::Workspace;
use crate::model::content::{ExternalContent, FileBody, FileContent};
use crate::model::entry::{Content, XATTR_INLINE_BYTES_MAX, XattrValue};
use crate::model::id::{ChunkId, Codec, ContentId, Location, PackName};
use crate::model::path::TreePath;
use crate::overlay::node::Node;
use crate::repo::objects::Objects;
use crate::repo::upload::source::ReadAt;
use crate::repo::upload::{Base, Upload};
use crate::sys::mapping::TIME_STEP;
use crate::sys::open_files::writers_of;
use crate::sys::task::blocking_here;

/// Readings of one file that keeps changing.
const READINGS_MAX: u32 = 6;

/// Pause before the second reading; doubles with each.
const PAUSE: Duration = Duration::from_millis(50);

/// Files read, checked to have held still, and given to an upload.
pub(super) struct Reading<'a> {
    pub workspace: &'a Workspace,
    pub upload: &'a mut Upload,
}

impl Contents for Reading<'_> {
    fn file<'a>(
        &'a mut self,
        tree: &'a StagedTree,
        node: &'a Node,
        path: &'a TreePath,
    ) -> BoxFuture<'a, Result<ReadFile>> {
        Box::pin(async move {
            for reading in 0..READINGS_MAX {
                if reading > 0 {
                    self.workspace.shared.sys.clock.sleep(PAUSE * (1 << (reading - 1))).await;
                }
                let file = self.steady(tree, node.ino)?;
                if file.unannounced {
                    self.workspace.shared.sys.clock.sleep(TIME_STEP).await;
                }
                let content = self.read(&file).await;
                // One cut off while it is read is only one that changed.
                if self.workspace.is_unchanged(&file)? {
                    let content = content?;
                    let StagedFile { node, xattrs, identity, .. } = file;
                    return Ok(ReadFile { content, node: Node::clone(&node), mtime: identity.mtime, xattrs });
                }
            }
            let pids = writers_of(&self.workspace.mounted_path(path));
            Err(WorkspaceError::Changing(vec![ChangingFile { path: path.clone(), pids }]))
        })
    }

    fn empty_file(&mut self) -> BoxFuture<'_, Result<FileContent>> {
        Box::pin(async { Ok(self.upload.file(Arc::new(Vec::new()), 0, None).await?) })
    }

    fn xattr(&mut self, value: Vec<u8>) -> BoxFuture<'_, Result<XattrValue>> {
        Box::pin(async { Ok(self.upload.xattr(value).await?) })
    }
}

impl Reading<'_> {
    /// The file with all that was written to it, also through mappings, in place to be read.
    fn steady(&self, tree: &StagedTree, ino: u64) -> Result<StagedFile> {
        let open = self.workspace.is_open_for_writing(ino);
        if open {
            self.workspace.write_back(&[ino]);
        }
        let file = self.workspace.staged_file(tree, ino)?.ok_or(WorkspaceError::Stale)?;
        if open {
            blocking_here(|| file.file.sync_data()).map_err(super::file_state::io)?;
        }
        Ok(file)
    }

    async fn read(&mut self, file: &StagedFile) -> Result<FileContent> {
        let size = file.identity.size;
        let dirty = file.dirty();
        let origin = file.node.origin.as_ref().map(|origin| &origin.entry.content);
        let content = match (file.under.as_ref().map(|under| &under.entry.content), origin) {
            (Some(Content::File(content)), _) => {
                let base = Base { content, dirty: Some(&dirty) };
                self.upload.file(Arc::new(StagedBytes(file.file.clone())), size, Some(base)).await?
            }
            (Some(Content::External(content)), _) => {
                let objects = self.workspace.shared.objects.clone();
                let file = file.file.clone();
                let source =
                    OverExternal { file, dirty, content: content.clone(), objects, runtime: Handle::current() };
                self.upload.file(Arc::new(source), size, None).await?
            }
            (_, Some(Content::File(content))) if content.size > 0 => {
                let base = Base { content, dirty: None };
                self.upload.file(Arc::new(StagedBytes(file.file.clone())), size, Some(base)).await?
            }
            _ => self.upload.file(Arc::new(StagedBytes(file.file.clone())), size, None).await?,
        };
        Ok(content)
    }
}

impl Workspace {
    /// Has the kernel send what programs wrote to mappings of files, also of some that nothing was staged of before:
    /// nobody else tells of it. It is called before anybody asks what is staged.
    pub(super) fn write_back_all(&self) {
        let open: Vec<u64> = {
            let state = self.shared.state.lock();
            state.open.iter().filter(|(_, open)| open.writers > 0).map(|(&ino, _)| ino).collect()
        };
        self.write_back(&open);
    }

    /// What is sent may come after this in a kernel that was not asked to tell; the file is then looked at again when its
    /// last writer closes it.
    fn write_back(&self, inos: &[u64]) {
        let observer = self.shared.observer.lock().clone();
        if let Some(observer) = observer.filter(|_| !inos.is_empty()) {
            observer.changed(&inos.iter().map(|&ino| Invalidation::Data { ino }).collect::<Vec<_>>());
        }
    }

    /// The end of the path that a program on a mount knows `path` by.
    fn mounted_path(&self, path: &TreePath) -> Vec<u8> {
        let above = format!("/{}/{}/", self.shared.domain.info().name, self.shared.branch.name.name);
        [above.as_bytes(), path.as_bytes()].concat()
    }
}

/// A staged file, as an upload reads it.
struct StagedBytes(Arc<File>);

impl ReadAt for StagedBytes {
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        FileExt::read_at(&*self.0, bytes, offset)
    }

    fn next_data(&self, offset: u64) -> io::Result<Option<u64>> {
        ReadAt::next_data(&*self.0, offset)
    }
}

/// A file partly staged over one that lies outside the mesh.
struct OverExternal {
    file: Arc<File>,
    dirty: Vec<Range<u64>>,
    content: ExternalContent,
    objects: Objects,
    runtime: Handle,
}

impl ReadAt for OverExternal {
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        let next = self.dirty.iter().find(|range| range.end > offset);
        let within = |end: u64| usize::try_from(end - offset).unwrap_or(usize::MAX);
        match next {
            Some(range) if range.start <= offset => {
                let len = bytes.len().min(within(range.end));
                FileExt::read_at(&*self.file, &mut bytes[..len], offset)
            }
            next => {
                let len = bytes.len().min(next.map_or(usize::MAX, |range| within(range.start)));
                let found = self.runtime.block_on(self.objects.read_external(&self.content, offset, len as u64));
                let found = found.map_err(io::Error::other)?;
                bytes[..found.len()].copy_from_slice(&found);
                Ok(found.len())
            }
        }
    }
}

/// Contents that are not read: each staged file is different from everything but itself as it is now.
pub(super) struct Unread<'a> {
    pub workspace: &'a Workspace,
    /// A commit that has some of them.
    pub earlier: Option<&'a Earlier>,
    /// Files met, by path.
    pub met: Vec<(TreePath, u64)>,
}

impl Contents for Unread<'_> {
    fn file<'a>(
        &'a mut self,
        tree: &'a StagedTree,
        node: &'a Node,
        path: &'a TreePath,
    ) -> BoxFuture<'a, Result<ReadFile>> {
        Box::pin(async move {
            let file = self.workspace.staged_file(tree, node.ino)?.ok_or(WorkspaceError::Stale)?;
            let committed = match self.earlier {
                Some(earlier) => earlier.content(&self.workspace.shared.objects, &file.node).await?,
                None => None,
            };
            let content = committed.unwrap_or_else(|| {
                self.met.push((path.clone(), node.ino));
                unread(&[&node.ino.to_le_bytes()[..], &file.node.change.to_le_bytes()], file.identity.size)
            });
            let StagedFile { node, xattrs, identity, .. } = file;
            Ok(ReadFile { content, node: Node::clone(&node), mtime: identity.mtime, xattrs })
        })
    }

    fn empty_file(&mut self) -> BoxFuture<'_, Result<FileContent>> {
        Box::pin(async { Ok(unread(&[b"empty"], 0)) })
    }

    fn xattr(&mut self, value: Vec<u8>) -> BoxFuture<'_, Result<XattrValue>> {
        Box::pin(async { Ok(unsent_xattr(value)) })
    }
}

/// Reads only some of the staged files.
pub(super) struct Partly<'a> {
    pub read: Reading<'a>,
    pub unread: Unread<'a>,
    pub to_read: HashSet<u64>,
}

impl Contents for Partly<'_> {
    fn file<'a>(
        &'a mut self,
        tree: &'a StagedTree,
        node: &'a Node,
        path: &'a TreePath,
    ) -> BoxFuture<'a, Result<ReadFile>> {
        match self.to_read.contains(&node.ino) {
            true => self.read.file(tree, node, path),
            false => self.unread.file(tree, node, path),
        }
    }

    fn empty_file(&mut self) -> BoxFuture<'_, Result<FileContent>> {
        self.read.empty_file()
    }

    fn xattr(&mut self, value: Vec<u8>) -> BoxFuture<'_, Result<XattrValue>> {
        self.read.xattr(value)
    }
}

/// A content that equals no other, of which nothing but the size is known.
pub(super) fn unread(mark: &[&[u8]], size: u64) -> FileContent {
    let mut hasher = blake3::Hasher::new_derive_key("meshfs 2026-11 contents not read");
    for part in mark {
        hasher.update(part);
    }
    FileContent { size, id: ContentId(*hasher.finalize().as_bytes()), body: FileBody::Pages(nowhere()) }
}

/// An attribute's value as an entry has it, without a place where it could be read.
pub(super) fn unsent_xattr(value: Vec<u8>) -> XattrValue {
    if value.len() <= XATTR_INLINE_BYTES_MAX {
        return XattrValue::Inline(value);
    }
    let len = u32::try_from(value.len()).unwrap_or(u32::MAX);
    XattrValue::Chunk { len, id: ChunkId(*blake3::hash(&value).as_bytes()), location: nowhere() }
}

fn nowhere() -> Location {
    Location { pack: PackName::NONE, offset: 0, len: 0, codec: Codec::Raw }
}
