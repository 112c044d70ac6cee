//! The decorator for faults does what it says, from one seed always the same, and repeats get over it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use meshfs::storage::fault::{Fault, FaultStore, Rates};
use meshfs::storage::{CreateError, Store, StoreSettings, backend};
use meshfs::sys::Sys;
use meshfs::sys::clock::Clock;
use meshfs::telemetry::counters::Verb;

use crate::conformance::{memory, noise};

fn body(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

#[tokio::test]
async fn a_create_suffers_each_fault_in_its_way() {
    let opened = memory();
    let store = FaultStore::new(opened.store.clone(), Sys::simulated(0, 1).0);
    for (fault, landed) in [
        (Fault::LostReply, true),
        (Fault::Busy, false),
        (Fault::Throttled(Duration::from_secs(1)), false),
        (Fault::Broken, false),
        (Fault::Expired, false),
        (Fault::Timeout, false),
        (Fault::FalseConflict, false),
        (Fault::Denied, false),
        (Fault::Delayed, false),
    ] {
        let key = format!("log/{fault:?}");
        store.plan(Verb::Create, &key, fault, 1);
        let outcome = store.create(&key, body("mine")).await.unwrap_err();
        match fault {
            Fault::FalseConflict => assert_eq!(outcome, CreateError::Exists),
            Fault::Denied | Fault::Expired => assert!(matches!(outcome, CreateError::Refused(_))),
            _ => assert!(matches!(outcome, CreateError::Unknown(_)), "{fault:?}"),
        }
        assert_eq!(opened.store.get(&key).await.is_ok(), landed, "{fault:?}");
    }
    assert_eq!(store.struck().len(), 9);
}

#[tokio::test]
async fn a_delayed_create_lands_later_unless_the_name_is_taken() {
    let store = FaultStore::new(memory().store, Sys::simulated(0, 1).0);
    store.plan(Verb::Create, "", Fault::Delayed, 2);
    store.create("log/1", body("late")).await.unwrap_err();
    store.create("log/2", body("late")).await.unwrap_err();
    store.create("log/2", body("in time")).await.unwrap();
    assert_eq!(store.release().await, 1);
    assert_eq!(store.get("log/1").await.unwrap().bytes, "late");
    assert_eq!(store.get("log/2").await.unwrap().bytes, "in time");
}

#[tokio::test]
async fn a_lagging_listing_lacks_the_newest() {
    let store = FaultStore::new(memory().store, Sys::simulated(0, 1).0);
    for key in ["log/4", "log/3", "log/2", "log/1"] {
        store.create(key, Bytes::new()).await.unwrap();
    }
    store.plan(Verb::List, "log/", Fault::LaggingList, 1);
    assert_eq!(store.list("log/", None, 1).await.unwrap()[0].key, "log/3");
    assert_eq!(store.list("log/", None, 1).await.unwrap()[0].key, "log/1");
}

#[tokio::test]
async fn damage_is_one_bit() {
    let store = FaultStore::new(memory().store, Sys::simulated(0, 1).0);
    let written = noise(1, 1000);
    store.put("a", written.clone()).await.unwrap();
    store.plan(Verb::Get, "a", Fault::WrongBytes, 2);
    for read in [store.get("a").await.unwrap().bytes, store.get_range("a", 0..1000).await.unwrap()] {
        let wrong: u32 = read.iter().zip(&written).map(|(one, other)| (one ^ other).count_ones()).sum();
        assert_eq!((read.len(), wrong), (1000, 1));
    }
}

#[tokio::test]
async fn slowness_is_time_on_the_simulated_clock() {
    let (sys, clock) = Sys::simulated(0, 1);
    let store = FaultStore::new(memory().store, sys);
    store.plan(Verb::Put, "a", Fault::Slow(Duration::from_secs(7)), 1);
    store.put("a", Bytes::new()).await.unwrap();
    assert_eq!(clock.elapsed(), Duration::from_secs(7));
}

#[tokio::test]
async fn a_clock_can_be_wrong() {
    let store = FaultStore::new(memory().store, Sys::simulated(0, 1).0);
    assert_eq!(store.clock_skew(), None);
    store.set_clock_skew(-5);
    assert_eq!(store.clock_skew(), Some(-5));
}

/// A few hundred calls at high rates of faults; gives what struck.
async fn storm(seed: u64) -> Vec<(Verb, String, Fault)> {
    let (sys, _) = Sys::simulated(0, seed);
    let faults = FaultStore::new(memory().store, sys.clone());
    let settings = StoreSettings { sys, deadline: Duration::from_secs(600), ..StoreSettings::new() };
    let store = backend::assemble(Arc::new(faults.clone()), &settings);
    faults.set_rates(Rates { lost_reply: 150, busy: 100, timeout: 50, cut_body: 100, ..Rates::default() });
    for number in 0..60 {
        let (key, bytes) = (format!("a/{number}"), noise(number, 50));
        store.put(&key, bytes.clone()).await.unwrap();
        assert_eq!(store.get(&key).await.unwrap().bytes, bytes);
        assert_eq!(store.get_range(&key, 10..20).await.unwrap(), bytes.slice(10..20));
        let upload = store.upload(&format!("b/{number}")).await.unwrap();
        upload.put_part(0, bytes.clone()).await.unwrap();
        upload.put_part(1, bytes.clone()).await.unwrap();
        upload.complete().await.unwrap();
        assert_eq!(store.size(&format!("b/{number}")).await.unwrap(), 100);
    }
    assert_eq!(store.list("a/", None, 100).await.unwrap().len(), 60);
    faults.struck()
}

#[tokio::test]
async fn repeats_get_over_any_storm_and_one_seed_is_one_storm() {
    let first = storm(1).await;
    assert!(first.len() > 100, "{} faults", first.len());
    assert_eq!(first, storm(1).await);
    assert_ne!(first, storm(2).await);
}

#[tokio::test]
async fn repeats_wait_longer_and_longer_and_end_at_the_deadline() {
    let (sys, clock) = Sys::simulated(0, 1);
    let faults = FaultStore::new(memory().store, sys.clone());
    let deadline = Duration::from_secs(60);
    let store = backend::assemble(Arc::new(faults.clone()), &StoreSettings { sys, deadline, ..StoreSettings::new() });
    faults.plan(Verb::Get, "", Fault::Busy, usize::MAX);
    let error = store.get("a").await.unwrap_err();
    let tries = faults.struck().len();
    assert!(error.to_string().contains(&format!("tried {tries} times")), "{error}");
    // Pauses up to 5 s, 2.5 s on average, after the first few: neither a flood nor a nap.
    assert!((20..60).contains(&tries), "{tries} tries");
    assert!(clock.elapsed() <= deadline && clock.elapsed() > deadline / 2, "{:?}", clock.elapsed());
}

#[tokio::test]
async fn a_store_that_asks_to_come_back_later_is_given_the_time_within_reason() {
    for (asked, given) in [(7, 7), (3600, 20)] {
        let (sys, clock) = Sys::simulated(0, 1);
        let faults = FaultStore::new(memory().store, sys.clone());
        faults.plan(Verb::Put, "a", Fault::Throttled(Duration::from_secs(asked)), 2);
        let store = backend::assemble(Arc::new(faults.clone()), &StoreSettings { sys, ..StoreSettings::new() });
        store.put("a", Bytes::new()).await.unwrap();
        assert_eq!(clock.elapsed(), Duration::from_secs(given) * 2);
    }
}
