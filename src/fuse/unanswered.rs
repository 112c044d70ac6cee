//! The requests that the kernel waits for: who asked what, and since when.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;

/// How long a request may take before something must be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// As long as anything but a disk may take.
    Prompt,
    /// As long as a disk may take that is only slow: it syncs, allocates or copies much.
    Disk,
}

/// How many times longer a disk may take.
const DISK_FACTOR: u64 = 10;

/// All of one mount. Time is counted in looks: while nobody looks (the machine sleeps, the process is stopped), no time
/// passes, so that only a process which runs and does not answer is late.
#[derive(Debug, Default)]
pub struct Unanswered(Mutex<Table>);

#[derive(Debug, Default)]
struct Table {
    looks: u64,
    next: u64,
    requests: BTreeMap<u64, Request>,
}

#[derive(Clone, Copy, Debug)]
struct Request {
    name: &'static str,
    pid: u32,
    pace: Pace,
    since_look: u64,
}

/// One request; answered when dropped.
#[derive(Debug)]
pub struct Ticket {
    of: Arc<Unanswered>,
    number: u64,
}

impl Unanswered {
    pub fn begin(self: &Arc<Self>, name: &'static str, pid: u32, pace: Pace) -> Ticket {
        let mut table = self.0.lock();
        let (number, since_look) = (table.next, table.looks);
        table.next += 1;
        table.requests.insert(number, Request { name, pid, pace, since_look });
        Ticket { of: self.clone(), number }
    }

    /// Looks once more. When a request has been there for more than `looks_max` looks, what all are: name, process, and
    /// looks since.
    pub fn look(&self, looks_max: u64) -> Option<Vec<(&'static str, u32, u64)>> {
        let mut table = self.0.lock();
        table.looks += 1;
        let looks = table.looks;
        let is_late = |request: &Request| {
            let factor = if request.pace == Pace::Disk { DISK_FACTOR } else { 1 };
            looks - request.since_look > looks_max * factor
        };
        let told = |request: &Request| (request.name, request.pid, looks - request.since_look);
        table.requests.values().any(is_late).then(|| table.requests.values().map(told).collect())
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.of.0.lock().requests.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_late_after_its_looks_and_no_longer_when_answered() {
        let unanswered = Arc::new(Unanswered::default());
        let read = unanswered.begin("read", 7, Pace::Prompt);
        assert_eq!((unanswered.look(2), unanswered.look(2)), (None, None));
        let open = unanswered.begin("open", 8, Pace::Prompt);
        assert_eq!(unanswered.look(2), Some(vec![("read", 7, 3), ("open", 8, 1)]));
        drop(read);
        assert_eq!(unanswered.look(2), None);
        drop(open);
        assert_eq!(unanswered.look(0), None);
    }

    #[test]
    fn many_requests_one_after_the_other_are_never_late() {
        let unanswered = Arc::new(Unanswered::default());
        for _ in 0..100 {
            let _request = unanswered.begin("read", 7, Pace::Prompt);
            assert_eq!(unanswered.look(1), None);
        }
    }

    #[test]
    fn a_slow_disk_has_more_time() {
        let unanswered = Arc::new(Unanswered::default());
        let _sync = unanswered.begin("fsync", 7, Pace::Disk);
        let late = (0..100).position(|_| unanswered.look(2).is_some());
        assert_eq!(late, Some(20));
    }
}
