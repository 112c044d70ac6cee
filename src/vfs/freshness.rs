//! How old what is known of other machines may be.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// When something was last looked at and last used, on a clock that never goes back.
#[derive(Debug)]
pub struct Freshness {
    /// Milliseconds, plus 1; 0 is never.
    looked: AtomicU64,
    /// Likewise.
    used: AtomicU64,
    /// The last look brought nothing: whoever asks is not to wait for the next.
    away: AtomicBool,
}

fn millis(at: Duration) -> u64 {
    u64::try_from(at.as_millis()).unwrap_or(u64::MAX - 1) + 1
}

impl Freshness {
    pub fn never() -> Freshness {
        Freshness { looked: AtomicU64::new(0), used: AtomicU64::new(0), away: AtomicBool::new(false) }
    }

    /// A look succeeded.
    pub fn looked(&self, now: Duration) {
        self.looked.fetch_max(millis(now), Ordering::Relaxed);
        self.away.store(false, Ordering::Relaxed);
    }

    /// A look failed, or took too long.
    pub fn failed(&self) {
        self.away.store(true, Ordering::Relaxed);
    }

    /// Did the last look fail?
    pub fn is_away(&self) -> bool {
        self.away.load(Ordering::Relaxed)
    }

    pub fn used(&self, now: Duration) {
        self.used.fetch_max(millis(now), Ordering::Relaxed);
    }

    /// Was it looked at within `age` before `now`?
    pub fn is_fresh(&self, now: Duration, age: Duration) -> bool {
        within(self.looked.load(Ordering::Relaxed), now, age)
    }

    /// Was it used within `age` before `now`?
    pub fn is_in_use(&self, now: Duration, age: Duration) -> bool {
        within(self.used.load(Ordering::Relaxed), now, age)
    }
}

fn within(then: u64, now: Duration, age: Duration) -> bool {
    then != 0 && millis(now).saturating_sub(then) <= millis(age)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_looked_at_is_not_fresh_and_looking_makes_it_so_for_a_while() {
        let (second, minute) = (Duration::from_secs(1), Duration::from_secs(60));
        let freshness = Freshness::never();
        assert!(!freshness.is_fresh(Duration::ZERO, minute));
        freshness.looked(minute);
        assert!(freshness.is_fresh(minute + second, second * 2));
        assert!(!freshness.is_fresh(minute + second * 5, second * 2));
        assert!(!freshness.is_in_use(minute, minute));
        freshness.failed();
        assert!(freshness.is_away());
        freshness.looked(minute);
        assert!(!freshness.is_away());
    }
}
