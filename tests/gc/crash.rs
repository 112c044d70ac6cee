//! A collector that stops anywhere: the next run goes on, and nothing that is needed is gone.

use std::sync::Arc;

use meshfs::repo::mesh::Mesh;
use meshfs::storage::Store;

use super::cut::Cut;
use super::lab::*;
use super::repack::mostly_dead;
use super::world::*;

/// The collector's machine stops at its first request, its second, and so on, in the run that condemns and in the one
/// that deletes: after each stop another machine collects to the end.
async fn stop_everywhere(repacks: bool) -> usize {
    let mut stops = 0;
    for deleting in [false, true] {
        for requests in 0.. {
            let (world, a) = aged(0).await;
            let sales = a.sales().await;
            let (pack, kept) = match repacks {
                true => {
                    let (pack, _, kept) = mostly_dead(&a).await;
                    (pack, kept)
                }
                false => {
                    let kept = commit_files(&sales, "main", &[("kept", Some(bytes(1, 9_000)))]).await;
                    let dead = dead_branch(&sales, "exp", bytes(2, 9_000)).await;
                    (pack_of(&sales, &dead).await, kept)
                }
            };
            a.clock.advance(DAY * 40);
            if deleting {
                collect(&sales).await;
                a.clock.advance(DAY * 2);
            }
            let cut = Cut::new(world.base.clone());
            let folder = tempfile::tempdir().unwrap();
            let store: Arc<dyn Store> = cut.clone();
            let mesh = Mesh::open(options(store, folder.path(), a.mesh.sys().clone())).await.unwrap();
            let stopping = mesh.domain(SALES).await.unwrap();
            cut.after(requests);
            let done = cut.run(try_collect(&stopping)).await;
            drop((stopping, mesh));
            for _ in 0..3 {
                a.clock.advance(DAY * 2);
                collect(&sales).await;
            }
            check(&world, &kept).await;
            assert!(!exists(&world, &sales.place().pack_key(&pack)).await, "stopped at request {requests}");
            entries(&world, &sales).await;
            if let Some(done) = done {
                done.unwrap();
                break;
            }
            stops += 1;
        }
    }
    stops
}

#[tokio::test]
async fn a_collector_stops_at_any_request_and_another_goes_on() {
    let stops = stop_everywhere(false).await;
    assert!(stops > 20, "{stops}");
}

#[tokio::test]
async fn a_repacking_collector_stops_at_any_request_and_another_goes_on() {
    let stops = stop_everywhere(true).await;
    assert!(stops > 40, "{stops}");
}
