//! Readers of what a collection takes away: they pin it in time, or are told that it has expired.

use meshfs::repo::error::RepoError;

use super::lab::*;
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
