//! Makes the request of the config and the input.

use action_protocol::http::url::{self, Url};
use action_protocol::template::{Context, Structures, below, is_template, refused};
use action_protocol::tls::Tls;
use action_protocol::{Call, Failure, HttpRequest};

use crate::body;
use crate::config::{Auth, Config};

/// Remotes like to know who asks, and some refuse those who do not say.
const USER_AGENT: &str = concat!("action-service-http/", env!("CARGO_PKG_VERSION"));

/// The request of one execution.
pub fn build(call: &Call<Config>) -> Result<HttpRequest, Failure> {
    let config = &call.config;
    let context = Context::new(call);
    let mut request = HttpRequest::new(&config.method, target(config, &context)?);
    request.timeout_ms = config.timeout_ms;
    request.tls = config.tls.as_ref().map(Tls::options);

    for (name, values) in &config.headers {
        let place = below("/headers", name);
        for value in context.texts(values, &place)? {
            if !is_header_value(&value) {
                return Err(refused(&place, "…", "a header holds no control characters"));
            }
            request = request.header(name, value);
        }
    }
    request = authorize(request, config);
    if let Some((bytes, content_type)) = body::build(call, &context)? {
        if !is_header_value(&content_type) {
            return Err(Failure::invalid_input("the input's content type holds control characters"));
        }
        request = request.body(bytes).header_unless_set("Content-Type", content_type);
    }
    if config.sends_key() {
        request = request.header_unless_set(&config.idempotency_header, call.idempotency_key.as_str());
    }
    if let Some(traceparent) = call.traceparent.as_deref().filter(|_| config.traceparent) {
        request = request.header_unless_set("traceparent", traceparent);
    }
    Ok(request.header_unless_set("User-Agent", USER_AGENT))
}

/// The same request with its credentials, which the service puts in the handles' place.
pub fn authorize(request: HttpRequest, config: &Config) -> HttpRequest {
    match &config.auth {
        Some(Auth::Basic(basic)) => request.basic_auth(&basic.username, &basic.password),
        Some(Auth::Bearer(bearer)) => request.bearer_auth(&bearer.token),
        None => request,
    }
}

/// The URL with its templates filled in and the query added.
fn target(config: &Config, context: &Context<'_>) -> Result<String, Failure> {
    let mut target = context.text_with(&config.url, "/url", Structures::Refused, |url, value, fill| {
        // `orders/` instead of `orders/7` would be another thing, and DELETE would delete it.
        if value.is_empty() && !fill.optional && !url.contains('?') {
            return Err(refused("/url", fill.written, "the input holds an empty text there"));
        }
        url::encode(url, value);
        Ok(())
    })?;
    if is_template(&config.url) && leaves_its_path(&target) {
        return Err(refused("/url", "…", "the input would lead out of the path"));
    }
    let mut pairs = String::new();
    for (name, values) in &config.query {
        for value in context.texts(values, &below("/query", name))? {
            body::push_pair(&mut pairs, name, &value);
        }
    }
    if !pairs.is_empty() {
        target.push(match target.find('?') {
            None => '?',
            Some(_) => '&',
        });
        target.push_str(&pairs);
    }
    Ok(target)
}

/// Whether a segment of the path is `.` or `..`, which whoever reads the URL would resolve.
/// Slashes in a value are encoded, so it takes a value that is nothing but dots.
fn leaves_its_path(target: &str) -> bool {
    let path = Url::parse(target).map(|url| url.path).unwrap_or_default();
    path.split('/').any(|segment| matches!(segment.to_ascii_lowercase().replace("%2e", ".").as_str(), "." | ".."))
}

/// Whether bytes can stand in a header without ending it.
pub fn is_header_value(value: &str) -> bool {
    value.bytes().all(|b| b == b'\t' || (b >= b' ' && b != 0x7f))
}
