//! The three builders of `object_store`, configured by the environment as their own tools are.

use std::str::FromStr;
use std::sync::Arc;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey, S3ConditionalPut};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::signer::Signer;
use object_store::{ClientOptions, RetryConfig};

use super::super::error::StoreError;
use super::super::settings::{Environment, StoreSettings};
use super::super::url::{Cloud, StoreUrl};
use super::cloud::{Client, CloudStore};
use super::connector::{CONNECT, Connector};
use super::exchange::root_causes;
use super::profile::Profile;

/// The end of the name of an S3 Express bucket, whose listings are in no order.
const EXPRESS_SUFFIX: &str = "--x-s3";

/// Opens a bucket; nothing is sent yet.
pub fn open(cloud: Cloud, bucket: &str, prefix: &str, settings: &StoreSettings) -> Result<CloudStore, StoreError> {
    let connector = Connector::new(settings.sys.clock.clone());
    let environment = &settings.environment;
    let (client, endpoint) = match cloud {
        Cloud::S3 => s3(bucket, environment, &connector),
        Cloud::Gcs => gcs(bucket, environment, &connector),
        Cloud::Azure => azure(bucket, environment, &connector),
    };
    let url = StoreUrl::Cloud { cloud, bucket: bucket.to_owned(), prefix: prefix.to_owned() };
    let name = url.to_string();
    let (client, signer) = client.map_err(|error| misconfigured(cloud, &name, &error))?;
    let ordered = !(cloud == Cloud::S3 && bucket.ends_with(EXPRESS_SUFFIX));
    Ok(CloudStore { cloud, name, endpoint, prefix: prefix.to_owned(), client, signer, connector, ordered })
}

/// Repeats are ours: `object_store` sends a conditional put again after its answer was lost, and then reports the
/// writer's own success as somebody else's object.
fn no_repeats() -> RetryConfig {
    RetryConfig { max_retries: 0, ..RetryConfig::default() }
}

/// Time limits on answers and bodies are the connector's, which knows a slow transfer from a dead one.
pub fn client_options() -> ClientOptions {
    ClientOptions::new().with_timeout_disabled().with_connect_timeout(CONNECT)
}

/// The settings that `prefix` variables carry, for a builder whose keys are their names in lower case.
fn configured<'a, K: FromStr>(
    environment: &'a Environment,
    prefix: &'a str,
) -> impl Iterator<Item = (K, &'a str)> + 'a {
    let pairs = environment.starting_with(prefix);
    pairs.filter_map(|(name, value)| Some((name.to_ascii_lowercase().parse().ok()?, value)))
}

/// A client, who signs for it where that is of use, and what its endpoint is called.
type Opened = (object_store::Result<(Arc<dyn Client>, Option<Arc<dyn Signer>>)>, String);

/// Only S3 is asked for more than `object_store` can.
fn unsigned(client: impl Client) -> (Arc<dyn Client>, Option<Arc<dyn Signer>>) {
    (Arc::new(client), None)
}

fn s3(bucket: &str, environment: &Environment, connector: &Connector) -> Opened {
    let endpoint = environment.get("AWS_ENDPOINT_URL_S3").or_else(|| environment.get("AWS_ENDPOINT_URL"));
    let endpoint = endpoint.or_else(|| environment.get("AWS_ENDPOINT"));
    let plain = endpoint.is_some_and(|endpoint| endpoint.starts_with("http://"));
    let mut builder = AmazonS3Builder::new().with_client_options(client_options());
    for (key, value) in configured::<AmazonS3ConfigKey>(environment, "AWS_") {
        builder = builder.with_config(key, value);
    }
    // Of several variables for the endpoint the most specific wins, and AWS_REGION over the default region.
    if let Some(endpoint) = endpoint {
        builder = builder.with_endpoint(endpoint);
    }
    if let Some(region) = environment.get("AWS_REGION") {
        builder = builder.with_region(region);
    }
    if plain {
        builder = builder.with_allow_http(true);
    }
    builder = with_profile(builder, environment);
    // TLS protects bodies already, and hashing them once more costs a third of the speed of an upload; over plain
    // HTTP the signature is all there is. Whoever needs it otherwise says so.
    if environment.get("AWS_UNSIGNED_PAYLOAD").is_none() {
        builder = builder.with_unsigned_payload(!plain);
    }
    if bucket.ends_with(EXPRESS_SUFFIX) {
        builder = builder.with_s3_express(true);
    }
    let built = builder
        .with_bucket_name(bucket)
        .with_conditional_put(S3ConditionalPut::ETagMatch)
        // One object is deleted at a time, which every server understands.
        .with_disable_bulk_delete(true)
        .with_retry(no_repeats())
        .with_http_connector(connector.clone())
        .build();
    let endpoint = endpoint.map_or_else(|| "S3".to_owned(), str::to_owned);
    (
        built.map(|store| {
            let store = Arc::new(store);
            (store.clone() as Arc<dyn Client>, Some(store as Arc<dyn Signer>))
        }),
        endpoint,
    )
}

/// Fills in from the files of `aws configure` what the environment leaves open.
fn with_profile(mut builder: AmazonS3Builder, environment: &Environment) -> AmazonS3Builder {
    let given = |names: &[&str]| names.iter().any(|name| environment.get(name).is_some());
    let profile = Profile::read(environment);
    let keys = profile.access_key.zip(profile.secret_key);
    // An explicit way to get credentials goes before the files.
    let other_ways =
        ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_SKIP_SIGNATURE"];
    if let Some((access_key, secret_key)) = keys.filter(|_| !given(&other_ways)) {
        builder = builder.with_access_key_id(access_key).with_secret_access_key(secret_key);
        if let Some(token) = profile.session_token {
            builder = builder.with_token(token);
        }
    }
    match profile.region {
        Some(region) if !given(&["AWS_REGION", "AWS_DEFAULT_REGION"]) => builder.with_region(region),
        _ => builder,
    }
}

fn gcs(bucket: &str, environment: &Environment, connector: &Connector) -> Opened {
    let mut builder = GoogleCloudStorageBuilder::new().with_client_options(client_options());
    for (key, value) in configured::<GoogleConfigKey>(environment, "GOOGLE_") {
        builder = builder.with_config(key, value);
    }
    let built =
        builder.with_bucket_name(bucket).with_retry(no_repeats()).with_http_connector(connector.clone()).build();
    (built.map(unsigned), "Google Cloud Storage".to_owned())
}

fn azure(container: &str, environment: &Environment, connector: &Connector) -> Opened {
    let endpoint = environment.get("AZURE_STORAGE_ENDPOINT").or_else(|| environment.get("AZURE_ENDPOINT"));
    let mut builder = MicrosoftAzureBuilder::new().with_client_options(client_options());
    for (key, value) in configured::<AzureConfigKey>(environment, "AZURE_") {
        builder = builder.with_config(key, value);
    }
    if endpoint.is_some_and(|endpoint| endpoint.starts_with("http://")) {
        builder = builder.with_allow_http(true);
    }
    let built =
        builder.with_container_name(container).with_retry(no_repeats()).with_http_connector(connector.clone()).build();
    let endpoint = endpoint.map_or_else(|| "Azure Blob Storage".to_owned(), str::to_owned);
    (built.map(unsigned), endpoint)
}

/// A builder refuses only what the environment says, mostly half of a pair of credentials.
fn misconfigured(cloud: Cloud, store: &str, error: &object_store::Error) -> StoreError {
    let hint = match cloud {
        Cloud::S3 => "Check the variables AWS_*",
        Cloud::Gcs => "Check the variables GOOGLE_*",
        Cloud::Azure => "Check the variables AZURE_STORAGE_*",
    };
    StoreError::NoCredentials { store: store.to_owned(), reason: root_causes(error), hint }
}
