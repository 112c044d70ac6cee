//! From what was exchanged to an error that says what to do.

use std::time::Duration;

use object_store::client::HttpErrorKind;

use super::super::error::{CreateError, StoreError};
use super::super::url::Cloud;
use super::exchange::{Answer, Peer, Seen, one_line, root_causes};

/// One call that failed.
pub struct Failure<'a> {
    pub cloud: Cloud,
    pub store: &'a str,
    /// Host and bucket, as the requests name them.
    pub endpoint: &'a str,
    pub action: &'static str,
    pub key: &'a str,
    pub error: &'a object_store::Error,
    pub seen: &'a Seen,
    /// Whether the store has ever taken our credentials.
    pub known: bool,
}

impl Failure<'_> {
    pub fn explain(&self) -> StoreError {
        match self.seen {
            Seen::Nothing => self.no_credentials(root_causes(self.error)),
            // Whoever handed them out before does not answer now, and may again.
            Seen::Failed { peer: Peer::Credentials, reason, .. } if self.known => {
                self.unavailable(format!("the credentials could not be renewed: {reason}"))
            }
            Seen::Failed { peer: Peer::Credentials, reason, .. } => self.no_credentials(reason.clone()),
            Seen::Answered { peer: Peer::Credentials, answer: answer @ Answer { status: 429 | 500..=599, .. } }
                if self.known =>
            {
                self.unavailable(asked_in_vain(answer))
            }
            Seen::Answered { peer: Peer::Credentials, answer } => self.no_credentials(asked_in_vain(answer)),
            Seen::Failed { peer: Peer::Store, kind, reason } => self.transport(*kind, reason),
            Seen::Answered { peer: Peer::Store, answer } => self.answer(answer),
        }
    }

    /// What became of a conditional put.
    pub fn explain_create(&self) -> CreateError {
        match self.seen {
            // Nothing reached the store.
            Seen::Nothing
            | Seen::Failed { peer: Peer::Credentials, .. }
            | Seen::Answered { peer: Peer::Credentials, .. } => CreateError::Refused(self.explain()),
            Seen::Failed { kind: HttpErrorKind::Connect, .. } => CreateError::Refused(self.explain()),
            Seen::Answered { answer: Answer { status: 412 | 304, .. }, .. } => CreateError::Exists,
            Seen::Answered { answer: Answer { status: 409, code, .. }, .. } if code == "BlobAlreadyExists" => {
                CreateError::Exists
            }
            // A request that was understood and turned down has written nothing. S3's 409 is not one: it says that
            // another request on the key is under way, and `object_store` calls it AlreadyExists.
            Seen::Answered { answer: Answer { status: 400 | 401 | 403 | 404 | 405 | 411 | 413 | 501, .. }, .. } => {
                CreateError::Refused(self.explain())
            }
            _ => CreateError::Unknown(self.explain()),
        }
    }

    fn transport(&self, kind: HttpErrorKind, reason: &str) -> StoreError {
        let endpoint = self.endpoint;
        self.unavailable(match kind {
            HttpErrorKind::Connect => {
                format!("cannot connect to {endpoint}: {reason}. Check the network and {}", self.endpoint_variable())
            }
            HttpErrorKind::Timeout => format!("{endpoint}: {reason}"),
            _ => format!("{endpoint} broke the connection: {reason}"),
        })
    }

    /// Whether the store itself turned the credentials away, as far as it says: the answer to a HEAD has no body.
    pub fn may_be_of_credentials(&self) -> bool {
        match self.seen {
            Seen::Answered { peer: Peer::Store, answer: Answer { status: 400 | 403, code, .. } } if code.is_empty() => {
                self.action == "looking up"
            }
            Seen::Answered { peer: Peer::Store, .. } => matches!(self.explain(), StoreError::NoCredentials { .. }),
            _ => false,
        }
    }

    fn answer(&self, answer: &Answer) -> StoreError {
        let (status, code) = (answer.status, answer.code.as_str());
        let said = self.said(answer);
        let (store, key, action) = (self.store.to_owned(), self.key.to_owned(), self.action);
        match (status, code) {
            (404, "NoSuchBucket" | "ContainerNotFound") | (400, "InvalidBucketName") => self.no_bucket(),
            (404, _) if action == "listing" => self.no_bucket(),
            (404, _) => StoreError::NotFound { store, key },
            (_, "RequestTimeTooSkewed") => {
                StoreError::Denied { store, action, key, reason: said, hint: "Set this machine's clock" }
            }
            (400 | 401 | 403, code) if refuses_credentials(code) => self.no_credentials(said),
            (401, _) => self.no_credentials(said),
            (403, _) => StoreError::Denied { store, action, key, reason: said, hint: self.permission() },
            (301 | 302 | 307 | 308, _)
            | (400, "AuthorizationHeaderMalformed" | "IllegalLocationConstraintException") => {
                let reason = format!("{said}. The bucket seems to be in another region: set AWS_REGION to its own");
                StoreError::Unusable { store, action, key, reason }
            }
            (507, _) => StoreError::Full { store, reason: said },
            (408 | 409 | 429 | 500 | 502..=599, _) | (400, "RequestTimeout") => {
                self.unavailable_until(said, answer.retry_after)
            }
            (200..=299, _) => self.garbled(),
            _ => StoreError::Unusable { store, action, key, reason: said },
        }
    }

    /// The answer was a success and could not be used: cut off, not what was asked for, or an error in disguise.
    fn garbled(&self) -> StoreError {
        let text = self.error.to_string();
        if ["InternalError", "SlowDown"].iter().any(|code| text.contains(code)) {
            return self.unavailable("it reported an internal error after all".to_owned());
        }
        let (store, key) = (self.store.to_owned(), self.key.to_owned());
        StoreError::Unusable { store, action: self.action, key, reason: root_causes(self.error) }
    }

    fn unavailable(&self, reason: String) -> StoreError {
        self.unavailable_until(reason, None)
    }

    fn unavailable_until(&self, reason: String, retry_after: Option<Duration>) -> StoreError {
        let (store, key) = (self.store.to_owned(), self.key.to_owned());
        StoreError::Unavailable { store, action: self.action, key, reason, retry_after }
    }

    fn no_bucket(&self) -> StoreError {
        let hint = match self.cloud {
            Cloud::S3 => "create the bucket (`aws s3 mb`), or check its name, AWS_REGION and AWS_ENDPOINT_URL",
            Cloud::Gcs => "create the bucket (`gcloud storage buckets create`), or check its name",
            Cloud::Azure => "create the container, or check its name and AZURE_STORAGE_ACCOUNT_NAME",
        };
        StoreError::NoBucket { store: self.store.to_owned(), hint: hint.to_owned() }
    }

    fn no_credentials(&self, reason: String) -> StoreError {
        let hint = match self.cloud {
            _ if self.known => {
                "Renew them: files and endpoints of credentials are read again by themselves, variables by a new mount"
            }
            Cloud::S3 => {
                "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (and AWS_SESSION_TOKEN if they came with one), or run `aws configure`"
            }
            Cloud::Gcs => "Set GOOGLE_APPLICATION_CREDENTIALS, or run `gcloud auth application-default login`",
            Cloud::Azure => "Set AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY, or AZURE_STORAGE_SAS_TOKEN",
        };
        StoreError::NoCredentials { store: self.store.to_owned(), reason, hint }
    }

    fn endpoint_variable(&self) -> &'static str {
        match self.cloud {
            Cloud::S3 => "AWS_ENDPOINT_URL",
            Cloud::Gcs => "GOOGLE_BASE_URL",
            Cloud::Azure => "AZURE_STORAGE_ENDPOINT",
        }
    }

    fn permission(&self) -> &'static str {
        match (self.cloud, self.action) {
            (Cloud::S3, "writing" | "creating") => "Grant s3:PutObject, or mount with --read-only",
            (Cloud::S3, "deleting") => "Grant s3:DeleteObject",
            // Without ListBucket, S3 says 403 of what is absent.
            (Cloud::S3, _) => {
                "Grant s3:GetObject, and s3:ListBucket on the bucket: without it absent objects look denied"
            }
            (Cloud::Gcs, _) => "Grant storage.objectAdmin (get, list, create, delete) on the bucket",
            (Cloud::Azure, _) => "Grant `Storage Blob Data Contributor` on the container",
        }
    }

    fn said(&self, Answer { status, code, message, .. }: &Answer) -> String {
        one_line(&match (code.as_str(), message.as_str()) {
            ("", "") => format!("it answered {status}"),
            ("", message) => format!("it answered {status}, {message}"),
            (code, "") => format!("it answered {status} {code}"),
            (code, message) => format!("it answered {status} {code}, {message}"),
        })
    }
}

/// What whoever hands out the credentials said instead.
fn asked_in_vain(Answer { status, message, .. }: &Answer) -> String {
    format!("asking for credentials was answered with {status} {message}").trim().to_owned()
}

fn refuses_credentials(code: &str) -> bool {
    const CODES: [&str; 10] = [
        "NotSignedUp",
        "InvalidAccessKeyId",
        "SignatureDoesNotMatch",
        "ExpiredToken",
        "InvalidToken",
        "TokenRefreshRequired",
        "AuthenticationFailed",
        "AuthenticationRequired",
        "NoAuthenticationInformation",
        "InvalidAuthenticationInfo",
    ];
    CODES.contains(&code)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure<'a>(action: &'static str, error: &'a object_store::Error, seen: &'a Seen) -> Failure<'a> {
        Failure {
            cloud: Cloud::S3,
            store: "s3://b/p",
            endpoint: "http://h",
            action,
            key: "k",
            error,
            seen,
            known: false,
        }
    }

    fn answered(status: u16, code: &str) -> Seen {
        Seen::Answered { peer: Peer::Store, answer: Answer { status, code: code.to_owned(), ..Answer::default() } }
    }

    fn error() -> object_store::Error {
        object_store::Error::Generic { store: "S3", source: "inside".into() }
    }

    #[test]
    fn answers_are_told_apart_by_what_a_caller_can_do() {
        type Is = fn(&StoreError) -> bool;
        let cases: [(u16, &str, Is); 13] = [
            (404, "NoSuchKey", StoreError::is_not_found),
            (404, "NoSuchBucket", |e| matches!(e, StoreError::NoBucket { .. })),
            (403, "AccessDenied", |e| matches!(e, StoreError::Denied { .. })),
            (403, "SignatureDoesNotMatch", |e| matches!(e, StoreError::NoCredentials { .. })),
            (400, "ExpiredToken", |e| matches!(e, StoreError::NoCredentials { .. })),
            (403, "RequestTimeTooSkewed", |e| e.to_string().contains("clock")),
            (301, "PermanentRedirect", |e| e.to_string().contains("AWS_REGION")),
            (503, "SlowDown", StoreError::may_pass),
            (429, "", StoreError::may_pass),
            (400, "RequestTimeout", StoreError::may_pass),
            (501, "NotImplemented", |e| matches!(e, StoreError::Unusable { .. })),
            (507, "", |e| matches!(e, StoreError::Full { .. })),
            (418, "", |e| matches!(e, StoreError::Unusable { .. })),
        ];
        for (status, code, expected) in cases {
            let (error, seen) = (error(), answered(status, code));
            let explained = failure("reading", &error, &seen).explain();
            assert!(expected(&explained), "{status} {code}: {explained:?}");
        }
    }

    #[test]
    fn a_create_is_refused_only_when_nothing_can_have_been_written() {
        let error = error();
        let outcome = |seen: Seen| failure("creating", &error, &seen).explain_create();
        assert_eq!(outcome(answered(412, "PreconditionFailed")), CreateError::Exists);
        assert_eq!(outcome(answered(409, "BlobAlreadyExists")), CreateError::Exists);
        for (status, code) in [(409, "ConditionalRequestConflict"), (500, ""), (503, "SlowDown"), (200, "")] {
            assert!(matches!(outcome(answered(status, code)), CreateError::Unknown(_)), "{status}");
        }
        for status in [400, 403, 404, 501] {
            assert!(matches!(outcome(answered(status, "")), CreateError::Refused(_)), "{status}");
        }
        // Only the credentials were answered, however well: the create itself was not sent.
        for status in [200, 412, 500] {
            let seen = Seen::Answered { peer: Peer::Credentials, answer: Answer { status, ..Answer::default() } };
            assert!(matches!(outcome(seen), CreateError::Refused(_)), "{status}");
        }
        let failed = |kind| outcome(Seen::Failed { peer: Peer::Store, kind, reason: String::new() });
        assert!(matches!(failed(HttpErrorKind::Connect), CreateError::Refused(_)));
        for kind in [HttpErrorKind::Request, HttpErrorKind::Timeout, HttpErrorKind::Interrupted, HttpErrorKind::Decode]
        {
            assert!(matches!(failed(kind), CreateError::Unknown(_)), "{kind:?}");
        }
    }
}
