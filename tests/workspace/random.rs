//! Random work on two machines: what is seen is what is committed, and what both commit is what both see.

use meshfs::model::merge::Side;
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
                let (seen, status) = (tree.all().await, tree.status().await);
                story.push(format!("refresh {status:?}"));
                if let Refreshed::Conflict(_) = tree.refresh(None, &[]).await {
                    assert_eq!((tree.all().await, tree.status().await), (seen, status), "{story:#?}");
                }
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
