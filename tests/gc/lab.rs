//! Machines that commit files, let time pass, and collect.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use meshfs::model::edit::{DirEdit, Edit};
use meshfs::model::entry::{Content, Entry, Meta};
use meshfs::model::gc::CollectionReport;
use meshfs::model::id::{CommitId, PackName};
use meshfs::model::log::RefIdentity;
use meshfs::model::merge::MergeOptions;
use meshfs::model::path::TreePath;
use meshfs::model::time::Time;
use meshfs::repo::commit::{CommitOutcome, CommitRequest, land};
use meshfs::repo::domain::Domain;
use meshfs::repo::error::RepoError;
use meshfs::repo::fsck;
use meshfs::repo::gc::CollectOptions;
use meshfs::repo::tree::find;
use meshfs::repo::upload::Upload;
use meshfs::storage::store::LISTED_MAX;
use meshfs::sys::clock::{Clock, SystemClock};
use meshfs::sys::random::{Random, SeededRandom};

use super::world::*;

pub const DAY: Duration = Duration::from_secs(24 * 3600);

/// A mesh with `sales`, made `days` ago by the clocks of its machines: the store in memory dates what it has by the
/// real clock.
pub async fn aged(days: u32) -> (World, Machine) {
    let (world, a) = World::in_memory().with_sales().await;
    let behind = SystemClock::new().now() - a.clock.now();
    a.clock.advance(Duration::from_nanos(u64::try_from(behind).unwrap_or(0)));
    a.clock.advance(DAY * days);
    (world, a)
}

pub fn bytes(seed: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    SeededRandom::new(seed).fill(&mut bytes);
    bytes
}

/// The request to commit these files on `base`; those without bytes are removed. They are sent, and no pack is open.
pub async fn stage(
    domain: &Domain,
    upload: &mut Upload,
    branch: &RefIdentity,
    base: &CommitId,
    files: &[(&str, Option<Vec<u8>>)],
) -> CommitRequest {
    let snapshot = domain.snapshot(base).await.unwrap();
    let mut edit = DirEdit::of(&snapshot.root.entry);
    for (at, bytes) in files {
        let put = match bytes {
            None => Edit::Remove,
            Some(bytes) => {
                let content = upload.file(Arc::new(bytes.clone()), bytes.len() as u64, None).await.unwrap();
                let meta = Meta { mode: 0o644, owner: None, mtime: Time(5), xattrs: Vec::new() };
                Edit::Put(Entry { meta, content: Content::File(content) })
            }
        };
        put_at(domain, &mut edit, at, put).await;
    }
    CommitRequest {
        branch: branch.clone(),
        base: *base,
        edit,
        links: None,
        sources: Vec::new(),
        author: "ann".to_owned(),
        message: "a change".to_owned(),
        metadata: BTreeMap::new(),
        incoming: None,
        options: MergeOptions::default(),
        workspace: None,
    }
}

async fn put_at(domain: &Domain, edit: &mut DirEdit, at: &str, put: Edit) {
    let at = TreePath::parse(at.as_bytes()).unwrap();
    let (parent, name) = at.split_last().unwrap();
    let mut edit = edit;
    for name in parent.names() {
        if !edit.names.contains_key(name) {
            let below = match edit.from.as_ref().and_then(Entry::as_dir) {
                Some(from) => find(domain.objects(), from, name).await.unwrap(),
                None => None,
            };
            let meta = Meta { mode: 0o755, owner: None, mtime: Time(5), xattrs: Vec::new() };
            let new = DirEdit { from: None, meta, names: BTreeMap::new() };
            edit.names.insert(name.to_vec(), Edit::Dir(below.map_or(new, |below| DirEdit::of(&below))));
        }
        let Some(Edit::Dir(below)) = edit.names.get_mut(name) else { panic!("`{at}` is below no directory") };
        edit = below;
    }
    edit.names.insert(name.to_vec(), put);
}

/// Commits these files to the newest head of a branch.
pub async fn commit_files(domain: &Domain, branch: &str, files: &[(&str, Option<Vec<u8>>)]) -> CommitId {
    let (identity, head) = head_of(domain, branch).await;
    loop {
        let mut upload = Upload::begin(domain, None);
        let request = stage(domain, &mut upload, &identity, &head, files).await;
        match land(domain, &mut upload, &request).await.unwrap() {
            CommitOutcome::Landed(landed) => return landed.commit.id,
            CommitOutcome::Condemned { .. } => {}
            other => panic!("{other:?}"),
        }
    }
}

/// Makes a branch with one file of its own, and deletes it again; gives what it came to.
pub async fn dead_branch(domain: &Domain, name: &str, file: Vec<u8>) -> CommitId {
    let head = head_of(domain, "main").await.1;
    let branch = domain.create_branch(name, &head).await.unwrap();
    let dead = commit_files(domain, name, &[("dead", Some(file))]).await;
    domain.delete_branch(&branch, &dead).await.unwrap();
    dead
}

pub async fn collect(domain: &Domain) -> CollectionReport {
    try_collect(domain).await.unwrap()
}

pub async fn try_collect(domain: &Domain) -> Result<CollectionReport, RepoError> {
    domain.collect(&CollectOptions { dry_run: false, progress: &|_| {} }).await
}

pub async fn collect_dry(domain: &Domain) -> CollectionReport {
    domain.collect(&CollectOptions { dry_run: true, progress: &|_| {} }).await.unwrap()
}

/// Re-hashes all of a commit on a machine that has read nothing yet.
pub async fn check(world: &World, id: &CommitId) {
    let machine = world.machine(77).await;
    let snapshot = machine.sales().await.snapshot(id).await.unwrap();
    let report = fsck::check(&snapshot, true, &|_| {}).await;
    assert!(report.damaged.is_empty(), "{:?}", report.damaged);
}

/// Keys below the domain's place that begin with `folder`.
pub async fn keys(world: &World, domain: &Domain, folder: &str) -> Vec<String> {
    let prefix = format!("{}/{folder}", domain.place().prefix);
    let listed = world.base.list(&prefix, None, LISTED_MAX).await.unwrap();
    assert!(listed.len() < LISTED_MAX);
    listed.into_iter().map(|line| line.key).collect()
}

/// The pack that a commit's root lies in.
pub async fn pack_of(domain: &Domain, commit: &CommitId) -> PackName {
    domain.record(commit).await.unwrap().root_location.pack
}

pub async fn exists(world: &World, key: &str) -> bool {
    world.base.size(key).await.is_ok()
}
