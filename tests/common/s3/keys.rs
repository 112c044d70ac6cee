//! Keys that are good, keys that were, and handing out the newest.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use s3s::auth::{S3Auth, SecretKey};
use s3s::{Body, HttpResponse, S3Result, s3_error};

use super::Shared;

/// Where the newest keys are handed out.
pub const PATH: &str = "/latest/keys";

/// The newest keys are good; those before have expired.
#[derive(Debug, Default)]
pub struct Keys {
    renewals: AtomicUsize,
    handed_out: AtomicUsize,
}

fn pair(number: usize) -> (String, String) {
    (format!("test-access-key-{number}"), format!("test-secret-key-{number}"))
}

impl Keys {
    pub fn newest(&self) -> (String, String) {
        pair(self.renewals.load(Ordering::SeqCst))
    }

    pub fn renew(&self) -> (String, String) {
        pair(self.renewals.fetch_add(1, Ordering::SeqCst) + 1)
    }

    pub fn handed_out(&self) -> usize {
        self.handed_out.load(Ordering::SeqCst)
    }

    /// The newest, said to be good for years.
    pub fn hand_out(&self) -> HttpResponse {
        self.handed_out.fetch_add(1, Ordering::SeqCst);
        let (access_key, secret_key) = self.newest();
        let json = format!(
            r#"{{"AccessKeyId":"{access_key}","SecretAccessKey":"{secret_key}","Token":"token","Expiration":"2099-01-01T00:00:00Z"}}"#
        );
        HttpResponse::new(Body::from(json))
    }
}

/// What the S3 service asks for the secret of a key.
pub struct KeyRing(pub Arc<Shared>);

#[async_trait::async_trait]
impl S3Auth for KeyRing {
    async fn get_secret_key(&self, access_key: &str) -> S3Result<SecretKey> {
        let renewals = self.0.keys.renewals.load(Ordering::SeqCst);
        match (0..=renewals).rev().map(pair).position(|(known, _)| known == access_key) {
            Some(0) => Ok(SecretKey::from(self.0.keys.newest().1)),
            Some(_) => Err(s3_error!(ExpiredToken)),
            None => Err(s3_error!(InvalidAccessKeyId)),
        }
    }
}
