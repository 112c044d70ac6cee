//! Following a log: what it adds up to as far as this process has read, moved on by polls and by its own writes.

use std::sync::Arc;

use bytes::Bytes;
use parking_lot::RwLock;
use tokio::sync::watch;

use super::error::RepoError;
use super::log::LogFiles;
use super::objects::Objects;
use crate::format::error::FormatError;
use crate::model::log::Features;
use crate::model::time::Time;

/// A poll reads at most this many entries one after the other before it looks for the newest at once.
const STEPS_MAX: u32 = 4;

/// What the entries of one kind of log add up to.
pub trait LogHead: Send + Sync + Sized + 'static {
    type Entry: Send + Sync;
    /// Everything that is in the log's state at some entry.
    type Table: Send;

    fn decode(bytes: &[u8]) -> Result<Self::Entry, FormatError>;
    fn encode(entry: &Self::Entry) -> Result<Vec<u8>, FormatError>;
    fn entry_seq(entry: &Self::Entry) -> u64;

    /// The entry that carries the whole table that this one builds on: itself, or an earlier one.
    fn table_seq(entry: &Self::Entry) -> u64;

    /// The whole table that the entry carries; none when an earlier one does. Packs are read through `objects`.
    fn table(
        entry: &Self::Entry,
        objects: Option<&Objects>,
    ) -> impl Future<Output = Result<Option<Self::Table>, RepoError>> + Send;

    /// Does the entry carry a whole table that is not in its own bytes?
    fn packs_table(entry: &Self::Entry) -> bool;

    /// The log at `entry`, which builds on this whole table.
    fn at(entry: &Self::Entry, table: Self::Table) -> Self;

    /// The log one entry further. A packed table is not looked at: see [`Follower::step`].
    fn then(&self, entry: &Self::Entry) -> Result<Self, RepoError>;

    /// The same place in the log with the whole table that its entry carries.
    fn with_table(self, table: Self::Table) -> Self;

    /// Everything that is in the log's state here.
    fn into_table(self) -> Self::Table;

    fn seq(&self) -> u64;
    fn time(&self) -> Time;
    fn features(&self) -> &Features;
}

/// One log as this process knows it.
#[derive(Debug)]
pub struct Follower<H> {
    files: LogFiles,
    /// For messages.
    title: String,
    /// Reads tables that lie in packs.
    objects: Option<Objects>,
    head: RwLock<Arc<H>>,
    /// Held by whoever reads on, so that nothing is read twice.
    moving: tokio::sync::Mutex<()>,
    seq: watch::Sender<u64>,
}

impl<H: LogHead> Follower<H> {
    /// Reads the newest state; none when the log has no entry.
    pub async fn open(
        files: LogFiles,
        title: String,
        objects: Option<Objects>,
    ) -> Result<Option<Follower<H>>, RepoError> {
        let newest = files.newest(0).await?;
        Follower::at(files, title, objects, newest).await
    }

    /// Reads the newest state as far as a listing tells, one request less; none when the log has no entry.
    pub async fn open_listed(files: LogFiles, title: String) -> Result<Option<Follower<H>>, RepoError> {
        let newest = files.newest_listed().await?;
        Follower::at(files, title, None, newest).await
    }

    async fn at(
        files: LogFiles,
        title: String,
        objects: Option<Objects>,
        entry: Option<(u64, Bytes)>,
    ) -> Result<Option<Follower<H>>, RepoError> {
        let Some((seq, body)) = entry else { return Ok(None) };
        let entry = decode::<H>(&title, seq, &body)?;
        let head = state_of(&files, &title, objects.as_ref(), &entry).await?;
        Ok(Some(Follower::on(files, title, objects, head)))
    }

    /// Follows on from a state that is known.
    pub fn on(files: LogFiles, title: String, objects: Option<Objects>, head: H) -> Follower<H> {
        let seq = watch::Sender::new(head.seq());
        let head = RwLock::new(Arc::new(head));
        Follower { files, title, objects, head, moving: tokio::sync::Mutex::new(()), seq }
    }

    pub fn files(&self) -> &LogFiles {
        &self.files
    }

    pub fn title(&self) -> &str {
        &self.title
    }

    /// The newest state known here; no request.
    pub fn head(&self) -> Arc<H> {
        self.head.read().clone()
    }

    /// Tells the newest known seq, now and at each move.
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.seq.subscribe()
    }

    /// Looks whether the log moved: one request when it did not.
    pub async fn poll(&self) -> Result<bool, RepoError> {
        let _one = self.moving.lock().await;
        let from = self.head().seq();
        let mut steps = 0;
        loop {
            let head = self.head();
            let Some(body) = self.files.read(head.seq() + 1).await? else { break };
            self.advance(Arc::new(self.step(&head, &self.decode(head.seq() + 1, &body)?).await?));
            steps += 1;
            if steps == STEPS_MAX {
                let known = self.head().seq();
                if let Some((seq, body)) = self.files.newest(known).await?.filter(|(seq, _)| *seq > known) {
                    self.advance(Arc::new(self.state_of(&self.decode(seq, &body)?).await?));
                }
                break;
            }
        }
        Ok(self.head().seq() > from)
    }

    /// The log after `head` and somebody else's `entry`: whole tables are compared with what the entries add up to.
    pub async fn step(&self, head: &H, entry: &H::Entry) -> Result<H, RepoError> {
        let next = head.then(entry)?;
        if !H::packs_table(entry) {
            return Ok(next);
        }
        match H::table(entry, self.objects.as_ref()).await {
            Ok(Some(table)) => Ok(next.with_table(table)),
            Ok(None) => Ok(next),
            // Whoever walked all the way here needs no table.
            Err(error @ RepoError::Damaged { .. }) => {
                tracing::error!(seq = next.seq(), %error, "the whole table of a log is lost");
                Ok(next)
            }
            Err(error) => Err(error),
        }
    }

    /// Takes a state that was read or written elsewhere, unless a newer one is known.
    pub fn advance(&self, to: Arc<H>) {
        let mut head = self.head.write();
        if to.seq() > head.seq() {
            let seq = to.seq();
            *head = to;
            drop(head);
            self.seq.send_if_modified(|known| {
                let newer = seq > *known;
                *known = seq.max(*known);
                newer
            });
        }
    }

    /// Entry `seq`, which exists.
    pub async fn entry(&self, seq: u64) -> Result<H::Entry, RepoError> {
        read_entry::<H>(&self.files, &self.title, seq).await
    }

    /// The state after entry `seq`, which exists.
    pub async fn state_at(&self, seq: u64) -> Result<H, RepoError> {
        self.state_of(&self.entry(seq).await?).await
    }

    async fn state_of(&self, entry: &H::Entry) -> Result<H, RepoError> {
        state_of(&self.files, &self.title, self.objects.as_ref(), entry).await
    }

    /// Entry `seq` from its bytes.
    pub fn decode(&self, seq: u64, body: &Bytes) -> Result<H::Entry, RepoError> {
        decode::<H>(&self.title, seq, body)
    }
}

/// The log at `entry`, by the whole table that it builds on; where that is lost, by the one before.
async fn state_of<H: LogHead>(
    files: &LogFiles,
    title: &str,
    objects: Option<&Objects>,
    entry: &H::Entry,
) -> Result<H, RepoError> {
    if H::table_seq(entry) == H::entry_seq(entry) {
        return Ok(H::at(entry, carried_table::<H>(files, title, objects, entry).await?));
    }
    let holder = read_entry::<H>(files, title, H::table_seq(entry)).await?;
    Ok(H::at(entry, carried_table::<H>(files, title, objects, &holder).await?))
}

/// The whole table at `holder`, which carries it.
async fn carried_table<H: LogHead>(
    files: &LogFiles,
    title: &str,
    objects: Option<&Objects>,
    holder: &H::Entry,
) -> Result<H::Table, RepoError> {
    let seq = H::entry_seq(holder);
    match H::table(holder, objects).await {
        Ok(Some(table)) => Ok(table),
        Ok(None) => Err(RepoError::Damaged {
            what: format!("entry {seq} of the log of {title}"),
            reason: "a later entry says that it carries the whole table, and it does not".to_owned(),
        }),
        Err(error @ RepoError::Damaged { .. }) if H::packs_table(holder) && seq > 1 => {
            tracing::error!(seq, %error, "the whole table of a log is lost: going back to the one before");
            let before = read_entry::<H>(files, title, seq - 1).await?;
            let before = Box::pin(state_of::<H>(files, title, objects, &before)).await?;
            Ok(before.then(holder)?.into_table())
        }
        Err(error) => Err(error),
    }
}

async fn read_entry<H: LogHead>(files: &LogFiles, title: &str, seq: u64) -> Result<H::Entry, RepoError> {
    match files.read(seq).await? {
        Some(body) => decode::<H>(title, seq, &body),
        None => Err(RepoError::Damaged {
            what: format!("the log of {title}"),
            reason: format!("entry {seq} is gone: does a lifecycle rule of the store delete objects?"),
        }),
    }
}

fn decode<H: LogHead>(title: &str, seq: u64, body: &[u8]) -> Result<H::Entry, RepoError> {
    let what = || format!("entry {seq} of the log of {title}");
    let entry = H::decode(body).map_err(|error| RepoError::of_format(what(), error))?;
    match H::entry_seq(&entry) {
        found if found == seq => Ok(entry),
        found => Err(RepoError::Damaged { what: what(), reason: format!("it says that it is entry {found}") }),
    }
}
