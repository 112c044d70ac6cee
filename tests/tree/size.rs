//! What edits of large trees cost, counted in nodes.

use std::sync::OnceLock;

use meshfs::format::limits::NODE_BYTES_MAX;
use meshfs::format::split::build_dir;
use meshfs::model::diff::DiffOptions;
use meshfs::model::edit::{DirEdit, Edit};
use meshfs::model::entry::{Content, Entry};
use meshfs::model::tree::NamedEntry;
use meshfs::repo::tree::apply::apply;
use meshfs::repo::tree::lookup;

use crate::support::*;

const FILES: usize = 100_000;

/// A stored directory of so many files.
fn directory(files: usize) -> Entry {
    let entries = (0..files).map(|n| NamedEntry { name: format!("part-{n:06}.parquet").into(), entry: file("1") });
    Entry { content: Content::Dir(build_dir(entries.collect()).unwrap()), ..dir() }
}

fn parent(of: Vec<(&str, Entry)>) -> Entry {
    let entries = of.into_iter().map(|(name, entry)| NamedEntry { name: name.into(), entry }).collect();
    Entry { content: Content::Dir(build_dir(entries).unwrap()), ..dir() }
}

/// `data/`, with one directory of 100,000 files, and `other/`, with 1,000 directories of 100.
fn large() -> &'static (Memory, Entry) {
    static LARGE: OnceLock<(Memory, Entry)> = OnceLock::new();
    LARGE.get_or_init(|| {
        let memory = Memory::default();
        let hundred = memory.store(&directory(100));
        let thousand = (0..1000).map(|n| NamedEntry { name: format!("day-{n:03}").into(), entry: hundred.clone() });
        let thousand = Entry { content: Content::Dir(build_dir(thousand.collect()).unwrap()), ..dir() };
        let data = parent(vec![("all", directory(FILES)), ("small", file("2"))]);
        let top = memory.store(&parent(vec![("data", data), ("other", thousand)]));
        (memory, top)
    })
}

async fn edit_at(memory: &Memory, top: &Entry, at: &str, edit: Edit) -> Entry {
    let Some((parent, name)) = path(at).split_last().map(|(parent, name)| (parent, name.to_vec())) else {
        panic!("not the root")
    };
    let directory = lookup(memory, top, &parent).await.unwrap().unwrap();
    let mut edits = DirEdit::of(&directory);
    edits.names.insert(name, edit);
    if parent.is_root() {
        return apply(memory, &edits).await.unwrap();
    }
    let above = parent.to_string();
    Box::pin(edit_at(memory, top, &above, Edit::Dir(edits))).await
}

#[tokio::test]
async fn editing_one_file_makes_only_the_nodes_on_its_path_anew() {
    let (memory, top) = large();
    for (at, nodes_max) in [("data/all/part-050000.parquet", 4), ("other/day-500/part-000050.parquet", 4)] {
        let edited = edit_at(memory, top, at, Edit::Put(file("edited"))).await;
        let found = lookup(memory, &edited, &path(at)).await.unwrap().unwrap();
        assert_eq!(found.size(), 6);
        let (nodes, largest) = new_nodes(edited.as_dir().unwrap());
        // The leaf, the inner node above it, `data` (or `other`) and the root; a cut that moved makes one leaf more.
        assert!((2..=nodes_max + 1).contains(&nodes), "{at}: {nodes} nodes");
        assert!(largest as u64 <= NODE_BYTES_MAX, "{at}: {largest} bytes");
    }
}

#[tokio::test]
async fn moving_a_large_directory_makes_only_the_nodes_on_both_paths_anew() {
    let (memory, top) = large();
    memory.take_loads();
    let all = lookup(memory, top, &path("data/all")).await.unwrap().unwrap();
    let gone = edit_at(memory, top, "data/all", Edit::Remove).await;
    let moved = edit_at(memory, &gone, "other/everything", Edit::Put(all)).await;
    assert_eq!(moved.as_dir().unwrap().counts, top.as_dir().unwrap().counts);
    let (nodes, largest) = new_nodes(moved.as_dir().unwrap());
    // The root, `data`, and of `other` its top node and one or two leaves.
    assert!(nodes <= 5, "{nodes} nodes");
    assert!(largest as u64 <= NODE_BYTES_MAX, "{largest} bytes");
    assert!(memory.take_loads() <= 12);

    let renames = DiffOptions { renames: true, ..DiffOptions::default() };
    let told = differences(memory, Some(top), Some(&moved), renames).await;
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(memory.take_loads() <= 12);
}

#[tokio::test]
async fn a_difference_loads_only_what_differs() {
    let (memory, top) = large();
    let edited = edit_at(memory, top, "data/all/part-050000.parquet", Edit::Put(file("edited"))).await;
    let edited = memory.store(&edit_at(memory, &edited, "data/all/part-070000.parquet", Edit::Remove).await);
    memory.take_loads();
    let told = differences(memory, Some(top), Some(&edited), DiffOptions::default()).await;
    assert_eq!(told.len(), 2);
    let loads = memory.take_loads();
    // On each side the root, `data`, the inner node, and at most three leaves for each of the two places.
    assert!(loads <= 2 * (3 + 6), "{loads} loads");
}
