//! Uploads in parts where `object_store` numbers the parts itself, in the order they are given.

use std::sync::Arc;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use object_store::{MultipartUpload, PutPayload};
use parking_lot::Mutex;

use super::super::error::StoreError;
use super::super::store::Upload;

type Explain = Box<dyn Fn(&object_store::Error) -> StoreError + Send + Sync>;

/// How far one part is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    UnderWay,
    Written,
    Failed,
}

pub struct SequentialUpload {
    /// None while `complete` or `abort` has it, and after one of them succeeded.
    inner: Mutex<Option<Box<dyn MultipartUpload>>>,
    parts: Arc<Mutex<Vec<Part>>>,
    explain: Explain,
}

impl std::fmt::Debug for SequentialUpload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SequentialUpload").field("parts", &*self.parts.lock()).finish_non_exhaustive()
    }
}

impl SequentialUpload {
    pub fn new(inner: Box<dyn MultipartUpload>, explain: Explain) -> SequentialUpload {
        SequentialUpload { inner: Mutex::new(Some(inner)), parts: Arc::default(), explain }
    }

    fn misused(&self, reason: &'static str) -> StoreError {
        (self.explain)(&object_store::Error::Generic { store: "upload", source: reason.into() })
    }
}

impl Upload for SequentialUpload {
    fn put_part(&self, index: usize, bytes: Bytes) -> BoxFuture<'_, Result<(), StoreError>> {
        // The place of a part is settled here, in the order of the calls, and not when the future first runs.
        let begun = {
            let mut parts = self.parts.lock();
            match (parts.get(index), self.inner.lock().as_mut()) {
                // A part that is written already is given again by who did not learn of it.
                (Some(Part::Written), _) => return std::future::ready(Ok(())).boxed(),
                (None, Some(inner)) if index == parts.len() => {
                    parts.push(Part::UnderWay);
                    Ok(inner.put_part(PutPayload::from_bytes(bytes)))
                }
                (Some(_), _) => Err("a part that failed on a local disk cannot be sent again"),
                _ => Err("parts have to be given in order, before the upload ends"),
            }
        };
        async move {
            let result = begun.map_err(|reason| self.misused(reason))?.await;
            self.parts.lock()[index] = if result.is_ok() { Part::Written } else { Part::Failed };
            result.map_err(|error| (self.explain)(&error))
        }
        .boxed()
    }

    fn complete(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        async move {
            // A part that is missing would be a hole of zeros in the object.
            if self.parts.lock().iter().any(|&part| part != Part::Written) {
                return Err(self.misused("not every part has been written"));
            }
            let inner = self.inner.lock().take();
            let mut inner = inner.ok_or_else(|| self.misused("the upload has ended already"))?;
            inner.complete().await.map(|_| ()).map_err(|error| (self.explain)(&error))
        }
        .boxed()
    }

    fn abort(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        async move {
            let inner = self.inner.lock().take();
            match inner {
                Some(mut inner) => inner.abort().await.map_err(|error| (self.explain)(&error)),
                None => Ok(()),
            }
        }
        .boxed()
    }
}
