//! Several writers on one log: each entry lands once, on a state that it was worked out for.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::future::join_all;
use meshfs::model::log::{Operation, RefIdentity, RefName, TableRef};
use meshfs::repo::domain::{Domain, Proposal, Proposed};
use meshfs::repo::error::RepoError;
use meshfs::repo::mesh::Mesh;
use meshfs::repo::refs::creation;
use meshfs::storage::fault::{FaultStore, Rates};
use meshfs::sys::Sys;
use meshfs::telemetry::counters::Verb;
use parking_lot::Mutex;

use super::watched::Watched;
use super::world::*;

/// The branch that a commit was staged on was deleted and made again: it must not land on the new one (W6).
#[tokio::test]
async fn a_commit_does_not_land_on_another_life_of_its_branch() {
    let (world, a) = World::in_memory().with_sales().await;
    let b = world.machine(2).await;
    let (ours, theirs) = (a.sales().await, b.sales().await);
    let head = head_of(&ours, "main").await.1;
    let exp = ours.create_branch("exp", &head).await.unwrap();
    let then = ours.state();
    let (_, proposal) = commit_on(&ours, &then, &exp, "one").await;
    theirs.poll().await.unwrap();
    theirs.delete_branch(&exp, &head).await.unwrap();
    theirs.create_branch("exp", &head).await.unwrap();
    // First it meets the deletion at its seq, then, knowing all, the new branch at the very head it was worked out for.
    for poll in [false, true] {
        if poll {
            ours.poll().await.unwrap();
        }
        let Proposed::Moved(now) = ours.propose(&then, proposal.clone()).await.unwrap() else { panic!("it landed") };
        assert_eq!(now.of(&exp), None, "this branch is gone, whatever has its name");
        assert_eq!(now.branch("exp").map(|(_, again)| again.target), poll.then_some(head));
    }
    assert!(changes(&world, &ours).await.iter().all(|change| change.operation != Operation::Commit));
}

/// A delete that lost its seq looks again before it goes further: it may not take a commit nobody saw (W7).
#[tokio::test]
async fn a_delete_does_not_take_commits_that_it_has_not_seen() {
    let (world, a) = World::in_memory().with_sales().await;
    let b = world.machine(2).await;
    let (ours, theirs) = (a.sales().await, b.sales().await);
    let head = head_of(&ours, "main").await.1;
    let exp = ours.create_branch("exp", &head).await.unwrap();
    theirs.poll().await.unwrap();
    let unseen = commit(&theirs, &exp, "unseen").await.unwrap();
    let error = ours.delete_branch(&exp, &head).await.unwrap_err();
    assert!(matches!(&error, RepoError::Moved { now, .. } if now.contains(&unseen.to_string())), "{error}");
    let error = ours.remove_unused_branch(&exp).await.unwrap_err();
    assert!(matches!(error, RepoError::Refused(_)), "{error}");
    assert_eq!(head_of(&ours, "exp").await.1, unseen);
    ours.delete_branch(&exp, &unseen).await.unwrap();
    assert!(ours.state().branch("exp").is_none());
}

/// Two machines delete the same branch: the second learns that it is gone.
#[tokio::test]
async fn a_branch_is_deleted_once() {
    let (world, a) = World::in_memory().with_sales().await;
    let b = world.machine(2).await;
    let (ours, theirs) = (a.sales().await, b.sales().await);
    let head = head_of(&ours, "main").await.1;
    let exp = ours.create_branch("exp", &head).await.unwrap();
    theirs.poll().await.unwrap();
    theirs.remove_unused_branch(&exp).await.unwrap();
    let error = ours.delete_branch(&exp, &head).await.unwrap_err();
    assert!(matches!(&error, RepoError::Moved { now, .. } if now.contains("deleted")), "{error}");
    assert_eq!(entries(&world, &ours).await.len(), 3);
}

/// An entry of another branch takes the seq: mine goes one further, with one read between.
#[tokio::test]
async fn a_race_lost_to_another_branch_costs_two_requests() {
    let (world, a) = World::in_memory().with_sales().await;
    let b = world.machine(2).await;
    let (ours, theirs) = (a.sales().await, b.sales().await);
    let (main, head) = head_of(&ours, "main").await;
    let (id, proposal) = commit_on(&ours, &ours.state(), &main, "one").await;
    ours.snapshot(&head).await.unwrap();
    theirs.create_branch("exp", &head).await.unwrap();
    let before = a.counters.read();
    let landed = ours.propose(&ours.state(), proposal).await.unwrap();
    assert!(matches!(landed, Proposed::Landed { seq: 3, .. }));
    let spent = a.counters.read() - before;
    assert_eq!((spent.of(Verb::Create), spent.of(Verb::Get), spent.total()), (2, 1, 3), "{spent:?}");
    assert_eq!(head_of(&theirs, "main").await.1, id);
}

/// A ref that made a source usable is gone when the entry would be put: that must be judged anew.
#[tokio::test]
async fn what_a_proposal_relies_on_must_still_be_there() {
    let (world, a) = World::in_memory().with_sales().await;
    let b = world.machine(2).await;
    let (ours, theirs) = (a.sales().await, b.sales().await);
    let head = head_of(&ours, "main").await.1;
    let exp = ours.create_branch("exp", &head).await.unwrap();
    let relied = (exp.name.clone(), ours.state().of(&exp).unwrap());
    theirs.poll().await.unwrap();
    theirs.remove_unused_branch(&exp).await.unwrap();
    let proposal = Proposal {
        changes: vec![creation(RefName::branch("new"), head)],
        relies_on: vec![relied],
        ..Proposal::default()
    };
    let moved = ours.propose(&ours.state(), proposal).await.unwrap();
    assert!(matches!(moved, Proposed::Moved(now) if now.seq == 3));
    assert_eq!(entries(&world, &ours).await.len(), 3);
}

/// Every machine's commits are in the log once, each on top of the one before.
async fn check_lines(world: &World, machine: &Machine, acknowledged: &BTreeMap<String, Vec<String>>) {
    let sales = machine.sales().await;
    let mut heads = BTreeMap::new();
    let mut landed: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for change in changes(world, &sales).await {
        if change.operation == Operation::Commit {
            let record = sales.record(&change.target.unwrap()).await.unwrap();
            assert_eq!(record.parents.first(), heads.get(&change.name), "a commit is on top of the head");
            landed.entry(change.name.name.clone()).or_default().push(record.message.clone());
        }
        heads.insert(change.name.clone(), change.target.unwrap());
    }
    for (branch, messages) in acknowledged {
        let sorted = |messages: &[String]| messages.iter().cloned().collect::<BTreeSet<_>>();
        assert_eq!(sorted(&landed[branch]), sorted(messages));
        assert_eq!(landed[branch].len(), messages.len(), "nothing landed twice");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixteen_machines_land_everything_exactly_once() {
    let (world, first) = World::in_memory().with_sales().await;
    let head = head_of(&first.sales().await, "main").await.1;
    let world = Arc::new(world);
    let writers = (0..16).map(|number: u64| {
        let world = world.clone();
        tokio::spawn(async move {
            let machine = world.machine(100 + number).await;
            let sales = machine.sales().await;
            let own = sales.create_branch(&format!("own-{number}"), &head).await.unwrap();
            let main = head_of(&sales, "main").await.0;
            for round in 0..3 {
                commit(&sales, &own, &format!("{number}/{round}")).await.unwrap();
                commit(&sales, &main, &format!("{number}/{round}")).await.unwrap();
            }
        })
    });
    join_all(writers).await.into_iter().for_each(|done| done.unwrap());
    let messages = |number| (0..3).map(move |round| format!("{number}/{round}"));
    let mut expected: BTreeMap<_, Vec<_>> =
        (0..16).map(|number| (format!("own-{number}"), messages(number).collect())).collect();
    expected.insert("main".to_owned(), (0..16).flat_map(messages).collect());
    check_lines(&world, &first, &expected).await;
    assert_eq!(entries(&world, &first.sales().await).await.len(), 1 + 16 + 16 * 6);
}

/// What waits at the same time in one process shares an entry.
#[tokio::test]
async fn waiting_proposals_of_one_process_share_entries() {
    let (world, a) = World::in_memory().with_sales().await;
    let sales = a.sales().await;
    let head = head_of(&sales, "main").await.1;
    let before = a.counters.read();
    let names: Vec<_> = (0..16).map(|number| format!("b{number:02}")).collect();
    let made = join_all(names.iter().map(|name| sales.create_branch(name, &head))).await;
    let seqs: BTreeSet<_> = made.into_iter().map(|identity| identity.unwrap().created_seq).collect();
    let spent = a.counters.read() - before;
    assert_eq!(spent.of(Verb::Create) as usize, seqs.len());
    assert_eq!(seqs, BTreeSet::from([2]), "sixteen branches, one entry");
    let mut found: Vec<_> = changes(&world, &sales).await.into_iter().map(|change| change.name.name).collect();
    assert_eq!(found.remove(0), "main");
    found.sort();
    assert_eq!(found, names);
}

/// Commits of one process to one branch cannot share an entry: each lands on the one before.
#[tokio::test]
async fn waiting_commits_to_one_branch_land_one_after_the_other() {
    let (world, a) = World::in_memory().with_sales().await;
    let sales = a.sales().await;
    let main = head_of(&sales, "main").await.0;
    let messages: Vec<_> = (0..8).map(|number| format!("c{number}")).collect();
    let done = join_all(messages.iter().map(|message| commit(&sales, &main, message))).await;
    assert!(done.iter().all(Result::is_ok));
    check_lines(&world, &a, &BTreeMap::from([("main".to_owned(), messages)])).await;
}

/// Replies lost, puts held up, timeouts, stale listings, at random: nothing is lost, doubled or out of order.
#[tokio::test]
async fn faults_at_random_change_nothing() {
    for seed in 0..20 {
        let (world, first) = World::in_memory().with_sales().await;
        let machines = [first, world.machine(1000 + seed).await, world.machine(2000 + seed).await];
        let mut acknowledged: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for round in 0..8 {
            for (number, machine) in machines.iter().enumerate() {
                let sales = machine.sales().await;
                let main = sales.state().branch("main").unwrap().0;
                let message = format!("{seed}/{number}/{round}");
                commit_through_faults(&sales, &main, &message, &machine.faults).await;
                acknowledged.entry("main".to_owned()).or_default().push(message);
            }
        }
        for machine in &machines {
            machine.faults.release().await;
        }
        check_lines(&world, &machines[0], &acknowledged).await;
    }
}

/// Commits while requests fail, settling under faults too, until it is in the log.
async fn commit_through_faults(sales: &Domain, branch: &RefIdentity, message: &str, faults: &FaultStore) {
    loop {
        let state = sales.state();
        faults.calm();
        let (id, proposal) = commit_on(sales, &state, branch, message).await;
        faults.set_rates(Rates { lost_reply: 200, timeout: 150, delayed: 150, busy: 100, ..Rates::default() });
        let proposal = Proposal { workspace: Some("w".to_owned()), ..proposal };
        let answer = sales.propose(&state, proposal).await;
        faults.calm();
        match answer {
            Ok(Proposed::Landed { .. }) => return sales.take_up("w").unwrap(),
            Ok(Proposed::Moved(_)) => {}
            Ok(Proposed::Condemned { .. }) => panic!("nothing was condemned"),
            Err(_) => {
                let settled = sales.settled("w").await.unwrap();
                sales.take_up("w").unwrap();
                sales.poll().await.unwrap();
                if settled.iter().any(|s| s.landed && s.changes.iter().any(|change| change.target == Some(id))) {
                    return;
                }
            }
        }
    }
}

/// Another writer's entry lands between my look at the log and my put, every single time: I still get there.
#[tokio::test]
async fn a_writer_that_always_comes_second_still_lands() {
    let (world, a) = World::in_memory().with_sales().await;
    let head = head_of(&a.sales().await, "main").await.1;
    let rival = Arc::new(world.machine(2).await.sales().await);
    let folder = tempfile::tempdir().unwrap();
    let store = Watched::new(world.base.clone());
    let (sys, _) = Sys::simulated(START_NANOS, 3);
    let mesh = Mesh::open(options(store.clone(), folder.path(), sys)).await.unwrap();
    let ours = mesh.domain(SALES).await.unwrap();
    let left = Arc::new(Mutex::new(7));
    store.before_create(move |_, _| {
        let (rival, left) = (rival.clone(), left.clone());
        Box::pin(async move {
            let number = {
                let mut left = left.lock();
                if *left == 0 {
                    return;
                }
                *left -= 1;
                *left
            };
            rival.create_branch(&format!("r{number}"), &head).await.unwrap();
        })
    });
    assert_eq!(ours.create_branch("mine", &head).await.unwrap().created_seq, 9);
    assert_eq!(entries(&world, &ours).await.len(), 9);
}

/// An entry's time is the store's, and never earlier than the entry's before.
#[tokio::test]
async fn times_never_go_back_along_a_log() {
    let (world, a) = World::in_memory().with_sales().await;
    let b = world.machine(2).await;
    a.clock.advance(LONG);
    let (ours, theirs) = (a.sales().await, b.sales().await);
    let head = head_of(&ours, "main").await.1;
    ours.create_branch("late", &head).await.unwrap();
    theirs.create_branch("early", &head).await.unwrap();
    let times: Vec<_> = entries(&world, &ours).await.into_iter().map(|entry| entry.time).collect();
    assert!(times.is_sorted(), "{times:?}");
    assert_eq!(times[1], times[2]);
    // Five minutes ahead of ours, by the store.
    a.faults.set_clock_skew(300 * 1_000_000_000);
    let third = ours.create_branch("third", &head).await.unwrap();
    let log = entries(&world, &ours).await;
    let ahead = log[third.created_seq as usize - 1].time.0 - a.mesh.sys().clock.now();
    assert_eq!(ahead, 300 * 1_000_000_000);
}

/// Clocks too far apart: nothing is put, and the message names both times.
#[tokio::test]
async fn a_clock_that_is_far_off_stops_writing() {
    let (world, a) = World::in_memory().with_sales().await;
    let sales = a.sales().await;
    let head = head_of(&sales, "main").await.1;
    for skew_seconds in [601i64, -601] {
        a.faults.set_clock_skew(skew_seconds * 1_000_000_000);
        let text = sales.create_branch("exp", &head).await.unwrap_err().to_string();
        let hour = if skew_seconds > 0 { "2026-11-23T00:10:01" } else { "2026-11-22T23:49:59" };
        assert!(text.contains("2026-11-23T00:00:00") && text.contains(hour), "{text}");
    }
    assert_eq!(entries(&world, &sales).await.len(), 1);
    a.faults.set_clock_skew(599 * 1_000_000_000);
    sales.create_branch("exp", &head).await.unwrap();
}

#[tokio::test]
async fn refs_that_may_not_be_are_refused() {
    let (world, a) = World::in_memory().with_sales().await;
    let sales = a.sales().await;
    let (main, head) = head_of(&sales, "main").await;
    let text = sales.create_tag("0a1b2c3d", &head).await.unwrap_err().to_string();
    assert!(text.contains("looks like a commit id"), "{text}");
    let text = sales.create_branch("a/b", &head).await.unwrap_err().to_string();
    assert!(text.contains("no `/`"), "{text}");
    let text = sales.delete_branch(&main, &head).await.unwrap_err().to_string();
    assert!(text.contains("default branch"), "{text}");
    sales.create_tag("v1", &head).await.unwrap();
    let error = sales.create_tag("v1", &head).await.unwrap_err();
    assert!(matches!(error, RepoError::RefExists { kind: "tag", .. }), "{error}");
    let (tag, now) = sales.state().tag("v1").unwrap();
    sales.delete_tag(&tag, &now.target).await.unwrap();
    let error = sales.delete_tag(&tag, &now.target).await.unwrap_err();
    assert!(matches!(error, RepoError::Moved { .. }), "{error}");
    assert_eq!(entries(&world, &sales).await.len(), 3);
}

/// A tag that was deleted and made again meanwhile is another: who meant the old one does not delete it.
#[tokio::test]
async fn a_delete_does_not_take_another_tag_of_the_name() {
    let (world, a) = World::in_memory().with_sales().await;
    let b = world.machine(2).await;
    let (sales, theirs) = (a.sales().await, b.sales().await);
    let (main, first) = head_of(&sales, "main").await;
    let second = commit(&sales, &main, "second").await.unwrap();
    sales.create_tag("v1", &first).await.unwrap();
    let (meant, _) = sales.state().tag("v1").unwrap();
    theirs.poll().await.unwrap();
    theirs.delete_tag(&meant, &first).await.unwrap();
    theirs.create_tag("v1", &second).await.unwrap();
    let error = sales.delete_tag(&meant, &first).await.unwrap_err();
    assert!(matches!(error, RepoError::Moved { .. }), "{error}");
    sales.poll().await.unwrap();
    let error = sales.delete_tag(&meant, &first).await.unwrap_err();
    assert!(matches!(error, RepoError::Moved { .. }), "{error}");
    assert_eq!(sales.state().tag("v1").unwrap().1.target, second);
}

/// A table that outgrows its entry goes into a pack, and is read from there whatever entry a reader begins at.
#[tokio::test]
async fn a_table_that_outgrows_its_entry_lies_in_a_pack() {
    let (world, a) = World::in_memory().with_sales().await;
    let b = world.machine(8).await;
    let (sales, follower) = (a.sales().await, b.sales().await);
    let (main, head) = head_of(&sales, "main").await;
    let mut packed = 0;
    for number in 0..230 {
        sales.create_branch(&format!("{number:0>100}-x"), &head).await.unwrap();
        if number % 10 == 0 {
            follower.poll().await.unwrap();
        }
        if number % 23 == 0 {
            let opened = world.machine(1000 + number).await.sales().await;
            assert_eq!(opened.state().refs, sales.state().refs);
        }
    }
    commit(&follower, &main, "from a follower").await.unwrap();
    sales.poll().await.unwrap();
    assert_eq!(sales.state(), follower.state());
    for entry in entries(&world, &sales).await {
        match entry.table {
            TableRef::Packed { .. } => packed += 1,
            TableRef::Here(table) => assert!(entry.seq.is_multiple_of(64) || table.refs.len() <= 16),
            TableRef::At { .. } => assert!(!entry.seq.is_multiple_of(64)),
        }
    }
    assert_eq!(packed, 2, "entries 128 and 192");
}

/// A put that is moved from 127 to 128 by another's entry must make the table first.
#[tokio::test]
async fn a_put_moved_onto_a_table_entry_carries_the_table() {
    let (world, a) = World::in_memory().with_sales().await;
    let b = world.machine(8).await;
    let (sales, theirs) = (a.sales().await, b.sales().await);
    let head = head_of(&sales, "main").await.1;
    for number in 2..127 {
        sales.create_branch(&format!("{number:0>100}-x"), &head).await.unwrap();
    }
    theirs.poll().await.unwrap();
    assert_eq!(theirs.create_branch("theirs", &head).await.unwrap().created_seq, 127);
    assert_eq!(sales.create_branch("ours", &head).await.unwrap().created_seq, 128);
    let log = entries(&world, &sales).await;
    assert!(matches!(log[126].table, TableRef::At { seq: 64, .. }));
    assert!(matches!(log[127].table, TableRef::Packed { .. }));
    assert_eq!(world.machine(9).await.sales().await.state(), sales.state());
}
