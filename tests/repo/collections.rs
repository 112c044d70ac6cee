//! What later versions' garbage collections leave in a log, obeyed now: fences, horizons, condemned names.

use std::collections::BTreeSet;

use meshfs::format::gc::encode_condemned;
use meshfs::model::gc::Condemned;
use meshfs::model::id::{ChunkId, Codec, CommitId, Location, Nonce, PackName};
use meshfs::model::log::{Fence, Operation};
use meshfs::model::time::Time;
use meshfs::repo::domain::{Domain, Proposal, Proposed, Sent};
use meshfs::repo::error::RepoError;
use meshfs::repo::upload::Upload;

use super::world::*;

const PACK: PackName = PackName([7; 16]);
const OTHER_PACK: PackName = PackName([8; 16]);

/// Puts `gc/<epoch>` that condemns these, and its fence.
async fn collect(world: &World, domain: &Domain, fence: Fence, packs: &[PackName], records: &[CommitId]) {
    write_list(world, domain, fence, packs, records).await;
    put_entry(world, domain, |entry| entry.fence = fence).await;
}

async fn write_list(world: &World, domain: &Domain, fence: Fence, packs: &[PackName], records: &[CommitId]) {
    let list = Condemned {
        epoch: fence.epoch,
        nonce: Nonce([1; 16]),
        horizon: fence.horizon,
        time: Time(START_NANOS),
        packs: packs.iter().copied().collect(),
        records: records.iter().copied().collect(),
        made: BTreeSet::new(),
    };
    let bytes = encode_condemned(&list).unwrap();
    world.base.put(&domain.place().gc_key(fence.epoch), bytes.into()).await.unwrap();
}

fn fence(epoch: u64, horizon: u64) -> Fence {
    Fence { epoch, horizon }
}

fn sent<N>(name: N, epoch: u64) -> Sent<N> {
    Sent { name, epoch }
}

/// Proposes a commit that sent `PACK` under epoch 0, worked out on the newest state that the machine knows.
async fn propose(domain: &Domain) -> (CommitId, Proposed) {
    let state = domain.state();
    let main = state.branch("main").unwrap().0;
    let (id, proposal) = commit_on(domain, &state, &main, "one").await;
    let proposal = Proposal { packs: vec![sent(PACK, 0)], records: vec![sent(id, state.fence.epoch)], ..proposal };
    (id, domain.propose(&state, proposal).await.unwrap())
}

/// A fence between my look and my put: everything is worked out anew, even if no ref changed (M3, M4).
#[tokio::test]
async fn a_fence_makes_every_proposal_be_worked_out_anew() {
    let (world, a) = World::in_memory().with_sales().await;
    let sales = a.sales().await;
    collect(&world, &sales, fence(1, 1), &[], &[]).await;
    let (_, moved) = propose(&sales).await;
    assert!(matches!(moved, Proposed::Moved(now) if now.fence == fence(1, 1)));
    let (_, landed) = propose(&sales).await;
    assert!(matches!(landed, Proposed::Landed { seq: 3, .. }));
    assert_eq!(entries(&world, &sales).await[2].fence, fence(1, 1), "entries repeat the newest fence");
}

/// A new horizon alone counts as a fence: what is usable may have changed.
#[tokio::test]
async fn a_new_horizon_makes_every_proposal_be_worked_out_anew() {
    let (world, a) = World::in_memory().with_sales().await;
    let sales = a.sales().await;
    collect(&world, &sales, fence(1, 1), &[], &[]).await;
    sales.poll().await.unwrap();
    put_entry(&world, &sales, |entry| entry.fence = fence(1, 2)).await;
    let (_, moved) = propose(&sales).await;
    assert!(matches!(moved, Proposed::Moved(now) if now.fence == fence(1, 2)));
}

/// A pack sent under an older epoch was condemned since: it goes again under another name (M8, W8).
#[tokio::test]
async fn condemned_packs_are_not_landed() {
    let (world, a) = World::in_memory().with_sales().await;
    let sales = a.sales().await;
    collect(&world, &sales, fence(1, 1), &[PACK], &[]).await;
    collect(&world, &sales, fence(2, 1), &[OTHER_PACK], &[]).await;
    sales.poll().await.unwrap();
    let (_, answer) = propose(&sales).await;
    let Proposed::Condemned { packs, records, .. } = answer else { panic!("{answer:?}") };
    assert_eq!((packs, records), (vec![PACK], vec![]));
    assert_eq!(entries(&world, &sales).await.len(), 3);
}

/// A writer's own record may be condemned before it lands, as anything it sent (W1).
#[tokio::test]
async fn condemned_records_are_not_landed() {
    let (world, a) = World::in_memory().with_sales().await;
    let sales = a.sales().await;
    let state = sales.state();
    let main = state.branch("main").unwrap().0;
    let (id, _) = commit_on(&sales, &state, &main, "one").await;
    collect(&world, &sales, fence(1, 1), &[], &[id]).await;
    sales.poll().await.unwrap();
    let now = sales.state();
    let change = now.change(Operation::Commit, &main, Some(id)).unwrap();
    let proposal = Proposal { changes: vec![change], records: vec![sent(id, 0)], ..Proposal::default() };
    let answer = sales.propose(&now, proposal).await.unwrap();
    assert!(matches!(&answer, Proposed::Condemned { records, .. } if *records == [id]), "{answer:?}");
}

/// A label at least as new as the condemning epoch was given after it: names are never used twice.
#[tokio::test]
async fn what_was_sent_under_the_newest_epoch_needs_no_look() {
    let (world, a) = World::in_memory().with_sales().await;
    let sales = a.sales().await;
    collect(&world, &sales, fence(1, 1), &[PACK], &[]).await;
    sales.poll().await.unwrap();
    let before = a.counters.read();
    let (packs, records) = sales.condemned(&[sent(PACK, 1)], &[], 1).await.unwrap();
    assert_eq!((packs, records), (vec![], vec![]));
    assert_eq!((a.counters.read() - before).total(), 0);
}

/// A list that is missing or unreadable condemns whatever is older than it.
#[tokio::test]
async fn an_unreadable_list_condemns_everything_older() {
    let (world, a) = World::in_memory().with_sales().await;
    let sales = a.sales().await;
    let condemned = async |epoch| sales.condemned(&[sent(PACK, 0), sent(OTHER_PACK, 1)], &[], epoch).await.unwrap().0;
    write_list(&world, &sales, fence(2, 1), &[], &[]).await;
    assert_eq!(condemned(2).await, [PACK], "gc/1 is missing");
    world.base.put(&sales.place().gc_key(3), b"not a list".as_slice().into()).await.unwrap();
    assert_eq!(condemned(3).await, [PACK, OTHER_PACK]);
}

/// Lists are read once, and not without end: what was sent too many collections ago counts as condemned.
#[tokio::test]
async fn what_was_sent_long_ago_is_not_looked_up() {
    let (world, a) = World::in_memory().with_sales().await;
    let sales = a.sales().await;
    for epoch in 85..=100 {
        write_list(&world, &sales, fence(epoch, 1), &[], &[]).await;
    }
    let both = [sent(PACK, 83), sent(OTHER_PACK, 84)];
    for requests in [16, 0] {
        let before = a.counters.read();
        assert_eq!(sales.condemned(&both, &[], 100).await.unwrap().0, [PACK]);
        assert_eq!((a.counters.read() - before).total(), requests);
    }
    assert_eq!(sales.condemned(&both, &[], 84).await.unwrap().0, [PACK], "gc/84 cannot be read");
}

/// What an upload may find again was sent at most a few collections ago.
#[tokio::test]
async fn what_was_sent_long_ago_is_forgotten() {
    let (world, a) = World::in_memory().with_sales().await;
    let sales = a.sales().await;
    let (old, new) = (ChunkId([1; 32]), ChunkId([2; 32]));
    let at = Location { pack: PACK, offset: 0, len: 100, codec: Codec::Raw };
    sales.db().add_sent(&sales.info().uid, 0, &[(old, at)]).unwrap();
    sales.db().add_sent(&sales.info().uid, 1, &[(new, at)]).unwrap();
    for (epoch, found) in [(4, 2), (5, 1)] {
        put_entry(&world, &sales, |entry| entry.fence = fence(epoch, 1)).await;
        sales.poll().await.unwrap();
        Upload::begin(&sales, None);
        assert_eq!(sales.db().find_sent(&sales.info().uid, &[old, new]).unwrap().len(), found);
    }
}

/// A dead commit before the horizon is no target any more; what a live ref leads to is (W9b, X1).
#[tokio::test]
async fn what_no_live_ref_leads_to_expires_at_the_horizon() {
    let (world, a) = World::in_memory().with_sales().await;
    let sales = a.sales().await;
    let (main, first) = head_of(&sales, "main").await;
    let exp = sales.create_branch("exp", &first).await.unwrap();
    let dead = commit(&sales, &exp, "dead").await.unwrap();
    let old = commit(&sales, &main, "old").await.unwrap();
    let new = commit(&sales, &main, "new").await.unwrap();
    sales.delete_branch(&exp, &dead).await.unwrap();
    // Everything is usable while nothing was collected.
    for target in [first, dead, old, new] {
        assert_eq!(sales.usable(&sales.state(), &target).await.unwrap(), None);
    }
    collect(&world, &sales, fence(1, 7), &[], &[]).await;
    sales.poll().await.unwrap();
    let state = sales.state();
    let error = sales.create_branch("again", &dead).await.unwrap_err();
    assert!(matches!(error, RepoError::Expired { .. }), "{error}");
    let on_main = Some((main.name.clone(), state.of(&main).unwrap()));
    for target in [first, old, new] {
        assert_eq!(sales.usable(&state, &target).await.unwrap(), on_main);
    }
    sales.create_tag("kept", &old).await.unwrap();
}

/// A dead commit whose entry is not before the horizon may still be taken up.
#[tokio::test]
async fn what_the_horizon_has_not_passed_is_usable() {
    let (world, a) = World::in_memory().with_sales().await;
    let sales = a.sales().await;
    let first = head_of(&sales, "main").await.1;
    let exp = sales.create_branch("exp", &first).await.unwrap();
    let dead = commit(&sales, &exp, "dead").await.unwrap();
    sales.delete_branch(&exp, &dead).await.unwrap();
    collect(&world, &sales, fence(1, 3), &[], &[]).await;
    sales.poll().await.unwrap();
    sales.create_branch("again", &dead).await.unwrap();
}

/// A record that was written for an entry that never landed is no commit, however well it can be read.
#[tokio::test]
async fn a_record_that_never_landed_is_no_target() {
    let (_world, a) = World::in_memory().with_sales().await;
    let sales = a.sales().await;
    let first = head_of(&sales, "main").await.1;
    let stray = write_record(&sales, &first, "stray", 1).await;
    let error = sales.create_branch("exp", &stray.id).await.unwrap_err();
    assert!(matches!(error, RepoError::Expired { .. }), "{error}");
}

/// A snapshot whose tree was collected says so; one that is damaged says that.
#[tokio::test]
async fn a_collected_tree_is_expired_and_a_lost_one_is_damaged() {
    let (world, a) = World::in_memory().with_sales().await;
    let sales = a.sales().await;
    let first = head_of(&sales, "main").await.1;
    let exp = sales.create_branch("exp", &first).await.unwrap();
    let dead = commit(&sales, &exp, "dead").await.unwrap();
    sales.delete_branch(&exp, &dead).await.unwrap();
    let pack = sales.record(&dead).await.unwrap().root_location.pack;
    world.base.delete(&sales.place().pack_key(&pack)).await.unwrap();
    let fresh = world.machine(2).await;
    let error = fresh.sales().await.snapshot(&dead).await.unwrap_err();
    assert!(matches!(error, RepoError::Damaged { .. }), "nothing was collected yet: {error}");
    collect(&world, &sales, fence(1, 5), &[pack], &[]).await;
    let fresh = world.machine(3).await.sales().await;
    let error = fresh.snapshot(&dead).await.unwrap_err();
    assert!(matches!(error, RepoError::Expired { .. }), "{error}");
    let error = fresh.snapshot(&first).await.unwrap_err();
    assert!(matches!(error, RepoError::Damaged { .. }), "a live branch leads to it: {error}");
}
