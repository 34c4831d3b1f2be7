//! Makes the request of a delivery: what is signed is `id.timestamp.body`.

use action_protocol::tls::Tls;
use action_protocol::{Call, Failure, HttpRequest};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::Sign;
use crate::config::Config;

/// Remotes like to know who asks.
const USER_AGENT: &str = concat!("action-service-webhook-out/", env!("CARGO_PKG_VERSION"));

/// The request of one delivery, at this time (seconds since the epoch).
pub fn build(call: &Call<Config>, signer: &impl Sign, now: u64) -> Result<HttpRequest, Failure> {
    let config = &call.config;
    // The same for every attempt: it is what receivers know a repeat by.
    let id = &call.idempotency_key;
    let mut message = format!("{id}.{now}.").into_bytes();
    message.extend_from_slice(&call.input.data);
    let mut request = HttpRequest::new("POST", &config.url);
    request.timeout_ms = Some(config.timeout_ms);
    request.tls = config.tls.as_ref().map(Tls::options);
    for (name, value) in &config.headers {
        request = request.header(name, &**value);
    }
    request = request
        .body(call.input.data.clone())
        .header("Content-Type", call.input.content_type.as_str())
        .header("webhook-id", id.as_str())
        .header("webhook-timestamp", now.to_string())
        .header("webhook-signature", signatures(config, signer, &message)?)
        .header_unless_set("User-Agent", USER_AGENT);
    if let Some(traceparent) = &call.traceparent {
        request = request.header_unless_set("traceparent", traceparent.as_str());
    }
    Ok(request)
}

/// One for each secret, with blanks between.
pub fn signatures(config: &Config, signer: &impl Sign, message: &[u8]) -> Result<String, Failure> {
    let secrets = [("/secret", Some(&config.secret)), ("/old_secret", config.old_secret.as_ref())];
    let mut signatures = Vec::new();
    for (pointer, secret) in secrets {
        let Some(secret) = secret else { continue };
        let signature = signer.sign(secret, message).map_err(|_| {
            Failure::invalid_config(format!("config {pointer}: it is no secret that can sign: base64, behind whsec_"))
        })?;
        signatures.push(format!("v1,{}", STANDARD.encode(signature)));
    }
    Ok(signatures.join(" "))
}
