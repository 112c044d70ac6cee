//! What can go wrong in a working tree, named by what a caller can do about it.

use std::io;

use crate::model::content::{ExternalContent, FileContent};
use crate::model::entry::XattrValue;
use crate::model::id::NodeId;
use crate::model::path::{NameError, TreePath};
use crate::model::tree::NodeBody;
use crate::overlay::error::OverlayError;
use crate::repo::error::RepoError;

/// What an operation needs that is not in memory or in the cache. Nothing was changed: fetch it (see
/// [`super::view::Workspace::fetch`]), then call again.
#[derive(Clone, Debug)]
pub enum Miss {
    /// Nodes of directories.
    Nodes(Vec<(NodeId, NodeBody)>),
    /// A range of a file's bytes.
    Content { content: Box<FileContent>, offset: u64, len: u64 },
    /// Where data and holes of a file are, from an offset on.
    Items { content: Box<FileContent>, offset: u64 },
    /// A range of a file outside the mesh.
    External { content: Box<ExternalContent>, offset: u64, len: u64 },
    /// The value of an extended attribute.
    Xattr(Box<XattrValue>),
}

#[derive(Debug, thiserror::Error)]
pub enum WorkspaceError {
    /// Fetch it and call again; never shown to a person.
    #[error("something is not at hand yet")]
    Miss(Miss),
    #[error("no such file or directory")]
    NotFound,
    #[error("it exists already")]
    Exists,
    #[error("not a directory")]
    NotDirectory,
    #[error("is a directory")]
    IsDirectory,
    #[error("the directory is not empty")]
    NotEmpty,
    /// The call makes no sense for this object, whoever calls.
    #[error("{0}")]
    Invalid(&'static str),
    /// The call is never allowed on this object, whoever calls.
    #[error("{0}")]
    NotPermitted(&'static str),
    #[error(transparent)]
    Name(#[from] NameError),
    /// No such mode or flag here.
    #[error("{0} is not offered")]
    Unsupported(&'static str),
    /// The state folder's disk is full, or a bound of the format is reached.
    #[error("no space is left: {0}")]
    NoSpace(String),
    #[error("no such extended attribute")]
    NoAttribute,
    #[error("the file has as many names as it can have")]
    TooManyLinks,
    /// The content is of a kind that this version does not know, or lies outside the mesh and cannot be had.
    #[error("{0}")]
    Unreadable(String),
    /// Offsets end at 2^63.
    #[error("a file cannot be that large")]
    TooLarge,
    /// No data or hole after that offset.
    #[error("the offset is beyond the end of the file")]
    BeyondEnd,
    /// The inode number stands for nothing any more.
    #[error("the file is gone: it was replaced or deleted, and nobody has it open")]
    Stale,
    /// Somebody uses it.
    #[error("{0}")]
    Busy(String),
    /// Files that somebody writes to faster than they can be read: nothing was committed.
    #[error("{}: written to while it was read; wait for the writer, then commit again", changing(.0))]
    Changing(Vec<ChangingFile>),
    #[error(transparent)]
    Repo(#[from] RepoError),
    #[error(transparent)]
    Overlay(OverlayError),
}

/// A file that did not hold still, and who has it open for writing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangingFile {
    pub path: TreePath,
    pub pids: Vec<u32>,
}

fn changing(files: &[ChangingFile]) -> String {
    let file = |file: &ChangingFile| {
        let pids: Vec<_> = file.pids.iter().map(|pid| format!("pid {pid}")).collect();
        match pids.is_empty() {
            true => format!("`{}`", file.path),
            false => format!("`{}` ({})", file.path, pids.join(", ")),
        }
    };
    files.iter().map(file).collect::<Vec<_>>().join(", ")
}

impl From<Miss> for WorkspaceError {
    fn from(miss: Miss) -> Self {
        WorkspaceError::Miss(miss)
    }
}

impl From<OverlayError> for WorkspaceError {
    fn from(error: OverlayError) -> Self {
        match error {
            OverlayError::NoSpace { .. } => WorkspaceError::NoSpace(error.to_string()),
            OverlayError::Io { source, .. } if source.kind() == io::ErrorKind::FileTooLarge => WorkspaceError::TooLarge,
            error => WorkspaceError::Overlay(error),
        }
    }
}
