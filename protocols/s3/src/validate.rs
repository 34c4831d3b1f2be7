//! Says everything that is wrong with a config, and what its repeats can do.

use action_protocol::config::Findings;
use action_protocol::http::url::Url;
use action_protocol::template::is_template;
use action_protocol::{Accepted, Effect, Issue};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::config::{Config, Content, KEYS_MAX, Operation};

/// What is wrong with a config, or its effect and what is odd about it.
pub fn validate(config: &Config) -> Result<Accepted, Vec<Issue>> {
    let mut found = Findings::default();
    if is_template(&config.endpoint) {
        found.issue("/endpoint", "template_in_host", "what the action may reach is no template");
    } else {
        match Url::parse(&config.endpoint) {
            Err(why) => found.issue("/endpoint", "invalid_url", why),
            Ok(url) if !matches!(url.path, "" | "/") || url.query.is_some() || config.endpoint.contains('#') => {
                found.issue(
                    "/endpoint",
                    "invalid_url",
                    "an endpoint is scheme, host and port; bucket names the bucket",
                );
            }
            Ok(url) if !url.is_https() => {
                found.warn("/endpoint", "in_clear", "without https everybody on the way can read what is sent");
            }
            Ok(_) => {}
        }
    }
    let is_name =
        |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b".-_".contains(&b));
    if !is_name(&config.region) {
        found.issue("/region", "invalid_name", "this is no name of a region");
    }
    if config.bucket.as_ref().is_some_and(|bucket| !is_name(bucket) || bucket.contains("..") || bucket.len() < 3) {
        found.issue("/bucket", "invalid_name", "this is no name of a bucket, which is no template either");
    }
    if config.access_key_id.is_empty()
        || !config.access_key_id.bytes().all(|b| b.is_ascii_graphic() && !b",/".contains(&b))
    {
        found.issue("/access_key_id", "invalid_name", "this is no id of a key");
    }
    let key = |found: &mut Findings, key: &str, pointer: &str| {
        found.template(key, pointer);
        if key.is_empty() {
            found.issue(pointer, "empty", "an object has a key");
        }
    };
    match &config.operation {
        Operation::Put(put) => {
            key(&mut found, &put.key, "/operation/put/key");
            let place = "/operation/put/content";
            match &put.content {
                Content::Input => {}
                Content::Json(value) => found.json_template(value, &format!("{place}/json")),
                Content::Text(text) => found.template(text, &format!("{place}/text")),
                Content::Base64(text) if is_template(text) => found.template(text, &format!("{place}/base64")),
                Content::Base64(text) => {
                    if let Err(error) = STANDARD.decode(text.trim()) {
                        found.issue(format!("{place}/base64"), "invalid_base64", error.to_string());
                    }
                }
            }
        }
        Operation::Get(get) => key(&mut found, &get.key, "/operation/get/key"),
        Operation::Delete(delete) => key(&mut found, &delete.key, "/operation/delete/key"),
        Operation::List(list) => {
            found.template(&list.prefix, "/operation/list/prefix");
            list.after.iter().for_each(|after| found.template(after, "/operation/list/after"));
            if !(1..=KEYS_MAX).contains(&list.keys_max) {
                found.issue("/operation/list/keys_max", "out_of_range", format!("from 1 to {KEYS_MAX} are listed"));
            }
        }
    }
    found.timeout_ms(config.timeout_ms, "/timeout_ms");
    found.finish(effect(config))
}

/// What a repeat can do. One that finds its own object there already with `only_if_absent` changes nothing
/// further; its answer is another, which is no effect.
pub fn effect(config: &Config) -> Effect {
    match config.operation {
        Operation::Get(_) | Operation::List(_) => Effect::Read,
        Operation::Put(_) | Operation::Delete(_) => Effect::Idempotent,
    }
}
