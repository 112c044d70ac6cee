//! Blocks of packs on this machine's disk: one file per aligned 256 KiB of a pack, bounded by bytes and by what the
//! disk has free.
//!
//! The folder belongs to whoever needs room more: files may be deleted by anyone at any time, several processes may
//! share it, and nothing in it survives on trust. Files are not synced; a torn one fails its frames' checksums.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::ops::Range;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Once;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use super::index::{Index, scan};
use crate::model::id::PackName;
use crate::sys::disk;

/// Bytes of one block; the last of a pack is shorter. Large enough that a file per block costs little, small enough
/// that a footer does not fetch much else.
pub const BLOCK_BYTES: u64 = 256 << 10;

/// Share of the disk that the cache leaves free, so that staging does not fail for it.
const DISK_FREE_PERCENT: u64 = 10;

/// One aligned piece of a pack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BlockId {
    pub pack: PackName,
    /// Its offset in the pack divided by [`BLOCK_BYTES`].
    pub number: u64,
}

impl BlockId {
    fn file_name(&self) -> String {
        format!("{}-{}", self.pack, self.number)
    }

    pub(super) fn of_file_name(name: &str) -> Option<BlockId> {
        let (pack, number) = name.split_once('-')?;
        let block = BlockId { pack: pack.parse().ok()?, number: number.parse().ok()? };
        (block.file_name() == name).then_some(block)
    }
}

/// The process that writes, or wrote, the temporary file of this name.
pub(super) fn writer_of_temporary(name: &str) -> Option<u32> {
    name.strip_prefix(".new-")?.split('-').next()?.parse().ok()
}

/// A folder of blocks.
pub struct BlockCache {
    packs: PathBuf,
    budget_bytes: u64,
    index: Mutex<Index>,
    scanned: Once,
    temporaries: AtomicU64,
    /// What the disk has free as far as tests say; else the disk is asked.
    #[cfg(test)]
    space: Mutex<Option<disk::Space>>,
}

impl BlockCache {
    /// Uses `<dir>/packs`, made if missing. What earlier processes left is found when room is first needed.
    pub fn open(dir: &Path, budget_bytes: u64) -> io::Result<BlockCache> {
        let packs = dir.join("packs");
        disk::create_private_dirs(&packs)?;
        Ok(BlockCache {
            packs,
            budget_bytes,
            index: Mutex::new(Index::new()),
            scanned: Once::new(),
            temporaries: AtomicU64::new(0),
            #[cfg(test)]
            space: Mutex::new(None),
        })
    }

    fn folder_of(&self, block: &BlockId) -> PathBuf {
        self.packs.join(format!("{:02x}", block.pack.0[0]))
    }

    fn path_of(&self, block: &BlockId) -> PathBuf {
        self.folder_of(block).join(block.file_name())
    }

    /// Is the block here, as far as its name tells?
    pub fn contains(&self, block: &BlockId) -> bool {
        self.path_of(block).exists()
    }

    /// The bytes `range` of a block; fewer where the block ends, none when it is not here.
    pub fn read(&self, block: &BlockId, range: Range<usize>) -> Option<Vec<u8>> {
        let known = self.index.lock().touch(block);
        let read =
            open_block(&self.path_of(block)).and_then(|file| Ok((read_range(&file, range)?, file.metadata()?.len())));
        match read {
            Ok((bytes, whole_bytes)) => {
                if !known {
                    self.index.lock().insert(*block, u32::try_from(whole_bytes).unwrap_or(u32::MAX));
                }
                Some(bytes)
            }
            Err(error) => {
                if known {
                    self.index.lock().remove(block);
                    tracing::info!(
                        "cached block {} of pack {} is gone ({error}): fetching it again",
                        block.number,
                        block.pack
                    );
                }
                None
            }
        }
    }

    /// Keeps a block if there is room for it, which older blocks make. Never an error: a cache that cannot keep is
    /// one that is asked in vain.
    pub fn put(&self, block: BlockId, bytes: &[u8]) -> bool {
        if !self.make_room(bytes.len() as u64) {
            return false;
        }
        match self.write(&block, bytes) {
            Ok(()) => {
                self.index.lock().insert(block, bytes.len() as u32);
                true
            }
            Err(error) => {
                tracing::debug!("block {} of pack {} is not cached: {error}", block.number, block.pack);
                false
            }
        }
    }

    fn write(&self, block: &BlockId, bytes: &[u8]) -> io::Result<()> {
        let folder = self.folder_of(block);
        let number = self.temporaries.fetch_add(1, Ordering::Relaxed);
        let temporary = folder.join(format!(".new-{}-{number}", std::process::id()));
        let open = || OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary);
        let mut file = match open() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                disk::create_private_dirs(&folder)?;
                open()?
            }
            opened => opened?,
        };
        let written = file.write_all(bytes).and_then(|()| fs::rename(&temporary, self.path_of(block)));
        if written.is_err() {
            // The first failure says more than one of the clean-up.
            let _ = fs::remove_file(&temporary);
        }
        written
    }

    /// Forgets a block: it was damaged.
    pub fn remove(&self, block: &BlockId) {
        self.index.lock().remove(block);
        self.delete(block);
    }

    fn delete(&self, block: &BlockId) {
        match fs::remove_file(self.path_of(block)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!("cached block {} of pack {} cannot be deleted: {error}", block.number, block.pack);
            }
            _ => {}
        }
    }

    /// Gives way where the disk fills up for other reasons; to be called now and then, and when a write fails for room.
    pub fn trim(&self) {
        self.make_room(0);
    }

    /// Bytes of blocks known to be here.
    pub fn bytes(&self) -> u64 {
        self.find_old();
        self.index.lock().bytes()
    }

    fn find_old(&self) {
        self.scanned.call_once(|| {
            let found = scan(&self.packs);
            self.index.lock().add_older(found);
        });
    }

    fn make_room(&self, wanted_bytes: u64) -> bool {
        if wanted_bytes > self.budget_bytes {
            return false;
        }
        self.find_old();
        let mut over_bytes = self.missing_bytes(wanted_bytes);
        loop {
            let oldest = {
                let mut index = self.index.lock();
                let excess = index.bytes().saturating_add(wanted_bytes).saturating_sub(self.budget_bytes);
                if excess == 0 && over_bytes == 0 {
                    return true;
                }
                index.pop_oldest()
            };
            let Some((block, bytes)) = oldest else { return false };
            self.delete(&block);
            over_bytes = over_bytes.saturating_sub(u64::from(bytes));
        }
    }

    /// Bytes to be deleted so that the disk keeps its free share after `wanted_bytes` more.
    fn missing_bytes(&self, wanted_bytes: u64) -> u64 {
        let Ok(space) = self.disk_space() else { return 0 };
        let kept = space.total_bytes / 100 * DISK_FREE_PERCENT;
        kept.saturating_add(wanted_bytes).saturating_sub(space.available_bytes)
    }

    #[cfg(test)]
    fn disk_space(&self) -> io::Result<disk::Space> {
        match *self.space.lock() {
            Some(space) => Ok(space),
            None => disk::space(&self.packs),
        }
    }

    #[cfg(not(test))]
    fn disk_space(&self) -> io::Result<disk::Space> {
        disk::space(&self.packs)
    }
}

/// Whatever may lie in a block's place: opening it neither waits for anybody nor leads elsewhere.
fn open_block(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOFOLLOW).open(path)
}

fn read_range(file: &File, range: Range<usize>) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; range.len()];
    let mut filled = 0;
    while filled < bytes.len() {
        match file.read_at(&mut bytes[filled..], (range.start + filled) as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    bytes.truncate(filled);
    Ok(bytes)
}

impl std::fmt::Debug for BlockCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "BlockCache({}, at most {} bytes)", self.packs.display(), self.budget_bytes)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const KIB: u64 = 1 << 10;

    fn block(pack: u8, number: u64) -> BlockId {
        BlockId { pack: PackName([pack; 16]), number }
    }

    /// A cache on a disk with room, whatever this machine's has.
    fn roomy(folder: &Path, budget_bytes: u64) -> BlockCache {
        let cache = BlockCache::open(folder, budget_bytes).unwrap();
        let (total_bytes, available_bytes) = (1 << 40, 1 << 39);
        *cache.space.lock() = Some(disk::Space { total_bytes, available_bytes, total_files: 0, available_files: 0 });
        cache
    }

    fn files(cache: &BlockCache) -> usize {
        fs::read_dir(&cache.packs).unwrap().map(|folder| fs::read_dir(folder.unwrap().path()).unwrap().count()).sum()
    }

    #[test]
    fn a_block_reads_back_in_parts_and_short_at_its_end() {
        let folder = tempfile::tempdir().unwrap();
        let cache = roomy(folder.path(), 1 << 20);
        assert!(cache.put(block(1, 7), b"0123456789"));
        assert_eq!(cache.read(&block(1, 7), 2..5).unwrap(), b"234");
        assert_eq!(cache.read(&block(1, 7), 8..20).unwrap(), b"89");
        assert_eq!(cache.read(&block(1, 8), 0..1), None);
        let mode = fs::metadata(cache.folder_of(&block(1, 7))).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
    }

    #[test]
    fn the_budget_holds_over_restarts_and_the_oldest_go() {
        let folder = tempfile::tempdir().unwrap();
        let cache = roomy(folder.path(), 100 * KIB);
        for number in 0..5 {
            assert!(cache.put(block(1, number), &[number as u8; 20 << 10]));
        }
        drop(cache);
        let cache = roomy(folder.path(), 100 * KIB);
        assert_eq!(cache.bytes(), 100 * KIB);
        assert!(cache.read(&block(1, 0), 0..1).is_some());
        assert!(cache.put(block(2, 0), &[9; 30 << 10]));
        assert!(cache.bytes() <= 100 * KIB);
        assert_eq!(files(&cache), 4);
        assert!(cache.read(&block(1, 0), 0..1).is_some(), "it was used after the others");
    }

    #[test]
    fn a_deleted_block_is_missed_once_and_can_be_put_again() {
        let folder = tempfile::tempdir().unwrap();
        let cache = roomy(folder.path(), 1 << 20);
        cache.put(block(1, 0), &[1; 100]);
        fs::remove_dir_all(folder.path().join("packs")).unwrap();
        assert_eq!(cache.read(&block(1, 0), 0..100), None);
        assert!(cache.put(block(1, 0), &[2; 100]));
        assert_eq!(cache.read(&block(1, 0), 0..100).unwrap(), [2; 100]);
    }

    #[test]
    fn the_cache_gives_way_before_the_disk_is_full() {
        let folder = tempfile::tempdir().unwrap();
        let cache = roomy(folder.path(), 1 << 20);
        let free = |available_bytes| {
            let space = disk::Space { total_bytes: 1000 * KIB, available_bytes, total_files: 0, available_files: 0 };
            *cache.space.lock() = Some(space);
        };
        free(500 * KIB);
        for number in 0..4 {
            assert!(cache.put(block(1, number), &[1; 10 << 10]));
        }
        free(85 * KIB);
        cache.trim();
        assert_eq!(files(&cache), 2, "15 KiB were missing");
        free(50 * KIB);
        assert!(!cache.put(block(1, 9), &[1; 10 << 10]), "nothing of the cache could make that room");
        assert_eq!(files(&cache), 0);
    }

    #[test]
    fn what_dead_writers_left_is_removed_and_foreign_files_are_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let cache = roomy(folder.path(), 1 << 20);
        cache.put(block(1, 0), &[1; 100]);
        let inside = cache.folder_of(&block(1, 0));
        // No process has the number 0.
        fs::write(inside.join(".new-0-1"), b"half").unwrap();
        fs::write(inside.join(format!(".new-{}-1", std::process::id())), b"half").unwrap();
        fs::write(inside.join("notes-7"), b"mine").unwrap();
        let cache = roomy(folder.path(), 1 << 20);
        assert_eq!(cache.bytes(), 100);
        assert!(!inside.join(".new-0-1").exists());
        assert_eq!(files(&cache), 3);
    }
}
