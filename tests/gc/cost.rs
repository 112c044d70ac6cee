//! What a run reads, counted.

use meshfs::telemetry::counters::Verb;

use super::lab::*;

/// A tree of many files and many commits is marked by reading each node once, wherever it is named from.
#[tokio::test]
async fn marking_reads_each_node_once() {
    const DIRECTORIES: u64 = 40;
    const COMMITS: u64 = 60;
    let (_world, a) = aged(0).await;
    let sales = a.sales().await;
    let names: Vec<String> =
        (0..DIRECTORIES).flat_map(|dir| (0..50).map(move |file| format!("d{dir:02}/{file:0>150}"))).collect();
    let files: Vec<_> = names.iter().map(|name| (name.as_str(), Some(name.as_bytes().to_vec()))).collect();
    commit_files(&sales, "main", &files).await;
    let first = collect_dry(&sales).await.read;
    for number in 0..COMMITS {
        let name = &names[(number as usize * 37) % names.len()];
        commit_files(&sales, "main", &[(name, Some(number.to_le_bytes().to_vec()))]).await;
    }
    a.clock.advance(DAY * 40);
    let before = a.counters.read();
    let report = collect_dry(&sales).await;
    // A commit of one file makes a root, the top directory and one below it.
    let new = report.read - first;
    assert!((2 * COMMITS..=3 * COMMITS).contains(&new), "{new} new nodes read, {first} before");
    let spent = a.counters.read() - before;
    assert!(spent.of(Verb::Get) < COMMITS * 3, "{spent:?}");
}
