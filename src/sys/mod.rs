//! The machine: clock, randomness, disk, locks, processes and spawning. Everything above asks here, so that a test can hand in a
//! clock and a seed and replay a run.

pub mod clock;
pub mod disk;
pub mod heap;
pub mod lock;
pub mod mapping;
pub mod mark;
pub mod open_files;
pub mod process;
pub mod random;
pub mod sparse;
pub mod task;

use std::sync::Arc;

use clock::{Clock, SystemClock};
use random::{OsRandom, Random};

/// The sources of time and chance that one process, or one simulated machine, lives on.
#[derive(Clone, Debug)]
pub struct Sys {
    pub clock: Arc<dyn Clock>,
    pub random: Arc<dyn Random>,
    /// Tells one start of the machine from another: what was not synced is in memory until the next.
    pub boot: Arc<str>,
}

impl Sys {
    /// The machine's own clock and randomness.
    pub fn real() -> Sys {
        Sys { clock: Arc::new(SystemClock::new()), random: Arc::new(OsRandom), boot: mark::boot().into() }
    }

    /// A clock that moves only when told or slept on, starting at `now`, and numbers that follow from `seed`; always the
    /// same boot.
    pub fn simulated(now: i64, seed: u64) -> (Sys, Arc<clock::SteppedClock>) {
        let clock = Arc::new(clock::SteppedClock::new(now));
        let random = Arc::new(random::SeededRandom::new(seed));
        (Sys { clock: clock.clone(), random, boot: "simulated".into() }, clock)
    }
}
