//! Putting back what a commit has.

use meshfs::model::id::CommitId;
use meshfs::telemetry::counters::Verb;

use crate::support::*;
use crate::world::World;

async fn history() -> (World, Tree, CommitId) {
    let (world, tree) = one().await;
    for (at, text) in [("d/x", "1"), ("d/deep/y", "1"), ("z", "1")] {
        tree.write(at, text).await;
    }
    let first = tree.commit().await;
    tree.write("d/x", "2").await;
    tree.write("d/new", "2").await;
    tree.remove("d/deep").await.unwrap();
    tree.write("z", "2").await;
    tree.commit().await;
    (world, tree, first)
}

async fn restore(tree: &Tree, from: &CommitId, what: &str, to: &str) {
    let source = tree.domain.snapshot(from).await.unwrap();
    tree.workspace.restore(&source, &path(what), &path(to)).await.unwrap();
}

#[tokio::test]
async fn a_file_a_directory_and_all_come_back() {
    let (world, tree, first) = history().await;
    restore(&tree, &first, "z", "z").await;
    assert_eq!(tree.status().await, ["M z"]);
    restore(&tree, &first, "d", "d").await;
    assert_eq!(tree.status().await, ["A d/deep/", "A d/deep/y", "D d/new", "M d/x", "M z"]);
    let old = all(&[("d", "/"), ("d/deep", "/"), ("d/deep/y", "1"), ("d/x", "1"), ("z", "1")]);
    assert_eq!(tree.all().await, old);
    let before = tree.machine.counters.read();
    let id = tree.commit().await;
    assert_eq!((tree.machine.counters.read() - before).of(Verb::Put), 2, "no content goes again");
    assert_eq!(committed(&world, &id).await, old);
    assert_eq!(tree.all().await, old);
    assert!(!tree.workspace.is_dirty().unwrap());
}

#[tokio::test]
async fn the_root_comes_back_whole() {
    let (world, tree, first) = history().await;
    tree.write("more", "3").await;
    restore(&tree, &first, "", "").await;
    let old = all(&[("d", "/"), ("d/deep", "/"), ("d/deep/y", "1"), ("d/x", "1"), ("z", "1")]);
    assert_eq!(tree.all().await, old);
    let id = tree.commit().await;
    assert_eq!(committed(&world, &id).await, old);
}

#[tokio::test]
async fn it_may_go_elsewhere_and_be_changed_there() {
    let (world, tree, first) = history().await;
    restore(&tree, &first, "d", "old/copy").await;
    assert_eq!(tree.status().await, ["A old/", "A old/copy/", "A old/copy/deep/", "A old/copy/deep/y", "A old/copy/x"]);
    tree.write("old/copy/x", "changed").await;
    tree.unlink("old/copy/deep/y").await.unwrap();
    let id = tree.commit().await;
    let seen = committed(&world, &id).await;
    assert_eq!(tree.all().await, seen);
    assert_eq!((seen["old/copy/x"].as_str(), seen["d/x"].as_str()), ("changed", "2"));
    assert!(!seen.contains_key("old/copy/deep/y") && seen.contains_key("old/copy/deep"));
}

#[tokio::test]
async fn what_the_commit_does_not_have_is_deleted() {
    let (_world, tree, first) = history().await;
    restore(&tree, &first, "d/new", "d/new").await;
    assert_eq!(tree.status().await, ["D d/new"]);
}

#[tokio::test]
async fn what_the_base_has_is_nothing_staged() {
    let (_world, tree, _) = history().await;
    let head = tree.workspace.head();
    tree.write("z", "staged").await;
    tree.unlink("d/x").await.unwrap();
    restore(&tree, &head, "z", "z").await;
    restore(&tree, &head, "d/x", "d/x").await;
    assert_eq!(tree.status().await, [""; 0]);
    assert!(!tree.workspace.is_dirty().unwrap());
}
