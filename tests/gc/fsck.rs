//! Damage found by re-hashing packs, traced to what it touches, and undone from another copy.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use meshfs::model::id::PackName;
use meshfs::repo::domain::Domain;
use meshfs::repo::fsck::audit::{Wrong, audit};
use meshfs::repo::fsck::repair::repair;
use meshfs::repo::fsck::trace::{Touched, trace};

use super::lab::*;
use super::world::*;

fn copy_all(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for item in fs::read_dir(from).unwrap() {
        let item = item.unwrap();
        match item.path().is_dir() {
            true => copy_all(&item.path(), &to.join(item.file_name())),
            false => drop(fs::copy(item.path(), to.join(item.file_name())).unwrap()),
        }
    }
}

async fn check_all(domain: &Domain) -> (meshfs::repo::fsck::audit::Audit, Vec<Touched>) {
    let found = audit(domain, 100, &|_| {}).await.unwrap();
    let touched = trace(domain, &found, &|_| {}).await.unwrap();
    (found, touched)
}

/// One bit in a chunk, one pack gone, one cut off: each is named with the paths, commits and refs that need it, and comes
/// back from another copy under its own name.
#[tokio::test]
async fn damage_is_traced_and_repaired_from_another_copy() {
    let (world, a) = World::on_disk().with_sales().await;
    let sales = a.sales().await;
    let one = commit_files(&sales, "main", &[("d/one", Some(bytes(1, 90_000)))]).await;
    sales.create_tag("v1", &one).await.unwrap();
    let two = commit_files(&sales, "main", &[("two", Some(bytes(2, 90_000)))]).await;
    sales.create_branch("exp", &two).await.unwrap();
    let three = commit_files(&sales, "exp", &[("three", Some(bytes(3, 90_000)))]).await;
    let (found, touched) = check_all(&sales).await;
    assert!(found.wrong.is_empty() && touched.is_empty(), "{found:?} {touched:?}");
    assert!(found.packs >= 4 && found.frames > found.packs);

    let store = world.base.local_path("x").unwrap().parent().unwrap().to_owned();
    let copy = tempfile::tempdir().unwrap();
    copy_all(&store, copy.path());
    let path = |pack: &PackName| world.base.local_path(&sales.place().pack_key(pack)).unwrap();
    let packs = [pack_of(&sales, &one).await, pack_of(&sales, &two).await, pack_of(&sales, &three).await];
    let mut bytes = fs::read(path(&packs[0])).unwrap();
    bytes[40_000] ^= 4;
    fs::write(path(&packs[0]), bytes).unwrap();
    fs::remove_file(path(&packs[1])).unwrap();
    let cut = fs::read(path(&packs[2])).unwrap();
    fs::write(path(&packs[2]), &cut[..cut.len() - 7]).unwrap();

    let fresh = world.machine(2).await.sales().await;
    let (found, touched) = check_all(&fresh).await;
    assert!(matches!(&found.wrong[&packs[0]], Wrong::Frames(frames) if frames.len() == 1));
    assert!(matches!(&found.wrong[&packs[2]], Wrong::Whole(_)));
    let of = |pack: PackName| touched.iter().filter(move |touched| touched.pack == pack).collect::<Vec<_>>();
    let refs = |touched: &Touched| touched.refs.iter().map(|name| name.name.clone()).collect::<BTreeSet<_>>();
    let [bit] = of(packs[0])[..] else { panic!("{touched:?}") };
    assert_eq!(bit.paths.iter().map(ToString::to_string).collect::<Vec<_>>(), ["d/one"]);
    assert_eq!(refs(bit), ["exp", "main", "v1"].map(str::to_owned).into());
    assert!(bit.commits.contains(&one));
    assert!(of(packs[1]).iter().any(|touched| touched.commits.contains(&two) && refs(touched).contains("main")));
    assert!(of(packs[2]).iter().all(|touched| refs(touched) == ["exp".to_owned()].into()), "{touched:?}");
    assert!(!of(packs[2]).is_empty());

    let url = copy.path().to_str().unwrap();
    let needed = touched.iter().map(|touched| touched.pack);
    let repaired = repair(&fresh, &found, needed, url).await.unwrap();
    assert_eq!(repaired.len(), 3);
    assert!(repaired.iter().all(|repaired| repaired.problem.is_none()), "{repaired:?}");
    for commit in [one, two, three] {
        check(&world, &commit).await;
    }
    let (found, touched) = check_all(&world.machine(3).await.sales().await).await;
    assert!(found.wrong.is_empty() && touched.is_empty());
}

/// A copy that is damaged itself repairs nothing, and is not believed.
#[tokio::test]
async fn a_damaged_copy_repairs_nothing() {
    let (world, a) = World::on_disk().with_sales().await;
    let sales = a.sales().await;
    let one = commit_files(&sales, "main", &[("one", Some(bytes(1, 90_000)))]).await;
    let pack = pack_of(&sales, &one).await;
    let path = world.base.local_path(&sales.place().pack_key(&pack)).unwrap();
    let mut bytes = fs::read(&path).unwrap();
    bytes[40_000] ^= 4;
    fs::write(&path, &bytes).unwrap();
    let store = world.base.local_path("x").unwrap().parent().unwrap().to_owned();
    let copy = tempfile::tempdir().unwrap();
    copy_all(&store, copy.path());
    let (found, _) = check_all(&sales).await;
    let repaired = repair(&sales, &found, [], copy.path().to_str().unwrap()).await.unwrap();
    assert!(repaired[0].problem.as_deref().unwrap().contains("damaged in the other copy"));
    let empty = tempfile::tempdir().unwrap();
    let repaired = repair(&sales, &found, [], empty.path().to_str().unwrap()).await.unwrap();
    assert!(repaired[0].problem.as_deref().unwrap().contains("does not have it"));
    assert_eq!(fs::read(&path).unwrap(), bytes);
}

/// A sample reads so many packs in a hundred.
#[tokio::test]
async fn a_sample_reads_a_part() {
    let (_world, a) = World::in_memory().with_sales().await;
    let sales = a.sales().await;
    for number in 0..40 {
        commit_files(&sales, "main", &[("f", Some(bytes(number, 100)))]).await;
    }
    let all = audit(&sales, 100, &|_| {}).await.unwrap().packs;
    let some = audit(&sales, 25, &|_| {}).await.unwrap().packs;
    assert!(all >= 40 && (1..all / 2).contains(&some), "{some} of {all}");
}
