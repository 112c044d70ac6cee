//! The client that requests go through, made anew when the store turns its credentials away: `object_store` keeps what
//! it was given, or was told to be good for hours, while files and endpoints have the next ones already.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use object_store::ObjectStore;
use object_store::list::PaginatedListStore;
use object_store::multipart::MultipartStore;
use object_store::signer::Signer;
use parking_lot::Mutex;

/// What we use of `object_store`.
pub trait Client: ObjectStore + MultipartStore + PaginatedListStore {}

impl<T: ObjectStore + MultipartStore + PaginatedListStore> Client for T {}

/// A client with the credentials that were at hand when it was made, or that it fetches itself.
pub struct Access {
    pub client: Arc<dyn Client>,
    /// S3's, for what `object_store` has no call for.
    pub signer: Option<Arc<dyn Signer>>,
}

type Make = Box<dyn Fn() -> object_store::Result<Access> + Send + Sync>;

/// The newest access to a store, and how another is made.
pub struct Renewable {
    make: Make,
    current: Mutex<Arc<Access>>,
    /// Whether the store has ever taken our credentials.
    known: AtomicBool,
}

impl fmt::Debug for Renewable {
    /// Nothing: clients know the credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Renewable").finish_non_exhaustive()
    }
}

impl Renewable {
    pub fn new(
        make: impl Fn() -> object_store::Result<Access> + Send + Sync + 'static,
    ) -> object_store::Result<Renewable> {
        let current = Mutex::new(Arc::new(make()?));
        Ok(Renewable { make: Box::new(make), current, known: AtomicBool::new(false) })
    }

    pub fn current(&self) -> Arc<Access> {
        self.current.lock().clone()
    }

    /// The store has taken the credentials.
    pub fn accept(&self) {
        self.known.store(true, Ordering::Relaxed);
    }

    /// Whether the store has ever taken our credentials.
    pub fn is_known(&self) -> bool {
        self.known.load(Ordering::Relaxed)
    }

    /// Has another access take the place of one whose credentials were turned away. Given for the same request only if
    /// the store ever took any: what was never right is not made right by asking twice.
    pub fn renew(&self, refused: &Arc<Access>) -> Option<Arc<Access>> {
        let mut current = self.current.lock();
        if Arc::ptr_eq(&current, refused) {
            match (self.make)() {
                Ok(access) => *current = Arc::new(access),
                Err(error) => {
                    tracing::warn!("no new credentials: {}", super::exchange::root_causes(&error));
                    return None;
                }
            }
        }
        self.is_known().then(|| current.clone())
    }
}
