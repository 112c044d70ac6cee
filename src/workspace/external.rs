//! Bytes of files outside the mesh that were read lately: what lets a second look succeed without waiting.

use bytes::Bytes;
use lru::LruCache;
use parking_lot::Mutex;

use super::error::{Miss, WorkspaceError};
use crate::model::content::ExternalContent;
use crate::model::id::ContentId;
use crate::repo::error::RepoError;
use crate::repo::objects::Objects;

/// Unit of fetching, in bytes: one request brings what a sequential reader asks for next.
const BLOCK_BYTES: u64 = 1 << 20;

/// Blocks kept by one workspace.
const BLOCKS_MAX: usize = 32;

#[derive(Debug)]
pub struct ExternalCache {
    blocks: Mutex<LruCache<(ContentId, u64), Bytes>>,
}

impl Default for ExternalCache {
    fn default() -> ExternalCache {
        let kept = std::num::NonZeroUsize::new(BLOCKS_MAX).unwrap_or(std::num::NonZeroUsize::MIN);
        ExternalCache { blocks: Mutex::new(LruCache::new(kept)) }
    }
}

impl ExternalCache {
    /// A range within the file, when all of it is kept.
    pub fn read(&self, content: &ExternalContent, offset: u64, len: u64) -> Result<Bytes, WorkspaceError> {
        let mut blocks = self.blocks.lock();
        let mut bytes = Vec::with_capacity(usize::try_from(len).map_err(|_| WorkspaceError::TooLarge)?);
        let end = offset + len;
        let mut at = offset;
        while at < end {
            let block = at / BLOCK_BYTES;
            let Some(kept) = blocks.get(&(content.id, block)) else {
                return Err(Miss::External { content: Box::new(content.clone()), offset, len }.into());
            };
            let from = (at - block * BLOCK_BYTES) as usize;
            let until = ((end - block * BLOCK_BYTES) as usize).min(kept.len());
            let part = kept.get(from..until).filter(|part| !part.is_empty());
            let part = part.ok_or_else(|| WorkspaceError::Unreadable(format!("{} ends too early", content.url)))?;
            bytes.extend_from_slice(part);
            at += part.len() as u64;
        }
        Ok(bytes.into())
    }

    /// Reads the blocks that a range touches.
    pub async fn fetch(
        &self,
        objects: &Objects,
        content: &ExternalContent,
        offset: u64,
        len: u64,
    ) -> Result<(), RepoError> {
        for block in offset / BLOCK_BYTES..=(offset + len).saturating_sub(1) / BLOCK_BYTES {
            let start = block * BLOCK_BYTES;
            let bytes = objects.read_external(content, start, BLOCK_BYTES.min(content.size - start)).await?;
            self.blocks.lock().put((content.id, block), bytes);
        }
        Ok(())
    }
}
