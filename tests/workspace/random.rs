//! Random work on two machines: what is seen is what is committed, and what both commit is what both see.

use std::collections::BTreeMap;

use meshfs::model::entry::{ContentKey, Entry, Kind, Owner};
use meshfs::model::merge::{MergeOptions, Side, merge};
use meshfs::model::path::TreePath;
use meshfs::model::time::Time;
use meshfs::model::tree::Root;
use meshfs::repo::tree::apply::apply;
use meshfs::repo::tree::walk::{Next, walk};
use meshfs::sys::random::{Random, SeededRandom};
use meshfs::workspace::commit::Committed;
use meshfs::workspace::refresh::Refreshed;

use crate::support::*;
use crate::world::*;

const NAMES: [&str; 4] = ["a", "b", "c", "d"];

fn some_path(random: &SeededRandom) -> String {
    let depth = 1 + random.below(3);
    (0..depth).map(|_| NAMES[random.below(NAMES.len() as u64) as usize]).collect::<Vec<_>>().join("/")
}

/// One change; that many make no sense where they are, and are refused, is as it should be.
async fn change(tree: &Tree, random: &SeededRandom, step: usize) -> String {
    let (at, to) = (some_path(random), some_path(random));
    let refused = match random.below(9) {
        0..=3 => tree.try_write(&at, &format!("{step} {at}")).await.err(),
        4 => tree.mkdir(&at).await.err(),
        5 => tree.remove(&at).await.err(),
        6 => tree.rename(&at, &to).await.err(),
        7 => tree.link(&at, &to).await.err(),
        _ => match tree.at(&at, |_, _| Ok(())).await {
            Ok(()) => {
                tree.chmod(&at, 0o600 + random.below(8) as u16).await;
                None
            }
            Err(error) => Some(error),
        },
    };
    format!("{at} {to}: {refused:?}")
}

/// The tree is committed as it is seen, and clean after it.
async fn check_landed(world: &World, tree: &Tree, story: &[String]) {
    let seen = tree.all().await;
    match tree.try_commit().await.unwrap() {
        Committed::Landed(commit) => {
            assert_eq!(committed(world, &commit.id).await, tree.all().await, "{story:#?}");
            if commit.parents.first() == Some(&tree.domain.record(&commit.id).await.unwrap().parents[0]) {
                assert!(!tree.workspace.is_dirty().unwrap(), "{:?} {story:#?}", tree.status().await);
            }
        }
        Committed::Nothing => {}
        Committed::Conflict(_) => {
            assert_eq!(tree.all().await, seen, "a conflict changes nothing: {story:#?}");
            let side = if story.len().is_multiple_of(2) { Side::Ours } else { Side::Theirs };
            assert!(matches!(tree.refresh(Some(side), &[]).await, Refreshed::Moved { .. }), "{story:#?}");
            let seen = tree.all().await;
            if let Committed::Landed(commit) = tree.try_commit().await.unwrap() {
                assert_eq!(committed(world, &commit.id).await, seen, "after a refresh: {story:#?}");
                assert_eq!(tree.all().await, seen, "{story:#?}");
            }
        }
    }
}

/// What is one file or directory: kind, content, mode, owner, time; of directories no time.
type Facts = (Kind, Option<ContentKey>, u16, Option<Owner>, Option<Time>);

async fn facts(tree: &Tree, top: &Entry) -> BTreeMap<String, Facts> {
    let mut facts = BTreeMap::new();
    let mut visit = |at: &TreePath, entry: &Entry| {
        let is_dir = entry.kind() == Kind::Dir;
        let key = (!is_dir).then(|| entry.content_key());
        let time = (!is_dir).then_some(entry.meta.mtime);
        facts.insert(at.to_string(), (entry.kind(), key, entry.meta.mode, entry.meta.owner, time));
        Next::Into
    };
    walk(tree.domain.objects(), top, &mut visit).await.unwrap();
    facts
}

/// A refresh gives what the merge of base, working tree and head gives, or in conflict nothing at all.
async fn check_refresh(tree: &Tree, story: &[String]) {
    let (seen, status) = (tree.all().await, tree.status().await);
    let decided = !tree.workspace.conflicts().unwrap().is_empty();
    let ours = Root { entry: tree.workspace.tree().await.unwrap(), ..Root::clone(&tree.workspace.base().root) };
    let base = tree.workspace.base();
    let head = head_of(&tree.domain, "main").await.1;
    let head = tree.domain.snapshot(&head).await.unwrap();
    // Groups of hard links are not compared here: all three sides are given those of the head.
    let [base, ours] = [&base.root, &ours].map(|side| Root { links: head.root.links.clone(), ..Root::clone(side) });
    let objects = tree.domain.objects();
    let merged = merge(objects, &base, &ours, &head.root, &MergeOptions::default()).await.unwrap();
    match tree.refresh(None, &[]).await {
        Refreshed::Conflict(_) => {
            assert_eq!((tree.all().await, tree.status().await), (seen, status), "{story:#?}");
        }
        // What was written since a conflict was met counts as decided.
        Refreshed::Moved { .. } if decided => {}
        Refreshed::Current => {}
        Refreshed::Moved { to, .. } => {
            assert_eq!((to, merged.conflicts.as_slice()), (head.commit.id, [].as_slice()), "{story:#?}");
            let expected = apply(objects, &merged.edit).await.unwrap();
            let found = tree.workspace.tree().await.unwrap();
            assert_eq!(facts(tree, &found).await, facts(tree, &expected).await, "{story:#?}");
        }
    }
}

async fn run(seed: u64) {
    let random = SeededRandom::new(seed);
    let (world, mut a, mut b) = two().await;
    let mut story = vec![format!("seed {seed}")];
    for step in 0..60 {
        let tree = if random.below(2) == 0 { &mut a } else { &mut b };
        match random.below(10) {
            0 => {
                story.push(format!("commit {:?}", tree.status().await));
                check_landed(&world, tree, &story).await;
            }
            1 => {
                story.push(format!("refresh {:?}", tree.status().await));
                check_refresh(tree, &story).await;
            }
            2 => {
                let seen = tree.all().await;
                tree.reopen().await;
                assert_eq!(tree.all().await, seen, "after a restart: {story:#?}");
                story.push("restart".to_owned());
            }
            3 if random.below(3) == 0 => {
                let at = some_path(&random);
                story.push(format!("discard {at}"));
                tree.workspace.discard(&path(&at)).await.ok();
            }
            _ => story.push(change(tree, &random, step).await),
        }
    }
    for tree in [&a, &b, &a] {
        check_landed(&world, tree, &story).await;
        story.push("end".to_owned());
    }
    for tree in [&a, &b] {
        tree.refresh(Some(Side::Theirs), &[]).await;
        tree.workspace.discard(&path("")).await.unwrap();
    }
    assert_eq!(a.all().await, b.all().await, "{story:#?}");
}

#[tokio::test]
async fn random_work_on_two_machines_is_never_lost_or_torn() {
    for seed in 0..24 {
        run(seed).await;
    }
}
