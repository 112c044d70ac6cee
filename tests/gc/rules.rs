//! The interleavings that lose data without one of the rules, each through the real code. Names as in the protocol's
//! list of broken rules.

use std::sync::Arc;

use futures::FutureExt;
use meshfs::model::log::Operation;
use meshfs::repo::commit::{CommitOutcome, land};
use meshfs::repo::domain::{Domain, Proposal, Proposed, Sent};
use meshfs::repo::error::RepoError;
use meshfs::repo::mesh::Mesh;
use meshfs::repo::upload::Upload;
use meshfs::storage::Store;
use meshfs::storage::fault::Fault;
use meshfs::telemetry::counters::Verb;

use super::lab::*;
use super::watched::Watched;
use super::world::*;

/// A machine whose creates can be watched, with a clock that shows what `like` shows.
pub async fn watched(world: &World, like: &Machine) -> (Domain, Arc<Watched>) {
    let watched = Watched::new(world.base.clone());
    let store: Arc<dyn Store> = watched.clone();
    let folder = tempfile::tempdir().unwrap().keep();
    let mesh = Mesh::open(options(store, &folder, like.mesh.sys().clone())).await.unwrap();
    (mesh.domain(SALES).await.unwrap(), watched)
}

/// Runs `what` once, before the first create of a key that has `within` in it.
pub fn before_create(store: &Watched, within: &'static str, what: impl Future<Output = ()> + Send + 'static) {
    let mut what = Some(what.boxed());
    store.before_create(move |key, _| match what.take_if(|_| key.contains(within)) {
        Some(what) => what,
        None => std::future::ready(()).boxed(),
    });
}

/// A writer sleeps with its packs sent and its record put; a collection condemns both. Awake, it is told, sends all
/// again under new names, and lands (M3, M5, M6, M8, W1, W8).
#[tokio::test]
async fn a_writer_that_slept_through_a_fence_sends_again() {
    let (world, a) = aged(0).await;
    let sales = a.sales().await;
    let (main, head) = head_of(&sales, "main").await;
    let sleeper = world.machine(2).await;
    let asleep = sleeper.sales().await;
    let mut upload = Upload::begin(&asleep, None);
    let request = stage(&asleep, &mut upload, &main, &head, &[("late", Some(bytes(1, 50_000)))]).await;
    upload.finish().await.unwrap();
    let stray = write_record(&asleep, &head, "never landed", 2).await;
    let sent = upload.packs();
    assert_eq!(sent.len(), 1);

    a.clock.advance(DAY * 8);
    let report = collect(&sales).await;
    assert_eq!((report.condemned.packs, report.condemned.records), (1, 1));

    // It wakes up before or after the deletion: either way the names are dead.
    let outcome = land(&asleep, &mut upload, &request).await.unwrap();
    let CommitOutcome::Condemned { packs } = outcome else { panic!("{outcome:?}") };
    assert_eq!(packs, [sent[0].name]);
    let state = asleep.state();
    let change = state.change(Operation::Commit, &main, Some(stray.id)).unwrap();
    let records = vec![Sent { name: stray.id, epoch: 0 }];
    let proposal = Proposal { changes: vec![change], records, ..Proposal::default() };
    let answer = asleep.propose(&state, proposal).await.unwrap();
    assert!(matches!(&answer, Proposed::Condemned { records, .. } if *records == [stray.id]), "{answer:?}");

    let landed = commit_files(&asleep, "main", &[("late", Some(bytes(1, 50_000)))]).await;
    assert_ne!(pack_of(&asleep, &landed).await, sent[0].name);
    a.clock.advance(DAY * 2);
    let report = collect(&sales).await;
    assert_eq!((report.deleted.packs, report.deleted.records), (1, 1));
    assert!(!exists(&world, &sales.place().record_key(&stray.id)).await);
    check(&world, &landed).await;
}

/// What was sent long ago lands between the mark and the fence: the second mark, from the fence, spares it (M4).
#[tokio::test]
async fn what_lands_between_mark_and_fence_is_spared() {
    let (world, a) = aged(0).await;
    let sales = a.sales().await;
    let (main, head) = head_of(&sales, "main").await;
    let sleeper = world.machine(2).await;
    let asleep = sleeper.sales().await;
    let mut upload = Upload::begin(&asleep, None);
    let request = stage(&asleep, &mut upload, &main, &head, &[("late", Some(bytes(1, 50_000)))]).await;
    upload.finish().await.unwrap();
    let pack = upload.packs()[0].name;
    a.clock.advance(DAY * 8);

    let (collector, store) = watched(&world, &a).await;
    let (told, landed) = tokio::sync::oneshot::channel();
    before_create(&store, "/gc/", async move {
        match land(&asleep, &mut upload, &request).await.unwrap() {
            CommitOutcome::Landed(landed) => told.send(landed.commit.id).unwrap(),
            other => panic!("{other:?}"),
        }
    });
    let report = collect(&collector).await;
    assert_eq!(report.condemned.packs, 1, "it was not marked");
    let landed = landed.await.unwrap();
    assert!(sales.condemned(&[Sent { name: pack, epoch: 0 }], &[], 1).await.unwrap().0.contains(&pack));
    a.clock.advance(DAY * 2);
    let report = collect(&collector).await;
    assert_eq!(report.deleted.packs, 0, "the state at the fence leads to it");
    check(&world, &landed).await;
}

/// A branch deleted before the horizon is no source any more, however well its record can be read; one deleted since
/// is, and then stays (W2, W9).
#[tokio::test]
async fn a_dead_commit_is_taken_up_before_the_horizon_passes_and_not_after() {
    let (world, a) = aged(0).await;
    let sales = a.sales().await;
    let dead = dead_branch(&sales, "exp", bytes(1, 50_000)).await;
    a.clock.advance(DAY * 20);
    commit_files(&sales, "main", &[("x", Some(bytes(2, 100)))]).await;
    collect(&sales).await;
    sales.create_branch("again", &dead).await.unwrap();
    let (again, _) = head_of(&sales, "again").await;
    check(&world, &dead).await;
    sales.delete_branch(&again, &dead).await.unwrap();

    a.clock.advance(DAY * 40);
    let report = collect(&sales).await;
    assert!(report.condemned.packs > 0);
    let error = sales.create_branch("once-more", &dead).await.unwrap_err();
    assert!(matches!(error, RepoError::Expired { .. }), "{error}");
    a.clock.advance(DAY * 2);
    assert!(collect(&sales).await.deleted.packs > 0);
    assert!(exists(&world, &sales.place().record_key(&dead)).await, "records of landed commits stay");
    let error = world.machine(5).await.sales().await.snapshot(&dead).await.unwrap_err();
    assert!(matches!(error, RepoError::Expired { .. }), "{error}");
}

/// Two machines sent the same content: equal ids in two packs, both of which stay (M7).
#[tokio::test]
async fn equal_content_in_two_packs_keeps_both() {
    let (world, a) = aged(0).await;
    let sales = a.sales().await;
    let head = head_of(&sales, "main").await.1;
    sales.create_branch("exp", &head).await.unwrap();
    let file = bytes(1, 50_000);
    let one = commit_files(&sales, "main", &[("d/f", Some(file.clone()))]).await;
    let other = commit_files(&world.machine(2).await.sales().await, "exp", &[("d/f", Some(file))]).await;
    let roots = (sales.record(&one).await.unwrap(), sales.record(&other).await.unwrap());
    assert_eq!(roots.0.root, roots.1.root);
    assert_ne!(roots.0.root_location.pack, roots.1.root_location.pack);
    a.clock.advance(DAY * 40);
    dead_branch(&sales, "gone", bytes(3, 9_000)).await;
    a.clock.advance(DAY * 40);
    assert!(collect(&sales).await.condemned.packs > 0);
    a.clock.advance(DAY * 2);
    collect(&sales).await;
    check(&world, &one).await;
    check(&world, &other).await;
}

/// Two collectors want one epoch: the later takes the next one, and both fences stand (W4).
#[tokio::test]
async fn two_collectors_do_not_share_a_list() {
    let (world, a) = aged(0).await;
    let sales = a.sales().await;
    let dead = dead_branch(&sales, "exp", bytes(1, 9_000)).await;
    let pack = pack_of(&sales, &dead).await;
    a.clock.advance(DAY * 40);
    let (slow, store) = watched(&world, &a).await;
    let fast = sales.clone();
    before_create(&store, "/gc/", async move { drop(collect(&fast).await) });
    let report = collect(&slow).await;
    assert_eq!(report.epoch, 2);
    let fences: Vec<_> = entries(&world, &sales).await.iter().map(|entry| entry.fence.epoch).collect();
    assert_eq!(fences[fences.len() - 3..], [0, 1, 2]);
    a.clock.advance(DAY * 2);
    collect(&sales).await;
    assert!(!exists(&world, &sales.place().pack_key(&pack)).await);
}

/// A collector that comes to its fence after a newer one drops its run: fences never go back (W3).
#[tokio::test]
async fn a_collector_that_was_overtaken_drops_its_run() {
    let (world, a) = aged(0).await;
    let sales = a.sales().await;
    dead_branch(&sales, "exp", bytes(1, 9_000)).await;
    a.clock.advance(DAY * 40);
    let (slow, store) = watched(&world, &a).await;
    let fast = sales.clone();
    before_create(&store, "/log/", async move { drop(collect(&fast).await) });
    let report = collect(&slow).await;
    assert_eq!((report.epoch, report.condemned.packs), (0, 0), "nothing of this run counts");
    let newest = entries(&world, &sales).await.pop().unwrap();
    assert_eq!(newest.fence.epoch, 2, "gc/1 was the slow one's");
    assert_eq!(keys(&world, &sales, "gc/").await.len(), 2);
}

/// The reply of `gc/<epoch>` is lost, and that of the fence: both are read back, and are the collector's own.
#[tokio::test]
async fn lost_replies_are_read_back() {
    let (world, a) = aged(0).await;
    let sales = a.sales().await;
    dead_branch(&sales, "exp", bytes(1, 9_000)).await;
    a.clock.advance(DAY * 40);
    a.faults.plan(Verb::Create, "/gc/", Fault::LostReply, 1);
    a.faults.plan(Verb::Create, "/log/", Fault::LostReply, 1);
    let report = collect(&sales).await;
    assert_eq!(report.epoch, 1);
    assert_eq!(keys(&world, &sales, "gc/").await.len(), 1);
    assert_eq!(a.faults.struck().len(), 2);
}

/// A fence whose outcome nobody saw is settled by the next process, from what this machine stored.
#[tokio::test]
async fn a_fence_on_its_way_is_settled_by_the_next_process() {
    let (world, a) = aged(0).await;
    let sales = a.sales().await;
    let dead = dead_branch(&sales, "exp", bytes(1, 9_000)).await;
    let pack = pack_of(&sales, &dead).await;
    a.clock.advance(DAY * 40);
    a.faults.plan(Verb::Create, "/log/", Fault::Timeout, 1_000_000);
    let error = try_collect(&sales).await.unwrap_err();
    assert!(matches!(error, RepoError::OutcomeUnknown { .. }), "{error}");
    drop(sales);
    let a = a.restart().await;
    a.faults.calm();
    let sales = a.sales().await;
    commit_files(&sales, "main", &[("x", Some(bytes(2, 100)))]).await;
    assert_eq!(sales.state().fence.epoch, 1, "the attempt went first");
    a.clock.advance(DAY * 2);
    collect(&sales).await;
    assert!(!exists(&world, &sales.place().pack_key(&pack)).await);
}

/// A branch deleted and made again: what its first life had goes, what its second has stays.
#[tokio::test]
async fn the_second_life_of_a_branch_keeps_what_is_its_own() {
    let (world, a) = aged(0).await;
    let sales = a.sales().await;
    let first = dead_branch(&sales, "exp", bytes(1, 9_000)).await;
    let head = head_of(&sales, "main").await.1;
    sales.create_branch("exp", &head).await.unwrap();
    let second = commit_files(&sales, "exp", &[("own", Some(bytes(2, 9_000)))]).await;
    let gone = pack_of(&sales, &first).await;
    a.clock.advance(DAY * 40);
    collect(&sales).await;
    a.clock.advance(DAY * 2);
    collect(&sales).await;
    assert!(!exists(&world, &sales.place().pack_key(&gone)).await);
    check(&world, &second).await;
}

/// A chunk of a dead branch is used again by a commit of the machine that sent it: before the fence that keeps its
/// pack, after the fence it is sent again.
#[tokio::test]
async fn content_used_again_is_kept_or_sent_again() {
    for after_fence in [false, true] {
        let (world, a) = aged(0).await;
        let sales = a.sales().await;
        let file = bytes(1, 200_000);
        let dead = dead_branch(&sales, "exp", file.clone()).await;
        let pack = pack_of(&sales, &dead).await;
        a.clock.advance(DAY * 40);
        if after_fence {
            assert!(collect(&sales).await.condemned.packs > 0);
        }
        let before = a.counters.read();
        let again = commit_files(&sales, "main", &[("again", Some(file))]).await;
        let sent = (a.counters.read() - before).sent_bytes;
        assert_eq!(sent > 200_000, after_fence, "{sent} bytes sent");
        collect(&sales).await;
        a.clock.advance(DAY * 2);
        collect(&sales).await;
        assert_eq!(exists(&world, &sales.place().pack_key(&pack)).await, !after_fence);
        check(&world, &again).await;
    }
}
