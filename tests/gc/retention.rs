//! History that a domain's settings let expire.

use meshfs::model::gc::Freed;
use meshfs::model::log::Operation;
use meshfs::repo::domain::{Proposal, Proposed};
use meshfs::repo::error::RepoError;
use meshfs::repo::settings::SETTINGS_PATH;

use super::lab::*;
use super::world::head_of;

fn settings(text: &str) -> Option<Vec<u8>> {
    Some(text.as_bytes().to_vec())
}

/// With `days`, what was replaced longer ago goes; the newest commit of a branch, and what a tag names, never does.
#[tokio::test]
async fn history_expires_after_the_days_of_the_settings() {
    let (world, a) = aged(0).await;
    let sales = a.sales().await;
    let mut commits = Vec::new();
    for number in 0..5 {
        a.clock.advance(DAY * 50);
        commits.push(commit_files(&sales, "main", &[("f", Some(bytes(number, 20_000)))]).await);
    }
    sales.create_tag("kept", &commits[1]).await.unwrap();
    assert_eq!(collect(&sales).await.condemned, Freed::default(), "all history is kept unless they say otherwise");
    let newest = commit_files(&sales, "main", &[(SETTINGS_PATH, settings("[retention]\ndays = 60"))]).await;
    a.clock.advance(DAY * 40);
    // 40 days after the newest, 90 after the one before it began, 140, 190 ...
    let report = collect(&sales).await;
    assert!(report.condemned.packs >= 2, "{report:?}");
    let error = sales.create_branch("old", &commits[0]).await.unwrap_err();
    assert!(matches!(error, RepoError::Expired { .. }), "{error}");
    a.clock.advance(DAY * 2);
    assert!(collect(&sales).await.deleted.packs >= 2);
    for kept in [commits[1], commits[4], newest] {
        check(&world, &kept).await;
    }
    for gone in [commits[0], commits[2]] {
        let error = world.machine(9).await.sales().await.snapshot(&gone).await.unwrap_err();
        assert!(matches!(error, RepoError::Expired { .. }), "{error}");
    }
    sales.create_branch("tagged", &commits[1]).await.unwrap();

    // What is gone does not come back with laxer settings, and stops no later run.
    commit_files(&sales, "main", &[(SETTINGS_PATH, None)]).await;
    a.clock.advance(DAY * 10);
    dead_branch(&sales, "exp", bytes(77, 9_000)).await;
    a.clock.advance(DAY * 40);
    assert!(collect(&sales).await.condemned.packs > 0);
    let error = sales.create_branch("old", &commits[0]).await.unwrap_err();
    assert!(matches!(error, RepoError::Expired { .. }), "{error}");
}

/// Rules of one branch are of that branch.
#[tokio::test]
async fn a_branch_may_have_days_of_its_own() {
    let (world, a) = aged(0).await;
    let sales = a.sales().await;
    let rules = "[retention]\nunreferenced_days = 5\n[retention.branches]\n\"ci-*\" = 10";
    let main = commit_files(&sales, "main", &[(SETTINGS_PATH, settings(rules))]).await;
    sales.create_branch("ci-1", &main).await.unwrap();
    let old = commit_files(&sales, "ci-1", &[("f", Some(bytes(1, 20_000)))]).await;
    let new = commit_files(&sales, "ci-1", &[("f", Some(bytes(2, 20_000)))]).await;
    a.clock.advance(DAY * 20);
    assert_eq!(collect(&sales).await.condemned.packs, 1);
    a.clock.advance(DAY * 2);
    collect(&sales).await;
    check(&world, &main).await;
    check(&world, &new).await;
    assert!(world.machine(9).await.sales().await.snapshot(&old).await.is_err());
}

/// Settings that cannot be read, as another version may have admitted them, stop the run: they might say to keep.
#[tokio::test]
async fn settings_that_cannot_be_read_stop_a_run() {
    let (world, a) = aged(0).await;
    let sales = a.sales().await;
    dead_branch(&sales, "exp", bytes(1, 9_000)).await;
    let (main, head) = head_of(&sales, "main").await;
    sales.create_branch("later", &head).await.unwrap();
    let later = commit_files(&sales, "later", &[(SETTINGS_PATH, settings("[retention]\ndays = \"many\""))]).await;
    let state = sales.state();
    let changes = state.change(Operation::Reset, &main, Some(later)).into_iter().collect();
    let moved = sales.propose(&state, Proposal { changes, ..Proposal::default() }).await.unwrap();
    assert!(matches!(moved, Proposed::Landed { .. }));
    a.clock.advance(DAY * 40);
    let error = try_collect(&sales).await.unwrap_err().to_string();
    assert!(error.contains(SETTINGS_PATH) && error.contains("many"), "{error}");
    assert_eq!(keys(&world, &sales, "gc/").await.len(), 0);
}
