//! What a store has to do before anything is entrusted to it, tried out on it: for `init` and `doctor`.
//!
//! Everything is written under a random name below `probe/` and removed again, also when a check fails.

use std::time::Duration;

use bytes::Bytes;
use futures::future::join_all;

use super::error::{CreateError, StoreError};
use super::store::{Expiry, Store};
use crate::sys::disk;
use crate::sys::random::Random;

/// The store's clock and ours may be this far apart; beyond it no log entry is put.
pub const CLOCK_SKEW_MAX: Duration = Duration::from_secs(600);

/// Creators that race for one name: enough to catch a store that looks first and writes after.
const RACERS: usize = 8;

/// How one check ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Good(String),
    /// It can be lived with; the text says what to do about it.
    Warning(String),
    /// The store cannot be used; the text says why and what next.
    Bad(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// What is checked, in a few words.
    pub name: &'static str,
    pub outcome: Outcome,
}

/// Every check that could be made, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    pub checks: Vec<Check>,
}

impl Report {
    /// What makes the store unusable, if anything does.
    pub fn failure(&self) -> Option<&str> {
        self.checks.iter().find_map(|check| match &check.outcome {
            Outcome::Bad(reason) => Some(reason.as_str()),
            Outcome::Good(_) | Outcome::Warning(_) => None,
        })
    }

    fn add(&mut self, name: &'static str, outcome: Result<Outcome, StoreError>) -> bool {
        let outcome = outcome.unwrap_or_else(|error| Outcome::Bad(error.to_string()));
        let good = !matches!(outcome, Outcome::Bad(_));
        self.checks.push(Check { name, outcome });
        good
    }
}

fn good(text: impl Into<String>) -> Result<Outcome, StoreError> {
    Ok(Outcome::Good(text.into()))
}

fn bad(text: impl Into<String>) -> Result<Outcome, StoreError> {
    Ok(Outcome::Bad(text.into()))
}

/// Checks what reading needs; writes nothing.
pub async fn probe_reading(store: &dyn Store) -> Report {
    let mut report = Report::default();
    if report.add("answers", answers(store).await) && report.add("absent objects", absent(store, "probe/absent").await)
    {
        report.add("clock", clock(store));
        report.add("expiry", expiry(store).await);
    }
    report
}

/// Checks everything that reading and writing need.
pub async fn probe(store: &dyn Store, random: &dyn Random) -> Report {
    let mut report = probe_reading(store).await;
    if report.failure().is_some() {
        return report;
    }
    let folder = format!("probe/{:032x}", u128::from_le_bytes(random.name()));
    try_writing(store, &folder, &mut report).await;
    for name in KEYS {
        // A probe that cannot clean up is told apart below; a missing name is no error.
        let _ = store.delete(&format!("{folder}/{name}")).await;
    }
    if let Some(path) = store.local_path(&folder) {
        // Only what is empty goes: another probe may be under way.
        let _ = std::fs::remove_dir(&path).and_then(|()| std::fs::remove_dir(disk::parent_of(&path)));
    }
    if report.failure().is_none() {
        report.add("deleting", deleted(store, &folder).await);
    }
    report
}

/// Every name a probe writes, in the order of listings.
const KEYS: [&str; 3] = ["a-created", "b-put", "c-raced"];

async fn try_writing(store: &dyn Store, folder: &str, report: &mut Report) {
    let keys = KEYS.map(|name| format!("{folder}/{name}"));
    // Plain writing first: what create-if-absent lacks beyond it is then the store's own matter.
    let _ = report.add("writing and ranges", ranges(store, &keys[1]).await)
        && report.add("create-if-absent", creating(store, &keys[0]).await)
        && report.add("create-if-absent, raced", racing(store, &keys[2]).await)
        && report.add("listing", listing(store, folder, &keys).await);
}

async fn answers(store: &dyn Store) -> Result<Outcome, StoreError> {
    store.list("", None, 1).await?;
    good("")
}

/// An absent object has to be told from a forbidden one: everything that looks for the end of a log stands on it.
async fn absent(store: &dyn Store, key: &str) -> Result<Outcome, StoreError> {
    match store.get(key).await {
        Err(StoreError::NotFound { .. }) | Ok(_) => good(""),
        Err(error) => Err(error),
    }
}

async fn creating(store: &dyn Store, key: &str) -> Result<Outcome, StoreError> {
    let (first, second) = (Bytes::from_static(b"first"), Bytes::from_static(b"second"));
    let created = store.create(key, first.clone()).await;
    match (store.get(key).await, created) {
        // Nobody else can have this random name, so whatever was answered the object is ours.
        (Ok(object), _) if object.bytes == first => {}
        (Ok(_), _) => return bad("what is read back is not what was written"),
        (Err(_), Err(CreateError::Refused(error) | CreateError::Unknown(error))) if store.is_local() => {
            return bad(format!("{error}. A local store needs a filesystem with hard links"));
        }
        (Err(_), Err(CreateError::Refused(error) | CreateError::Unknown(error))) => return Err(error),
        (Err(error), _) => return Err(error),
    }
    let again = store.create(key, second).await;
    let kept = store.get(key).await?.bytes == first;
    match again {
        Err(_) if kept => good(if store.is_local() { "by hard links" } else { "" }),
        _ => bad(format!(
            "{} overwrites objects that it was told to create only if absent: two writers would both believe that \
             they won. Use a store with conditional puts (If-None-Match)",
            store.name()
        )),
    }
}

async fn racing(store: &dyn Store, key: &str) -> Result<Outcome, StoreError> {
    let racers = (0..RACERS).map(|racer| store.create(key, Bytes::from(racer.to_string())));
    let winners: Vec<usize> = join_all(racers)
        .await
        .into_iter()
        .enumerate()
        .filter_map(|(racer, won)| won.is_ok().then_some(racer))
        .collect();
    let stored = store.get(key).await?.bytes;
    match winners[..] {
        [winner] if stored == winner.to_string().as_bytes() => good(""),
        // The winner's answer was lost, which is no fault of the store's promise.
        [] => good(""),
        _ => bad(format!(
            "{} told {} of {RACERS} racing writers that they won: its conditional puts are not atomic. Use another store",
            store.name(),
            winners.len()
        )),
    }
}

async fn ranges(store: &dyn Store, key: &str) -> Result<Outcome, StoreError> {
    store.put(key, Bytes::from_static(b"0123456789")).await?;
    let (inner, passing, past) =
        (store.get_range(key, 2..5).await?, store.get_range(key, 8..20).await?, store.get_range(key, 20..30).await?);
    if inner == "234" && passing == "89" && past.is_empty() {
        return good("");
    }
    bad(format!("{} answers reads of a part of an object with other bytes", store.name()))
}

async fn listing(store: &dyn Store, folder: &str, keys: &[String]) -> Result<Outcome, StoreError> {
    let listed = async |after: Option<&str>, max| {
        let page = store.list(&format!("{folder}/"), after, max).await?;
        Ok::<_, StoreError>(page.into_iter().map(|one| one.key).collect::<Vec<_>>())
    };
    let (least, rest) = (listed(None, 1).await?, listed(Some(&keys[0]), 10).await?);
    if least == keys[..1] && rest == keys[1..] {
        return good(if store.ordered_listing() { "in order" } else { "in no order; logs are searched by name" });
    }
    bad(format!("{} lists {least:?} and {rest:?} where {keys:?} were written", store.name()))
}

async fn deleted(store: &dyn Store, folder: &str) -> Result<Outcome, StoreError> {
    let left = store.list(&format!("{folder}/"), None, KEYS.len()).await?;
    if left.is_empty() {
        return good("");
    }
    Ok(Outcome::Warning(format!(
        "what was written for this check cannot be deleted: garbage will stay. Grant deletion, and remove `{folder}/`"
    )))
}

fn clock(store: &dyn Store) -> Result<Outcome, StoreError> {
    let Some(skew) = store.clock_skew() else { return good("the machine's own") };
    let apart = Duration::from_nanos(skew.unsigned_abs());
    let text = format!("{} s {} the store's", apart.as_secs(), if skew > 0 { "behind" } else { "ahead of" });
    if apart > CLOCK_SKEW_MAX {
        return bad(format!(
            "this machine's clock is {text}: nothing would be committed. Set it (timedatectl set-ntp true)"
        ));
    }
    good(text)
}

async fn expiry(store: &dyn Store) -> Result<Outcome, StoreError> {
    Ok(match store.expiry().await {
        Expiry::Never => Outcome::Good("no rule removes objects".to_owned()),
        Expiry::Rules(rules) => Outcome::Bad(format!(
            "a lifecycle rule of the bucket removes objects by age ({rules}): logs and data would be lost. \
             Exclude this prefix from it"
        )),
        Expiry::NotKnown(reason) => {
            Outcome::Warning(format!("lifecycle rules cannot be read ({reason}); make sure that none removes objects"))
        }
    })
}
