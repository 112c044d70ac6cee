//! A store that lets a test look at, or act before, each create, and tells what was made durable.

// Each binary uses its own part of this.
#![allow(dead_code)]

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use futures::future::BoxFuture;
use meshfs::storage::store::Expiry;
use meshfs::storage::{CreateError, Listed, Object, Store, StoreError, Upload, Version};
use parking_lot::Mutex;

type Hook = Box<dyn FnMut(&str, &Bytes) -> BoxFuture<'static, ()> + Send>;

/// Calls a hook at each create, before it is passed on.
pub struct Watched {
    inner: Arc<dyn Store>,
    hook: Mutex<Option<Hook>>,
    settled: Mutex<Vec<String>>,
}

impl Watched {
    pub fn new(inner: Arc<dyn Store>) -> Arc<Watched> {
        Arc::new(Watched { inner, hook: Mutex::new(None), settled: Mutex::default() })
    }

    /// Keys that were made sure to survive power loss, since this was last asked.
    pub fn settled(&self) -> Vec<String> {
        std::mem::take(&mut self.settled.lock())
    }

    pub fn before_create(&self, hook: impl FnMut(&str, &Bytes) -> BoxFuture<'static, ()> + Send + 'static) {
        *self.hook.lock() = Some(Box::new(hook));
    }
}

impl std::fmt::Debug for Watched {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Watched({:?})", self.inner)
    }
}

impl Store for Watched {
    fn name(&self) -> &str {
        self.inner.name()
    }
    fn get(&self, key: &str) -> BoxFuture<'_, Result<Object, StoreError>> {
        self.inner.get(key)
    }
    fn get_range(&self, key: &str, range: Range<u64>) -> BoxFuture<'_, Result<Bytes, StoreError>> {
        self.inner.get_range(key, range)
    }
    fn get_range_versioned(&self, key: &str, range: Range<u64>) -> BoxFuture<'_, Result<(Bytes, Version), StoreError>> {
        self.inner.get_range_versioned(key, range)
    }
    fn size(&self, key: &str) -> BoxFuture<'_, Result<u64, StoreError>> {
        self.inner.size(key)
    }
    fn put(&self, key: &str, bytes: Bytes) -> BoxFuture<'_, Result<(), StoreError>> {
        self.inner.put(key, bytes)
    }
    fn create(&self, key: &str, bytes: Bytes) -> BoxFuture<'_, Result<(), CreateError>> {
        let ahead = self.hook.lock().as_mut().map(|hook| hook(key, &bytes));
        let key = key.to_owned();
        Box::pin(async move {
            if let Some(ahead) = ahead {
                ahead.await;
            }
            self.inner.create(&key, bytes).await
        })
    }
    fn upload(&self, key: &str) -> BoxFuture<'_, Result<Box<dyn Upload>, StoreError>> {
        self.inner.upload(key)
    }
    fn delete(&self, key: &str) -> BoxFuture<'_, Result<(), StoreError>> {
        self.inner.delete(key)
    }
    fn list(&self, prefix: &str, after: Option<&str>, max: usize) -> BoxFuture<'_, Result<Vec<Listed>, StoreError>> {
        self.inner.list(prefix, after, max)
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
        self.settled.lock().push(key.to_owned());
        self.inner.settle(key)
    }
    fn expiry(&self) -> BoxFuture<'_, Expiry> {
        self.inner.expiry()
    }
    fn clock_skew(&self) -> Option<i64> {
        self.inner.clock_skew()
    }
}
