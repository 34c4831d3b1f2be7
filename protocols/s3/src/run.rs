//! One execution: request, answer, output. And the connection test.

use std::time::{Duration, Instant, SystemTime};

use action_protocol::http::{Transport, url};
use action_protocol::template::{Context, Structures, refused};
use action_protocol::tls::Tls;
use action_protocol::{Call, ConnectionReport, Failure, HttpRequest, HttpResponse, Outcome, Payload};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::config::{Config, Content, List, Operation, Put};
use crate::sign::Signer;
use crate::{failure, xml};

/// The longest key that S3 has, in bytes.
const KEY_BYTES_MAX: usize = 1_024;

/// One execution, with whatever sends.
pub fn execute(call: &Call<Config>, transport: &impl Transport) -> Result<Outcome, Failure> {
    let (config, context) = (&call.config, Context::new(call));
    match &config.operation {
        Operation::Put(put) => {
            let key = key(&context, &put.key, "/operation/put/key")?;
            let (bytes, content_type) = content(&context, put)?;
            let size = bytes.len();
            let mut request =
                HttpRequest::put(object_url(config, &key)).body(bytes).header("Content-Type", content_type);
            if put.only_if_absent {
                request = request.header("If-None-Match", "*");
            }
            let response = send(config, transport, request, &format!("PUT {key}"))?;
            let etag = response.header("etag").map(|etag| etag.trim_matches('"'));
            let version = response.header("x-amz-version-id");
            Ok(Payload::json(&json!({ "key": key, "size": size, "etag": etag, "version": version }))?.into())
        }
        Operation::Get(get) => {
            let key = key(&context, &get.key, "/operation/get/key")?;
            let response = send(config, transport, HttpRequest::get(object_url(config, &key)), &format!("GET {key}"))?;
            Ok(response.into_payload().into())
        }
        Operation::Delete(delete) => {
            let key = key(&context, &delete.key, "/operation/delete/key")?;
            send(config, transport, HttpRequest::delete(object_url(config, &key)), &format!("DELETE {key}"))?;
            Ok(Payload::json(&json!({ "key": key }))?.into())
        }
        Operation::List(list) => {
            let prefix = context.text(&list.prefix, "/operation/list/prefix", Structures::Refused)?;
            let after = list.after.as_ref();
            let after =
                after.map(|after| context.text(after, "/operation/list/after", Structures::Refused)).transpose()?;
            let request = HttpRequest::get(list_url(config, list, &prefix, after.as_deref().unwrap_or_default()));
            let response = send(config, transport, request, "list")?;
            Ok(Payload::json(&listed(&response)?)?.into())
        }
    }
}

/// test-connection: lists at most one object.
pub fn test(config: &Config, transport: &impl Transport) -> Result<ConnectionReport, Failure> {
    let start = Instant::now();
    let list = List { prefix: String::new(), delimiter: None, after: None, keys_max: 1 };
    let request = HttpRequest::get(list_url(config, &list, "", ""));
    let response = send(config, transport, request, "list")?;
    listed(&response)?;
    let ms = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
    let server = response.header("server");
    let bucket = config.bucket.as_deref().unwrap_or("of its name");
    let summary = format!(
        "{} at {} knows the key {} and lists the bucket {bucket} in {ms} ms",
        server.unwrap_or("the server"),
        config.endpoint,
        config.access_key_id
    );
    let details = json!({
        "endpoint": config.endpoint, "bucket": config.bucket, "region": config.region, "server": server,
        "access_key_id": config.access_key_id, "ms": ms,
    });
    Ok(ConnectionReport::new(summary).details(&details))
}

#[expect(clippy::disallowed_methods, reason = "a component's clock is the service's: a capability already")]
fn now() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

fn send(
    config: &Config,
    transport: &impl Transport,
    mut request: HttpRequest,
    what: &str,
) -> Result<HttpResponse, Failure> {
    request.timeout_ms = config.timeout_ms;
    request.tls = config.tls.as_ref().map(Tls::options);
    let token = config.session_token.as_ref().map(|token| token.value("/session_token")).transpose()?;
    let token = token.map(String::from_utf8).transpose();
    let token = token.map_err(|_| Failure::invalid_config("config /session_token: the token is no text"))?;
    let signer =
        Signer { key_id: &config.access_key_id, key: &config.secret_access_key, token, region: &config.region };
    let request = signer.sign(request, now())?;
    let response = transport.send(&request).map_err(|error| failure::of_outbound(&error, what))?;
    if response.is_success() { Ok(response) } else { Err(failure::of_response(&response, what)) }
}

fn base(config: &Config) -> String {
    let endpoint = config.endpoint.trim_end_matches('/');
    config.bucket.as_ref().map_or_else(|| endpoint.to_owned(), |bucket| format!("{endpoint}/{bucket}"))
}

fn object_url(config: &Config, key: &str) -> String {
    let mut target = base(config);
    for part in key.split('/') {
        target.push('/');
        url::encode(&mut target, part);
    }
    target
}

/// In the order of the names, as the signature has it.
fn list_url(config: &Config, list: &List, prefix: &str, after: &str) -> String {
    let mut target = base(config);
    target.push_str(if config.bucket.is_some() { "?" } else { "/?" });
    let delimiter = list.delimiter.as_deref().unwrap_or_default();
    let keys_max = list.keys_max.to_string();
    let named = [
        ("delimiter", delimiter),
        ("list-type", "2"),
        ("max-keys", &keys_max),
        ("prefix", prefix),
        ("start-after", after),
    ];
    for (n, (name, value)) in named.into_iter().filter(|(_, value)| !value.is_empty()).enumerate() {
        target.push_str(if n == 0 { "" } else { "&" });
        target.push_str(name);
        target.push('=');
        url::encode(&mut target, value);
    }
    target
}

fn key(context: &Context<'_>, text: &str, place: &str) -> Result<String, Failure> {
    let key = context.text(text, place, Structures::Refused)?;
    // Whoever reads the URL would resolve these, and it would be another object.
    if key.split('/').any(|part| matches!(part, "." | "..")) {
        return Err(refused(place, "…", "a key has no part that is . or .."));
    }
    if key.is_empty() || key.len() > KEY_BYTES_MAX {
        return Err(refused(place, "…", &format!("a key has from 1 to {KEY_BYTES_MAX} bytes")));
    }
    Ok(key)
}

/// What is written, and its media type.
fn content(context: &Context<'_>, put: &Put) -> Result<(Vec<u8>, String), Failure> {
    let place = "/operation/put/content";
    let (bytes, content_type) = match &put.content {
        Content::Input => {
            let payload = context.payload();
            (payload.data.clone(), payload.content_type.clone())
        }
        Content::Json(value) => {
            (context.json(value, &format!("{place}/json"))?.to_string().into_bytes(), "application/json".to_owned())
        }
        Content::Text(text) => {
            let text = context.text(text, &format!("{place}/text"), Structures::AsJson)?;
            (text.into_bytes(), "text/plain; charset=utf-8".to_owned())
        }
        Content::Base64(text) => {
            let place = format!("{place}/base64");
            let text = context.text(text, &place, Structures::Refused)?;
            let bytes = STANDARD.decode(text.trim());
            (bytes.map_err(|error| refused(&place, "…", &format!("not base64: {error}")))?, String::new())
        }
    };
    let content_type = put.content_type.clone().unwrap_or(content_type);
    let content_type = if content_type.is_empty() { "application/octet-stream".to_owned() } else { content_type };
    Ok((bytes, content_type))
}

fn listed(response: &HttpResponse) -> Result<Value, Failure> {
    let xml = std::str::from_utf8(&response.body).ok().filter(|xml| xml.contains("<ListBucketResult"));
    let xml = xml.ok_or_else(|| Failure::bad_response("the answer is no list of objects"))?;
    let object = |one: &&str| {
        let key = xml::text(one, "Key")?;
        Some(json!({
            "key": key,
            "size": xml::text(one, "Size").and_then(|size| size.parse::<u64>().ok()),
            "etag": xml::text(one, "ETag").map(|etag| etag.trim_matches('"').to_owned()),
            "modified": xml::text(one, "LastModified"),
        }))
    };
    let objects: Vec<Value> = xml::elements(xml, "Contents").iter().filter_map(object).collect();
    let prefixes: Vec<String> =
        xml::elements(xml, "CommonPrefixes").iter().filter_map(|one| xml::text(one, "Prefix")).collect();
    let truncated = xml::text(xml, "IsTruncated").as_deref() == Some("true");
    Ok(json!({ "objects": objects, "prefixes": prefixes, "truncated": truncated }))
}
