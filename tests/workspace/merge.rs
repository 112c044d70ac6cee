//! Merges of branches: the design's table case by case, conflicts settled one by one, histories that cross.

use meshfs::daemon::control::protocol::{Request, Taking};
use meshfs::daemon::verbs;
use meshfs::model::id::CommitId;
use meshfs::model::merge::Side;
use meshfs::workspace::commit::Committed;
use meshfs::workspace::refresh::Refreshed;

use crate::integrate::{at, conflicts, fork, taking};
use crate::support::*;
use crate::world::*;

/// Something done in a working tree.
enum Do {
    Write(&'static str, &'static str),
    Remove(&'static str),
    Rename(&'static str, &'static str),
    Mode(&'static str, u16),
    Link(&'static str, &'static str),
    Dir(&'static str),
}

use Do::{Dir, Link, Mode, Remove, Rename, Write};

impl Tree {
    async fn perform(&self, what: &[Do]) {
        for one in what {
            match *one {
                Write(at, text) => self.write(at, text).await,
                Remove(at) => self.remove(at).await.unwrap(),
                Rename(from, to) => self.rename(from, to).await.unwrap(),
                Mode(at, mode) => self.chmod(at, mode).await,
                Link(from, to) => self.link(from, to).await.unwrap(),
                Dir(at) => self.mkdir(at).await.unwrap(),
            }
        }
    }
}

const BASE: [(&str, &str); 4] = [("a", "1"), ("b", "1"), ("d/x", "1"), ("d/y", "1")];

/// `main` and `exp` after these changes of [`BASE`], committed.
async fn sides(ours: &[Do], theirs: &[Do]) -> (World, Tree, Tree) {
    let (world, main, exp) = fork(&BASE).await;
    main.perform(ours).await;
    main.commit().await;
    exp.perform(theirs).await;
    exp.commit().await;
    (world, main, exp)
}

/// Both sides' changes are in the merge.
async fn merges(ours: &[Do], theirs: &[Do], expected: &[(&str, &str)]) -> (World, Tree) {
    let (world, main, _exp) = sides(ours, theirs).await;
    let merged = main.merge("exp").await.unwrap().expect("a merge commit");
    assert_eq!(committed(&world, &merged).await, all(expected));
    assert_eq!(main.all().await, all(expected), "the working tree follows");
    (world, main)
}

/// They are in conflict; what each strategy makes of it.
async fn conflict(
    ours: &[Do],
    theirs: &[Do],
    paths: &[(&str, &str)],
    by_ours: &[(&str, &str)],
    by_theirs: &[(&str, &str)],
) {
    let (world, main, _exp) = sides(ours, theirs).await;
    let before = main.all().await;
    let met = main.merge_in_conflict("exp").await;
    assert_eq!(met.iter().map(|(path, kind)| (path.as_str(), kind.as_str())).collect::<Vec<_>>(), paths);
    assert_eq!(main.all().await, before, "the working tree is as it was");
    for (side, expected) in [(Side::Theirs, by_theirs), (Side::Ours, by_ours)] {
        let head = head_of(&main.domain, "main").await;
        let merged = main.merge_with("exp", side).await;
        assert_eq!(committed(&world, &merged).await, all(expected), "{side:?}");
        assert_eq!(main.workspace.conflicts().unwrap(), [], "nothing is left of it");
        main.domain.reset_branch(&head.0, &head.1).await.unwrap();
        main.refresh(None, &[]).await;
    }
}

#[tokio::test]
async fn the_same_on_both_sides_is_no_conflict() {
    let same = [Write("a", "2"), Remove("b"), Rename("d/x", "x")];
    let again = [Write("a", "2"), Remove("b"), Rename("d/x", "x"), Write("z", "3")];
    merges(&same, &again, &[("a", "2"), ("d", "/"), ("d/y", "1"), ("x", "1"), ("z", "3")]).await;
}

#[tokio::test]
async fn deleted_here_and_modified_there() {
    conflict(
        &[Remove("a")],
        &[Write("a", "2")],
        &[("a", "delete/modify")],
        &[("b", "1"), ("d", "/"), ("d/x", "1"), ("d/y", "1")],
        &[("a", "2"), ("b", "1"), ("d", "/"), ("d/x", "1"), ("d/y", "1")],
    )
    .await;
}

#[tokio::test]
async fn modified_here_and_deleted_there() {
    conflict(
        &[Write("a", "2")],
        &[Remove("a")],
        &[("a", "modify/delete")],
        &[("a", "2"), ("b", "1"), ("d", "/"), ("d/x", "1"), ("d/y", "1")],
        &[("b", "1"), ("d", "/"), ("d/x", "1"), ("d/y", "1")],
    )
    .await;
}

#[tokio::test]
async fn a_file_here_and_a_directory_there() {
    conflict(
        &[Write("n", "file")],
        &[Write("n/inside", "dir")],
        &[("n", "file/directory")],
        &[("a", "1"), ("b", "1"), ("d", "/"), ("d/x", "1"), ("d/y", "1"), ("n", "file")],
        &[("a", "1"), ("b", "1"), ("d", "/"), ("d/x", "1"), ("d/y", "1"), ("n", "/"), ("n/inside", "dir")],
    )
    .await;
}

#[tokio::test]
async fn a_directory_renamed_here_and_a_change_below_it_there() {
    conflict(
        &[Rename("d", "e")],
        &[Write("d/x", "2"), Write("d/new", "2")],
        &[("d/new", "delete/add"), ("d/x", "delete/modify")],
        &[("a", "1"), ("b", "1"), ("e", "/"), ("e/x", "1"), ("e/y", "1")],
        &[("a", "1"), ("b", "1"), ("d", "/"), ("d/new", "2"), ("d/x", "2"), ("e", "/"), ("e/x", "1"), ("e/y", "1")],
    )
    .await;
}

#[tokio::test]
async fn a_directory_renamed_here_and_something_elsewhere_there() {
    merges(&[Rename("d", "e")], &[Write("a", "2")], &[("a", "2"), ("b", "1"), ("e", "/"), ("e/x", "1"), ("e/y", "1")])
        .await;
}

#[tokio::test]
async fn content_here_and_mode_there() {
    let expected = [("a", "2"), ("b", "1"), ("d", "/"), ("d/x", "1"), ("d/y", "1")];
    let (_world, main) = merges(&[Write("a", "2")], &[Mode("a", 0o600)], &expected).await;
    assert_eq!(main.attr("a").await.mode, 0o600);
}

#[tokio::test]
async fn one_mode_here_and_another_there() {
    let (_world, main, _exp) =
        sides(&[Mode("a", 0o600), Mode("d", 0o700)], &[Mode("a", 0o640), Mode("d", 0o750)]).await;
    let met = main.merge_in_conflict("exp").await;
    assert_eq!(met, [("a", "modify/modify"), ("d", "modify/modify")].map(|(a, b)| (a.to_owned(), b.to_owned())));
    main.merge_with("exp", Side::Theirs).await;
    assert_eq!((main.attr("a").await.mode, main.attr("d").await.mode), (0o640, 0o750));
}

#[tokio::test]
async fn directories_made_on_both_sides_become_one() {
    let expected =
        [("a", "1"), ("b", "1"), ("d", "/"), ("d/x", "1"), ("d/y", "1"), ("n", "/"), ("n/here", "1"), ("n/there", "2")];
    merges(&[Dir("n"), Write("n/here", "1")], &[Dir("n"), Write("n/there", "2")], &expected).await;
}

#[tokio::test]
async fn times_never_conflict() {
    let (_world, main, exp) = fork(&BASE).await;
    main.touch("a", 5_000_000_000).await;
    main.commit().await;
    exp.touch("a", 9_000_000_000).await;
    exp.commit().await;
    main.merge("exp").await.unwrap();
    assert_eq!(main.attr("a").await.mtime.0, 9_000_000_000, "the newest wins");
}

#[tokio::test]
async fn names_of_one_file_made_on_both_sides() {
    let expected = [("a", "1"), ("b", "1"), ("d", "/"), ("d/x", "1"), ("d/y", "1"), ("here", "1"), ("there", "1")];
    let (_world, main) = merges(&[Link("a", "here")], &[Link("a", "there")], &expected).await;
    let inos = [main.attr("a").await, main.attr("here").await, main.attr("there").await].map(|attr| attr.ino);
    assert!(inos.iter().all(|ino| *ino == inos[0]), "{inos:?}");
    assert_eq!(main.attr("a").await.nlink, 3);
}

#[tokio::test]
async fn a_file_written_here_that_got_another_name_there() {
    let expected = [("a", "2"), ("b", "1"), ("d", "/"), ("d/x", "1"), ("d/y", "1"), ("n", "2")];
    let (_world, main) = merges(&[Write("a", "2")], &[Link("a", "n")], &expected).await;
    assert_eq!(main.attr("a").await.ino, main.attr("n").await.ino);
}

/// A merge of `a` and `d/x`, changed on both sides, met by `main`.
async fn met() -> (World, Tree, Tree, CommitId, CommitId) {
    let (world, main, exp) = fork(&BASE).await;
    main.perform(&[Write("a", "ours"), Write("d/x", "ours")]).await;
    let ours = main.commit().await;
    exp.perform(&[Write("a", "theirs"), Write("d/x", "theirs"), Write("c", "theirs"), Remove("b")]).await;
    let theirs = exp.commit().await;
    let met = main.merge_in_conflict("exp").await;
    assert_eq!(met.into_iter().map(|(path, _)| path).collect::<Vec<_>>(), ["a", "d/x"]);
    (world, main, exp, ours, theirs)
}

#[tokio::test]
async fn conflicts_are_settled_one_by_one_and_the_commit_is_the_merge() {
    let (world, mut main, _exp, ours, theirs) = met().await;
    assert_eq!(main.status().await, [""; 0], "nothing is staged by it");
    let kept = main.workspace.conflicts().unwrap();
    assert!(kept.iter().all(|conflict| conflict.base.is_some() && conflict.ours.is_some() && conflict.head == theirs));
    assert_eq!(main.commit_in_conflict().await, ["a", "d/x"], "nothing is settled");
    main.write("a", "both").await;
    main.reopen().await;
    assert_eq!(main.commit_in_conflict().await, ["d/x"]);
    assert_eq!(main.refresh(Some(Side::Theirs), &["d"]).await.moved(), None);
    assert_eq!(main.workspace.open_conflicts().await.unwrap(), 0);
    let merged = main.commit().await;
    let expected = all(&[("a", "both"), ("c", "theirs"), ("d", "/"), ("d/x", "theirs"), ("d/y", "1")]);
    assert_eq!(committed(&world, &merged).await, expected);
    assert_eq!(main.record(&merged).await.parents, [ours, theirs]);
    assert_eq!(main.all().await, expected);
    assert_eq!((main.status().await.len(), main.workspace.conflicts().unwrap().len()), (0, 0));
    assert_eq!(main.workspace.incoming().unwrap(), None);
    assert_eq!(main.merge("exp").await.unwrap(), None);
}

/// The commit landed and the tree is on it, but what came in could not be noted as done, as when the process ends there.
#[tokio::test]
async fn a_merge_that_landed_is_not_under_way_any_more() {
    let (_world, main, _exp, ours, theirs) = met().await;
    main.refresh(Some(Side::Ours), &[]).await;
    let disk = rusqlite::Connection::open(main.workspace.dir().join("overlay.db")).unwrap();
    let sql =
        "CREATE TRIGGER full BEFORE UPDATE ON meta WHEN OLD.key = 'incoming' BEGIN SELECT RAISE(ABORT, 'full'); END";
    disk.execute_batch(sql).unwrap();
    let merged = main.commit().await;
    assert_eq!(main.record(&merged).await.parents, [ours, theirs]);
    assert!(main.workspace.incoming().unwrap().is_some());
    disk.execute_batch("DROP TRIGGER full").unwrap();
    assert!(matches!(main.try_commit().await.unwrap(), Committed::Nothing), "all of it is in the branch");
    assert_eq!(main.workspace.incoming().unwrap(), None);
    assert!(main.workspace.conflicts().unwrap().is_empty());
}

trait Moved {
    fn moved(&self) -> Option<CommitId>;
}

impl Moved for Refreshed {
    fn moved(&self) -> Option<CommitId> {
        match self {
            Refreshed::Moved { to, .. } => Some(*to),
            Refreshed::Current => None,
            Refreshed::Conflict(conflicts) => panic!("{conflicts:?}"),
        }
    }
}

#[tokio::test]
async fn ours_is_chosen_without_writing_anything() {
    let (world, main, _exp, ours, theirs) = met().await;
    main.refresh(Some(Side::Ours), &[]).await;
    let merged = main.commit().await;
    let expected = all(&[("a", "ours"), ("c", "theirs"), ("d", "/"), ("d/x", "ours"), ("d/y", "1")]);
    assert_eq!(committed(&world, &merged).await, expected);
    assert_eq!(main.record(&merged).await.parents, [ours, theirs]);
}

#[tokio::test]
async fn a_choice_is_taken_back_by_what_is_done_later() {
    let (world, main, _exp, _, _) = met().await;
    // By hand, then theirs after all; theirs, then deleted by hand.
    main.perform(&[Remove("a")]).await;
    main.refresh(Some(Side::Theirs), &["a"]).await;
    main.refresh(Some(Side::Theirs), &["d/x"]).await;
    main.perform(&[Remove("d/x")]).await;
    let merged = main.commit().await;
    let expected = all(&[("a", "theirs"), ("c", "theirs"), ("d", "/"), ("d/y", "1")]);
    assert_eq!(committed(&world, &merged).await, expected);
    assert_eq!(main.all().await, expected);
}

#[tokio::test]
async fn discarding_what_settled_a_conflict_opens_it_again() {
    let (_world, main, _exp, _, _) = met().await;
    main.perform(&[Write("a", "both"), Write("d/x", "both")]).await;
    main.workspace.discard(&path("a")).await.unwrap();
    assert_eq!(main.commit_in_conflict().await, ["a"]);
    main.workspace.discard(&path("")).await.unwrap();
    assert_eq!(main.workspace.incoming().unwrap(), None, "discarding all gives the merge up");
    assert!(matches!(main.try_commit().await.unwrap(), meshfs::workspace::commit::Committed::Nothing));
}

#[tokio::test]
async fn giving_up_takes_back_what_settled_it_and_nothing_else() {
    let (_world, main, _exp, ours, _) = met().await;
    main.perform(&[Write("a", "both"), Write("unrelated", "kept")]).await;
    let give_up = || Request::GiveUp {
        branch: meshfs::daemon::control::protocol::BranchName { domain: SALES.into(), branch: None },
    };
    verbs::perform(&main, give_up()).await.unwrap();
    assert_eq!(main.status().await, ["A unrelated"]);
    assert_eq!(main.read("a").await.unwrap(), "ours");
    assert!(verbs::perform(&main, give_up()).await.is_err(), "nothing is under way");
    let next = main.commit().await;
    assert_eq!(main.record(&next).await.parents, [ours]);
}

#[tokio::test]
async fn the_branch_moves_while_a_merge_is_settled() {
    let (world, main, _exp, _, theirs) = met().await;
    let other = Tree::new(world.machine(5).await).await;
    main.perform(&[Write("a", "both"), Write("d/x", "both")]).await;
    other.perform(&[Write("d/y", "moved")]).await;
    let head = other.commit().await;
    let merged = main.commit().await;
    let expected = all(&[("a", "both"), ("c", "theirs"), ("d", "/"), ("d/x", "both"), ("d/y", "moved")]);
    assert_eq!(committed(&world, &merged).await, expected);
    assert_eq!(main.record(&merged).await.parents, [head, theirs]);
    assert_eq!(main.all().await, expected);
}

#[tokio::test]
async fn the_branch_moves_over_a_path_that_is_settled() {
    let (world, main, _exp, _, theirs) = met().await;
    let other = Tree::new(world.machine(5).await).await;
    main.perform(&[Write("a", "both"), Write("d/x", "both")]).await;
    other.perform(&[Write("a", "moved")]).await;
    let head = other.commit().await;
    assert_eq!(main.commit_in_conflict().await, ["a"], "now with the head");
    assert_eq!(main.workspace.open_conflicts().await.unwrap(), 1);
    main.write("a", "all three").await;
    let merged = main.commit().await;
    let expected = all(&[("a", "all three"), ("c", "theirs"), ("d", "/"), ("d/x", "both"), ("d/y", "1")]);
    assert_eq!(committed(&world, &merged).await, expected);
    assert_eq!(main.record(&merged).await.parents, [head, theirs]);
    assert_eq!(main.all().await, expected);
}

#[tokio::test]
async fn what_is_staged_is_not_mixed_with_a_merge_that_meets_conflicts() {
    let (_world, main, _exp) = sides(&[Write("a", "ours")], &[Write("a", "theirs")]).await;
    main.write("b", "not committed").await;
    main.merge_in_conflict("exp").await;
    assert_eq!(main.workspace.incoming().unwrap(), None);
    main.commit().await;
    main.merge_in_conflict("exp").await;
    main.write("a", "both").await;
    let another = taking(&main, Taking::Merge, at("main~1"));
    assert!(main.take(another).await.is_err(), "one is under way, and settled in part");
    main.commit().await;
}

#[tokio::test]
async fn a_file_open_for_writing_at_a_settled_path_stays_staged() {
    let (world, main, _exp, _, _) = met().await;
    main.refresh(Some(Side::Theirs), &["d/x"]).await;
    main.write("a", "both").await;
    let file = main.open("c2", true, false).await;
    assert!(file.is_err(), "it is not there yet");
    main.write("c2", "x").await;
    let file = main.open("c2", true, false).await.unwrap();
    file.write(0, b"yy").unwrap();
    let merged = main.commit().await;
    file.write(2, b"zz").unwrap();
    drop(file);
    assert_eq!(committed(&world, &merged).await["c2"], "yy");
    assert_eq!(main.read("c2").await.unwrap(), "yyzz");
    assert_eq!(main.read("d/x").await.unwrap(), "theirs");
    assert_eq!(main.status().await, ["M c2"]);
}

/// Both branches merge each other's first commit, so that the two merges have two nearest common ancestors.
async fn crossed(on_main: &str, on_exp: &str) -> (World, Tree, Tree) {
    let (world, main, exp) = fork(&[("p", "0"), ("q", "0")]).await;
    main.write("p", "main").await;
    let first = main.commit().await;
    exp.write("p", "exp").await;
    let second = exp.commit().await;
    main.merge_in_conflict("exp").await;
    main.write("p", on_main).await;
    main.commit().await;
    let failure = exp.take(taking(&exp, Taking::Merge, at(first))).await.unwrap_err();
    assert_eq!(conflicts(failure).len(), 1);
    exp.write("p", on_exp).await;
    exp.commit().await;
    main.domain.poll().await.unwrap();
    let heads = (head_of(&main.domain, "main").await.1, head_of(&main.domain, "exp").await.1);
    let mut common = main.domain.nearest_common(&[heads.0], &heads.1).await.unwrap();
    let mut expected = [first, second];
    common.sort();
    expected.sort();
    assert_eq!(common, expected);
    (world, main, exp)
}

#[tokio::test]
async fn crossed_merges_that_decided_differently_are_in_conflict() {
    // With either ancestor alone as the base, one decision would silently win over the other.
    let (_world, main, _exp) = crossed("main", "exp").await;
    assert_eq!(main.merge_in_conflict("exp").await, [("p".to_owned(), "modify/modify".to_owned())]);
    assert_eq!(main.workspace.conflicts().unwrap()[0].base, None, "there is no version in common");
}

#[tokio::test]
async fn crossed_merges_that_decided_alike_are_not() {
    let (world, main, exp) = crossed("agreed", "agreed").await;
    exp.write("q", "1").await;
    exp.commit().await;
    let merged = main.merge("exp").await.unwrap().unwrap();
    assert_eq!(committed(&world, &merged).await, all(&[("p", "agreed"), ("q", "1")]));
}

#[tokio::test]
async fn a_change_after_crossed_merges_is_judged_against_what_they_agree_on() {
    let (world, main, exp) = fork(&[("p", "0"), ("q", "0")]).await;
    main.write("p", "main").await;
    let first = main.commit().await;
    exp.write("q", "exp").await;
    exp.commit().await;
    main.merge("exp").await.unwrap();
    exp.take(taking(&exp, Taking::Merge, at(first))).await.unwrap();
    // Against `exp`'s first commit alone, `p` would be changed by both.
    exp.write("p", "later").await;
    exp.commit().await;
    let merged = main.merge("exp").await.unwrap().unwrap();
    assert_eq!(committed(&world, &merged).await, all(&[("p", "later"), ("q", "exp")]));
}
