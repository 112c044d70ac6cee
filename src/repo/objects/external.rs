//! Contents that lie outside the mesh: read where they are, and only while they are what was imported.

use std::sync::Arc;

use bytes::Bytes;

use super::Objects;
use crate::model::content::ExternalContent;
use crate::repo::error::RepoError;
use crate::storage::backend::open_named;
use crate::storage::{Store, StoreError, StoreSettings, Version};

impl Objects {
    /// A range of a file outside the mesh: fewer bytes where it passes the end. An error when the source is no longer
    /// the one that was imported, or gone.
    pub async fn read_external(&self, content: &ExternalContent, offset: u64, len: u64) -> Result<Bytes, RepoError> {
        let end = offset.saturating_add(len).min(content.size);
        if offset >= end {
            return Ok(Bytes::new());
        }
        let (store, key) = self.source_of(&content.url)?;
        let changed = |reason: String| RepoError::SourceChanged { url: content.url.clone(), reason };
        let (bytes, version) = match store.get_range_versioned(&key, offset..end).await {
            Ok(read) => read,
            Err(StoreError::NotFound { .. }) => return Err(changed("it is gone".to_owned())),
            Err(error) => return Err(error.into()),
        };
        match difference(content, &version) {
            Some(reason) => Err(changed(reason)),
            None if bytes.len() as u64 != end - offset => Err(changed("it ended early".to_owned())),
            None => Ok(bytes),
        }
    }

    /// The store that holds a URL's object, opened once, and the object's key there.
    fn source_of(&self, url: &str) -> Result<(Arc<dyn Store>, String), RepoError> {
        let (folder, key) = url.rsplit_once('/').filter(|(_, key)| !key.is_empty()).ok_or_else(|| {
            let reason = "it names no object".to_owned();
            StoreError::Url { url: url.to_owned(), reason }
        })?;
        let mut opened = self.shared().external.lock();
        if let Some(store) = opened.get(folder) {
            return Ok((store.clone(), key.to_owned()));
        }
        let store = open_named(folder, &*self.0.packs.place().store, &StoreSettings::new())?;
        opened.put(folder.to_owned(), store.clone());
        Ok((store, key.to_owned()))
    }
}

fn difference(content: &ExternalContent, found: &Version) -> Option<String> {
    let differs = |what: &str, expected: &Option<String>, found: &Option<String>| match expected {
        Some(expected) if found.as_ref() != Some(expected) => {
            Some(format!("its {what} is {}, not {expected}", found.as_deref().unwrap_or("unknown")))
        }
        _ => None,
    };
    differs("etag", &content.etag, &found.etag)
        .or_else(|| differs("version", &content.version, &found.version))
        .or_else(|| (found.size != content.size).then(|| format!("it has {} bytes, not {}", found.size, content.size)))
}
