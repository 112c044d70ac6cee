//! What people read when a store cannot be used: what, why, and what next. And never a secret.

use std::time::Duration;

use bytes::Bytes;
use meshfs::storage::settings::Environment;
use meshfs::storage::{self, CreateError, Store, StoreError, StoreSettings};
use std::sync::Arc;

use crate::common::s3::{Fault, Server};
use crate::common::scratch::Scratch;

const SECRET: &str = "hunter2-hunter2-hunter2";

fn settings(pairs: &[(&str, &str)]) -> StoreSettings {
    let environment = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    StoreSettings { environment: Environment::from_iter(environment), deadline: Duration::ZERO, ..StoreSettings::new() }
}

fn store(url: &str, pairs: &[(&str, &str)]) -> Arc<dyn Store> {
    storage::open(url, &settings(pairs)).unwrap()
}

/// The server's environment with some variables changed.
fn with(server: &Server, changed: &[(&str, &str)]) -> Arc<dyn Store> {
    let mut pairs = server.environment();
    pairs.extend(changed.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    let environment = Environment::from_iter(pairs);
    let settings = StoreSettings { environment, deadline: Duration::ZERO, ..StoreSettings::new() };
    storage::open(&server.url("bucket"), &settings).unwrap()
}

fn assert_says(error: &StoreError, parts: &[&str]) {
    let text = error.to_string();
    for part in parts {
        assert!(text.contains(part), "`{part}` is missing in: {text}");
    }
    assert!(!text.contains(SECRET) && !format!("{error:?}").contains(SECRET), "a secret in: {text}");
}

#[tokio::test]
async fn a_missing_bucket() {
    let server = Server::start();
    let environment = Environment::from_iter(server.environment());
    let settings = StoreSettings { environment, ..StoreSettings::new() };
    let store = storage::open("s3://no-such-bucket/mesh", &settings).unwrap();
    for error in [
        store.list("", None, 1).await.unwrap_err(),
        store.get("a").await.unwrap_err(),
        store.put("a", Bytes::new()).await.unwrap_err(),
    ] {
        assert!(matches!(error, StoreError::NoBucket { .. }), "{error:?}");
        assert_says(&error, &["s3://no-such-bucket/mesh does not exist", "aws s3 mb", "AWS_ENDPOINT_URL"]);
    }
    let created = store.create("a", Bytes::new()).await;
    assert!(matches!(created, Err(CreateError::Refused(StoreError::NoBucket { .. }))), "{created:?}");
}

#[tokio::test]
async fn no_credentials() {
    // The address of instance metadata, where nobody listens here.
    let nobody = [("AWS_ENDPOINT_URL", "http://127.0.0.1:9"), ("AWS_METADATA_ENDPOINT", "http://127.0.0.1:9")];
    let store = store("s3://bucket", &nobody);
    let error = store.get("a").await.unwrap_err();
    assert!(matches!(error, StoreError::NoCredentials { .. }), "{error:?}");
    assert_says(&error, &["s3://bucket", "credentials", "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"]);
    let created = store.create("a", Bytes::new()).await;
    assert!(matches!(created, Err(CreateError::Refused(StoreError::NoCredentials { .. }))), "{created:?}");
}

/// The last answer before the failure is a good one, but not the store's: nothing was created.
#[tokio::test]
async fn an_unusable_answer_about_credentials_creates_nothing() {
    let (server, scratch) = (Server::start(), Scratch::new());
    server.plan(None, "/credentials", Fault::Answer(200, "Odd"), usize::MAX);
    server.url("bucket");
    let token = scratch.path().join("token");
    std::fs::write(&token, "token").unwrap();
    let variables = [
        ("AWS_ENDPOINT_URL", server.endpoint()),
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", format!("{}/credentials", server.endpoint())),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", token.to_str().unwrap().to_owned()),
    ];
    let store = store("s3://bucket", &variables.each_ref().map(|(name, value)| (*name, value.as_str())));
    let created = store.create("a", Bytes::new()).await;
    let Err(CreateError::Refused(error)) = &created else { panic!("{created:?}") };
    assert_says(error, &["credentials", "answered with 200"]);
    assert_eq!(server.objects("bucket"), []);
}

#[tokio::test]
async fn half_of_the_credentials() {
    let error = storage::open("s3://bucket", &settings(&[("AWS_SECRET_ACCESS_KEY", SECRET)])).unwrap_err();
    assert!(matches!(error, StoreError::NoCredentials { .. }), "{error:?}");
    assert_says(&error, &["s3://bucket", "AWS_"]);
}

#[tokio::test]
async fn wrong_credentials() {
    let server = Server::start();
    for changed in [[("AWS_SECRET_ACCESS_KEY", SECRET)], [("AWS_ACCESS_KEY_ID", "unknown-key")]] {
        let error = with(&server, &changed).list("", None, 1).await.unwrap_err();
        assert!(matches!(error, StoreError::NoCredentials { .. }), "{error:?}");
        assert_says(&error, &["s3://bucket", "Set AWS_ACCESS_KEY_ID"]);
    }
}

#[tokio::test]
async fn the_files_of_aws_configure_are_credentials_too() {
    let (server, scratch) = (Server::start(), Scratch::new());
    let pairs = server.environment();
    let variable = |name: &str| pairs.iter().find(|(one, _)| one == name).unwrap().1.clone();
    let (access_key, secret_key) = (variable("AWS_ACCESS_KEY_ID"), variable("AWS_SECRET_ACCESS_KEY"));
    let file = format!("[default]\naws_access_key_id={access_key}\naws_secret_access_key={secret_key}\n");
    std::fs::write(scratch.folder(".aws").join("credentials"), file).unwrap();
    server.url("bucket");
    let home = scratch.path().to_str().unwrap();
    let store = store("s3://bucket", &[("HOME", home), ("AWS_ENDPOINT_URL", &variable("AWS_ENDPOINT_URL"))]);
    store.put("a", Bytes::new()).await.unwrap();
}

#[tokio::test]
async fn an_endpoint_that_is_not_there() {
    let closed = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap();
    let endpoint = format!("http://{closed}");
    let pairs =
        [("AWS_ENDPOINT_URL", endpoint.as_str()), ("AWS_ACCESS_KEY_ID", "key"), ("AWS_SECRET_ACCESS_KEY", SECRET)];
    let store = store("s3://bucket", &pairs);
    let error = store.get("a").await.unwrap_err();
    assert!(error.may_pass(), "{error:?}");
    assert_says(&error, &["s3://bucket is not available", &endpoint, "refused", "AWS_ENDPOINT_URL"]);
    let created = store.create("a", Bytes::new()).await;
    assert!(matches!(created, Err(CreateError::Refused(StoreError::Unavailable { .. }))), "{created:?}");
}

#[test]
fn an_endpoint_with_credentials_in_it() {
    for host in ["http://key:hunter2-hunter2-hunter2@127.0.0.1:9", "http://127.0.0.1:9/?sig=hunter2-hunter2-hunter2"] {
        for (url, name) in [("s3://bucket", "AWS_ENDPOINT_URL"), ("az://container", "AZURE_STORAGE_ENDPOINT")] {
            let error = storage::open(url, &settings(&[(name, host)])).unwrap_err();
            assert_says(&error, &[url, name, "variables of their own"]);
        }
    }
}

#[tokio::test]
async fn a_signature_of_azure_s_is_not_repeated() {
    let server = Server::start();
    for endpoint in [server.endpoint(), "http://127.0.0.1:9".to_owned()] {
        let azure = [
            ("AZURE_STORAGE_ENDPOINT", endpoint.as_str()),
            ("AZURE_STORAGE_ACCOUNT_NAME", "account"),
            ("AZURE_STORAGE_SAS_TOKEN", "sv=2026&sig=hunter2-hunter2-hunter2"),
        ];
        assert_says(&store("az://container", &azure).get("a").await.unwrap_err(), &["az://container"]);
    }
}

#[tokio::test]
async fn a_host_that_has_no_name() {
    let pairs = [
        ("AWS_ENDPOINT_URL", "https://no-such-host.invalid"),
        ("AWS_ACCESS_KEY_ID", "key"),
        ("AWS_SECRET_ACCESS_KEY", SECRET),
    ];
    let error = store("s3://bucket", &pairs).get("a").await.unwrap_err();
    assert_says(&error, &["cannot connect to https://no-such-host.invalid", "Check the network"]);
}

#[tokio::test]
async fn denied_requests_name_the_permission() {
    let server = Server::start();
    let store = server.store("bucket");
    server.plan(None, "", Fault::Answer(403, "AccessDenied"), usize::MAX);
    let reading = store.get("a").await.unwrap_err();
    assert_says(&reading, &["denied reading of `a`", "AccessDenied", "s3:ListBucket"]);
    let writing = store.put("a", Bytes::new()).await.unwrap_err();
    assert_says(&writing, &["denied writing of `a`", "s3:PutObject", "--read-only"]);
    assert!(!reading.is_not_found(), "denied is never absent");
}

#[tokio::test]
async fn a_bucket_of_another_region() {
    let server = Server::start();
    let store = server.store("bucket");
    server.plan(None, "", Fault::Answer(301, "PermanentRedirect"), usize::MAX);
    assert_says(&store.get("a").await.unwrap_err(), &["another region", "AWS_REGION"]);
}

#[test]
fn a_folder_that_is_missing_or_a_file() {
    let scratch = Scratch::new();
    let missing = scratch.join("store");
    let error = storage::open(missing.to_str().unwrap(), &StoreSettings::new()).unwrap_err();
    assert_says(&error, &[missing.to_str().unwrap(), "does not exist", "meshfs init"]);
    let file = scratch.join("file");
    std::fs::write(&file, "").unwrap();
    let error = storage::open(file.to_str().unwrap(), &StoreSettings::new()).unwrap_err();
    assert_says(&error, &["name a folder"]);
    let making = StoreSettings { create_folder: true, ..StoreSettings::new() };
    storage::open(missing.join("deep").to_str().unwrap(), &making).unwrap();
    storage::open(&format!("file://{}/deep", missing.display()), &StoreSettings::new()).unwrap();
}

#[tokio::test]
async fn a_folder_that_nobody_may_write() {
    // The one folder of every Linux that refuses root as well.
    let store = storage::open("/sys/kernel", &StoreSettings::new()).unwrap();
    let error = store.put("a", Bytes::new()).await.unwrap_err();
    let refused = matches!(error, StoreError::Denied { .. } | StoreError::ReadOnly { .. });
    assert!(refused, "{error:?}");
    let created = store.create("a", Bytes::new()).await;
    assert!(matches!(created, Err(CreateError::Refused(_))), "{created:?}");
}

#[test]
fn secrets_stay_out_of_debug_output() {
    let pairs = [("AWS_ACCESS_KEY_ID", "key"), ("AWS_SECRET_ACCESS_KEY", SECRET), ("AWS_SESSION_TOKEN", SECRET)];
    let settings = settings(&pairs);
    let store = storage::open("s3://bucket", &settings).unwrap();
    let text = format!("{settings:?} {store:?}");
    assert!(text.contains("AWS_SECRET_ACCESS_KEY") && !text.contains(SECRET), "{text}");
}

#[test]
fn other_clouds_open_by_their_url() {
    let azure = [("AZURE_STORAGE_ACCOUNT_NAME", "account"), ("AZURE_STORAGE_ACCOUNT_KEY", "aHVudGVyMg==")];
    assert_eq!(store("az://container/mesh", &azure).name(), "az://container/mesh");
    assert_eq!(store("gs://bucket/mesh", &[("GOOGLE_SKIP_SIGNATURE", "true")]).name(), "gs://bucket/mesh");
    assert!(store("gs://bucket", &[("GOOGLE_SKIP_SIGNATURE", "true")]).ordered_listing());
    let error = storage::open("az://container", &settings(&[])).unwrap_err();
    assert_says(&error, &["az://container", "AZURE_STORAGE_"]);
}

/// A disk that was unmounted, a folder that was moved: writing must not begin another store where it was.
#[tokio::test]
async fn a_local_folder_that_went_away_is_not_made_again() {
    let scratch = Scratch::new();
    let folder = scratch.folder("store");
    let store = store(&folder.display().to_string(), &[]);
    store.put("a/b", Bytes::from_static(b"before")).await.unwrap();
    std::fs::rename(&folder, scratch.join("away")).unwrap();
    for stands_in in [false, true] {
        if stands_in {
            std::fs::create_dir(&folder).unwrap();
        }
        let put = store.put("a/c", Bytes::new()).await;
        assert!(matches!(put, Err(StoreError::Unusable { .. })), "{put:?}");
        let created = store.create("a/d", Bytes::new()).await;
        assert!(matches!(created, Err(CreateError::Refused(_))), "{created:?}");
        assert!(store.upload("a/e").await.is_err());
        assert_eq!(folder.exists(), stands_in);
    }
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0);
    std::fs::remove_dir(&folder).unwrap();
    std::fs::rename(scratch.join("away"), &folder).unwrap();
    store.put("a/c", Bytes::from_static(b"after")).await.unwrap();
}
