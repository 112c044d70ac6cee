//! Requests to a store by verb, and the bytes that went either way.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

/// Kinds of request that a store bills and limits apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Verb {
    /// A whole object or a range of it.
    Get,
    /// An object's size.
    Head,
    /// A whole object written.
    Put,
    /// A whole object written if absent.
    Create,
    /// One page of a listing.
    List,
    Delete,
    /// The start of a multipart upload.
    Initiate,
    /// One part of a multipart upload.
    Part,
    /// The end of a multipart upload.
    Complete,
    /// A multipart upload given up.
    Abort,
}

impl Verb {
    pub const ALL: [Verb; 10] = [
        Verb::Get,
        Verb::Head,
        Verb::Put,
        Verb::Create,
        Verb::List,
        Verb::Delete,
        Verb::Initiate,
        Verb::Part,
        Verb::Complete,
        Verb::Abort,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Verb::Get => "get",
            Verb::Head => "head",
            Verb::Put => "put",
            Verb::Create => "create",
            Verb::List => "list",
            Verb::Delete => "delete",
            Verb::Initiate => "initiate",
            Verb::Part => "part",
            Verb::Complete => "complete",
            Verb::Abort => "abort",
        }
    }
}

/// Running totals; shared by all who use one store.
#[derive(Debug, Default)]
pub struct Counters {
    requests: [AtomicU64; Verb::ALL.len()],
    sent_bytes: AtomicU64,
    received_bytes: AtomicU64,
}

impl Counters {
    /// A request that is about to be sent with a body of `bytes`.
    pub fn sent(&self, verb: Verb, bytes: usize) {
        self.requests[verb as usize].fetch_add(1, Ordering::Relaxed);
        self.sent_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// The body of an answer.
    pub fn received(&self, bytes: usize) {
        self.received_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub fn read(&self) -> Counts {
        Counts {
            requests: self.requests.each_ref().map(|count| count.load(Ordering::Relaxed)),
            sent_bytes: self.sent_bytes.load(Ordering::Relaxed),
            received_bytes: self.received_bytes.load(Ordering::Relaxed),
        }
    }
}

/// Totals at one instant, or between two.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    requests: [u64; Verb::ALL.len()],
    pub sent_bytes: u64,
    pub received_bytes: u64,
}

impl Counts {
    pub fn of(&self, verb: Verb) -> u64 {
        self.requests[verb as usize]
    }

    /// Requests of every kind.
    pub fn total(&self) -> u64 {
        self.requests.iter().sum()
    }

    /// Requests that write: puts, creates, and each request of a multipart upload.
    pub fn puts(&self) -> u64 {
        [Verb::Put, Verb::Create, Verb::Initiate, Verb::Part, Verb::Complete].iter().map(|&verb| self.of(verb)).sum()
    }

    /// Requests by the name of their verb, those that never happened left out.
    pub fn by_name(&self) -> BTreeMap<&'static str, u64> {
        Verb::ALL.iter().map(|&verb| (verb.name(), self.of(verb))).filter(|&(_, count)| count > 0).collect()
    }
}

impl std::ops::Sub for Counts {
    type Output = Counts;

    /// What happened since `earlier`.
    fn sub(self, earlier: Counts) -> Counts {
        let mut requests = self.requests;
        for (count, before) in requests.iter_mut().zip(earlier.requests) {
            *count -= before;
        }
        Counts {
            requests,
            sent_bytes: self.sent_bytes - earlier.sent_bytes,
            received_bytes: self.received_bytes - earlier.received_bytes,
        }
    }
}

impl std::fmt::Debug for Counts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}, {} B sent, {} B received", self.by_name(), self.sent_bytes, self.received_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_verb_has_its_own_place_and_name() {
        for (at, verb) in Verb::ALL.into_iter().enumerate() {
            assert_eq!(verb as usize, at);
        }
        let names: std::collections::BTreeSet<_> = Verb::ALL.iter().map(|verb| verb.name()).collect();
        assert_eq!(names.len(), Verb::ALL.len());
    }

    #[test]
    fn the_difference_of_two_readings_is_what_happened_between() {
        let counters = Counters::default();
        counters.sent(Verb::Put, 10);
        let before = counters.read();
        counters.sent(Verb::Part, 5);
        counters.sent(Verb::Get, 0);
        counters.received(7);
        let between = counters.read() - before;
        assert_eq!((between.total(), between.puts(), between.of(Verb::Put)), (2, 1, 0));
        assert_eq!(format!("{between:?}"), r#"{"get": 1, "part": 1}, 5 B sent, 7 B received"#);
    }
}
