//! What looking and changing cost in requests, whatever the log's length.

use meshfs::format::log::encode_entry;
use meshfs::model::id::{CommitId, Nonce};
use meshfs::model::log::{Features, Operation, RefName};
use meshfs::model::time::Time;
use meshfs::repo::domain::Domain;
use meshfs::repo::follow::LogHead;
use meshfs::repo::log::LogFiles;
use meshfs::repo::refs::{Head, creation};
use meshfs::repo::write::{Author, Stamp};
use meshfs::telemetry::counters::Verb;

use super::world::*;

const ENTRIES: u64 = 10_000;

/// Entries 2 to 10,000 of a busy domain with `branches` branches, put straight into the store.
async fn long_log(world: &World, sales: &Domain, branches: u64) {
    let files = LogFiles::new(world.base.clone(), sales.place().log_prefix());
    let first = entries(world, sales).await.pop().unwrap();
    let target = first.changes[0].target.unwrap();
    let mut head = Head::before_first(Features::default()).then(&first).unwrap();
    for seq in 2..=ENTRIES {
        let name = RefName::branch(&format!("b{:03}", seq % branches));
        let change = match head.state.branch(&name.name) {
            None => creation(name, target),
            Some((identity, _)) => head.state.change(Operation::Reset, &identity, Some(target)).unwrap(),
        };
        let author = Author { actor: "ann".to_owned(), host: "desk".to_owned() };
        let stamp = Stamp { nonce: Nonce(sales.sys().random.name()), author, time: Time(START_NANOS) };
        let entry = head.next(vec![change], None, stamp);
        let body = encode_entry(&entry).unwrap();
        match world.base.local_path(&files.key(seq)) {
            Some(path) => std::fs::write(path, body).unwrap(),
            None => files.create(seq, body.into()).await.unwrap(),
        }
        head = head.then(&entry).unwrap();
    }
}

async fn cold(world: &World, seed: u64, branches: u64) -> (Machine, u64, CommitId) {
    let machine = world.machine(seed).await;
    let sales = machine.sales().await;
    assert_eq!(sales.state().seq, ENTRIES);
    assert_eq!(sales.state().refs.refs.len() as u64, branches + 1);
    let target = sales.state().branch("main").unwrap().1.target;
    let spent = machine.counters.read().total();
    (machine, spent, target)
}

#[tokio::test]
async fn a_long_log_is_opened_with_few_requests() {
    for (branches, most) in [(3, 5), (60, 6)] {
        let (world, a) = World::in_memory().with_sales().await;
        long_log(&world, &a.sales().await, branches).await;
        // Each log: one listing and its newest entry; the domain's: the look above that, and the table's entry if long.
        let (machine, spent, target) = cold(&world, 2, branches).await;
        assert!(spent <= most, "{branches} branches: {:?}", machine.counters.read());
        // And a branch from a cold command line: one put more.
        let before = machine.counters.read();
        machine.sales().await.create_branch("new", &target).await.unwrap();
        let put = machine.counters.read() - before;
        assert_eq!((put.of(Verb::Create), put.total()), (1, 1), "{put:?}");
        assert!(machine.counters.read().total() <= 7);
    }
}

/// A local store lists nothing: names are looked up.
#[tokio::test]
async fn a_long_log_on_disk_is_searched_not_listed() {
    let (world, a) = World::on_disk().with_sales().await;
    long_log(&world, &a.sales().await, 3).await;
    let (machine, _, _) = cold(&world, 2, 3).await;
    let spent = machine.counters.read();
    assert_eq!(spent.of(Verb::List), 0);
    assert!(spent.of(Verb::Head) <= 40 && spent.of(Verb::Get) <= 4, "{spent:?}");
}

#[tokio::test]
async fn an_unmoved_log_costs_one_request_a_look() {
    for world in [World::in_memory(), World::on_disk()] {
        let (_world, a) = world.with_sales().await;
        let sales = a.sales().await;
        let head = head_of(&sales, "main").await.1;
        for number in 0..20 {
            sales.create_branch(&format!("b{number}"), &head).await.unwrap();
        }
        let before = a.counters.read();
        assert!(!sales.poll().await.unwrap());
        let spent = a.counters.read() - before;
        assert_eq!((spent.of(Verb::Get), spent.total()), (1, 1), "{spent:?}");
        let before = a.counters.read();
        assert!(!a.mesh.poll().await.unwrap());
        assert_eq!((a.counters.read() - before).total(), 1);
    }
}

/// Through a running mount: one put; from a commit that is no head, two reads more.
#[tokio::test]
async fn a_branch_costs_one_put() {
    let (_world, a) = World::in_memory().with_sales().await;
    let sales = a.sales().await;
    let (main, first) = head_of(&sales, "main").await;
    let second = commit(&sales, &main, "second").await.unwrap();
    let third = commit(&sales, &main, "third").await.unwrap();
    // By its settings it is judged what may be changed; whoever works on the branch has it at hand.
    sales.snapshot(&third).await.unwrap();
    let before = a.counters.read();
    let exp = sales.create_branch("exp", &sales.state().of(&main).unwrap().target).await.unwrap();
    let spent = a.counters.read() - before;
    assert_eq!((spent.of(Verb::Create), spent.total()), (1, 1), "{spent:?}");
    let before = a.counters.read();
    sales.remove_unused_branch(&exp).await.unwrap();
    assert_eq!((a.counters.read() - before).total(), 1);
    for old in [first, second] {
        let before = a.counters.read();
        sales.create_tag(&format!("v-{old}").replace("v-", "v.")[..12], &old).await.unwrap();
        let spent = a.counters.read() - before;
        assert!(spent.of(Verb::Create) == 1 && spent.total() <= 4, "{spent:?}");
    }
}

/// A commit's own part of the log: the entry alone.
#[tokio::test]
async fn a_commits_entry_is_one_put() {
    let (_world, a) = World::in_memory().with_sales().await;
    let sales = a.sales().await;
    let main = head_of(&sales, "main").await.0;
    let state = sales.state();
    let (_, proposal) = commit_on(&sales, &state, &main, "one").await;
    sales.snapshot(&state.of(&main).unwrap().target).await.unwrap();
    let before = a.counters.read();
    sales.propose(&state, proposal).await.unwrap();
    assert_eq!((a.counters.read() - before).total(), 1);
}
