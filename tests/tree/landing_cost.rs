//! What commits cost in requests and bytes, whatever the size of the tree.

use std::sync::Arc;

use meshfs::model::edit::{DirEdit, Edit};
use meshfs::model::entry::{Content, Entry};
use meshfs::model::id::CommitId;
use meshfs::model::merge::MergeOptions;
use meshfs::repo::commit::{CommitRequest, land};
use meshfs::repo::domain::Domain;
use meshfs::repo::integrate::{Integrated, Integration};
use meshfs::repo::pick::{Incoming, Pick};
use meshfs::repo::upload::Upload;
use meshfs::telemetry::counters::{Counts, Verb};

use crate::landing::{landed, of_edit, put_at, request, sent_file};
use crate::support::meta;
use crate::world::*;

/// Requests that write.
fn puts(spent: Counts) -> u64 {
    [Verb::Put, Verb::Create, Verb::Initiate, Verb::Part, Verb::Complete].into_iter().map(|verb| spent.of(verb)).sum()
}

async fn commit_edit(domain: &Domain, mut upload: Upload, base: &CommitId, edit: DirEdit) -> CommitId {
    landed(land(domain, &mut upload, &of_edit(domain, base, edit)).await.unwrap())
}

/// 100,000 files of one content, in 1,000 directories of 100 and in one directory.
async fn large(domain: &Domain) -> CommitId {
    let mut upload = Upload::begin(domain, None);
    let base = head_of(domain, "main").await.1;
    let mut edit = DirEdit::of(&domain.snapshot(&base).await.unwrap().root.entry);
    let file = sent_file(&mut upload, "the same everywhere").await;
    for n in 0..100_000 {
        put_at(domain, &mut edit, &format!("flat/part-{n:06}.parquet"), Edit::Put(file.clone())).await;
        put_at(domain, &mut edit, &format!("deep/day-{:03}/part-{:02}", n / 100, n % 100), Edit::Put(file.clone()))
            .await;
    }
    commit_edit(domain, upload, &base, edit).await
}

#[tokio::test]
async fn one_small_file_in_a_large_tree_costs_three_puts() {
    let (world, a) = World::in_memory().with_sales().await;
    let mut head = large(&a.sales().await).await;
    let b = world.machine(2).await;
    let sales = b.sales().await;
    for at in ["flat/part-050000.parquet", "deep/day-500/part-50"] {
        let before = b.counters.read();
        let mut upload = Upload::begin(&sales, None);
        let request = request(&sales, &mut upload, &head, &[(at, Some(&"x".repeat(4000)))]).await;
        head = landed(land(&sales, &mut upload, &request).await.unwrap());
        let spent = b.counters.read() - before;
        assert_eq!(puts(spent), 3, "{at}: {spent:?}");
        assert!(spent.sent_bytes <= 400 << 10, "{at}: {spent:?}");
    }
}

#[tokio::test]
async fn ten_thousand_new_files_cost_few_puts() {
    let (_world, a) = World::in_memory().with_sales().await;
    let sales = a.sales().await;
    let base = head_of(&sales, "main").await.1;
    let before = a.counters.read();
    let mut upload = Upload::begin(&sales, None);
    let mut edit = DirEdit::of(&sales.snapshot(&base).await.unwrap().root.entry);
    for n in 0..10_000u64 {
        // Bytes that no compression makes smaller.
        let bytes: Vec<u8> =
            (0..64u64).flat_map(|block| *blake3::hash(&(n * 64 + block).to_le_bytes()).as_bytes()).collect();
        let bytes = [bytes.clone(), bytes.iter().map(|byte| byte.wrapping_mul(31)).collect()].concat();
        assert_eq!(bytes.len(), 4096);
        let content = upload.file(Arc::new(bytes), 4096, None).await.unwrap();
        let file = Entry { meta: meta(0o644, 1), content: Content::File(content) };
        put_at(&sales, &mut edit, &format!("new/{:02}/{n:05}", n % 20), Edit::Put(file)).await;
    }
    commit_edit(&sales, upload, &base, edit).await;
    let spent = a.counters.read() - before;
    assert!(puts(spent) <= 12, "{spent:?}");
}

/// A commit of one more text in a hundred directories, on the head of a branch.
async fn hundred_changes(domain: &Domain, branch: &str, part: usize) -> CommitId {
    let (identity, base) = head_of(domain, branch).await;
    let mut upload = Upload::begin(domain, None);
    let mut edit = DirEdit::of(&domain.snapshot(&base).await.unwrap().root.entry);
    let file = sent_file(&mut upload, branch).await;
    for n in 0..100 {
        put_at(domain, &mut edit, &format!("deep/day-{:03}/part-{part:02}", n * 10), Edit::Put(file.clone())).await;
    }
    let request = CommitRequest { branch: identity, ..of_edit(domain, &base, edit) };
    landed(land(domain, &mut upload, &request).await.unwrap())
}

#[tokio::test]
async fn a_merge_of_a_hundred_changed_files_costs_at_most_thirty_requests() {
    let (world, a) = World::in_memory().with_sales().await;
    let sales = a.sales().await;
    let base = large(&sales).await;
    sales.create_branch("exp", &base).await.unwrap();
    hundred_changes(&sales, "main", 1).await;
    let theirs = hundred_changes(&sales, "exp", 2).await;
    let b = world.machine(2).await;
    let sales = b.sales().await;
    let request = Integration {
        branch: sales.state().branch("main").unwrap().0,
        incoming: Incoming { pick: Pick::Merge { commit: theirs }, options: MergeOptions::default() },
        fast_forward: true,
        author: "ann".to_owned(),
        message: "Merge".to_owned(),
        metadata: Default::default(),
    };
    let merged = sales.integrate(&request).await.unwrap();
    let spent = b.counters.read();
    assert!(matches!(&merged, Integrated::Landed(commit) if commit.stats.modified == 100), "{merged:?}");
    assert!(spent.total() <= 30, "{spent:?}");
}
