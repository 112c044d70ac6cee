//! Refreshes of a working tree with changes of its own: each was once wrong.

use meshfs::model::merge::Side;

use crate::support::*;

/// Both machines are on a tree of these files.
async fn both(files: &[(&str, &str)]) -> (Tree, Tree) {
    let (_world, a, b) = two().await;
    for (at, text) in files {
        a.write(at, text).await;
    }
    a.commit().await;
    b.refresh(None, &[]).await;
    (a, b)
}

#[tokio::test]
async fn a_directory_made_anew_does_not_show_what_was_deleted_with_the_old_one() {
    let (a, b) = both(&[("d/x", "base"), ("d/y", "base")]).await;
    b.remove("d").await.unwrap();
    b.write("d/new", "ours").await;
    a.chmod("d", 0o700).await;
    a.write("d/theirs", "theirs").await;
    a.commit().await;
    b.refresh(None, &[]).await;
    assert_eq!(b.all().await, all(&[("d", "/"), ("d/new", "ours"), ("d/theirs", "theirs")]));
    assert_eq!(b.attr("d").await.mode, 0o700);
    assert_eq!(b.status().await, ["A d/new", "D d/x", "D d/y"]);
}

#[tokio::test]
async fn what_was_renamed_stays_what_it_was() {
    let (a, b) = both(&[("d/x", "base"), ("f", "base"), ("y", "base")]).await;
    b.rename("d", "e").await.unwrap();
    b.mkdir("d").await.unwrap();
    b.rename("f", "g").await.unwrap();
    a.chmod("d", 0o700).await;
    a.touch("f", 5).await;
    a.write("y", "theirs").await;
    a.commit().await;
    b.refresh(None, &[]).await;
    assert_eq!((b.attr("d").await.mode, b.attr("e").await.mode), (0o700, 0o755));
    assert_ne!(b.attr("g").await.mtime.0, 5);
    assert_eq!(b.all().await["e/x"], "base");
}

#[tokio::test]
async fn names_of_one_file_may_go_together() {
    let (a, b) = both(&[("d", "base"), ("z", "base")]).await;
    b.link("d", "b/c").await.unwrap_err();
    b.mkdir("b").await.unwrap();
    b.link("d", "b/c").await.unwrap();
    a.write("b/c", "theirs").await;
    a.commit().await;
    assert_eq!(b.commit_in_conflict().await, ["b/c"]);
    b.refresh(Some(Side::Theirs), &[]).await;
    let seen = all(&[("b", "/"), ("b/c", "theirs"), ("d", "base"), ("z", "base")]);
    assert_eq!(b.all().await, seen);
    assert_eq!(b.attr("d").await.nlink, 1);
    assert_eq!(b.status().await, [""; 0]);
}

#[tokio::test]
async fn a_deletion_stands_against_what_only_got_other_times() {
    let (a, b) = both(&[("f", "base"), ("d/y", "base"), ("d/z", "base"), ("other", "base")]).await;
    a.remove("f").await.unwrap();
    a.remove("d").await.unwrap();
    a.commit().await;
    b.touch("f", 5).await;
    b.touch("d/z", 5).await;
    b.write("other", "ours").await;
    b.commit().await;
    assert_eq!(b.all().await, all(&[("other", "ours")]));
    assert_eq!(b.status().await, [""; 0]);
}

#[tokio::test]
async fn a_directory_that_theirs_deleted_goes_when_theirs_is_taken() {
    let (a, b) = both(&[("d/y", "base"), ("d/z", "base"), ("x", "base")]).await;
    a.remove("d").await.unwrap();
    a.commit().await;
    b.write("d/new", "ours").await;
    b.write("d/z", "ours").await;
    assert_eq!(b.commit_in_conflict().await, ["d/new", "d/z"]);
    b.refresh(Some(Side::Theirs), &["d"]).await;
    assert_eq!(b.all().await, all(&[("x", "base")]));
    assert_eq!(b.status().await, [""; 0]);
}

#[tokio::test]
async fn of_a_directory_that_theirs_deleted_only_what_ours_changed_stays() {
    let (a, b) = both(&[("d/y", "base"), ("d/z", "base"), ("x", "base")]).await;
    a.remove("d").await.unwrap();
    a.commit().await;
    b.write("d/z", "ours").await;
    assert_eq!(b.commit_in_conflict().await, ["d/z"]);
    b.refresh(Some(Side::Ours), &[]).await;
    let seen = all(&[("d", "/"), ("d/z", "ours"), ("x", "base")]);
    assert_eq!(b.all().await, seen);
    b.commit().await;
    assert_eq!(b.all().await, seen);
}

#[tokio::test]
async fn what_is_written_after_theirs_was_chosen_stays() {
    let (a, b) = both(&[("deleted", "base"), ("open", "base"), ("written", "base")]).await;
    for at in ["deleted", "open", "written"] {
        a.write(at, "theirs").await;
        b.write(at, "ours").await;
    }
    a.commit().await;
    assert_eq!(b.commit_in_conflict().await, ["deleted", "open", "written"]);
    b.refresh(Some(Side::Theirs), &["deleted", "written"]).await;
    b.write("written", "by hand").await;
    b.remove("deleted").await.unwrap();
    b.refresh(Some(Side::Ours), &["open"]).await;
    assert_eq!(b.all().await, all(&[("open", "ours"), ("written", "by hand")]));
}
