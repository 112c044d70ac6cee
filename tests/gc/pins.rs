//! Readers of what a collection takes away: they pin it in time, or are told that it has expired.

use meshfs::model::log::RefKind;
use meshfs::model::path::TreePath;
use meshfs::repo::error::RepoError;
use meshfs::repo::settings::SETTINGS_PATH;
use meshfs::workspace::commit::CommitOptions;

use super::lab::*;
use super::support::Tree;
use super::world::*;

/// A reader that hears of the fence pins what it reads: the collection spares it until the pin is taken back.
#[tokio::test]
async fn a_reader_pins_what_the_newest_fence_takes_away() {
    let (world, a) = aged(0).await;
    let sales = a.sales().await;
    let dead = dead_branch(&sales, "exp", bytes(1, 30_000)).await;
    let reader = world.machine(2).await;
    let reading = reader.sales().await;
    assert_eq!(reading.pin_if_expiring(&dead, &|_| Ok(())).await.unwrap(), None, "the log still leads to it");
    a.clock.advance(DAY * 40);
    assert!(collect(&sales).await.condemned.packs > 0);
    assert_eq!(reading.pin_if_expiring(&dead, &|_| Ok(())).await.unwrap(), None, "nothing was heard of the fence");
    reading.poll().await.unwrap();
    let pin = reading.pin_if_expiring(&dead, &|_| Ok(())).await.unwrap().unwrap();
    assert_eq!(reading.pin_if_expiring(&dead, &|_| Ok(())).await.unwrap(), None, "once is enough");
    a.clock.advance(DAY * 2);
    assert_eq!(collect(&sales).await.deleted.packs, 0);
    check(&world, &dead).await;
    a.clock.advance(DAY * 50);
    assert_eq!(collect(&sales).await.condemned.packs, 0);
    reading.unpin(&pin).await.unwrap();
    a.clock.advance(DAY * 40);
    assert!(collect(&sales).await.condemned.packs > 0);
    a.clock.advance(DAY * 2);
    assert!(collect(&sales).await.deleted.packs > 0);
}

/// Half the grace after the fence it is too late to pin: the deletion may not hear of it.
#[tokio::test]
async fn a_late_pin_is_refused() {
    let (world, a) = aged(0).await;
    let sales = a.sales().await;
    let dead = dead_branch(&sales, "exp", bytes(1, 30_000)).await;
    a.clock.advance(DAY * 40);
    collect(&sales).await;
    a.clock.advance(DAY / 24 * 13);
    let error = sales.pin_if_expiring(&dead, &|_| Ok(())).await.unwrap_err();
    assert!(matches!(error, RepoError::Expired { .. }), "{error}");
    assert_eq!(entries(&world, &sales).await.len() as u64, sales.state().seq);
}

/// What an earlier fence took away is not pinned because a newer one is young.
#[tokio::test]
async fn what_an_earlier_fence_took_is_not_pinned() {
    let (_world, a) = aged(0).await;
    let sales = a.sales().await;
    let dead = dead_branch(&sales, "exp", bytes(1, 30_000)).await;
    a.clock.advance(DAY * 40);
    assert_eq!(collect(&sales).await.epoch, 1);
    dead_branch(&sales, "other", bytes(2, 30_000)).await;
    a.clock.advance(DAY * 40);
    assert_eq!(collect(&sales).await.epoch, 2);
    let error = sales.pin_if_expiring(&dead, &|_| Ok(())).await.unwrap_err();
    assert!(matches!(error, RepoError::Expired { .. }), "{error}");
}

/// A working tree with staged changes stays on a base that the settings let expire: it pins it, works on, and lets go
/// once it has left it.
#[tokio::test]
async fn a_working_tree_keeps_its_base() {
    let (world, a) = aged(0).await;
    let sales = a.sales().await;
    let rules = Some(b"[retention]\ndays = 1\nunreferenced_days = 0".to_vec());
    commit_files(&sales, "main", &[(SETTINGS_PATH, rules)]).await;
    let base = commit_files(&sales, "main", &[("kept", Some(bytes(1, 30_000)))]).await;
    let tree = Tree::new(world.machine(2).await).await;
    tree.write("staged", "mine").await;
    commit_files(&sales, "main", &[("kept", Some(bytes(2, 30_000)))]).await;
    a.clock.advance(DAY * 10);
    assert!(collect(&sales).await.condemned.packs > 0);
    let pins = async || {
        sales.poll().await.unwrap();
        sales.state().of_kind(RefKind::Pin).map(|(_, now)| now.target).collect::<Vec<_>>()
    };
    tree.workspace.keep_base().await.unwrap();
    assert!(pins().await.is_empty(), "it has not heard of the fence");
    tree.domain.poll().await.unwrap();
    for _ in 0..2 {
        tree.workspace.keep_base().await.unwrap();
        assert_eq!(pins().await, [base]);
    }
    a.clock.advance(DAY * 2);
    collect(&sales).await;
    check(&world, &base).await;
    tree.workspace.commit(CommitOptions { message: "mine".to_owned(), ..CommitOptions::default() }).await.unwrap();
    tree.workspace.keep_base().await.unwrap();
    assert!(pins().await.is_empty());
}

/// What was restored from a commit and discarded again has nothing to do with it: once that has expired, work goes on.
#[tokio::test]
async fn a_source_counts_only_while_something_of_it_is_staged() {
    let (_world, a) = aged(0).await;
    let tree = Tree::new(a).await;
    let source = dead_branch(&tree.domain, "exp", bytes(1, 30_000)).await;
    let snapshot = tree.domain.snapshot(&source).await.unwrap();
    tree.workspace.restore(&snapshot, &TreePath::root(), &TreePath::root()).await.unwrap();
    assert!(tree.workspace.is_dirty().unwrap());
    tree.workspace.discard(&TreePath::root()).await.unwrap();
    tree.machine.clock.advance(DAY * 40);
    assert!(collect(&tree.domain).await.condemned.packs > 0);
    tree.machine.clock.advance(DAY * 2);
    collect(&tree.domain).await;
    tree.write("mine", "1").await;
    tree.commit().await;
}
