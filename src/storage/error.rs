//! What can go wrong with a store, told apart by what a caller can do about it.

use std::time::Duration;

/// Why a request did not succeed. Messages say what, why and what next; none carries a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Nothing is stored under this key.
    #[error("{store} has no object `{key}`")]
    NotFound { store: String, key: String },

    /// The store knows us and says no. Never means that an object is absent.
    #[error("{store} denied {action} of `{key}`: {reason}. {hint}")]
    Denied { store: String, action: &'static str, key: String, reason: String, hint: &'static str },

    /// There is nothing to sign requests with, or nothing that the store accepts.
    #[error("{store} cannot be opened with the credentials at hand: {reason}. {hint}")]
    NoCredentials { store: String, reason: String, hint: &'static str },

    /// The bucket, container or folder does not exist.
    #[error("{store} does not exist: {hint}")]
    NoBucket { store: String, hint: String },

    /// The store can be read and not be written.
    #[error("{store} is read-only: {reason}. Mount with --read-only, or make it writable")]
    ReadOnly { store: String, reason: String },

    /// No room is left.
    #[error("{store} is full: {reason}. Free some space and try again")]
    Full { store: String, reason: String },

    /// The store did not answer, or asked to come back later; the same request may succeed later.
    #[error("{store} is not available ({action} of `{key}`): {reason}")]
    Unavailable {
        store: String,
        action: &'static str,
        key: String,
        reason: String,
        /// When the store asks to come back, if it says (`Retry-After`).
        retry_after: Option<Duration>,
    },

    /// The store gave an answer that its protocol does not allow, or refuses what we need.
    #[error("{store} answered {action} of `{key}` in a way that meshfs cannot use: {reason}. Run `meshfs doctor`")]
    Unusable { store: String, action: &'static str, key: String, reason: String },

    /// Not the URL of a store.
    #[error(
        "`{url}` is not a store: {reason}. A store is s3://BUCKET[/PREFIX], gs://BUCKET[/PREFIX], az://CONTAINER[/PREFIX], file:///FOLDER or a path"
    )]
    Url { url: String, reason: String },
}

impl StoreError {
    /// What stands under `key` is larger than anything that is read whole.
    pub fn too_large(store: &str, key: &str, bytes: u64) -> StoreError {
        let reason = format!("it has {bytes} bytes, and nothing that meshfs reads whole is that large");
        StoreError::Unusable { store: store.to_owned(), action: "reading", key: key.to_owned(), reason }
    }

    /// Whether the same request may succeed later without anybody changing anything.
    pub fn may_pass(&self) -> bool {
        matches!(self, StoreError::Unavailable { .. })
    }

    pub fn is_not_found(&self) -> bool {
        matches!(self, StoreError::NotFound { .. })
    }

    /// Whether somebody has to give us a right first.
    pub fn is_denied(&self) -> bool {
        matches!(self, StoreError::Denied { .. } | StoreError::NoCredentials { .. })
    }

    pub fn is_read_only(&self) -> bool {
        matches!(self, StoreError::ReadOnly { .. })
    }

    pub fn is_full(&self) -> bool {
        matches!(self, StoreError::Full { .. })
    }
}

/// What became of a create-if-absent that did not succeed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CreateError {
    /// The store says that the key is taken. Read it: after a reply that was lost, the object may be one's own.
    #[error("the key exists already")]
    Exists,

    /// It may have landed, or may land later, or never will. Read the key.
    #[error("whether it was written is not known: {0}")]
    Unknown(#[source] StoreError),

    /// Nothing of this request was or will be written.
    #[error(transparent)]
    Refused(StoreError),
}
