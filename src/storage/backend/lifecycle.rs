//! Rules of a bucket that remove objects by age. `object_store` has no call for them, so the question is a request of
//! our own, signed by it.

use std::time::Duration;

use object_store::client::{HttpConnector, HttpRequest, HttpRequestBody, ReqwestConnector};
use object_store::path::Path;
use object_store::signer::{SignedUrlOptions, Signer};

use super::super::store::Expiry;
use super::clouds::client_options;
use super::exchange::{code_and_message, root_causes};

/// Longest time for the one request, connection and answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// Asks the bucket; `prefix` is the store's, and rules for others do not count.
pub async fn expiry_of_s3(signer: &dyn Signer, prefix: &str, allow_http: bool) -> Expiry {
    match ask(signer, allow_http).await {
        Ok((200, body)) => match rules(&String::from_utf8_lossy(&body), prefix) {
            found if found.is_empty() => Expiry::Never,
            found => Expiry::Rules(found.join(", ")),
        },
        Ok((404, body)) if code_and_message(&body).0 == "NoSuchLifecycleConfiguration" => Expiry::Never,
        Ok((status, body)) => Expiry::NotKnown(format!("{status} {}", code_and_message(&body).0).trim().to_owned()),
        Err(error) => Expiry::NotKnown(root_causes(&*error)),
    }
}

type AskError = Box<dyn std::error::Error + Send + Sync>;

async fn ask(signer: &dyn Signer, allow_http: bool) -> Result<(u16, bytes::Bytes), AskError> {
    let options = SignedUrlOptions::default().with_query([("lifecycle", "")]);
    let url = signer.signed_url_opts("GET".parse()?, &Path::default(), PATIENCE, &options).await?;
    let client =
        ReqwestConnector::default().connect(&client_options().with_allow_http(allow_http).with_timeout(PATIENCE))?;
    let mut request = HttpRequest::new(HttpRequestBody::empty());
    *request.uri_mut() = url.as_str().parse()?;
    let response = client.execute(request).await?;
    let status = response.status().as_u16();
    Ok((status, response.into_body().bytes().await?))
}

/// The names of enabled rules that expire objects below `prefix`.
fn rules(xml: &str, prefix: &str) -> Vec<String> {
    let element = |text: &str, name: &str| {
        let (_, rest) = text.split_once(&format!("<{name}>"))?;
        rest.split_once(&format!("</{name}>")).map(|(inner, _)| inner.trim().to_owned())
    };
    let each = xml.split("<Rule>").skip(1).filter_map(|rest| rest.split_once("</Rule>").map(|(rule, _)| rule));
    let expiring = each.filter(|rule| {
        let of = element(rule, "Prefix").unwrap_or_default();
        let concerns = prefix.starts_with(&of) || of.starts_with(prefix);
        // A rule for unfinished uploads or old versions touches no object that is named.
        let removes =
            element(rule, "Expiration").is_some_and(|when| when.contains("<Days>") || when.contains("<Date>"));
        element(rule, "Status").as_deref() == Some("Enabled") && concerns && removes
    });
    expiring.map(|rule| element(rule, "ID").unwrap_or_else(|| "without a name".to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: &str = "<LifecycleConfiguration>\
        <Rule><ID>all</ID><Prefix></Prefix><Status>Enabled</Status><Expiration><Days>30</Days></Expiration></Rule>\
        <Rule><ID>off</ID><Prefix></Prefix><Status>Disabled</Status><Expiration><Days>30</Days></Expiration></Rule>\
        <Rule><ID>tmp</ID><Filter><Prefix>tmp/</Prefix></Filter><Status>Enabled</Status><Expiration><Days>1</Days></Expiration></Rule>\
        <Rule><ID>parts</ID><Prefix></Prefix><Status>Enabled</Status><AbortIncompleteMultipartUpload>\
        <DaysAfterInitiation>7</DaysAfterInitiation></AbortIncompleteMultipartUpload></Rule></LifecycleConfiguration>";

    #[test]
    fn only_enabled_rules_that_expire_our_objects_count() {
        assert_eq!(rules(RULES, "mesh"), ["all"]);
        assert_eq!(rules(RULES, "tmp/mesh"), ["all", "tmp"]);
        assert_eq!(rules(RULES, ""), ["all", "tmp"]);
        assert_eq!(rules("<LifecycleConfiguration></LifecycleConfiguration>", ""), [""; 0]);
    }
}
