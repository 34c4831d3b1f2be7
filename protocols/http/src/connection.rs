//! test-connection: asks the remote something that changes nothing there.
//!
//! Any answer shows that the remote can be reached. Only that it does not admit us, or that
//! it is down, is a failure.

use std::time::Instant;

use action_protocol::http::Transport;
use action_protocol::http::url::Url;
use action_protocol::template::{Scalar, is_template};
use action_protocol::tls::Tls;
use action_protocol::{ConnectionReport, Effect, Failure, FailureKind, HttpRequest};
use serde_json::json;

use crate::config::Config;
use crate::failure::{judge, without_query};
use crate::{body, request};

/// Tests the connection with whatever sends.
pub fn test(config: &Config, transport: &impl Transport) -> Result<ConnectionReport, Failure> {
    let request = build(config)?;
    let target = without_query(&request.url);
    let start = Instant::now();
    let response = transport.send(&request).map_err(|error| {
        let mut failure = Failure::from_outbound(&error, Effect::Read);
        failure.message = format!("{} {target}: {}", request.method, failure.message);
        failure
    })?;
    let ms = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);

    let status = response.status;
    let server = response.header("server");
    let says = format!("{} {target} answered {status} in {ms} ms", request.method);
    let details = json!({
        "method": request.method,
        "url": target,
        "status": status,
        "server": server,
        "content_type": response.content_type(),
        "location": response.header("location"),
        "ms": ms,
    });
    let (kind, advice) = judge(&response, Effect::Read);
    if matches!(kind, FailureKind::Unauthenticated | FailureKind::Unavailable) {
        return Err(Failure { kind, message: says, advice, details: None }.details(&details));
    }
    let summary = match server {
        Some(server) => format!("{says} ({server})"),
        None => says,
    };
    Ok(ConnectionReport::new(summary).details(&details))
}

/// The request of the test: the action's own as far as it is known without an input.
fn build(config: &Config) -> Result<HttpRequest, Failure> {
    let mut request = HttpRequest::new(config.test.method.name(), target(config)?);
    request.timeout_ms = config.timeout_ms;
    request.tls = config.tls.as_ref().map(Tls::options);
    for (name, values) in &config.headers {
        if name.to_ascii_lowercase().starts_with("content-") {
            continue;
        }
        for value in values.all().iter().filter_map(fixed) {
            request = request.header(name, value);
        }
    }
    Ok(request::authorize(request, config))
}

fn target(config: &Config) -> Result<String, Failure> {
    let literal_end = config.url.find("{{").unwrap_or(config.url.len());
    let url = Url::parse(&config.url[..literal_end]).map_err(Failure::invalid_config)?;
    let mut target = match &config.test.path {
        Some(path) => return Ok(format!("{}{path}", url.origin())),
        None if is_template(&config.url) => format!("{}/", url.origin()),
        None => config.url.clone(),
    };
    // An API key may be among them.
    let mut pairs = String::new();
    for (name, values) in &config.query {
        for value in values.all().iter().filter_map(fixed) {
            body::push_pair(&mut pairs, name, &value);
        }
    }
    if !pairs.is_empty() {
        target.push(if target.contains('?') { '&' } else { '?' });
        target.push_str(&pairs);
    }
    Ok(target)
}

/// A value that needs no input.
fn fixed(value: &Scalar) -> Option<String> {
    match value {
        Scalar::Text(text) => (!is_template(text)).then(|| text.clone()),
        Scalar::Number(number) => Some(number.to_string()),
        Scalar::Flag(flag) => Some(flag.to_string()),
    }
}
