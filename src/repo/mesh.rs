//! A mesh: the domains under one store URL, as its log lists them.

use std::path::PathBuf;
use std::sync::Arc;

use super::domain::Domain;
use super::error::RepoError;
use crate::model::id::Uid;
use crate::model::log::DomainInfo;
use crate::storage::Store;
use crate::sys::Sys;

/// What opening a mesh needs.
#[derive(Clone, Debug)]
pub struct MeshOptions {
    pub store_url: String,
    /// The opened store, when the caller has one; `store_url` then only names it.
    pub store: Option<Arc<dyn Store>>,
    /// Folder of state; this mesh uses `<state_dir>/<mesh uid>`.
    pub state_dir: PathBuf,
    /// Folder of caches; this mesh uses `<cache_dir>/<mesh uid>`.
    pub cache_dir: PathBuf,
    /// Most bytes that the cache folder of this mesh may hold.
    pub cache_bytes: u64,
    /// Who acts, as log entries name them.
    pub actor: String,
    pub host: String,
    pub sys: Sys,
}

/// A domain to be made.
#[derive(Clone, Debug, Default)]
pub struct NewDomain {
    pub name: String,
    pub owner: Option<String>,
    pub description: Option<String>,
}

/// An open mesh. Cheap to clone; all clones are one.
#[derive(Clone, Debug)]
pub struct Mesh(Arc<Inner>);

#[derive(Debug)]
struct Inner {}

impl Mesh {
    /// Makes a mesh at the store; [`RepoError::MeshExists`] when there is one.
    pub async fn init(_options: MeshOptions) -> Result<Mesh, RepoError> {
        todo!()
    }

    pub async fn open(_options: MeshOptions) -> Result<Mesh, RepoError> {
        todo!()
    }

    pub fn uid(&self) -> Uid {
        todo!()
    }

    pub fn store_url(&self) -> &str {
        todo!()
    }

    pub fn store(&self) -> &Arc<dyn Store> {
        todo!()
    }

    /// `<state_dir>/<mesh uid>`.
    pub fn state_dir(&self) -> &std::path::Path {
        todo!()
    }

    /// `<cache_dir>/<mesh uid>`.
    pub fn cache_dir(&self) -> &std::path::Path {
        todo!()
    }

    pub fn sys(&self) -> &Sys {
        todo!()
    }

    /// The domains, by name, after a look at the log.
    pub async fn domains(&self) -> Result<Vec<DomainInfo>, RepoError> {
        todo!()
    }

    /// The domains as last seen; no request.
    pub fn known_domains(&self) -> Vec<DomainInfo> {
        todo!()
    }

    /// Opens a domain, once per process and life of the domain. Looks at the mesh log only when the name is not known.
    pub async fn domain(&self, _name: &str) -> Result<Domain, RepoError> {
        todo!()
    }

    /// The domain, if it was opened before and is there as far as known; no request.
    pub fn opened_domain(&self, _name: &str) -> Option<Domain> {
        todo!()
    }

    pub async fn create_domain(&self, _new: NewDomain) -> Result<Domain, RepoError> {
        todo!()
    }

    /// Takes a domain off the mesh's list; its objects stay.
    pub async fn delete_domain(&self, _name: &str) -> Result<(), RepoError> {
        todo!()
    }

    /// Looks whether the mesh log moved: one request when it did not.
    pub async fn poll(&self) -> Result<bool, RepoError> {
        todo!()
    }
}
