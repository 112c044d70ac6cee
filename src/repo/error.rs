//! What can go wrong in a repository, named by what a caller can do about it.

use std::sync::Arc;

use crate::format::error::FormatError;
use crate::model::address::AddressError;
use crate::model::id::CommitId;
use crate::model::time::Time;
use crate::model::tree::Misfit;
use crate::storage::StoreError;

#[derive(Clone, Debug, thiserror::Error)]
pub enum RepoError {
    /// Nothing was ever made under this URL.
    #[error("there is no mesh at `{store}`: make one with `meshfs init`, or name another store with --store")]
    NoMesh { store: String },
    #[error("there is a mesh at `{store}` already (id {uid}): nothing to do")]
    MeshExists { store: String, uid: String },
    #[error("there is no domain `{0}`: `meshfs domain list` shows them, `meshfs domain create {0}` makes it")]
    NoDomain(String),
    #[error("there is a domain `{0}` already")]
    DomainExists(String),
    #[error("domain `{domain}` has no branch `{branch}`: `meshfs branch list {domain}` shows them")]
    NoBranch { domain: String, branch: String },
    #[error("domain `{domain}` has no tag `{tag}`: `meshfs tag list {domain}` shows them")]
    NoTag { domain: String, tag: String },
    /// A branch or tag of that name is there.
    #[error("domain `{domain}` has a {kind} `{name}` already")]
    RefExists { domain: String, kind: &'static str, name: String },
    /// Nothing in the domain is called so.
    #[error("`{revision}` names nothing in domain `{domain}`: {reason}")]
    NoRevision { domain: String, revision: String, reason: String },
    #[error("`{digits}` is the beginning of several commit ids of domain `{domain}`: {}", list(candidates))]
    Ambiguous { domain: String, digits: String, candidates: Vec<CommitId> },
    /// No such path in a snapshot.
    #[error("`{path}` is not in {snapshot}")]
    NoPath { path: String, snapshot: String },
    /// It was there once; garbage collection may have taken it.
    #[error(
        "{what} has expired: no branch, tag or recent log entry leads to it. Tag what is to be kept: `meshfs tag create`"
    )]
    Expired { what: String },
    /// A ref is not what the caller last saw; look again, then decide anew.
    #[error("{what} changed meanwhile: {now}")]
    Moved { what: String, now: String },
    /// The domain's rules forbid it; trying again does not help.
    #[error("{0}")]
    Refused(String),
    /// The two sides of a merge disagree.
    #[error("{} paths are in conflict", paths.len())]
    Conflict { paths: Vec<String> },
    /// An entry was sent and nobody knows yet whether it landed.
    #[error(
        "the store did not say whether entry {seq} of the log of {log} landed ({reason}): it will be settled when the store answers; `meshfs status` tries again"
    )]
    OutcomeUnknown { log: String, seq: u64, reason: String },
    /// An earlier attempt of this workspace landed and the workspace has not taken it up.
    #[error("an earlier commit of this workspace landed as entry {seq}: the workspace must take it up first")]
    EarlierLanded { seq: u64 },
    /// Made by a later version.
    #[error(
        "{what} needs {} for {purpose}, which this version of meshfs does not have: use a newer one",
        list(features)
    )]
    Unsupported { what: String, purpose: &'static str, features: Vec<String> },
    #[error(
        "this machine's clock says {ours}, the store's {store}: more than 10 minutes apart. Set the clock, then try again"
    )]
    Clock { ours: Time, store: Time },
    /// A name that no domain, branch or tag can have.
    #[error(transparent)]
    Name(#[from] AddressError),
    /// Something stored is not what its name or id says; never served as data.
    #[error("{what} is damaged: {reason}")]
    Damaged { what: String, reason: String },
    /// A content outside the mesh is not the one that was imported.
    #[error("{url} is no longer what was imported: {reason}. Bring the source back, or import it again")]
    SourceChanged { url: String, reason: String },
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The state folder's own database.
    #[error("{path}: {source}")]
    Db { path: String, source: Arc<rusqlite::Error> },
    /// A local file or folder.
    #[error("{what}: {source}")]
    Local { what: String, source: Arc<std::io::Error> },
}

impl From<Misfit> for RepoError {
    fn from(misfit: Misfit) -> RepoError {
        RepoError::Damaged { what: format!("tree node {}", misfit.id), reason: misfit.why.to_owned() }
    }
}

impl RepoError {
    /// The disk of the state folder is full.
    pub fn is_disk_full(&self) -> bool {
        let full = |source: &rusqlite::Error| source.sqlite_error_code() == Some(rusqlite::ErrorCode::DiskFull);
        match self {
            RepoError::Db { source, .. } => full(source),
            RepoError::Local { source, .. } => source.kind() == std::io::ErrorKind::StorageFull,
            _ => false,
        }
    }

    /// `what` could not be read from its bytes, or be written as bytes.
    pub fn of_format(what: impl Into<String>, error: FormatError) -> RepoError {
        let what = what.into();
        match error {
            FormatError::Damaged { .. } | FormatError::WrongId { .. } | FormatError::ChildNotStored { .. } => {
                RepoError::Damaged { what, reason: error.to_string() }
            }
            FormatError::NewerVersion { version, .. } => {
                let features = vec![format!("format version {version}")];
                RepoError::Unsupported { what, purpose: "reading", features }
            }
            FormatError::UnknownFeatures { names } => {
                RepoError::Unsupported { what, purpose: "reading", features: names }
            }
            FormatError::Unstorable { .. } => RepoError::Refused(error.to_string()),
        }
    }
}

fn list<T: std::fmt::Display>(items: &[T]) -> String {
    items.iter().map(|item| format!("`{item}`")).collect::<Vec<_>>().join(", ")
}
