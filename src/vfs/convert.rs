//! Errors of the layers below as what they mean for a file operation.

use super::error::VfsError;
use crate::model::path::NameError;
use crate::repo::error::RepoError;
use crate::workspace::error::WorkspaceError;

impl From<NameError> for VfsError {
    fn from(error: NameError) -> VfsError {
        match error {
            NameError::TooLong => VfsError::NameTooLong,
            NameError::Empty | NameError::Separator => VfsError::Invalid(error.to_string()),
            // It is stored, and nobody goes down there.
            NameError::TooDeep => VfsError::Unreadable(error.to_string()),
            NameError::Reserved => VfsError::NotPermitted(
                "`.meshfs` is the name of the folder of control files at a branch's root: nothing else can have it"
                    .into(),
            ),
        }
    }
}

impl From<RepoError> for VfsError {
    fn from(error: RepoError) -> VfsError {
        let text = error.to_string();
        match error {
            RepoError::NoMesh { .. }
            | RepoError::NoDomain(_)
            | RepoError::NoBranch { .. }
            | RepoError::NoTag { .. }
            | RepoError::NoRevision { .. }
            | RepoError::NoPath { .. }
            | RepoError::Ambiguous { .. }
            // It was there, and a person who asks for it by name is told that it will not come back.
            | RepoError::Expired { .. } => VfsError::Unknown(text),
            RepoError::MeshExists { .. } | RepoError::DomainExists(_) | RepoError::RefExists { .. } => VfsError::Exists,
            RepoError::Name(_) => VfsError::Invalid(text),
            RepoError::Refused(_) => VfsError::NotPermitted(text),
            RepoError::Conflict { .. } | RepoError::Moved { .. } | RepoError::EarlierLanded { .. } => {
                VfsError::Busy(text)
            }
            RepoError::OutcomeUnknown { .. } => VfsError::InProgress(text),
            RepoError::Unsupported { .. } => VfsError::NotSupported(text),
            RepoError::Store(store) if store.is_denied() => VfsError::Denied(text),
            RepoError::Store(store) if store.is_read_only() => VfsError::ReadOnly(text),
            RepoError::Store(store) if store.is_full() => VfsError::NoSpace(text),
            RepoError::Db { .. } | RepoError::Local { .. } if error.is_disk_full() => VfsError::NoSpace(text),
            RepoError::Store(_)
            | RepoError::Clock { .. }
            | RepoError::Damaged { .. }
            | RepoError::SourceChanged { .. }
            | RepoError::Db { .. }
            | RepoError::Local { .. } => VfsError::Unreadable(text),
        }
    }
}

/// What a working tree or a snapshot answered; `wrap` says whose a miss is.
pub(super) fn from_workspace(
    error: WorkspaceError,
    wrap: impl FnOnce(crate::workspace::error::Miss) -> super::miss::Miss,
) -> VfsError {
    let text = || error.to_string();
    match error {
        WorkspaceError::Miss(miss) => VfsError::from(wrap(miss)),
        WorkspaceError::NotFound => VfsError::NotFound,
        WorkspaceError::Exists => VfsError::Exists,
        WorkspaceError::NotDirectory => VfsError::NotDirectory,
        WorkspaceError::IsDirectory => VfsError::IsDirectory,
        WorkspaceError::NotEmpty => VfsError::NotEmpty,
        WorkspaceError::Invalid(_) => VfsError::Invalid(text()),
        WorkspaceError::NotPermitted(_) => VfsError::NotPermitted(text()),
        WorkspaceError::Name(error) => VfsError::from(error),
        WorkspaceError::Unsupported(_) => VfsError::NotSupported(text()),
        WorkspaceError::NoSpace(_) => VfsError::NoSpace(text()),
        WorkspaceError::NoAttribute => VfsError::NoAttribute,
        WorkspaceError::TooLarge => VfsError::TooLarge,
        WorkspaceError::TooManyLinks => VfsError::TooManyLinks,
        WorkspaceError::BeyondEnd => VfsError::NoData,
        WorkspaceError::Stale => VfsError::Stale,
        WorkspaceError::Busy(_) | WorkspaceError::Changing(_) => VfsError::Busy(text()),
        WorkspaceError::Repo(error) => VfsError::from(error),
        WorkspaceError::Overlay(_) | WorkspaceError::Unreadable(_) => VfsError::Unreadable(text()),
    }
}
