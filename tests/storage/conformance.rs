//! The contract of a store, checked on every kind of store that runs here.

use std::any::Any;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::{BoxFuture, try_join_all};
use meshfs::storage::fault::{FaultStore, Rates};
use meshfs::storage::store::LISTED_MAX;
use meshfs::storage::{self, CreateError, Store, StoreError, StoreSettings, backend};
use meshfs::sys::Sys;
use meshfs::telemetry::counters::Verb;

use crate::common::s3::{Fault, Server};
use crate::common::scratch::Scratch;
use crate::race;

/// A store, and what has to live as long as it does.
pub struct Opened {
    pub store: Arc<dyn Store>,
    _keep: Box<dyn Any + Send>,
}

pub fn memory() -> Opened {
    let name = format!("memory://conformance-{:016x}", meshfs::sys::Sys::real().random.number());
    let store = storage::open(&name, &StoreSettings::new()).unwrap();
    Opened { store, _keep: Box::new(()) }
}

pub fn local() -> Opened {
    let scratch = Scratch::new();
    let store = storage::open(scratch.path().to_str().unwrap(), &StoreSettings::new()).unwrap();
    Opened { store, _keep: Box::new(scratch) }
}

pub fn s3() -> Opened {
    let server = Server::start();
    Opened { store: server.store("bucket"), _keep: Box::new(server) }
}

pub fn s3_with_prefix() -> Opened {
    let server = Server::start();
    let url = format!("{}/some/prefix", server.url("bucket"));
    let store = storage::open(&url, &server.settings()).unwrap();
    Opened { store, _keep: Box::new(server) }
}

/// Every second request of those that we repeat fails in one of the ways that pass.
fn faulty() -> Opened {
    let sys = Sys::simulated(0, 7).0;
    let faults = FaultStore::new(memory().store, sys.clone());
    faults.spare(Verb::Create);
    faults.set_rates(Rates { lost_reply: 150, busy: 150, timeout: 100, cut_body: 100, ..Rates::default() });
    let settings = StoreSettings { sys, deadline: Duration::from_secs(3600), ..StoreSettings::new() };
    Opened { store: backend::assemble(Arc::new(faults), &settings), _keep: Box::new(()) }
}

/// The same over the wire.
fn s3_in_a_storm() -> Opened {
    let server = Server::start();
    let store = server.store("bucket");
    server.storm(&[
        Fault::Answer(503, "SlowDown"),
        Fault::LostReply,
        Fault::Answer(429, "TooManyRequests"),
        Fault::CutBody,
        Fault::Answer(500, "InternalError"),
        Fault::Broken,
        Fault::Answer(409, "OperationAborted"),
        Fault::Slow(Duration::from_millis(20)),
    ]);
    Opened { store, _keep: Box::new(server) }
}

pub type Check = fn(Arc<dyn Store>) -> BoxFuture<'static, ()>;

/// Every check as a test of its own on each store that starts at once, and all of them by name for the others.
macro_rules! checks {
    ($($check:ident),* $(,)?) => {
        pub const CHECKS: &[(&str, Check)] = &[$((stringify!($check), |store| Box::pin($check(store)))),*];
        checks!(@on memory $($check)*);
        checks!(@on local $($check)*);
        checks!(@on s3 $($check)*);
        checks!(@on s3_with_prefix $($check)*);
        checks!(@on faulty $($check)*);
        checks!(@on s3_in_a_storm $($check)*);
    };
    (@on $backend:ident $($check:ident)*) => {
        mod $backend {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $check() {
                let opened = super::$backend();
                super::$check(opened.store.clone()).await;
            })*
        }
    };
}

checks! {
    what_is_put_is_read,
    empty_objects_are_objects,
    what_is_missing_is_not_found,
    ranges_end_where_the_object_does,
    versions_tell_contents_apart,
    the_first_create_stays,
    of_many_creators_one_wins,
    parts_make_one_object,
    parts_may_come_in_any_order_and_twice,
    an_upload_without_all_its_parts_is_no_object,
    an_aborted_upload_leaves_nothing,
    deleting_is_final_and_repeatable,
    listings_are_sorted_and_bounded,
    long_listings_go_on_after_a_key,
    settling_what_was_read_succeeds,
}

fn body(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

/// Bytes that no compression and no offset mistake leaves unnoticed.
pub fn noise(seed: u64, len: usize) -> Bytes {
    let random = meshfs::sys::random::SeededRandom::new(seed);
    let mut bytes = vec![0; len];
    meshfs::sys::random::Random::fill(&random, &mut bytes);
    bytes.into()
}

async fn keys(store: &dyn Store, prefix: &str, after: Option<&str>, max: usize) -> Vec<String> {
    store.list(prefix, after, max).await.unwrap().into_iter().map(|one| one.key).collect()
}

async fn what_is_put_is_read(store: Arc<dyn Store>) {
    let long_name = format!("packs/{}", "x".repeat(200));
    for (seed, (key, len)) in [("a", 1), ("a.b/C_d-9/e", 1000), (long_name.as_str(), 3 << 20)].into_iter().enumerate() {
        let bytes = noise(seed as u64, len);
        store.put(key, bytes.clone()).await.unwrap();
        let object = store.get(key).await.unwrap();
        assert!(object.bytes == bytes, "{key}");
        assert_eq!(store.size(key).await.unwrap(), len as u64);
        let now = meshfs::sys::Sys::real().clock.now();
        let age = now - object.modified.expect("every store here knows when");
        assert!(age.abs() < 60_000_000_000, "written {age} ns ago");
    }
}

async fn empty_objects_are_objects(store: Arc<dyn Store>) {
    store.put("empty", Bytes::new()).await.unwrap();
    store.create("created", Bytes::new()).await.unwrap();
    for key in ["empty", "created"] {
        assert_eq!(store.get(key).await.unwrap().bytes, Bytes::new());
        assert_eq!(store.size(key).await.unwrap(), 0);
        assert_eq!(store.get_range(key, 0..10).await.unwrap(), Bytes::new());
    }
    assert_eq!(keys(&*store, "", None, 10).await, ["created", "empty"]);
}

async fn what_is_missing_is_not_found(store: Arc<dyn Store>) {
    store.put("folder/present", body("x")).await.unwrap();
    for key in ["absent", "folder", "folder/absent", "folder/present2"] {
        let expected = StoreError::NotFound { store: store.name().to_owned(), key: key.to_owned() };
        assert_eq!(store.get(key).await.unwrap_err(), expected);
        assert_eq!(store.get_range(key, 0..1).await.unwrap_err(), expected);
        assert_eq!(store.get_range_versioned(key, 0..1).await.unwrap_err(), expected);
        assert_eq!(store.size(key).await.unwrap_err(), expected);
    }
}

async fn ranges_end_where_the_object_does(store: Arc<dyn Store>) {
    store.put("digits", body("0123456789")).await.unwrap();
    for (range, expected) in [
        (0..10, "0123456789"),
        (0..1, "0"),
        (9..10, "9"),
        (3..7, "3456"),
        (3..3, ""),
        (8..12, "89"),
        (0..u64::from(u32::MAX), "0123456789"),
        (10..11, ""),
        (100..200, ""),
    ] {
        assert_eq!(store.get_range("digits", range.clone()).await.unwrap(), expected, "{range:?}");
        let (bytes, version) = store.get_range_versioned("digits", range.clone()).await.unwrap();
        assert_eq!((bytes, version.size), (body(expected), 10), "{range:?}");
    }
}

async fn versions_tell_contents_apart(store: Arc<dyn Store>) {
    store.put("source", body("one")).await.unwrap();
    let (_, one) = store.get_range_versioned("source", 0..2).await.unwrap();
    assert_eq!(store.get_range_versioned("source", 1..3).await.unwrap().1, one);
    store.put("source", body("other")).await.unwrap();
    let (_, other) = store.get_range_versioned("source", 0..2).await.unwrap();
    assert_ne!(one.etag, other.etag);
}

async fn the_first_create_stays(store: Arc<dyn Store>) {
    store.create("log/1", body("first")).await.unwrap();
    assert_eq!(store.create("log/1", body("second")).await, Err(CreateError::Exists));
    assert_eq!(store.get("log/1").await.unwrap().bytes, "first");
    store.put("put", body("first")).await.unwrap();
    assert_eq!(store.create("put", body("second")).await, Err(CreateError::Exists));
    assert_eq!(store.get("put").await.unwrap().bytes, "first");
}

async fn of_many_creators_one_wins(store: Arc<dyn Store>) {
    for round in 0..10 {
        race::one_winner(&store, &format!("race/{round}"), 100).await;
    }
}

async fn parts_make_one_object(store: Arc<dyn Store>) {
    let parts = [noise(1, 5 << 20), noise(2, 6 << 20), noise(3, 17)];
    let upload = store.upload("packs/whole").await.unwrap();
    let sending = parts.iter().enumerate().map(|(index, part)| upload.put_part(index, part.clone()));
    try_join_all(sending).await.unwrap();
    assert!(store.get("packs/whole").await.unwrap_err().is_not_found(), "not before it is complete");
    upload.complete().await.unwrap();
    assert!(store.get("packs/whole").await.unwrap().bytes == parts.concat());
}

async fn parts_may_come_in_any_order_and_twice(store: Arc<dyn Store>) {
    let parts = [noise(4, 5 << 20), noise(5, 5 << 20), noise(6, 1)];
    let upload = store.upload("packs/shuffled").await.unwrap();
    for index in [0, 2, 1, 0] {
        upload.put_part(index, parts[index].clone()).await.unwrap();
    }
    upload.complete().await.unwrap();
    assert!(store.get("packs/shuffled").await.unwrap().bytes == parts.concat());
}

async fn an_upload_without_all_its_parts_is_no_object(store: Arc<dyn Store>) {
    let upload = store.upload("packs/torn").await.unwrap();
    upload.put_part(0, noise(7, 5 << 20)).await.unwrap();
    upload.put_part(2, noise(8, 10)).await.unwrap();
    upload.complete().await.unwrap_err();
    assert!(store.get("packs/torn").await.unwrap_err().is_not_found());
}

async fn an_aborted_upload_leaves_nothing(store: Arc<dyn Store>) {
    let upload = store.upload("packs/given-up").await.unwrap();
    upload.put_part(0, noise(9, 5 << 20)).await.unwrap();
    upload.abort().await.unwrap();
    assert!(store.get("packs/given-up").await.unwrap_err().is_not_found());
    assert_eq!(keys(&*store, "packs/", None, 10).await, [""; 0]);
    upload.complete().await.unwrap_err();
}

async fn deleting_is_final_and_repeatable(store: Arc<dyn Store>) {
    store.put("a/x", body("x")).await.unwrap();
    store.put("a/y", body("y")).await.unwrap();
    store.delete("a/x").await.unwrap();
    store.delete("a/x").await.unwrap();
    store.delete("never/was").await.unwrap();
    assert!(store.get("a/x").await.unwrap_err().is_not_found());
    assert_eq!(keys(&*store, "", None, 10).await, ["a/y"]);
}

async fn listings_are_sorted_and_bounded(store: Arc<dyn Store>) {
    for key in ["log/3", "log/1", "log/2", "log-x", "logs/1", "other", "log/10"] {
        store.put(key, body(key)).await.unwrap();
    }
    assert_eq!(keys(&*store, "log/", None, 10).await, ["log/1", "log/10", "log/2", "log/3"]);
    assert_eq!(keys(&*store, "log/", None, 1).await, ["log/1"]);
    assert_eq!(keys(&*store, "log/", Some("log/1"), 2).await, ["log/10", "log/2"]);
    assert_eq!(keys(&*store, "log/", Some("log/15"), 10).await, ["log/2", "log/3"]);
    assert_eq!(keys(&*store, "log/", Some("log/3"), 10).await, [""; 0]);
    assert_eq!(keys(&*store, "log/1", None, 10).await, ["log/1", "log/10"]);
    assert_eq!(keys(&*store, "log", None, 10).await, ["log-x", "log/1", "log/10", "log/2", "log/3", "logs/1"]);
    assert_eq!(keys(&*store, "absent/", None, 10).await, [""; 0]);
    let listed = store.list("log/10", None, 1).await.unwrap();
    assert_eq!(listed[0].size, 6);
    assert!(listed[0].modified.is_some());
}

async fn long_listings_go_on_after_a_key(store: Arc<dyn Store>) {
    const OBJECTS: usize = LISTED_MAX + 30;
    let written: BTreeSet<String> = (0..OBJECTS).map(|number| format!("many/{:05}", number * 7919 % 100_000)).collect();
    for some in written.iter().collect::<Vec<_>>().chunks(64) {
        try_join_all(some.iter().map(|key| store.put(key, Bytes::new()))).await.unwrap();
    }
    let first = keys(&*store, "many/", None, usize::MAX).await;
    assert_eq!(first.len(), LISTED_MAX);
    let rest = keys(&*store, "many/", first.last().map(String::as_str), usize::MAX).await;
    let all: Vec<String> = first.into_iter().chain(rest).collect();
    assert!(all.into_iter().eq(written), "every key once, in order");
}

async fn settling_what_was_read_succeeds(store: Arc<dyn Store>) {
    store.create("domains/d/log/1", body("entry")).await.unwrap();
    store.settle("domains/d/log/1").await.unwrap();
}
