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

    /// The log at `entry`, which builds on this whole table.
    fn at(entry: &Self::Entry, table: Self::Table) -> Self;

    /// The log one entry further.
    fn then(&self, entry: &Self::Entry) -> Result<Self, RepoError>;

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
            self.advance(Arc::new(head.then(&self.decode(head.seq() + 1, &body)?)?));
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

async fn state_of<H: LogHead>(
    files: &LogFiles,
    title: &str,
    objects: Option<&Objects>,
    entry: &H::Entry,
) -> Result<H, RepoError> {
    if let Some(table) = H::table(entry, objects).await? {
        return Ok(H::at(entry, table));
    }
    let seq = H::table_seq(entry);
    let holder = read_entry::<H>(files, title, seq).await?;
    match H::table(&holder, objects).await? {
        Some(table) => Ok(H::at(entry, table)),
        None => Err(RepoError::Damaged {
            what: format!("entry {seq} of the log of {title}"),
            reason: "a later entry says that it carries the whole table, and it does not".to_owned(),
        }),
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
