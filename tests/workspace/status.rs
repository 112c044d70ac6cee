//! What status tells.

use crate::support::*;

/// A committed tree to change.
async fn base() -> (crate::world::World, Tree) {
    let (world, tree) = one().await;
    for (at, text) in [("orders/1", "one"), ("orders/2", "two"), ("orders/deep/3", "three"), ("readme", "hello")] {
        tree.write(at, text).await;
    }
    tree.commit().await;
    assert_eq!(tree.status().await, [""; 0]);
    assert!(!tree.workspace.is_dirty().unwrap());
    (world, tree)
}

#[tokio::test]
async fn what_is_new_written_and_deleted_is_told() {
    let (_world, tree) = base().await;
    tree.write("new/x", "1").await;
    tree.write("orders/1", "changed").await;
    tree.unlink("readme").await.unwrap();
    tree.symlink("way", "orders/1").await.unwrap();
    assert_eq!(tree.status().await, ["A new/", "A new/x", "M orders/1", "D readme", "A way"]);
}

#[tokio::test]
async fn a_new_tree_is_told_from_the_start() {
    let (_world, tree) = one().await;
    tree.write("a/b/c", "1").await;
    assert_eq!(tree.status().await, ["A a/", "A a/b/", "A a/b/c"]);
}

#[tokio::test]
async fn attributes_are_modifications_but_not_a_directory_s_time() {
    let (_world, tree) = base().await;
    tree.touch("orders/1", 5).await;
    tree.touch("orders/deep", 5).await;
    tree.chmod("orders", 0o700).await;
    tree.chown("orders/2", 7).await;
    tree.set_xattr("readme", "user.x", "y").await;
    assert_eq!(tree.status().await, ["M orders", "M orders/1", "M orders/2", "M readme"]);
}

#[tokio::test]
async fn a_renamed_directory_is_one_line_and_what_changed_in_it_follows() {
    let (_world, tree) = base().await;
    tree.rename("orders", "sales").await.unwrap();
    assert_eq!(tree.status().await, ["R orders\tsales"]);
    tree.write("sales/1", "changed").await;
    tree.unlink("sales/2").await.unwrap();
    tree.write("sales/deep/4", "four").await;
    assert_eq!(tree.status().await, ["R orders\tsales", "M sales/1", "D sales/2", "A sales/deep/4"]);
    tree.rename("sales/deep", "deep").await.unwrap();
    let told = tree.status().await;
    assert_eq!(told, ["R orders/deep\tdeep", "A deep/4", "R orders\tsales", "M sales/1", "D sales/2"]);
}

#[tokio::test]
async fn a_renamed_file_is_one_line_also_when_it_was_written_to() {
    let (_world, tree) = base().await;
    tree.rename("orders/1", "first").await.unwrap();
    tree.write("first", "changed").await;
    assert_eq!(tree.status().await, ["R orders/1\tfirst"]);
    tree.write("orders/1", "another").await;
    assert_eq!(tree.status().await, ["R orders/1\tfirst", "A orders/1"]);
}

#[tokio::test]
async fn a_rename_onto_another_file_modifies_that_one() {
    let (_world, tree) = base().await;
    tree.rename("orders/1", "readme").await.unwrap();
    assert_eq!(tree.status().await, ["D orders/1", "M readme"]);
    // As editors save.
    let (_world, tree) = base().await;
    tree.write(".readme.tmp", "saved").await;
    tree.rename(".readme.tmp", "readme").await.unwrap();
    assert_eq!(tree.status().await, ["M readme"]);
}

#[tokio::test]
async fn what_moves_on_frees_its_name() {
    let (_world, tree) = base().await;
    tree.rename("orders/1", "old").await.unwrap();
    tree.rename("orders/2", "orders/1").await.unwrap();
    assert_eq!(tree.status().await, ["R orders/1\told", "R orders/2\torders/1"]);
}

#[tokio::test]
async fn a_change_of_kind_is_a_deletion_and_an_addition() {
    let (_world, tree) = base().await;
    tree.unlink("readme").await.unwrap();
    tree.write("readme/part", "1").await;
    tree.remove("orders").await.unwrap();
    tree.write("orders", "a file").await;
    let told = tree.status().await;
    let expected =
        ["D orders/", "A orders", "D orders/1", "D orders/2", "D orders/deep/", "D orders/deep/3", "D readme"];
    assert_eq!(told[..7], expected);
    assert_eq!(told[7..], ["A readme/", "A readme/part"]);
}

#[tokio::test]
async fn a_directory_made_anew_is_compared_with_the_one_before() {
    let (_world, tree) = base().await;
    tree.remove("orders").await.unwrap();
    tree.write("orders/2", "two again").await;
    tree.write("orders/9", "nine").await;
    let told = tree.status().await;
    let expected = ["D orders/1", "M orders/2", "A orders/9", "D orders/deep/", "D orders/deep/3"];
    assert_eq!(told, expected);
}

#[tokio::test]
async fn what_was_moved_out_of_a_deleted_directory_is_not_deleted() {
    let (_world, tree) = base().await;
    tree.rename("orders/deep", "deep").await.unwrap();
    tree.remove("orders").await.unwrap();
    assert_eq!(tree.status().await, ["R orders/deep\tdeep", "D orders/", "D orders/1", "D orders/2"]);
}

#[tokio::test]
async fn a_second_name_is_an_addition() {
    let (_world, tree) = base().await;
    tree.link("readme", "again").await.unwrap();
    assert_eq!(tree.status().await, ["A again"]);
    tree.unlink("readme").await.unwrap();
    assert_eq!(tree.status().await, ["R readme\tagain"]);
}

#[tokio::test]
async fn what_was_undone_is_no_change() {
    let (_world, tree) = base().await;
    tree.rename("orders", "sales").await.unwrap();
    tree.rename("sales", "orders").await.unwrap();
    tree.write("x", "1").await;
    tree.unlink("x").await.unwrap();
    tree.chmod("readme", 0o600).await;
    tree.chmod("readme", 0o644).await;
    assert_eq!(tree.status().await, [""; 0]);
    assert!(!tree.workspace.is_dirty().unwrap());
}
