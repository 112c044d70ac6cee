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
