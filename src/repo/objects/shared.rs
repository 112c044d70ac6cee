//! What all domains of a mesh share when they read: caches, and one budget for what is being fetched.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use lru::LruCache;
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::cache::blocks::{BlockCache, BlockId};
use crate::cache::memory::ByteLru;
use crate::cache::weight;
use crate::model::content::Page;
use crate::model::gc::Relocations;
use crate::model::id::{ChunkId, ContentId, Location, NodeId, PackName};
use crate::model::tree::{LinkNode, Node};
use crate::repo::error::RepoError;
use crate::storage::Store;

/// Decoded directory nodes: some 100,000 files' worth, so that walking them twice decodes them once.
const NODES_BYTES: u64 = 48 << 20;

/// Decoded nodes of hard-link tables, which are small and seldom asked for.
const LINKS_BYTES: u64 = 4 << 20;

/// Decoded pages: each names a segment's chunks, some 50 KiB.
const PAGES_BYTES: u64 = 8 << 20;

/// Decoded chunks: two sequential readers' readahead.
const CHUNKS_BYTES: u64 = 32 << 20;

/// Blocks fetched for their neighbourhood, or that the disk did not take: a few windows.
const RECENT_BYTES: u64 = 8 << 20;

/// Bytes being fetched at once, over all domains: at 50 ms a request this is 640 MB/s.
const FETCHING_BYTES: usize = 32 << 20;

/// Bytes that readahead may have under way at once, from the first request to the last decoded chunk: less than all
/// that may be fetched, so that a reader who waits is not behind those who only might.
const AHEAD_BYTES: usize = FETCHING_BYTES / 4 * 3;

/// Permits of the budgets count units of this many bytes.
const UNIT_BYTES: usize = 1 << 10;

/// Maps of moved packs kept decoded.
const RELOCATIONS_MAX: usize = 8;

/// Opened stores of external contents.
const EXTERNAL_STORES_MAX: usize = 16;

/// Locks that keep several readers of one chunk from decoding it at the same time.
const DECODE_LOCKS: usize = 64;

/// What reading needs.
#[derive(Clone, Debug)]
pub struct ReadOptions {
    /// Folder for blocks of packs, this mesh's own; none keeps nothing on disk.
    pub cache_dir: Option<PathBuf>,
    /// Most bytes of blocks in it.
    pub cache_bytes: u64,
}

/// Caches and budgets of one mesh in one process. What is decoded is kept by location, and with the id it was checked
/// against: the same place asked for as something else is no hit.
pub struct Shared {
    pub(super) nodes: ByteLru<Location, (NodeId, Arc<Node>)>,
    pub(super) links: ByteLru<Location, (NodeId, Arc<LinkNode>)>,
    pub(super) pages: ByteLru<Location, (ContentId, Arc<Page>)>,
    pub(super) chunks: ByteLru<Location, (ChunkId, Bytes)>,
    pub(super) relocations: Mutex<LruCache<PackName, Arc<Relocations>>>,
    pub(super) external: Mutex<LruCache<String, Arc<dyn Store>>>,
    pub(super) runtime: Handle,
    recent: ByteLru<BlockId, Bytes>,
    blocks: Option<BlockCache>,
    fetching: Arc<Semaphore>,
    ahead: Arc<Semaphore>,
    decode_locks: [Mutex<()>; DECODE_LOCKS],
}

/// Room in a budget, given back when dropped.
pub(super) type Room = Option<OwnedSemaphorePermit>;

impl Shared {
    /// To be called on the runtime that fetches shall run on.
    pub fn open(options: ReadOptions) -> Result<Arc<Shared>, RepoError> {
        let blocks = match &options.cache_dir {
            Some(dir) if options.cache_bytes > 0 => {
                let opened = BlockCache::open(dir, options.cache_bytes);
                let what = || format!("the cache folder {}", dir.display());
                Some(opened.map_err(|source| RepoError::Local { what: what(), source: Arc::new(source) })?)
            }
            _ => None,
        };
        let bounded = |max| std::num::NonZeroUsize::new(max).expect("the bounds above are not zero");
        Ok(Arc::new(Shared {
            nodes: ByteLru::new(NODES_BYTES),
            links: ByteLru::new(LINKS_BYTES),
            pages: ByteLru::new(PAGES_BYTES),
            chunks: ByteLru::new(CHUNKS_BYTES),
            relocations: Mutex::new(LruCache::new(bounded(RELOCATIONS_MAX))),
            external: Mutex::new(LruCache::new(bounded(EXTERNAL_STORES_MAX))),
            runtime: Handle::current(),
            recent: ByteLru::new(RECENT_BYTES),
            blocks,
            fetching: Arc::new(Semaphore::new(FETCHING_BYTES / UNIT_BYTES)),
            ahead: Arc::new(Semaphore::new(AHEAD_BYTES / UNIT_BYTES)),
            decode_locks: [const { Mutex::new(()) }; DECODE_LOCKS],
        }))
    }

    /// The runtime that fetches run on.
    pub fn runtime(&self) -> &Handle {
        &self.runtime
    }

    /// Gives way where the disk fills up: to be called every few seconds while mounted, and when staging finds no room.
    pub fn trim(&self) {
        if let Some(blocks) = &self.blocks {
            blocks.trim();
        }
    }

    /// Forgets what is in memory; what is on disk stays.
    pub fn forget_memory(&self) {
        self.nodes.clear();
        self.links.clear();
        self.pages.clear();
        self.chunks.clear();
        self.recent.clear();
        self.relocations.lock().clear();
    }

    pub(super) fn keep_node(&self, id: NodeId, location: Location, node: Arc<Node>) {
        let bytes = weight::of_node(&node);
        self.nodes.put(location, (id, node), bytes);
    }

    pub(super) fn keep_link_node(&self, id: NodeId, location: Location, node: Arc<LinkNode>) {
        let bytes = weight::of_link_node(&node);
        self.links.put(location, (id, node), bytes);
    }

    pub(super) fn keep_page(&self, id: ContentId, location: Location, page: Arc<Page>) {
        let bytes = weight::of_page(&page);
        self.pages.put(location, (id, page), bytes);
    }

    pub(super) fn keep_chunk(&self, id: ChunkId, location: Location, raw: Bytes) {
        let bytes = raw.len() as u64;
        self.chunks.put(location, (id, raw), bytes);
    }

    /// Held while a frame is decoded, by all who want that one.
    pub(super) fn decode_lock(&self, location: &Location) -> parking_lot::MutexGuard<'_, ()> {
        let spread = location.offset ^ u64::from(location.pack.0[0]).rotate_left(40);
        // Frames lie at any offset: a multiplication mixes low bits into the high ones that choose the lock.
        let chosen = (spread.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32) as usize % DECODE_LOCKS;
        self.decode_locks[chosen].lock()
    }

    /// Waits for room to fetch so many bytes; more than the whole budget counts as the whole budget.
    pub(super) async fn fetch_room(&self, bytes: u64) -> Room {
        room(&self.fetching, FETCHING_BYTES, bytes).await
    }

    /// Waits for room to read so many bytes ahead.
    pub(super) async fn ahead_room(&self, bytes: u64) -> Room {
        room(&self.ahead, AHEAD_BYTES, bytes).await
    }

    /// Is the block on this machine?
    pub(super) fn has_block(&self, block: &BlockId) -> bool {
        self.recent.get(block).is_some() || self.blocks.as_ref().is_some_and(|blocks| blocks.contains(block))
    }

    /// A part of a block, shorter where the block ends; none when it is not on this machine.
    pub(super) fn read_block(&self, block: &BlockId, range: std::ops::Range<usize>) -> Option<Bytes> {
        match self.recent.get(block) {
            Some(bytes) => Some(bytes.slice(range.start.min(bytes.len())..range.end.min(bytes.len()))),
            None => self.blocks.as_ref()?.read(block, range).map(Bytes::from),
        }
    }

    /// Keeps a block: on disk if it takes it, and in memory too when it is soon asked for again or has no other place.
    /// Blocks on local storage.
    pub(super) fn keep_block(&self, block: BlockId, bytes: &[u8], soon: bool) {
        let on_disk = self.blocks.as_ref().is_some_and(|blocks| blocks.put(block, bytes));
        if soon || !on_disk {
            self.recent.put(block, Bytes::copy_from_slice(bytes), bytes.len() as u64);
        }
    }

    /// Forgets a block; tells whether it was here.
    pub(super) fn drop_block(&self, block: &BlockId) -> bool {
        let in_memory = self.recent.remove(block).is_some();
        let on_disk = self.blocks.as_ref().is_some_and(|blocks| {
            let there = blocks.contains(block);
            blocks.remove(block);
            there
        });
        in_memory || on_disk
    }
}

async fn room(semaphore: &Arc<Semaphore>, budget: usize, bytes: u64) -> Room {
    let units = bytes.min(budget as u64).div_ceil(UNIT_BYTES as u64) as u32;
    // Never closed, so there is always an answer.
    semaphore.clone().acquire_many_owned(units).await.ok()
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared")
            .field("nodes", &self.nodes)
            .field("pages", &self.pages)
            .field("chunks", &self.chunks)
            .field("blocks", &self.blocks)
            .finish_non_exhaustive()
    }
}
