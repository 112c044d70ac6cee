//! Files' contents: pages to items, items to bytes.

use std::ops::Range;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::Objects;
use super::frames::{Wanted, damaged, range_of};
use super::packs::{Fetch, Reach};
use crate::format::content::{chunk_id, decode_page};
use crate::format::error::FormatError;
use crate::format::pack::FrameKind;
use crate::model::content::{FileBody, FileContent, Item, Page, PageRef, SEGMENT_BYTES};
use crate::model::entry::XattrValue;
use crate::model::id::{ChunkId, Codec, ContentId, Location};
use crate::repo::error::RepoError;

/// Frames this near to each other in a pack are fetched as one range, in bytes.
const GAP_BYTES_MAX: u64 = 64 << 10;

/// An item of a file, and the file offset where it starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlacedItem {
    pub offset: u64,
    pub item: Item,
}

/// A chunk of a file that some read needs.
#[derive(Clone, Copy, Debug)]
struct WantedChunk {
    len: u32,
    id: ChunkId,
    location: Location,
}

fn decode_chunk(raw: &Bytes, id: &ChunkId, location: &Location) -> Result<Bytes, FormatError> {
    let found = chunk_id(raw);
    if found != *id {
        return Err(FormatError::WrongId { what: "chunk", expected: id.to_string(), found: found.to_string() });
    }
    Ok(match location.codec {
        // Still a part of what was fetched, all of which it would keep in memory.
        Codec::Raw => Bytes::copy_from_slice(raw),
        Codec::Zstd => raw.clone(),
    })
}

/// Children of a list that touch `range`, with their offsets. `start` is the offset of the first.
fn touching<T: Copy>(children: &[T], start: u64, len: impl Fn(&T) -> u64, range: &Range<u64>) -> Vec<(u64, T)> {
    let mut found = Vec::new();
    let mut offset = start;
    for child in children {
        let end = offset.saturating_add(len(child));
        if offset >= range.end {
            break;
        }
        if end > range.start {
            found.push((offset, *child));
        }
        offset = end;
    }
    found
}

fn placed(items: &[Item], start: u64, range: &Range<u64>) -> Vec<PlacedItem> {
    touching(items, start, Item::len, range).into_iter().map(|(offset, item)| PlacedItem { offset, item }).collect()
}

fn clip(content: &FileContent, offset: u64, len: u64) -> Range<u64> {
    let start = offset.min(content.size);
    start..offset.saturating_add(len).min(content.size)
}

fn top_page(content: &FileContent, location: Location) -> PageRef {
    PageRef { len: content.size, id: content.id, location }
}

impl Objects {
    /// The items that touch a range of a file, in order.
    pub async fn items(&self, content: &FileContent, range: Range<u64>) -> Result<Vec<PlacedItem>, RepoError> {
        let range = range.start..range.end.min(content.size);
        let top = match &content.body {
            FileBody::Items(items) => return Ok(placed(items, 0, &range)),
            FileBody::Pages(location) => top_page(content, *location),
        };
        let mut found = Vec::new();
        let mut pages = vec![(0, top)];
        while let Some((offset, page)) = pages.pop() {
            match &*self.page(&page).await? {
                Page::Items(items) => found.extend(placed(items, offset, &range)),
                Page::Pages { pages: below, .. } => {
                    pages.extend(touching(below, offset, |page| page.len, &range).into_iter().rev());
                }
            }
        }
        Ok(found)
    }

    /// [`Objects::items`], when the pages are in memory or on this machine's disk; never asks the store.
    pub fn cached_items(&self, content: &FileContent, range: Range<u64>) -> Option<Vec<PlacedItem>> {
        let range = range.start..range.end.min(content.size);
        let top = match &content.body {
            FileBody::Items(items) => return Some(placed(items, 0, &range)),
            FileBody::Pages(location) => top_page(content, *location),
        };
        let mut found = Vec::new();
        let mut pages = vec![(0, top)];
        while let Some((offset, page)) = pages.pop() {
            match &*self.cached_page(&page.id, &page.location)? {
                Page::Items(items) => found.extend(placed(items, offset, &range)),
                Page::Pages { pages: below, .. } => {
                    pages.extend(touching(below, offset, |page| page.len, &range).into_iter().rev());
                }
            }
        }
        Some(found)
    }

    /// The level-0 pages that touch a range of a file in pages, with their offsets; none for a file without.
    pub(in crate::repo) async fn segment_pages(
        &self,
        content: &FileContent,
        range: Range<u64>,
    ) -> Result<Vec<(u64, PageRef)>, RepoError> {
        let FileBody::Pages(location) = &content.body else { return Ok(Vec::new()) };
        let mut found = Vec::new();
        let mut pages = vec![(0, top_page(content, *location))];
        while let Some((offset, page)) = pages.pop() {
            // One segment has one page of level 0, and whatever covers more is above.
            if page.len <= SEGMENT_BYTES {
                found.push((offset, page));
            } else if let Page::Pages { pages: below, .. } = &*self.page(&page).await? {
                pages.extend(touching(below, offset, |page| page.len, &range).into_iter().rev());
            }
        }
        Ok(found)
    }

    fn cached_page(&self, id: &ContentId, location: &Location) -> Option<Arc<Page>> {
        let shared = self.shared();
        if let Some((_, page)) = shared.pages.get(location).filter(|(kept, _)| kept == id) {
            return Some(page);
        }
        let page = Arc::new(self.frame_from_here(FrameKind::Page, location, |raw| decode_page(raw, id))?);
        shared.keep_page(*id, *location, page.clone());
        Some(page)
    }

    /// One page of a long list.
    pub(in crate::repo) async fn page(&self, page: &PageRef) -> Result<Arc<Page>, RepoError> {
        let PageRef { len, id, location } = page;
        let what = format!("page {id}");
        let read = match self.cached_page(id, location) {
            Some(read) => read,
            None => {
                let what = what.clone();
                let wanted = Wanted { kind: FrameKind::Page, what, location, reach: Reach::Before, fetch: None };
                let read = Arc::new(self.frame(wanted, |raw| decode_page(raw, id)).await?);
                self.shared().keep_page(*id, *location, read.clone());
                read
            }
        };
        if read.len() != *len {
            return Err(damaged(what, format!("it covers {} bytes where {len} are expected", read.len())));
        }
        Ok(read)
    }

    /// The bytes of a range of a file: fewer where it passes the end, none when it lies past it. They are held in
    /// memory together.
    pub async fn read(&self, content: &FileContent, offset: u64, len: u64) -> Result<Bytes, RepoError> {
        let range = clip(content, offset, len);
        let items = self.items(content, range.clone()).await?;
        let reach = if is_small(content) { Reach::Neighbours } else { Reach::Exact };
        let chunks = self.load(chunks_of(&items), reach).await?;
        assemble(&items, &range, chunks).ok_or_else(|| unfit(content))
    }

    /// [`Objects::read`], when all of it is in memory or on this machine's disk; never asks the store.
    pub fn cached_read(&self, content: &FileContent, offset: u64, len: u64) -> Option<Bytes> {
        let range = clip(content, offset, len);
        let items = self.cached_items(content, range.clone())?;
        let chunks = chunks_of(&items);
        let chunks = chunks.iter().map(|chunk| self.cached_chunk(&chunk.id, &chunk.location));
        let chunks = chunks.collect::<Option<Vec<_>>>()?;
        assemble(&items, &range, chunks)
    }

    /// Brings a range of a file into memory.
    pub(super) async fn prefetch(&self, content: &FileContent, range: Range<u64>) -> Result<(), RepoError> {
        let _room = self.shared().ahead_room(range.end - range.start).await;
        let items = self.items(content, range).await?;
        self.load(chunks_of(&items), Reach::Exact).await?;
        Ok(())
    }

    /// One chunk's raw bytes.
    pub async fn chunk(&self, id: &ChunkId, location: &Location) -> Result<Bytes, RepoError> {
        match self.cached_chunk(id, location) {
            Some(raw) => Ok(raw),
            None => self.fetched_chunk(id, location, Reach::Neighbours, None).await,
        }
    }

    fn cached_chunk(&self, id: &ChunkId, location: &Location) -> Option<Bytes> {
        let shared = self.shared();
        let kept = || Some(shared.chunks.get(location).filter(|(kept, _)| kept == id)?.1);
        kept().or_else(|| {
            let _alone = shared.decode_lock(location);
            kept().or_else(|| {
                let raw = self.frame_from_here(FrameKind::Chunk, location, |raw| decode_chunk(raw, id, location))?;
                shared.keep_chunk(*id, *location, raw.clone());
                Some(raw)
            })
        })
    }

    async fn fetched_chunk(
        &self,
        id: &ChunkId,
        location: &Location,
        reach: Reach,
        fetch: Option<&Fetch>,
    ) -> Result<Bytes, RepoError> {
        let wanted = Wanted { kind: FrameKind::Chunk, what: format!("chunk {id}"), location, reach, fetch };
        let raw = self.frame(wanted, |raw| decode_chunk(raw, id, location)).await?;
        self.shared().keep_chunk(*id, *location, raw.clone());
        Ok(raw)
    }

    /// The raw bytes of chunks, in order: what is not in memory is fetched in as few ranges as their places allow, and
    /// decoded by all cores.
    async fn load(&self, wanted: Vec<WantedChunk>, reach: Reach) -> Result<Vec<Bytes>, RepoError> {
        let mut loaded: Vec<Option<Bytes>> = Vec::with_capacity(wanted.len());
        for chunk in &wanted {
            let kept = self.shared().chunks.get(&chunk.location).filter(|(id, _)| *id == chunk.id);
            loaded.push(kept.map(|(_, raw)| raw));
        }
        let missing: Vec<usize> = (0..wanted.len()).filter(|&at| loaded[at].is_none()).collect();
        if let [at] = missing[..] {
            let chunk = wanted[at];
            let raw = match self.cached_chunk(&chunk.id, &chunk.location) {
                Some(raw) => raw,
                None => self.fetched_chunk(&chunk.id, &chunk.location, reach, None).await?,
            };
            loaded[at] = Some(raw);
        } else {
            let mut tasks = tokio::task::JoinSet::new();
            for (range, group) in grouped(&wanted, &missing) {
                let fetch = Arc::new(self.0.packs.fetch(&wanted[group[0]].location.pack, range, reach));
                for at in group {
                    let (objects, chunk, fetch) = (self.clone(), wanted[at], fetch.clone());
                    let load = async move {
                        (at, objects.fetched_chunk(&chunk.id, &chunk.location, reach, Some(&fetch)).await)
                    };
                    tasks.spawn_on(load, &self.shared().runtime);
                }
            }
            while let Some(done) = tasks.join_next().await {
                let (at, raw) = done.map_err(|error| broken_task(&error))?;
                loaded[at] = Some(raw?);
            }
        }
        let lens = wanted.iter().zip(loaded);
        lens.map(|(chunk, raw)| raw.filter(|raw| raw.len() == chunk.len as usize).ok_or_else(|| wrong_len(chunk)))
            .collect()
    }

    /// The value of an extended attribute.
    pub async fn xattr_value(&self, value: &XattrValue) -> Result<Bytes, RepoError> {
        match value {
            XattrValue::Inline(value) => Ok(Bytes::copy_from_slice(value)),
            XattrValue::Chunk { id, location, .. } => self.chunk(id, location).await,
        }
    }

    /// [`Objects::xattr_value`], when it is in memory or on this machine's disk; never asks the store.
    pub fn cached_xattr_value(&self, value: &XattrValue) -> Option<Bytes> {
        match value {
            XattrValue::Inline(value) => Some(Bytes::copy_from_slice(value)),
            XattrValue::Chunk { id, location, .. } => self.cached_chunk(id, location),
        }
    }
}

/// Is the file one that lies beside others in its pack, wanted together with them?
fn is_small(content: &FileContent) -> bool {
    matches!(&content.body, FileBody::Items(items) if items.len() <= 1)
}

fn chunks_of(items: &[PlacedItem]) -> Vec<WantedChunk> {
    let chunk = |placed: &PlacedItem| match placed.item {
        Item::Chunk { len, id, location } => Some(WantedChunk { len, id, location }),
        Item::Hole { .. } => None,
    };
    items.iter().filter_map(chunk).collect()
}

/// Groups chunks that lie near each other in a pack, each with the range that holds them all.
fn grouped(wanted: &[WantedChunk], missing: &[usize]) -> Vec<(Range<u64>, Vec<usize>)> {
    let mut groups: Vec<(Range<u64>, Vec<usize>)> = Vec::new();
    for &at in missing {
        let location = &wanted[at].location;
        // A place where nothing can be is left to be found damaged by itself.
        let range = range_of(location).unwrap_or(0..0);
        match groups.last_mut() {
            Some((joined, group))
                if wanted[group[0]].location.pack == location.pack
                    && range.start >= joined.start
                    && range.start <= joined.end.saturating_add(GAP_BYTES_MAX) =>
            {
                joined.end = joined.end.max(range.end);
                group.push(at);
            }
            _ => groups.push((range, vec![at])),
        }
    }
    groups
}

/// The bytes of `range`, made of the chunks of `items` in order; none when these do not cover it.
fn assemble(items: &[PlacedItem], range: &Range<u64>, chunks: Vec<Bytes>) -> Option<Bytes> {
    let len = usize::try_from(range.end - range.start).ok()?;
    if let ([placed], [raw]) = (items, &chunks[..]) {
        let start = usize::try_from(range.start.checked_sub(placed.offset)?).ok()?;
        return (start + len <= raw.len()).then(|| raw.slice(start..start + len));
    }
    let mut bytes = BytesMut::with_capacity(len);
    let mut chunks = chunks.into_iter();
    for PlacedItem { offset, item } in items {
        let from = range.start.max(*offset);
        let to = range.end.min(offset.checked_add(item.len())?);
        if from != range.start + bytes.len() as u64 || from > to {
            return None;
        }
        match item {
            Item::Hole { .. } => bytes.resize(bytes.len() + (to - from) as usize, 0),
            Item::Chunk { .. } => {
                bytes.extend_from_slice(chunks.next()?.get((from - offset) as usize..(to - offset) as usize)?)
            }
        }
    }
    (bytes.len() == len).then(|| bytes.freeze())
}

fn unfit(content: &FileContent) -> RepoError {
    damaged(format!("content {}", content.id), "its chunks do not add up to its size".to_owned())
}

fn wrong_len(chunk: &WantedChunk) -> RepoError {
    damaged(format!("chunk {}", chunk.id), format!("it is not of {} bytes", chunk.len))
}

/// A task ends without its result only when it panicked or the runtime ends.
fn broken_task(error: &tokio::task::JoinError) -> RepoError {
    RepoError::Local { what: "reading".to_owned(), source: Arc::new(std::io::Error::other(error.to_string())) }
}
