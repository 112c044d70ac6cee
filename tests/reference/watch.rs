//! A store that lets a test act at the very moment a log entry is about to be put.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use futures::future::BoxFuture;
use meshfs::storage::error::{CreateError, StoreError};
use meshfs::storage::store::Expiry;
use meshfs::storage::{Listed, Object, Store, Upload, Version};
use parking_lot::Mutex;

type Action = Box<dyn FnOnce() + Send>;

/// What is to be done when the next entry is put.
#[derive(Clone, Default)]
pub struct BeforeLanding(Arc<Mutex<Option<Action>>>);

impl std::fmt::Debug for BeforeLanding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("BeforeLanding")
    }
}

impl BeforeLanding {
    pub fn set(&self, action: impl FnOnce() + Send + 'static) {
        *self.0.lock() = Some(Box::new(action));
    }
}

#[derive(Debug)]
pub struct WatchedStore {
    pub inner: Arc<dyn Store>,
    pub before_landing: BeforeLanding,
}

impl Store for WatchedStore {
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
        let action = if key.contains("/log/") { self.before_landing.0.lock().take() } else { None };
        if let Some(action) = action {
            action();
        }
        self.inner.create(key, bytes)
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
        self.inner.settle(key)
    }

    fn expiry(&self) -> BoxFuture<'_, Expiry> {
        self.inner.expiry()
    }

    fn clock_skew(&self) -> Option<i64> {
        self.inner.clock_skew()
    }
}
