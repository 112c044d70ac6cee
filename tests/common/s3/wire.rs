//! Connections: what each request is, what it counts as, and what befalls it on the way.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use http::header::{CONTENT_LENGTH, DATE, HeaderValue, RETRY_AFTER};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use meshfs::sys::clock::Clock;
use meshfs::telemetry::counters::Verb;
use s3s::service::S3Service;
use s3s::{Body, HttpRequest, HttpResponse};

use super::{Fault, Shared, keys};

/// Why a connection is to break.
#[derive(Debug, thiserror::Error)]
#[error("the connection is broken on purpose")]
struct Break;

pub async fn serve(listener: std::net::TcpListener, service: S3Service, shared: Arc<Shared>) {
    let listener = tokio::net::TcpListener::from_std(listener).expect("a listener for tokio");
    loop {
        let Ok((socket, _)) = listener.accept().await else { continue };
        if shared.away.load(Ordering::SeqCst) {
            continue;
        }
        // Without it small answers wait for the client's delayed acknowledgement: 40 ms each.
        let _ = socket.set_nodelay(true);
        let (service, shared) = (service.clone(), shared.clone());
        tokio::spawn(async move {
            let handler = service_fn(|request: http::Request<Incoming>| {
                let (service, shared) = (service.clone(), shared.clone());
                async move {
                    let now = shared.under_way.fetch_add(1, Ordering::SeqCst) + 1;
                    shared.under_way_most.fetch_max(now, Ordering::SeqCst);
                    let response = handle(request.map(Body::from), &service, &shared).await;
                    shared.under_way.fetch_sub(1, Ordering::SeqCst);
                    response
                }
            });
            // Clients go away and connections are broken on purpose.
            let _ = Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(socket), handler).await;
        });
    }
}

async fn handle(request: HttpRequest, service: &S3Service, shared: &Shared) -> Result<HttpResponse, Break> {
    if shared.away.load(Ordering::SeqCst) {
        return Err(Break);
    }
    let verb = verb_of(&request);
    let target = request.uri().to_string();
    if let Some(verb) = verb {
        shared.counters.sent(verb, content_length(request.headers()));
    }
    let latency = *shared.latency.lock();
    if latency > Duration::ZERO {
        shared.clock.sleep(latency).await;
    }
    let fault = strike(shared, verb, &target).or_else(|| storm(shared, verb));
    let mut response = match fault {
        Some(Fault::Broken) => return Err(Break),
        Some(Fault::Answer(status, code)) => {
            // An answer before the body was read would break the connection, which is another fault.
            let mut body = request.into_body();
            while body.next().await.is_some() {}
            refusal(status, code)
        }
        Some(Fault::ComeBack(seconds)) => {
            let mut response = refusal(503, "SlowDown");
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
            response
        }
        Some(Fault::LaggingList) => lagging(service.call(request).await.map_err(|_| Break)?).await,
        _ if request.uri().path() == keys::PATH => shared.keys.hand_out(),
        _ => {
            if let Some(Fault::Slow(pause)) = fault {
                shared.clock.sleep(pause).await;
            }
            service.call(request).await.map_err(|_| Break)?
        }
    };
    match fault {
        Some(Fault::LostReply) => return Err(Break),
        Some(Fault::CutBody) => response = cut(response).await,
        Some(Fault::WrongBytes) => response = wrong(response).await,
        _ => {}
    }
    shared.counters.received(content_length(response.headers()));
    response.headers_mut().insert(DATE, date(shared));
    Ok(response)
}

fn strike(shared: &Shared, verb: Option<Verb>, target: &str) -> Option<Fault> {
    let mut planned = shared.planned.lock();
    let fits = |planned: &&mut super::Planned| {
        planned.left > 0 && (planned.verb.is_none() || planned.verb == verb) && target.contains(&planned.within)
    };
    let planned = planned.iter_mut().find(fits)?;
    planned.left -= 1;
    planned.struck += 1;
    Some(planned.fault)
}

/// What befalls every third request that says the same when it is sent twice.
fn storm(shared: &Shared, verb: Option<Verb>) -> Option<Fault> {
    let mut storm = shared.storm.lock();
    if storm.faults.is_empty() || verb.is_none_or(|verb| verb == Verb::Create) {
        return None;
    }
    storm.requests += 1;
    let (turn, rest) = (storm.requests / 3, storm.requests % 3);
    (rest == 0).then(|| storm.faults[turn % storm.faults.len()])
}

/// What a request counts as; none for what a store never sends (making buckets, reading their settings).
fn verb_of(request: &HttpRequest) -> Option<Verb> {
    let query = request.uri().query().unwrap_or_default();
    let has = |name: &str| query.split('&').any(|pair| pair.split('=').next() == Some(name));
    let is_bucket = request.uri().path().trim_matches('/').split('/').nth(1).is_none();
    match (request.method().as_str(), is_bucket) {
        ("GET", true) => has("list-type").then_some(Verb::List),
        ("POST", true) => has("delete").then_some(Verb::Delete),
        (_, true) => None,
        ("GET", false) => Some(Verb::Get),
        ("HEAD", false) => Some(Verb::Head),
        ("PUT", false) if has("partNumber") => Some(Verb::Part),
        ("PUT", false) if request.headers().contains_key("if-none-match") => Some(Verb::Create),
        ("PUT", false) => Some(Verb::Put),
        ("POST", false) if has("uploads") => Some(Verb::Initiate),
        ("POST", false) if has("uploadId") => Some(Verb::Complete),
        ("DELETE", false) if has("uploadId") => Some(Verb::Abort),
        ("DELETE", false) => Some(Verb::Delete),
        _ => None,
    }
}

fn content_length(headers: &http::HeaderMap) -> usize {
    headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok()).unwrap_or(0)
}

fn refusal(status: u16, code: &str) -> HttpResponse {
    let xml = format!("<Error><Code>{code}</Code><Message>as the test wants it</Message></Error>");
    let mut response = HttpResponse::new(Body::from(xml));
    *response.status_mut() = http::StatusCode::from_u16(status).expect("a status");
    response
}

async fn collected(mut body: Body) -> Vec<u8> {
    let mut bytes = Vec::new();
    while let Some(Ok(chunk)) = body.next().await {
        bytes.extend_from_slice(&chunk);
    }
    bytes
}

/// The answer with the last bit of its body turned over.
async fn wrong(response: HttpResponse) -> HttpResponse {
    let (parts, body) = response.into_parts();
    let mut bytes = collected(body).await;
    bytes.last_mut().into_iter().for_each(|byte| *byte ^= 1);
    HttpResponse::from_parts(parts, Body::from(bytes))
}

/// A listing without the object written last.
async fn lagging(response: HttpResponse) -> HttpResponse {
    let (mut parts, body) = response.into_parts();
    let text = String::from_utf8(collected(body).await).expect("a listing is text");
    let modified = |one: &str| one.split_once("<LastModified>").map(|(_, rest)| rest[..24].to_owned());
    let each = || text.split("<Contents>").skip(1).filter_map(|rest| rest.split_once("</Contents>"));
    let newest = each().filter_map(|(one, _)| Some((modified(one)?, one))).max();
    let text = newest.map_or(text.clone(), |(_, one)| text.replace(&format!("<Contents>{one}</Contents>"), ""));
    parts.headers.remove(CONTENT_LENGTH);
    HttpResponse::from_parts(parts, Body::from(text))
}

/// The answer with half of its body, after which the connection breaks.
async fn cut(response: HttpResponse) -> HttpResponse {
    let (mut parts, body) = response.into_parts();
    let mut bytes = collected(body).await;
    parts.headers.insert(CONTENT_LENGTH, HeaderValue::from(bytes.len()));
    bytes.truncate(bytes.len() / 2);
    let half = futures::stream::iter([Ok(Bytes::from(bytes)), Err(io::Error::other(Break))]);
    HttpResponse::from_parts(parts, Body::from(s3s::dto::StreamingBlob::wrap(half)))
}

/// The time of the server.
fn date(shared: &Shared) -> HeaderValue {
    let seconds = shared.clock.now() / 1_000_000_000 + shared.clock_offset_seconds.load(Ordering::SeqCst);
    let time = jiff::Timestamp::from_second(seconds).expect("a time within the calendar");
    let text = time.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    HeaderValue::from_str(&text).expect("a date is plain text")
}
