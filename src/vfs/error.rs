//! What can go wrong in a file operation, named by what a caller can do about it.

use super::miss::Miss;

/// Texts stand where a person is to be told more than the errno says; `last-error` shows them.
#[derive(Debug, thiserror::Error)]
pub enum VfsError {
    /// Not loaded: [`super::Vfs::fetch`] it and call again.
    #[error("not loaded yet")]
    Miss(Box<Miss>),
    #[error("no such file or directory")]
    NotFound,
    /// Something that a person named is not there, or no longer.
    #[error("{0}")]
    Unknown(String),
    #[error("it exists already")]
    Exists,
    #[error("not a directory")]
    NotDirectory,
    #[error("it is a directory")]
    IsDirectory,
    #[error("the directory is not empty")]
    NotEmpty,
    #[error("the name is longer than 255 bytes")]
    NameTooLong,
    #[error("{0}")]
    Invalid(String),
    /// A number that no open handle has, or one opened for something else.
    #[error("the handle is not open for this")]
    BadHandle,
    /// A node that the kernel no longer has a right to.
    #[error("the file is gone")]
    Stale,
    /// It never works here, for nobody.
    #[error("{0}")]
    NotPermitted(String),
    /// The store refused for want of rights.
    #[error("{0}")]
    Denied(String),
    #[error("{0}")]
    ReadOnly(String),
    #[error("{0}")]
    CrossDevice(String),
    /// A conflict, or a file that keeps changing.
    #[error("{0}")]
    Busy(String),
    /// A command went on in the background, or nobody knows yet how it ended.
    #[error("{0}")]
    InProgress(String),
    #[error("no such attribute")]
    NoAttribute,
    #[error("the attributes of one file together may have 64 KiB")]
    AttributesFull,
    #[error("the buffer is too small")]
    BufferTooSmall,
    #[error("{0}")]
    NoSpace(String),
    #[error("the file would become too large")]
    TooLarge,
    #[error("the file has too many names")]
    TooManyLinks,
    /// An offset with no data or hole after it.
    #[error("no data after this offset")]
    NoData,
    #[error("{0}")]
    NotSupported(String),
    /// The kernel does it as for any filesystem that has nothing of its own to add.
    #[error("nothing to add to what the kernel does")]
    LeftToKernel,
    /// What is asked for is stored and cannot be had, or local state cannot be written.
    #[error("{0}")]
    Unreadable(String),
}

impl From<Miss> for VfsError {
    fn from(miss: Miss) -> VfsError {
        VfsError::Miss(Box::new(miss))
    }
}

impl VfsError {
    /// Is there more to say than the errno says?
    pub fn explains(&self) -> bool {
        match self {
            VfsError::Unknown(_)
            | VfsError::Invalid(_)
            | VfsError::NotPermitted(_)
            | VfsError::Denied(_)
            | VfsError::ReadOnly(_)
            | VfsError::CrossDevice(_)
            | VfsError::Busy(_)
            | VfsError::InProgress(_)
            | VfsError::AttributesFull
            | VfsError::NoSpace(_)
            | VfsError::NotSupported(_)
            | VfsError::Unreadable(_) => true,
            VfsError::Miss(_)
            | VfsError::NotFound
            | VfsError::Exists
            | VfsError::NotDirectory
            | VfsError::IsDirectory
            | VfsError::NotEmpty
            | VfsError::NameTooLong
            | VfsError::BadHandle
            | VfsError::Stale
            | VfsError::NoAttribute
            | VfsError::BufferTooSmall
            | VfsError::TooLarge
            | VfsError::TooManyLinks
            | VfsError::NoData
            | VfsError::LeftToKernel => false,
        }
    }
}
