//! Merges against the reference, and what holds of every merge.

use std::collections::BTreeMap;

use meshfs::model::merge::{Conflict, ConflictKind, MergeOptions, Merged, Resolution, Side, merge};
use meshfs::model::path::TreePath;
use meshfs::repo::tree::apply::apply;
use proptest::prelude::*;

use crate::reference::{Reference, small_tree, variant};
use crate::support::*;

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().build().unwrap()
}

async fn merged(memory: &Memory, [base, ours, theirs]: [&Flat; 3], options: &MergeOptions) -> Merged {
    let [base, ours, theirs] = [base, ours, theirs].map(|flat| memory.root(flat, Vec::new()));
    merge(memory, &base, &ours, &theirs, options).await.unwrap()
}

/// The merged tree; there must be no conflict.
async fn tree_of(memory: &Memory, sides: [&Flat; 3], options: &MergeOptions) -> Flat {
    let merged = merged(memory, sides, options).await;
    assert_eq!(merged.conflicts, Vec::new());
    flatten(memory, &apply(memory, &merged.edit).await.unwrap()).await
}

fn told(conflicts: &[Conflict]) -> Vec<(TreePath, ConflictKind)> {
    conflicts.iter().map(|conflict| (conflict.path.clone(), conflict.kind)).collect()
}

fn strategy(side: Option<Side>) -> MergeOptions {
    MergeOptions { strategy: side, ..MergeOptions::default() }
}

fn same(a: &Flat, b: &Flat) -> bool {
    build(a).same(&build(b))
}

fn three() -> impl Strategy<Value = (Flat, Flat, Flat)> {
    small_tree().prop_flat_map(|base| (Just(base.clone()), variant(base.clone()), variant(base)))
}

fn mirrored(kind: ConflictKind) -> ConflictKind {
    match kind {
        ConflictKind::ModifyDelete => ConflictKind::DeleteModify,
        ConflictKind::DeleteModify => ConflictKind::ModifyDelete,
        ConflictKind::AddDelete => ConflictKind::DeleteAdd,
        ConflictKind::DeleteAdd => ConflictKind::AddDelete,
        ConflictKind::FileDirectory => ConflictKind::DirectoryFile,
        ConflictKind::DirectoryFile => ConflictKind::FileDirectory,
        kind @ (ConflictKind::ModifyModify | ConflictKind::AddAdd | ConflictKind::Links) => kind,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn a_merge_is_that_of_the_reference((base, ours, theirs) in three()) {
        let memory = Memory::default();
        for side in [None, Some(Side::Ours), Some(Side::Theirs)] {
            let expected = Reference { base: &base, ours: &ours, theirs: &theirs, strategy: side }.merge();
            let found = runtime().block_on(merged(&memory, [&base, &ours, &theirs], &strategy(side)));
            prop_assert_eq!(told(&found.conflicts), expected.conflicts.clone());
            if expected.conflicts.is_empty() {
                let tree = runtime().block_on(apply(&memory, &found.edit)).unwrap();
                prop_assert!(tree.same(&build(&expected.tree)), "{:?}: {:#?}", side, expected.tree.keys());
            }
        }
    }

    #[test]
    fn a_side_that_changed_nothing_takes_the_other((base, ours, _) in three()) {
        let memory = Memory::default();
        let fail = MergeOptions::default();
        let forward = runtime().block_on(tree_of(&memory, [&base, &ours, &base], &fail));
        prop_assert!(same(&forward, &ours));
        let backward = runtime().block_on(tree_of(&memory, [&base, &base, &ours], &fail));
        prop_assert!(same(&backward, &ours));
        let both = runtime().block_on(tree_of(&memory, [&base, &ours, &ours], &fail));
        prop_assert!(same(&both, &ours));
    }

    #[test]
    fn a_merge_is_the_same_from_both_sides((base, ours, theirs) in three()) {
        let memory = Memory::default();
        let fail = MergeOptions::default();
        let forward = runtime().block_on(merged(&memory, [&base, &ours, &theirs], &fail));
        let backward = runtime().block_on(merged(&memory, [&base, &theirs, &ours], &fail));
        let turned: Vec<_> = told(&backward.conflicts).into_iter().map(|(at, kind)| (at, mirrored(kind))).collect();
        prop_assert_eq!(told(&forward.conflicts), turned);
        if forward.conflicts.is_empty() {
            let a = runtime().block_on(apply(&memory, &forward.edit)).unwrap();
            let b = runtime().block_on(apply(&memory, &backward.edit)).unwrap();
            prop_assert!(a.same(&b));
        }
    }

    /// What was decided for every conflict path by path is what the strategy makes of them all.
    #[test]
    fn resolutions_of_all_conflicts_are_the_strategy((base, ours, theirs) in three()) {
        let memory = Memory::default();
        let sides = [&base, &ours, &theirs];
        let conflicts = runtime().block_on(merged(&memory, sides, &MergeOptions::default())).conflicts;
        for side in [Side::Ours, Side::Theirs] {
            let resolutions = resolve(&conflicts, side);
            let options = MergeOptions { resolutions, ..MergeOptions::default() };
            let found = runtime().block_on(merged(&memory, sides, &options));
            prop_assert_eq!(told(&found.conflicts), Vec::new());
            let by_path = runtime().block_on(apply(&memory, &found.edit)).unwrap();
            let whole = runtime().block_on(merged(&memory, sides, &strategy(Some(side))));
            prop_assert!(by_path.same(&runtime().block_on(apply(&memory, &whole.edit)).unwrap()));
        }
    }
}

fn resolve(conflicts: &[Conflict], side: Side) -> BTreeMap<TreePath, Resolution> {
    let resolution = |conflict: &Conflict| Resolution { theirs: conflict.theirs.clone(), side };
    conflicts.iter().map(|conflict| (conflict.path.clone(), resolution(conflict))).collect()
}

#[tokio::test]
async fn different_fields_of_one_file_are_both_kept() {
    let memory = Memory::default();
    let (base, mut ours, mut theirs) = (flat(&["a=1"]), flat(&["a=1"]), flat(&["a=1"]));
    ours.insert(path("a"), at_time(with_mode(file("1"), 0o600), 5));
    theirs.insert(path("a"), at_time(with_xattr(file("2"), "user.x", "y"), 3));
    let found = merged(&memory, [&base, &ours, &theirs], &MergeOptions::default()).await;
    let expected = at_time(with_mode(with_xattr(file("2"), "user.x", "y"), 0o600), 5);
    assert_eq!(found.blended, [(path("a"), expected.clone())]);
    let tree = apply(&memory, &found.edit).await.unwrap();
    assert!(flatten(&memory, &tree).await[&path("a")].same(&expected));
}

#[tokio::test]
async fn times_never_conflict_and_the_newest_wins() {
    let memory = Memory::default();
    let (base, mut ours, mut theirs) = (flat(&["d/a=1"]), flat(&["d/a=1"]), flat(&["d/a=1"]));
    ours.insert(path("d/a"), at_time(file("1"), 30));
    ours.insert(path("d"), at_time(dir(), 7));
    theirs.insert(path("d/a"), at_time(file("1"), 20));
    theirs.insert(path("d"), at_time(dir(), 8));
    let tree = tree_of(&memory, [&base, &ours, &theirs], &MergeOptions::default()).await;
    assert_eq!((tree[&path("d/a")].meta.mtime.0, tree[&path("d")].meta.mtime.0), (30, 8));
    // An older time that only one side set stays.
    ours.insert(path("d/a"), at_time(file("1"), -4));
    let tree = tree_of(&memory, [&base, &ours, &base], &MergeOptions::default()).await;
    assert_eq!(tree[&path("d/a")].meta.mtime.0, -4);
}

#[tokio::test]
async fn renaming_a_directory_changes_all_below_it() {
    let memory = Memory::default();
    let base = flat(&["d/a=1", "d/b=2", "x=3"]);
    let renamed = flat(&["e/a=1", "e/b=2", "x=3"]);
    let changed = flat(&["d/a=changed", "d/b=2", "d/new=n", "x=3"]);
    let found = merged(&memory, [&base, &renamed, &changed], &MergeOptions::default()).await;
    let expected = [(path("d/a"), ConflictKind::DeleteModify), (path("d/new"), ConflictKind::DeleteAdd)];
    assert_eq!(told(&found.conflicts), expected);
    let tree = tree_of(&memory, [&base, &renamed, &changed], &strategy(Some(Side::Theirs))).await;
    assert!(same(&tree, &flat(&["d/a=changed", "d/new=n", "e/a=1", "e/b=2", "x=3"])));
    let tree = tree_of(&memory, [&base, &renamed, &changed], &strategy(Some(Side::Ours))).await;
    assert!(same(&tree, &renamed));
}

#[tokio::test]
async fn a_strategy_may_hold_for_some_paths_only() {
    let memory = Memory::default();
    let sides = [flat(&["d/a=1", "b=1"]), flat(&["d/a=2", "b=2"]), flat(&["d/a=3", "b=3"])];
    let [base, ours, theirs] = &sides;
    let options =
        MergeOptions { strategy: Some(Side::Ours), strategy_paths: vec![path("d")], ..MergeOptions::default() };
    let found = merged(&memory, [base, ours, theirs], &options).await;
    assert_eq!(told(&found.conflicts), [(path("b"), ConflictKind::ModifyModify)]);
    let conflict = &found.conflicts[0];
    let [base, ours, theirs] = [&conflict.base, &conflict.ours, &conflict.theirs].map(|side| side.as_ref().unwrap());
    assert!(base.same(&file("1")) && ours.same(&file("2")) && theirs.same(&file("3")));
}

#[tokio::test]
async fn a_resolution_holds_until_theirs_moves_further() {
    let memory = Memory::default();
    let (base, ours, theirs) = (flat(&["a=1"]), flat(&["a=2"]), flat(&["a=3"]));
    let conflicts = merged(&memory, [&base, &ours, &theirs], &MergeOptions::default()).await.conflicts;
    let options = MergeOptions { resolutions: resolve(&conflicts, Side::Ours), ..MergeOptions::default() };
    assert!(same(&tree_of(&memory, [&base, &ours, &theirs], &options).await, &ours));
    let mut touched = theirs.clone();
    touched.insert(path("a"), at_time(file("3"), 99));
    assert_eq!(merged(&memory, [&base, &ours, &touched], &options).await.conflicts, []);
    let further = flat(&["a=4"]);
    let again = merged(&memory, [&base, &ours, &further], &options).await.conflicts;
    assert_eq!(told(&again), [(path("a"), ConflictKind::ModifyModify)]);
}

#[tokio::test]
async fn what_only_one_side_changed_is_not_looked_into() {
    let memory = Memory::default();
    let big = |top: &str| -> Vec<String> { (0..300).map(|n| format!("{top}/file-{n:03}={n}")).collect() };
    let tree = |lines: Vec<String>| flat(&lines.iter().map(String::as_str).collect::<Vec<_>>());
    let all = [big("one"), big("two"), big("three")].concat();
    let base = tree(all.clone());
    let ours = tree([all.clone(), vec!["one/added=o".into()]].concat());
    let theirs = tree([all, vec!["two/added=t".into()]].concat());
    let roots = [&base, &ours, &theirs].map(|flat| memory.root(flat, Vec::new()));
    memory.take_loads();
    let found = merge(&memory, &roots[0], &roots[1], &roots[2], &MergeOptions::default()).await.unwrap();
    // The three roots are inlined: what is in the directories is nobody's business.
    assert!(memory.take_loads() <= 4);
    let expected =
        tree([big("one"), big("two"), big("three"), vec!["one/added=o".into(), "two/added=t".into()]].concat());
    assert!(apply(&memory, &found.edit).await.unwrap().same(&build(&expected)));
}
