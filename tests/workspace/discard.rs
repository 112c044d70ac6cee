//! Dropping staged changes.

use meshfs::workspace::error::WorkspaceError;

use crate::support::*;

#[tokio::test]
async fn a_path_shows_the_base_again_and_the_rest_stays() {
    let (_world, tree) = one().await;
    for at in ["d/x", "d/y", "z"] {
        tree.write(at, "base").await;
    }
    tree.commit().await;
    tree.write("d/x", "changed").await;
    tree.write("d/new", "new").await;
    tree.unlink("d/y").await.unwrap();
    tree.write("z", "changed").await;
    tree.workspace.discard(&path("d/y")).await.unwrap();
    assert_eq!(tree.status().await, ["A d/new", "M d/x", "M z"]);
    tree.workspace.discard(&path("d")).await.unwrap();
    assert_eq!(tree.status().await, ["M z"]);
    assert_eq!(tree.all().await, all(&[("d", "/"), ("d/x", "base"), ("d/y", "base"), ("z", "changed")]));
    tree.workspace.discard(&path("")).await.unwrap();
    assert!(!tree.workspace.is_dirty().unwrap());
    assert_eq!(tree.all().await["z"], "base");
}

#[tokio::test]
async fn everything_new_goes() {
    let (_world, tree) = one().await;
    tree.write("a/b/c", "1").await;
    tree.symlink("way", "a").await.unwrap();
    tree.workspace.discard(&path("")).await.unwrap();
    assert_eq!(tree.all().await, all(&[]));
    assert!(!tree.workspace.is_dirty().unwrap());
}

#[tokio::test]
async fn what_is_nowhere_cannot_be_discarded() {
    let (_world, tree) = one().await;
    let error = tree.workspace.discard(&path("nothing")).await.unwrap_err();
    assert!(matches!(error, WorkspaceError::NotFound), "{error}");
}
