//! History of paths: which commits changed one, which last touched each file; and bisection.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use meshfs::model::commit::Commit;
use meshfs::model::diff::{Change, DiffOptions, diff};
use meshfs::model::id::CommitId;
use meshfs::repo::bisect::{Step, Verdict};
use meshfs::repo::domain::Domain;
use meshfs::workspace::commit::{CommitOptions, Committed};

use crate::integrate::fork;
use crate::support::*;
use crate::world::*;

impl Tree {
    /// Writes these files and commits them with a message.
    async fn made(&self, message: &str, files: &[(&str, &str)]) -> CommitId {
        for (at, text) in files {
            self.write(at, text).await;
        }
        self.commit_as(message).await
    }

    async fn commit_as(&self, message: &str) -> CommitId {
        let options = CommitOptions { message: message.to_owned(), ..CommitOptions::default() };
        match self.workspace.commit(options).await.unwrap() {
            Committed::Landed(commit) => commit.id,
            other => panic!("{other:?}"),
        }
    }

    /// Messages of the commits that changed a path, newest first.
    async fn log_of(&self, at: &str) -> Vec<String> {
        let head = head_of(&self.domain, &self.workspace.branch().name.name).await.1;
        let commits = self.domain.history_of(&head, &path(at), usize::MAX).await.unwrap();
        commits.iter().map(|commit| commit.message.clone()).collect()
    }

    /// The message of the commit that last touched each file.
    async fn blamed(&self, at: &str) -> Vec<(String, String)> {
        let head = head_of(&self.domain, &self.workspace.branch().name.name).await.1;
        let blamed = self.domain.blame(&head, &path(at)).await.unwrap().unwrap();
        blamed.iter().map(|(path, commit)| (path.to_string(), commit.message.clone())).collect()
    }
}

fn pairs(lines: &[(&str, &str)]) -> Vec<(String, String)> {
    lines.iter().map(|(path, message)| ((*path).to_owned(), (*message).to_owned())).collect()
}

#[tokio::test]
async fn a_path_is_followed_from_its_making_to_its_end() {
    let (_world, main) = one().await;
    main.made("make", &[("d/a", "1"), ("b", "1")]).await;
    main.made("other", &[("b", "2")]).await;
    main.made("change", &[("d/a", "2")]).await;
    main.rename("d", "e").await.unwrap();
    main.commit_as("rename").await;
    main.remove("e").await.unwrap();
    main.commit_as("delete").await;
    assert_eq!(main.log_of("d/a").await, ["rename", "change", "make"]);
    assert_eq!(main.log_of("d").await, ["rename", "change", "make"]);
    assert_eq!(main.log_of("e/a").await, ["delete", "rename"]);
    assert_eq!(main.log_of("b").await, ["other", "make"]);
    assert_eq!(main.log_of("never").await, [""; 0]);
    assert_eq!(main.log_of("").await, ["delete", "rename", "change", "other", "make"]);
}

#[tokio::test]
async fn what_a_merge_brought_is_told_of_the_commits_that_made_it() {
    let (_world, main, exp) = fork(&[("a", "1"), ("b", "1")]).await;
    main.made("ours", &[("a", "2")]).await;
    exp.made("theirs", &[("b", "2")]).await;
    main.merge("exp").await.unwrap();
    assert_eq!(main.log_of("a").await, ["ours", "a change"]);
    assert_eq!(main.log_of("b").await, ["theirs", "a change"]);
    assert_eq!(main.blamed("").await, pairs(&[("a", "ours"), ("b", "theirs")]));
}

#[tokio::test]
async fn a_merge_that_has_what_no_parent_has_is_told_itself() {
    let (_world, main, exp) = fork(&[("a", "1")]).await;
    main.made("ours", &[("a", "2")]).await;
    exp.made("theirs", &[("a", "3")]).await;
    main.merge_in_conflict("exp").await;
    main.made("both", &[("a", "2 and 3")]).await;
    let told = main.log_of("a").await;
    assert_eq!((told[0].as_str(), told.last().unwrap().as_str(), told.len()), ("both", "a change", 4));
    assert_eq!(main.blamed("a").await, pairs(&[("a", "both")]));
}

#[tokio::test]
async fn blame_names_the_last_touch_of_each_file_below() {
    let (_world, main) = one().await;
    main.made("make", &[("d/a", "1"), ("d/b", "1"), ("d/c/x", "1"), ("out", "1")]).await;
    main.made("b", &[("d/b", "2")]).await;
    main.made("out", &[("out", "2")]).await;
    main.chmod("d/c/x", 0o600).await;
    main.commit_as("mode").await;
    main.rename("d/a", "d/z").await.unwrap();
    main.commit_as("rename").await;
    assert_eq!(main.blamed("d").await, pairs(&[("d/b", "b"), ("d/c/x", "mode"), ("d/z", "rename")]));
    assert_eq!(main.blamed("d/c").await, pairs(&[("d/c/x", "mode")]));
    assert_eq!(main.blamed("out").await, pairs(&[("out", "out")]));
    let head = main.workspace.head();
    assert!(main.domain.blame(&head, &path("d/a")).await.unwrap().is_none(), "it is gone");
}

/// Paths that a commit has otherwise than its only parent, found without any filter.
async fn changed(domain: &Domain, commit: &Commit) -> Vec<String> {
    let new = domain.snapshot(&commit.id).await.unwrap();
    let old = match commit.parents.first() {
        Some(parent) => Some(domain.snapshot(parent).await.unwrap()),
        None => None,
    };
    let mut paths = Vec::new();
    let mut visit = |change: Change| {
        paths.push(change.path().to_string());
        ControlFlow::Continue(())
    };
    let old = old.as_ref().map(|old| &old.root.entry);
    diff(domain.objects(), old, Some(&new.root.entry), DiffOptions::default(), &mut visit).await.unwrap();
    paths
}

#[tokio::test]
async fn filters_never_hide_a_change() {
    let (_world, main) = one().await;
    for n in 0u32..60 {
        // A little of everything, the same in every run.
        let at = format!("d{}/f{}", n * 7 % 5, n * 11 % 13);
        match n % 9 {
            7 if main.remove(&format!("d{}", n % 5)).await.is_ok() => {}
            8 if main.rename(&format!("d{}", n % 5), &format!("d{}", n % 4 + 5)).await.is_ok() => {}
            _ => main.write(&at, &n.to_string()).await,
        }
        main.commit_as(&n.to_string()).await;
    }
    let head = main.workspace.head();
    let history = main.domain.history(&head, usize::MAX).await.unwrap();
    let mut touched: BTreeMap<String, Vec<CommitId>> = BTreeMap::new();
    for commit in &history {
        for path in changed(&main.domain, commit).await {
            touched.entry(path).or_default().push(commit.id);
        }
    }
    assert!(touched.len() > 40);
    let blamed = main.domain.blame(&head, &path("")).await.unwrap().unwrap();
    for (at, commits) in touched {
        if !at.contains('/') {
            // Of a directory also what changed below it counts.
            continue;
        }
        let found = main.domain.history_of(&head, &path(&at), usize::MAX).await.unwrap();
        assert_eq!(found.iter().map(|commit| commit.id).collect::<Vec<_>>(), commits, "{at}");
        if let Some(commit) = blamed.get(&path(&at)) {
            assert_eq!(commit.id, commits[0], "{at}");
        }
    }
}

#[tokio::test]
async fn trees_are_read_only_of_commits_whose_filter_says_maybe() {
    let (world, main) = one().await;
    main.made("make", &[("a", "1")]).await;
    let commits = 100;
    for n in 0..commits {
        match n {
            30 | 60 => main.made("change", &[("a", &n.to_string())]).await,
            _ => main.made("other", &[(&format!("d{}/other", n % 7), &n.to_string())]).await,
        };
    }
    let cold = world.machine(7).await;
    let sales = cold.sales().await;
    let head = head_of(&sales, "main").await.1;
    let before = cold.counters.read();
    assert_eq!(sales.history_of(&head, &path("a"), usize::MAX).await.unwrap().len(), 3);
    let spent = cold.counters.read() - before;
    // A record and its entry for each commit; root and node of the three and their parents, and of a filter's few errors.
    assert!(spent.total() <= 2 * (commits + 2) + 4 * 6, "{spent:?}");
    let again = cold.counters.read();
    assert_eq!(sales.history_of(&head, &path("a"), usize::MAX).await.unwrap().len(), 3);
    assert_eq!((cold.counters.read() - again).total(), 0, "everything is at hand by now");
}

#[tokio::test]
async fn twenty_commits_of_a_long_log_cost_at_most_22_requests() {
    let (world, main) = one().await;
    for n in 0..60 {
        main.made("change", &[("a", &n.to_string())]).await;
    }
    let cold = world.machine(7).await;
    let sales = cold.sales().await;
    let head = head_of(&sales, "main").await.1;
    let before = cold.counters.read();
    assert_eq!(sales.history(&head, 20).await.unwrap().len(), 20);
    let spent = cold.counters.read() - before;
    assert!(spent.total() <= 22, "{spent:?}");
}

/// Bisects with an oracle; the first bad commit, and how many were tried.
async fn bisected(
    domain: &Domain,
    good: &CommitId,
    bad: &CommitId,
    judge: impl Fn(&Commit) -> Verdict,
) -> (Step, usize) {
    let mut bisection = domain.bisect(good, bad).await.unwrap();
    let mut tried = 0;
    loop {
        match bisection.next().unwrap() {
            Step::Try(commit) => bisection.judge(&commit.id, judge(&commit)),
            step => return (step, tried),
        }
        tried += 1;
        assert!(tried < 100, "it comes to an end");
    }
}

#[tokio::test]
async fn bisection_finds_the_first_bad_commit_whichever_it_is() {
    let (_world, main) = one().await;
    let mut commits = vec![main.workspace.head()];
    for n in 0..12 {
        commits.push(main.made(&n.to_string(), &[("a", &n.to_string())]).await);
    }
    for first_bad in 1..commits.len() {
        let judge = |commit: &Commit| match commits.iter().position(|id| *id == commit.id).unwrap() < first_bad {
            true => Verdict::Good,
            false => Verdict::Bad,
        };
        let (step, tried) = bisected(&main.domain, &commits[0], commits.last().unwrap(), judge).await;
        assert!(matches!(&step, Step::Found(commit) if commit.id == commits[first_bad]), "{step:?}");
        assert!(tried <= 4, "{tried} of 12");
    }
    assert!(main.domain.bisect(&commits[5], &commits[2]).await.unwrap().next().is_none(), "the wrong way round");
}

#[tokio::test]
async fn bisection_goes_into_the_branch_that_a_merge_brought() {
    let (_world, main, exp) = fork(&[("a", "1")]).await;
    let good = main.workspace.head();
    for n in 0..4 {
        main.made("main", &[("a", &format!("{n}"))]).await;
    }
    exp.made("fine", &[("b", "1")]).await;
    let broken = exp.made("broken", &[("b", "2")]).await;
    exp.made("later", &[("c", "2")]).await;
    let merge = main.merge("exp").await.unwrap().unwrap();
    let bad: Vec<CommitId> = {
        let history = main.domain.history(&merge, usize::MAX).await.unwrap();
        let mut bad = Vec::new();
        for commit in &history {
            if main.domain.is_ancestor(&broken, &commit.id).await.unwrap() {
                bad.push(commit.id);
            }
        }
        bad
    };
    let judge = |commit: &Commit| if bad.contains(&commit.id) { Verdict::Bad } else { Verdict::Good };
    let (step, _) = bisected(&main.domain, &good, &merge, judge).await;
    assert!(matches!(&step, Step::Found(commit) if commit.id == broken), "{step:?}");
    let skip = |commit: &Commit| if commit.message == "main" { judge(commit) } else { Verdict::Skipped };
    let (step, _) = bisected(&main.domain, &good, &merge, skip).await;
    let Step::OneOf(commits) = step else { panic!("{step:?}") };
    assert_eq!(commits[0].id, merge);
    assert!(commits.iter().any(|commit| commit.id == broken) && commits.len() == 4, "{commits:?}");
}
