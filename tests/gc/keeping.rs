//! What a run keeps, what it says, and what it leaves alone.

use meshfs::model::gc::Freed;
use meshfs::model::log::TableRef;
use meshfs::repo::error::RepoError;
use meshfs::repo::fsck;
use meshfs::telemetry::counters::Verb;

use super::lab::*;
use super::world::*;

/// Unreachable is not enough: condemned, fenced, and a day later deleted; readers have until then.
#[tokio::test]
async fn what_nothing_leads_to_goes_after_the_grace() {
    let (world, a) = aged(0).await;
    let sales = a.sales().await;
    let kept = commit_files(&sales, "main", &[("kept", Some(bytes(1, 30_000)))]).await;
    let dead = dead_branch(&sales, "exp", bytes(2, 30_000)).await;
    let pack = sales.place().pack_key(&pack_of(&sales, &dead).await);
    let size = world.base.size(&pack).await.unwrap();
    assert_eq!(collect(&sales).await.condemned, Freed::default(), "everything is young");

    a.clock.advance(DAY * 40);
    let report = collect(&sales).await;
    assert_eq!(report.condemned, Freed { packs: 1, records: 0, bytes: size });
    assert_eq!((report.epoch, report.deleted), (1, Freed::default()));

    // A reader in the old snapshot goes on through the grace.
    let reader = world.machine(2).await.sales().await;
    let snapshot = reader.snapshot(&dead).await.unwrap();
    let report = collect(&sales).await;
    assert_eq!((report.pending.packs, report.condemned, report.deleted), (1, Freed::default(), Freed::default()));
    assert_eq!(fsck::check(&snapshot, true, &|_| {}).await.damaged.len(), 0);

    a.clock.advance(DAY * 2);
    let report = collect(&sales).await;
    assert_eq!(report.deleted, Freed { packs: 1, records: 0, bytes: size });
    assert!(!exists(&world, &pack).await);
    check(&world, &kept).await;
    assert_eq!(collect(&sales).await.deleted, Freed::default());
    // After it, it is told that it is gone: an error, never other bytes.
    reader.objects().shared().forget_memory();
    let late = world.machine(3).await.sales().await;
    assert!(matches!(late.snapshot(&dead).await.unwrap_err(), RepoError::Expired { .. }));
}

/// A dry run tells the same and writes nothing.
#[tokio::test]
async fn a_dry_run_tells_and_changes_nothing() {
    let (world, a) = aged(0).await;
    let sales = a.sales().await;
    dead_branch(&sales, "exp", bytes(2, 30_000)).await;
    a.clock.advance(DAY * 40);
    let before = (keys(&world, &sales, "").await, a.counters.read());
    let told = collect_dry(&sales).await;
    assert!(told.dry_run);
    let spent = a.counters.read() - before.1;
    assert_eq!((spent.puts(), spent.of(Verb::Delete)), (0, 0));
    assert_eq!(keys(&world, &sales, "").await, before.0);
    assert_eq!(collect(&sales).await.condemned, told.condemned);
    a.clock.advance(DAY * 2);
    let told = collect_dry(&sales).await;
    assert_eq!(told.deleted.packs, 1);
    assert_eq!(collect(&sales).await.deleted, told.deleted);
}

/// Nothing to condemn: no list, no fence.
#[tokio::test]
async fn a_clean_domain_gets_no_fence() {
    let (world, a) = aged(0).await;
    let sales = a.sales().await;
    let kept = commit_files(&sales, "main", &[("d/kept", Some(bytes(1, 30_000)))]).await;
    a.clock.advance(DAY * 40);
    let seq = sales.state().seq;
    let report = collect(&sales).await;
    assert_eq!((report.epoch, sales.state().seq), (0, seq));
    assert_eq!(keys(&world, &sales, "gc/").await.len(), 0);
    check(&world, &kept).await;
}

/// What cannot be read may lead anywhere: the run ends, and everything stays.
#[tokio::test]
async fn damage_stops_a_run_before_it_condemns() {
    let (world, a) = aged(0).await;
    let sales = a.sales().await;
    let lost = commit_files(&sales, "main", &[("d/kept", Some(bytes(1, 30_000)))]).await;
    dead_branch(&sales, "exp", bytes(2, 30_000)).await;
    a.clock.advance(DAY * 40);
    world.base.delete(&sales.place().pack_key(&pack_of(&sales, &lost).await)).await.unwrap();
    let collector = world.machine(2).await;
    collector.clock.advance(DAY * 80);
    let error = try_collect(&collector.sales().await).await.unwrap_err();
    assert!(matches!(error, RepoError::Damaged { .. }), "{error}");
    assert_eq!(keys(&world, &sales, "gc/").await.len(), 0);
}

/// A table of refs in a pack of its own is a root, however old: without it the domain has no refs.
#[tokio::test]
async fn tables_of_refs_stay() {
    let (world, a) = aged(0).await;
    let sales = a.sales().await;
    let head = head_of(&sales, "main").await.1;
    for number in 0..200 {
        sales.create_tag(&format!("v{number:0>100}"), &head).await.unwrap();
    }
    let log = entries(&world, &sales).await;
    assert!(log.iter().any(|entry| matches!(entry.table, TableRef::Packed { .. })));
    dead_branch(&sales, "exp", bytes(2, 30_000)).await;
    a.clock.advance(DAY * 400);
    assert!(collect(&sales).await.condemned.packs > 0);
    a.clock.advance(DAY * 2);
    assert!(collect(&sales).await.deleted.packs > 0);
    assert!(*world.machine(2).await.sales().await.state() == *sales.state());
}
