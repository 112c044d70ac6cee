//! Where things lie in a store: the names of all objects.

use std::sync::Arc;

use crate::format::log::entry_name;
use crate::model::id::{CommitId, PackName, Uid};
use crate::model::log::DomainInfo;
use crate::storage::Store;

/// Prefix of the mesh log's entries.
pub const MESH_LOG: &str = "mesh/";

/// A domain's own place in a store: everything it has lies under `prefix`.
#[derive(Clone, Debug)]
pub struct Place {
    pub store: Arc<dyn Store>,
    /// `domains/<name>-<uid>`.
    pub prefix: String,
}

impl Place {
    pub fn of_domain(store: Arc<dyn Store>, info: &DomainInfo) -> Place {
        Place { store, prefix: domain_prefix(&info.name, &info.uid) }
    }

    pub fn log_prefix(&self) -> String {
        format!("{}/log/", self.prefix)
    }

    pub fn records_prefix(&self) -> String {
        format!("{}/commits/", self.prefix)
    }

    pub fn record_key(&self, id: &CommitId) -> String {
        format!("{}/commits/{id}", self.prefix)
    }

    pub fn packs_prefix(&self) -> String {
        format!("{}/packs/", self.prefix)
    }

    pub fn relocations_prefix(&self) -> String {
        format!("{}/relocations/", self.prefix)
    }

    pub fn gc_prefix(&self) -> String {
        format!("{}/gc/", self.prefix)
    }

    pub fn pack_key(&self, pack: &PackName) -> String {
        format!("{}/packs/{pack}", self.prefix)
    }

    pub fn relocation_key(&self, pack: &PackName) -> String {
        format!("{}/relocations/{pack}", self.prefix)
    }

    pub fn gc_key(&self, epoch: u64) -> String {
        format!("{}/gc/{}", self.prefix, entry_name(epoch))
    }
}

pub fn domain_prefix(name: &str, uid: &Uid) -> String {
    format!("domains/{name}-{uid}")
}
