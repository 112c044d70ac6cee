//! An S3 server of our own, in this process: atomic conditional puts, requests and bytes counted by verb, latency and
//! faults on command. What it says over the wire is the `s3s` crate's work; what it keeps is a map under a lock.

mod bucket;
mod keys;
mod service;
mod wire;

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::time::Duration;

use meshfs::storage::settings::Environment;
use meshfs::storage::{self, Store, StoreSettings};
use meshfs::sys::clock::SystemClock;
use meshfs::telemetry::counters::{Counters, Counts, Verb};
use parking_lot::Mutex;
use s3s::service::S3ServiceBuilder;

use bucket::Buckets;
use keys::{KeyRing, Keys};

/// What happens to a request.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    /// It is answered with this status and code, and nothing is done.
    Answer(u16, &'static str),
    /// It is answered with 503 and asked to come back after so many seconds.
    ComeBack(u64),
    /// A listing is as it was before the newest object.
    LaggingList,
    /// One bit of the answer's body is another.
    WrongBytes,
    /// It is done, and the connection breaks before the answer.
    LostReply,
    /// The connection breaks before anything is done.
    Broken,
    /// It waits before it is done.
    Slow(Duration),
    /// Half of the answer's body comes, then the connection breaks.
    CutBody,
}

#[derive(Debug)]
struct Planned {
    verb: Option<Verb>,
    within: String,
    fault: Fault,
    left: usize,
    struck: usize,
}

/// Faults in turn, one at every third request that a client may send again.
#[derive(Debug, Default)]
struct Storm {
    faults: Vec<Fault>,
    requests: usize,
}

/// What the wire consults for each request.
#[derive(Debug, Default)]
struct Shared {
    clock: SystemClock,
    counters: Counters,
    planned: Mutex<Vec<Planned>>,
    storm: Mutex<Storm>,
    keys: Keys,
    latency: Mutex<Duration>,
    clock_offset_seconds: AtomicI64,
    away: AtomicBool,
    under_way: AtomicUsize,
    under_way_most: AtomicUsize,
}

/// The server; it ends when dropped.
pub struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
    buckets: Arc<Buckets>,
    runtime: Option<tokio::runtime::Runtime>,
}

impl Server {
    /// Starts on a free port of this machine.
    pub fn start() -> Server {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        listener.set_nonblocking(true).expect("a socket for tokio");
        let address = listener.local_addr().expect("the port that was given");
        let (shared, buckets) = (Arc::<Shared>::default(), Arc::<Buckets>::default());
        let mut service = S3ServiceBuilder::new(service::Service(buckets.clone()));
        service.set_auth(KeyRing(shared.clone()));
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("s3-server")
            .enable_all()
            .build()
            .expect("a runtime of its own");
        runtime.spawn(wire::serve(listener, service.build(), shared.clone()));
        Server { address, shared, buckets, runtime: Some(runtime) }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The store URL of `bucket`, which is made if it is not there.
    pub fn url(&self, bucket: &str) -> String {
        self.buckets.make(bucket);
        format!("s3://{bucket}")
    }

    /// What a process needs in its environment to use this server.
    pub fn environment(&self) -> Vec<(String, String)> {
        let (access_key, secret_key) = self.shared.keys.newest();
        [
            ("AWS_ENDPOINT_URL", self.endpoint().as_str()),
            ("AWS_ACCESS_KEY_ID", &access_key),
            ("AWS_SECRET_ACCESS_KEY", &secret_key),
            ("AWS_REGION", "us-east-1"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec()
    }

    /// Settings for a store of this process on this server.
    pub fn settings(&self) -> StoreSettings {
        StoreSettings { environment: Environment::from_iter(self.environment()), ..StoreSettings::new() }
    }

    /// The store in `bucket`, which is made if it is not there.
    pub fn store(&self, bucket: &str) -> Arc<dyn Store> {
        storage::open(&self.url(bucket), &self.settings()).expect("a store on the test server")
    }

    /// Requests so far, and the bytes that clients sent and received.
    pub fn counts(&self) -> Counts {
        self.shared.counters.read()
    }

    /// The most requests that were under way at once.
    pub fn under_way_most(&self) -> usize {
        self.shared.under_way_most.load(Ordering::SeqCst)
    }

    /// Strikes the next `times` requests of `verb` (none: of any) whose path and query contain `within`.
    pub fn plan(&self, verb: Option<Verb>, within: &str, fault: Fault, times: usize) {
        self.shared.planned.lock().push(Planned { verb, within: within.to_owned(), fault, left: times, struck: 0 });
    }

    /// How many requests were struck by what is planned for this verb and text.
    pub fn struck(&self, verb: Option<Verb>, within: &str) -> usize {
        let planned = self.shared.planned.lock();
        planned.iter().filter(|it| it.verb == verb && it.within == within).map(|it| it.struck).sum()
    }

    /// Strikes every third request that a client may send again with the next of these, round and round.
    pub fn storm(&self, faults: &[Fault]) {
        *self.shared.storm.lock() = Storm { faults: faults.to_vec(), requests: 0 };
    }

    /// Forgets what is planned, and ends a storm.
    pub fn calm(&self) {
        self.shared.planned.lock().clear();
        self.shared.storm.lock().faults.clear();
    }

    /// Lets the keys that were good so far expire; gives the access key and the secret key that are good from now on.
    pub fn renew_keys(&self) -> (String, String) {
        self.shared.keys.renew()
    }

    /// Where this server hands out the keys that are good, as a container's or a pod's credentials are.
    pub fn keys_url(&self) -> String {
        format!("{}{}", self.endpoint(), keys::PATH)
    }

    /// How often they were handed out.
    pub fn keys_handed_out(&self) -> usize {
        self.shared.keys.handed_out()
    }

    /// Lets every request take this much longer.
    pub fn set_latency(&self, latency: Duration) {
        *self.shared.latency.lock() = latency;
    }

    /// Lets the server's Date differ from the machine's clock.
    pub fn set_clock_offset_seconds(&self, seconds: i64) {
        self.shared.clock_offset_seconds.store(seconds, Ordering::SeqCst);
    }

    /// Breaks every connection at once while `away`.
    pub fn set_away(&self, away: bool) {
        self.shared.away.store(away, Ordering::SeqCst);
    }

    /// Lets the bucket have a rule that expires objects after `days`.
    pub fn set_expiry_days(&self, bucket: &str, days: i32) {
        self.buckets.set_expiry_days(bucket, days);
    }

    /// Keys and lengths of what `bucket` holds, in key order.
    pub fn objects(&self, bucket: &str) -> Vec<(String, usize)> {
        self.buckets.objects(bucket)
    }

    /// An object's bytes.
    pub fn object(&self, bucket: &str, key: &str) -> Option<Vec<u8>> {
        self.buckets.bytes(bucket, key)
    }

    /// Changes an object behind everybody's back.
    pub fn edit(&self, bucket: &str, key: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let mut bytes = self.object(bucket, key).expect("an object to change");
        change(&mut bytes);
        self.buckets.overwrite(bucket, key, bytes.into());
    }

    /// Removes an object behind everybody's back.
    pub fn remove(&self, bucket: &str, key: &str) {
        self.buckets.remove(bucket, key);
    }

    /// Multipart uploads that were begun and neither completed nor aborted.
    pub fn unfinished_uploads(&self) -> usize {
        self.buckets.unfinished_uploads()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Tests may drop it inside their own runtime, where waiting is not allowed.
            runtime.shutdown_background();
        }
    }
}
