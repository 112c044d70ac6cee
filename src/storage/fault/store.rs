//! The store between, and its uploads.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use parking_lot::Mutex;

use super::super::error::{CreateError, StoreError};
use super::super::store::{Expiry, Listed, Object, Store, Upload, Version};
use super::{Fault, Rates};
use crate::sys::Sys;
use crate::telemetry::counters::Verb;

/// A fault that waits for its request.
#[derive(Debug)]
struct Planned {
    verb: Verb,
    /// The key has this in it.
    within: String,
    fault: Fault,
    /// Strikes so often, then no more.
    left: usize,
}

#[derive(Debug)]
enum Held {
    Put { key: String, bytes: Bytes },
    Create { key: String, bytes: Bytes },
}

#[derive(Debug, Default)]
struct State {
    rates: Rates,
    spared: Option<Verb>,
    planned: Vec<Planned>,
    held: Vec<Held>,
    /// Keys written through here, the newest last.
    written: Vec<String>,
    struck: Vec<(Verb, String, Fault)>,
    skew: Option<i64>,
}

/// A store whose requests may suffer.
#[derive(Clone, Debug)]
pub struct FaultStore(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    inner: Arc<dyn Store>,
    sys: Sys,
    state: Mutex<State>,
}

/// How many of the newest objects a lagging listing lacks.
const LAGGING_OBJECTS: usize = 2;

impl FaultStore {
    /// Chance follows from `sys`: one seed, one run.
    pub fn new(inner: Arc<dyn Store>, sys: Sys) -> FaultStore {
        FaultStore(Arc::new(Shared { inner, sys, state: Mutex::default() }))
    }

    /// Strikes at random from now on.
    pub fn set_rates(&self, rates: Rates) {
        self.0.state.lock().rates = rates;
    }

    /// Lets chance spare requests of `verb`; what is planned strikes all the same.
    pub fn spare(&self, verb: Verb) {
        self.0.state.lock().spared = Some(verb);
    }

    /// Strikes the next `times` requests of `verb` whose key contains `within`.
    pub fn plan(&self, verb: Verb, within: &str, fault: Fault, times: usize) {
        self.0.state.lock().planned.push(Planned { verb, within: within.to_owned(), fault, left: times });
    }

    /// Forgets what is planned and the rates; what is held stays held.
    pub fn calm(&self) {
        let mut state = self.0.state.lock();
        state.rates = Rates::default();
        state.planned.clear();
    }

    /// What has struck so far.
    pub fn struck(&self) -> Vec<(Verb, String, Fault)> {
        self.0.state.lock().struck.clone()
    }

    /// Lets the store's clock differ from ours by this much.
    pub fn set_clock_skew(&self, nanos: i64) {
        self.0.state.lock().skew = Some(nanos);
    }

    /// Lets every held write land now; creates whose key is taken meanwhile come to nothing. Gives how many landed.
    pub async fn release(&self) -> usize {
        let held = std::mem::take(&mut self.0.state.lock().held);
        let mut landed = 0;
        for write in held {
            let (key, done) = match write {
                Held::Put { key, bytes } => (key.clone(), self.0.inner.put(&key, bytes).await.is_ok()),
                Held::Create { key, bytes } => (key.clone(), self.0.inner.create(&key, bytes).await.is_ok()),
            };
            if done {
                self.0.state.lock().written.push(key);
                landed += 1;
            }
        }
        landed
    }
}

impl Shared {
    fn strike(&self, verb: Verb, key: &str) -> Option<Fault> {
        let mut state = self.state.lock();
        let at = state.planned.iter().position(|p| p.left > 0 && p.verb == verb && key.contains(&p.within));
        let fault = match at {
            Some(at) => {
                state.planned[at].left -= 1;
                Some(state.planned[at].fault)
            }
            None if state.spared == Some(verb) => None,
            None => state.rates.fault(verb, self.sys.random.below(1000)),
        };
        state.struck.extend(fault.map(|fault| (verb, key.to_owned(), fault)));
        fault
    }

    fn lost(&self, action: &'static str, key: &str, reason: &str) -> StoreError {
        self.lost_until(action, key, reason, None)
    }

    fn lost_until(&self, action: &'static str, key: &str, reason: &str, retry_after: Option<Duration>) -> StoreError {
        let (store, key) = (self.inner.name().to_owned(), key.to_owned());
        StoreError::Unavailable { store, action, key, reason: reason.to_owned(), retry_after }
    }

    /// What a request that never came through is told.
    fn failure(&self, fault: Fault, action: &'static str, key: &str) -> StoreError {
        match fault {
            Fault::Busy => self.lost(action, key, "it answered 503 SlowDown"),
            Fault::Throttled(pause) => self.lost_until(action, key, "it answered 429", Some(pause)),
            Fault::Broken => self.lost(action, key, "it answered 500 InternalError"),
            Fault::CutBody => self.lost(action, key, "the connection broke"),
            Fault::Denied => StoreError::Denied {
                store: self.inner.name().to_owned(),
                action,
                key: key.to_owned(),
                reason: "it answered 403 AccessDenied".to_owned(),
                hint: "Grant it",
            },
            Fault::Expired => StoreError::NoCredentials {
                store: self.inner.name().to_owned(),
                reason: "it answered 403 ExpiredToken".to_owned(),
                hint: "Renew them",
            },
            _ => self.lost(action, key, "no answer within 20 s"),
        }
    }

    /// A request that reads, or writes the same however often it is sent.
    async fn repeatable<T>(
        &self,
        verb: Verb,
        action: &'static str,
        key: &str,
        request: BoxFuture<'_, Result<T, StoreError>>,
    ) -> Result<(T, Option<Fault>), StoreError> {
        let fault = self.strike(verb, key);
        self.suffer(fault, action, key, request).await.map(|done| (done, fault))
    }

    async fn suffer<T>(
        &self,
        fault: Option<Fault>,
        action: &'static str,
        key: &str,
        request: BoxFuture<'_, Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        match fault {
            Some(Fault::LostReply) => {
                let _ = request.await;
                Err(self.lost(action, key, "the connection broke"))
            }
            Some(fault) if fault.turns_away() => Err(self.failure(fault, action, key)),
            Some(Fault::Slow(pause)) => {
                self.sys.clock.sleep(pause).await;
                request.await
            }
            _ => request.await,
        }
    }
}

/// One bit of it turned over.
fn damaged(bytes: &Bytes, at: u64) -> Bytes {
    let mut bytes = bytes.to_vec();
    if let Some(byte) = bytes.get_mut(at as usize) {
        *byte ^= 1;
    }
    bytes.into()
}

impl Store for FaultStore {
    fn name(&self) -> &str {
        self.0.inner.name()
    }

    fn get(&self, key: &str) -> BoxFuture<'_, Result<Object, StoreError>> {
        let key = key.to_owned();
        async move {
            let (object, fault) = self.0.repeatable(Verb::Get, "reading", &key, self.0.inner.get(&key)).await?;
            let at = self.0.sys.random.below(object.bytes.len() as u64);
            Ok(match fault {
                Some(Fault::WrongBytes) => Object { bytes: damaged(&object.bytes, at), ..object },
                _ => object,
            })
        }
        .boxed()
    }

    fn get_range(&self, key: &str, range: Range<u64>) -> BoxFuture<'_, Result<Bytes, StoreError>> {
        let key = key.to_owned();
        async move {
            let request = self.0.inner.get_range(&key, range);
            let (bytes, fault) = self.0.repeatable(Verb::Get, "reading", &key, request).await?;
            let at = self.0.sys.random.below(bytes.len() as u64);
            Ok(if fault == Some(Fault::WrongBytes) { damaged(&bytes, at) } else { bytes })
        }
        .boxed()
    }

    fn get_range_versioned(&self, key: &str, range: Range<u64>) -> BoxFuture<'_, Result<(Bytes, Version), StoreError>> {
        let key = key.to_owned();
        async move {
            let request = self.0.inner.get_range_versioned(&key, range);
            let ((bytes, version), fault) = self.0.repeatable(Verb::Get, "reading", &key, request).await?;
            let at = self.0.sys.random.below(bytes.len() as u64);
            Ok((if fault == Some(Fault::WrongBytes) { damaged(&bytes, at) } else { bytes }, version))
        }
        .boxed()
    }

    fn size(&self, key: &str) -> BoxFuture<'_, Result<u64, StoreError>> {
        let key = key.to_owned();
        async move {
            let request = self.0.inner.size(&key);
            self.0.repeatable(Verb::Head, "looking up", &key, request).await.map(|(size, _)| size)
        }
        .boxed()
    }

    fn put(&self, key: &str, bytes: Bytes) -> BoxFuture<'_, Result<(), StoreError>> {
        let key = key.to_owned();
        async move {
            match self.0.strike(Verb::Put, &key) {
                Some(Fault::Delayed) => {
                    self.0.state.lock().held.push(Held::Put { key: key.clone(), bytes });
                    return Err(self.0.failure(Fault::Timeout, "writing", &key));
                }
                Some(Fault::LostReply) => {
                    let _ = self.0.inner.put(&key, bytes).await;
                    self.0.state.lock().written.push(key.clone());
                    return Err(self.0.lost("writing", &key, "the connection broke"));
                }
                Some(Fault::Slow(pause)) => self.0.sys.clock.sleep(pause).await,
                Some(fault) => return Err(self.0.failure(fault, "writing", &key)),
                None => {}
            }
            self.0.inner.put(&key, bytes).await?;
            self.0.state.lock().written.push(key);
            Ok(())
        }
        .boxed()
    }

    fn create(&self, key: &str, bytes: Bytes) -> BoxFuture<'_, Result<(), CreateError>> {
        let key = key.to_owned();
        async move {
            match self.0.strike(Verb::Create, &key) {
                Some(Fault::Delayed) => {
                    self.0.state.lock().held.push(Held::Create { key: key.clone(), bytes });
                    return Err(CreateError::Unknown(self.0.failure(Fault::Timeout, "creating", &key)));
                }
                Some(Fault::LostReply) => {
                    if self.0.inner.create(&key, bytes).await.is_ok() {
                        self.0.state.lock().written.push(key.clone());
                    }
                    return Err(CreateError::Unknown(self.0.lost("creating", &key, "the connection broke")));
                }
                Some(Fault::FalseConflict) => return Err(CreateError::Exists),
                Some(fault @ (Fault::Denied | Fault::Expired)) => {
                    return Err(CreateError::Refused(self.0.failure(fault, "creating", &key)));
                }
                Some(Fault::Slow(pause)) => self.0.sys.clock.sleep(pause).await,
                Some(fault) => return Err(CreateError::Unknown(self.0.failure(fault, "creating", &key))),
                None => {}
            }
            self.0.inner.create(&key, bytes).await?;
            self.0.state.lock().written.push(key);
            Ok(())
        }
        .boxed()
    }

    fn upload(&self, key: &str) -> BoxFuture<'_, Result<Box<dyn Upload>, StoreError>> {
        let key = key.to_owned();
        async move {
            match self.0.strike(Verb::Initiate, &key) {
                Some(fault) => Err(self.0.failure(fault, "writing", &key)),
                None => {
                    let inner = self.0.inner.upload(&key).await?;
                    Ok(Box::new(FaultUpload { inner, shared: self.0.clone(), key }) as Box<dyn Upload>)
                }
            }
        }
        .boxed()
    }

    fn delete(&self, key: &str) -> BoxFuture<'_, Result<(), StoreError>> {
        let key = key.to_owned();
        async move {
            let request = self.0.inner.delete(&key);
            self.0.repeatable(Verb::Delete, "deleting", &key, request).await.map(|_| ())
        }
        .boxed()
    }

    fn list(&self, prefix: &str, after: Option<&str>, max: usize) -> BoxFuture<'_, Result<Vec<Listed>, StoreError>> {
        let (prefix, after) = (prefix.to_owned(), after.map(str::to_owned));
        async move {
            let fault = self.0.strike(Verb::List, &prefix);
            let lagging = fault == Some(Fault::LaggingList);
            let asked = if lagging { max.saturating_add(LAGGING_OBJECTS) } else { max };
            let request = self.0.inner.list(&prefix, after.as_deref(), asked);
            let mut found = self.0.suffer(fault, "listing", &prefix, request).await?;
            if !lagging {
                return Ok(found);
            }
            let state = self.0.state.lock();
            let newest = state.written.iter().rev().filter(|key| key.starts_with(&prefix)).take(LAGGING_OBJECTS);
            let newest: Vec<&String> = newest.collect();
            found.retain(|one| !newest.contains(&&one.key));
            found.truncate(max);
            Ok(found)
        }
        .boxed()
    }

    fn ordered_listing(&self) -> bool {
        self.0.inner.ordered_listing()
    }

    fn is_local(&self) -> bool {
        self.0.inner.is_local()
    }

    fn local_path(&self, _key: &str) -> Option<PathBuf> {
        // Whoever reads the file would never meet a fault.
        None
    }

    fn settle(&self, key: &str) -> BoxFuture<'_, Result<(), StoreError>> {
        self.0.inner.settle(key)
    }

    fn expiry(&self) -> BoxFuture<'_, Expiry> {
        self.0.inner.expiry()
    }

    fn clock_skew(&self) -> Option<i64> {
        self.0.state.lock().skew.or_else(|| self.0.inner.clock_skew())
    }
}

#[derive(Debug)]
struct FaultUpload {
    inner: Box<dyn Upload>,
    shared: Arc<Shared>,
    key: String,
}

impl FaultUpload {
    /// Asks for a request only when it comes to one: a part that never arrives takes no place.
    fn suffer<'a>(
        &'a self,
        verb: Verb,
        request: impl FnOnce() -> BoxFuture<'a, Result<(), StoreError>>,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        match self.shared.strike(verb, &self.key) {
            Some(fault) if fault.turns_away() => {
                std::future::ready(Err(self.shared.failure(fault, "writing", &self.key))).boxed()
            }
            fault => self.shared.suffer(fault, "writing", &self.key, request()).boxed(),
        }
    }
}

impl Upload for FaultUpload {
    fn put_part(&self, index: usize, bytes: Bytes) -> BoxFuture<'_, Result<(), StoreError>> {
        self.suffer(Verb::Part, || self.inner.put_part(index, bytes))
    }

    fn complete(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        self.suffer(Verb::Complete, || self.inner.complete())
    }

    fn abort(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        self.suffer(Verb::Abort, || self.inner.abort())
    }
}
