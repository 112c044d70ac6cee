//! Many writers, one key: what every log stands on. The test server is raced here before anything trusts it.

use std::sync::Arc;

use meshfs::storage::{CreateError, Store};
use tokio::sync::Barrier;

use crate::common::s3::Server;
use crate::conformance::noise;

const WRITERS: usize = 16;

/// Lets writers create one key at once with bodies of their own; one of them wins, the others are told to look, and
/// what they find is the winner's.
pub async fn one_winner(store: &Arc<dyn Store>, key: &str, body_bytes: usize) {
    let bodies: Vec<_> = (0..WRITERS).map(|writer| noise(writer as u64, body_bytes)).collect();
    let barrier = Arc::new(Barrier::new(WRITERS));
    let writers = bodies.iter().map(|body| {
        let (store, key, body, barrier) = (store.clone(), key.to_owned(), body.clone(), barrier.clone());
        tokio::spawn(async move {
            barrier.wait().await;
            store.create(&key, body).await
        })
    });
    let outcomes = futures::future::join_all(writers.collect::<Vec<_>>()).await;
    let mut winners = Vec::new();
    for (writer, outcome) in outcomes.into_iter().enumerate() {
        match outcome.unwrap() {
            Ok(()) => winners.push(writer),
            Err(CreateError::Exists | CreateError::Unknown(_)) => {}
            Err(CreateError::Refused(error)) => panic!("writer {writer} of {key} was refused: {error}"),
        }
    }
    assert_eq!(winners.len(), 1, "winners of {key}: {winners:?}");
    assert!(store.get(key).await.unwrap().bytes == bodies[winners[0]], "{key} has the winner's body");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_test_server_is_atomic_with_small_bodies() {
    let server = Server::start();
    let store = server.store("bucket");
    for round in 0..50 {
        one_winner(&store, &format!("log/{round}"), 300).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_test_server_is_atomic_with_bodies_of_9_mb() {
    let server = Server::start();
    let store = server.store("bucket");
    for round in 0..3 {
        one_winner(&store, &format!("log/{round}"), 9 << 20).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_local_folder_is_atomic_with_big_bodies() {
    let opened = crate::conformance::local();
    one_winner(&opened.store, "log/1", 9 << 20).await;
}
