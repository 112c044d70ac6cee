//! Our end of every HTTP request: time limits that a slow but moving transfer survives, the store's clock from the
//! Date of each answer, and a note of how each exchange ended.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::future::BoxFuture;
use http_body::{Body, Frame, SizeHint};
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpResponseBody, HttpService,
    ReqwestConnector,
};
use parking_lot::Mutex;

use super::super::store::OBJECT_BYTES_MAX;
use super::exchange::{Answer, Exchange, Peer, Seen, code_and_message, root_causes};
use crate::sys::clock::{Clock, SystemClock, within};

/// To reach a host: a few lost packets, not an absent host.
pub const CONNECT: Duration = Duration::from_secs(5);

/// Between two signs of life: a store that is working on a request has answered long before.
const SILENCE: Duration = Duration::from_secs(20);

/// The slowest link that is waited for. Bodies get this much time on top, so that slow is not taken for dead.
const SLOWEST_BYTES_PER_SECOND: u64 = 32 << 10;

/// An error's body is read up to here: codes and messages are short, and a stranger's answer need not be.
const ERROR_BODY_BYTES_MAX: u64 = 64 << 10;

/// The store's clock against ours, from the newest answer.
#[derive(Debug, Default)]
pub struct Skew(Mutex<Option<i64>>);

impl Skew {
    pub fn read(&self) -> Option<i64> {
        *self.0.lock()
    }

    fn update(&self, response: &HttpResponse, now: i64) {
        let date = response.headers().get("date").and_then(|date| date.to_str().ok());
        if let Some(theirs) = date.and_then(instant_of) {
            *self.0.lock() = Some(theirs.saturating_sub(now));
        }
    }
}

/// Nanoseconds since the epoch of an HTTP date (`Sun, 06 Nov 1994 08:49:37 GMT`).
fn instant_of(date: &str) -> Option<i64> {
    let zoned = jiff::fmt::rfc2822::parse(date).ok()?;
    i64::try_from(zoned.timestamp().as_nanosecond()).ok()
}

/// Makes the HTTP clients of one store.
#[derive(Clone, Debug)]
pub struct Connector(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// What the store's clock is compared with.
    clock: Arc<dyn Clock>,
    /// What transfers are timed by: a network takes real time, also in a simulation.
    timer: Arc<dyn Clock>,
    skew: Arc<Skew>,
    /// How many clients have been made. The builders of `object_store` make those for credentials first and the
    /// store's own last, which is how the two are told apart.
    clients: AtomicUsize,
}

impl Connector {
    pub fn new(clock: Arc<dyn Clock>) -> Connector {
        let timer = Arc::new(SystemClock::new());
        Connector(Arc::new(Shared { clock, timer, skew: Arc::default(), clients: AtomicUsize::new(0) }))
    }

    /// One for another client of the same store: what is known of its clock stays.
    pub fn another(&self) -> Connector {
        let Shared { clock, timer, skew, .. } = &*self.0;
        let (clock, timer, skew) = (clock.clone(), timer.clone(), skew.clone());
        Connector(Arc::new(Shared { clock, timer, skew, clients: AtomicUsize::new(0) }))
    }

    pub fn skew(&self) -> Option<i64> {
        self.0.skew.read()
    }
}

impl HttpConnector for Connector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let client = ReqwestConnector::default().connect(options)?;
        let number = self.0.clients.fetch_add(1, Ordering::SeqCst) + 1;
        Ok(HttpClient::new(Watched { client, number, shared: self.0.clone() }))
    }
}

#[derive(Debug)]
struct Watched {
    client: HttpClient,
    number: usize,
    shared: Arc<Shared>,
}

#[async_trait]
impl HttpService for Watched {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let shared = &self.shared;
        let is_store = self.number == shared.clients.load(Ordering::SeqCst);
        let note = Note { peer: if is_store { Peer::Store } else { Peer::Credentials }, exchange: Exchange::current() };
        let most = asked_for(&request).unwrap_or(OBJECT_BYTES_MAX);
        let limit = transfer_limit(request.body().content_length() as u64);
        let answer = within(&*shared.timer, limit, self.client.execute(request)).await;
        let response = note.failure_of(answer.unwrap_or_else(|| Err(silent(limit))))?;
        if is_store {
            shared.skew.update(&response, shared.clock.now());
        }
        let (status, retry_after) = (response.status().as_u16(), retry_after(&response));
        let (parts, body) = response.into_parts();
        let most = if parts.status.is_success() { most } else { ERROR_BODY_BYTES_MAX };
        let body = TimedBody::new(body, most, shared.timer.clone(), note.clone());
        if parts.status.is_success() || parts.status.is_informational() {
            note.answered(Answer { status, ..Answer::default() });
            return Ok(HttpResponse::from_parts(parts, HttpResponseBody::new(body)));
        }
        let length = Body::size_hint(&body).lower();
        let bytes =
            if length > ERROR_BODY_BYTES_MAX { Bytes::new() } else { HttpResponseBody::new(body).bytes().await? };
        let (code, message) = code_and_message(&bytes);
        note.answered(Answer { status, code, message, retry_after });
        Ok(HttpResponse::from_parts(parts, bytes.into()))
    }
}

/// Bytes that a request asks for, when it asks for a range (`bytes=0-99`).
fn asked_for(request: &HttpRequest) -> Option<u64> {
    let (from, to) = request.headers().get("range")?.to_str().ok()?.strip_prefix("bytes=")?.split_once('-')?;
    let (from, to) = (from.parse::<u64>().ok()?, to.parse::<u64>().ok()?);
    to.checked_sub(from)?.checked_add(1)
}

/// How long a transfer of `bytes` may take before it counts as dead.
fn transfer_limit(bytes: u64) -> Duration {
    SILENCE + Duration::from_secs(bytes / SLOWEST_BYTES_PER_SECOND)
}

/// When an answer asks to come back; the form with a date is for pages that come back tomorrow.
fn retry_after(response: &HttpResponse) -> Option<Duration> {
    let seconds = response.headers().get("retry-after")?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

fn silent(limit: Duration) -> HttpError {
    let reason = format!("no answer within {} s", limit.as_secs());
    HttpError::new(HttpErrorKind::Timeout, std::io::Error::new(std::io::ErrorKind::TimedOut, reason))
}

/// Writes down how an exchange ended, for the call that it belongs to.
#[derive(Clone, Debug)]
struct Note {
    peer: Peer,
    exchange: Option<Exchange>,
}

impl Note {
    fn answered(&self, answer: Answer) {
        if let Some(exchange) = &self.exchange {
            exchange.set(Seen::Answered { peer: self.peer, answer });
        }
    }

    fn failure_of<T>(&self, result: Result<T, HttpError>) -> Result<T, HttpError> {
        if let (Some(exchange), Err(error)) = (&self.exchange, &result) {
            exchange.set(Seen::Failed { peer: self.peer, kind: error.kind(), reason: root_causes(error) });
        }
        result
    }
}

/// The body of an answer, given up when it stands still or crawls, or does not end where it should.
struct TimedBody {
    inner: HttpResponseBody,
    /// Bytes that may still come.
    left: u64,
    timer: Arc<dyn Clock>,
    note: Note,
    /// When the whole body has to be here, on the timer's `elapsed`.
    end: Duration,
    /// Runs while nothing arrives. In a lock only because a body has to be `Sync`.
    silence: std::sync::Mutex<Option<BoxFuture<'static, ()>>>,
}

impl TimedBody {
    fn new(inner: HttpResponseBody, most: u64, timer: Arc<dyn Clock>, note: Note) -> TimedBody {
        let end = timer.elapsed() + transfer_limit(inner.size_hint().lower().min(most));
        TimedBody { inner, left: most, timer, note, end, silence: std::sync::Mutex::new(None) }
    }
}

impl Body for TimedBody {
    type Data = Bytes;
    type Error = HttpError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, HttpError>>> {
        let this = &mut *self;
        let silence = this.silence.get_mut().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Poll::Ready(frame) = Pin::new(&mut this.inner).poll_frame(cx) {
            *silence = None;
            let counted = frame.map(|frame| frame.and_then(|frame| counted(frame, &mut this.left)));
            return Poll::Ready(counted.map(|frame| this.note.failure_of(frame)));
        }
        let ring = silence.get_or_insert_with(|| {
            let left = this.end.saturating_sub(this.timer.elapsed()).min(SILENCE);
            let timer = this.timer.clone();
            Box::pin(async move { timer.sleep(left).await })
        });
        ring.as_mut().poll(cx).map(|()| {
            let reason = std::io::Error::new(std::io::ErrorKind::TimedOut, "the answer stopped half-way");
            Some(this.note.failure_of(Err(HttpError::new(HttpErrorKind::Timeout, reason))))
        })
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// The frame, if there is room for it in what is left.
fn counted(frame: Frame<Bytes>, left: &mut u64) -> Result<Frame<Bytes>, HttpError> {
    let len = frame.data_ref().map_or(0, |data| data.len() as u64);
    *left = left.checked_sub(len).ok_or_else(|| {
        let reason =
            std::io::Error::new(std::io::ErrorKind::InvalidData, "the answer is longer than what was asked for");
        HttpError::new(HttpErrorKind::Decode, reason)
    })?;
    Ok(frame)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::clock::SteppedClock;

    #[test]
    fn http_dates_are_understood() {
        assert_eq!(instant_of("Sun, 06 Nov 1994 08:49:37 GMT"), Some(784_111_777_000_000_000));
        assert_eq!(instant_of("yesterday"), None);
    }

    /// A body that gives its frames at once and then stands still for ever.
    struct Stalling(Vec<&'static str>);

    impl Body for Stalling {
        type Data = Bytes;
        type Error = HttpError;

        fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, HttpError>>> {
            match self.0.pop() {
                Some(text) => Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(text.as_bytes()))))),
                None => Poll::Pending,
            }
        }
    }

    #[tokio::test]
    async fn a_body_that_stands_still_is_given_up_and_noted() {
        let clock = Arc::new(SteppedClock::new(0));
        let (result, seen) = Exchange::observe(async {
            let note = Note { peer: Peer::Store, exchange: Exchange::current() };
            let body = TimedBody::new(HttpResponseBody::new(Stalling(vec!["half"])), 9, clock.clone(), note);
            HttpResponseBody::new(body).bytes().await
        })
        .await;
        assert_eq!(result.unwrap_err().kind(), HttpErrorKind::Timeout);
        assert!(matches!(seen, Seen::Failed { peer: Peer::Store, kind: HttpErrorKind::Timeout, .. }), "{seen:?}");
        assert_eq!(clock.elapsed(), SILENCE, "not before, and not much later");
    }

    #[tokio::test]
    async fn a_body_that_does_not_end_is_given_up_and_noted() {
        let clock = Arc::new(SteppedClock::new(0));
        let (result, seen) = Exchange::observe(async {
            let note = Note { peer: Peer::Store, exchange: Exchange::current() };
            let body = TimedBody::new(HttpResponseBody::new(Stalling(vec!["half"; 3])), 9, clock.clone(), note);
            HttpResponseBody::new(body).bytes().await
        })
        .await;
        assert_eq!(result.unwrap_err().kind(), HttpErrorKind::Decode);
        assert!(matches!(seen, Seen::Failed { kind: HttpErrorKind::Decode, .. }), "{seen:?}");
        assert_eq!(clock.elapsed(), Duration::ZERO);
    }

    #[test]
    fn a_range_says_how_much_is_asked_for() {
        let asked = |range: &str| {
            let mut request = HttpRequest::new(Vec::<u8>::new().into());
            request.headers_mut().insert("range", range.parse().unwrap());
            asked_for(&request)
        };
        assert_eq!((asked("bytes=5-5"), asked("bytes=0-99"), asked("bytes=9-")), (Some(1), Some(100), None));
        assert_eq!((asked("bytes=9-5"), asked("bytes=0-18446744073709551615")), (None, None));
    }

    #[test]
    fn big_bodies_get_the_time_of_a_slow_link() {
        assert_eq!(transfer_limit(0), SILENCE);
        assert_eq!(transfer_limit(16 << 20), SILENCE + Duration::from_secs(512));
    }
}
