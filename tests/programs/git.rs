//! git: its own checks find nothing, and its index stays true, so that it need not read a file again.

use super::journey::{Journey, Tree, sources};

/// Bytes of the file whose content git must not fetch to know that it did not change.
const LARGE_BYTES: u64 = 8 << 20;

fn set_up(tree: Tree<'_>) {
    tree.shell("git config --global user.name Tester; git config --global user.email tester@example.com");
}

fn make_repository(tree: Tree<'_>) {
    set_up(tree);
    tree.shell(&format!(
        "git init -q repo; cp -a {} repo/src; cd repo; head -c {LARGE_BYTES} /dev/urandom > large
         chmod 755 large; ln -s src/lib.rs link; git add -A; git commit -qm first
         git checkout -qb other; echo changed >> src/lib.rs; git mv src/main.rs src/moved.rs; git commit -qam second
         git checkout -q master 2>/dev/null || git checkout -q main; git status --porcelain",
        sources()
    ));
}

fn check_repository(tree: Tree<'_>) {
    let said = tree.shell("cd repo; git fsck --strict --full 2>&1; git status --porcelain; git diff --stat HEAD");
    assert_eq!(said, "", "git finds nothing");
    assert_eq!(tree.shell("cd repo; git log --format=%s other"), "second\nfirst\n");
}

#[test]
fn a_repository_and_its_clone_stay_whole() {
    let journey = Journey::new();
    make_repository(journey.here());
    journey.here().shell("git clone -q repo clone; cd clone; git checkout -q other; git gc -q; git fsck --strict");
    journey.travel(check_repository);
    let change = |tree: Tree<'_>| {
        set_up(tree);
        let said = tree.shell(
            "cd clone; git status --porcelain; git stash list; echo there > src/there.rs; git add -A; git commit -qm third
             cd ../repo; git pull -q ../clone other; git gc -q --aggressive; git repack -qad; git worktree add -q ../beside other",
        );
        assert_eq!(said, "");
    };
    let check = |tree: Tree<'_>| {
        for repository in ["repo", "clone"] {
            let said = tree
                .shell(&format!("cd {repository}; git fsck --strict 2>&1; git status --porcelain; cat src/there.rs"));
            assert_eq!(said, "there\n", "{repository}");
        }
    };
    journey.travel_back(change, check);
}

#[test]
fn a_status_asks_the_store_for_no_content_and_the_second_for_nothing() {
    let journey = Journey::over_s3();
    make_repository(journey.here());
    journey.commit();
    journey.remount_cold();
    let before = journey.bytes_fetched();
    assert_eq!(journey.here().shell("cd repo; git status --porcelain"), "");
    let fetched = journey.bytes_fetched() - before;
    assert!(fetched < LARGE_BYTES, "{fetched} bytes for a status where nothing changed");

    let before = journey.requests();
    assert_eq!(journey.here().shell("cd repo; git status --porcelain"), "");
    assert_eq!(journey.requests() - before, 0, "requests of a second status");

    // Where git sees the files for the first time it reads them, once.
    journey.arrive();
    assert_eq!(journey.there().shell("cd repo; git status --porcelain"), "");
    let before = journey.requests();
    assert_eq!(journey.there().shell("cd repo; git status --porcelain"), "");
    assert_eq!(journey.requests() - before, 0, "requests of a second status on a second machine");
}
