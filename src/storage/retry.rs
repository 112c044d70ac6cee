//! Repeats: what may pass is tried again after a jittered, growing pause, until a deadline.
//!
//! Only calls that say the same when sent twice are repeated. A create-if-absent is never: sent again after a lost
//! answer, it would report the writer's own object as somebody else's.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use parking_lot::Mutex;

use super::error::{CreateError, StoreError};
use super::store::{Expiry, Listed, Object, Store, Upload, Version};
use crate::sys::Sys;

/// The first pause is up to this long: about a round trip.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// No pause is longer: a store that came back is noticed within it.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// A store may ask for longer, up to this: one that says hours would be no store to wait for.
const LONGEST_ASKED_PAUSE: Duration = Duration::from_secs(20);

/// Whoever waits is told why after this long.
const SILENCE_MAX: Duration = Duration::from_secs(5);

/// How long to keep trying, and by whose clock.
#[derive(Clone, Debug)]
struct Patience {
    sys: Sys,
    deadline: Duration,
    trouble: Arc<Mutex<Option<Trouble>>>,
}

/// Since the last call that went well, calls failed.
#[derive(Debug)]
struct Trouble {
    newest: String,
    told: bool,
}

impl Patience {
    /// Runs `attempt` until it gives something else than an error that may pass. No attempt is begun after the
    /// deadline; one that runs then ends by its own limits.
    async fn repeat<'a, T>(
        &self,
        mut attempt: impl FnMut() -> BoxFuture<'a, Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let began = self.sys.clock.elapsed();
        let mut attempts = 1u32;
        loop {
            let error = match attempt().await {
                Err(error) if error.may_pass() => error,
                result => {
                    *self.trouble.lock() = None;
                    return result;
                }
            };
            let pause = self.pause(attempts).max(asked_for(&error));
            let spent = self.sys.clock.elapsed().saturating_sub(began);
            let ends = spent + pause > self.deadline;
            self.note(&error, spent, !ends);
            if ends {
                return Err(gave_up(error, attempts, spent));
            }
            tracing::debug!(attempts, ?pause, "trying again: {error}");
            self.sys.clock.sleep(pause).await;
            attempts += 1;
        }
    }

    /// Of many calls that wait for the same store, one tells.
    fn note(&self, error: &StoreError, spent: Duration, goes_on: bool) {
        let mut trouble = self.trouble.lock();
        let told = trouble.as_ref().is_some_and(|trouble| trouble.told);
        let tell = goes_on && !told && spent >= SILENCE_MAX;
        *trouble = Some(Trouble { newest: error.to_string(), told: told || tell });
        if tell {
            let more = self.deadline.saturating_sub(spent).as_secs();
            tracing::warn!("trying again for up to {more} s: {error}");
        }
    }

    /// Between nothing and a bound that doubles, so that many clients do not come back together.
    fn pause(&self, attempts: u32) -> Duration {
        let bound = FIRST_PAUSE.saturating_mul(1 << attempts.saturating_sub(1).min(16)).min(LONGEST_PAUSE);
        Duration::from_nanos(self.sys.random.below(u64::try_from(bound.as_nanos()).unwrap_or(u64::MAX)))
    }
}

/// The pause that the store itself asks for, as far as it is believed.
fn asked_for(error: &StoreError) -> Duration {
    match error {
        StoreError::Unavailable { retry_after: Some(pause), .. } => (*pause).min(LONGEST_ASKED_PAUSE),
        _ => Duration::ZERO,
    }
}

fn gave_up(error: StoreError, attempts: u32, spent: Duration) -> StoreError {
    match error {
        StoreError::Unavailable { store, action, key, reason, retry_after } if attempts > 1 => {
            let reason = format!("{reason} (tried {attempts} times in {} s)", spent.as_secs());
            StoreError::Unavailable { store, action, key, reason, retry_after }
        }
        error => error,
    }
}

/// Repeats requests to `inner`.
#[derive(Debug)]
pub struct RetryingStore {
    inner: Arc<dyn Store>,
    patience: Patience,
}

impl RetryingStore {
    /// Tries each call for up to `deadline`; zero means once.
    pub fn new(inner: Arc<dyn Store>, sys: Sys, deadline: Duration) -> RetryingStore {
        RetryingStore { inner, patience: Patience { sys, deadline, trouble: Arc::default() } }
    }
}

impl Store for RetryingStore {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn get(&self, key: &str) -> BoxFuture<'_, Result<Object, StoreError>> {
        let key = key.to_owned();
        async move { self.patience.repeat(|| self.inner.get(&key)).await }.boxed()
    }

    fn get_range(&self, key: &str, range: Range<u64>) -> BoxFuture<'_, Result<Bytes, StoreError>> {
        let key = key.to_owned();
        async move { self.patience.repeat(|| self.inner.get_range(&key, range.clone())).await }.boxed()
    }

    fn get_range_versioned(&self, key: &str, range: Range<u64>) -> BoxFuture<'_, Result<(Bytes, Version), StoreError>> {
        let key = key.to_owned();
        async move { self.patience.repeat(|| self.inner.get_range_versioned(&key, range.clone())).await }.boxed()
    }

    fn size(&self, key: &str) -> BoxFuture<'_, Result<u64, StoreError>> {
        let key = key.to_owned();
        async move { self.patience.repeat(|| self.inner.size(&key)).await }.boxed()
    }

    fn put(&self, key: &str, bytes: Bytes) -> BoxFuture<'_, Result<(), StoreError>> {
        let key = key.to_owned();
        async move { self.patience.repeat(|| self.inner.put(&key, bytes.clone())).await }.boxed()
    }

    fn create(&self, key: &str, bytes: Bytes) -> BoxFuture<'_, Result<(), CreateError>> {
        self.inner.create(key, bytes)
    }

    fn upload(&self, key: &str) -> BoxFuture<'_, Result<Box<dyn Upload>, StoreError>> {
        let key = key.to_owned();
        async move {
            // A start that is repeated may leave an upload without parts behind; the store's own rules remove it.
            let inner = self.patience.repeat(|| self.inner.upload(&key)).await?;
            let (store, patience) = (self.inner.clone(), self.patience.clone());
            Ok(Box::new(RetryingUpload { inner, store, patience, key, sent: Mutex::default() }) as Box<dyn Upload>)
        }
        .boxed()
    }

    fn delete(&self, key: &str) -> BoxFuture<'_, Result<(), StoreError>> {
        let key = key.to_owned();
        async move { self.patience.repeat(|| self.inner.delete(&key)).await }.boxed()
    }

    fn list(&self, prefix: &str, after: Option<&str>, max: usize) -> BoxFuture<'_, Result<Vec<Listed>, StoreError>> {
        let (prefix, after) = (prefix.to_owned(), after.map(str::to_owned));
        async move { self.patience.repeat(|| self.inner.list(&prefix, after.as_deref(), max)).await }.boxed()
    }

    fn ordered_listing(&self) -> bool {
        self.inner.ordered_listing()
    }

    fn is_local(&self) -> bool {
        self.inner.is_local()
    }

    fn local_path(&self, key: &str) -> Option<PathBuf> {
        self.inner.local_path(key)
    }

    fn settle(&self, key: &str) -> BoxFuture<'_, Result<(), StoreError>> {
        self.inner.settle(key)
    }

    fn expiry(&self) -> BoxFuture<'_, Expiry> {
        self.inner.expiry()
    }

    fn trouble(&self) -> Option<String> {
        self.patience.trouble.lock().as_ref().map(|trouble| trouble.newest.clone())
    }

    fn clock_skew(&self) -> Option<i64> {
        self.inner.clock_skew()
    }
}

#[derive(Debug)]
struct RetryingUpload {
    inner: Box<dyn Upload>,
    store: Arc<dyn Store>,
    patience: Patience,
    key: String,
    /// Bytes of each part that arrived.
    sent: Mutex<BTreeMap<usize, u64>>,
}

impl Upload for RetryingUpload {
    fn put_part(&self, index: usize, bytes: Bytes) -> BoxFuture<'_, Result<(), StoreError>> {
        // The first attempt is made here, so that parts take their numbers in the order of the calls.
        let mut first = Some(self.inner.put_part(index, bytes.clone()));
        async move {
            let attempt = || first.take().unwrap_or_else(|| self.inner.put_part(index, bytes.clone()));
            self.patience.repeat(attempt).await?;
            self.sent.lock().insert(index, bytes.len() as u64);
            Ok(())
        }
        .boxed()
    }

    fn complete(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        self.complete_or_find().boxed()
    }

    fn abort(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        async move { self.patience.repeat(|| self.inner.abort()).await }.boxed()
    }
}

impl RetryingUpload {
    /// An end whose answer was lost has ended the upload all the same, so that a repeat finds it gone; then the object
    /// of the right length under our own name is the answer.
    async fn complete_or_find(&self) -> Result<(), StoreError> {
        let unsure = AtomicBool::new(false);
        let ended = self.patience.repeat(|| {
            async {
                let result = self.inner.complete().await;
                if matches!(&result, Err(error) if error.may_pass()) {
                    unsure.store(true, Ordering::Relaxed);
                }
                result
            }
            .boxed()
        });
        let error = match ended.await {
            Err(error) if unsure.load(Ordering::Relaxed) => error,
            result => return result,
        };
        let expected: u64 = self.sent.lock().values().sum();
        match self.patience.repeat(|| self.store.size(&self.key)).await {
            Ok(size) if size == expected => Ok(()),
            _ => Err(error),
        }
    }
}
