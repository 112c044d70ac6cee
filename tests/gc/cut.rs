//! A store behind which the machine stops in the middle: after so many requests nothing is answered any more.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use meshfs::storage::store::Expiry;
use meshfs::storage::{CreateError, Listed, Object, Store, StoreError, Upload, Version};
use tokio::sync::Notify;

#[derive(Debug)]
pub struct Cut {
    inner: Arc<dyn Store>,
    left: AtomicUsize,
    stopped: Notify,
}

impl Cut {
    pub fn new(inner: Arc<dyn Store>) -> Arc<Cut> {
        Arc::new(Cut { inner, left: AtomicUsize::new(usize::MAX), stopped: Notify::new() })
    }

    /// Lets so many more requests pass.
    pub fn after(&self, requests: usize) {
        self.left.store(requests, Ordering::SeqCst);
    }

    /// What `work` gives; none when the machine stopped in it, which drops it where it was.
    pub async fn run<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            () = self.stopped.notified() => None,
            done = work => Some(done),
        }
    }

    fn pass<'a, T: Send + 'a>(&'a self, request: BoxFuture<'a, T>) -> BoxFuture<'a, T> {
        async move {
            let passes = self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
            if passes.is_err() {
                self.stopped.notify_one();
                std::future::pending::<()>().await;
            }
            request.await
        }
        .boxed()
    }
}

impl Store for Cut {
    fn name(&self) -> &str {
        self.inner.name()
    }
    fn get(&self, key: &str) -> BoxFuture<'_, Result<Object, StoreError>> {
        self.pass(self.inner.get(key))
    }
    fn get_range(&self, key: &str, range: Range<u64>) -> BoxFuture<'_, Result<Bytes, StoreError>> {
        self.pass(self.inner.get_range(key, range))
    }
    fn get_range_versioned(&self, key: &str, range: Range<u64>) -> BoxFuture<'_, Result<(Bytes, Version), StoreError>> {
        self.pass(self.inner.get_range_versioned(key, range))
    }
    fn size(&self, key: &str) -> BoxFuture<'_, Result<u64, StoreError>> {
        self.pass(self.inner.size(key))
    }
    fn put(&self, key: &str, bytes: Bytes) -> BoxFuture<'_, Result<(), StoreError>> {
        self.pass(self.inner.put(key, bytes))
    }
    fn create(&self, key: &str, bytes: Bytes) -> BoxFuture<'_, Result<(), CreateError>> {
        self.pass(self.inner.create(key, bytes))
    }
    fn upload(&self, key: &str) -> BoxFuture<'_, Result<Box<dyn Upload>, StoreError>> {
        self.pass(self.inner.upload(key))
    }
    fn delete(&self, key: &str) -> BoxFuture<'_, Result<(), StoreError>> {
        self.pass(self.inner.delete(key))
    }
    fn list(&self, prefix: &str, after: Option<&str>, max: usize) -> BoxFuture<'_, Result<Vec<Listed>, StoreError>> {
        self.pass(self.inner.list(prefix, after, max))
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
        self.pass(self.inner.settle(key))
    }
    fn expiry(&self) -> BoxFuture<'_, Expiry> {
        self.inner.expiry()
    }
    fn clock_skew(&self) -> Option<i64> {
        self.inner.clock_skew()
    }
}
