//! The probe passes every good store, catches bad ones, and leaves nothing behind.

use std::sync::Arc;

use meshfs::storage::fault::{Fault as StoreFault, FaultStore};
use meshfs::storage::probe::{Outcome, Report, probe, probe_reading};
use meshfs::storage::{self, StoreSettings};
use meshfs::sys::Sys;
use meshfs::sys::random::OsRandom;
use meshfs::telemetry::counters::Verb;

use crate::common::s3::{Fault, Server};
use crate::common::scratch::Scratch;
use crate::conformance::{Opened, local, memory, s3, s3_with_prefix};

fn failure(report: &Report) -> &str {
    report.failure().unwrap_or_else(|| panic!("no failure in {report:?}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn good_stores_pass_and_are_left_as_they_were() {
    let all: [fn() -> Opened; 4] = [memory, local, s3, s3_with_prefix];
    for open in all {
        let opened = open();
        let report = probe(&*opened.store, &OsRandom).await;
        let troubled = report.checks.iter().filter(|check| !matches!(check.outcome, Outcome::Good(_)));
        assert_eq!(troubled.count(), 0, "{}: {report:#?}", opened.store.name());
        assert!(report.checks.len() >= 8, "{report:#?}");
        assert!(opened.store.list("", None, 10).await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn no_folder_is_left_behind() {
    let scratch = Scratch::new();
    let store = storage::open(scratch.path().to_str().unwrap(), &StoreSettings::new()).unwrap();
    assert_eq!(probe(&*store, &OsRandom).await.failure(), None);
    assert_eq!(std::fs::read_dir(scratch.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn reading_only_writes_nothing() {
    let server = Server::start();
    let report = probe_reading(&*server.store("bucket")).await;
    assert_eq!(report.failure(), None);
    let counts = server.counts();
    assert_eq!((counts.puts(), counts.of(Verb::Delete)), (0, 0));
}

#[tokio::test]
async fn a_store_that_hides_absence_behind_403_is_refused() {
    let server = Server::start();
    let store = server.store("bucket");
    server.plan(Some(Verb::Get), "probe/", Fault::Answer(403, "AccessDenied"), usize::MAX);
    let report = probe(&*store, &OsRandom).await;
    assert!(failure(&report).contains("s3:ListBucket"), "{report:#?}");
    assert_eq!(server.counts().puts(), 0, "nothing is written to a store that cannot be read");
}

#[tokio::test]
async fn a_read_only_store_is_told_apart() {
    let server = Server::start();
    let store = server.store("bucket");
    for verb in [Verb::Put, Verb::Create, Verb::Delete] {
        server.plan(Some(verb), "", Fault::Answer(403, "AccessDenied"), usize::MAX);
    }
    assert_eq!(probe_reading(&*store).await.failure(), None);
    let report = probe(&*store, &OsRandom).await;
    assert!(failure(&report).contains("--read-only"), "{report:#?}");
}

#[tokio::test]
async fn a_store_without_conditional_puts_is_refused() {
    let server = Server::start();
    let store = server.store("bucket");
    server.plan(Some(Verb::Create), "", Fault::Answer(501, "NotImplemented"), usize::MAX);
    let report = probe(&*store, &OsRandom).await;
    assert!(failure(&report).contains("501 NotImplemented"), "{report:#?}");
    assert!(server.objects("bucket").is_empty());
}

#[tokio::test]
async fn a_clock_that_is_wrong_is_named() {
    let server = Server::start();
    let store = server.store("bucket");
    server.set_clock_offset_seconds(-7200);
    let report = probe(&*store, &OsRandom).await;
    assert!(failure(&report).contains("ahead of the store's"), "{report:#?}");
    server.set_clock_offset_seconds(300);
    assert_eq!(probe(&*store, &OsRandom).await.failure(), None);
}

#[tokio::test]
async fn rules_that_remove_objects_are_found() {
    let server = Server::start();
    let store = server.store("bucket");
    server.set_expiry_days("bucket", 30);
    let report = probe(&*store, &OsRandom).await;
    assert!(failure(&report).contains("lifecycle rule"), "{report:#?}");
}

#[tokio::test]
async fn wrong_bytes_are_noticed() {
    let store = FaultStore::new(memory().store, Sys::simulated(0, 1).0);
    store.plan(Verb::Get, "b-put", StoreFault::WrongBytes, 1);
    let report = probe(&store, &OsRandom).await;
    assert!(failure(&report).contains("other bytes"), "{report:#?}");
}

#[tokio::test]
async fn lost_answers_do_not_make_a_good_store_bad() {
    let store = FaultStore::new(memory().store, Sys::simulated(0, 1).0);
    store.plan(Verb::Create, "a-created", StoreFault::LostReply, 1);
    store.plan(Verb::Create, "c-raced", StoreFault::LostReply, 1);
    let report = probe(&store, &OsRandom).await;
    assert_eq!(report.failure(), None, "{report:#?}");
    assert!(Arc::new(store).struck().len() >= 2);
}
