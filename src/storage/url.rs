//! Store URLs: which backend, which bucket or folder, and the prefix within.

use std::path::{Path, PathBuf};

use super::error::StoreError;

/// A cloud whose objects live in a bucket (Azure: a container).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cloud {
    S3,
    Gcs,
    Azure,
}

impl Cloud {
    pub fn scheme(self) -> &'static str {
        match self {
            Cloud::S3 => "s3",
            Cloud::Gcs => "gs",
            Cloud::Azure => "az",
        }
    }
}

/// A store's address, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreUrl {
    Cloud {
        cloud: Cloud,
        bucket: String,
        /// Without a slash at either end; empty for the whole bucket.
        prefix: String,
    },
    /// An absolute folder.
    Local(PathBuf),
    /// Objects of this process, shared by all who open the same name.
    Memory(String),
}

impl StoreUrl {
    /// Reads a URL, or a path; a relative one is taken from the current directory.
    pub fn parse(text: &str) -> Result<StoreUrl, StoreError> {
        let error = |reason: &str| Err(StoreError::Url { url: without_secrets(text), reason: reason.to_owned() });
        let Some((scheme, rest)) = text.split_once("://") else {
            return match std::path::absolute(text) {
                Ok(path) => Ok(StoreUrl::Local(path)),
                Err(_) => error("it is empty"),
            };
        };
        if rest.contains(['?', '#', '@']) {
            return error("credentials and options come from the environment, not from the URL");
        }
        let cloud = match scheme {
            "s3" | "s3a" => Cloud::S3,
            "gs" => Cloud::Gcs,
            "az" | "azure" => Cloud::Azure,
            "file" => {
                let path = percent_decoded(rest);
                return match path {
                    Some(path) if path.starts_with('/') => Ok(StoreUrl::Local(PathBuf::from(path))),
                    _ => error("a file URL has three slashes and an absolute path"),
                };
            }
            "memory" if !rest.is_empty() => return Ok(StoreUrl::Memory(rest.to_owned())),
            _ => return error("the scheme is not known"),
        };
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let prefix = prefix.trim_end_matches('/');
        if bucket.is_empty() {
            return error("it names no bucket");
        }
        let usable = |name: &str| !matches!(name, "" | "." | "..") && !name.contains(['\\', '%', '*', '\n', '\r']);
        if !prefix.is_empty() && !prefix.split('/').all(usable) {
            return error("a prefix is made of names joined by single slashes");
        }
        Ok(StoreUrl::Cloud { cloud, bucket: bucket.to_owned(), prefix: prefix.to_owned() })
    }
}

impl std::fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            StoreUrl::Cloud { cloud, bucket, prefix } => {
                write!(f, "{}://{bucket}{}{prefix}", cloud.scheme(), if prefix.is_empty() { "" } else { "/" })
            }
            StoreUrl::Local(path) => write!(f, "{}", path.display()),
            StoreUrl::Memory(name) => write!(f, "memory://{name}"),
        }
    }
}

/// The URL up to where a password or token could stand.
fn without_secrets(text: &str) -> String {
    let text = text.split(['?', '#']).next().unwrap_or_default();
    let Some((before, host)) = text.rsplit_once('@') else { return text.to_owned() };
    let scheme = before.split_once("://").map(|(scheme, _)| format!("{scheme}://"));
    format!("{}...@{host}", scheme.unwrap_or_default())
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        if first == b'%' {
            let digits = std::str::from_utf8(after.get(..2)?).ok()?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = &after[2..];
        } else {
            bytes.push(first);
            rest = after;
        }
    }
    String::from_utf8(bytes).ok()
}

/// Whether `path` is the folder of this store or lies in it.
pub fn is_within(store: &StoreUrl, path: &Path) -> bool {
    matches!(store, StoreUrl::Local(folder) if path.starts_with(folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_store_reads_back_as_it_was_written() {
        for text in ["s3://bucket", "s3://bucket/a/b", "gs://b/x", "az://c/x", "/srv/mesh", "memory://one"] {
            assert_eq!(StoreUrl::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn other_spellings_name_the_same_store() {
        for (text, plain) in [
            ("s3://bucket/", "s3://bucket"),
            ("s3a://bucket/a/", "s3://bucket/a"),
            ("file:///srv/my%20mesh", "/srv/my mesh"),
            ("azure://c", "az://c"),
        ] {
            assert_eq!(StoreUrl::parse(text).unwrap().to_string(), plain);
        }
        assert_eq!(
            StoreUrl::parse("some/dir").unwrap(),
            StoreUrl::Local(std::env::current_dir().unwrap().join("some/dir"))
        );
    }

    #[test]
    fn what_is_no_store_is_refused_with_its_reason() {
        for (text, reason) in [
            ("", "empty"),
            ("s3://", "names no bucket"),
            ("s3://bucket//x", "single slashes"),
            ("s3://bucket/../x", "single slashes"),
            ("ftp://host/x", "scheme is not known"),
            ("memory://", "scheme is not known"),
            ("file://relative/x", "three slashes"),
            ("file:///x%f", "three slashes"),
        ] {
            let error = StoreUrl::parse(text).unwrap_err().to_string();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }

    #[test]
    fn secrets_in_a_url_are_refused_and_not_repeated() {
        for text in ["s3://KEY:hunter2@bucket/x", "az://c/x?sig=hunter2", "s3://bucket#hunter2"] {
            let error = StoreUrl::parse(text).unwrap_err();
            assert!(!error.to_string().contains("hunter2") && !format!("{error:?}").contains("hunter2"), "{error}");
        }
        assert_eq!(without_secrets("http://key:hunter2@host:80/x?sig=hunter2"), "http://...@host:80/x");
        assert_eq!(without_secrets("key:hunter2@host"), "...@host");
        assert_eq!(without_secrets("https://host:443/x"), "https://host:443/x");
    }
}
