//! Packs on their way into the store: one being filled, its parts and those of full ones being sent meanwhile.

use std::sync::Arc;

use bytes::Bytes;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;

use super::digest::unstorable;
use super::sent::SentIndex;
use crate::format::pack::{EncodedFrame, FrameKind, PackBuilder};
use crate::model::id::{ChunkId, Location, PackName};
use crate::repo::error::RepoError;
use crate::repo::layout::Place;
use crate::storage::{StoreError, Upload};
use crate::sys::random::Random;
use crate::sys::task;

/// Bytes of one part: a part is a request, and stores want at least 5 MiB.
const PART_BYTES: usize = 16 << 20;

/// Parts being sent at once, over all packs of an upload: with the one being filled, 48 MiB of memory.
const PARTS_IN_FLIGHT_MAX: usize = 2;

/// Where packs go, and who remembers them.
#[derive(Clone)]
struct Target {
    place: Place,
    epoch: u64,
    sent: Option<SentIndex>,
    runtime: Handle,
    parts: Arc<Semaphore>,
}

pub(super) struct PackWriter {
    target: Target,
    random: Arc<dyn Random>,
    open: Option<OpenPack>,
    /// Full packs whose rest is being sent.
    closing: JoinSet<Result<(), RepoError>>,
    packs: Vec<PackName>,
    /// What went wrong first: nothing that follows can be relied on.
    failed: Option<RepoError>,
    /// The pack under way is in the hands of a call; found so by the next call, that one was dropped, and the pack
    /// with what was placed in it is lost.
    busy: bool,
    dry: bool,
}

struct OpenPack {
    builder: PackBuilder,
    /// None until the first part is full: a small pack goes as one object.
    parts: Option<Parts>,
    chunks: Vec<(ChunkId, Location)>,
}

/// A pack sent in parts. Dropped before it is complete, it is given up.
struct Parts {
    upload: Arc<dyn Upload>,
    sending: JoinSet<Result<(), StoreError>>,
    next: usize,
    complete: bool,
    runtime: Handle,
}

impl Parts {
    fn send(&mut self, bytes: Bytes, room: OwnedSemaphorePermit) {
        let (upload, index) = (self.upload.clone(), self.next);
        self.next += 1;
        let send = async move {
            let sent = upload.put_part(index, bytes).await;
            drop(room);
            sent
        };
        self.sending.spawn_on(send, &self.runtime);
    }

    async fn all_sent(&mut self) -> Result<(), RepoError> {
        while let Some(sent) = self.sending.join_next().await {
            sent.map_err(|error| broken_task(&error))??;
        }
        Ok(())
    }

    async fn complete(mut self) -> Result<(), RepoError> {
        self.all_sent().await?;
        self.upload.complete().await?;
        self.complete = true;
        Ok(())
    }
}

impl Drop for Parts {
    fn drop(&mut self) {
        if self.complete {
            return;
        }
        self.sending.abort_all();
        let upload = self.upload.clone();
        self.runtime.spawn(async move {
            if let Err(error) = upload.abort().await {
                tracing::debug!("parts of a pack given up stay in the store: {error}");
            }
        });
    }
}

impl PackWriter {
    pub fn new(
        place: Place,
        epoch: u64,
        sent: Option<SentIndex>,
        random: Arc<dyn Random>,
        runtime: Handle,
    ) -> PackWriter {
        let parts = Arc::new(Semaphore::new(PARTS_IN_FLIGHT_MAX));
        PackWriter {
            target: Target { place, epoch, sent, runtime, parts },
            random,
            open: None,
            closing: JoinSet::new(),
            packs: Vec::new(),
            failed: None,
            busy: false,
            dry: false,
        }
    }

    /// From now on frames get places and are forgotten.
    pub fn send_nothing(&mut self) {
        self.dry = true;
    }

    /// The packs begun so far.
    pub fn packs(&self) -> &[PackName] {
        &self.packs
    }

    /// Appends a frame to the pack under way, or to a new one when it is full. Waits while too much is being sent.
    pub async fn add(&mut self, frame: &EncodedFrame, id: [u8; 32]) -> Result<Location, RepoError> {
        self.check()?;
        if self.dry {
            let len = u32::try_from(frame.bytes.len()).unwrap_or(u32::MAX);
            return Ok(Location { pack: PackName::NONE, offset: 0, len, codec: frame.codec });
        }
        self.busy = true;
        let added = self.try_add(frame, id).await;
        self.busy = false;
        self.remember(added)
    }

    async fn try_add(&mut self, frame: &EncodedFrame, id: [u8; 32]) -> Result<Location, RepoError> {
        if self.open.as_ref().is_some_and(|open| open.builder.is_full_for(frame.bytes.len())) {
            self.close().await?;
        }
        let mut open = match self.open.take() {
            Some(open) => open,
            None => self.begin(),
        };
        let location = open.builder.add(frame, id);
        if frame.kind == FrameKind::Chunk {
            open.chunks.push((ChunkId(id), location));
        }
        while open.builder.untaken() >= PART_BYTES {
            let parts = match &mut open.parts {
                Some(parts) => parts,
                None => open.parts.insert(self.target.begin_parts(&open.builder.name()).await?),
            };
            let room = self.target.room().await?;
            parts.send(open.builder.take(PART_BYTES), room);
        }
        self.open = Some(open);
        Ok(location)
    }

    fn begin(&mut self) -> OpenPack {
        let name = PackName(self.random.name());
        self.packs.push(name);
        OpenPack { builder: PackBuilder::new(name), parts: None, chunks: Vec::new() }
    }

    /// Ends the pack under way; its rest is sent while the next one fills.
    async fn close(&mut self) -> Result<(), RepoError> {
        let Some(open) = self.open.take() else { return Ok(()) };
        let room = self.target.room().await?;
        let target = self.target.clone();
        self.closing.spawn_on(async move { target.finish(open, room).await }, &self.target.runtime);
        Ok(())
    }

    /// Ends the pack under way and waits until every pack is whole in the store.
    pub async fn finish(&mut self) -> Result<(), RepoError> {
        self.check()?;
        self.busy = true;
        let finished = self.try_finish().await;
        self.busy = false;
        self.remember(finished)
    }

    async fn try_finish(&mut self) -> Result<(), RepoError> {
        self.close().await?;
        while let Some(closed) = self.closing.join_next().await {
            closed.map_err(|error| broken_task(&error))??;
        }
        Ok(())
    }

    /// Fails if anything failed before, also in the background.
    fn check(&mut self) -> Result<(), RepoError> {
        if self.busy {
            return Err(given_up());
        }
        while let Some(closed) = self.closing.try_join_next() {
            let closed = closed.map_err(|error| broken_task(&error)).and_then(|closed| closed);
            self.remember(closed)?;
        }
        match &self.failed {
            Some(error) => Err(error.clone()),
            None => Ok(()),
        }
    }

    fn remember<T>(&mut self, result: Result<T, RepoError>) -> Result<T, RepoError> {
        if let (Err(error), None) = (&result, &self.failed) {
            self.failed = Some(error.clone());
        }
        result
    }
}

impl Target {
    async fn room(&self) -> Result<OwnedSemaphorePermit, RepoError> {
        self.parts.clone().acquire_owned().await.map_err(|_| given_up())
    }

    async fn begin_parts(&self, pack: &PackName) -> Result<Parts, RepoError> {
        let upload = Arc::from(self.place.store.upload(&self.place.pack_key(pack)).await?);
        Ok(Parts { upload, sending: JoinSet::new(), next: 0, complete: false, runtime: self.runtime.clone() })
    }

    /// Sends the rest of a pack, and remembers its chunks once it is whole.
    async fn finish(&self, open: OpenPack, room: OwnedSemaphorePermit) -> Result<(), RepoError> {
        let OpenPack { builder, parts, chunks } = open;
        let name = builder.name();
        let rest = builder.finish().map_err(|error| unstorable(&error))?;
        match parts {
            None => {
                self.place.store.put(&self.place.pack_key(&name), rest).await?;
                drop(room);
            }
            Some(mut parts) => {
                parts.send(rest, room);
                parts.complete().await?;
            }
        }
        if let Some(sent) = self.sent.clone() {
            let epoch = self.epoch;
            task::blocking(move || sent.keep(epoch, &chunks)).await?;
        }
        Ok(())
    }
}

fn given_up() -> RepoError {
    RepoError::Refused("the upload was given up".to_owned())
}

/// A task ends without its result only when it panicked or the runtime ends.
fn broken_task(error: &tokio::task::JoinError) -> RepoError {
    RepoError::Local { what: "sending a pack".to_owned(), source: Arc::new(std::io::Error::other(error.to_string())) }
}
