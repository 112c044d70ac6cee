//! The daemon is killed in the middle of whatever it does, thousands of times, on the machine's own kernel: every call
//! that returned is there afterwards, and of every other all or nothing. Which bytes of an unfinished write are there
//! is not said, as on any filesystem, but no others ever are.
//!
//! `MESHFS_CRASH_KILLS` is how many times (20 unless set; 500 and more on demand: `scripts/test-crash`),
//! `MESHFS_CRASH_SEED` gives back the seed that a failure printed. A failure found becomes a test in
//! `regressions.rs`.

// Real time passes in these tests: kills come when they come.
#![allow(clippy::disallowed_methods)]

#[path = "../common/mod.rs"]
mod common;

mod commits;
mod guard;
mod life;
mod seen;
mod system;

use std::panic::{AssertUnwindSafe, catch_unwind};

use life::Tester;
use meshfs::sys::random::{OsRandom, Random};

/// Kills unless `MESHFS_CRASH_KILLS` says otherwise.
const KILLS: u64 = 20;

/// Kills of one mesh; then another is made, so that none grows old.
const KILLS_OF_ONE_MESH: u64 = 20;

fn number_in(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().expect("a whole number"))
}

/// Proves F6.
#[test]
fn whatever_returned_survives_the_daemon_and_the_rest_is_all_or_nothing() {
    let kills = number_in("MESHFS_CRASH_KILLS").unwrap_or(KILLS);
    let given = number_in("MESHFS_CRASH_SEED");
    for _ in 0..kills.div_ceil(KILLS_OF_ONE_MESH) {
        let seed = given.unwrap_or_else(|| OsRandom.number());
        let run = || {
            let mut tester = Tester::new(seed);
            for _ in 0..KILLS_OF_ONE_MESH.min(kills) {
                tester.live_and_die();
            }
            tester.check_log();
        };
        if catch_unwind(AssertUnwindSafe(run)).is_err() {
            panic!("again with MESHFS_CRASH_SEED={seed}");
        }
    }
}
