//! Putting the next entry of a log, by the attempt rule, with the store's time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;

use super::attempt::{Attempted, Attempts};
use super::error::RepoError;
use super::follow::{Follower, LogHead};
use crate::format::log::{Access, check_features};
use crate::model::id::Nonce;
use crate::model::log::Features;
use crate::model::time::Time;
use crate::storage::Store;
use crate::storage::probe::CLOCK_SKEW_MAX;
use crate::sys::Sys;

/// Who writes, as entries name them.
#[derive(Clone, Debug)]
pub struct Author {
    pub actor: String,
    pub host: String,
}

/// Who puts an entry, when, and the mark by which the writer knows it again.
#[derive(Clone, Debug)]
pub struct Stamp {
    pub nonce: Nonce,
    pub author: Author,
    pub time: Time,
}

/// What became of a put.
#[derive(Debug)]
pub enum Put<H> {
    /// The entry is in the log, which is now at this.
    Landed(Arc<H>),
    /// Somebody else's entry has the seq: the log is now at this, and nothing of mine landed.
    Taken(Arc<H>),
}

/// Writes to one log.
#[derive(Debug)]
pub struct Writer<H> {
    follower: Arc<Follower<H>>,
    attempts: Attempts,
    author: Author,
    sys: Sys,
    /// The newest entry that is known to survive power loss.
    durable_seq: AtomicU64,
}

impl<H: LogHead> Writer<H> {
    pub fn new(follower: Arc<Follower<H>>, attempts: Attempts, author: Author, sys: Sys) -> Writer<H> {
        Writer { follower, attempts, author, sys, durable_seq: AtomicU64::new(0) }
    }

    pub fn attempts(&self) -> &Attempts {
        &self.attempts
    }

    /// Puts the entry that `build` makes for the state `on`, as the one after it.
    pub async fn put(
        &self,
        on: &H,
        workspaces: &[String],
        build: impl FnOnce(Stamp) -> H::Entry,
    ) -> Result<Put<H>, RepoError> {
        check_writable(self.follower.title(), on.features())?;
        let entry = build(self.stamp(on)?);
        let seq = H::entry_seq(&entry);
        let body = self.encode(&entry)?;
        self.make_durable(on.seq()).await?;
        let put = match self.attempts.make(seq, body, workspaces).await? {
            Attempted::Landed => Put::Landed(Arc::new(on.then(&entry)?)),
            Attempted::Taken(theirs) => {
                let theirs = self.follower.decode(seq, &theirs)?;
                Put::Taken(Arc::new(self.follower.step(on, &theirs).await?))
            }
        };
        self.durable_seq.fetch_max(seq, Ordering::Relaxed);
        let (Put::Landed(head) | Put::Taken(head)) = &put;
        self.follower.advance(head.clone());
        Ok(put)
    }

    pub fn encode(&self, entry: &H::Entry) -> Result<Bytes, RepoError> {
        let what = || format!("an entry of the log of {}", self.follower.title());
        H::encode(entry).map(Bytes::from).map_err(|error| RepoError::of_format(what(), error))
    }

    pub fn stamp(&self, on: &H) -> Result<Stamp, RepoError> {
        let time = store_time(self.follower.files().store().as_ref(), &self.sys)?.max(on.time());
        Ok(Stamp { nonce: Nonce(self.sys.random.name()), author: self.author.clone(), time })
    }

    /// An entry may only follow one that is sure to stay: power loss must not leave a hole.
    async fn make_durable(&self, seq: u64) -> Result<(), RepoError> {
        if seq > self.durable_seq.load(Ordering::Relaxed) {
            let files = self.follower.files();
            files.store().settle(&files.key(seq)).await?;
            self.durable_seq.fetch_max(seq, Ordering::Relaxed);
        }
        Ok(())
    }
}

/// The time by the store's clock where it has one; refused when this machine's is too far from it.
pub fn store_time(store: &dyn Store, sys: &Sys) -> Result<Time, RepoError> {
    // Times only ever keep data longer, as long as they are nearly right.
    let ours = sys.clock.now();
    let skew = store.clock_skew().unwrap_or(0);
    let store = Time(ours.saturating_add(skew));
    match u128::from(skew.unsigned_abs()) > CLOCK_SKEW_MAX.as_nanos() {
        true => Err(RepoError::Clock { ours: Time(ours), store }),
        false => Ok(store),
    }
}

/// Fails with the names of features that writing needs and this version lacks.
pub(super) fn check_writable(title: &str, features: &Features) -> Result<(), RepoError> {
    let what = || format!("the log of {title}");
    match check_features(features).map_err(|error| RepoError::of_format(what(), error))? {
        Access::Write => Ok(()),
        Access::Read { missing } => Err(RepoError::Unsupported { what: what(), purpose: "writing", features: missing }),
    }
}
