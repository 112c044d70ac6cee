//! What really went over the wire: `object_store` hides status and error code in types that cannot be named, so our
//! connector writes them down for the call that caused the exchange.

use std::sync::Arc;
use std::time::Duration;

use object_store::client::HttpErrorKind;
use parking_lot::Mutex;

/// Longest reason taken over from an answer: enough for a sentence, too little to fill a log.
const REASON_BYTES_MAX: usize = 300;

tokio::task_local! {
    static CURRENT: Exchange;
}

/// With whom a request was exchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    Store,
    /// Whoever hands out the credentials: instance metadata, a token service.
    Credentials,
}

/// What of an answer tells how it went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    /// Code and message of an error's body.
    pub code: String,
    pub message: String,
    /// When to come back, if the store says.
    pub retry_after: Option<Duration>,
}

/// How the last request of a call ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// Nothing was sent.
    Nothing,
    /// No answer, or not the whole of it.
    Failed {
        peer: Peer,
        kind: HttpErrorKind,
        reason: String,
    },
    Answered {
        peer: Peer,
        answer: Answer,
    },
}

/// The last exchange of one call, filled in while it runs.
#[derive(Clone, Debug)]
pub struct Exchange(Arc<Mutex<Seen>>);

impl Exchange {
    /// Runs `call`; gives its result and how its last request ended.
    pub async fn observe<T>(call: impl Future<Output = T>) -> (T, Seen) {
        let exchange = Exchange(Arc::new(Mutex::new(Seen::Nothing)));
        let result = CURRENT.scope(exchange.clone(), call).await;
        let seen = exchange.0.lock().clone();
        (result, seen)
    }

    /// The exchange of the call that is running, when there is one.
    pub fn current() -> Option<Exchange> {
        CURRENT.try_with(Exchange::clone).ok()
    }

    pub fn set(&self, seen: Seen) {
        *self.0.lock() = seen;
    }
}

/// Code and message of an error's body, in XML (S3, GCS, Azure) or as its first line.
pub fn code_and_message(body: &[u8]) -> (String, String) {
    let text = String::from_utf8_lossy(body);
    let element = |name: &str| {
        let (_, rest) = text.split_once(&format!("<{name}>"))?;
        let (inner, _) = rest.split_once(&format!("</{name}>"))?;
        Some(one_line(inner))
    };
    let message =
        element("Message").unwrap_or_else(|| if text.contains('<') { String::new() } else { one_line(&text) });
    (element("Code").unwrap_or_default(), message)
}

/// The first line, cut to what a message can carry.
pub fn one_line(text: &str) -> String {
    let line = text.trim().lines().next().unwrap_or_default();
    let mut end = line.len().min(REASON_BYTES_MAX);
    while !line.is_char_boundary(end) {
        end -= 1;
    }
    line[..end].to_owned()
}

/// The innermost causes of an error, without the layers of wrapping above, and without any URL: one may carry a
/// signature.
pub fn root_causes(error: &(dyn std::error::Error + 'static)) -> String {
    let mut causes = Vec::new();
    let mut cause = Some(error);
    while let Some(error) = cause {
        let text = one_line(&error.to_string());
        // Wrappers that print what they wrap would say everything twice.
        causes.retain(|outer: &String| !outer.contains(&text));
        causes.push(text);
        cause = error.source();
    }
    let causes = causes.split_off(causes.len().saturating_sub(2));
    without_urls(&causes.join(": "))
}

fn without_urls(text: &str) -> String {
    let words = text.split(' ').map(|word| match word.split_once("://") {
        Some((_, rest)) => match rest.find(['?', '@']) {
            Some(_) => "(a URL)",
            None => word,
        },
        None => word,
    });
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_and_message_come_from_xml_or_the_first_line() {
        let xml = b"<?xml?><Error><Code>SlowDown</Code><Message>Please reduce\nyour rate</Message></Error>";
        assert_eq!(code_and_message(xml), ("SlowDown".to_owned(), "Please reduce".to_owned()));
        assert_eq!(code_and_message(b"no route\nmore"), (String::new(), "no route".to_owned()));
        assert_eq!(code_and_message(b"<html><h1>Bad gateway</h1>"), (String::new(), String::new()));
    }

    #[test]
    fn only_the_innermost_causes_are_told_and_no_signature() {
        let inner = std::io::Error::other("connection refused");
        let outer = std::io::Error::other(inner);
        assert_eq!(root_causes(&outer), "connection refused");
        let signed = std::io::Error::other("GET https://x.example/b?sig=hunter2 failed");
        assert!(!root_causes(&signed).contains("hunter2"));
    }

    #[test]
    fn long_lines_are_cut_at_a_character() {
        assert_eq!(one_line(&"é".repeat(400)).len(), 300);
        assert_eq!(one_line(&format!("a{}", "é".repeat(400))).len(), 299);
    }

    #[tokio::test]
    async fn what_is_set_during_a_call_is_seen_after_it() {
        assert!(Exchange::current().is_none());
        let failed = Seen::Failed { peer: Peer::Store, kind: HttpErrorKind::Timeout, reason: "late".into() };
        let ((), seen) = Exchange::observe(async { Exchange::current().unwrap().set(failed.clone()) }).await;
        assert_eq!(seen, failed);
    }
}
