//! Files into chunks: whole, or only where they were written.

use std::collections::{HashMap, VecDeque};
use std::ops::Range;
use std::sync::Arc;

use tokio::task::JoinHandle;

use super::digest::{BaseChunks, Prepared, prepare, unstorable};
use super::source::{NewVersion, ReadAt, Stretch, read_stretch, unreadable};
use super::{Base, Upload};
use crate::format::chunk::{Chunker, Piece, Recutter, Step, may_recut};
use crate::format::content::{ContentBuilder, Progress, empty, may_reuse_pages};
use crate::format::pack::{FrameKind, encode_frame};
use crate::model::content::{FileContent, Item, PageRef, SEGMENT_BYTES};
use crate::model::id::{ContentId, Location};
use crate::repo::error::RepoError;
use crate::repo::objects::Objects;
use crate::sys::task;

/// Files of up to this many bytes are read, cut and hashed in one step.
const SMALL_BYTES: u64 = 1 << 20;

/// Pages stored by an upload: equal segments, as of zeros, are stored once.
pub(super) type StoredPages = HashMap<ContentId, Location>;

/// Batches of pieces (about 1 MiB each) that are being made ready while earlier ones are placed.
const BATCHES_MAX: usize = 6;

/// Segments before and after the one being sent whose chunks, in the base, are looked for: content seldom moves
/// farther, and this bounds what is remembered of a huge base.
const BASE_SEGMENTS: u64 = 32;

impl Upload {
    /// Sends the content of a regular file of `size` bytes. A source that ends before them is an error.
    pub async fn file(
        &mut self,
        source: Arc<dyn ReadAt>,
        size: u64,
        base: Option<Base<'_>>,
    ) -> Result<FileContent, RepoError> {
        if size == 0 {
            return Ok(empty());
        }
        let objects = self.objects.clone();
        let over = base.and_then(|base| Some((base.content, base.dirty?)));
        let version = NewVersion { source, size, objects: &objects, over };
        match (base, over) {
            (Some(base), Some(_)) if may_recut(&self.options.constants, base.content.size, size) => {
                self.edited_file(version, base.content).await
            }
            (None, None) if size <= SMALL_BYTES => self.small_file(version).await,
            _ => self.whole_file(version, base.map(|base| base.content)).await,
        }
    }

    async fn small_file(&mut self, version: NewVersion<'_>) -> Result<FileContent, RepoError> {
        let (source, size) = (version.source, version.size);
        let (constants, known) = (self.options.constants, self.known.clone());
        let read = move || {
            let mut chunker = Chunker::new(constants);
            let mut offset = 0;
            while offset < size {
                let stretch = read_stretch(&*source, offset..size).map_err(unreadable)?;
                offset += stretch.len();
                push(&mut chunker, &stretch);
            }
            chunker.finish();
            prepare(pieces(&mut chunker), &known, &BaseChunks::new())
        };
        let prepared = task::blocking(read).await?;
        self.progress(size);
        let mut assembly = Assembly::new(self, BaseChunks::new());
        assembly.place(prepared).await?;
        assembly.finish().await
    }

    async fn whole_file(
        &mut self,
        version: NewVersion<'_>,
        base: Option<&FileContent>,
    ) -> Result<FileContent, RepoError> {
        let mut assembly = Assembly::new(self, BaseChunks::new());
        assembly.cut(&version, 0..version.size, base).await?;
        assembly.finish().await
    }

    async fn edited_file(&mut self, version: NewVersion<'_>, base: &FileContent) -> Result<FileContent, RepoError> {
        let size = version.size;
        let Some((_, dirty)) = version.over else { return self.whole_file(version, Some(base)).await };
        let pages = match may_reuse_pages(size) {
            true => version.objects.segment_pages(base, 0..size).await?,
            false => Vec::new(),
        };
        let mut assembly = Assembly::new(self, BaseChunks::new());
        for start in (0..size).step_by(SEGMENT_BYTES as usize) {
            let segment = start..size.min(start + SEGMENT_BYTES);
            let old_end = base.size.clamp(start, start + SEGMENT_BYTES);
            let first = dirty.partition_point(|written| written.end <= start);
            let written = &dirty[first..];
            let written = &written[..written.partition_point(|written| written.start < segment.end)];
            let page = pages.get((start / SEGMENT_BYTES) as usize);
            match page {
                _ if old_end != segment.end || !written.is_empty() => {
                    assembly.recut(&version, base, start..old_end, &segment, written).await?;
                }
                Some((_, page)) => {
                    assembly.push(Queued::Page(*page)).await?;
                    assembly.upload.progress(segment.end - start);
                }
                None => {
                    for placed in version.objects.items(base, segment.clone()).await? {
                        assembly.push(Queued::Item(placed.item)).await?;
                    }
                    assembly.upload.progress(segment.end - start);
                }
            }
        }
        assembly.finish().await
    }
}

fn push(chunker: &mut Chunker, stretch: &Stretch) {
    match stretch {
        Stretch::Bytes(bytes) => chunker.push(bytes),
        Stretch::Zeros(len) => chunker.push_zeros(*len),
    }
}

fn pieces(chunker: &mut Chunker) -> Vec<Piece> {
    std::iter::from_fn(|| chunker.next()).collect()
}

/// A part of the file, in order, perhaps not ready yet.
enum Queued {
    Item(Item),
    Page(PageRef),
    Pieces(JoinHandle<Result<Vec<Prepared>, RepoError>>),
}

/// One file's list of items, growing: pieces are made ready by other threads while earlier ones are placed.
struct Assembly<'a> {
    upload: &'a mut Upload,
    builder: ContentBuilder,
    queue: VecDeque<Queued>,
    base: Arc<BaseChunks>,
    /// The segments of the base that `base` holds the chunks of.
    looked: Range<u64>,
}

impl Assembly<'_> {
    fn new(upload: &mut Upload, base: BaseChunks) -> Assembly<'_> {
        let builder = ContentBuilder::new();
        Assembly { upload, builder, queue: VecDeque::new(), base: Arc::new(base), looked: 0..0 }
    }

    async fn push(&mut self, queued: Queued) -> Result<(), RepoError> {
        while self.queue.len() >= BATCHES_MAX {
            self.take().await?;
        }
        self.queue.push_back(queued);
        Ok(())
    }

    async fn push_pieces(&mut self, pieces: Vec<Piece>) -> Result<(), RepoError> {
        if pieces.is_empty() {
            return Ok(());
        }
        let (known, base) = (self.upload.known.clone(), self.base.clone());
        // Spawned, so that it runs while others are waited for.
        let ready = task::spawn(task::blocking(move || prepare(pieces, &known, &base)));
        self.push(Queued::Pieces(ready)).await
    }

    /// Appends what was queued first.
    async fn take(&mut self) -> Result<(), RepoError> {
        match self.queue.pop_front() {
            None => Ok(()),
            Some(Queued::Item(item)) => self.append(item).await,
            Some(Queued::Page(page)) => {
                self.builder.push_page(page).map_err(|error| unstorable(&error))?;
                self.store_pages().await.map(drop)
            }
            Some(Queued::Pieces(ready)) => {
                let broken = |error: tokio::task::JoinError| unreadable(std::io::Error::other(error.to_string()));
                let prepared = ready.await.map_err(broken)??;
                self.place(prepared).await
            }
        }
    }

    async fn place(&mut self, prepared: Vec<Prepared>) -> Result<(), RepoError> {
        for piece in prepared {
            let item = match piece {
                Prepared::Hole(len) => Item::Hole { len },
                Prepared::Chunk(chunk) => {
                    let (len, id) = (chunk.len, chunk.id);
                    Item::Chunk { len, id, location: self.upload.place_chunk(chunk).await? }
                }
            };
            self.append(item).await?;
        }
        Ok(())
    }

    async fn append(&mut self, item: Item) -> Result<(), RepoError> {
        self.builder.push(item).map_err(|error| unstorable(&error))?;
        self.store_pages().await.map(drop)
    }

    /// Stores pages that are full; the content when the list has ended.
    async fn store_pages(&mut self) -> Result<Option<FileContent>, RepoError> {
        loop {
            let page = match self.builder.next().map_err(|error| unstorable(&error))? {
                Progress::Ready => return Ok(None),
                Progress::Done(content) => return Ok(Some(content)),
                Progress::Store(page) => page,
            };
            let location = match self.upload.pages.get(&page.id) {
                Some(location) => *location,
                None => {
                    let frame = encode_frame(FrameKind::Page, &page.bytes).map_err(|error| unstorable(&error))?;
                    let location = self.upload.writer.add(&frame, page.id.0).await?;
                    self.upload.pages.insert(page.id, location);
                    location
                }
            };
            self.builder.stored(location);
        }
    }

    async fn finish(mut self) -> Result<FileContent, RepoError> {
        while !self.queue.is_empty() {
            self.take().await?;
        }
        self.builder.finish();
        match self.store_pages().await? {
            Some(content) => Ok(content),
            None => Err(RepoError::Refused("a content's list did not end".to_owned())),
        }
    }

    /// Cuts a file, or one of its segments, from end to end.
    async fn cut(
        &mut self,
        version: &NewVersion<'_>,
        range: Range<u64>,
        base: Option<&FileContent>,
    ) -> Result<(), RepoError> {
        let mut chunker = Chunker::new(self.upload.options.constants);
        let mut offset = range.start;
        while offset < range.end {
            let stretch = version.read(offset..range.end).await?;
            if let Some(base) = base {
                self.look_around(version.objects, base, offset).await?;
            }
            offset += stretch.len();
            self.upload.progress(stretch.len());
            let last = offset == range.end;
            let cut = move || {
                push(&mut chunker, &stretch);
                if last {
                    chunker.finish();
                }
                let pieces = pieces(&mut chunker);
                (chunker, pieces)
            };
            let (rest, pieces) = task::blocking(cut).await;
            chunker = rest;
            self.push_pieces(pieces).await?;
        }
        Ok(())
    }

    /// Makes the base's chunks around an offset known, so that what moved a little is not sent again.
    async fn look_around(&mut self, objects: &Objects, base: &FileContent, offset: u64) -> Result<(), RepoError> {
        let segment = offset / SEGMENT_BYTES;
        if self.looked.contains(&segment) {
            return Ok(());
        }
        let wanted = segment.saturating_sub(BASE_SEGMENTS)..segment + BASE_SEGMENTS;
        let range = wanted.start.saturating_mul(SEGMENT_BYTES)..wanted.end.saturating_mul(SEGMENT_BYTES);
        let mut chunks = BaseChunks::new();
        for placed in objects.items(base, range).await? {
            if let Item::Chunk { id, location, .. } = placed.item {
                chunks.insert(id, location);
            }
        }
        self.base = Arc::new(chunks);
        // Looked at again halfway to the window's end, so that as much is known ahead as behind.
        self.looked = segment..segment + BASE_SEGMENTS / 2;
        Ok(())
    }

    /// Cuts one segment again where it was written.
    async fn recut(
        &mut self,
        version: &NewVersion<'_>,
        base: &FileContent,
        old: Range<u64>,
        segment: &Range<u64>,
        written: &[Range<u64>],
    ) -> Result<(), RepoError> {
        let start = segment.start;
        let items: Vec<Item> = match old.is_empty() {
            true => Vec::new(),
            false => version.objects.items(base, old).await?.into_iter().map(|placed| placed.item).collect(),
        };
        let chunks = items.iter().filter_map(|item| match item {
            Item::Chunk { id, location, .. } => Some((*id, *location)),
            Item::Hole { .. } => None,
        });
        self.base = Arc::new(chunks.collect());
        // A segment of more than one chunk is cut as if it were a file: nothing before it counts.
        let new = items.is_empty() || written.iter().any(|range| range.start <= start && range.end >= segment.end);
        if new && segment.end - start > u64::from(self.upload.options.constants.chunk_max) {
            return self.cut(version, segment.clone(), None).await;
        }
        self.upload.progress(segment.end - start);
        let clip = |range: &Range<u64>| range.start.max(start) - start..range.end.min(segment.end) - start;
        let dirty: Vec<Range<u64>> = written.iter().map(clip).collect();
        let mut recutter = Recutter::new(self.upload.options.constants, &items, segment.end - start, &dirty);
        let mut new = Vec::new();
        loop {
            let step = recutter.step();
            if !matches!(step, Step::New(_)) {
                self.push_pieces(std::mem::take(&mut new)).await?;
            }
            match step {
                Step::Done => return Ok(()),
                Step::New(piece) => new.push(piece),
                Step::Keep(kept) => {
                    for item in &items[kept] {
                        self.push(Queued::Item(*item)).await?;
                    }
                }
                Step::Read(range) => match version.read(start + range.start..start + range.end).await? {
                    Stretch::Bytes(bytes) => recutter.push(&bytes),
                    // Within a segment, so that these are at most 64 MiB in parts of 1.
                    Stretch::Zeros(len) => recutter.push(&vec![0; len.min(SMALL_BYTES) as usize]),
                },
            }
        }
    }
}
