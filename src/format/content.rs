//! Lists of a file's chunks and holes: their ids, pages, and the building of both.

use super::error::Result;
use super::node::Encoded;
use crate::model::content::{Constants, ExternalContent, FileContent, Item, Page, PageRef};
use crate::model::id::{ChunkId, ContentId, Location};

/// BLAKE3 of the raw bytes.
pub fn chunk_id(_raw: &[u8]) -> ChunkId {
    todo!()
}

/// Id of a content whose list stands in its entry.
pub fn list_id(_items: &[Item]) -> ContentId {
    todo!()
}

/// Id of an external content: of its URL, size, etag and version.
pub fn external_id(_external: &ExternalContent) -> ContentId {
    todo!()
}

pub fn page_id(_page: &Page) -> ContentId {
    todo!()
}

pub fn encode_page(_page: &Page) -> Result<Encoded<ContentId>> {
    todo!()
}

pub fn decode_page(_stored: &[u8], _expected: &ContentId) -> Result<Page> {
    todo!()
}

/// An empty file.
pub fn empty() -> FileContent {
    todo!()
}

/// May [`ContentBuilder::push_page`] be used for a file of this size? Else its items must be pushed, since a list of
/// few items stands in the entry.
pub fn may_reuse_pages(_size: u64) -> bool {
    todo!()
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

/// Makes a file's content of its items, in order. Bounded memory: pages are given out to be stored as they fill.
#[derive(Debug)]
pub struct ContentBuilder {}

impl ContentBuilder {
    pub fn new(_constants: &Constants) -> ContentBuilder {
        todo!()
    }

    /// The next stretch of the file. Before each push, [`Self::next`] must have answered `Ready`.
    pub fn push(&mut self, _item: Item) -> Result<()> {
        todo!()
    }

    /// The next whole segment, as a level-0 page stored already (see [`may_reuse_pages`]).
    pub fn push_page(&mut self, _page: PageRef) -> Result<()> {
        todo!()
    }

    /// Ends the list: from now on [`Self::next`] leads to `Done`.
    pub fn finish(&mut self) {
        todo!()
    }

    pub fn next(&mut self) -> Result<Progress> {
        todo!()
    }

    /// Where the page that [`Self::next`] gave last is stored.
    pub fn stored(&mut self, _location: Location) {
        todo!()
    }
}
