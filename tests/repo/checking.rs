//! A snapshot hashed again: what is sound, what is damaged, what parents say of nodes.

use std::sync::Arc;

use meshfs::format::split::build_dir;
use meshfs::model::content::Constants;
use meshfs::model::entry::{Content, Entry, Meta};
use meshfs::model::id::RootId;
use meshfs::model::time::Time;
use meshfs::model::tree::{DirContent, NamedEntry, Root};
use meshfs::repo::domain::{Domain, Snapshot};
use meshfs::repo::fsck::{Report, check};
use meshfs::repo::upload::{Upload, UploadOptions};

use super::world::*;

fn entry(content: Content) -> Entry {
    Entry { meta: Meta { mode: 0o755, owner: None, mtime: Time(0), xattrs: Vec::new() }, content }
}

fn fifos(count: u32) -> DirContent {
    let fifo = |n| NamedEntry { name: format!("{n:06}").into_bytes(), entry: entry(Content::Fifo) };
    build_dir((0..count).map(fifo).collect()).unwrap()
}

fn root_of(dir: DirContent) -> Root {
    Root { id: RootId([0; 32]), entry: entry(Content::Dir(dir)), links: None }
}

async fn stored(domain: &Domain, root: Root) -> Root {
    let (sys, _) = meshfs::sys::Sys::simulated(START_NANOS, 9);
    let options = UploadOptions { epoch: 0, sent: None, constants: Constants::default(), sys, progress: None };
    Upload::new(domain.objects(), options).finish_nodes(root).await.unwrap().0
}

async fn checked(domain: &Domain, root: Root) -> Report {
    let head = head_of(domain, "main").await.1;
    let snapshot = domain.snapshot(&head).await.unwrap();
    let snapshot = Snapshot { domain: domain.clone(), commit: snapshot.commit.clone(), root: Arc::new(root) };
    check(&snapshot, true, &|_| {}).await
}

#[tokio::test]
async fn a_parent_that_says_other_counts_than_its_nodes_have_is_found() {
    let (_world, machine) = World::in_memory().with_sales().await;
    let domain = machine.sales().await;
    let below = stored(&domain, root_of(fifos(20_000))).await;
    let sound = stored(&domain, root_of(build_dir(vec![named(below.entry.clone())]).unwrap())).await;
    let report = checked(&domain, sound).await;
    assert!(report.damaged.is_empty(), "{:?}", report.damaged);
    assert!(report.nodes > 10, "{} nodes", report.nodes);
    let mut lying = below.entry;
    if let Content::Dir(dir) = &mut lying.content {
        dir.counts.bytes += 1;
    }
    let lied = stored(&domain, root_of(build_dir(vec![named(lying)]).unwrap())).await;
    let report = checked(&domain, lied).await;
    assert_eq!(report.damaged.len(), 1);
    assert_eq!(report.damaged[0].path.as_bytes(), b"large");
    assert!(report.damaged[0].error.to_string().contains("counts"), "{}", report.damaged[0].error);
}

fn named(entry: Entry) -> NamedEntry {
    NamedEntry { name: b"large".to_vec(), entry }
}
