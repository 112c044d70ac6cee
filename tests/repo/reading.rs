//! Reading logs: the newest entry found whatever listings say, and the same state however it is reached.

use std::collections::BTreeMap;

use meshfs::model::id::CommitId;
use meshfs::model::log::{Features, Operation, RefName};
use meshfs::repo::error::RepoError;
use meshfs::repo::log::LogFiles;
use meshfs::repo::refs::creation;
use meshfs::storage::fault::Fault;
use meshfs::sys::random::{Random, SeededRandom};
use meshfs::telemetry::counters::Verb;

use super::world::*;

/// Reading on entry by entry, and opening anew, give one state; it is what a plain map of the changes says.
#[tokio::test]
async fn following_and_opening_give_the_same_state() {
    for world in [World::in_memory(), World::on_disk()] {
        let (world, a) = world.with_sales().await;
        let b = world.machine(2).await;
        let (writer, follower) = (a.sales().await, b.sales().await);
        let random = SeededRandom::new(5);
        let head = head_of(&writer, "main").await.1;
        let mut model: BTreeMap<RefName, CommitId> = BTreeMap::from([(RefName::branch("main"), head)]);
        for round in 0..150 {
            let name = RefName::branch(&format!("b{}", random.below(30)));
            let live = writer.identity(&name);
            let changed = match (live, random.below(3)) {
                (None, _) => {
                    writer.create_branch(&name.name, &head).await.unwrap();
                    Some(head)
                }
                (Some(live), 0) => {
                    let target = writer.state().of(&live).unwrap().target;
                    writer.delete_branch(&live, &target).await.unwrap();
                    None
                }
                (Some(live), _) => Some(commit(&writer, &live, "x").await.unwrap()),
            };
            match changed {
                Some(target) => model.insert(name, target),
                None => model.remove(&name),
            };
            if random.below(4) == 0 {
                follower.poll().await.unwrap();
            }
            if round % 25 == 24 {
                follower.poll().await.unwrap();
                let opened = world.machine(100 + round).await.sales().await;
                let refs = |state: &meshfs::repo::refs::LogState| state.refs.clone();
                assert_eq!(refs(&follower.state()), refs(&writer.state()));
                assert_eq!(refs(&opened.state()), refs(&writer.state()));
                let found = opened.state().refs.refs.iter().map(|(name, now)| (name.clone(), now.target)).collect();
                assert_eq!(model, found);
            }
        }
    }
}

/// The newest entry is found at every length, whether the store lists in order or is searched.
#[tokio::test]
async fn the_newest_entry_is_found_at_every_length() {
    for world in [World::in_memory(), World::on_disk()] {
        let files = LogFiles::new(world.base.clone(), "some/log/".to_owned());
        assert_eq!(files.newest(0).await.unwrap(), None);
        for seq in 1..=70u64 {
            files.create(seq, seq.to_string().into()).await.unwrap();
            for known in [0, 1, seq / 2, seq] {
                let (newest, body) = files.newest(known).await.unwrap().unwrap();
                assert_eq!((newest, &body[..]), (seq, seq.to_string().as_bytes()));
            }
        }
    }
}

/// Names that are no entry's may lie beside the entries, also before the newest.
#[tokio::test]
async fn alien_names_are_passed_over() {
    for world in [World::in_memory(), World::on_disk()] {
        let (world, a) = world.with_sales().await;
        let sales = a.sales().await;
        let head = head_of(&sales, "main").await.1;
        sales.create_branch("exp", &head).await.unwrap();
        let folder = sales.place().log_prefix();
        for alien in [".DS_Store", "0", "00000000000000000000x", "1844674407370955161", "1844674407370955161a", "zzz"] {
            world.base.put(&format!("{folder}{alien}"), b"?".as_slice().into()).await.unwrap();
        }
        let other = world.machine(2).await;
        assert_eq!(other.sales().await.state().seq, 2);
        assert_eq!(other.mesh.domains().await.unwrap().len(), 1);
    }
}

/// A listing may be behind, even empty on a full log: it is a lower bound and no more.
#[tokio::test]
async fn stale_listings_only_cost_requests() {
    for length in [1, 2, 3, 9] {
        let (world, a) = World::in_memory().with_sales().await;
        let sales = a.sales().await;
        let head = head_of(&sales, "main").await.1;
        for number in 1..length {
            sales.create_branch(&format!("b{number}"), &head).await.unwrap();
        }
        a.faults.plan(Verb::List, "/log/", Fault::LaggingList, 1);
        let files = LogFiles::new(a.mesh.store().clone(), sales.place().log_prefix());
        assert_eq!(files.newest(0).await.unwrap().unwrap().0, length);
        assert_eq!(a.faults.struck().len(), 1);
        assert_eq!(entries(&world, &sales).await.len() as u64, length);
    }
}

/// A follower that slept reads the newest at once, not entry by entry.
#[tokio::test]
async fn a_follower_far_behind_jumps() {
    let (world, a) = World::in_memory().with_sales().await;
    let b = world.machine(2).await;
    let (ours, theirs) = (a.sales().await, b.sales().await);
    let main = head_of(&ours, "main").await.0;
    for number in 0..200 {
        commit(&ours, &main, &format!("{number}")).await.unwrap();
    }
    let before = b.counters.read();
    assert!(theirs.poll().await.unwrap());
    assert_eq!(theirs.state(), ours.state());
    let spent = b.counters.read() - before;
    assert!(spent.total() <= 8, "{spent:?}");
}

/// Subscribers hear of each move once, from polls and from own writes.
#[tokio::test]
async fn subscribers_hear_of_moves() {
    let (world, a) = World::in_memory().with_sales().await;
    let b = world.machine(2).await;
    let (ours, theirs) = (a.sales().await, b.sales().await);
    let head = head_of(&ours, "main").await.1;
    let mut heard = theirs.subscribe();
    assert_eq!(*heard.borrow_and_update(), 1);
    ours.create_branch("exp", &head).await.unwrap();
    assert!(!heard.has_changed().unwrap());
    assert!(theirs.poll().await.unwrap());
    assert_eq!(*heard.borrow_and_update(), 2);
    assert!(!theirs.poll().await.unwrap());
    assert!(!heard.has_changed().unwrap());
    theirs.create_branch("own", &head).await.unwrap();
    assert_eq!(*heard.borrow_and_update(), 3);
}

/// A later version's features: named, and refused for reading, or for writing only.
#[tokio::test]
async fn unknown_features_are_refused_by_name() {
    let (world, a) = World::in_memory().with_sales().await;
    let sales = a.sales().await;
    let head = head_of(&sales, "main").await.1;
    let features = Features { read: Vec::new(), write: vec!["colours".to_owned()] };
    put_entry(&world, &sales, |entry| entry.features = features).await;
    sales.poll().await.unwrap();
    assert_eq!(sales.record(&head).await.unwrap().id, head);
    let error = sales.create_branch("exp", &head).await.unwrap_err();
    let RepoError::Unsupported { purpose: "writing", features: missing, .. } = &error else { panic!("{error}") };
    assert_eq!(missing, &["colours"]);

    // This version does not write what it could not read: the later version's entry is made of the one before.
    let files = LogFiles::new(world.base.clone(), sales.place().log_prefix());
    let mut entry: serde_json::Value = serde_json::from_slice(&files.read(2).await.unwrap().unwrap()).unwrap();
    entry["seq"] = 3.into();
    entry["features"]["read"] = serde_json::json!(["sounds"]);
    entry["melody"] = entry["changes"].take();
    files.create(3, entry.to_string().into()).await.unwrap();
    for error in [sales.poll().await.unwrap_err(), world.machine(2).await.mesh.domain(SALES).await.unwrap_err()] {
        let RepoError::Unsupported { purpose: "reading", features: missing, .. } = &error else { panic!("{error}") };
        assert_eq!(missing, &["sounds"]);
    }
    assert_eq!(sales.state().seq, 2, "what was read stays");
}

/// An entry that was there and is gone is damage, told with its likely cause; it is never an empty log.
#[tokio::test]
async fn a_log_that_lost_entries_is_damaged() {
    let (world, a) = World::in_memory().with_sales().await;
    let sales = a.sales().await;
    world.base.delete(&LogFiles::new(world.base.clone(), sales.place().log_prefix()).key(1)).await.unwrap();
    let text = world.machine(2).await.mesh.domain(SALES).await.unwrap_err().to_string();
    assert!(text.contains("lifecycle rule"), "{text}");
}

/// Bytes that are no entry, or another's entry under this name.
#[tokio::test]
async fn damaged_entries_are_told_apart_from_absent_ones() {
    let (world, a) = World::in_memory().with_sales().await;
    let sales = a.sales().await;
    let files = LogFiles::new(world.base.clone(), sales.place().log_prefix());
    let first = files.read(1).await.unwrap().unwrap();
    files.create(2, first).await.unwrap();
    let text = sales.poll().await.unwrap_err().to_string();
    assert!(text.contains("it says that it is entry 1"), "{text}");
    world.base.delete(&files.key(2)).await.unwrap();
    files.create(2, b"{}".as_slice().into()).await.unwrap();
    let error = sales.poll().await.unwrap_err();
    assert!(matches!(error, RepoError::Damaged { .. }), "{error}");
    assert_eq!(sales.state().seq, 1);
}

/// An error of the store is never taken for an absent entry.
#[tokio::test]
async fn a_denied_probe_is_not_an_absent_entry() {
    let (_world, a) = World::in_memory().with_sales().await;
    let sales = a.sales().await;
    for fault in [Fault::Denied, Fault::Busy, Fault::CutBody] {
        a.faults.plan(Verb::Get, "/log/", fault, 1);
        let error = sales.poll().await.unwrap_err();
        assert!(matches!(error, RepoError::Store(_)), "{error}");
    }
}

/// Entries of a writer that carries the table only every 64th are read as those that carry it always.
#[tokio::test]
async fn tables_are_rebuilt_from_any_entry() {
    let (world, a) = World::in_memory().with_sales().await;
    let sales = a.sales().await;
    let head = head_of(&sales, "main").await.1;
    for number in 0..90 {
        sales
            .append(|state| {
                let name = RefName::branch(&format!("b{}", number % 45));
                Ok(match state.branch(&name.name) {
                    None => vec![creation(name, head)],
                    Some((identity, _)) => state.change(Operation::Reset, &identity, Some(head)).into_iter().collect(),
                })
            })
            .await
            .unwrap();
        let opened = world.machine(10).await.sales().await;
        assert_eq!(opened.state(), sales.state());
    }
}
