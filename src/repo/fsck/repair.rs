//! Bringing damaged packs back from another copy of the domain.

use super::super::domain::Domain;
use super::super::error::RepoError;
use super::super::layout::Place;
use super::audit::{Audit, check_pack};
use crate::model::id::PackName;
use crate::storage::{self, StoreError, StoreSettings};

/// What became of the repair of one pack.
#[derive(Debug)]
pub struct Repaired {
    pub pack: PackName,
    /// Why it is as it was; none when it is whole again.
    pub problem: Option<String>,
}

/// Puts packs that are wrong or gone as the store at `url` has them, once every frame of that copy was re-hashed: the
/// one case in which an object is written again, with the bytes that it was first written with. `needed` are packs that
/// are gone.
pub async fn repair(
    domain: &Domain,
    audit: &Audit,
    needed: impl IntoIterator<Item = PackName>,
    url: &str,
) -> Result<Vec<Repaired>, RepoError> {
    let settings = StoreSettings { sys: domain.sys().clone(), ..StoreSettings::new() };
    let copy = Place { store: storage::open(url, &settings)?, prefix: domain.place().prefix.clone() };
    let mut packs: Vec<PackName> = audit.wrong.keys().copied().chain(needed).collect();
    packs.sort();
    packs.dedup();
    let mut repaired = Vec::new();
    for pack in packs {
        let problem = bring_back(domain, &copy, &pack).await?;
        repaired.push(Repaired { pack, problem });
    }
    // What was kept of the damaged ones must not be believed.
    domain.objects().shared().forget_memory();
    Ok(repaired)
}

async fn bring_back(domain: &Domain, copy: &Place, pack: &PackName) -> Result<Option<String>, RepoError> {
    let key = copy.pack_key(pack);
    let bytes = match copy.store.get(&key).await {
        Ok(object) => object.bytes,
        Err(StoreError::NotFound { .. }) => return Ok(Some("the other copy does not have it".to_owned())),
        Err(error) => return Err(error.into()),
    };
    if check_pack(copy, pack, bytes.len() as u64).await?.wrong.is_some() {
        return Ok(Some("it is damaged in the other copy too".to_owned()));
    }
    domain.store().put(&domain.place().pack_key(pack), bytes).await?;
    let there = domain.store().size(&domain.place().pack_key(pack)).await?;
    Ok(check_pack(domain.place(), pack, there).await?.wrong.map(|_| "the store does not keep it".to_owned()))
}
