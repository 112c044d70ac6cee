//! Commits landing on heads that stay or move.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::future::join_all;
use meshfs::format::filter::may_contain;
use meshfs::format::gc::encode_condemned;
use meshfs::model::commit::Stats;
use meshfs::model::edit::{DirEdit, Edit};
use meshfs::model::entry::{Content, Entry};
use meshfs::model::gc::Condemned;
use meshfs::model::id::{CommitId, Nonce};
use meshfs::model::log::Fence;
use meshfs::model::merge::{ConflictKind, MergeOptions, Resolution, Side};
use meshfs::model::time::Time;
use meshfs::repo::commit::{CommitOutcome, CommitRequest, land};
use meshfs::repo::domain::{Domain, Snapshot};
use meshfs::repo::error::RepoError;
use meshfs::repo::mesh::Mesh;
use meshfs::repo::tree::{find, lookup, read_links};
use meshfs::repo::upload::Upload;
use meshfs::sys::Sys;

use crate::support::{dir, groups, meta, path};
use crate::watched::Watched;
use crate::world::*;

/// A commit of these texts at these paths (none removes), staged on `base`.
pub async fn request(
    domain: &Domain,
    upload: &mut Upload,
    base: &CommitId,
    files: &[(&str, Option<&str>)],
) -> CommitRequest {
    let base = domain.snapshot(base).await.unwrap();
    let mut edit = DirEdit::of(&base.root.entry);
    for (at, text) in files {
        let put = match text {
            Some(text) => Edit::Put(sent_file(upload, text).await),
            None => Edit::Remove,
        };
        put_at(domain, &mut edit, at, put).await;
    }
    of_edit(domain, &base.commit.id, edit)
}

pub fn of_edit(domain: &Domain, base: &CommitId, edit: DirEdit) -> CommitRequest {
    CommitRequest {
        branch: domain.state().branch("main").unwrap().0,
        base: *base,
        edit,
        links: None,
        sources: Vec::new(),
        author: "ann".to_owned(),
        message: "a change".to_owned(),
        metadata: BTreeMap::from([("ticket".to_owned(), "7".to_owned())]),
        incoming: None,
        options: MergeOptions::default(),
        workspace: None,
    }
}

pub async fn sent_file(upload: &mut Upload, text: &str) -> Entry {
    let bytes = text.as_bytes().to_vec();
    let content = upload.file(Arc::new(bytes), text.len() as u64, None).await.unwrap();
    Entry { meta: meta(0o644, 5), content: Content::File(content) }
}

pub async fn put_at(domain: &Domain, edit: &mut DirEdit, at: &str, put: Edit) {
    let at = path(at);
    let (parent, name) = at.split_last().unwrap();
    let mut edit = edit;
    for name in parent.names() {
        if !edit.names.contains_key(name) {
            let below = match edit.from.as_ref().and_then(Entry::as_dir) {
                Some(from) => find(domain.objects(), from, name).await.unwrap(),
                None => None,
            };
            let new = DirEdit { from: None, meta: dir().meta, names: BTreeMap::new() };
            edit.names.insert(name.to_vec(), Edit::Dir(below.map_or(new, |below| DirEdit::of(&below))));
        }
        let Some(Edit::Dir(below)) = edit.names.get_mut(name) else { panic!("`{at}` is below no directory") };
        edit = below;
    }
    edit.names.insert(name.to_vec(), put);
}

/// Commits these texts on the newest head.
pub async fn commit(domain: &Domain, files: &[(&str, Option<&str>)]) -> CommitId {
    let mut upload = Upload::begin(domain, None);
    let head = head_of(domain, "main").await.1;
    let request = request(domain, &mut upload, &head, files).await;
    landed(land(domain, &mut upload, &request).await.unwrap())
}

pub fn landed(outcome: CommitOutcome) -> CommitId {
    match outcome {
        CommitOutcome::Landed(landed) => landed.commit.id,
        other => panic!("{other:?}"),
    }
}

/// All files of a commit with their texts, as another machine reads them.
async fn texts(world: &World, id: &CommitId) -> BTreeMap<String, String> {
    let machine = world.machine(99).await;
    let domain = machine.sales().await;
    let snapshot = domain.snapshot(id).await.unwrap();
    let mut files = Vec::new();
    let mut visit = |at: &meshfs::model::path::TreePath, entry: &Entry| {
        if let Content::File(content) = &entry.content {
            files.push((at.to_string(), content.clone()));
        }
        meshfs::repo::tree::walk::Next::Into
    };
    meshfs::repo::tree::walk::walk(domain.objects(), &snapshot.root.entry, &mut visit).await.unwrap();
    let mut texts = BTreeMap::new();
    for (at, content) in files {
        let bytes = domain.objects().read(&content, 0, content.size).await.unwrap();
        texts.insert(at, String::from_utf8(bytes.to_vec()).unwrap());
    }
    texts
}

fn owned(files: &[(&str, &str)]) -> BTreeMap<String, String> {
    files.iter().map(|(at, text)| ((*at).to_owned(), (*text).to_owned())).collect()
}

async fn snapshot(domain: &Domain, id: &CommitId) -> Arc<Snapshot> {
    domain.snapshot(id).await.unwrap()
}

#[tokio::test]
async fn a_commit_is_what_its_record_says() {
    let (world, a) = World::in_memory().with_sales().await;
    let sales = a.sales().await;
    let first = commit(&sales, &[("orders/1", Some("one")), ("orders/2", Some("two"))]).await;
    let second = commit(&sales, &[("orders/1", Some("1")), ("orders/2", None), ("new", Some("two"))]).await;
    assert_eq!(texts(&world, &first).await, owned(&[("orders/1", "one"), ("orders/2", "two")]));
    assert_eq!(texts(&world, &second).await, owned(&[("new", "two"), ("orders/1", "1")]));
    let record = world.machine(3).await.sales().await.record(&second).await.unwrap();
    assert_eq!((record.parents.clone(), record.generation), (vec![first], 2));
    assert_eq!(record.stats, Stats { added: 0, modified: 1, deleted: 0, renamed: 1 });
    assert_eq!((record.author.as_str(), record.host.as_str(), record.message.as_str()), ("ann", "desk", "a change"));
    assert_eq!(record.metadata["ticket"], "7");
    for changed in ["orders", "orders/1", "orders/2", "new"] {
        assert!(may_contain(&record.changed_paths, &path(changed)), "{changed}");
    }
    assert!(!may_contain(&record.changed_paths, &path("orders/3")));
    // The entry that the record names is its own.
    let entries = entries(&world, &sales).await;
    assert_eq!(entries[record.first_seq as usize - 1].changes[0].target, Some(second));
    assert_eq!(entries[record.first_seq as usize - 1].changes[0].previous_target, Some(first));
}

#[tokio::test]
async fn nothing_changed_is_no_commit() {
    let (world, a) = World::in_memory().with_sales().await;
    let sales = a.sales().await;
    let head = commit(&sales, &[("d/x", Some("1"))]).await;
    let before = entries(&world, &sales).await.len();
    let mut upload = Upload::begin(&sales, None);
    let same = request(&sales, &mut upload, &head, &[("d/x", Some("1"))]).await;
    let outcome = land(&sales, &mut upload, &same).await.unwrap();
    assert!(matches!(outcome, CommitOutcome::Nothing { head: at } if at == head), "{outcome:?}");
    // Neither is the time of a directory alone.
    let mut touched = DirEdit::of(&snapshot(&sales, &head).await.root.entry);
    touched.meta.mtime = Time(77);
    let outcome = land(&sales, &mut upload, &of_edit(&sales, &head, touched)).await.unwrap();
    assert!(matches!(outcome, CommitOutcome::Nothing { head: at } if at == head), "{outcome:?}");
    assert_eq!(entries(&world, &sales).await.len(), before);
}

#[tokio::test]
async fn a_moved_head_is_merged_when_the_changes_are_apart() {
    let (world, a) = World::in_memory().with_sales().await;
    let b = world.machine(2).await;
    let (ours, theirs) = (a.sales().await, b.sales().await);
    let base = commit(&ours, &[("d/x", Some("1")), ("d/y", Some("1"))]).await;
    let head = commit(&theirs, &[("d/y", Some("theirs"))]).await;
    let mut upload = Upload::begin(&ours, None);
    let request = request(&ours, &mut upload, &base, &[("d/x", Some("ours"))]).await;
    let id = landed(land(&ours, &mut upload, &request).await.unwrap());
    assert_eq!(texts(&world, &id).await, owned(&[("d/x", "ours"), ("d/y", "theirs")]));
    let record = ours.record(&id).await.unwrap();
    assert_eq!(record.parents, [head]);
    assert_eq!(record.stats, Stats { modified: 1, ..Stats::default() });
}

#[tokio::test]
async fn a_conflict_lands_nothing_and_a_resolution_holds_for_what_it_was_made_against() {
    let (world, a) = World::in_memory().with_sales().await;
    let b = world.machine(2).await;
    let (ours, theirs) = (a.sales().await, b.sales().await);
    let base = commit(&ours, &[("x", Some("1"))]).await;
    let head = commit(&theirs, &[("x", Some("theirs"))]).await;
    let mut upload = Upload::begin(&ours, None);
    let mut request = request(&ours, &mut upload, &base, &[("x", Some("ours")), ("y", Some("ours"))]).await;
    let CommitOutcome::Conflict { conflicts, with: met } = land(&ours, &mut upload, &request).await.unwrap() else {
        panic!("both wrote x")
    };
    assert_eq!((conflicts.len(), conflicts[0].kind, met), (1, ConflictKind::ModifyModify, head));
    assert_eq!(head_of(&theirs, "main").await.1, head);

    let resolution = Resolution { theirs: conflicts[0].theirs.clone(), side: Side::Ours };
    request.options.resolutions.insert(conflicts[0].path.clone(), resolution);
    let further = commit(&theirs, &[("x", Some("further"))]).await;
    let outcome = land(&ours, &mut upload, &request).await.unwrap();
    assert!(matches!(&outcome, CommitOutcome::Conflict { with, .. } if *with == further), "{outcome:?}");
    commit(&theirs, &[("x", Some("theirs"))]).await;
    let id = landed(land(&ours, &mut upload, &request).await.unwrap());
    assert_eq!(texts(&world, &id).await, owned(&[("x", "ours"), ("y", "ours")]));
}

#[tokio::test]
async fn the_same_change_by_another_is_nothing_left_to_commit() {
    let (world, a) = World::in_memory().with_sales().await;
    let b = world.machine(2).await;
    let (ours, theirs) = (a.sales().await, b.sales().await);
    let base = commit(&ours, &[("x", Some("1"))]).await;
    let head = commit(&theirs, &[("x", Some("2"))]).await;
    let mut upload = Upload::begin(&ours, None);
    let request = request(&ours, &mut upload, &base, &[("x", Some("2"))]).await;
    let outcome = land(&ours, &mut upload, &request).await.unwrap();
    assert!(matches!(outcome, CommitOutcome::Nothing { head: at } if at == head), "{outcome:?}");
}

#[tokio::test]
async fn a_commit_does_not_land_on_another_branch_of_the_same_name() {
    let (world, a) = World::in_memory().with_sales().await;
    let b = world.machine(2).await;
    let (ours, theirs) = (a.sales().await, b.sales().await);
    let base = commit(&ours, &[("x", Some("1"))]).await;
    let exp = ours.create_branch("exp", &base).await.unwrap();
    theirs.poll().await.unwrap();
    theirs.delete_branch(&exp, &base).await.unwrap();
    theirs.create_branch("exp", &base).await.unwrap();
    let mut upload = Upload::begin(&ours, None);
    let request = CommitRequest { branch: exp, ..request(&ours, &mut upload, &base, &[("x", Some("2"))]).await };
    let error = land(&ours, &mut upload, &request).await.unwrap_err();
    assert!(matches!(error, RepoError::Moved { .. }), "{error}");
    assert_eq!(head_of(&theirs, "exp").await.1, base);
}

#[tokio::test]
async fn many_machines_land_all_they_have() {
    let (world, a) = World::in_memory().with_sales().await;
    let base = commit(&a.sales().await, &[("shared/x", Some("0"))]).await;
    let machines = join_all((2..6).map(|seed| world.machine(seed))).await;
    let work = machines.iter().enumerate().map(async |(machine, files)| {
        let sales = files.sales().await;
        for n in 0..4 {
            let mut upload = Upload::begin(&sales, None);
            let (at, text) = (format!("shared/{machine}-{n}"), format!("{machine} {n}"));
            // Always on the first commit: every other one is met in the merge.
            let request = request(&sales, &mut upload, &base, &[(&at, Some(&text))]).await;
            landed(land(&sales, &mut upload, &request).await.unwrap());
        }
    });
    join_all(work).await;
    let sales = a.sales().await;
    let head = head_of(&sales, "main").await.1;
    let mut expected = owned(&[("shared/x", "0")]);
    for (machine, n) in (0..4).flat_map(|machine| (0..4).map(move |n| (machine, n))) {
        expected.insert(format!("shared/{machine}-{n}"), format!("{machine} {n}"));
    }
    assert_eq!(texts(&world, &head).await, expected);
    assert_eq!(sales.record(&head).await.unwrap().generation, 17);
}

#[tokio::test]
async fn hard_links_land_with_the_tree_and_follow_a_merge() {
    let (world, a) = World::in_memory().with_sales().await;
    let b = world.machine(2).await;
    let (ours, theirs) = (a.sales().await, b.sales().await);
    let base = commit(&ours, &[("a", Some("1")), ("c", Some("2"))]).await;
    commit(&theirs, &[("d", Some("3"))]).await;
    let mut upload = Upload::begin(&ours, None);
    let mut request = request(&ours, &mut upload, &base, &[("b", Some("1"))]).await;
    request.links = Some(groups(&[&["a", "b"]]));
    let id = landed(land(&ours, &mut upload, &request).await.unwrap());
    let reader = world.machine(3).await.sales().await;
    let root = snapshot(&reader, &id).await.root.clone();
    assert_eq!(read_links(reader.objects(), root.links.as_ref()).await.unwrap(), groups(&[&["a", "b"]]));
    assert!(lookup(reader.objects(), &root.entry, &path("d")).await.unwrap().is_some());
}

/// Lands a fence whose collection condemned these.
async fn collect(world: &World, domain: &Domain, condemned: Condemned) {
    let bytes = encode_condemned(&condemned).unwrap();
    world.base.put(&domain.place().gc_key(condemned.epoch), bytes.into()).await.unwrap();
    let fence = Fence { epoch: condemned.epoch, horizon: condemned.horizon };
    put_entry(world, domain, |entry| entry.fence = fence).await;
}

fn nothing_condemned() -> Condemned {
    Condemned {
        epoch: 1,
        nonce: Nonce([1; 16]),
        horizon: 1,
        time: Time(START_NANOS),
        packs: BTreeSet::new(),
        records: BTreeSet::new(),
        made: BTreeSet::new(),
    }
}

#[tokio::test]
async fn condemned_contents_must_go_again() {
    let (world, a) = World::in_memory().with_sales().await;
    let sales = a.sales().await;
    let base = commit(&sales, &[("x", Some("1"))]).await;
    let mut upload = Upload::begin(&sales, None);
    let request_once = request(&sales, &mut upload, &base, &[("x", Some("2"))]).await;
    let packs: BTreeSet<_> = upload.packs().into_iter().map(|sent| sent.name).collect();
    assert!(!packs.is_empty());
    collect(&world, &sales, Condemned { packs: packs.clone(), ..nothing_condemned() }).await;
    let CommitOutcome::Condemned { packs: told } = land(&sales, &mut upload, &request_once).await.unwrap() else {
        panic!("its pack was condemned")
    };
    assert!(told.iter().all(|pack| packs.contains(pack)) && !told.is_empty());
    let mut upload = Upload::begin(&sales, None);
    let request = request(&sales, &mut upload, &base, &[("x", Some("2"))]).await;
    let id = landed(land(&sales, &mut upload, &request).await.unwrap());
    assert!(upload.packs().iter().all(|sent| !packs.contains(&sent.name)));
    assert_eq!(texts(&world, &id).await, owned(&[("x", "2")]));
}

/// A record that was condemned before its entry landed goes again under another name; the pack need not.
#[tokio::test]
async fn a_condemned_record_is_written_again() {
    let (world, a) = World::in_memory().with_sales().await;
    let rival = a.sales().await;
    let base = commit(&rival, &[("x", Some("1"))]).await;
    let folder = tempfile::tempdir().unwrap();
    let store = Watched::new(world.base.clone());
    let (sys, _) = Sys::simulated(START_NANOS, 3);
    let mesh = Mesh::open(options(store.clone(), folder.path(), sys)).await.unwrap();
    let ours = mesh.domain(SALES).await.unwrap();
    let before = commits(&world, &rival).await;
    let world = Arc::new(world);
    let (bare, done) = (world.clone(), Arc::new(AtomicBool::new(false)));
    let seen = before.clone();
    store.before_create(move |_, _| {
        let (bare, rival, seen, done) = (bare.clone(), rival.clone(), seen.clone(), done.clone());
        Box::pin(async move {
            if !done.swap(true, Ordering::Relaxed) {
                let records = commits(&bare, &rival).await.difference(&seen).copied().collect();
                collect(&bare, &rival, Condemned { records, ..nothing_condemned() }).await;
            }
        })
    });
    let mut upload = Upload::begin(&ours, None);
    let request = request(&ours, &mut upload, &base, &[("x", Some("2"))]).await;
    let id = landed(land(&ours, &mut upload, &request).await.unwrap());
    let after = commits(&world, &ours).await;
    assert_eq!(after.difference(&before).count(), 2, "the condemned one and the one that landed");
    assert_eq!(texts(&world, &id).await, owned(&[("x", "2")]));
    assert_eq!(upload.packs().len(), 1);
}

/// Ids of all records in the store.
async fn commits(world: &World, domain: &Domain) -> BTreeSet<CommitId> {
    let prefix = format!("{}/commits/", domain.place().prefix);
    let listed = world.base.list(&prefix, None, 1000).await.unwrap();
    listed.iter().map(|object| object.key.rsplit('/').next().unwrap().parse().unwrap()).collect()
}

/// A source that no live ref leads to any more has expired, however readable it still is.
#[tokio::test]
async fn an_expired_source_is_refused() {
    let (world, a) = World::in_memory().with_sales().await;
    let sales = a.sales().await;
    let base = commit(&sales, &[("x", Some("1"))]).await;
    let exp = sales.create_branch("exp", &base).await.unwrap();
    let mut upload = Upload::begin(&sales, None);
    let on_exp =
        CommitRequest { branch: exp.clone(), ..request(&sales, &mut upload, &base, &[("y", Some("2"))]).await };
    let dead = landed(land(&sales, &mut upload, &on_exp).await.unwrap());
    sales.delete_branch(&exp, &dead).await.unwrap();
    let taken = snapshot(&sales, &dead).await.root.entry.clone();
    let restore =
        CommitRequest { sources: vec![dead], ..of_edit(&sales, &base, DirEdit { from: Some(taken), ..on_exp.edit }) };
    let horizon = sales.state().seq + 1;
    collect(&world, &sales, Condemned { horizon, ..nothing_condemned() }).await;
    let mut upload = Upload::begin(&sales, None);
    let error = land(&sales, &mut upload, &restore).await.unwrap_err();
    assert!(matches!(error, RepoError::Expired { .. }), "{error}");
    assert_eq!(head_of(&sales, "main").await.1, base);
}
