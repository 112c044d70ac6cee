//! The trait and its contract.

use std::ops::Range;
use std::path::PathBuf;

use bytes::Bytes;
use futures::future::BoxFuture;

use super::error::{CreateError, StoreError};

/// Longest page of a listing: what every store gives in one request.
pub const LISTED_MAX: usize = 1000;

/// Largest object that is read whole: what a store holds is not always what we wrote, and has to fit in memory.
pub const OBJECT_BYTES_MAX: u64 = 256 << 20;

/// An object as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    pub bytes: Bytes,
    /// When the store says it was written, in nanoseconds since the epoch.
    pub modified: Option<i64>,
}

/// Which version of an object an answer is from, as far as the store tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    pub etag: Option<String>,
    pub version: Option<String>,
    /// Length of the whole object in bytes.
    pub size: u64,
}

/// One line of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    pub key: String,
    pub size: u64,
    /// When the store says it was written, in nanoseconds since the epoch.
    pub modified: Option<i64>,
}

/// Whether rules of the store itself remove objects as they age.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expiry {
    Never,
    /// The rules that do, by name.
    Rules(String),
    /// It cannot be found out, for this reason.
    NotKnown(String),
}

/// A folder of immutable objects, named by keys: `/`-joined names of `A-Z a-z 0-9 . _ -`, relative to the store's
/// prefix.
///
/// Reads see every write that was acknowledged before they began. A key is written by one [`put`](Store::put), one
/// [`upload`](Store::upload) or by whoever wins [`create`](Store::create), and never written again with other bytes.
/// Everything but `create` is repeated by us until it succeeds, is refused for a reason that will not pass, or the
/// deadline of the settings is over.
pub trait Store: std::fmt::Debug + Send + Sync {
    /// The store's URL, for messages; never carries a secret.
    fn name(&self) -> &str;

    /// A whole object, of at most [`OBJECT_BYTES_MAX`] bytes.
    fn get(&self, key: &str) -> BoxFuture<'_, Result<Object, StoreError>>;

    /// A range of an object: shorter where the range passes the end, empty when it lies past it.
    fn get_range(&self, key: &str, range: Range<u64>) -> BoxFuture<'_, Result<Bytes, StoreError>>;

    /// [`get_range`](Store::get_range) of an object that others may overwrite, and which version the bytes are from.
    fn get_range_versioned(&self, key: &str, range: Range<u64>) -> BoxFuture<'_, Result<(Bytes, Version), StoreError>>;

    /// An object's length in bytes.
    fn size(&self, key: &str) -> BoxFuture<'_, Result<u64, StoreError>>;

    /// Writes a whole object under a name that nobody else uses: it may be sent several times, always these bytes.
    fn put(&self, key: &str, bytes: Bytes) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Writes a whole object if there is none. Sent exactly once, never repeated by anything below: after any error
    /// but [`CreateError::Refused`] the key has to be read to know whose object is there, if any.
    fn create(&self, key: &str, bytes: Bytes) -> BoxFuture<'_, Result<(), CreateError>>;

    /// Begins to write an object in parts, under a name that nobody else uses.
    fn upload(&self, key: &str) -> BoxFuture<'_, Result<Box<dyn Upload>, StoreError>>;

    /// Removes an object; a missing one is no error.
    fn delete(&self, key: &str) -> BoxFuture<'_, Result<(), StoreError>>;

    /// The least keys that start with `prefix` and are greater than `after`, in key order: `max` of them, at most
    /// [`LISTED_MAX`], and fewer only when there are no more. One request where
    /// [`ordered_listing`](Store::ordered_listing).
    fn list(&self, prefix: &str, after: Option<&str>, max: usize) -> BoxFuture<'_, Result<Vec<Listed>, StoreError>>;

    /// Whether a listing of one key costs one request, however many there are. Where not, a listing reads every name
    /// below the prefix.
    fn ordered_listing(&self) -> bool;

    /// Whether objects are files of this machine, so that a local copy would gain nothing.
    fn is_local(&self) -> bool;

    /// The file that an object is, or would be; none unless objects are files of this machine.
    fn local_path(&self, key: &str) -> Option<PathBuf>;

    /// Makes sure that what was read under `key` survives power loss. A local store's `create` gives a file its name
    /// before it syncs it, so what another process created may be seen before it is durable: an entry read back counts
    /// only after this. Elsewhere an object that can be read is durable, and this costs nothing.
    fn settle(&self, key: &str) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Whether the store's own rules will remove what is written here.
    fn expiry(&self) -> BoxFuture<'_, Expiry>;

    /// Why calls are waiting, while they do: the newest failure that is being repeated, none once a call came through.
    /// Whoever gives up waiting for a call tells it.
    fn trouble(&self) -> Option<String> {
        None
    }

    /// The store's clock minus ours in nanoseconds, from the newest answer (its Date has whole seconds). None for
    /// stores that have no clock of their own, and before the first answer.
    fn clock_skew(&self) -> Option<i64>;
}

/// An object that is being written in parts. It exists once `complete` has returned; dropped before, its parts stay
/// in the store until a lifecycle rule removes them, so `abort` what is given up.
pub trait Upload: std::fmt::Debug + Send + Sync {
    /// Sends part number `index`, counted from 0; every part but the last has at least 5 MiB. Parts are first given in
    /// rising order, may be under way together, and one that failed may be given again with the same bytes.
    fn put_part(&self, index: usize, bytes: Bytes) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Joins the parts given so far, all of which have succeeded.
    fn complete(&self) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Forgets the parts.
    fn abort(&self) -> BoxFuture<'_, Result<(), StoreError>>;
}
