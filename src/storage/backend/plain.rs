//! A local folder, and memory: stores without a network between, whose failures are the operating system's.

use std::collections::HashMap;
use std::io;
use std::ops::Range;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path as FilePath, PathBuf};
use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{FutureExt, TryStreamExt};
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{GetOptions, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload};
use parking_lot::Mutex;

use super::super::error::{CreateError, StoreError};
use super::super::store::{Expiry, LISTED_MAX, Listed, OBJECT_BYTES_MAX, Object, Store, Upload, Version};
use super::parts::SequentialUpload;
use crate::sys::{disk, task};

/// Stores of this process by name; they live as long as it does.
static MEMORY: LazyLock<Mutex<HashMap<String, Arc<InMemory>>>> = LazyLock::new(Mutex::default);

#[derive(Debug)]
pub struct PlainStore {
    name: String,
    inner: Arc<dyn ObjectStore>,
    /// The folder, unless in memory.
    root: Option<Folder>,
}

/// The folder of a local store, and which one stood at its path when it was opened.
#[derive(Debug)]
struct Folder {
    path: PathBuf,
    device: u64,
    inode: u64,
}

impl PlainStore {
    pub fn memory(name: &str) -> PlainStore {
        let inner = MEMORY.lock().entry(name.to_owned()).or_default().clone();
        PlainStore { name: format!("memory://{name}"), inner, root: None }
    }

    /// The store in `root`, which has to be there unless `create` says to make it.
    pub fn folder(root: &FilePath, create: bool) -> Result<PlainStore, StoreError> {
        let name = root.display().to_string();
        if create {
            disk::create_dirs(root).map_err(|error| unusable_folder(&name, root, &error))?;
        }
        let folder = match std::fs::metadata(root) {
            Ok(found) if found.is_dir() => Folder { path: root.to_owned(), device: found.dev(), inode: found.ino() },
            Ok(_) => {
                let hint = "a file stands at this path; name a folder".to_owned();
                return Err(StoreError::NoBucket { store: name, hint });
            }
            Err(error) => return Err(unusable_folder(&name, root, &error)),
        };
        // Durable means durable on a local disk too: files and folders are synced before a write is acknowledged.
        match LocalFileSystem::new_with_prefix(root) {
            Ok(inner) => {
                let inner = Arc::new(inner.with_fsync(true));
                Ok(PlainStore { name, inner, root: Some(folder) })
            }
            Err(error) => Err(StoreError::NoBucket { store: name, hint: error.to_string() }),
        }
    }

    /// Is the folder still the one that was opened? Writing makes folders that are missing: behind a disk that was
    /// unmounted, or a store that was moved away, it would begin another store from nothing.
    fn check_folder(&self, action: &'static str, key: &str) -> Result<(), StoreError> {
        let Some(folder) = &self.root else { return Ok(()) };
        let reason = match std::fs::metadata(&folder.path) {
            Ok(found) if (found.dev(), found.ino()) == (folder.device, folder.inode) => return Ok(()),
            Ok(_) => "another folder stands in the store's place".to_owned(),
            Err(error) => error.to_string(),
        };
        Err(StoreError::Unusable { store: self.name.clone(), action, key: key.to_owned(), reason })
    }

    fn location(&self, key: &str) -> Result<Path, StoreError> {
        Path::parse(key).map_err(|error| StoreError::Unusable {
            store: self.name.clone(),
            action: "naming",
            key: key.to_owned(),
            reason: error.to_string(),
        })
    }

    fn error(&self, action: &'static str, key: &str, error: &object_store::Error) -> StoreError {
        let (store, key) = (self.name.clone(), key.to_owned());
        if let object_store::Error::NotFound { .. } = error {
            return StoreError::NotFound { store, key };
        }
        match io_cause(error) {
            Some(cause) => self.io_error(action, &key, cause),
            None => StoreError::Unusable { store, action, key, reason: error.to_string() },
        }
    }

    fn io_error(&self, action: &'static str, key: &str, error: &io::Error) -> StoreError {
        let (store, key, reason) = (self.name.clone(), key.to_owned(), error.to_string());
        match error.kind() {
            io::ErrorKind::PermissionDenied => {
                StoreError::Denied { store, action, key, reason, hint: "Give this user access to the folder" }
            }
            io::ErrorKind::ReadOnlyFilesystem => StoreError::ReadOnly { store, reason },
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => StoreError::Full { store, reason },
            // A disk that fails is not made better by asking again, so nothing here is worth a repeat.
            _ => StoreError::Unusable { store, action, key, reason },
        }
    }

    async fn range(&self, key: &str, range: Range<u64>) -> Result<Bytes, StoreError> {
        let location = self.location(key)?;
        let read = async {
            let end = range.end.min(self.inner.head(&location).await?.size);
            if range.start >= end {
                return Ok(Bytes::new());
            }
            let options = GetOptions::default().with_range(Some(range.start..end));
            self.inner.get_opts(&location, options).await?.bytes().await
        };
        read.await.map_err(|error| self.error("reading", key, &error))
    }

    /// A range of a file in one step; `object_store` takes three, or memory for all that was asked for.
    async fn file_range(&self, file: PathBuf, key: &str, range: Range<u64>) -> Result<Bytes, StoreError> {
        let read = task::blocking(move || {
            let file = std::fs::File::open(file)?;
            let meta = file.metadata()?;
            if meta.is_dir() {
                return Err(io::ErrorKind::NotFound.into());
            }
            let len = range.end.min(meta.len()).saturating_sub(range.start);
            let mut bytes = vec![0; usize::try_from(len).map_err(|_| io::ErrorKind::OutOfMemory)?];
            file.read_exact_at(&mut bytes, range.start)?;
            Ok(Bytes::from(bytes))
        });
        read.await.map_err(|error: io::Error| match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
                StoreError::NotFound { store: self.name.clone(), key: key.to_owned() }
            }
            _ => self.io_error("reading", key, &error),
        })
    }
}

fn unusable_folder(name: &str, root: &FilePath, error: &io::Error) -> StoreError {
    let store = name.to_owned();
    match error.kind() {
        io::ErrorKind::NotFound => {
            StoreError::NoBucket { store, hint: format!("`meshfs init {}` makes it", root.display()) }
        }
        io::ErrorKind::ReadOnlyFilesystem => StoreError::ReadOnly { store, reason: error.to_string() },
        io::ErrorKind::PermissionDenied => StoreError::Denied {
            store,
            action: "opening",
            key: String::new(),
            reason: error.to_string(),
            hint: "Give this user access to the folder",
        },
        _ => StoreError::NoBucket { store, hint: error.to_string() },
    }
}

/// What the operating system said, from inside the error of `object_store`.
fn io_cause<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a io::Error> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(io) = error.downcast_ref::<io::Error>() {
            return Some(io);
        }
        cause = error.source();
    }
    None
}

fn modified(meta: &ObjectMeta) -> Option<i64> {
    meta.last_modified.timestamp_nanos_opt()
}

impl Store for PlainStore {
    fn name(&self) -> &str {
        &self.name
    }

    fn get(&self, key: &str) -> BoxFuture<'_, Result<Object, StoreError>> {
        let key = key.to_owned();
        async move {
            let location = self.location(&key)?;
            let read = async {
                let found = self.inner.get_opts(&location, GetOptions::default()).await?;
                if found.meta.size > OBJECT_BYTES_MAX {
                    return Ok(Err(StoreError::too_large(&self.name, &key, found.meta.size)));
                }
                let modified = modified(&found.meta);
                Ok(Ok(Object { bytes: found.bytes().await?, modified }))
            };
            read.await.unwrap_or_else(|error| Err(self.error("reading", &key, &error)))
        }
        .boxed()
    }

    fn get_range(&self, key: &str, range: Range<u64>) -> BoxFuture<'_, Result<Bytes, StoreError>> {
        let key = key.to_owned();
        async move {
            match self.local_path(&key) {
                _ if range.is_empty() => Ok(Bytes::new()),
                Some(file) => self.file_range(file, &key, range).await,
                None => self.range(&key, range).await,
            }
        }
        .boxed()
    }

    fn get_range_versioned(&self, key: &str, range: Range<u64>) -> BoxFuture<'_, Result<(Bytes, Version), StoreError>> {
        let key = key.to_owned();
        async move {
            let location = self.location(&key)?;
            let read = async {
                let found = self.inner.head(&location).await?;
                let version = Version { etag: found.e_tag.clone(), version: found.version, size: found.size };
                let range = range.start..range.end.min(found.size);
                if range.is_empty() {
                    return Ok((Bytes::new(), version));
                }
                // Together with the lookup's tag: an object replaced in between fails the condition.
                let options = GetOptions::default().with_range(Some(range)).with_if_match(found.e_tag);
                Ok((self.inner.get_opts(&location, options).await?.bytes().await?, version))
            };
            read.await.map_err(|error| self.error("reading", &key, &error))
        }
        .boxed()
    }

    fn size(&self, key: &str) -> BoxFuture<'_, Result<u64, StoreError>> {
        let key = key.to_owned();
        async move {
            let found = self.inner.head(&self.location(&key)?).await;
            found.map(|meta| meta.size).map_err(|error| self.error("looking up", &key, &error))
        }
        .boxed()
    }

    fn put(&self, key: &str, bytes: Bytes) -> BoxFuture<'_, Result<(), StoreError>> {
        let key = key.to_owned();
        async move {
            self.check_folder("writing", &key)?;
            let written = self.inner.put(&self.location(&key)?, PutPayload::from_bytes(bytes)).await;
            written.map(|_| ()).map_err(|error| self.error("writing", &key, &error))
        }
        .boxed()
    }

    fn create(&self, key: &str, bytes: Bytes) -> BoxFuture<'_, Result<(), CreateError>> {
        let key = key.to_owned();
        async move {
            let location = self.location(&key).map_err(CreateError::Refused)?;
            self.check_folder("creating", &key).map_err(CreateError::Refused)?;
            let options = PutOptions::from(PutMode::Create);
            match self.inner.put_opts(&location, PutPayload::from_bytes(bytes), options).await {
                Ok(_) => Ok(()),
                Err(object_store::Error::AlreadyExists { .. }) => Err(CreateError::Exists),
                Err(error) => match self.error("creating", &key, &error) {
                    // Mostly these come from making the staged file. But one that may not be synced after it got its
                    // name is there.
                    turned @ (StoreError::Denied { .. } | StoreError::ReadOnly { .. })
                        if matches!(self.size(&key).await, Err(StoreError::NotFound { .. })) =>
                    {
                        Err(CreateError::Refused(turned))
                    }
                    other => Err(CreateError::Unknown(other)),
                },
            }
        }
        .boxed()
    }

    fn upload(&self, key: &str) -> BoxFuture<'_, Result<Box<dyn Upload>, StoreError>> {
        let key = key.to_owned();
        async move {
            self.check_folder("writing", &key)?;
            let begun = self.inner.put_multipart(&self.location(&key)?).await;
            let begun = begun.map_err(|error| self.error("writing", &key, &error))?;
            let (name, inner) = (self.name.clone(), self.inner.clone());
            let of = PlainStore { name, inner, root: None };
            let explain = Box::new(move |error: &object_store::Error| of.error("writing", &key, error));
            Ok(Box::new(SequentialUpload::new(begun, explain)) as Box<dyn Upload>)
        }
        .boxed()
    }

    fn delete(&self, key: &str) -> BoxFuture<'_, Result<(), StoreError>> {
        let key = key.to_owned();
        async move {
            match self.inner.delete(&self.location(&key)?).await {
                Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
                Err(error) => Err(self.error("deleting", &key, &error)),
            }
        }
        .boxed()
    }

    fn list(&self, prefix: &str, after: Option<&str>, max: usize) -> BoxFuture<'_, Result<Vec<Listed>, StoreError>> {
        let (prefix, after) = (prefix.to_owned(), after.map(str::to_owned));
        async move {
            // object_store lists whole folders in any order; the rest of the prefix, the order and the limit are ours.
            let folder = prefix.rsplit_once('/').map_or("", |(folder, _)| folder);
            let folder = self.location(folder)?;
            let all = self.inner.list(Some(&folder)).map_ok(|meta| Listed {
                key: meta.location.to_string(),
                size: meta.size,
                modified: modified(&meta),
            });
            let wanted = |one: &Listed| {
                one.key.starts_with(&prefix) && after.as_ref().is_none_or(|after| one.key.as_str() > after.as_str())
            };
            let found = all.try_filter(|one| std::future::ready(wanted(one))).try_collect::<Vec<_>>().await;
            let mut found = found.map_err(|error| self.error("listing", &prefix, &error))?;
            found.sort_unstable_by(|one, other| one.key.cmp(&other.key));
            found.truncate(max.min(LISTED_MAX));
            Ok(found)
        }
        .boxed()
    }

    fn ordered_listing(&self) -> bool {
        // Memory is ordered and small; a folder would be read whole.
        self.root.is_none()
    }

    fn is_local(&self) -> bool {
        self.root.is_some()
    }

    fn local_path(&self, key: &str) -> Option<PathBuf> {
        Some(self.root.as_ref()?.path.join(self.location(key).ok()?.as_ref()))
    }

    fn settle(&self, key: &str) -> BoxFuture<'_, Result<(), StoreError>> {
        let Some(root) = self.root.as_ref().map(|folder| folder.path.clone()) else {
            return std::future::ready(Ok(())).boxed();
        };
        let key = key.to_owned();
        async move {
            let file = root.join(self.location(&key)?.as_ref());
            let synced = task::blocking(move || {
                disk::sync_file(&file)?;
                // Its folder may be as new as the file, so every name on the way counts.
                let mut folders = file.ancestors().skip(1).take_while(|folder| folder.starts_with(&root));
                folders.try_for_each(disk::sync_dir)
            });
            synced.await.map_err(|error| match error.kind() {
                io::ErrorKind::NotFound => StoreError::NotFound { store: self.name.clone(), key },
                _ => {
                    StoreError::Unusable { store: self.name.clone(), action: "syncing", key, reason: error.to_string() }
                }
            })
        }
        .boxed()
    }

    fn expiry(&self) -> BoxFuture<'_, Expiry> {
        std::future::ready(Expiry::Never).boxed()
    }

    fn clock_skew(&self) -> Option<i64> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_of_the_disk_are_told_apart() {
        let store = PlainStore::memory("failures");
        let explained = |kind: io::ErrorKind| {
            let source = Box::new(io::Error::from(kind));
            store.error("writing", "k", &object_store::Error::Generic { store: "LocalFileSystem", source })
        };
        assert!(matches!(explained(io::ErrorKind::ReadOnlyFilesystem), StoreError::ReadOnly { .. }));
        assert!(matches!(explained(io::ErrorKind::StorageFull), StoreError::Full { .. }));
        assert!(matches!(explained(io::ErrorKind::PermissionDenied), StoreError::Denied { .. }));
        assert!(matches!(explained(io::ErrorKind::InvalidData), StoreError::Unusable { .. }));
    }
}
