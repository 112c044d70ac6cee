//! Hard links in merges.

use meshfs::model::merge::{ConflictKind, MergeOptions, Side, merge};
use meshfs::model::source::read_links;
use meshfs::model::tree::{LinkGroup, Root};
use meshfs::repo::tree::apply::apply;

use crate::support::*;

/// A tree of these lines, and which of its names are one file.
type Spec<'a> = (&'a [&'a str], &'a [&'a [&'a str]]);

async fn merged(sides: [Spec<'_>; 3], options: &MergeOptions) -> (Flat, Vec<LinkGroup>, Vec<(String, ConflictKind)>) {
    let memory = Memory::default();
    let roots: [Root; 3] = sides.map(|(lines, links)| memory.root(&flat(lines), groups(links)));
    let [base, ours, theirs] = &roots;
    let found = merge(&memory, base, ours, theirs, options).await.unwrap();
    let tree = flatten(&memory, &apply(&memory, &found.edit).await.unwrap()).await;
    let links = match found.links {
        Some(links) => links,
        None => read_links(&memory, theirs.links.as_ref()).await.unwrap(),
    };
    (tree, links, found.conflicts.iter().map(|conflict| (conflict.path.to_string(), conflict.kind)).collect())
}

async fn clean(sides: [Spec<'_>; 3], expected: Spec<'_>) {
    let [base, ours, theirs] = sides;
    for sides in [[base, ours, theirs], [base, theirs, ours]] {
        let (tree, links, conflicts) = merged(sides, &MergeOptions::default()).await;
        assert_eq!(conflicts, []);
        assert!(build(&tree).same(&build(&flat(expected.0))), "{:?}", tree.keys());
        assert_eq!(links, groups(expected.1));
    }
}

async fn conflicting(sides: [Spec<'_>; 3], expected: &[&str]) {
    let [base, ours, theirs] = sides;
    for sides in [[base, ours, theirs], [base, theirs, ours]] {
        let (_, _, conflicts) = merged(sides, &MergeOptions::default()).await;
        let expected: Vec<_> = expected.iter().map(|at| ((*at).to_owned(), ConflictKind::Links)).collect();
        assert_eq!(conflicts, expected);
    }
}

#[tokio::test]
async fn both_sides_may_add_names_to_one_file() {
    let base: Spec = (&["a=1"], &[]);
    let ours: Spec = (&["a=1", "b=1"], &[&["a", "b"]]);
    let theirs: Spec = (&["a=1", "c=1"], &[&["a", "c"]]);
    clean([base, ours, theirs], (&["a=1", "b=1", "c=1"], &[&["a", "b", "c"]])).await;
}

#[tokio::test]
async fn a_name_added_to_a_file_that_the_other_side_wrote_is_that_file() {
    let base: Spec = (&["a=1", "b=1"], &[&["a", "b"]]);
    let written: Spec = (&["a=2", "b=2"], &[&["a", "b"]]);
    let linked: Spec = (&["a=1", "b=1", "c=1"], &[&["a", "b", "c"]]);
    clean([base, written, linked], (&["a=2", "b=2", "c=2"], &[&["a", "b", "c"]])).await;
}

#[tokio::test]
async fn a_name_taken_away_leaves_the_others_together() {
    let base: Spec = (&["a=1", "b=1", "c=1"], &[&["a", "b", "c"]]);
    let removed: Spec = (&["a=1", "b=1"], &[&["a", "b"]]);
    let other: Spec = (&["a=1", "b=1", "c=1", "x=9"], &[&["a", "b", "c"]]);
    clean([base, removed, other], (&["a=1", "b=1", "x=9"], &[&["a", "b"]])).await;
    let last: Spec = (&["b=1", "c=1"], &[&["b", "c"]]);
    clean([base, removed, last], (&["b=1"], &[])).await;
}

#[tokio::test]
async fn renamed_names_stay_with_their_file() {
    let base: Spec = (&["d/a=1", "x=1"], &[&["d/a", "x"]]);
    let ours: Spec = (&["e/a=1", "x=1"], &[&["e/a", "x"]]);
    let theirs: Spec = (&["d/a=1", "x=1", "y=1"], &[&["d/a", "x", "y"]]);
    clean([base, ours, theirs], (&["e/a=1", "x=1", "y=1"], &[&["e/a", "x", "y"]])).await;
}

#[tokio::test]
async fn a_group_split_by_one_side_is_split() {
    let base: Spec = (&["a=1", "b=1"], &[&["a", "b"]]);
    let split: Spec = (&["a=1", "b=1"], &[]);
    let other: Spec = (&["a=1", "b=1", "c=3"], &[&["a", "b"]]);
    clean([base, split, other], (&["a=1", "b=1", "c=3"], &[])).await;
}

#[tokio::test]
async fn a_group_split_here_and_joined_there_conflicts() {
    let base: Spec = (&["a=1", "b=1"], &[&["a", "b"]]);
    let split: Spec = (&["a=1", "b=1"], &[]);
    let joined: Spec = (&["a=1", "b=1", "c=1"], &[&["a", "b", "c"]]);
    conflicting([base, split, joined], &["a", "b", "c"]).await;
    let ours = MergeOptions { strategy: Some(Side::Ours), ..MergeOptions::default() };
    let (tree, links, conflicts) = merged([base, split, joined], &ours).await;
    assert_eq!((links, conflicts), (Vec::new(), Vec::new()));
    assert_eq!(tree.len(), 4);
    let theirs = MergeOptions { strategy: Some(Side::Theirs), ..MergeOptions::default() };
    assert_eq!(merged([base, split, joined], &theirs).await.1, groups(&[&["a", "b", "c"]]));
}

#[tokio::test]
async fn a_file_written_here_and_joined_to_another_there_conflicts() {
    let base: Spec = (&["a=1", "b=2"], &[]);
    let written: Spec = (&["a=new", "b=2"], &[]);
    let joined: Spec = (&["a=1", "b=1"], &[&["a", "b"]]);
    conflicting([base, written, joined], &["a", "b"]).await;
}

#[tokio::test]
async fn groups_that_nobody_touched_stay() {
    let many: Vec<String> = (0..500).map(|n| format!("{n:04}=same{n}")).collect();
    let twins: Vec<String> = (0..500).map(|n| format!("twin-{n:04}=same{n}")).collect();
    let all: Vec<&str> = many.iter().chain(&twins).map(String::as_str).collect();
    let names: Vec<[String; 2]> = (0..500).map(|n| [format!("{n:04}"), format!("twin-{n:04}")]).collect();
    let names: Vec<[&str; 2]> = names.iter().map(|[a, b]| [a.as_str(), b.as_str()]).collect();
    let pairs: Vec<&[&str]> = names.iter().map(|pair| &pair[..]).collect();
    let with = |more: &'static str| [&all[..], &[more]].concat();
    let (ours, theirs, both) = (with("x=1"), with("y=2"), [&all[..], &["x=1", "y=2"]].concat());
    clean([(&all, &pairs), (&ours, &pairs), (&theirs, &pairs[1..])], (&both, &pairs[1..])).await;
}
