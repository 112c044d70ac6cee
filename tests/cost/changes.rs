//! What changes cost: branches and commits.

use std::fs;

use super::lake::{Lake, Made, many_directories, noise, small_files};

#[test]
fn a_branch_of_a_large_repository() {
    let lake = Lake::new().with(many_directories()).with_log_of(10_000);
    let cold = lake.machine();
    let spent = lake.cost(|| cold.meshfs(&["branch", "create", "sales/cold"]));
    assert!(spent.total() <= 8, "branch create from a cold command line: {spent:?}");

    let machine = lake.mounted();
    assert!(machine.mesh().join("sales/main").is_dir());
    let spent = lake.cost(|| fs::create_dir(machine.mesh().join("sales/warm")).unwrap());
    assert!(spent.total() <= 2, "mkdir of a branch: {spent:?}");
    let spent = lake.cost(|| machine.meshfs(&["branch", "create", "sales/socket"]));
    assert!(spent.total() <= 2, "branch create through a running mount: {spent:?}");
}

fn one_small_change(lake: &Lake, file: &str) {
    let machine = lake.mounted();
    let tree = machine.mesh().join("sales/main");
    fs::write(tree.join(file), "changed").unwrap();
    let spent = lake.cost(|| fs::write(tree.join(".meshfs/commit"), "One small change\n").unwrap());
    assert!(spent.puts() <= 3 && spent.sent_bytes <= 400 << 10, "{file}: {spent:?}");
    let status = fs::read_to_string(tree.join(".meshfs/status")).unwrap();
    assert_eq!(status, "", "committed");
}

#[test]
fn a_commit_of_one_file_in_many_directories() {
    one_small_change(&Lake::new().with(many_directories()), "d0500/file-000050.txt");
}

#[test]
fn a_commit_of_one_file_in_one_huge_directory() {
    let huge = vec![("huge".to_owned(), Made::Dir(small_files(100_000)))];
    one_small_change(&Lake::new().with(huge), "huge/file-050000.txt");
}

#[test]
fn a_commit_of_ten_thousand_new_files() {
    let lake = Lake::new();
    let machine = lake.mounted();
    let tree = machine.mesh().join("sales/main");
    for dir in 0..100u64 {
        fs::create_dir(tree.join(format!("{dir:02}"))).unwrap();
        for file in 0..100u64 {
            fs::write(tree.join(format!("{dir:02}/{file:02}")), noise(dir * 100 + file, 4096)).unwrap();
        }
    }
    let spent = lake.cost(|| machine.meshfs(&["commit", "sales/main", "-m", "Ten thousand files"]));
    assert!(spent.puts() <= 12, "10,000 new files: {spent:?}");
}
