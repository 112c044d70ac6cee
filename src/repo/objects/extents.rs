//! Data and holes of a file, as lseek(2) asks for them.

use super::Objects;
use super::content::PlacedItem;
use crate::model::content::{FileContent, Item, SEGMENT_BYTES};
use crate::repo::error::RepoError;

/// What is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Extent {
    Data,
    Hole,
}

impl Extent {
    /// The first offset at or after `from` in these items that is of this kind.
    fn find(self, items: &[PlacedItem], from: u64) -> Option<u64> {
        let is = |item: &Item| matches!(item, Item::Hole { .. }) == (self == Extent::Hole);
        items.iter().find(|placed| is(&placed.item)).map(|placed| placed.offset.max(from))
    }

    /// The answer at the end of a file, which counts as a hole.
    fn at_end(self, content: &FileContent) -> Option<u64> {
        (self == Extent::Hole).then_some(content.size)
    }
}

/// The offsets to look from, one per segment, so that one page is in memory at a time.
fn steps(content: &FileContent, offset: u64) -> impl Iterator<Item = u64> {
    let next = |from: &u64| (from / SEGMENT_BYTES).checked_add(1)?.checked_mul(SEGMENT_BYTES);
    let size = content.size;
    std::iter::successors(Some(offset), next).take_while(move |from| *from < size)
}

fn segment_end(from: u64) -> u64 {
    (from / SEGMENT_BYTES + 1).saturating_mul(SEGMENT_BYTES)
}

impl Objects {
    /// The first byte of data at or after `offset`, as lseek(2) has it; none when only holes follow, or the end.
    pub async fn next_data(&self, content: &FileContent, offset: u64) -> Result<Option<u64>, RepoError> {
        self.next(Extent::Data, content, offset).await
    }

    /// The first byte of a hole at or after `offset`, the end of the file counting as one; none at or past the end.
    pub async fn next_hole(&self, content: &FileContent, offset: u64) -> Result<Option<u64>, RepoError> {
        self.next(Extent::Hole, content, offset).await
    }

    async fn next(&self, extent: Extent, content: &FileContent, offset: u64) -> Result<Option<u64>, RepoError> {
        if offset >= content.size {
            return Ok(None);
        }
        for from in steps(content, offset) {
            let items = self.items(content, from..segment_end(from)).await?;
            if let Some(found) = extent.find(&items, from) {
                return Ok(Some(found));
            }
        }
        Ok(extent.at_end(content))
    }

    /// [`Objects::next_data`] without the store: the outer none says that it is needed.
    pub fn cached_next_data(&self, content: &FileContent, offset: u64) -> Option<Option<u64>> {
        self.cached_next(Extent::Data, content, offset)
    }

    /// [`Objects::next_hole`] without the store: the outer none says that it is needed.
    pub fn cached_next_hole(&self, content: &FileContent, offset: u64) -> Option<Option<u64>> {
        self.cached_next(Extent::Hole, content, offset)
    }

    fn cached_next(&self, extent: Extent, content: &FileContent, offset: u64) -> Option<Option<u64>> {
        if offset >= content.size {
            return Some(None);
        }
        for from in steps(content, offset) {
            let items = self.cached_items(content, from..segment_end(from))?;
            if let Some(found) = extent.find(&items, from) {
                return Some(Some(found));
            }
        }
        Some(extent.at_end(content))
    }
}
