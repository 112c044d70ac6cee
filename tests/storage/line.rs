//! What a network does to connections, between us and a real server: every call ends, and the store is used again when
//! the network is.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use meshfs::storage::settings::Environment;
use meshfs::storage::{self, CreateError, Store, StoreSettings};
use meshfs::sys::clock::{Clock, SystemClock, within};

use crate::common::proxy::{Link, Proxy};
use crate::common::s3::Server;
use crate::conformance::noise;

/// The server's store through a proxy.
fn through(deadline: Duration) -> (Server, Proxy, Arc<dyn Store>) {
    let server = Server::start();
    let proxy = Proxy::start(server.address());
    let mut pairs = server.environment();
    pairs.push(("AWS_ENDPOINT_URL_S3".to_owned(), proxy.endpoint()));
    let settings = StoreSettings { environment: Environment::from_iter(pairs), deadline, ..StoreSettings::new() };
    let store = storage::open(&server.url("bucket"), &settings).unwrap();
    (server, proxy, store)
}

#[tokio::test]
async fn connections_that_break_in_the_middle_of_a_body_are_read_again() {
    let (server, proxy, store) = through(Duration::from_secs(60));
    let body = noise(1, 3 << 20);
    store.put("a", body.clone()).await.unwrap();
    proxy.set(Link::CutAfter(1 << 20));
    // A range of less than what a connection carries gets through on one of its own.
    for at in [0, 1, 2] {
        let range = (at << 20)..(at << 20) + 700_000;
        let expected = body.slice(range.start as usize..range.end as usize);
        assert!(store.get_range("a", range).await.unwrap() == expected, "{at}");
    }
    assert!(proxy.connections() >= 3);
    proxy.set(Link::Sound);
    assert!(store.get("a").await.unwrap().bytes == body);
    assert_eq!(server.objects("bucket"), [("a".to_owned(), 3 << 20)]);
}

#[tokio::test]
async fn a_network_that_refuses_creates_nothing_and_says_where() {
    let (server, proxy, store) = through(Duration::ZERO);
    store.put("warm", Bytes::new()).await.unwrap();
    proxy.set(Link::Refusing);
    let error = store.get("warm").await.unwrap_err();
    assert!(error.may_pass(), "{error:?}");
    // What is sent on a connection that was open may have arrived; once all of them broke, nobody is found.
    let error = loop {
        match store.create("log/1", noise(1, 100)).await {
            Err(CreateError::Unknown(error)) => assert!(error.may_pass(), "{error:?}"),
            Err(CreateError::Refused(error)) => break error,
            outcome => panic!("{outcome:?}"),
        }
    };
    assert!(error.to_string().contains(&proxy.endpoint()), "{error}");
    proxy.set(Link::Sound);
    store.create("log/1", noise(1, 100)).await.unwrap();
    assert_eq!(server.object("bucket", "log/1").unwrap(), noise(1, 100));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_on_a_silent_or_slow_line_go_on_when_it_moves_again() {
    let (_server, proxy, store) = through(Duration::from_secs(60));
    let body = noise(1, 1 << 20);
    store.put("a", body.clone()).await.unwrap();
    let clock = SystemClock::new();
    for link in [Link::Silent, Link::Trickling(Duration::from_millis(10)), Link::Slow(Duration::from_millis(100))] {
        proxy.set(link);
        let reader = store.clone();
        let reading = tokio::spawn(async move { reader.get("a").await });
        clock.sleep(Duration::from_millis(300)).await;
        proxy.set(Link::Sound);
        let read = within(&clock, Duration::from_secs(30), reading).await.expect("it moves again").unwrap();
        assert!(read.unwrap().bytes == body, "{link:?}");
    }
}
