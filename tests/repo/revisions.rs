//! What revisions mean, and what history and reflog say.

use std::time::Duration;

use meshfs::model::address::Revision;
use meshfs::model::id::CommitId;
use meshfs::model::log::{Operation, RefName};
use meshfs::model::time::Time;
use meshfs::repo::domain::{Domain, Proposal, Proposed};
use meshfs::repo::error::RepoError;
use meshfs::telemetry::counters::Verb;

use super::world::*;

async fn resolve(domain: &Domain, revision: &str) -> Result<CommitId, RepoError> {
    domain.resolve(&revision.parse::<Revision>().unwrap()).await
}

/// Commits on main, a minute apart; the ids, the root commit first.
async fn line(machine: &Machine, count: usize) -> Vec<CommitId> {
    let sales = machine.sales().await;
    let (main, head) = head_of(&sales, "main").await;
    let mut ids = vec![head];
    for number in 0..count {
        machine.clock.advance(Duration::from_secs(60));
        ids.push(commit(&sales, &main, &format!("c{number}")).await.unwrap());
    }
    ids
}

#[tokio::test]
async fn tags_go_before_branches_and_branches_before_ids() {
    let (_world, a) = World::in_memory().with_sales().await;
    let ids = line(&a, 3).await;
    let sales = a.sales().await;
    let digits = &ids[1].to_string()[..8];
    assert_eq!(resolve(&sales, "main").await.unwrap(), ids[3]);
    assert_eq!(resolve(&sales, digits).await.unwrap(), ids[1]);
    assert_eq!(resolve(&sales, &ids[1].to_string()).await.unwrap(), ids[1]);
    sales.create_tag("main", &ids[2]).await.unwrap();
    assert_eq!(resolve(&sales, "main").await.unwrap(), ids[2]);
    sales.create_branch(digits, &ids[0]).await.unwrap();
    assert_eq!(resolve(&sales, digits).await.unwrap(), ids[0]);
}

#[tokio::test]
async fn ancestors_are_counted_along_first_parents() {
    let (_world, a) = World::in_memory().with_sales().await;
    let ids = line(&a, 4).await;
    let sales = a.sales().await;
    assert_eq!(resolve(&sales, "main~2").await.unwrap(), ids[2]);
    assert_eq!(resolve(&sales, &format!("{}~", &ids[3].to_string()[..10])).await.unwrap(), ids[2]);
    assert_eq!(resolve(&sales, "main~4").await.unwrap(), ids[0]);
    let text = resolve(&sales, "main~9").await.unwrap_err().to_string();
    assert!(text.contains("only 4 ancestors"), "{text}");
}

#[tokio::test]
async fn a_branch_is_found_as_it_was_at_any_time() {
    let (world, a) = World::in_memory().with_sales().await;
    let ids = line(&a, 100).await;
    let sales = world.machine(2).await.sales().await;
    for back_minutes in [0, 1, 2, 37, 99] {
        let at = Time(a.mesh.sys().clock.now() - back_minutes * 60 * 1_000_000_000 + 1_000_000_000);
        assert_eq!(resolve(&sales, &format!("main@{{{at}}}")).await.unwrap(), ids[100 - back_minutes as usize]);
        let before = resolve(&sales, &format!("main@{{{at}}}~1")).await;
        assert_eq!(before.ok(), ids.get((99 - back_minutes) as usize).copied());
    }
    let text = resolve(&sales, "main@{2020-01-01}").await.unwrap_err().to_string();
    assert!(text.contains("younger"), "{text}");
    let text = resolve(&sales, "exp@{2026-11-23T00:10Z}").await.unwrap_err().to_string();
    assert!(text.contains("called `exp` then"), "{text}");
}

/// A branch that is gone is still there in the past.
#[tokio::test]
async fn deleted_branches_are_found_in_the_past() {
    let (_world, a) = World::in_memory().with_sales().await;
    let ids = line(&a, 1).await;
    let sales = a.sales().await;
    let exp = sales.create_branch("exp", &ids[1]).await.unwrap();
    let then = Time(a.mesh.sys().clock.now());
    a.clock.advance(Duration::from_secs(60));
    sales.delete_branch(&exp, &ids[1]).await.unwrap();
    assert!(resolve(&sales, "exp").await.is_err());
    assert_eq!(resolve(&sales, &format!("exp@{{{then}}}")).await.unwrap(), ids[1]);
}

#[tokio::test]
async fn what_names_nothing_says_so() {
    let (_world, a) = World::in_memory().with_sales().await;
    line(&a, 2).await;
    let sales = a.sales().await;
    for nothing in ["nope", "0000000000", &"0".repeat(64)] {
        let error = resolve(&sales, nothing).await.unwrap_err();
        assert!(matches!(error, RepoError::NoRevision { .. }), "{error}");
    }
}

/// Two commits with one beginning: the error names both. A record that never landed is not among them.
#[tokio::test]
async fn ambiguous_ids_name_their_candidates() {
    let (_world, a) = World::in_memory().with_sales().await;
    let sales = a.sales().await;
    let (main, mut head) = head_of(&sales, "main").await;
    // Ids are hashes: two with the same first digit are soon there, eight digits are not. One digit is no revision, so
    // the records are put under names that share their first eight.
    let mut ids = Vec::new();
    for number in 0..2 {
        let id = commit(&sales, &main, &format!("{number}")).await.unwrap();
        ids.push(id);
        head = id;
    }
    let stray = write_record(&sales, &head, "stray", 4).await;
    let digits = stray.id.to_string()[..8].to_owned();
    let error = resolve(&sales, &digits).await.unwrap_err();
    assert!(matches!(error, RepoError::NoRevision { .. }), "it never landed: {error}");
    for id in ids {
        assert_eq!(resolve(&sales, &id.to_string()[..9]).await.unwrap(), id);
    }
}

#[tokio::test]
async fn a_branch_made_elsewhere_is_found_without_waiting_for_a_poll() {
    let (world, a) = World::in_memory().with_sales().await;
    let b = world.machine(2).await;
    let (ours, theirs) = (a.sales().await, b.sales().await);
    let head = head_of(&ours, "main").await.1;
    ours.create_branch("exp", &head).await.unwrap();
    assert_eq!(resolve(&theirs, "exp").await.unwrap(), head);
}

#[tokio::test]
async fn history_goes_from_the_newest_back() {
    for world in [World::in_memory(), World::on_disk()] {
        let (world, a) = world.with_sales().await;
        let ids = line(&a, 40).await;
        let sales = world.machine(2).await.sales().await;
        for max in [1, 2, 5, 41, 1000] {
            let found: Vec<_> = sales.history(&ids[40], max).await.unwrap().iter().map(|c| c.id).collect();
            let expected: Vec<_> = ids.iter().rev().take(max).copied().collect();
            assert_eq!(found, expected);
        }
    }
}

/// A merge's history has both sides, children before parents, each commit once.
#[tokio::test]
async fn history_of_a_merge_has_both_sides_once() {
    let (_world, a) = World::in_memory().with_sales().await;
    let ids = line(&a, 2).await;
    let sales = a.sales().await;
    let main = sales.state().branch("main").unwrap().0;
    let exp = sales.create_branch("exp", &ids[1]).await.unwrap();
    let side = commit(&sales, &exp, "side").await.unwrap();
    let state = sales.state();
    let mut merge = write_record(&sales, &ids[2], "merge", state.seq + 1).await;
    merge.parents.push(side);
    merge.id = meshfs::format::record::commit_id(&merge).unwrap();
    let bytes = meshfs::format::record::encode_commit(&merge).unwrap();
    sales.store().put(&sales.place().record_key(&merge.id), bytes.into()).await.unwrap();
    let change = state.change(Operation::Merge, &main, Some(merge.id)).unwrap();
    let landed = sales.propose(&state, Proposal { changes: vec![change], ..Proposal::default() }).await.unwrap();
    assert!(matches!(landed, Proposed::Landed { .. }));
    let found: Vec<_> = sales.history(&merge.id, 100).await.unwrap().iter().map(|c| c.id).collect();
    assert_eq!(found[0], merge.id);
    assert_eq!(found[3..], [ids[1], ids[0]]);
    assert!(found[1..3].contains(&side) && found[1..3].contains(&ids[2]) && found.len() == 5);
    for (ancestor, commit, is) in [(ids[0], merge.id, true), (side, merge.id, true), (side, ids[2], false)] {
        assert_eq!(sales.is_ancestor(&ancestor, &commit).await.unwrap(), is);
    }
}

/// `log -n N` reads N records and few entries more, not the whole history.
#[tokio::test]
async fn a_short_log_reads_little() {
    let (world, a) = World::in_memory().with_sales().await;
    let ids = line(&a, 300).await;
    let b = world.machine(2).await;
    let sales = b.sales().await;
    for count in [1, 10, 50] {
        let before = b.counters.read();
        sales.history(&ids[299 - count], count).await.unwrap();
        let spent = (b.counters.read() - before).of(Verb::Get) as usize;
        assert!(spent <= count + 1, "{count} commits: {spent} reads");
    }
    let before = b.counters.read();
    sales.history(&ids[300], 100).await.unwrap();
    let spent = (b.counters.read() - before).of(Verb::Get);
    assert!(spent <= 240, "the entries that tell what to read ahead cost at most as much again: {spent}");
}

#[tokio::test]
async fn the_reflog_tells_every_change_of_a_life() {
    let (world, a) = World::in_memory().with_sales().await;
    let ids = line(&a, 1).await;
    let sales = a.sales().await;
    let main = sales.state().branch("main").unwrap().0;
    let exp = sales.create_branch("exp", &ids[1]).await.unwrap();
    let one = commit(&sales, &exp, "one").await.unwrap();
    for number in 0..80 {
        commit(&sales, &main, &format!("{number}")).await.unwrap();
    }
    let two = commit(&sales, &exp, "two").await.unwrap();
    let name = RefName::branch("exp");
    let fresh = world.machine(2).await.sales().await;
    let told = |log: Vec<meshfs::repo::history::ReflogEntry>| {
        log.into_iter().map(|e| (e.change.operation, e.change.target)).collect::<Vec<_>>()
    };
    let expected = [(Operation::Commit, Some(two)), (Operation::Commit, Some(one)), (Operation::Create, Some(ids[1]))];
    assert_eq!(told(fresh.reflog(&name, 100).await.unwrap()), expected);
    assert_eq!(told(fresh.reflog(&name, 2).await.unwrap()), expected[..2]);
    sales.delete_branch(&exp, &two).await.unwrap();
    let log = told(sales.reflog(&name, 100).await.unwrap());
    assert_eq!((log[0], &log[1..]), ((Operation::Delete, None), &expected[..]));
    assert_eq!(sales.reflog(&RefName::branch("main"), 1000).await.unwrap().len(), 82);
    assert!(sales.reflog(&RefName::branch("never"), 10).await.unwrap().is_empty());
}
