//! What a workspace tells to whoever caches what it showed (the kernel, through `fuse`).

/// Something shown before that is no longer so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Invalidation {
    /// `name` in the directory `parent` means something else, or nothing, or something where nothing was. The
    /// directory's listing and attributes are invalid too.
    Entry { parent: u64, name: Vec<u8> },
    /// The attributes of `ino` changed; its data did not.
    Attributes { ino: u64 },
    /// Attributes and data of `ino` changed (`discard` of a file's changes, say).
    Data { ino: u64 },
}

/// Called after a base swap or a discard, when the view's lock is released, never from inside an operation that the
/// kernel waits for. Must return only when the kernel has been told.
pub trait BaseObserver: Send + Sync {
    fn changed(&self, what: &[Invalidation]);
}
