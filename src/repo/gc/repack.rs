//! Repacking: of a pack that is mostly dead, what is live is copied into new packs, and a map is left that tells where.
//!
//! The copies are named by the list that condemns the old pack. Only after its fence, when all that is live at the fence
//! is known to be copied, is the map put; the old pack goes with a later list or after the grace. No id changes, and
//! nodes go on naming the old places: readers find the map when the old pack is gone.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::Run;
use super::inventory::Stored;
use crate::format::pack::{DirectoryEntry, EncodedFrame, FrameKind, PackBuilder, decode_frame};
use crate::format::relocation::encode_relocations;
use crate::model::gc::{Condemned, Freed, Relocations};
use crate::model::id::{Location, Nonce, PackName};
use crate::repo::condemned::LISTS_MAX;
use crate::repo::directory::{read_directory, read_frames};
use crate::repo::error::RepoError;

/// A pack is moved when less than one part in so many of it is live.
const PARTS: u64 = 4;

/// Fewer dead bytes in a pack are not worth a map.
const DEAD_BYTES_MIN: u64 = 64 << 10;

/// Live bytes copied by one run at most; the next goes on.
const COPIED_BYTES_MAX: u64 = 4 << 30;

/// A pack with little in it that is live.
#[derive(Debug)]
pub(super) struct MostlyDead {
    pack: PackName,
    bytes: u64,
    /// Bytes that are live.
    live: u64,
}

/// Packs whose live part was copied.
#[derive(Debug, Default)]
pub(super) struct Copied {
    pub moved: BTreeSet<PackName>,
    pub made: BTreeSet<PackName>,
    /// What moving them frees.
    pub freed: Freed,
}

impl Run<'_> {
    /// Copies what is live of mostly dead packs; a dry run only tells.
    pub(super) async fn copy_live(&self, packs: Vec<MostlyDead>) -> Result<Copied, RepoError> {
        let mut copied = Copied::default();
        // Chunks apart from what describes them: a walk of directories is not to pass by data.
        let mut builders = [None, None];
        let mut room = COPIED_BYTES_MAX;
        for MostlyDead { pack, bytes, live } in packs {
            if !self.inventory.packs.contains_key(&pack) {
                continue;
            }
            let Some(left) = room.checked_sub(live) else { break };
            if !self.options.dry_run {
                let Some(frames) = self.live_frames(&pack, bytes).await? else { continue };
                for (entry, frame) in frames {
                    let builder = &mut builders[usize::from(entry.kind == FrameKind::Chunk)];
                    self.add(builder, entry, frame, &mut copied.made).await?;
                }
            }
            room = left;
            copied.moved.insert(pack);
            copied.freed.packs += 1;
            copied.freed.bytes += bytes - live;
            (self.options.progress)(1);
        }
        for builder in builders.into_iter().flatten() {
            self.put(builder, &mut copied.made).await?;
        }
        Ok(copied)
    }

    /// Old packs with little in them that is live.
    pub(super) fn mostly_dead(&self) -> Vec<MostlyDead> {
        let packs = self.inventory.packs.iter().filter(|(pack, stored)| {
            // A pack has one map for good.
            stored.is_old(self.now) && !self.inventory.relocations.contains(pack)
        });
        let of = |(pack, stored): (&PackName, &Stored)| {
            let live = self.marks.of(pack)?.bytes;
            let dead = stored.bytes.checked_sub(live)?;
            let found = MostlyDead { pack: *pack, bytes: stored.bytes, live };
            (live < stored.bytes / PARTS && dead >= DEAD_BYTES_MIN).then_some(found)
        };
        packs.filter_map(of).collect()
    }

    /// The live frames of a pack as they are stored, checked; none when not all can be had, and then it stays.
    async fn live_frames(
        &self,
        pack: &PackName,
        bytes: u64,
    ) -> Result<Option<Vec<(DirectoryEntry, bytes::Bytes)>>, RepoError> {
        let Some(marks) = self.marks.of(pack) else { return Ok(None) };
        let place = self.domain.place();
        let entries = match read_directory(place, pack, bytes).await {
            Ok(entries) => entries,
            Err(error @ RepoError::Damaged { .. }) => {
                tracing::warn!(%pack, %error, "a mostly dead pack stays: its directory cannot be read");
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        let live: Vec<_> = entries.into_iter().filter(|entry| marks.has(entry.offset)).collect();
        let frames = read_frames(place, pack, &live).await?;
        let whole = live.len() == marks.count()
            && live.iter().zip(&frames).all(|(entry, frame)| decode_frame(entry.kind, frame).is_ok());
        if !whole {
            tracing::warn!(%pack, "a mostly dead pack stays: not all that is live in it can be read");
            return Ok(None);
        }
        Ok(Some(live.into_iter().zip(frames).collect()))
    }

    async fn add(
        &self,
        open: &mut Option<PackBuilder>,
        entry: DirectoryEntry,
        bytes: bytes::Bytes,
        made: &mut BTreeSet<PackName>,
    ) -> Result<(), RepoError> {
        if open.as_ref().is_some_and(|builder| builder.is_full_for(bytes.len()))
            && let Some(full) = open.take()
        {
            self.put(full, made).await?;
        }
        let builder = open.get_or_insert_with(|| PackBuilder::new(PackName(self.domain.sys().random.name())));
        let DirectoryEntry { kind, codec, raw_len, id, .. } = entry;
        builder.add(&EncodedFrame { kind, codec, raw_len, bytes }, id);
        Ok(())
    }

    async fn put(&self, builder: PackBuilder, made: &mut BTreeSet<PackName>) -> Result<(), RepoError> {
        let name = builder.name();
        let bytes = builder.finish().map_err(|error| RepoError::of_format("a repacked pack", error))?;
        self.domain.store().put(&self.domain.place().pack_key(&name), bytes).await?;
        made.insert(name);
        Ok(())
    }

    /// Puts the maps of the packs that a fenced list moved: of each whose live frames, as the state at the fence has
    /// them, were all copied. What was begun by a run that crashed is done here by the next.
    pub(super) async fn place_maps(&mut self, list: &Condemned) -> Result<(), RepoError> {
        let there =
            |pack: &&PackName| self.inventory.packs.contains_key(pack) && !self.inventory.relocations.contains(pack);
        let moved: Vec<PackName> =
            list.packs.iter().filter(there).filter(|pack| self.marks.is_marked(pack)).copied().collect();
        if list.made.is_empty() || moved.is_empty() {
            return Ok(());
        }
        let copies = self.copies(list).await?;
        for pack in moved {
            let Some(map) = self.map_of(&pack, &copies).await? else { continue };
            let relocations = Relocations { pack, nonce: Nonce(self.domain.sys().random.name()), moved: map };
            let bytes = encode_relocations(&relocations)
                .map_err(|error| RepoError::of_format(format!("the map of moved pack {pack}"), error))?;
            // Another's map is as good: what it leads to is kept, and my copies are not.
            self.domain.create_mine(&self.domain.place().relocation_key(&pack), bytes.into()).await?;
            self.inventory.relocations.insert(pack);
        }
        self.follow_moves().await
    }

    /// Where everything lies that a list's collection copied.
    async fn copies(&self, list: &Condemned) -> Result<HashMap<(FrameKind, [u8; 32]), Location>, RepoError> {
        let mut copies = HashMap::new();
        for pack in &list.made {
            let bytes = match self.domain.store().size(&self.domain.place().pack_key(pack)).await {
                Ok(bytes) => bytes,
                Err(error) if error.is_not_found() => continue,
                Err(error) => return Err(error.into()),
            };
            for entry in read_directory(self.domain.place(), pack, bytes).await? {
                let DirectoryEntry { kind, codec, offset, len, id, .. } = entry;
                copies.insert((kind, id), Location { pack: *pack, offset, len, codec });
            }
        }
        Ok(copies)
    }

    /// New places of all live frames of a pack; none when one was not copied.
    async fn map_of(
        &self,
        pack: &PackName,
        copies: &HashMap<(FrameKind, [u8; 32]), Location>,
    ) -> Result<Option<BTreeMap<u64, Location>>, RepoError> {
        let (Some(stored), Some(marks)) = (self.inventory.packs.get(pack), self.marks.of(pack)) else {
            return Ok(None);
        };
        let entries = read_directory(self.domain.place(), pack, stored.bytes).await?;
        let live = entries.into_iter().filter(|entry| marks.has(entry.offset));
        let map: Option<BTreeMap<u64, Location>> =
            live.map(|entry| Some((entry.offset, *copies.get(&(entry.kind, entry.id))?))).collect();
        Ok(map.filter(|map| map.len() == marks.count()))
    }

    /// Marks what live places in moved packs stand for now: nothing names the copies but the maps.
    pub(super) async fn follow_moves(&mut self) -> Result<(), RepoError> {
        let is_moved = |run: &Run<'_>, pack: &PackName| run.inventory.relocations.contains(pack);
        let moved = self.inventory.relocations.iter().filter(|pack| self.marks.is_marked(pack));
        let mut open: Vec<PackName> = moved.copied().collect();
        while let Some(pack) = open.pop() {
            let Some(map) = self.domain.objects().relocations(&pack).await? else { continue };
            let live = self.marks.of(&pack).map(|marks| marks.offsets().to_vec()).unwrap_or_default();
            for target in live.iter().filter_map(|offset| map.moved.get(&u64::from(*offset))) {
                if self.marks.add(target)? && is_moved(self, &target.pack) && !open.contains(&target.pack) {
                    open.push(target.pack);
                }
            }
        }
        Ok(())
    }

    /// Packs that are there, and whose every live frame is to be had elsewhere: in packs that are there and that no
    /// collection condemned.
    pub(super) async fn superseded(&self) -> Result<BTreeSet<PackName>, RepoError> {
        let both = self.inventory.relocations.iter().filter(|pack| self.inventory.packs.contains_key(pack));
        let moved: Vec<PackName> = both.filter(|pack| self.marks.is_marked(pack)).copied().collect();
        let mut found = BTreeSet::new();
        if moved.is_empty() {
            return Ok(found);
        }
        let condemned = self.ever_condemned().await?;
        for pack in moved {
            let (Some(map), Some(marks)) = (self.domain.objects().relocations(&pack).await?, self.marks.of(&pack))
            else {
                continue;
            };
            let stays = |target: &Location| {
                self.inventory.packs.contains_key(&target.pack) && !condemned.contains(&target.pack)
            };
            if marks.offsets().iter().all(|offset| map.moved.get(&u64::from(*offset)).is_some_and(stays)) {
                found.insert(pack);
            }
        }
        Ok(found)
    }

    /// Packs that any of the newest collections condemned: a collector that sleeps may yet delete one.
    async fn ever_condemned(&self) -> Result<BTreeSet<PackName>, RepoError> {
        let newest = self.state.fence.epoch;
        let mut found = BTreeSet::new();
        for epoch in newest.saturating_sub(LISTS_MAX - 1).max(1)..=newest {
            found.extend(self.domain.condemned_in(epoch).await?.iter().flat_map(|list| list.packs.iter().copied()));
        }
        Ok(found)
    }
}
