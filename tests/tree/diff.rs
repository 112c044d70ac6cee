//! Differences against a comparison of two maps.

use std::collections::BTreeMap;

use meshfs::model::diff::{Change, DiffOptions};
use meshfs::model::entry::{Entry, Kind};
use meshfs::model::path::TreePath;
use proptest::prelude::*;

use crate::reference::{small_tree, variant};
use crate::support::*;

fn line(change: &Change) -> String {
    let slash = if change.entry().kind() == Kind::Dir { "/" } else { "" };
    match change {
        Change::Added { path, .. } => format!("A {path}{slash}"),
        Change::Deleted { path, .. } => format!("D {path}{slash}"),
        Change::Modified { path, .. } => format!("M {path}{slash}"),
        Change::Renamed { from, path, .. } => format!("R {from}{slash} {path}{slash}"),
    }
}

async fn lines(memory: &Memory, old: &Flat, new: &Flat, options: DiffOptions) -> Vec<String> {
    let (old, new) = (memory.stored(old), memory.stored(new));
    differences(memory, Some(&old), Some(&new), options).await.iter().map(line).collect()
}

fn naive(old: &Flat, new: &Flat) -> Vec<String> {
    let mut paths: Vec<&TreePath> = old.keys().chain(new.keys()).collect();
    paths.sort_by(|a, b| a.tree_order(b));
    paths.dedup();
    let mut lines = Vec::new();
    for at in paths {
        let (a, b) = (old.get(at), new.get(at));
        let slash = |entry: &Entry| if entry.kind() == Kind::Dir { "/" } else { "" };
        match (a, b) {
            (Some(a), Some(b)) if a.kind() == b.kind() => {
                let bare = |entry: &Entry| at_time(Entry { content: a.content.clone(), ..entry.clone() }, 0);
                let changed = match a.kind() {
                    Kind::Dir => bare(a) != bare(b),
                    _ => !a.same(b),
                };
                lines.extend(changed.then(|| format!("M {at}{}", slash(b))));
            }
            (a, b) => {
                lines.extend(a.map(|a| format!("D {at}{}", slash(a))));
                lines.extend(b.map(|b| format!("A {at}{}", slash(b))));
            }
        }
    }
    // A directory that became something else is followed by what was in it, before what came in its place is entered.
    lines
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn a_difference_is_that_of_the_maps((old, new) in small_tree().prop_flat_map(|old| {
        let new = variant(old.clone());
        (Just(old), new)
    })) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let told = runtime.block_on(lines(&Memory::default(), &old, &new, DiffOptions::default()));
        prop_assert_eq!(told, naive(&old, &new));
    }

    /// Renamings told are additions and deletions of the plain list with equal content, and nothing is lost.
    #[test]
    fn renamings_are_pairs_of_the_plain_difference((old, new) in small_tree().prop_flat_map(|old| {
        let new = variant(old.clone());
        (Just(old), new)
    })) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let memory = Memory::default();
        let (a, b) = (memory.stored(&old), memory.stored(&new));
        let renames = DiffOptions { renames: true, ..DiffOptions::default() };
        let told = runtime.block_on(differences(&memory, Some(&a), Some(&b), renames));
        let plain = runtime.block_on(differences(&memory, Some(&a), Some(&b), DiffOptions::default()));
        let mut undone = Vec::new();
        for change in told {
            let Change::Renamed { from, path, old: was, new: is } = change else {
                undone.push(line(&change));
                continue;
            };
            prop_assert_eq!(was.content_key(), is.content_key());
            for (lines, top, flat) in [("D", &from, &old), ("A", &path, &new)] {
                for (at, entry) in flat.iter().filter(|(at, _)| at.starts_with(top)) {
                    let slash = if entry.kind() == Kind::Dir { "/" } else { "" };
                    undone.push(format!("{lines} {at}{slash}"));
                }
            }
        }
        let mut plain: Vec<_> = plain.iter().map(line).collect();
        plain.sort();
        undone.sort();
        prop_assert_eq!(undone, plain);
    }

    #[test]
    fn large_directories_differ_as_their_maps_do(
        old in prop::collection::btree_map(0u32..3000, 0usize..1500, 0..400),
        changes in prop::collection::btree_map(0u32..3000, prop::option::of(0usize..1500), 0..30),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let mut new = old.clone();
        for (name, change) in changes {
            match change {
                Some(len) => drop(new.insert(name, len)),
                None => drop(new.remove(&name)),
            }
        }
        let tree = |of: &BTreeMap<u32, usize>| {
            let mut tree = flat(&[]);
            tree.extend(of.iter().map(|(n, len)| (path(&format!("{n:04}")), symlink(&"x".repeat(len + 1)))));
            tree
        };
        let (old, new) = (tree(&old), tree(&new));
        let told = runtime.block_on(lines(&Memory::default(), &old, &new, DiffOptions::default()));
        prop_assert_eq!(told, naive(&old, &new));
    }
}

#[tokio::test]
async fn times_of_directories_are_told_only_when_asked_for() {
    let old = flat(&["a/x=1", "b=2"]);
    let mut new = old.clone();
    new.insert(path("a"), at_time(dir(), 9));
    new.insert(path("b"), at_time(file("2"), 9));
    let memory = Memory::default();
    assert_eq!(lines(&memory, &old, &new, DiffOptions::default()).await, ["M b"]);
    let times = DiffOptions { directory_times: true, ..DiffOptions::default() };
    assert_eq!(lines(&memory, &old, &new, times).await, ["M a/", "M b"]);
}

#[tokio::test]
async fn kinds_change_by_deletion_and_addition() {
    let memory = Memory::default();
    let told = lines(&memory, &flat(&["a=1", "b/x=2"]), &flat(&["a/y=3", "b=4"]), DiffOptions::default()).await;
    assert_eq!(told, ["D a", "A a/", "A a/y", "D b/", "A b", "D b/x"]);
}

#[tokio::test]
async fn a_renamed_directory_is_one_line_wherever_it_went() {
    let memory = Memory::default();
    let renames = DiffOptions { renames: true, ..DiffOptions::default() };
    let old = flat(&["orders/1=one", "orders/2=two", "keep=k"]);
    let told = lines(&memory, &old, &flat(&["sales/orders/1=one", "sales/orders/2=two", "keep=k"]), renames).await;
    assert_eq!(told, ["A sales/", "R orders/ sales/orders/"]);
    // Nothing to pair as a whole: its files are.
    let told = lines(&memory, &old, &flat(&["sales/1=one", "sales/2=changed", "keep=k"]), renames).await;
    assert_eq!(told, ["D orders/", "D orders/2", "A sales/", "R orders/1 sales/1", "A sales/2"]);
    let shallow = DiffOptions { shallow: true, ..renames };
    let told = lines(&memory, &old, &flat(&["sales/1=one", "sales/2=changed", "keep=k"]), shallow).await;
    assert_eq!(told, ["D orders/", "A sales/"]);
}

#[tokio::test]
async fn a_name_is_preferred_among_equal_contents() {
    let memory = Memory::default();
    let renames = DiffOptions { renames: true, ..DiffOptions::default() };
    let old = flat(&["a/one=same", "a/two=same", "k=1"]);
    let new = flat(&["b/two=same", "k=1", "x/"]);
    let told = lines(&memory, &old, &new, renames).await;
    assert_eq!(told, ["D a/", "D a/one", "A b/", "R a/two b/two", "A x/"]);
}

#[tokio::test]
async fn visiting_stops_when_told() {
    let memory = Memory::default();
    let (old, new) = (memory.stored(&flat(&[])), memory.stored(&flat(&["a=1", "b=2", "c=3"])));
    let mut seen = 0;
    let mut visit = |_: Change| {
        seen += 1;
        if seen == 2 { std::ops::ControlFlow::Break(()) } else { std::ops::ControlFlow::Continue(()) }
    };
    meshfs::model::diff::diff(&memory, Some(&old), Some(&new), DiffOptions::default(), &mut visit).await.unwrap();
    assert_eq!(seen, 2);
}
