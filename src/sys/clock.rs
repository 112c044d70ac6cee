//! Time: instants are nanoseconds since the Unix epoch, spans are `Duration`.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use futures::future::{BoxFuture, Either, select};

/// Tells the time and waits.
pub trait Clock: std::fmt::Debug + Send + Sync {
    /// Nanoseconds since 1970-01-01T00:00:00Z. May jump when the machine's clock is set.
    fn now(&self) -> i64;

    /// Time since an arbitrary fixed origin; never goes back. Deadlines are taken on this.
    fn elapsed(&self) -> Duration;

    fn sleep(&self, duration: Duration) -> BoxFuture<'_, ()>;
}

/// The machine's clock.
#[derive(Debug)]
pub struct SystemClock {
    origin: Instant,
}

#[expect(clippy::disallowed_methods, reason = "the one place that asks the machine for the time")]
impl SystemClock {
    pub fn new() -> SystemClock {
        SystemClock { origin: Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> SystemClock {
        SystemClock::new()
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place that asks the machine for the time")]
impl Clock for SystemClock {
    fn now(&self) -> i64 {
        nanos_since_epoch(SystemTime::now())
    }

    fn elapsed(&self) -> Duration {
        self.origin.elapsed()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'_, ()> {
        Box::pin(tokio::time::sleep(duration))
    }
}

/// Nanoseconds of `time` since the epoch, negative before it, held within what an `i64` counts.
pub fn nanos_since_epoch(time: SystemTime) -> i64 {
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_nanos()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_nanos()).map_or(i64::MIN, |nanos| -nanos),
    }
}

/// A clock for simulations: stands still until told to advance; who sleeps moves it at once.
#[derive(Debug)]
pub struct SteppedClock {
    origin: i64,
    now: AtomicI64,
}

impl SteppedClock {
    pub fn new(now: i64) -> SteppedClock {
        SteppedClock { origin: now, now: AtomicI64::new(now) }
    }

    pub fn advance(&self, duration: Duration) {
        let nanos = i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX);
        self.now.fetch_add(nanos, Ordering::SeqCst);
    }
}

impl Clock for SteppedClock {
    fn now(&self) -> i64 {
        self.now.load(Ordering::SeqCst)
    }

    fn elapsed(&self) -> Duration {
        Duration::from_nanos(u64::try_from(self.now() - self.origin).unwrap_or(0))
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            self.advance(duration);
            tokio::task::yield_now().await;
        })
    }
}

/// What `work` gives, or none when `limit` passes first; the work is dropped then.
pub async fn within<T>(clock: &dyn Clock, limit: Duration, work: impl Future<Output = T>) -> Option<T> {
    let work = std::pin::pin!(work);
    match select(work, clock.sleep(limit)).await {
        Either::Left((done, _)) => Some(done),
        Either::Right(((), _)) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_before_the_epoch_are_negative() {
        assert_eq!(nanos_since_epoch(UNIX_EPOCH), 0);
        assert_eq!(nanos_since_epoch(UNIX_EPOCH - Duration::from_nanos(7)), -7);
        assert_eq!(nanos_since_epoch(UNIX_EPOCH + Duration::from_secs(1 << 40)), i64::MAX);
    }

    #[tokio::test]
    async fn a_stepped_clock_moves_by_what_is_slept() {
        let clock = SteppedClock::new(-5);
        clock.sleep(Duration::from_nanos(12)).await;
        assert_eq!(clock.now(), 7);
        assert_eq!(clock.elapsed(), Duration::from_nanos(12));
    }

    #[tokio::test]
    async fn work_that_takes_longer_than_its_limit_is_given_up() {
        let clock = SystemClock::new();
        assert_eq!(within(&clock, Duration::from_millis(1), std::future::pending::<u8>()).await, None);
        assert_eq!(within(&clock, Duration::from_secs(60), std::future::ready(3)).await, Some(3));
    }
}
