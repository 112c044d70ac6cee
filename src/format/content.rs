//! Lists of a file's chunks and holes: their ids, pages, and the building of both.

use std::collections::VecDeque;

use super::error::Result;
use super::id;
use super::limits::{CHUNK_BYTES_MAX, FRAME_RAW_BYTES_MAX};
use super::node::{Encoded, ITEM_CHUNK, ITEM_HOLE, canonical_external, refuse_unreadable};
use super::place::{PlaceReader, PlaceWriter};
use super::wire::{HEADER_BYTES, Header, Reader, unstorable, with_header};
use crate::model::content::{
    ExternalContent, FileBody, FileContent, ITEMS_IN_ENTRY_MAX, Item, PAGES_IN_PAGE_MAX, Page, PageRef, SEGMENT_BYTES,
};
use crate::model::id::{ChunkId, ContentId, Location};

const MAGIC: &[u8; 4] = b"mfsP";
const WHAT: &str = "a content page";

/// Highest level of a page: one of the next would cover more than 2^64 bytes several times.
const PAGE_LEVEL_MAX: u8 = 4;

/// BLAKE3 of the raw bytes.
pub fn chunk_id(raw: &[u8]) -> ChunkId {
    ChunkId(*blake3::hash(raw).as_bytes())
}

/// Id of a content whose list stands in its entry.
pub fn list_id(items: &[Item]) -> ContentId {
    ContentId(id::derive(id::FILE_CONTENT, &items_canonical(items).expect("a list in memory has a 32-bit length")))
}

/// Id of an external content: of its URL, size, etag and version. Its own `id` is not read.
pub fn external_id(external: &ExternalContent) -> Result<ContentId> {
    let mut bytes = Vec::new();
    canonical_external(external, &mut bytes)?;
    Ok(ContentId(id::derive(id::EXTERNAL_CONTENT, &bytes)))
}

pub fn page_id(page: &Page) -> Result<ContentId> {
    Ok(ContentId(id::derive(id::FILE_CONTENT, &page_canonical(page)?)))
}

fn page_canonical(page: &Page) -> Result<Vec<u8>> {
    match page {
        Page::Items(items) => items_canonical(items),
        Page::Pages { level, pages } => {
            let mut bytes = Vec::new();
            with_header(MAGIC, *level, pages.len(), &mut bytes, |out| {
                for page in pages {
                    out.extend_from_slice(&page.len.to_le_bytes());
                    out.extend_from_slice(&page.id.0);
                }
                Ok(())
            })?;
            Ok(bytes)
        }
    }
}

fn items_canonical(items: &[Item]) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    with_header(MAGIC, 0, items.len(), &mut bytes, |out| {
        for item in items {
            match item {
                Item::Chunk { len, id, .. } => {
                    out.push(ITEM_CHUNK);
                    out.extend_from_slice(&len.to_le_bytes());
                    out.extend_from_slice(&id.0);
                }
                Item::Hole { len } => {
                    out.push(ITEM_HOLE);
                    out.extend_from_slice(&len.to_le_bytes());
                }
            }
        }
        Ok(())
    })?;
    Ok(bytes)
}

/// The page as it is stored; chunks and child pages are stored before.
pub fn encode_page(page: &Page) -> Result<Encoded<ContentId>> {
    let mut bytes = page_canonical(page)?;
    let canonical_len = bytes.len();
    let id = ContentId(id::derive(id::FILE_CONTENT, &bytes));
    let mut places = PlaceWriter::default();
    match page {
        Page::Items(items) => items.iter().try_for_each(|item| match item {
            Item::Chunk { location, .. } => places.put(location),
            Item::Hole { .. } => Ok(()),
        })?,
        Page::Pages { pages, .. } => pages.iter().try_for_each(|page| places.put(&page.location))?,
    }
    places.finish(&mut bytes)?;
    refuse_unreadable(WHAT, &bytes, decode_page(&bytes, &id))?;
    Ok(Encoded { id, canonical_len, bytes })
}

/// The page of these stored bytes, checked against its id.
pub fn decode_page(stored: &[u8], expected: &ContentId) -> Result<Page> {
    let mut reader = Reader::new(WHAT, stored);
    let (header, canonical) = reader.header(MAGIC, FRAME_RAW_BYTES_MAX as u64)?;
    id::verify(WHAT, expected, &ContentId(id::derive(id::FILE_CONTENT, canonical)))?;
    let mut places = PlaceReader::new(reader)?;
    let mut reader = Reader::new(WHAT, &canonical[HEADER_BYTES..]);
    let page = match header.level {
        0 => Page::Items(read_items(header, &mut reader, &mut places)?),
        level => Page::Pages { level, pages: read_pages(header, &mut reader, &mut places)? },
    };
    reader.end()?;
    places.body.end()?;
    Ok(page)
}

fn read_items(header: Header, reader: &mut Reader<'_>, places: &mut PlaceReader<'_>) -> Result<Vec<Item>> {
    let mut items = Vec::with_capacity(reader.capacity(header.count, 9)?);
    for _ in 0..header.count {
        items.push(match reader.u8()? {
            ITEM_CHUNK => {
                let len = reader.u32()?;
                Item::Chunk { len, id: ChunkId(reader.array()?), location: places.location()? }
            }
            ITEM_HOLE => Item::Hole { len: reader.u64()? },
            tag => return Err(reader.damaged(format!("item tag {tag} is unknown"))),
        });
    }
    match check_items(&items)? {
        1..=SEGMENT_BYTES => Ok(items),
        len => Err(reader.damaged(format!("{len} bytes are not one segment"))),
    }
}

fn read_pages(header: Header, reader: &mut Reader<'_>, places: &mut PlaceReader<'_>) -> Result<Vec<PageRef>> {
    if header.level > PAGE_LEVEL_MAX || header.count == 0 || header.count as usize > PAGES_IN_PAGE_MAX {
        return Err(reader.damaged("its level or count is impossible"));
    }
    let full = page_bytes(header.level - 1);
    let mut pages = Vec::with_capacity(reader.capacity(header.count, 40)?);
    let mut total = 0u64;
    for at in 0..header.count {
        let len = reader.u64()?;
        if len == 0 || len > full || (len < full && at + 1 < header.count) {
            return Err(reader.damaged("a page in it is not whole segments"));
        }
        total = total.checked_add(len).ok_or_else(|| reader.damaged("its lengths overflow"))?;
        pages.push(PageRef { len, id: ContentId(reader.array()?), location: places.location()? });
    }
    Ok(pages)
}

/// Most bytes of a file that a page of this level covers.
fn page_bytes(level: u8) -> u64 {
    SEGMENT_BYTES << (10 * u32::from(level))
}

/// Length of a list in bytes; fails when an item is impossible, passes the end of a segment, or should be one with the
/// item before.
pub(super) fn check_items(items: &[Item]) -> Result<u64> {
    let reader = Reader::new(WHAT, &[]);
    let mut total = 0u64;
    let mut after_hole = false;
    for item in items {
        let in_segment = total % SEGMENT_BYTES;
        let possible = match item {
            Item::Chunk { len, .. } => (1..=CHUNK_BYTES_MAX).contains(len),
            Item::Hole { len } => *len > 0 && !(after_hole && in_segment > 0),
        };
        if !possible || item.len() > SEGMENT_BYTES - in_segment {
            return Err(reader.damaged(format!("the item at byte {total} of the file is impossible")));
        }
        after_hole = matches!(item, Item::Hole { .. });
        total = total.checked_add(item.len()).ok_or_else(|| reader.damaged("its lengths overflow"))?;
    }
    Ok(total)
}

/// The content of an empty file.
pub fn empty() -> FileContent {
    FileContent { size: 0, id: list_id(&[]), body: FileBody::Items(Vec::new()) }
}

/// May [`ContentBuilder::push_page`] be used for a file of this size? Else its items must be pushed, since a list of
/// few items stands in the entry.
pub fn may_reuse_pages(size: u64) -> bool {
    size > ITEMS_IN_ENTRY_MAX as u64 * SEGMENT_BYTES
}

/// What a [`ContentBuilder`] needs next.
#[derive(Debug)]
pub enum Progress {
    /// More items, or the end.
    Ready,
    /// Store this page and tell its place by [`ContentBuilder::stored`].
    Store(Encoded<ContentId>),
    Done(FileContent),
}

#[derive(Debug)]
enum Pushed {
    Item(Item),
    Page(PageRef),
}

/// Makes a file's content of its items, in order. Bounded memory: pages are given out to be stored as they fill.
#[derive(Debug, Default)]
pub struct ContentBuilder {
    size: u64,
    items: usize,
    reuses_pages: bool,
    finished: bool,
    /// Not yet in `segment`: while there are few items, they may all turn out to stand in the entry.
    waiting: VecDeque<Pushed>,
    /// The items of the segment under way, and their length.
    segment: Vec<Item>,
    segment_len: u64,
    /// Pages stored and not yet listed in one of the next level, by level.
    levels: Vec<Vec<PageRef>>,
    /// Level, length and id of the page given out to be stored.
    given: Option<(usize, u64, ContentId)>,
}

impl ContentBuilder {
    pub fn new() -> ContentBuilder {
        ContentBuilder::default()
    }

    /// The next stretch of the file. Before each push, [`Self::next`] must have answered `Ready`.
    pub fn push(&mut self, item: Item) -> Result<()> {
        let room = SEGMENT_BYTES - self.size % SEGMENT_BYTES;
        if item.is_empty() || item.len() > room {
            return Err(unstorable("a file's content", "an item is empty, or passes the end of a segment"));
        }
        self.items += 1;
        self.grow(item.len())?;
        self.waiting.push_back(Pushed::Item(item));
        Ok(())
    }

    /// The next segment (whole, or the file's last), as a level-0 page stored already (see [`may_reuse_pages`]).
    pub fn push_page(&mut self, page: PageRef) -> Result<()> {
        if !self.size.is_multiple_of(SEGMENT_BYTES) || page.len == 0 || page.len > SEGMENT_BYTES {
            return Err(unstorable("a file's content", "a page is not one segment"));
        }
        self.reuses_pages = true;
        self.grow(page.len)?;
        self.waiting.push_back(Pushed::Page(page));
        Ok(())
    }

    fn grow(&mut self, len: u64) -> Result<()> {
        let size = self.size.checked_add(len).filter(|_| !self.finished);
        self.size = size.ok_or_else(|| unstorable("a file's content", "it goes on after its end"))?;
        Ok(())
    }

    /// Ends the list: from now on [`Self::next`] leads to `Done`.
    pub fn finish(&mut self) {
        self.finished = true;
    }

    #[allow(clippy::should_implement_trait, reason = "it fails, and it is told more in between")]
    pub fn next(&mut self) -> Result<Progress> {
        if self.given.is_some() {
            return Err(unstorable(WHAT, "the place of the page before was not told"));
        }
        if !self.reuses_pages && self.items <= ITEMS_IN_ENTRY_MAX {
            return Ok(if self.finished { Progress::Done(self.short()) } else { Progress::Ready });
        }
        if let Some(page) = self.full_page() {
            return self.give(page);
        }
        if !self.finished {
            return Ok(Progress::Ready);
        }
        if self.reuses_pages && !may_reuse_pages(self.size) {
            return Err(unstorable("a file's content", "pages were reused in a file that may have a short list"));
        }
        match self.last_page() {
            Some(page) => self.give(page),
            None => self.top(),
        }
    }

    fn short(&mut self) -> FileContent {
        let item = |pushed: Pushed| match pushed {
            Pushed::Item(item) => Some(item),
            Pushed::Page(_) => None,
        };
        let items: Vec<_> = std::mem::take(&mut self.waiting).into_iter().filter_map(item).collect();
        FileContent { size: self.size, id: list_id(&items), body: FileBody::Items(items) }
    }

    /// The next page that is full.
    fn full_page(&mut self) -> Option<Page> {
        loop {
            if self.segment_len == SEGMENT_BYTES {
                self.segment_len = 0;
                return Some(Page::Items(std::mem::take(&mut self.segment)));
            }
            if let Some(level) = self.levels.iter().position(|pages| pages.len() == PAGES_IN_PAGE_MAX) {
                return Some(self.page_above(level));
            }
            match self.waiting.pop_front()? {
                Pushed::Item(item) => {
                    self.segment_len += item.len();
                    self.segment.push(item);
                }
                Pushed::Page(page) => self.level(0).push(page),
            }
        }
    }

    /// After the end: the next page to be stored though it is not full; none when one page is left.
    fn last_page(&mut self) -> Option<Page> {
        if !self.segment.is_empty() {
            self.segment_len = 0;
            return Some(Page::Items(std::mem::take(&mut self.segment)));
        }
        let lowest = self.levels.iter().position(|pages| !pages.is_empty())?;
        let alone = self.levels[lowest].len() == 1 && self.levels[lowest + 1..].iter().all(Vec::is_empty);
        (!alone).then(|| self.page_above(lowest))
    }

    fn page_above(&mut self, level: usize) -> Page {
        Page::Pages { level: level as u8 + 1, pages: std::mem::take(&mut self.levels[level]) }
    }

    fn level(&mut self, level: usize) -> &mut Vec<PageRef> {
        if self.levels.len() <= level {
            self.levels.resize_with(level + 1, Vec::new);
        }
        &mut self.levels[level]
    }

    fn give(&mut self, page: Page) -> Result<Progress> {
        let encoded = encode_page(&page)?;
        let level = match &page {
            Page::Items(_) => 0,
            Page::Pages { level, .. } => usize::from(*level),
        };
        self.given = Some((level, page.len(), encoded.id));
        Ok(Progress::Store(encoded))
    }

    /// Where the page that [`Self::next`] gave last is stored.
    pub fn stored(&mut self, location: Location) {
        if let Some((level, len, id)) = self.given.take() {
            self.level(level).push(PageRef { len, id, location });
        }
    }

    fn top(&mut self) -> Result<Progress> {
        match self.levels.iter().flatten().next() {
            Some(top) if top.len == self.size => {
                Ok(Progress::Done(FileContent { size: self.size, id: top.id, body: FileBody::Pages(top.location) }))
            }
            _ => Err(unstorable("a file's content", "its pages are not all of it")),
        }
    }
}
