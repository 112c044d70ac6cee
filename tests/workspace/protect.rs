//! Protected branches: who may change them, and whose rule counts.

use meshfs::daemon::control::protocol::{Request, Taking};
use meshfs::daemon::failure::{Class, Failure};
use meshfs::daemon::verbs;
use meshfs::model::merge::Side;
use meshfs::repo::error::RepoError;
use meshfs::workspace::error::WorkspaceError;

use crate::integrate::{at, conflicts, fork, into_branch, taking};
use crate::support::*;
use crate::world::*;

const SETTINGS: &str = ".mesh/domain.toml";

/// `main` and `exp`, of which `main` has the rule that these are protected.
async fn protecting(branches: &str) -> (World, Tree, Tree) {
    let (world, main, exp) = fork(&[("a", "1")]).await;
    main.write(SETTINGS, &format!("[protection]\nbranches = [{branches}]\n")).await;
    main.commit().await;
    exp.merge("main").await.unwrap();
    (world, main, exp)
}

/// What a commit of the tree is refused for.
async fn refused(tree: &Tree) -> String {
    match tree.try_commit().await {
        Err(WorkspaceError::Repo(RepoError::Refused(reason))) => reason,
        other => panic!("{other:?}"),
    }
}

fn is_refused(outcome: Result<impl std::fmt::Debug, Failure>) {
    let failure = outcome.unwrap_err();
    assert_eq!(failure.class, Class::Failed);
    assert!(failure.what.contains("changes only by merge"), "{failure:?}");
}

#[tokio::test]
async fn a_protected_branch_changes_only_by_merge() {
    let (_world, main, exp) = protecting("\"main\"").await;
    let head = main.workspace.head();
    main.write("a", "2").await;
    let reason = refused(&main).await;
    assert!(reason.contains("`sales/main` is protected") && reason.contains("meshfs merge"), "{reason}");
    assert_eq!(main.status().await, ["M a"], "nothing staged is lost");
    main.workspace.discard(&path("")).await.unwrap();
    is_refused(main.take(taking(&main, Taking::Revert, at(head))).await);
    is_refused(verbs::perform(&main, Request::Reset { source: at("main~1"), into: into_branch("main") }).await);
    exp.write("a", "2").await;
    exp.commit().await;
    is_refused(main.take(taking(&main, Taking::CherryPick, at("exp"))).await);
    assert_eq!(head_of(&main.domain, "main").await.1, head);
    assert!(main.merge("exp").await.unwrap().is_some());
    assert_eq!(main.read("a").await.unwrap(), "2");
}

#[tokio::test]
async fn a_protected_branch_is_not_deleted_and_a_new_one_may_be_made() {
    let (_world, main, _exp) = protecting("\"release*\"").await;
    let head = main.workspace.head();
    let release = main.domain.create_branch("release-1", &head).await.unwrap();
    let deleted = main.domain.delete_branch(&release, &head).await;
    assert!(matches!(deleted, Err(RepoError::Refused(_))), "{deleted:?}");
    let other = main.domain.create_branch("rel", &head).await.unwrap();
    main.domain.delete_branch(&other, &head).await.unwrap();
}

#[tokio::test]
async fn the_working_tree_that_takes_the_rule_away_is_judged_by_it() {
    let (_world, main, exp) = protecting("\"main\"").await;
    main.remove(".mesh").await.unwrap();
    main.write("a", "2").await;
    refused(&main).await;
    main.workspace.discard(&path("")).await.unwrap();
    // By merge it can be taken away, and then counts no more.
    exp.remove(".mesh").await.unwrap();
    exp.commit().await;
    main.merge("exp").await.unwrap();
    main.write("a", "2").await;
    main.commit().await;
}

#[tokio::test]
async fn while_any_branch_is_protected_the_settings_change_only_by_merge() {
    let (_world, main, exp) = protecting("\"release\"").await;
    let release = main.domain.create_branch("release", &main.workspace.head()).await.unwrap();
    main.write("a", "2").await;
    main.commit().await;
    main.write(SETTINGS, "").await;
    assert!(refused(&main).await.contains(SETTINGS));
    main.workspace.discard(&path("")).await.unwrap();
    let old = verbs::perform(&main, Request::Reset { source: at("main~2"), into: into_branch("main") }).await;
    is_refused(old);
    verbs::perform(&main, Request::Reset { source: at("main~1"), into: into_branch("main") }).await.unwrap();
    // On another branch they are a file like any other.
    exp.write(SETTINGS, "").await;
    exp.commit().await;
    assert!(main.domain.reset_branch(&release, &main.workspace.head()).await.is_ok(), "it is there");
    main.merge("exp").await.unwrap();
    assert!(!main.domain.protection(&main.domain.state()).await.unwrap().covers("release"));
}

#[tokio::test]
async fn settings_that_cannot_be_read_are_refused() {
    let (_world, main, exp) = fork(&[("a", "1")]).await;
    main.write(SETTINGS, "[protection]\nbranches = \"main\"\n").await;
    assert!(refused(&main).await.contains("cannot be read"));
    main.write(SETTINGS, "[protection]\nbranches = [\"main\"]\n").await;
    main.commit().await;
    exp.write(SETTINGS, "[protection").await;
    exp.write("a", "2").await;
    exp.commit().await;
    let request = taking(&main, Taking::Merge, at("exp"));
    let failure = main.take(meshfs::daemon::control::protocol::Integrate { strategy: Some(Side::Theirs), ..request });
    assert!(failure.await.unwrap_err().what.contains("cannot be read"));
    main.write("a", "3").await;
    refused(&main).await;
}

#[tokio::test]
async fn conflicts_with_a_protected_branch_are_settled_on_the_other_side() {
    let (world, main, exp) = fork(&[("a", "1")]).await;
    main.write("a", "main").await;
    main.write(SETTINGS, "[protection]\nbranches = [\"main\"]\n").await;
    main.commit().await;
    exp.write("a", "exp").await;
    exp.commit().await;
    let failure = main.merge("exp").await.unwrap_err();
    assert!(failure.hint.as_ref().unwrap().contains("protected"), "{failure:?}");
    assert_eq!(conflicts(failure).len(), 1);
    assert_eq!(main.workspace.incoming().unwrap(), None);
    exp.merge_in_conflict("main").await;
    exp.write("a", "both").await;
    let settled = exp.commit().await;
    assert_eq!(main.merge("exp").await.unwrap(), Some(settled));
    assert_eq!(committed(&world, &settled).await["a"], "both");
}

#[tokio::test]
async fn a_commit_that_a_new_rule_overtakes_is_judged_by_it() {
    let (_world, main, exp) = fork(&[("a", "1")]).await;
    // `exp` has not looked at the log since: it lands on a state that it does not know yet.
    main.write(SETTINGS, "[protection]\nbranches = [\"exp\"]\n").await;
    main.commit().await;
    let known = exp.domain.state().seq;
    exp.write("a", "2").await;
    assert!(refused(&exp).await.contains("`sales/exp` is protected"));
    assert!(exp.domain.state().seq > known, "it met the rule on its way");
}
