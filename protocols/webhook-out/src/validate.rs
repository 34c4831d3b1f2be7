//! Says everything that is wrong with a config.

use action_protocol::config::Findings;
use action_protocol::http::is_token;
use action_protocol::http::url::Url;
use action_protocol::template::below;
use action_protocol::{Accepted, Effect, Issue};

use crate::config::Config;

/// Headers that this protocol or the service writes.
const OWN_HEADERS: [&str; 8] = [
    "webhook-id",
    "webhook-timestamp",
    "webhook-signature",
    "content-type",
    "content-length",
    "host",
    "connection",
    "transfer-encoding",
];

/// What is wrong with a config, or that a repeat is known by its id.
pub fn validate(config: &Config) -> Result<Accepted, Vec<Issue>> {
    let mut found = Findings::default();
    match Url::parse(&config.url) {
        Err(why) => found.issue("/url", "invalid_url", why),
        Ok(_) if config.url.contains('#') => {
            found.issue("/url", "fragment_in_url", "what is behind # is never sent");
        }
        Ok(_) if !config.url.get(..6).is_some_and(|start| start.eq_ignore_ascii_case("https:")) => {
            found.warn("/url", "in_clear", "without https everybody on the way can read what is delivered");
        }
        Ok(_) => {}
    }
    for name in config.headers.keys() {
        let pointer = below("/headers", name);
        if !is_token(name) {
            found.issue(pointer, "invalid_header_name", "a header's name is a word of letters, digits and a few signs");
        } else if OWN_HEADERS.contains(&name.to_ascii_lowercase().as_str()) {
            found.issue(pointer, "reserved_header", "this header is written with each delivery");
        }
    }
    for (name, value) in &config.headers {
        if value.bytes().any(|byte| byte < b' ' && byte != b'\t' || byte == 0x7f) {
            found.issue(below("/headers", name), "invalid_header_value", "a header holds no control characters");
        }
    }
    if !config.secret.is_handle() {
        let message = "the secret is given as {\"$secret\": \"name\"}: the service signs with it";
        found.issue("/secret", "not_a_secret", message);
    }
    if config.old_secret.as_ref().is_some_and(|secret| !secret.is_handle()) {
        let message = "the secret is given as {\"$secret\": \"name\"}: the service signs with it";
        found.issue("/old_secret", "not_a_secret", message);
    }
    found.timeout_ms(Some(config.timeout_ms), "/timeout_ms");
    found.finish(Effect::Keyed)
}
