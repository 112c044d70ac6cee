//! What lies in a domain's place in the store: packs, maps of moved packs, records.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use super::roots::before;
use crate::model::id::{CommitId, PackName};
use crate::model::time::Time;
use crate::repo::domain::Domain;
use crate::storage::store::LISTED_MAX;
use crate::storage::{Listed, Store, StoreError};

/// Younger things are left alone, by the store's clock: somebody may be about to land them.
const AGE_MIN: Duration = Duration::from_secs(7 * 24 * 3600);

/// One object.
#[derive(Clone, Copy, Debug)]
pub(in crate::repo) struct Stored {
    pub bytes: u64,
    modified: Option<Time>,
}

impl Stored {
    /// Nobody is about to land it any more, or will have to look whether it was condemned.
    pub fn is_old(&self, now: Time) -> bool {
        self.modified.is_some_and(|modified| modified <= before(now, AGE_MIN))
    }
}

#[derive(Debug)]
pub(in crate::repo) struct Inventory {
    pub packs: BTreeMap<PackName, Stored>,
    pub relocations: BTreeSet<PackName>,
    pub records: BTreeMap<CommitId, Stored>,
}

impl Inventory {
    pub async fn take(domain: &Domain) -> Result<Inventory, StoreError> {
        let place = domain.place();
        Ok(Inventory {
            packs: list(&place.store, &place.packs_prefix()).await?,
            relocations: list(&place.store, &place.relocations_prefix()).await?.into_keys().collect(),
            records: list(&place.store, &place.records_prefix()).await?,
        })
    }
}

/// The objects below `prefix` whose names are names of this kind; others are none of ours.
async fn list<N: FromStr + Ord>(store: &Arc<dyn Store>, prefix: &str) -> Result<BTreeMap<N, Stored>, StoreError> {
    let mut found = BTreeMap::new();
    let mut after: Option<String> = None;
    loop {
        let page = store.list(prefix, after.as_deref(), LISTED_MAX).await?;
        let parsed = |line: &Listed| {
            let name = line.key.strip_prefix(prefix)?.parse().ok()?;
            Some((name, Stored { bytes: line.size, modified: line.modified.map(Time) }))
        };
        found.extend(page.iter().filter_map(parsed));
        match page.last() {
            Some(last) if page.len() == LISTED_MAX => after = Some(last.key.clone()),
            _ => return Ok(found),
        }
    }
}
