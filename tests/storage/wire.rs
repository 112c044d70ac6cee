//! Faults between us and a real server: what is repeated, what never is, and what the caller is told.

use std::time::Duration;

use bytes::Bytes;
use meshfs::storage::{self, CreateError, StoreError, StoreSettings};
use meshfs::sys::clock::{Clock, SystemClock};
use meshfs::telemetry::counters::Verb;

use crate::common::s3::{Fault, Server};
use crate::conformance::noise;

fn one_try(server: &Server) -> StoreSettings {
    StoreSettings { deadline: Duration::ZERO, ..server.settings() }
}

#[tokio::test]
async fn a_create_is_sent_exactly_once_whatever_happens_to_it() {
    for fault in [
        Fault::LostReply,
        Fault::Broken,
        Fault::Answer(500, "InternalError"),
        Fault::Answer(503, "SlowDown"),
        Fault::Answer(409, "ConditionalRequestConflict"),
        // A success that is not one of a put: only reading back tells.
        Fault::Answer(200, "InternalError"),
    ] {
        let server = Server::start();
        let store = server.store("bucket");
        // A connection that is open already is where a client is tempted to send again.
        store.put("warm", Bytes::new()).await.unwrap();
        server.plan(Some(Verb::Create), "log/1", fault, 1);
        let outcome = store.create("log/1", noise(1, 300)).await;
        assert!(matches!(outcome, Err(CreateError::Unknown(_))), "{fault:?}: {outcome:?}");
        assert_eq!(server.counts().of(Verb::Create), 1, "{fault:?}");
        let landed = server.object("bucket", "log/1");
        assert_eq!(landed.is_some(), matches!(fault, Fault::LostReply), "{fault:?}");
    }
}

#[tokio::test]
async fn the_writer_of_a_lost_reply_finds_its_own_body() {
    let server = Server::start();
    let store = server.store("bucket");
    server.plan(Some(Verb::Create), "log/1", Fault::LostReply, 1);
    let body = noise(1, 300);
    store.create("log/1", body.clone()).await.unwrap_err();
    assert_eq!(store.get("log/1").await.unwrap().bytes, body);
    assert_eq!(store.create("log/1", body).await, Err(CreateError::Exists), "sent again it seems another's");
}

#[tokio::test]
async fn what_may_pass_is_tried_until_it_does() {
    let server = Server::start();
    let store = server.store("bucket");
    let body = noise(1, 100_000);
    for fault in [Fault::Answer(503, "SlowDown"), Fault::Answer(500, ""), Fault::Broken, Fault::LostReply] {
        for verb in [Verb::Put, Verb::Get, Verb::Head, Verb::List, Verb::Delete] {
            server.plan(Some(verb), "", fault, 2);
        }
        let before = server.counts();
        store.put("a", body.clone()).await.unwrap();
        assert_eq!(store.get("a").await.unwrap().bytes, body);
        assert_eq!(store.size("a").await.unwrap(), 100_000);
        assert_eq!(store.list("", None, 5).await.unwrap().len(), 1);
        store.delete("a").await.unwrap();
        assert_eq!((server.counts() - before).total(), 15, "{fault:?}");
    }
}

#[tokio::test]
async fn a_body_that_breaks_off_is_read_again() {
    let server = Server::start();
    let store = server.store("bucket");
    let body = noise(1, 3 << 20);
    store.put("a", body.clone()).await.unwrap();
    server.plan(Some(Verb::Get), "a", Fault::CutBody, 2);
    assert!(store.get("a").await.unwrap().bytes == body);
    assert_eq!(server.counts().of(Verb::Get), 3);
    server.plan(Some(Verb::Get), "a", Fault::CutBody, 1);
    assert!(store.get_range("a", 7..1 << 20).await.unwrap() == body.slice(7..1 << 20));
}

#[tokio::test]
async fn an_upload_survives_faults_at_each_of_its_requests() {
    for fault in [Fault::LostReply, Fault::Broken, Fault::Answer(503, "SlowDown")] {
        let server = Server::start();
        let store = server.store("bucket");
        for verb in [Verb::Initiate, Verb::Part, Verb::Complete] {
            server.plan(Some(verb), "packs/1", fault, 1);
        }
        let parts = [noise(1, 5 << 20), noise(2, 1000)];
        let upload = store.upload("packs/1").await.unwrap();
        for (index, part) in parts.iter().enumerate() {
            upload.put_part(index, part.clone()).await.unwrap();
        }
        upload.complete().await.unwrap();
        assert!(store.get("packs/1").await.unwrap().bytes == parts.concat(), "{fault:?}");
        assert_eq!(server.counts().of(Verb::Complete), 2, "{fault:?}");
    }
}

#[tokio::test]
async fn a_slow_answer_is_waited_for() {
    let server = Server::start();
    let store = storage::open(&server.url("bucket"), &one_try(&server)).unwrap();
    server.plan(Some(Verb::Put), "a", Fault::Slow(Duration::from_millis(300)), 1);
    store.put("a", noise(1, 10)).await.unwrap();
    assert_eq!(server.counts().of(Verb::Put), 1);
}

#[tokio::test]
async fn a_store_that_went_away_and_came_back_is_used_again() {
    let server = Server::start();
    let impatient = storage::open(&server.url("bucket"), &one_try(&server)).unwrap();
    let patient = server.store("bucket");
    impatient.put("a", noise(1, 10)).await.unwrap();
    server.set_away(true);
    assert!(impatient.get("a").await.unwrap_err().may_pass());
    let waiting = tokio::spawn(async move { patient.get("a").await });
    SystemClock::new().sleep(Duration::from_millis(200)).await;
    server.set_away(false);
    assert_eq!(waiting.await.unwrap().unwrap().bytes, noise(1, 10));
    impatient.get("a").await.unwrap();
}

#[tokio::test]
async fn the_deadline_ends_the_repeats_and_says_how_many_there_were() {
    let server = Server::start();
    let settings = StoreSettings { deadline: Duration::from_millis(400), ..server.settings() };
    let store = storage::open(&server.url("bucket"), &settings).unwrap();
    server.plan(None, "", Fault::Answer(503, "SlowDown"), usize::MAX);
    let error = store.get("a").await.unwrap_err();
    let tries = server.counts().of(Verb::Get);
    assert!(tries > 1);
    assert!(matches!(&error, StoreError::Unavailable { .. }));
    let text = error.to_string();
    assert!(text.contains("503 SlowDown") && text.contains(&format!("tried {tries} times")), "{text}");
}

#[tokio::test]
async fn what_will_not_pass_is_not_repeated() {
    let server = Server::start();
    let store = server.store("bucket");
    server.plan(Some(Verb::Get), "a", Fault::Answer(403, "AccessDenied"), usize::MAX);
    assert!(matches!(store.get("a").await, Err(StoreError::Denied { .. })));
    assert!(store.get("b").await.unwrap_err().is_not_found());
    assert_eq!(server.counts().of(Verb::Get), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_more_requests_are_under_way_than_allowed() {
    let server = Server::start();
    server.set_latency(Duration::from_millis(5));
    let settings = StoreSettings { concurrency: 3, ..server.settings() };
    let store = storage::open(&server.url("bucket"), &settings).unwrap();
    let puts = (0..40).map(|number| {
        let store = store.clone();
        tokio::spawn(async move { store.put(&number.to_string(), Bytes::new()).await })
    });
    for put in puts.collect::<Vec<_>>() {
        put.await.unwrap().unwrap();
    }
    assert_eq!(server.objects("bucket").len(), 40);
    assert_eq!(server.under_way_most(), 3);
}

#[tokio::test]
async fn the_stores_clock_is_read_from_every_answer() {
    let server = Server::start();
    let store = server.store("bucket");
    assert_eq!(store.clock_skew(), None, "before the first answer");
    for (offset, answer) in [(0, "success"), (3600, "absence"), (-86_400, "success")] {
        server.set_clock_offset_seconds(offset);
        match answer {
            "success" => drop(store.list("", None, 1).await.unwrap()),
            _ => drop(store.get("absent").await.unwrap_err()),
        }
        let skew = store.clock_skew().unwrap() as f64 / 1e9;
        assert!((skew - offset as f64).abs() < 30.0, "{offset}: {skew}");
    }
}

#[tokio::test]
async fn a_pause_that_the_store_asks_for_is_kept() {
    let server = Server::start();
    server.plan(Some(Verb::Get), "a", Fault::ComeBack(3600), 1);
    let store = storage::open(&server.url("bucket"), &one_try(&server)).unwrap();
    let error = store.get("a").await.unwrap_err();
    let hour = Some(Duration::from_secs(3600));
    assert!(matches!(&error, StoreError::Unavailable { retry_after, .. } if *retry_after == hour), "{error:?}");
}

/// A listing that lags, bytes that are wrong: nothing here can tell. Whoever reads checks what it reads by its id, and
/// looks behind the newest entry that a listing names.
#[tokio::test]
async fn what_only_a_reader_can_notice_is_passed_on() {
    let server = Server::start();
    let store = server.store("bucket");
    for key in ["log/1", "log/2"] {
        store.put(key, noise(1, 100)).await.unwrap();
    }
    server.plan(Some(Verb::List), "", Fault::LaggingList, 1);
    assert_eq!(store.list("log/", None, 9).await.unwrap().len(), 1);
    assert_eq!(store.list("log/", None, 9).await.unwrap().len(), 2);
    server.plan(Some(Verb::Get), "log/1", Fault::WrongBytes, 1);
    assert_ne!(store.get("log/1").await.unwrap().bytes, noise(1, 100));
    assert_eq!(store.get("log/1").await.unwrap().bytes, noise(1, 100));
}
