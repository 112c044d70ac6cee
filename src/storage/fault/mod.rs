//! Faults on demand: what networks and stores do to requests, between us and a real store, for tests and simulations.

mod store;

pub use store::FaultStore;

use std::time::Duration;

use crate::telemetry::counters::Verb;

/// What happens to one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The store acts, and nobody hears of it.
    LostReply,
    /// The store turns the request away with a 503 before it acts.
    Busy,
    /// The same with a 429, and with the time after which to come back.
    Throttled(Duration),
    /// The store breaks down over the request, a 500, before or after it acted: here before.
    Broken,
    /// The request never arrives, and the sender gives up waiting.
    Timeout,
    /// The request arrives late, and succeeds.
    Slow(Duration),
    /// A write is held up in the network: its sender gives up, and it lands at [`FaultStore::release`].
    Delayed,
    /// A create is told that the key is taken although nothing was written, as S3's 409 looks to `object_store`.
    FalseConflict,
    /// The answer breaks off.
    CutBody,
    /// One bit of what was read is wrong.
    WrongBytes,
    /// A listing does not have the newest objects yet.
    LaggingList,
    /// Requests of this kind are not allowed.
    Denied,
    /// The credentials are no longer good, and nobody has others.
    Expired,
}

impl Fault {
    /// Whether the request never reaches the store.
    fn turns_away(self) -> bool {
        match self {
            Fault::Busy | Fault::Throttled(_) | Fault::Broken | Fault::Timeout | Fault::CutBody => true,
            Fault::Denied | Fault::Expired => true,
            Fault::LostReply | Fault::Slow(_) | Fault::Delayed | Fault::FalseConflict => false,
            Fault::WrongBytes | Fault::LaggingList => false,
        }
    }
}

/// How often each fault strikes, in requests of a thousand.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rates {
    pub lost_reply: u64,
    pub busy: u64,
    pub timeout: u64,
    pub delayed: u64,
    pub cut_body: u64,
    pub wrong_bytes: u64,
    pub lagging_list: u64,
}

impl Rates {
    /// The fault that a draw of 0..1000 means for `verb`, each in its own stretch.
    fn fault(&self, verb: Verb, draw: u64) -> Option<Fault> {
        let reads = verb == Verb::Get;
        let held = matches!(verb, Verb::Put | Verb::Create);
        let table = [
            (self.lost_reply, Fault::LostReply, true),
            (self.busy, Fault::Busy, true),
            (self.timeout, Fault::Timeout, true),
            (self.delayed, Fault::Delayed, held),
            (self.cut_body, Fault::CutBody, reads),
            (self.wrong_bytes, Fault::WrongBytes, reads),
            (self.lagging_list, Fault::LaggingList, verb == Verb::List),
        ];
        let mut end = 0;
        table.into_iter().find_map(|(rate, fault, applies)| {
            let stretch = end..end + rate;
            end += rate;
            (applies && stretch.contains(&draw)).then_some(fault)
        })
    }
}
