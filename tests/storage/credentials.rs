//! Credentials that expire while a store is in use: the next ones are taken up by themselves, from wherever they come.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use meshfs::storage::settings::Environment;
use meshfs::storage::{self, CreateError, Store, StoreError, StoreSettings};
use meshfs::telemetry::counters::Verb;

use crate::common::s3::{Fault, Server};
use crate::common::scratch::Scratch;

/// The bucket with nothing in the environment but these, and where it is.
fn store(server: &Server, pairs: &[(&str, &str)]) -> Arc<dyn Store> {
    store_trying(server, pairs, Duration::from_secs(60))
}

fn store_trying(server: &Server, pairs: &[(&str, &str)], deadline: Duration) -> Arc<dyn Store> {
    let mut pairs: Vec<_> = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    pairs.push(("AWS_ENDPOINT_URL".to_owned(), server.endpoint()));
    let environment = Environment::from_iter(pairs);
    let settings = StoreSettings { environment, deadline, ..StoreSettings::new() };
    storage::open(&server.url("bucket"), &settings).unwrap()
}

fn write_profile(home: &Path, (access_key, secret_key): (String, String)) {
    let folder = home.join(".aws");
    std::fs::create_dir_all(&folder).unwrap();
    let text = format!("[default]\naws_access_key_id={access_key}\naws_secret_access_key={secret_key}\n");
    std::fs::write(folder.join("credentials"), text).unwrap();
}

/// Each kind of call on a store whose keys have expired and are at hand anew.
async fn every_call_takes_up_new_keys(server: &Server, store: &dyn Store, mut renew: impl FnMut()) {
    store.put("a", Bytes::from_static(b"before")).await.unwrap();
    renew();
    assert_eq!(store.get("a").await.unwrap().bytes, "before");
    renew();
    assert_eq!(store.get_range("a", 0..3).await.unwrap(), "bef");
    renew();
    assert_eq!(store.size("a").await.unwrap(), 6);
    renew();
    assert_eq!(store.list("", None, 9).await.unwrap().len(), 1);
    renew();
    store.put("b", Bytes::new()).await.unwrap();
    renew();
    store.create("c", Bytes::from_static(b"mine")).await.unwrap();
    assert_eq!(server.object("bucket", "c").unwrap(), b"mine");
    renew();
    let upload = store.upload("d").await.unwrap();
    renew();
    // Turned away before its body was read, a request may seem to be cut off: then it is repeated.
    upload.put_part(0, Bytes::from(vec![1; 5 << 20])).await.unwrap();
    renew();
    upload.complete().await.unwrap();
    renew();
    store.delete("b").await.unwrap();
    assert_eq!(server.objects("bucket").len(), 3);
}

#[tokio::test]
async fn a_profile_that_was_written_anew_is_read_again() {
    let (server, scratch) = (Server::start(), Scratch::new());
    write_profile(scratch.path(), server.renew_keys());
    let store = store(&server, &[("HOME", scratch.path().to_str().unwrap())]);
    every_call_takes_up_new_keys(&server, &*store, || write_profile(scratch.path(), server.renew_keys())).await;
}

/// The endpoint said that its keys are good for hours, and they are not: asked again, it has others.
#[tokio::test]
async fn an_endpoint_is_asked_again_when_its_keys_are_turned_away() {
    let (server, scratch) = (Server::start(), Scratch::new());
    let token = scratch.join("token");
    std::fs::write(&token, "token").unwrap();
    let url = server.keys_url();
    let pairs = [
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", url.as_str()),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", token.to_str().unwrap()),
    ];
    let store = store(&server, &pairs);
    every_call_takes_up_new_keys(&server, &*store, || drop(server.renew_keys())).await;
    assert_eq!(server.keys_handed_out(), 11, "once for each renewal, and at first");
}

#[tokio::test]
async fn until_there_are_new_keys_every_call_says_so_at_once_and_creates_nothing() {
    let (server, scratch) = (Server::start(), Scratch::new());
    write_profile(scratch.path(), server.renew_keys());
    let store = store(&server, &[("HOME", scratch.path().to_str().unwrap())]);
    store.put("a", Bytes::new()).await.unwrap();
    let next = server.renew_keys();
    for _ in 0..3 {
        let error = store.get("a").await.unwrap_err();
        assert!(matches!(error, StoreError::NoCredentials { .. }), "{error:?}");
        let text = error.to_string();
        assert!(text.contains("ExpiredToken") && text.contains("read again"), "{text}");
        let created = store.create("log/1", Bytes::new()).await;
        assert!(matches!(created, Err(CreateError::Refused(StoreError::NoCredentials { .. }))), "{created:?}");
    }
    assert_eq!(server.objects("bucket").len(), 1);
    write_profile(scratch.path(), next);
    store.create("log/1", Bytes::new()).await.unwrap();
}

#[tokio::test]
async fn a_token_that_expired_is_told_by_any_of_its_names() {
    let (server, scratch) = (Server::start(), Scratch::new());
    write_profile(scratch.path(), server.renew_keys());
    let store = store(&server, &[("HOME", scratch.path().to_str().unwrap())]);
    store.put("a", Bytes::new()).await.unwrap();
    for (status, code) in [(403, "ExpiredToken"), (400, "ExpiredToken"), (403, "InvalidAccessKeyId"), (401, "")] {
        let before = server.counts();
        server.plan(Some(Verb::Get), "a", Fault::Answer(status, code), 1);
        store.get("a").await.unwrap();
        assert_eq!((server.counts() - before).of(Verb::Get), 2, "{status} {code}");
    }
}

/// Rights are another matter than keys: nothing is asked twice.
#[tokio::test]
async fn a_denial_renews_nothing() {
    let server = Server::start();
    let store = server.store("bucket");
    store.put("a", Bytes::new()).await.unwrap();
    server.plan(Some(Verb::Get), "a", Fault::Answer(403, "AccessDenied"), 1);
    let before = server.counts();
    assert!(matches!(store.get("a").await, Err(StoreError::Denied { .. })));
    assert_eq!((server.counts() - before).of(Verb::Get), 1);
}

/// Whoever handed keys out before and does not answer now may answer again.
#[tokio::test]
async fn an_endpoint_that_is_away_for_a_while_may_pass() {
    let (server, scratch) = (Server::start(), Scratch::new());
    let token = scratch.join("token");
    std::fs::write(&token, "token").unwrap();
    let url = server.keys_url();
    let pairs = [
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", url.as_str()),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", token.to_str().unwrap()),
    ];
    let store = store_trying(&server, &pairs, Duration::ZERO);
    store.put("a", Bytes::new()).await.unwrap();
    server.renew_keys();
    server.plan(None, "/latest/keys", Fault::Answer(503, "Busy"), 1);
    let error = store.get("a").await.unwrap_err();
    assert!(error.may_pass() && error.to_string().contains("credentials"), "{error}");
    store.get("a").await.unwrap();
}
