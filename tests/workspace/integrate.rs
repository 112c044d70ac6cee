//! The verbs that bring a branch what another commit has, as the control socket and the command line call them.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::future::BoxFuture;
use meshfs::daemon::control::protocol::{BranchName, CommitName, Integrate, Reply, Request, Source, Taking};
use meshfs::daemon::failure::{Class, Failure};
use meshfs::daemon::verbs::{self, Host};
use meshfs::model::commit::Commit;
use meshfs::model::id::CommitId;
use meshfs::model::log::{Operation, RefName};
use meshfs::model::merge::Side;
use meshfs::repo::domain::Domain;
use meshfs::repo::mesh::Mesh;
use meshfs::workspace::view::Workspace;

use crate::support::*;
use crate::world::*;

impl Host for Tree {
    fn mesh(&self) -> &Mesh {
        &self.machine.mesh
    }

    fn workspace<'a>(&'a self, _: &'a Domain, branch: &'a str) -> BoxFuture<'a, Result<Arc<Workspace>, Failure>> {
        assert_eq!(branch, self.workspace.branch().name.name, "only the one working tree is here");
        Box::pin(async { Ok(self.workspace.clone()) })
    }
}

pub fn into_branch(name: &str) -> BranchName {
    BranchName { domain: SALES.to_owned(), branch: Some(name.to_owned()) }
}

pub fn at(revision: impl ToString) -> Source {
    Source::Commit(CommitName { domain: SALES.to_owned(), revision: Some(revision.to_string()) })
}

/// Takes a commit into the tree's branch.
pub fn taking(tree: &Tree, taking: Taking, source: Source) -> Integrate {
    Integrate {
        taking,
        source,
        parent: None,
        into: into_branch(&tree.workspace.branch().name.name),
        message: None,
        author: "ann".to_owned(),
        strategy: None,
        dry_run: false,
    }
}

impl Tree {
    /// The new head of this tree's branch; none when it had everything.
    pub async fn take(&self, request: Integrate) -> Result<Option<CommitId>, Failure> {
        match verbs::perform(self, Request::Integrate(request)).await? {
            Reply::Committed { commit, .. } => Ok(commit.map(|commit| commit.id)),
            other => panic!("{other:?}"),
        }
    }

    pub async fn merge(&self, from: &str) -> Result<Option<CommitId>, Failure> {
        self.take(taking(self, Taking::Merge, Source::Branch(into_branch(from)))).await
    }

    pub async fn merge_with(&self, from: &str, side: Side) -> CommitId {
        let request = taking(self, Taking::Merge, Source::Branch(into_branch(from)));
        self.take(Integrate { strategy: Some(side), ..request }).await.unwrap().unwrap()
    }

    /// Merges; the paths in conflict and what kind each is.
    pub async fn merge_in_conflict(&self, from: &str) -> Vec<(String, String)> {
        conflicts(self.merge(from).await.unwrap_err())
    }

    pub async fn record(&self, id: &CommitId) -> Arc<Commit> {
        self.domain.record(id).await.unwrap()
    }

    /// The newest operation on this tree's branch.
    pub async fn last_operation(&self) -> Operation {
        let name = RefName::branch(&self.workspace.branch().name.name);
        self.domain.reflog(&name, 1).await.unwrap()[0].change.operation
    }
}

pub fn conflicts(failure: Failure) -> Vec<(String, String)> {
    assert_eq!(failure.class, Class::Conflict, "{failure:?}");
    failure.conflicts.into_iter().map(|conflict| (conflict.path.to_string(), conflict.kind)).collect()
}

/// `main` with these files, and the branch `exp` at the same commit, each on its own machine.
pub async fn fork(files: &[(&str, &str)]) -> (World, Tree, Tree) {
    let (world, main) = one().await;
    for (at, text) in files {
        main.write(at, text).await;
    }
    let head = match files {
        [] => main.workspace.head(),
        _ => main.commit().await,
    };
    main.domain.create_branch("exp", &head).await.unwrap();
    let exp = Tree::on(world.machine(2).await, "exp").await;
    (world, main, exp)
}

#[tokio::test]
async fn a_branch_that_has_nothing_of_its_own_is_moved() {
    let (_world, main, exp) = fork(&[("a", "1")]).await;
    exp.write("a", "2").await;
    let head = exp.commit().await;
    assert_eq!(main.merge("exp").await.unwrap(), Some(head));
    assert_eq!(head_of(&main.domain, "main").await.1, head);
    assert_eq!(main.last_operation().await, Operation::Merge);
    assert_eq!(main.read("a").await.unwrap(), "2", "a clean working tree follows");
    assert_eq!(main.merge("exp").await.unwrap(), None, "it has it all");
}

#[tokio::test]
async fn a_message_asks_for_a_commit() {
    let (_world, main, exp) = fork(&[("a", "1")]).await;
    exp.write("a", "2").await;
    let (before, head) = (main.workspace.head(), exp.commit().await);
    let request = taking(&main, Taking::Merge, at("exp"));
    let merged = main.take(Integrate { message: Some("Take exp".to_owned()), ..request }).await.unwrap().unwrap();
    let record = main.record(&merged).await;
    assert_eq!((record.parents.as_slice(), record.message.as_str()), ([before, head].as_slice(), "Take exp"));
    assert_eq!(record.stats.modified, 1, "against the branch it landed on");
}

#[tokio::test]
async fn what_each_side_changed_is_in_the_merge() {
    let (world, main, exp) = fork(&[("a", "1"), ("b", "1"), ("d/x", "1")]).await;
    main.write("a", "main").await;
    let ours = main.commit().await;
    exp.write("b", "exp").await;
    exp.rename("d", "e").await.unwrap();
    let theirs = exp.commit().await;
    let merged = main.merge("exp").await.unwrap().unwrap();
    let record = main.record(&merged).await;
    assert_eq!(record.parents, [ours, theirs]);
    assert_eq!(record.message, "Merge exp into main");
    let expected = all(&[("a", "main"), ("b", "exp"), ("e", "/"), ("e/x", "1")]);
    assert_eq!(committed(&world, &merged).await, expected);
    assert_eq!(main.all().await, expected);
    assert_eq!(main.merge("exp").await.unwrap(), None);
    assert_eq!(exp.merge("main").await.unwrap(), Some(merged), "and back, without another commit");
}

#[tokio::test]
async fn what_is_staged_stays_staged() {
    let (world, main, exp) = fork(&[("a", "1"), ("b", "1")]).await;
    exp.write("b", "exp").await;
    exp.commit().await;
    main.write("a", "not committed").await;
    let merged = main.merge("exp").await.unwrap().unwrap();
    assert_eq!(committed(&world, &merged).await, all(&[("a", "1"), ("b", "exp")]));
    assert_eq!(main.status().await, ["M a"]);
    let next = main.commit().await;
    assert_eq!(committed(&world, &next).await, all(&[("a", "not committed"), ("b", "exp")]));
}

#[tokio::test]
async fn a_dry_run_changes_nothing() {
    let (_world, main, exp) = fork(&[("a", "1"), ("c", "1")]).await;
    exp.write("a", "2").await;
    exp.write("b", "2").await;
    exp.commit().await;
    let before = head_of(&main.domain, "main").await.1;
    let dry = || Integrate { dry_run: true, ..taking(&main, Taking::Merge, at("exp")) };
    let Reply::Changes { changes } = verbs::perform(&main, Request::Integrate(dry())).await.unwrap() else {
        panic!("changes are told");
    };
    assert_eq!(changes.iter().map(ToString::to_string).collect::<Vec<_>>(), ["M a", "A b"]);
    main.write("a", "3").await;
    let head = main.commit().await;
    let failure = verbs::perform(&main, Request::Integrate(dry())).await.unwrap_err();
    assert_eq!(conflicts(failure), [("a".to_owned(), "modify/modify".to_owned())]);
    assert_eq!(main.workspace.incoming().unwrap(), None, "nothing is under way");
    assert_eq!(head_of(&main.domain, "main").await.1, head);
    assert_ne!(head, before);
}

#[tokio::test]
async fn cherry_pick_takes_one_commit_and_says_of_which() {
    let (world, main, exp) = fork(&[("a", "1"), ("b", "1")]).await;
    exp.write("a", "2").await;
    exp.commit().await;
    exp.write("b", "2").await;
    let picked = exp.commit().await;
    let new = main.take(taking(&main, Taking::CherryPick, at(picked))).await.unwrap().unwrap();
    assert_eq!(committed(&world, &new).await, all(&[("a", "1"), ("b", "2")]));
    let (record, of) = (main.record(&new).await, main.record(&picked).await);
    assert_eq!(record.parents.len(), 1);
    assert_eq!((&record.message, &record.author), (&of.message, &of.author));
    assert_eq!(record.metadata, BTreeMap::from([("cherry-picked-from".to_owned(), picked.to_string())]));
    assert_eq!(main.last_operation().await, Operation::CherryPick);
    assert_eq!(main.take(taking(&main, Taking::CherryPick, at(picked))).await.unwrap(), None, "it is there");
}

#[tokio::test]
async fn revert_undoes_one_commit_and_leaves_what_came_after() {
    let (world, main) = one().await;
    main.write("a", "1").await;
    main.commit().await;
    main.write("a", "2").await;
    main.write("new", "2").await;
    let wrong = main.commit().await;
    main.write("b", "3").await;
    main.commit().await;
    let new = main.take(taking(&main, Taking::Revert, at(wrong))).await.unwrap().unwrap();
    assert_eq!(committed(&world, &new).await, all(&[("a", "1"), ("b", "3")]));
    assert_eq!(main.record(&new).await.message, "Revert \"a change\"");
    assert_eq!(main.last_operation().await, Operation::Revert);
    // And that undone.
    let back = main.take(taking(&main, Taking::Revert, at(new))).await.unwrap().unwrap();
    assert_eq!(committed(&world, &back).await, all(&[("a", "2"), ("b", "3"), ("new", "2")]));
}

#[tokio::test]
async fn a_merge_is_reverted_against_a_chosen_parent() {
    let (world, main, exp) = fork(&[("a", "1"), ("b", "1")]).await;
    main.write("a", "main").await;
    main.commit().await;
    exp.write("b", "exp").await;
    exp.commit().await;
    let merge = main.merge("exp").await.unwrap().unwrap();
    let revert = || taking(&main, Taking::Revert, at(merge));
    let unclear = main.take(revert()).await.unwrap_err();
    assert_eq!(unclear.class, Class::Usage);
    assert!(main.take(Integrate { parent: Some(3), ..revert() }).await.is_err());
    let new = main.take(Integrate { parent: Some(1), ..revert() }).await.unwrap().unwrap();
    assert_eq!(committed(&world, &new).await, all(&[("a", "main"), ("b", "1")]));
    let again = main.take(Integrate { parent: Some(2), ..taking(&main, Taking::CherryPick, at(merge)) }).await.unwrap();
    assert_eq!(again, None, "against the second parent it changed `a`, which is there");
}

#[tokio::test]
async fn a_revert_of_what_was_changed_again_is_a_conflict_that_is_settled_here() {
    let (world, main) = one().await;
    main.write("a", "1").await;
    main.commit().await;
    main.write("a", "2").await;
    main.write("b", "2").await;
    let wrong = main.commit().await;
    main.write("a", "3").await;
    let head = main.commit().await;
    let failure = main.take(taking(&main, Taking::Revert, at(wrong))).await.unwrap_err();
    assert_eq!(conflicts(failure), [("a".to_owned(), "modify/modify".to_owned())]);
    main.write("a", "1 and 3").await;
    let new = main.commit().await;
    assert_eq!(committed(&world, &new).await, all(&[("a", "1 and 3")]), "and `b` is gone");
    assert_eq!(main.record(&new).await.parents, [head]);
    assert_eq!(main.last_operation().await, Operation::Revert);
}

#[tokio::test]
async fn reset_is_remembered_and_undone_the_same_way() {
    let (_world, main) = one().await;
    main.write("a", "1").await;
    let first = main.commit().await;
    main.write("a", "2").await;
    let second = main.commit().await;
    let reset = |to: CommitId| verbs::perform(&main, Request::Reset { source: at(to), into: into_branch("main") });
    assert_eq!(reset(first).await.unwrap(), Reply::Reset { old: second, new: first });
    assert_eq!(main.read("a").await.unwrap(), "1", "a clean working tree follows");
    let log = main.domain.reflog(&RefName::branch("main"), 1).await.unwrap();
    assert_eq!((log[0].change.operation, log[0].change.previous_target), (Operation::Reset, Some(second)));
    assert_eq!(reset(first).await.unwrap(), Reply::Reset { old: first, new: first });
    assert_eq!(main.domain.reflog(&RefName::branch("main"), 9).await.unwrap().len(), 4, "that changed nothing");
    assert_eq!(reset(log[0].change.previous_target.unwrap()).await.unwrap(), Reply::Reset { old: first, new: second });
    assert_eq!(main.read("a").await.unwrap(), "2");
}

#[tokio::test]
async fn what_is_staged_goes_onto_the_commit_that_a_reset_brings_back() {
    let (world, main) = one().await;
    main.write("a", "1").await;
    let first = main.commit().await;
    main.write("b", "2").await;
    main.commit().await;
    main.write("c", "3").await;
    verbs::perform(&main, Request::Reset { source: at(first), into: into_branch("main") }).await.unwrap();
    assert_eq!(main.status().await, ["A c"]);
    let next = main.commit().await;
    assert_eq!(committed(&world, &next).await, all(&[("a", "1"), ("c", "3")]));
    assert_eq!(main.record(&next).await.parents, [first]);
}
