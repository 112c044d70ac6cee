//! Which blocks lie in a cache folder, how large they are, and which was used longest ago.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::SystemTime;

use lru::LruCache;

use super::blocks::BlockId;

/// Blocks known to be in the folder, the least recently used first to go.
pub(super) struct Index {
    sizes: LruCache<BlockId, u32>,
    bytes: u64,
}

impl Index {
    pub fn new() -> Index {
        Index { sizes: LruCache::unbounded(), bytes: 0 }
    }

    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Is the block known? Counts as a use.
    pub fn touch(&mut self, block: &BlockId) -> bool {
        self.sizes.get(block).is_some()
    }

    pub fn insert(&mut self, block: BlockId, bytes: u32) {
        self.bytes += u64::from(bytes);
        if let Some((_, old)) = self.sizes.push(block, bytes) {
            self.bytes -= u64::from(old);
        }
    }

    pub fn remove(&mut self, block: &BlockId) -> bool {
        let removed = self.sizes.pop(block);
        self.bytes -= u64::from(removed.unwrap_or(0));
        removed.is_some()
    }

    /// Takes out the block used longest ago.
    pub fn pop_oldest(&mut self) -> Option<(BlockId, u32)> {
        let (block, bytes) = self.sizes.pop_lru()?;
        self.bytes -= u64::from(bytes);
        Some((block, bytes))
    }

    /// Puts blocks of an earlier process before those of this one; `found` comes oldest first.
    pub fn add_older(&mut self, found: Vec<(BlockId, u32)>) {
        let mut merged = Index::new();
        for (block, bytes) in found {
            merged.insert(block, bytes);
        }
        while let Some((block, bytes)) = self.pop_oldest() {
            merged.insert(block, bytes);
        }
        *self = merged;
    }
}

/// The blocks below `packs`, oldest first, and what dead processes left half written removed.
pub(super) fn scan(packs: &Path) -> Vec<(BlockId, u32)> {
    let mut found = BTreeMap::new();
    let folders = fs::read_dir(packs).into_iter().flatten().flatten();
    for folder in folders.filter(|folder| folder.file_type().is_ok_and(|kind| kind.is_dir())) {
        for file in fs::read_dir(folder.path()).into_iter().flatten().flatten() {
            let name = file.file_name();
            let Some(name) = name.to_str() else { continue };
            if let Some(process) = super::blocks::writer_of_temporary(name) {
                if !Path::new("/proc").join(process.to_string()).exists() {
                    // Whoever else removes it first has done the same.
                    let _ = fs::remove_file(file.path());
                }
            } else if let (Some(block), Ok(metadata)) = (BlockId::of_file_name(name), file.metadata()) {
                let written = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
                let bytes = u32::try_from(metadata.len()).unwrap_or(u32::MAX);
                found.insert((written, block), bytes);
            }
        }
    }
    found.into_iter().map(|((_, block), bytes)| (block, bytes)).collect()
}
