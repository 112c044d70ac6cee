//! Conflicts: met, shown, resolved by strategy or by hand; nothing is ever lost.

use meshfs::model::entry::{Content, Entry};
use meshfs::model::id::CommitId;
use meshfs::model::merge::Side;
use meshfs::workspace::commit::Committed;
use meshfs::workspace::refresh::Refreshed;

use crate::support::*;
use crate::world::*;

/// Both machines are on a tree of these files.
async fn both(files: &[(&str, &str)]) -> (World, Tree, Tree) {
    let (world, a, b) = two().await;
    for (at, text) in files {
        a.write(at, text).await;
    }
    a.commit().await;
    b.refresh(None, &[]).await;
    (world, a, b)
}

fn paths_of(refreshed: Refreshed) -> Vec<String> {
    match refreshed {
        Refreshed::Conflict(conflicts) => conflicts.iter().map(|conflict| conflict.path.to_string()).collect(),
        other => panic!("{other:?}"),
    }
}

fn moved_to(refreshed: Refreshed) -> CommitId {
    match refreshed {
        Refreshed::Moved { to, .. } => to,
        other => panic!("{other:?}"),
    }
}

async fn text(tree: &Tree, side: &Option<Entry>) -> String {
    let Some(Content::File(content)) = side.as_ref().map(|entry| &entry.content) else { panic!("no file") };
    let bytes = tree.domain.objects().read(content, 0, content.size).await.unwrap();
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[tokio::test]
async fn a_conflict_leaves_tree_and_base_as_they_were() {
    let (_world, a, b) = both(&[("x", "base"), ("y", "base")]).await;
    a.write("x", "theirs").await;
    let head = a.commit().await;
    b.write("x", "ours").await;
    b.write("z", "ours").await;
    let (before, seen, status) = (b.workspace.head(), b.all().await, b.status().await);
    assert_eq!(b.commit_in_conflict().await, ["x"]);
    assert_eq!(paths_of(b.refresh(None, &[]).await), ["x"]);
    assert_eq!((b.workspace.head(), b.all().await, b.status().await), (before, seen, status));
    let kept = b.workspace.conflicts().unwrap();
    assert_eq!(kept.len(), 1);
    assert_eq!((kept[0].kind.as_str(), kept[0].head, kept[0].resolved), ("modify/modify", head, None));
    assert_eq!(text(&b, &kept[0].base).await, "base");
    assert_eq!(text(&b, &kept[0].theirs).await, "theirs");
    assert_eq!(head_of(&b.domain, "main").await.1, head, "nothing landed");
}

#[tokio::test]
async fn a_strategy_for_everything_moves_the_workspace() {
    for (side, expected) in [(Side::Ours, "ours"), (Side::Theirs, "theirs")] {
        let (world, a, b) = both(&[("x", "base"), ("y", "base")]).await;
        a.write("x", "theirs").await;
        let head = a.commit().await;
        b.write("x", "ours").await;
        b.write("y", "ours").await;
        assert_eq!(b.commit_in_conflict().await, ["x"]);
        assert_eq!(moved_to(b.refresh(Some(side), &[]).await), head);
        let seen = all(&[("x", expected), ("y", "ours")]);
        assert_eq!(b.all().await, seen);
        assert_eq!(b.workspace.conflicts().unwrap(), []);
        let status: &[&str] = if side == Side::Ours { &["M x", "M y"] } else { &["M y"] };
        assert_eq!(b.status().await, status);
        let id = b.commit().await;
        assert_eq!(committed(&world, &id).await, seen);
    }
}

#[tokio::test]
async fn paths_are_decided_one_by_one() {
    let (world, a, b) = both(&[("d/x", "base"), ("d/y", "base"), ("z", "base")]).await;
    for at in ["d/x", "d/y", "z"] {
        a.write(at, "theirs").await;
        b.write(at, "ours").await;
    }
    let head = a.commit().await;
    assert_eq!(b.commit_in_conflict().await, ["d/x", "d/y", "z"]);
    assert_eq!(paths_of(b.refresh(Some(Side::Theirs), &["d/x"]).await), ["d/y", "z"]);
    let resolved: Vec<_> = b.workspace.conflicts().unwrap().iter().map(|kept| kept.resolved).collect();
    assert_eq!(resolved, [Some(Side::Theirs), None, None]);
    assert_eq!(b.all().await["d/x"], "ours", "nothing is taken before all is decided");
    assert_eq!(paths_of(b.refresh(Some(Side::Ours), &["d"]).await), ["z"]);
    assert_eq!(paths_of(b.refresh(Some(Side::Theirs), &["d/x"]).await), ["z"]);
    assert_eq!(moved_to(b.refresh(Some(Side::Theirs), &["z"]).await), head);
    let seen = all(&[("d", "/"), ("d/x", "theirs"), ("d/y", "ours"), ("z", "theirs")]);
    assert_eq!(b.all().await, seen);
    let id = b.commit().await;
    assert_eq!(committed(&world, &id).await, seen);
}

#[tokio::test]
async fn what_was_decided_holds_for_the_commit_too() {
    let (world, a, b) = both(&[("x", "base"), ("y", "base")]).await;
    for at in ["x", "y"] {
        a.write(at, "theirs").await;
        b.write(at, "ours").await;
    }
    a.commit().await;
    assert_eq!(b.commit_in_conflict().await, ["x", "y"]);
    assert_eq!(paths_of(b.refresh(Some(Side::Theirs), &["x"]).await), ["y"]);
    b.write("y", "by hand").await;
    let id = b.commit().await;
    let seen = all(&[("x", "theirs"), ("y", "by hand")]);
    assert_eq!(committed(&world, &id).await, seen);
    assert_eq!(b.all().await, seen);
    assert!(!b.workspace.is_dirty().unwrap());
    assert_eq!(b.workspace.conflicts().unwrap(), []);
}

#[tokio::test]
async fn writing_the_path_again_resolves_it() {
    let (world, a, b) = both(&[("x", "base"), ("y", "base")]).await;
    for at in ["x", "y"] {
        a.write(at, "theirs").await;
        b.write(at, "ours").await;
    }
    a.commit().await;
    assert_eq!(b.commit_in_conflict().await, ["x", "y"]);
    // Not before it is closed.
    let file = b.open("x", true, false).await.unwrap();
    file.write(0, b"both of it").unwrap();
    assert_eq!(b.commit_in_conflict().await, ["x", "y"]);
    drop(file);
    b.write("x", "both of it").await;
    assert_eq!(b.commit_in_conflict().await, ["y"]);
    b.unlink("y").await.unwrap();
    let id = b.commit().await;
    assert_eq!(committed(&world, &id).await, all(&[("x", "both of it")]));
    assert_eq!(b.all().await, all(&[("x", "both of it")]));
}

#[tokio::test]
async fn a_head_that_moves_further_conflicts_anew() {
    let (_world, a, b) = both(&[("x", "base")]).await;
    a.write("x", "theirs").await;
    a.commit().await;
    b.write("x", "ours").await;
    assert_eq!(b.commit_in_conflict().await, ["x"]);
    b.write("x", "merged by hand").await;
    a.write("x", "further").await;
    let head = a.commit().await;
    assert_eq!(b.commit_in_conflict().await, ["x"]);
    let kept = b.workspace.conflicts().unwrap();
    assert_eq!((kept[0].head, text(&b, &kept[0].theirs).await), (head, "further".to_owned()));
    assert_eq!(b.all().await["x"], "merged by hand");
    b.write("x", "merged again").await;
    b.commit().await;
}

#[tokio::test]
async fn the_same_change_on_both_sides_is_none() {
    let (_world, a, b) = both(&[("x", "base")]).await;
    a.write("x", "same").await;
    a.write("new", "same").await;
    let head = a.commit().await;
    b.write("x", "same").await;
    b.write("new", "same").await;
    assert_eq!(moved_to(b.refresh(None, &[]).await), head);
    assert_eq!(b.status().await, [""; 0]);
    assert!(!b.workspace.is_dirty().unwrap());
}

#[tokio::test]
async fn fields_of_one_file_changed_apart_are_both_kept() {
    let (world, a, b) = both(&[("x", "base")]).await;
    a.write("x", "theirs").await;
    a.commit().await;
    b.chmod("x", 0o600).await;
    b.refresh(None, &[]).await;
    assert_eq!((b.all().await, b.attr("x").await.mode), (all(&[("x", "theirs")]), 0o600));
    assert_eq!(b.status().await, ["M x"]);
    a.chmod("x", 0o640).await;
    let _ = a.commit().await;
    b.chmod("x", 0o644).await;
    b.write("x", "ours").await;
    let id = b.commit().await;
    assert_eq!(committed(&world, &id).await, all(&[("x", "ours")]));
    assert_eq!(b.attr("x").await.mode, 0o640);
    assert!(!b.workspace.is_dirty().unwrap());
}

#[tokio::test]
async fn a_renamed_directory_conflicts_with_what_changed_in_it() {
    let (world, a, b) = both(&[("d/x", "base"), ("d/y", "base")]).await;
    a.write("d/x", "theirs").await;
    a.write("d/new", "theirs").await;
    a.commit().await;
    b.rename("d", "e").await.unwrap();
    assert_eq!(b.commit_in_conflict().await, ["d/new", "d/x"]);
    b.refresh(Some(Side::Theirs), &[]).await;
    let id = b.commit().await;
    let seen = committed(&world, &id).await;
    assert_eq!((seen["d/x"].as_str(), seen["d/new"].as_str()), ("theirs", "theirs"));
    assert_eq!((seen["e/x"].as_str(), seen["e/y"].as_str()), ("base", "base"));
    assert_eq!(b.all().await, seen);
}

#[tokio::test]
async fn a_deleted_directory_keeps_what_is_decided_for_ours() {
    let (world, a, b) = both(&[("d/x", "base"), ("d/y", "base")]).await;
    a.remove("d").await.unwrap();
    a.commit().await;
    b.write("d/x", "ours").await;
    assert_eq!(b.commit_in_conflict().await, ["d/x"]);
    b.refresh(Some(Side::Ours), &[]).await;
    assert_eq!(b.all().await, all(&[("d", "/"), ("d/x", "ours")]));
    let id = b.commit().await;
    assert_eq!(committed(&world, &id).await, all(&[("d", "/"), ("d/x", "ours")]));
    assert_eq!(b.all().await, all(&[("d", "/"), ("d/x", "ours")]));
}

#[tokio::test]
async fn discarding_a_path_in_conflict_ends_the_conflict() {
    let (_world, a, b) = both(&[("x", "base")]).await;
    a.write("x", "theirs").await;
    a.commit().await;
    b.write("x", "ours").await;
    assert_eq!(b.commit_in_conflict().await, ["x"]);
    b.workspace.discard(&path("x")).await.unwrap();
    assert_eq!(b.workspace.conflicts().unwrap(), []);
    b.refresh(None, &[]).await;
    assert_eq!(b.all().await, all(&[("x", "theirs")]));
    assert!(matches!(b.try_commit().await.unwrap(), Committed::Nothing));
}

#[tokio::test]
async fn conflicts_outlive_the_process() {
    let (_world, a, mut b) = both(&[("x", "base")]).await;
    a.write("x", "theirs").await;
    a.commit().await;
    b.write("x", "ours").await;
    assert_eq!(b.commit_in_conflict().await, ["x"]);
    let kept = b.workspace.conflicts().unwrap();
    b.reopen().await;
    assert_eq!(b.workspace.conflicts().unwrap(), kept);
    assert_eq!(b.commit_in_conflict().await, ["x"]);
}
