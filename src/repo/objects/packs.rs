//! Ranges of packs: from a local store's files, from blocks on this machine, from the store. Nothing is checked here.
//!
//! What is missing is fetched in whole blocks, neighbours in one request, and no block by two requests at a time.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures::FutureExt;
use futures::channel::oneshot;
use futures::future::BoxFuture;
use lru::LruCache;
use parking_lot::Mutex;

use super::shared::Shared;
use crate::cache::blocks::{BLOCK_BYTES, BlockId};
use crate::model::id::PackName;
use crate::repo::layout::Place;
use crate::storage::StoreError;
use crate::sys::task;

/// Blocks of one request for a long range (4 MiB): longer ones go in parallel.
const RUN_BLOCKS: u64 = 16;

/// Blocks of a first neighbourhood (1 MiB), aligned to as many.
const WINDOW_BLOCKS_MIN: u64 = 4;

/// Blocks of a neighbourhood after it doubled (8 MiB).
const WINDOW_BLOCKS_MAX: u64 = 32;

/// Blocks fetched for a content's page: the pages of a file lie together, the top one last.
const PAGE_BLOCKS: u64 = 2;

/// Packs whose last neighbourhood is remembered.
const WINDOWS_MAX: usize = 256;

/// What else is fetched when a range is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// The blocks of the range.
    Exact,
    /// A neighbourhood, twice as large each time the last one is left at its end.
    Neighbours,
    /// A little of what lies before.
    Before,
}

type Arriving = futures::future::Shared<BoxFuture<'static, Result<Bytes, StoreError>>>;

/// A request under way, or its answer.
#[derive(Clone, Debug)]
struct Flight {
    /// Number of the first block asked for.
    first: u64,
    bytes: Arriving,
}

/// The neighbourhood of a pack fetched last.
#[derive(Clone, Copy, Debug)]
struct Window {
    /// The block after it.
    end: u64,
    blocks: u64,
}

/// Reads the packs of one domain.
pub(super) struct Packs {
    place: Place,
    shared: Arc<Shared>,
    flights: Mutex<HashMap<BlockId, Flight>>,
    windows: Mutex<LruCache<PackName, Window>>,
}

/// A range of a pack, missing parts of which are on their way.
pub(super) struct Fetch {
    packs: Arc<Packs>,
    pack: PackName,
    reach: Reach,
    flights: BTreeMap<u64, Flight>,
}

fn blocks_of(range: &Range<u64>) -> Range<u64> {
    range.start / BLOCK_BYTES..range.end.div_ceil(BLOCK_BYTES)
}

/// The part of `range` in a block, from the block's start.
fn part_of(range: &Range<u64>, number: u64) -> Range<usize> {
    let start = number * BLOCK_BYTES;
    let from = range.start.max(start) - start;
    let to = range.end.min(start + BLOCK_BYTES) - start;
    from as usize..to as usize
}

fn clipped(bytes: &Bytes, range: Range<usize>) -> Bytes {
    bytes.slice(range.start.min(bytes.len())..range.end.min(bytes.len()))
}

impl Packs {
    pub fn new(place: Place, shared: Arc<Shared>) -> Packs {
        let windows = LruCache::new(std::num::NonZeroUsize::new(WINDOWS_MAX).expect("not zero"));
        Packs { place, shared, flights: Mutex::new(HashMap::new()), windows: Mutex::new(windows) }
    }

    pub fn place(&self) -> &Place {
        &self.place
    }

    /// A range of a pack if it is on this machine, perhaps shorter; never asks the store.
    pub fn cached(&self, pack: &PackName, range: Range<u64>) -> Option<Bytes> {
        if self.place.store.is_local() {
            return self.read_in_place(pack, &range);
        }
        let part = |number| self.shared.read_block(&BlockId { pack: *pack, number }, part_of(&range, number));
        let mut parts = blocks_of(&range).map(part).collect::<Option<Vec<_>>>()?;
        if parts.len() == 1 { parts.pop() } else { Some(parts.concat().into()) }
    }

    fn read_in_place(&self, pack: &PackName, range: &Range<u64>) -> Option<Bytes> {
        let path = self.place.store.local_path(&self.place.pack_key(pack))?;
        let mut bytes = BytesMut::zeroed(usize::try_from(range.end - range.start).ok()?);
        std::fs::File::open(path).ok()?.read_exact_at(&mut bytes, range.start).ok()?;
        Some(bytes.freeze())
    }

    /// Starts to fetch what of the range is not on this machine.
    pub fn fetch(self: &Arc<Packs>, pack: &PackName, range: Range<u64>, reach: Reach) -> Fetch {
        let local = self.place.store.is_local();
        let flights = if local { BTreeMap::new() } else { self.take_off(pack, &range, reach) };
        Fetch { packs: self.clone(), pack: *pack, reach, flights }
    }

    /// Forgets what is kept of a range because it is damaged.
    pub fn forget(&self, pack: &PackName, range: Range<u64>) {
        for number in blocks_of(&range) {
            if self.shared.drop_block(&BlockId { pack: *pack, number }) {
                tracing::warn!("cached block {number} of pack {pack} is damaged: fetching it again");
            }
        }
    }

    /// The requests under way that bring the range's missing blocks, begun now where there were none.
    fn take_off(self: &Arc<Packs>, pack: &PackName, range: &Range<u64>, reach: Reach) -> BTreeMap<u64, Flight> {
        let block = |number| BlockId { pack: *pack, number };
        let needed = blocks_of(range);
        let mut found = BTreeMap::new();
        // Held while looking at the disk as well: a request that ends now has its blocks on disk before it is taken out.
        let mut flights = self.flights.lock();
        let mut missing = Vec::new();
        for number in needed.clone() {
            match flights.get(&block(number)) {
                Some(flight) => drop(found.insert(number, flight.clone())),
                None if self.shared.has_block(&block(number)) => {}
                None => missing.push(number),
            }
        }
        let absent = |number: u64| !flights.contains_key(&block(number)) && !self.shared.has_block(&block(number));
        for run in self.runs(pack, &missing, reach, absent) {
            let flight = self.launch(*pack, run.clone(), reach);
            for number in run {
                flights.insert(block(number), flight.clone());
                if needed.contains(&number) {
                    found.insert(number, flight.clone());
                }
            }
        }
        found
    }

    /// The request that brings one block, whatever this machine seems to have.
    fn take_off_again(self: &Arc<Packs>, pack: PackName, number: u64, reach: Reach) -> Flight {
        let block = BlockId { pack, number };
        let mut flights = self.flights.lock();
        flights.entry(block).or_insert_with(|| self.launch(pack, number..number + 1, reach)).clone()
    }

    /// Joins missing blocks, and absent neighbours within reach, into requests.
    fn runs(&self, pack: &PackName, missing: &[u64], reach: Reach, absent: impl Fn(u64) -> bool) -> Vec<Range<u64>> {
        let mut runs: Vec<Range<u64>> = Vec::new();
        for &number in missing {
            match runs.last_mut() {
                Some(run) if run.end == number && run.end - run.start < RUN_BLOCKS => run.end += 1,
                _ => runs.push(number..number + 1),
            }
        }
        let (Some(first), Some(last)) = (missing.first(), missing.last()) else { return runs };
        let limits = match reach {
            Reach::Exact => return runs,
            Reach::Before => (last + 1).saturating_sub(PAGE_BLOCKS)..last + 1,
            Reach::Neighbours => self.neighbourhood(pack, *first),
        };
        let below = (limits.start..*first).rev().take_while(|&number| absent(number)).count() as u64;
        let above = (last + 1..limits.end).take_while(|&number| absent(number)).count() as u64;
        runs[0].start -= below;
        let at = runs.len() - 1;
        runs[at].end += above;
        runs
    }

    /// The blocks to fetch around a missing one.
    fn neighbourhood(&self, pack: &PackName, missing: u64) -> Range<u64> {
        let mut windows = self.windows.lock();
        let follows = |last: &&Window| (last.end..last.end + WINDOW_BLOCKS_MIN).contains(&missing);
        let window = match windows.get(pack).filter(follows) {
            Some(last) => {
                let blocks = (last.blocks * 2).min(WINDOW_BLOCKS_MAX);
                missing..missing + blocks
            }
            None => {
                let start = missing / WINDOW_BLOCKS_MIN * WINDOW_BLOCKS_MIN;
                start..start + WINDOW_BLOCKS_MIN
            }
        };
        windows.put(*pack, Window { end: window.end, blocks: window.end - window.start });
        window
    }

    fn launch(self: &Arc<Packs>, pack: PackName, run: Range<u64>, reach: Reach) -> Flight {
        let (landed, landing) = oneshot::channel();
        let gone = StoreError::Unavailable {
            store: self.place.store.name().to_owned(),
            action: "reading",
            key: self.place.pack_key(&pack),
            reason: "the request was given up".to_owned(),
            retry_after: None,
        };
        let bytes = landing.map(|answer| answer.unwrap_or(Err(gone))).boxed().shared();
        let first = run.start;
        let flown = Flown { packs: self.clone(), pack, run };
        self.shared.runtime.spawn(flown.fly(reach, landed));
        Flight { first, bytes }
    }
}

/// A request's blocks, taken out of the table of flights when it ends in whatever way.
struct Flown {
    packs: Arc<Packs>,
    pack: PackName,
    run: Range<u64>,
}

impl Flown {
    async fn fly(self, reach: Reach, landed: oneshot::Sender<Result<Bytes, StoreError>>) {
        let Packs { place, shared, .. } = &*self.packs;
        let range = self.run.start * BLOCK_BYTES..self.run.end * BLOCK_BYTES;
        let room = shared.fetch_room(range.end - range.start).await;
        let answer = place.store.get_range(&place.pack_key(&self.pack), range).await;
        let bytes = answer.as_ref().ok().cloned();
        // Nobody may be waiting any more; the blocks are kept all the same.
        let _ = landed.send(answer);
        if let Some(bytes) = bytes {
            let (shared, pack, first) = (shared.clone(), self.pack, self.run.start);
            let soon = matches!(reach, Reach::Neighbours | Reach::Before);
            let keep = move || {
                for (at, part) in bytes.chunks(BLOCK_BYTES as usize).enumerate() {
                    shared.keep_block(BlockId { pack, number: first + at as u64 }, part, soon);
                }
            };
            task::blocking(keep).await;
        }
        drop(room);
    }
}

impl Drop for Flown {
    fn drop(&mut self) {
        let mut flights = self.packs.flights.lock();
        for number in self.run.clone() {
            flights.remove(&BlockId { pack: self.pack, number });
        }
    }
}

impl Fetch {
    /// A part of the range; shorter where the pack ends.
    pub async fn bytes(&self, range: Range<u64>) -> Result<Bytes, StoreError> {
        let Packs { place, shared, .. } = &*self.packs;
        if place.store.is_local() {
            if let Some(bytes) = self.packs.read_in_place(&self.pack, &range) {
                return Ok(bytes);
            }
            return place.store.get_range(&place.pack_key(&self.pack), range).await;
        }
        let mut parts = Vec::new();
        let mut number = range.start / BLOCK_BYTES;
        while number * BLOCK_BYTES < range.end {
            let rest = range.start.max(number * BLOCK_BYTES)..range.end;
            let flown = self.flights.get(&number).cloned();
            let here = match &flown {
                Some(_) => None,
                None => shared.read_block(&BlockId { pack: self.pack, number }, part_of(&rest, number)),
            };
            match (flown, here) {
                (None, Some(part)) => {
                    parts.push(part);
                    number += 1;
                }
                (flown, _) => {
                    // What was on disk a moment ago may be gone by now: then it is fetched after all.
                    let flight = flown.unwrap_or_else(|| self.packs.take_off_again(self.pack, number, self.reach));
                    let (part, next) = flight.part(&rest, number).await?;
                    parts.push(part);
                    number = next;
                }
            }
        }
        Ok(if parts.len() == 1 { parts.swap_remove(0) } else { parts.concat().into() })
    }
}

impl Flight {
    /// What of `rest`, which starts in block `number`, this request brings, and the block after it.
    async fn part(&self, rest: &Range<u64>, number: u64) -> Result<(Bytes, u64), StoreError> {
        let bytes = self.bytes.clone().await?;
        let start = self.first * BLOCK_BYTES;
        let part = clipped(&bytes, (rest.start - start) as usize..(rest.end - start) as usize);
        let end = rest.start + part.len() as u64;
        // A request that brought less than asked for met the pack's end: nothing follows.
        let whole = end == rest.end || end.is_multiple_of(BLOCK_BYTES) && end > number * BLOCK_BYTES;
        Ok((part, if whole { end.div_ceil(BLOCK_BYTES) } else { u64::MAX / BLOCK_BYTES }))
    }
}

impl std::fmt::Debug for Packs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Packs({}, {} blocks under way)", self.place.prefix, self.flights.lock().len())
    }
}
