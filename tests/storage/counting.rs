//! What we count is what the server counts.

use meshfs::storage;
use meshfs::telemetry::counters::Verb;

use crate::common::s3::{Fault, Server};
use crate::conformance::noise;

#[tokio::test]
async fn our_counts_are_the_servers() {
    let server = Server::start();
    let settings = server.settings();
    let store = storage::open(&server.url("bucket"), &settings).unwrap();
    store.put("a", noise(1, 1000)).await.unwrap();
    store.create("b", noise(2, 500)).await.unwrap();
    store.create("b", noise(3, 70)).await.unwrap_err();
    store.get("a").await.unwrap();
    store.get("absent").await.unwrap_err();
    store.get_range("a", 10..30).await.unwrap();
    store.get_range("a", 5..5).await.unwrap();
    store.size("a").await.unwrap();
    store.list("", None, 10).await.unwrap();
    let upload = store.upload("c").await.unwrap();
    upload.put_part(0, noise(4, 5 << 20)).await.unwrap();
    upload.put_part(1, noise(5, 9)).await.unwrap();
    upload.complete().await.unwrap();
    store.upload("d").await.unwrap().abort().await.unwrap();
    store.delete("a").await.unwrap();

    let (ours, theirs) = (settings.counters.read(), server.counts());
    let expected = [
        (Verb::Get, 3),
        (Verb::Head, 1),
        (Verb::Put, 1),
        (Verb::Create, 2),
        (Verb::List, 1),
        (Verb::Delete, 1),
        (Verb::Initiate, 2),
        (Verb::Part, 2),
        (Verb::Complete, 1),
        (Verb::Abort, 1),
    ];
    for (verb, count) in expected {
        assert_eq!((ours.of(verb), theirs.of(verb)), (count, count), "{verb:?}");
    }
    assert_eq!(ours.sent_bytes, 1000 + 500 + 70 + (5 << 20) + 9);
    assert_eq!(ours.received_bytes, 1000 + 20);
    // The server also sees the lists that complete an upload, and sends listings and errors.
    assert!(theirs.sent_bytes >= ours.sent_bytes && theirs.sent_bytes < ours.sent_bytes + 1000, "{theirs:?}");
    assert!(theirs.received_bytes >= ours.received_bytes, "{theirs:?}");
}

#[tokio::test]
async fn repeats_count_as_often_as_they_are_sent() {
    let server = Server::start();
    let settings = server.settings();
    let store = storage::open(&server.url("bucket"), &settings).unwrap();
    server.plan(Some(Verb::Put), "a", Fault::Answer(503, "SlowDown"), 2);
    store.put("a", noise(1, 10)).await.unwrap();
    assert_eq!(settings.counters.read().of(Verb::Put), 3);
    assert_eq!(server.counts().of(Verb::Put), 3);
    assert_eq!(settings.counters.read().sent_bytes, 30);
}
