//! Uploads in parts where `object_store` numbers the parts itself, in the order they are given.

use std::collections::BTreeMap;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use object_store::{MultipartUpload, PutPayload, UploadPart};
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

struct State {
    /// None while `complete` or `abort` has it, and after.
    inner: Option<Box<dyn MultipartUpload>>,
    parts: Vec<Part>,
    /// Parts that came before their turn.
    waiting: BTreeMap<usize, Bytes>,
}

pub struct SequentialUpload {
    state: Mutex<State>,
    explain: Explain,
}

impl std::fmt::Debug for SequentialUpload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SequentialUpload").field("parts", &self.state.lock().parts).finish_non_exhaustive()
    }
}

impl State {
    /// Begins to write the next part if it is here; gives its index.
    fn next(&mut self) -> Option<(usize, UploadPart)> {
        let index = self.parts.len();
        let inner = self.inner.as_mut()?;
        let bytes = self.waiting.remove(&index)?;
        self.parts.push(Part::UnderWay);
        Some((index, inner.put_part(PutPayload::from_bytes(bytes))))
    }
}

impl SequentialUpload {
    pub fn new(inner: Box<dyn MultipartUpload>, explain: Explain) -> SequentialUpload {
        let state = State { inner: Some(inner), parts: Vec::new(), waiting: BTreeMap::new() };
        SequentialUpload { state: Mutex::new(state), explain }
    }

    fn misused(&self, reason: &'static str) -> StoreError {
        (self.explain)(&object_store::Error::Generic { store: "upload", source: reason.into() })
    }
}

impl Upload for SequentialUpload {
    fn put_part(&self, index: usize, bytes: Bytes) -> BoxFuture<'_, Result<(), StoreError>> {
        // The place of a part is settled here, in the order of the calls, and not when the future first runs.
        let mut begun = {
            let mut state = self.state.lock();
            match state.parts.get(index) {
                // A part that is written already is given again by who did not learn of it.
                Some(Part::Written) => return std::future::ready(Ok(())).boxed(),
                Some(_) => {
                    let error = self.misused("a part that failed on this store cannot be sent again");
                    return std::future::ready(Err(error)).boxed();
                }
                None => {
                    state.waiting.insert(index, bytes);
                    state.next()
                }
            }
        };
        async move {
            while let Some((index, part)) = begun {
                let result = part.await;
                let mut state = self.state.lock();
                state.parts[index] = if result.is_ok() { Part::Written } else { Part::Failed };
                result.map_err(|error| (self.explain)(&error))?;
                begun = state.next();
            }
            Ok(())
        }
        .boxed()
    }

    fn complete(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        async move {
            let mut inner = {
                let mut state = self.state.lock();
                // A part that is missing would be a hole of zeros in the object.
                if !state.waiting.is_empty() || state.parts.iter().any(|&part| part != Part::Written) {
                    return Err(self.misused("not every part has been written"));
                }
                state.inner.take().ok_or_else(|| self.misused("the upload has ended already"))?
            };
            inner.complete().await.map(|_| ()).map_err(|error| (self.explain)(&error))
        }
        .boxed()
    }

    fn abort(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        async move {
            let inner = self.state.lock().inner.take();
            match inner {
                Some(mut inner) => inner.abort().await.map_err(|error| (self.explain)(&error)),
                None => Ok(()),
            }
        }
        .boxed()
    }
}
