//! Counting: every request that reaches the store below, by verb, and the bytes that went either way.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;

use super::error::{CreateError, StoreError};
use super::store::{Expiry, Listed, Object, Store, Upload, Version};
use crate::telemetry::counters::{Counters, Verb};

/// Counts requests to `inner`. A part of an upload is one request, as its start and its end are.
#[derive(Debug)]
pub struct CountingStore {
    inner: Arc<dyn Store>,
    counters: Arc<Counters>,
}

impl CountingStore {
    pub fn new(inner: Arc<dyn Store>, counters: Arc<Counters>) -> CountingStore {
        CountingStore { inner, counters }
    }
}

impl Store for CountingStore {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn get(&self, key: &str) -> BoxFuture<'_, Result<Object, StoreError>> {
        self.counters.sent(Verb::Get, 0);
        self.inner.get(key).inspect(|got| self.received(got.as_ref().map(|object| object.bytes.len()))).boxed()
    }

    fn get_range(&self, key: &str, range: Range<u64>) -> BoxFuture<'_, Result<Bytes, StoreError>> {
        // An empty range is answered without asking the store.
        if !range.is_empty() {
            self.counters.sent(Verb::Get, 0);
        }
        self.inner.get_range(key, range).inspect(|got| self.received(got.as_ref().map(Bytes::len))).boxed()
    }

    fn get_range_versioned(&self, key: &str, range: Range<u64>) -> BoxFuture<'_, Result<(Bytes, Version), StoreError>> {
        self.counters.sent(Verb::Get, 0);
        let got = self.inner.get_range_versioned(key, range);
        got.inspect(|got| self.received(got.as_ref().map(|(bytes, _)| bytes.len()))).boxed()
    }

    fn size(&self, key: &str) -> BoxFuture<'_, Result<u64, StoreError>> {
        self.counters.sent(Verb::Head, 0);
        self.inner.size(key)
    }

    fn put(&self, key: &str, bytes: Bytes) -> BoxFuture<'_, Result<(), StoreError>> {
        self.counters.sent(Verb::Put, bytes.len());
        self.inner.put(key, bytes)
    }

    fn create(&self, key: &str, bytes: Bytes) -> BoxFuture<'_, Result<(), CreateError>> {
        self.counters.sent(Verb::Create, bytes.len());
        self.inner.create(key, bytes)
    }

    fn upload(&self, key: &str) -> BoxFuture<'_, Result<Box<dyn Upload>, StoreError>> {
        self.counters.sent(Verb::Initiate, 0);
        let begun = self.inner.upload(key);
        async move {
            let inner = begun.await?;
            Ok(Box::new(CountingUpload { inner, counters: self.counters.clone() }) as Box<dyn Upload>)
        }
        .boxed()
    }

    fn delete(&self, key: &str) -> BoxFuture<'_, Result<(), StoreError>> {
        self.counters.sent(Verb::Delete, 0);
        self.inner.delete(key)
    }

    fn list(&self, prefix: &str, after: Option<&str>, max: usize) -> BoxFuture<'_, Result<Vec<Listed>, StoreError>> {
        self.counters.sent(Verb::List, 0);
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

impl CountingStore {
    fn received(&self, bytes: Result<usize, &StoreError>) {
        if let Ok(bytes) = bytes {
            self.counters.received(bytes);
        }
    }
}

#[derive(Debug)]
struct CountingUpload {
    inner: Box<dyn Upload>,
    counters: Arc<Counters>,
}

impl Upload for CountingUpload {
    fn put_part(&self, index: usize, bytes: Bytes) -> BoxFuture<'_, Result<(), StoreError>> {
        self.counters.sent(Verb::Part, bytes.len());
        self.inner.put_part(index, bytes)
    }

    fn complete(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        self.counters.sent(Verb::Complete, 0);
        self.inner.complete()
    }

    fn abort(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        self.counters.sent(Verb::Abort, 0);
        self.inner.abort()
    }
}
