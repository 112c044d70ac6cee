//! A bound on requests under way: stores limit clients, and machines their sockets.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::error::{CreateError, StoreError};
use super::store::{Expiry, Listed, Object, Store, Upload, Version};

/// Lets at most so many requests reach `inner` at once; the others wait in the order they came.
#[derive(Debug)]
pub struct LimitedStore {
    inner: Arc<dyn Store>,
    permits: Arc<Semaphore>,
}

impl LimitedStore {
    pub fn new(inner: Arc<dyn Store>, concurrency: usize) -> LimitedStore {
        LimitedStore { inner, permits: Arc::new(Semaphore::new(concurrency.max(1))) }
    }
}

/// Holds a place for as long as one request runs. None only from a semaphore that was closed, which ours never is.
async fn place(permits: &Semaphore) -> Option<SemaphorePermit<'_>> {
    permits.acquire().await.ok()
}

impl Store for LimitedStore {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn get(&self, key: &str) -> BoxFuture<'_, Result<Object, StoreError>> {
        let key = key.to_owned();
        async move {
            let _place = place(&self.permits).await;
            self.inner.get(&key).await
        }
        .boxed()
    }

    fn get_range(&self, key: &str, range: Range<u64>) -> BoxFuture<'_, Result<Bytes, StoreError>> {
        let key = key.to_owned();
        async move {
            let _place = place(&self.permits).await;
            self.inner.get_range(&key, range).await
        }
        .boxed()
    }

    fn get_range_versioned(&self, key: &str, range: Range<u64>) -> BoxFuture<'_, Result<(Bytes, Version), StoreError>> {
        let key = key.to_owned();
        async move {
            let _place = place(&self.permits).await;
            self.inner.get_range_versioned(&key, range).await
        }
        .boxed()
    }

    fn size(&self, key: &str) -> BoxFuture<'_, Result<u64, StoreError>> {
        let key = key.to_owned();
        async move {
            let _place = place(&self.permits).await;
            self.inner.size(&key).await
        }
        .boxed()
    }

    fn put(&self, key: &str, bytes: Bytes) -> BoxFuture<'_, Result<(), StoreError>> {
        let key = key.to_owned();
        async move {
            let _place = place(&self.permits).await;
            self.inner.put(&key, bytes).await
        }
        .boxed()
    }

    fn create(&self, key: &str, bytes: Bytes) -> BoxFuture<'_, Result<(), CreateError>> {
        let key = key.to_owned();
        async move {
            let _place = place(&self.permits).await;
            self.inner.create(&key, bytes).await
        }
        .boxed()
    }

    fn upload(&self, key: &str) -> BoxFuture<'_, Result<Box<dyn Upload>, StoreError>> {
        let key = key.to_owned();
        async move {
            let _place = place(&self.permits).await;
            let inner = self.inner.upload(&key).await?;
            Ok(Box::new(LimitedUpload { inner, permits: self.permits.clone() }) as Box<dyn Upload>)
        }
        .boxed()
    }

    fn delete(&self, key: &str) -> BoxFuture<'_, Result<(), StoreError>> {
        let key = key.to_owned();
        async move {
            let _place = place(&self.permits).await;
            self.inner.delete(&key).await
        }
        .boxed()
    }

    fn list(&self, prefix: &str, after: Option<&str>, max: usize) -> BoxFuture<'_, Result<Vec<Listed>, StoreError>> {
        let (prefix, after) = (prefix.to_owned(), after.map(str::to_owned));
        async move {
            let _place = place(&self.permits).await;
            self.inner.list(&prefix, after.as_deref(), max).await
        }
        .boxed()
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

#[derive(Debug)]
struct LimitedUpload {
    inner: Box<dyn Upload>,
    permits: Arc<Semaphore>,
}

impl Upload for LimitedUpload {
    fn put_part(&self, index: usize, bytes: Bytes) -> BoxFuture<'_, Result<(), StoreError>> {
        // The part takes its number now; only its bytes wait.
        let part = self.inner.put_part(index, bytes);
        async move {
            let _place = place(&self.permits).await;
            part.await
        }
        .boxed()
    }

    fn complete(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        async move {
            let _place = place(&self.permits).await;
            self.inner.complete().await
        }
        .boxed()
    }

    fn abort(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        async move {
            let _place = place(&self.permits).await;
            self.inner.abort().await
        }
        .boxed()
    }
}
