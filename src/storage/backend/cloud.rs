//! A bucket in a cloud: each call is one request, and each failure is explained from what was exchanged.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use object_store::list::PaginatedListOptions;
use object_store::multipart::PartId;
use object_store::path::Path;
use object_store::{GetOptions, MultipartId, ObjectMeta, ObjectStoreExt, PutMode, PutOptions, PutPayload};
use parking_lot::Mutex;

use super::super::error::{CreateError, StoreError};
use super::super::store::{Expiry, LISTED_MAX, Listed, OBJECT_BYTES_MAX, Object, Store, Upload, Version};
use super::super::url::Cloud;
use super::access::{Access, Renewable};
use super::connector::Connector;
use super::exchange::{Answer, Exchange, Peer, Seen};
use super::explain::Failure;
use super::lifecycle::expiry_of_s3;

#[derive(Clone)]
pub struct CloudStore {
    pub cloud: Cloud,
    pub name: String,
    /// For messages.
    pub endpoint: String,
    /// Without a slash at either end; empty for the whole bucket.
    pub prefix: String,
    pub access: Arc<Renewable>,
    pub connector: Connector,
    /// Whether listings come in key order.
    pub ordered: bool,
}

impl std::fmt::Debug for CloudStore {
    /// Without the client, which knows the credentials.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CloudStore").field("name", &self.name).field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

impl CloudStore {
    /// The key with the store's prefix.
    fn full(&self, key: &str) -> String {
        if self.prefix.is_empty() { key.to_owned() } else { format!("{}/{key}", self.prefix) }
    }

    fn location(&self, key: &str) -> Result<Path, StoreError> {
        Path::parse(self.full(key)).map_err(|error| StoreError::Unusable {
            store: self.name.clone(),
            action: "naming",
            key: key.to_owned(),
            reason: error.to_string(),
        })
    }

    fn failure<'a>(
        &'a self,
        action: &'static str,
        key: &'a str,
        error: &'a object_store::Error,
        seen: &'a Seen,
    ) -> Failure<'a> {
        let known = self.access.is_known();
        Failure { cloud: self.cloud, store: &self.name, endpoint: &self.endpoint, action, key, error, seen, known }
    }

    /// Runs one request; once more with new credentials if the store turned the old ones away, having done nothing.
    async fn exchange<T, R>(
        &self,
        action: &'static str,
        key: &str,
        request: impl Fn(Arc<Access>) -> R,
    ) -> (object_store::Result<T>, Seen)
    where
        R: Future<Output = object_store::Result<T>>,
    {
        let access = self.access.current();
        let (result, seen) = Exchange::observe(request(access.clone())).await;
        match &result {
            Err(error) if self.failure(action, key, error, &seen).may_be_of_credentials() => {
                let Some(renewed) = self.access.renew(&access) else { return (result, seen) };
                tracing::info!(store = self.name, "credentials are not accepted any more: trying those at hand now");
                Exchange::observe(request(renewed)).await
            }
            _ => {
                if matches!(seen, Seen::Answered { peer: Peer::Store, .. }) {
                    self.access.accept();
                }
                (result, seen)
            }
        }
    }

    /// Runs one request and explains its failure.
    async fn request<T, R>(
        &self,
        action: &'static str,
        key: &str,
        request: impl Fn(Arc<Access>) -> R,
    ) -> Result<T, StoreError>
    where
        R: Future<Output = object_store::Result<T>>,
    {
        let (result, seen) = self.exchange(action, key, request).await;
        result.map_err(|error| self.failure(action, key, &error, &seen).explain())
    }

    /// A range and the version it is from; none when no byte of the object is in it.
    async fn range(&self, key: &str, range: Range<u64>) -> Result<Option<(Bytes, Version)>, StoreError> {
        if range.is_empty() {
            return Ok(None);
        }
        let location = &self.location(key)?;
        let options = &GetOptions::default().with_range(Some(range));
        let read = |access: Arc<Access>| async move {
            let found = access.client.get_opts(location, options.clone()).await?;
            let version = version(&found.meta);
            Ok((found.bytes().await?, version))
        };
        let (result, seen) = self.exchange("reading", key, read).await;
        match (result, &seen) {
            (Ok(found), _) => Ok(Some(found)),
            (Err(_), Seen::Answered { answer: Answer { status: 416, .. }, .. }) => Ok(None),
            (Err(error), seen) => Err(self.failure("reading", key, &error, seen).explain()),
        }
    }

    /// Pages from the store until `max` objects are there or it has no more; one page is the rule.
    async fn pages(&self, prefix: &str, after: Option<&str>, max: usize) -> Result<Vec<Listed>, StoreError> {
        let full_prefix = &self.full(prefix);
        let mut options = PaginatedListOptions {
            offset: after.map(|after| self.full(after)).filter(|_| self.ordered),
            max_keys: self.ordered.then_some(max),
            ..PaginatedListOptions::default()
        };
        let mut found = Vec::new();
        loop {
            let options_now = &options;
            let list = |access: Arc<Access>| async move {
                access.client.list_paginated(Some(full_prefix), options_now.clone()).await
            };
            let page = self.request("listing", prefix, list).await?;
            found.extend(page.result.objects.into_iter().filter_map(|meta| self.listed(&meta)));
            options.page_token = page.page_token;
            if options.page_token.is_none() || (self.ordered && found.len() >= max) {
                return Ok(found);
            }
        }
    }

    async fn head(&self, key: &str) -> Result<ObjectMeta, StoreError> {
        let location = &self.location(key)?;
        let head = |access: Arc<Access>| async move { access.client.head(location).await };
        self.request("looking up", key, head).await
    }

    fn listed(&self, meta: &ObjectMeta) -> Option<Listed> {
        let full = meta.location.as_ref();
        let key = match self.prefix.as_str() {
            "" => full,
            prefix => full.strip_prefix(prefix)?.strip_prefix('/')?,
        };
        let modified = meta.last_modified.timestamp_nanos_opt();
        Some(Listed { key: key.to_owned(), size: meta.size, modified })
    }
}

fn version(meta: &ObjectMeta) -> Version {
    Version { etag: meta.e_tag.clone(), version: meta.version.clone(), size: meta.size }
}

impl Store for CloudStore {
    fn name(&self) -> &str {
        &self.name
    }

    fn get(&self, key: &str) -> BoxFuture<'_, Result<Object, StoreError>> {
        let key = key.to_owned();
        async move {
            let location = &self.location(&key)?;
            let read = |access: Arc<Access>| async move {
                let found = access.client.get_opts(location, GetOptions::default()).await?;
                if found.meta.size > OBJECT_BYTES_MAX {
                    return Ok(Err(found.meta.size));
                }
                let modified = found.meta.last_modified.timestamp_nanos_opt();
                Ok(Ok(Object { bytes: found.bytes().await?, modified }))
            };
            let found = self.request("reading", &key, read).await?;
            found.map_err(|bytes| StoreError::too_large(&self.name, &key, bytes))
        }
        .boxed()
    }

    fn get_range(&self, key: &str, range: Range<u64>) -> BoxFuture<'_, Result<Bytes, StoreError>> {
        let key = key.to_owned();
        async move { Ok(self.range(&key, range).await?.map(|(bytes, _)| bytes).unwrap_or_default()) }.boxed()
    }

    fn get_range_versioned(&self, key: &str, range: Range<u64>) -> BoxFuture<'_, Result<(Bytes, Version), StoreError>> {
        let key = key.to_owned();
        async move {
            if let Some(found) = self.range(&key, range).await? {
                return Ok(found);
            }
            Ok((Bytes::new(), version(&self.head(&key).await?)))
        }
        .boxed()
    }

    fn size(&self, key: &str) -> BoxFuture<'_, Result<u64, StoreError>> {
        let key = key.to_owned();
        async move { Ok(self.head(&key).await?.size) }.boxed()
    }

    fn put(&self, key: &str, bytes: Bytes) -> BoxFuture<'_, Result<(), StoreError>> {
        let key = key.to_owned();
        async move {
            let location = &self.location(&key)?;
            let payload = &PutPayload::from_bytes(bytes);
            let put = |access: Arc<Access>| async move { access.client.put(location, payload.clone()).await };
            self.request("writing", &key, put).await.map(|_| ())
        }
        .boxed()
    }

    fn create(&self, key: &str, bytes: Bytes) -> BoxFuture<'_, Result<(), CreateError>> {
        let key = key.to_owned();
        async move {
            let location = &self.location(&key).map_err(CreateError::Refused)?;
            let payload = &PutPayload::from_bytes(bytes);
            let put = |access: Arc<Access>| async move {
                access.client.put_opts(location, payload.clone(), PutOptions::from(PutMode::Create)).await
            };
            let (result, seen) = self.exchange("creating", &key, put).await;
            match result {
                Ok(_) => Ok(()),
                Err(error) => Err(self.failure("creating", &key, &error, &seen).explain_create()),
            }
        }
        .boxed()
    }

    fn upload(&self, key: &str) -> BoxFuture<'_, Result<Box<dyn Upload>, StoreError>> {
        let key = key.to_owned();
        async move {
            let location = self.location(&key)?;
            let to = &location;
            let begin = |access: Arc<Access>| async move { access.client.create_multipart(to).await };
            let id = self.request("writing", &key, begin).await?;
            let upload = CloudUpload { store: self.clone(), key, location, id, parts: Mutex::default() };
            Ok(Box::new(upload) as Box<dyn Upload>)
        }
        .boxed()
    }

    fn delete(&self, key: &str) -> BoxFuture<'_, Result<(), StoreError>> {
        let key = key.to_owned();
        async move {
            let location = &self.location(&key)?;
            let delete = |access: Arc<Access>| async move { access.client.delete(location).await };
            match self.request("deleting", &key, delete).await {
                Err(StoreError::NotFound { .. }) => Ok(()),
                result => result,
            }
        }
        .boxed()
    }

    fn list(&self, prefix: &str, after: Option<&str>, max: usize) -> BoxFuture<'_, Result<Vec<Listed>, StoreError>> {
        let (prefix, after) = (prefix.to_owned(), after.map(str::to_owned));
        async move {
            let max = max.min(LISTED_MAX);
            let mut found = self.pages(&prefix, after.as_deref(), max).await?;
            // Servers of the S3 protocol differ in how they compare and where they stop; the contract is ours.
            found.retain(|one| {
                one.key.starts_with(&prefix) && after.as_ref().is_none_or(|after| one.key.as_str() > after.as_str())
            });
            found.sort_unstable_by(|one, other| one.key.cmp(&other.key));
            found.truncate(max);
            Ok(found)
        }
        .boxed()
    }

    fn ordered_listing(&self) -> bool {
        self.ordered
    }

    fn is_local(&self) -> bool {
        false
    }

    fn local_path(&self, _key: &str) -> Option<PathBuf> {
        None
    }

    fn settle(&self, _key: &str) -> BoxFuture<'_, Result<(), StoreError>> {
        std::future::ready(Ok(())).boxed()
    }

    fn expiry(&self) -> BoxFuture<'_, Expiry> {
        async {
            match &self.access.current().signer {
                Some(signer) => expiry_of_s3(&**signer, &self.prefix, self.endpoint.starts_with("http://")).await,
                None => Expiry::NotKnown("this kind of store is not asked".to_owned()),
            }
        }
        .boxed()
    }

    fn clock_skew(&self) -> Option<i64> {
        self.connector.skew()
    }
}

struct CloudUpload {
    store: CloudStore,
    key: String,
    location: Path,
    id: MultipartId,
    /// What the store calls each part that has arrived.
    parts: Mutex<Vec<Option<PartId>>>,
}

impl std::fmt::Debug for CloudUpload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CloudUpload").field("store", &self.store).field("key", &self.key).finish_non_exhaustive()
    }
}

impl Upload for CloudUpload {
    fn put_part(&self, index: usize, bytes: Bytes) -> BoxFuture<'_, Result<(), StoreError>> {
        async move {
            let payload = &PutPayload::from_bytes(bytes);
            let put = |access: Arc<Access>| async move {
                access.client.put_part(&self.location, &self.id, index, payload.clone()).await
            };
            let part = self.store.request("writing", &self.key, put).await?;
            let mut parts = self.parts.lock();
            let len = parts.len().max(index + 1);
            parts.resize(len, None);
            parts[index] = Some(part);
            Ok(())
        }
        .boxed()
    }

    fn complete(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        async move {
            let parts = self.parts.lock().iter().cloned().collect::<Option<Vec<_>>>();
            let parts = &parts.filter(|parts| !parts.is_empty()).ok_or_else(|| StoreError::Unusable {
                store: self.store.name.clone(),
                action: "writing",
                key: self.key.clone(),
                reason: "not every part has been written".to_owned(),
            })?;
            let complete = |access: Arc<Access>| async move {
                access.client.complete_multipart(&self.location, &self.id, parts.clone()).await
            };
            self.store.request("writing", &self.key, complete).await.map(|_| ())
        }
        .boxed()
    }

    fn abort(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        async move {
            // Without parts it cannot be completed any more, which not every server would refuse by itself.
            self.parts.lock().clear();
            let abort =
                |access: Arc<Access>| async move { access.client.abort_multipart(&self.location, &self.id).await };
            match self.store.request("deleting", &self.key, abort).await {
                Err(StoreError::NotFound { .. }) => Ok(()),
                result => result,
            }
        }
        .boxed()
    }
}
