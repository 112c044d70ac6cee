//! A collector that stops anywhere: the next run goes on, and nothing that is needed is gone.

use std::sync::Arc;

use meshfs::repo::mesh::Mesh;
use meshfs::storage::Store;

use super::cut::Cut;
use super::lab::*;
use super::world::*;

/// The collector's machine stops at its first request, its second, and so on: after each stop another machine collects
/// to the end.
#[tokio::test]
async fn a_collector_stops_at_any_request_and_another_goes_on() {
    let mut stops = 0;
    // Condemning and deleting are two runs: each is cut.
    for deleting in [false, true] {
        for requests in 0.. {
            let (world, a) = aged(0).await;
            let sales = a.sales().await;
            let kept = commit_files(&sales, "main", &[("kept", Some(bytes(1, 9_000)))]).await;
            let dead = dead_branch(&sales, "exp", bytes(2, 9_000)).await;
            let pack = pack_of(&sales, &dead).await;
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
            for _ in 0..2 {
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
    assert!(stops > 20, "{stops}");
}
