//! The operations of the protocol, each a call on the map.

use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt;
use s3s::dto::*;
use s3s::{Body, S3, S3Request, S3Response, S3Result, s3_error};

use super::bucket::{Buckets, Condition, Stored};

/// S3's longest page of a listing.
const PAGE_KEYS_MAX: usize = 1000;

pub struct Service(pub Arc<Buckets>);

async fn collect(body: Option<StreamingBlob>) -> S3Result<Bytes> {
    let Some(mut body) = body else { return Ok(Bytes::new()) };
    let mut bytes = Vec::new();
    while let Some(chunk) = body.next().await {
        bytes.extend_from_slice(&chunk.map_err(|_| s3_error!(IncompleteBody))?);
    }
    Ok(bytes.into())
}

fn condition(if_match: Option<&ETagCondition>, if_none_match: Option<&ETagCondition>) -> S3Result<Condition> {
    match (if_match, if_none_match) {
        (None, None) => Ok(Condition::None),
        (None, Some(ETagCondition::Any)) => Ok(Condition::Absent),
        (Some(ETagCondition::ETag(etag)), None) => Ok(Condition::Etag(etag.value().to_owned())),
        _ => Err(s3_error!(NotImplemented)),
    }
}

fn etag(value: String) -> Option<ETag> {
    Some(ETag::Strong(value))
}

fn length(bytes: usize) -> Option<i64> {
    i64::try_from(bytes).ok()
}

/// The conditions of a read.
fn check(stored: &Stored, if_match: Option<&ETagCondition>, if_none_match: Option<&ETagCondition>) -> S3Result<()> {
    let is = |condition: &ETagCondition| match condition {
        ETagCondition::Any => true,
        ETagCondition::ETag(etag) => etag.value() == stored.etag,
    };
    if if_match.is_some_and(|condition| !is(condition)) {
        return Err(s3_error!(PreconditionFailed));
    }
    if if_none_match.is_some_and(is) {
        return Err(s3_error!(NotModified));
    }
    Ok(())
}

#[async_trait::async_trait]
impl S3 for Service {
    async fn create_bucket(&self, req: S3Request<CreateBucketInput>) -> S3Result<S3Response<CreateBucketOutput>> {
        self.0.make(&req.input.bucket);
        Ok(S3Response::new(CreateBucketOutput::default()))
    }

    async fn head_bucket(&self, req: S3Request<HeadBucketInput>) -> S3Result<S3Response<HeadBucketOutput>> {
        self.0.check(&req.input.bucket)?;
        Ok(S3Response::new(HeadBucketOutput::default()))
    }

    async fn put_object(&self, req: S3Request<PutObjectInput>) -> S3Result<S3Response<PutObjectOutput>> {
        let input = req.input;
        let condition = condition(input.if_match.as_ref(), input.if_none_match.as_ref())?;
        let bytes = collect(input.body).await?;
        let e_tag = etag(self.0.put(&input.bucket, &input.key, bytes, &condition)?);
        Ok(S3Response::new(PutObjectOutput { e_tag, ..PutObjectOutput::default() }))
    }

    async fn get_object(&self, req: S3Request<GetObjectInput>) -> S3Result<S3Response<GetObjectOutput>> {
        let input = req.input;
        let stored = self.0.get(&input.bucket, &input.key)?;
        check(&stored, input.if_match.as_ref(), input.if_none_match.as_ref())?;
        let whole = stored.bytes.len();
        let range = match input.range {
            Some(range) => Some(range.check(whole as u64)?),
            None => None,
        };
        let (bytes, content_range) = match range {
            Some(range) => {
                let text = format!("bytes {}-{}/{whole}", range.start, range.end - 1);
                (stored.bytes.slice(range.start as usize..range.end as usize), Some(text))
            }
            None => (stored.bytes, None),
        };
        let output = GetObjectOutput {
            content_length: length(bytes.len()),
            content_range,
            body: Some(StreamingBlob::from(Body::from(bytes))),
            e_tag: etag(stored.etag),
            last_modified: Some(stored.modified.into()),
            accept_ranges: Some("bytes".to_owned()),
            ..GetObjectOutput::default()
        };
        Ok(S3Response::new(output))
    }

    async fn head_object(&self, req: S3Request<HeadObjectInput>) -> S3Result<S3Response<HeadObjectOutput>> {
        let input = req.input;
        let stored = self.0.get(&input.bucket, &input.key)?;
        check(&stored, input.if_match.as_ref(), input.if_none_match.as_ref())?;
        let output = HeadObjectOutput {
            content_length: length(stored.bytes.len()),
            e_tag: etag(stored.etag),
            last_modified: Some(stored.modified.into()),
            accept_ranges: Some("bytes".to_owned()),
            ..HeadObjectOutput::default()
        };
        Ok(S3Response::new(output))
    }

    async fn delete_object(&self, req: S3Request<DeleteObjectInput>) -> S3Result<S3Response<DeleteObjectOutput>> {
        self.0.delete(&req.input.bucket, &req.input.key)?;
        Ok(S3Response::new(DeleteObjectOutput::default()))
    }

    async fn delete_objects(&self, req: S3Request<DeleteObjectsInput>) -> S3Result<S3Response<DeleteObjectsOutput>> {
        let mut deleted = Vec::new();
        for object in req.input.delete.objects {
            self.0.delete(&req.input.bucket, &object.key)?;
            deleted.push(DeletedObject { key: Some(object.key), ..DeletedObject::default() });
        }
        let output = DeleteObjectsOutput { deleted: Some(deleted), ..DeleteObjectsOutput::default() };
        Ok(S3Response::new(output))
    }

    async fn list_objects_v2(&self, req: S3Request<ListObjectsV2Input>) -> S3Result<S3Response<ListObjectsV2Output>> {
        let input = req.input;
        if input.delimiter.is_some() {
            return Err(s3_error!(NotImplemented, "listings by delimiter"));
        }
        let prefix = input.prefix.clone().unwrap_or_default();
        let asked = input.max_keys.and_then(|keys| usize::try_from(keys).ok()).unwrap_or(PAGE_KEYS_MAX);
        // A token is the last key of the page before.
        let after = input.continuation_token.as_deref().or(input.start_after.as_deref());
        let page = self.0.list(&input.bucket, &prefix, after, asked.min(PAGE_KEYS_MAX))?;
        let last = page.objects.last().map(|(key, _)| key.clone());
        let contents: Vec<Object> = page.objects.into_iter().map(|(key, stored)| listed(key, &stored)).collect();
        let output = ListObjectsV2Output {
            name: Some(input.bucket),
            prefix: Some(prefix),
            max_keys: input.max_keys,
            key_count: i32::try_from(contents.len()).ok(),
            continuation_token: input.continuation_token,
            is_truncated: Some(page.truncated),
            next_continuation_token: last.filter(|_| page.truncated),
            contents: Some(contents),
            start_after: input.start_after,
            ..ListObjectsV2Output::default()
        };
        Ok(S3Response::new(output))
    }

    async fn create_multipart_upload(
        &self,
        req: S3Request<CreateMultipartUploadInput>,
    ) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
        let input = req.input;
        let upload_id = Some(self.0.begin_upload(&input.bucket, &input.key)?);
        let (bucket, key) = (Some(input.bucket), Some(input.key));
        let output = CreateMultipartUploadOutput { bucket, key, upload_id, ..CreateMultipartUploadOutput::default() };
        Ok(S3Response::new(output))
    }

    async fn upload_part(&self, req: S3Request<UploadPartInput>) -> S3Result<S3Response<UploadPartOutput>> {
        let input = req.input;
        let bytes = collect(input.body).await?;
        let e_tag = etag(self.0.put_part(&input.upload_id, input.part_number, bytes)?);
        Ok(S3Response::new(UploadPartOutput { e_tag, ..UploadPartOutput::default() }))
    }

    async fn complete_multipart_upload(
        &self,
        req: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        let input = req.input;
        let condition = condition(input.if_match.as_ref(), input.if_none_match.as_ref())?;
        let parts = input.multipart_upload.and_then(|upload| upload.parts).unwrap_or_default();
        let numbers = parts.iter().map(|part| part.part_number).collect::<Option<Vec<i32>>>();
        let numbers = numbers.filter(|numbers| !numbers.is_empty()).ok_or_else(|| s3_error!(MalformedXML))?;
        let e_tag = etag(self.0.complete_upload(&input.upload_id, &numbers, &condition)?);
        let (bucket, key) = (Some(input.bucket), Some(input.key));
        let output = CompleteMultipartUploadOutput { bucket, key, e_tag, ..CompleteMultipartUploadOutput::default() };
        Ok(S3Response::new(output))
    }

    async fn abort_multipart_upload(
        &self,
        req: S3Request<AbortMultipartUploadInput>,
    ) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
        self.0.abort_upload(&req.input.upload_id)?;
        Ok(S3Response::new(AbortMultipartUploadOutput::default()))
    }

    async fn get_bucket_lifecycle_configuration(
        &self,
        req: S3Request<GetBucketLifecycleConfigurationInput>,
    ) -> S3Result<S3Response<GetBucketLifecycleConfigurationOutput>> {
        let days = self.0.expiry_days(&req.input.bucket)?.ok_or_else(|| s3_error!(NoSuchLifecycleConfiguration))?;
        let rule = LifecycleRule {
            abort_incomplete_multipart_upload: None,
            expiration: Some(LifecycleExpiration { days: Some(days), ..LifecycleExpiration::default() }),
            filter: None,
            id: Some("expire".to_owned()),
            noncurrent_version_expiration: None,
            noncurrent_version_transitions: None,
            prefix: Some(String::new()),
            status: ExpirationStatus::from_static(ExpirationStatus::ENABLED),
            transitions: None,
        };
        let output = GetBucketLifecycleConfigurationOutput {
            rules: Some(vec![rule]),
            transition_default_minimum_object_size: None,
        };
        Ok(S3Response::new(output))
    }
}

fn listed(key: String, stored: &Stored) -> Object {
    Object {
        key: Some(key),
        size: length(stored.bytes.len()),
        e_tag: etag(stored.etag.clone()),
        last_modified: Some(stored.modified.into()),
        ..Object::default()
    }
}
