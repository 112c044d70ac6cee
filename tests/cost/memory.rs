//! What the daemon holds in memory at most.

use std::fs::{self, File};
use std::io::{Read, Write};

use super::common::machine::Machine;
use super::lake::{Lake, many_directories, noise};

const RESIDENT_MIB_MAX: u64 = 300;

fn peak_resident_mib(machine: &Machine) -> u64 {
    let daemons = machine.daemons();
    assert_eq!(daemons.len(), 1, "one daemon serves the mount");
    let status = fs::read_to_string(format!("/proc/{}/status", daemons[0])).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
}

/// 100,000 files walked, then 2 GiB copied in, committed, and read back through an empty cache.
#[test]
fn the_daemon_stays_small_whatever_passes_through_it() {
    const PIECE: usize = 4 << 20;
    const PIECES: u64 = 512;
    let lake = Lake::new().with(many_directories());
    let machine = lake.mounted();
    let tree = machine.mesh().join("sales/main");
    let found = machine.run(&tree, "find", &[".", "-type", "f", "-size", "+0"]);
    assert_eq!(found.lines().count(), 100_000);

    let mut file = File::create(tree.join("large")).unwrap();
    for piece in 0..PIECES {
        file.write_all(&noise(piece, PIECE)).unwrap();
    }
    drop(file);
    machine.meshfs(&["commit", "sales/main", "-m", "Two gibibytes"]);
    let written = peak_resident_mib(&machine);
    assert!(written < RESIDENT_MIB_MAX, "{written} MiB after walking and committing");

    machine.unmount();
    machine.drop_cache();
    machine.mount(&["--poll", "3600"]);
    let mut file = File::open(tree.join("large")).unwrap();
    let mut bytes = vec![0; PIECE];
    for piece in 0..PIECES {
        file.read_exact(&mut bytes).unwrap();
        assert!(bytes == noise(piece, PIECE), "piece {piece} differs");
    }
    let read = peak_resident_mib(&machine);
    assert!(read < RESIDENT_MIB_MAX, "{read} MiB after reading back");
}
