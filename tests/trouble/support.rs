//! Waiting for what must come, and no longer; bytes to store.

use std::process::{Child, ExitStatus};
use std::time::Duration;

/// How long a test waits for what must come: far more than it takes, far less than for ever.
const PATIENCE: Duration = Duration::from_secs(180);

/// The exit of a process, which has to come.
#[track_caller]
pub fn ended(what: &str, child: &mut Child) -> ExitStatus {
    let began = std::time::Instant::now();
    loop {
        if let Some(status) = child.try_wait().expect("a child of this process") {
            return status;
        }
        if began.elapsed() > PATIENCE {
            child.kill().expect("a child of this process");
            panic!("not within {PATIENCE:?}: {what}");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Waits until `done`, and fails with `what` when that takes too long.
#[track_caller]
pub fn eventually(what: &str, mut done: impl FnMut() -> bool) {
    let began = std::time::Instant::now();
    while !done() {
        assert!(began.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Bytes that do not compress, other ones for each seed.
pub fn noise(seed: usize, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    let random = meshfs::sys::random::SeededRandom::new(seed as u64);
    meshfs::sys::random::Random::fill(&random, &mut bytes);
    bytes
}
