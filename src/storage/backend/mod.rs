//! The stores themselves, over `object_store`.

mod access;
mod cloud;
mod clouds;
mod connector;
mod exchange;
mod explain;
mod lifecycle;
mod parts;
mod plain;
mod profile;

use std::sync::Arc;

use super::count::CountingStore;
use super::error::StoreError;
use super::limit::LimitedStore;
use super::retry::RetryingStore;
use super::settings::StoreSettings;
use super::store::Store;
use super::url::StoreUrl;

/// Opens the store at `url`: `s3://`, `gs://`, `az://`, `file://`, a path, or `memory://NAME` for tests. Nothing is
/// sent yet; [`probe`](super::probe) finds out whether it answers.
pub fn open(url: &str, settings: &StoreSettings) -> Result<Arc<dyn Store>, StoreError> {
    let base = open_bare(&StoreUrl::parse(url)?, settings)?;
    Ok(assemble(base, settings))
}

/// Opens a store that something in `namer` names. A bucket must not choose which folders of a machine are read and written
/// by whoever mounts it: only what lies on this machine itself may name one.
pub fn open_named(url: &str, namer: &dyn Store, settings: &StoreSettings) -> Result<Arc<dyn Store>, StoreError> {
    match StoreUrl::parse(url)? {
        StoreUrl::Local(_) if !namer.is_local() => {
            let reason = format!("a folder of one machine cannot be named in {}, which many use", namer.name());
            Err(StoreError::Url { url: url.to_owned(), reason })
        }
        parsed => Ok(assemble(open_bare(&parsed, settings)?, settings)),
    }
}

/// A store without repeats, limits and counters.
pub fn open_bare(url: &StoreUrl, settings: &StoreSettings) -> Result<Arc<dyn Store>, StoreError> {
    match url {
        StoreUrl::Local(folder) => Ok(Arc::new(plain::PlainStore::folder(folder, settings.create_folder)?)),
        StoreUrl::Memory(name) => Ok(Arc::new(plain::PlainStore::memory(name))),
        StoreUrl::Cloud { cloud, bucket, prefix } => Ok(Arc::new(clouds::open(*cloud, bucket, prefix, settings)?)),
    }
}

/// Puts our counters, limits and repeats around a store, the counters innermost: what they count was really sent.
pub fn assemble(base: Arc<dyn Store>, settings: &StoreSettings) -> Arc<dyn Store> {
    let counted = Arc::new(CountingStore::new(base, settings.counters.clone()));
    let limited = Arc::new(LimitedStore::new(counted, settings.concurrency));
    Arc::new(RetryingStore::new(limited, settings.sys.clone(), settings.deadline))
}
