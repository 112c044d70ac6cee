//! The three builders of `object_store`, configured by the environment as their own tools are.

use std::str::FromStr;
use std::sync::Arc;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey, S3ConditionalPut};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::{ClientOptions, RetryConfig};

use super::super::error::StoreError;
use super::super::settings::{Environment, StoreSettings};
use super::super::url::{Cloud, StoreUrl};
use super::access::{Access, Client, Renewable};
use super::cloud::CloudStore;
use super::connector::{CONNECT, Connector};
use super::exchange::root_causes;
use super::profile::Profile;

/// The end of the name of an S3 Express bucket, whose listings are in no order.
const EXPRESS_SUFFIX: &str = "--x-s3";

/// The endpoint is said in messages, and by libraries in a log at `trace`: what is secret has variables of its own.
fn refuse_secrets(store: &str, environment: &Environment) -> Result<(), StoreError> {
    let prefixes = ["AWS_ENDPOINT", "AZURE_ENDPOINT", "AZURE_STORAGE_ENDPOINT", "GOOGLE_BASE_URL"];
    let mut endpoints = prefixes.iter().flat_map(|prefix| environment.starting_with(prefix));
    match endpoints.find(|(_, endpoint)| endpoint.contains(['@', '?', '#'])) {
        None => Ok(()),
        Some((name, _)) => {
            let reason = format!("{name} has credentials or options in it");
            Err(StoreError::NoCredentials { store: store.to_owned(), reason, hint: "They have variables of their own" })
        }
    }
}

/// Opens a bucket; nothing is sent yet.
pub fn open(cloud: Cloud, bucket: &str, prefix: &str, settings: &StoreSettings) -> Result<CloudStore, StoreError> {
    let connector = Connector::new(settings.sys.clock.clone());
    let environment = &settings.environment;
    let url = StoreUrl::Cloud { cloud, bucket: bucket.to_owned(), prefix: prefix.to_owned() };
    let name = url.to_string();
    refuse_secrets(&name, environment)?;
    let endpoint = match cloud {
        Cloud::S3 => s3_endpoint(environment).unwrap_or("S3"),
        Cloud::Gcs => "Google Cloud Storage",
        Cloud::Azure => azure_endpoint(environment).unwrap_or("Azure Blob Storage"),
    };
    let endpoint = endpoint.to_owned();
    let make = {
        let (bucket, environment, connector) = (bucket.to_owned(), environment.clone(), connector.clone());
        move || match cloud {
            Cloud::S3 => s3(&bucket, &environment, connector.another()),
            Cloud::Gcs => gcs(&bucket, &environment, connector.another()),
            Cloud::Azure => azure(&bucket, &environment, connector.another()),
        }
    };
    let access = Arc::new(Renewable::new(make).map_err(|error| misconfigured(cloud, &name, &error))?);
    let ordered = !(cloud == Cloud::S3 && bucket.ends_with(EXPRESS_SUFFIX));
    Ok(CloudStore { cloud, name, endpoint, prefix: prefix.to_owned(), access, connector, ordered })
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

/// Only S3 is asked for more than `object_store` can.
fn unsigned(client: impl Client) -> Access {
    Access { client: Arc::new(client), signer: None }
}

/// Of several variables the most specific wins.
fn s3_endpoint(environment: &Environment) -> Option<&str> {
    let endpoint = environment.get("AWS_ENDPOINT_URL_S3").or_else(|| environment.get("AWS_ENDPOINT_URL"));
    endpoint.or_else(|| environment.get("AWS_ENDPOINT"))
}

fn s3(bucket: &str, environment: &Environment, connector: Connector) -> object_store::Result<Access> {
    let endpoint = s3_endpoint(environment);
    let plain = endpoint.is_some_and(|endpoint| endpoint.starts_with("http://"));
    let mut builder = AmazonS3Builder::new().with_client_options(client_options());
    for (key, value) in configured::<AmazonS3ConfigKey>(environment, "AWS_") {
        builder = builder.with_config(key, value);
    }
    // AWS_REGION wins over the default region.
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
        .with_http_connector(connector)
        .build();
    built.map(|store| {
        let store = Arc::new(store);
        Access { client: store.clone(), signer: Some(store) }
    })
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

fn gcs(bucket: &str, environment: &Environment, connector: Connector) -> object_store::Result<Access> {
    let mut builder = GoogleCloudStorageBuilder::new().with_client_options(client_options());
    for (key, value) in configured::<GoogleConfigKey>(environment, "GOOGLE_") {
        builder = builder.with_config(key, value);
    }
    let built = builder.with_bucket_name(bucket).with_retry(no_repeats()).with_http_connector(connector).build();
    built.map(unsigned)
}

fn azure_endpoint(environment: &Environment) -> Option<&str> {
    environment.get("AZURE_STORAGE_ENDPOINT").or_else(|| environment.get("AZURE_ENDPOINT"))
}

fn azure(container: &str, environment: &Environment, connector: Connector) -> object_store::Result<Access> {
    let mut builder = MicrosoftAzureBuilder::new().with_client_options(client_options());
    for (key, value) in configured::<AzureConfigKey>(environment, "AZURE_") {
        builder = builder.with_config(key, value);
    }
    if azure_endpoint(environment).is_some_and(|endpoint| endpoint.starts_with("http://")) {
        builder = builder.with_allow_http(true);
    }
    let built = builder.with_container_name(container).with_retry(no_repeats()).with_http_connector(connector).build();
    built.map(unsigned)
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
