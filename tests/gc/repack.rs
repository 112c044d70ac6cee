//! Packs that are mostly dead: what is live in them is copied, the pack goes, and readers of old places go on.

use meshfs::model::gc::Freed;
use meshfs::model::id::{CommitId, PackName};
use meshfs::repo::domain::Domain;
use meshfs::repo::fsck;
use meshfs::repo::settings::SETTINGS_PATH;

use super::lab::*;
use super::rules::{before_create, watched};
use super::world::*;

const FILES: usize = 12;

/// A pack of many files of which all but one are deleted, and history expires: the pack, the old commit, the new one.
pub async fn mostly_dead(a: &Machine) -> (PackName, CommitId, CommitId) {
    let sales = a.sales().await;
    let rules = Some(b"[retention]\ndays = 1\nunreferenced_days = 0".to_vec());
    commit_files(&sales, "main", &[(SETTINGS_PATH, rules)]).await;
    let names: Vec<String> = (0..FILES).map(|number| format!("d/{number}")).collect();
    let files: Vec<_> =
        names.iter().enumerate().map(|(seed, name)| (name.as_str(), Some(bytes(seed as u64, 30_000)))).collect();
    let old = commit_files(&sales, "main", &files).await;
    let gone: Vec<_> = names[1..].iter().map(|name| (name.as_str(), None)).collect();
    let new = commit_files(&sales, "main", &gone).await;
    (pack_of(&sales, &old).await, old, new)
}

async fn is_whole(domain: &Domain, commit: &CommitId) {
    let snapshot = domain.snapshot(commit).await.unwrap();
    let report = fsck::check(&snapshot, true, &|_| {}).await;
    assert!(report.damaged.is_empty(), "{:?}", report.damaged);
}

/// Copied, fenced, mapped; deleted after the grace. No id changes, and a reader of old places reads on. When nothing
/// names the old places any more, the map goes too, and so do the copies.
#[tokio::test]
async fn a_mostly_dead_pack_is_moved_and_its_readers_go_on() {
    let (world, a) = aged(0).await;
    let sales = a.sales().await;
    let (pack, _, head) = mostly_dead(&a).await;
    let (pack_key, map_key) = (sales.place().pack_key(&pack), sales.place().relocation_key(&pack));
    let reader = world.machine(2).await.sales().await;
    let snapshot = reader.snapshot(&head).await.unwrap();
    a.clock.advance(DAY * 10);
    let told = collect_dry(&sales).await;
    let report = collect(&sales).await;
    assert_eq!(report.moved, told.moved);
    assert_eq!(report.moved.packs, 1);
    assert!(report.moved.bytes > 11 * 30_000, "{report:?}");
    assert!(exists(&world, &map_key).await && exists(&world, &pack_key).await);
    check(&world, &head).await;

    a.clock.advance(DAY * 2);
    assert!(collect(&sales).await.deleted.packs >= 1);
    assert!(!exists(&world, &pack_key).await);
    check(&world, &head).await;
    assert_eq!(fsck::check(&snapshot, true, &|_| {}).await.damaged.len(), 0, "a reader that knows the old places");
    let after = collect(&sales).await;
    assert_eq!((after.moved, after.condemned), (Freed::default(), Freed::default()), "done is done");

    let last = commit_files(&sales, "main", &[("d/0", None), ("e", Some(bytes(90, 100)))]).await;
    for _ in 0..2 {
        a.clock.advance(DAY * 10);
        collect(&sales).await;
    }
    assert!(!exists(&world, &map_key).await, "nothing names a place in the moved pack");
    check(&world, &last).await;
}

/// The copies are themselves moved: readers follow one map after the other.
#[tokio::test]
async fn maps_are_followed_one_after_the_other() {
    let (world, a) = aged(0).await;
    let sales = a.sales().await;
    let rules = Some(b"[retention]\ndays = 1\nunreferenced_days = 0".to_vec());
    commit_files(&sales, "main", &[(SETTINGS_PATH, rules)]).await;
    let names: Vec<String> = (0..40).map(|number| format!("d/{number}")).collect();
    let files: Vec<_> =
        names.iter().enumerate().map(|(seed, name)| (name.as_str(), Some(bytes(seed as u64, 30_000)))).collect();
    let mut head = commit_files(&sales, "main", &files).await;
    // 8 of 40 stay, then 1 of these 8.
    for kept in [8, 1] {
        let gone: Vec<_> = names[kept..].iter().map(|name| (name.as_str(), None)).collect();
        head = commit_files(&sales, "main", &gone).await;
        a.clock.advance(DAY * 10);
        assert_eq!(collect(&sales).await.moved.packs, 1);
        a.clock.advance(DAY * 2);
        assert!(collect(&sales).await.deleted.packs > 0);
        check(&world, &head).await;
    }
    assert!(keys(&world, &sales, "relocations/").await.len() >= 2);
    a.clock.advance(DAY * 2);
    collect(&sales).await;
    check(&world, &head).await;
}

/// A tag brings dead frames of the pack back to life between mark and fence: not all that is live was copied, so no map
/// is put and the pack stays.
#[tokio::test]
async fn a_pack_that_came_back_to_life_is_not_moved() {
    let (world, a) = aged(0).await;
    let sales = a.sales().await;
    let (pack, old, head) = mostly_dead(&a).await;
    a.clock.advance(DAY * 10);
    let (collector, store) = watched(&world, &a).await;
    let tagging = sales.clone();
    before_create(&store, "/gc/", async move { drop(tagging.create_tag("kept", &old).await.unwrap()) });
    collect(&collector).await;
    assert!(!exists(&world, &sales.place().relocation_key(&pack)).await);
    for _ in 0..3 {
        a.clock.advance(DAY * 10);
        collect(&collector).await;
    }
    check(&world, &old).await;
    check(&world, &head).await;
}

/// What was sent and lies in a moved pack is sent again after the fence, not referred to: the map does not have it.
#[tokio::test]
async fn places_in_a_moved_pack_are_not_used_again() {
    let (world, a) = aged(0).await;
    let sales = a.sales().await;
    let (pack, ..) = mostly_dead(&a).await;
    a.clock.advance(DAY * 10);
    assert_eq!(collect(&sales).await.moved.packs, 1);
    let head = commit_files(&sales, "main", &[("again", Some(bytes(5, 30_000)))]).await;
    a.clock.advance(DAY * 2);
    collect(&sales).await;
    assert!(!exists(&world, &sales.place().pack_key(&pack)).await);
    check(&world, &head).await;
    is_whole(&world.machine(3).await.sales().await, &head).await;
}
