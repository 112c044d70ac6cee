//! What the server keeps. Every change is made under one lock, so a conditional put is atomic whatever its size.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use meshfs::sys::clock::{Clock, SystemClock};
use parking_lot::Mutex;
use s3s::{S3Result, s3_error};

/// S3's least length of a part that is not the last.
const PART_BYTES_MIN: usize = 5 << 20;

#[derive(Clone, Debug)]
pub struct Stored {
    pub bytes: Bytes,
    pub etag: String,
    pub modified: SystemTime,
}

/// What has to hold for a put.
#[derive(Clone, Debug)]
pub enum Condition {
    None,
    Absent,
    Etag(String),
}

#[derive(Debug, Default)]
struct Bucket {
    objects: BTreeMap<String, Stored>,
    expiry_days: Option<i32>,
}

#[derive(Debug)]
struct Upload {
    bucket: String,
    key: String,
    parts: BTreeMap<i32, Bytes>,
}

#[derive(Debug, Default)]
struct State {
    buckets: HashMap<String, Bucket>,
    uploads: HashMap<String, Upload>,
    uploads_begun: u64,
}

#[derive(Debug, Default)]
pub struct Buckets(Mutex<State>);

/// One page of a listing.
pub struct Page {
    pub objects: Vec<(String, Stored)>,
    pub truncated: bool,
}

/// Of the content, as S3's is: equal bytes, equal tag.
fn etag_of(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex()[..32].to_owned()
}

/// The time as the protocol's types want it.
fn now() -> SystemTime {
    let nanos = u64::try_from(SystemClock::new().now()).expect("a time after 1970");
    SystemTime::UNIX_EPOCH + Duration::from_nanos(nanos)
}

impl State {
    fn bucket(&mut self, name: &str) -> S3Result<&mut Bucket> {
        self.buckets.get_mut(name).ok_or_else(|| s3_error!(NoSuchBucket, "The specified bucket does not exist"))
    }

    fn upload(&mut self, id: &str) -> S3Result<&mut Upload> {
        self.uploads.get_mut(id).ok_or_else(|| s3_error!(NoSuchUpload))
    }

    fn put(&mut self, bucket: &str, key: &str, bytes: Bytes, etag: String, condition: &Condition) -> S3Result<String> {
        let objects = &mut self.bucket(bucket)?.objects;
        match (condition, objects.get(key)) {
            (Condition::Absent, Some(_)) => return Err(s3_error!(PreconditionFailed)),
            (Condition::Etag(_), None) => return Err(s3_error!(NoSuchKey)),
            (Condition::Etag(expected), Some(found)) if *expected != found.etag => {
                return Err(s3_error!(PreconditionFailed));
            }
            _ => {}
        }
        objects.insert(key.to_owned(), Stored { bytes, etag: etag.clone(), modified: now() });
        Ok(etag)
    }
}

impl Buckets {
    pub fn make(&self, name: &str) {
        self.0.lock().buckets.entry(name.to_owned()).or_default();
    }

    pub fn check(&self, bucket: &str) -> S3Result<()> {
        self.0.lock().bucket(bucket).map(|_| ())
    }

    pub fn put(&self, bucket: &str, key: &str, bytes: Bytes, condition: &Condition) -> S3Result<String> {
        // Hashing outside the lock lets big bodies race as they do elsewhere.
        let etag = etag_of(&bytes);
        self.0.lock().put(bucket, key, bytes, etag, condition)
    }

    pub fn get(&self, bucket: &str, key: &str) -> S3Result<Stored> {
        let mut state = self.0.lock();
        state.bucket(bucket)?.objects.get(key).cloned().ok_or_else(|| s3_error!(NoSuchKey))
    }

    pub fn delete(&self, bucket: &str, key: &str) -> S3Result<()> {
        self.0.lock().bucket(bucket)?.objects.remove(key);
        Ok(())
    }

    pub fn list(&self, bucket: &str, prefix: &str, after: Option<&str>, max: usize) -> S3Result<Page> {
        let mut state = self.0.lock();
        let start = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        let rest = state.bucket(bucket)?.objects.range::<str, _>((start, Bound::Unbounded));
        let mut found = rest.take_while(|(key, _)| key.starts_with(prefix));
        let page = found.by_ref().take(max).map(|(key, stored)| (key.clone(), stored.clone())).collect();
        Ok(Page { objects: page, truncated: found.next().is_some() })
    }

    pub fn begin_upload(&self, bucket: &str, key: &str) -> S3Result<String> {
        let mut state = self.0.lock();
        state.bucket(bucket)?;
        state.uploads_begun += 1;
        let id = format!("upload-{}", state.uploads_begun);
        let upload = Upload { bucket: bucket.to_owned(), key: key.to_owned(), parts: BTreeMap::new() };
        state.uploads.insert(id.clone(), upload);
        Ok(id)
    }

    pub fn put_part(&self, id: &str, number: i32, bytes: Bytes) -> S3Result<String> {
        let etag = etag_of(&bytes);
        self.0.lock().upload(id)?.parts.insert(number, bytes);
        Ok(etag)
    }

    /// Joins the parts that are named, in order.
    pub fn complete_upload(&self, id: &str, numbers: &[i32], condition: &Condition) -> S3Result<String> {
        let mut state = self.0.lock();
        let upload = state.upload(id)?;
        let mut joined = Vec::new();
        for (at, number) in numbers.iter().enumerate() {
            let part = upload.parts.get(number).ok_or_else(|| s3_error!(InvalidPart))?;
            if at > 0 && numbers[at - 1] >= *number {
                return Err(s3_error!(InvalidPartOrder));
            }
            if at + 1 < numbers.len() && part.len() < PART_BYTES_MIN {
                return Err(s3_error!(EntityTooSmall));
            }
            joined.extend_from_slice(part);
        }
        let (bucket, key) = (upload.bucket.clone(), upload.key.clone());
        let etag = format!("{}-{}", etag_of(&joined), numbers.len());
        let etag = state.put(&bucket, &key, joined.into(), etag, condition)?;
        state.uploads.remove(id);
        Ok(etag)
    }

    pub fn abort_upload(&self, id: &str) -> S3Result<()> {
        self.0.lock().uploads.remove(id).map(|_| ()).ok_or_else(|| s3_error!(NoSuchUpload))
    }

    pub fn expiry_days(&self, bucket: &str) -> S3Result<Option<i32>> {
        self.0.lock().bucket(bucket).map(|bucket| bucket.expiry_days)
    }

    pub fn set_expiry_days(&self, bucket: &str, days: i32) {
        self.make(bucket);
        if let Ok(bucket) = self.0.lock().bucket(bucket) {
            bucket.expiry_days = Some(days);
        }
    }

    pub fn objects(&self, bucket: &str) -> Vec<(String, usize)> {
        let state = self.0.lock();
        let objects = state.buckets.get(bucket).into_iter().flat_map(|bucket| &bucket.objects);
        objects.map(|(key, stored)| (key.clone(), stored.bytes.len())).collect()
    }

    pub fn bytes(&self, bucket: &str, key: &str) -> Option<Vec<u8>> {
        Some(self.0.lock().buckets.get(bucket)?.objects.get(key)?.bytes.to_vec())
    }

    pub fn overwrite(&self, bucket: &str, key: &str, bytes: Bytes) {
        self.put(bucket, key, bytes, &Condition::None).expect("a bucket to write to");
    }

    pub fn remove(&self, bucket: &str, key: &str) {
        self.delete(bucket, key).expect("a bucket to remove from");
    }

    pub fn unfinished_uploads(&self) -> usize {
        self.0.lock().uploads.len()
    }
}
