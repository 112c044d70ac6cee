//! Looking after a mesh: collecting garbage, finding damage.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::transcript::Shell;

/// Files below a folder of the store whose path has `part` in it.
fn stored(folder: &Path, part: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for item in fs::read_dir(folder).unwrap() {
        let path = item.unwrap().path();
        if path.is_dir() {
            found.extend(stored(&path, part));
        } else if path.to_str().unwrap().contains(part) {
            found.push(path);
        }
    }
    found
}

/// A dry run tells what a run then condemns; the day after that, it goes.
#[test]
fn what_a_deleted_branch_had_is_condemned() {
    let mut shell = Shell::with_domain();
    fs::write(shell.folder().join("big"), "dead weight\n".repeat(5_000)).unwrap();
    fs::create_dir(shell.folder().join(".mesh")).unwrap();
    fs::write(shell.folder().join(".mesh/domain.toml"), "[retention]\nunreferenced_days = 0\n").unwrap();
    shell.call("cp ./.mesh sales/main/ -m Settings");
    shell.call("branch create sales/exp").call("cp ./big sales/exp/ -m Big").call("branch delete sales/exp");
    shell.transcript();
    for pack in stored(&shell.store(), "/packs/") {
        let old = SystemTime::now() - Duration::from_secs(8 * 24 * 3600);
        File::options().write(true).open(pack).unwrap().set_modified(old).unwrap();
    }
    let text = shell.call("gc --dry-run").transcript();
    assert!(text.contains("sales: would condemn 1 packs"), "{text}");
    assert!(stored(&shell.store(), "/gc/").is_empty());
    let text = shell.call("gc sales").transcript();
    assert!(text.contains("sales: condemned 1 packs") && text.contains("[TIME] deletes what was condemned"), "{text}");
    let text = shell.call("gc --json").transcript();
    let json = text.lines().skip(1).collect::<String>();
    let reports: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(reports[0]["domain"], "sales");
    assert_eq!(reports[0]["pending"]["packs"], 1, "{text}");
    assert_eq!(reports[0]["deleted"]["packs"], 0, "{text}");
    let text = shell.call("gc nowhere").call("fsck sales/main --read-data").transcript();
    assert_eq!(text.matches("[exit code 1]").count(), 1, "{text}");
}

/// All of a domain is re-hashed; what is damaged is named with its path and branch, and comes back from a copy.
#[test]
fn damage_is_found_and_repaired() {
    let mut shell = Shell::with_domain();
    let noise: String = (0..60_000u64).map(|i| char::from(33 + (i.wrapping_mul(i * 31) >> 7) as u8 % 90)).collect();
    fs::write(shell.folder().join("noise"), &noise).unwrap();
    shell.call("cp ./noise sales/main/ -m Noise").transcript();
    let packs = stored(&shell.store(), "/packs/");
    let largest = packs.iter().max_by_key(|pack| fs::metadata(pack).unwrap().len()).unwrap();
    let copy = shell.folder().join("copy").join(largest.strip_prefix(shell.store()).unwrap());
    fs::create_dir_all(copy.parent().unwrap()).unwrap();
    fs::copy(largest, &copy).unwrap();
    let mut bytes = fs::read(largest).unwrap();
    bytes[1_000] ^= 1;
    fs::write(largest, bytes).unwrap();
    let text = shell.call("fsck sales --all").transcript();
    assert!(text.contains("damaged noise in commit [ID], of main:") && text.contains("[exit code 1]"), "{text}");
    let text = shell.call("fsck sales --all --json").transcript();
    assert!(text.contains(r#""path": "noise""#) && text.contains("[exit code 1]"), "{text}");
    let text = shell.call("fsck sales --all --repair-from ./copy").call("fsck sales --all --sample 100").transcript();
    assert!(text.contains("repaired pack [UID]") && !text.contains("exit code"), "{text}");
}
