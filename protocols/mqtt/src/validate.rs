//! Says everything that is wrong with a config, and what its repeats can do.

use action_protocol::config::Findings;
use action_protocol::{Accepted, Effect, Issue};

use crate::config::{Config, Publish, Security, Subscribe};

/// Longest topic and longest text in MQTT, in bytes (3.1.1, 1.5.3).
const TEXT_BYTES_MAX: usize = 65_535;

/// What is wrong with a config, or its effect and what is odd about it.
pub fn validate(config: &Config) -> Result<Accepted, Vec<Issue>> {
    let mut found = Findings::default();
    if config.username.is_none() && config.password.is_some() {
        found.issue("/password", "conflict", "MQTT has no password without a user: give username too");
    }
    if config.security == Security::None {
        if config.tls.is_some() {
            found.issue("/tls", "conflict", "without TLS this has no meaning: leave it out, or set security to tls");
        }
        if config.password.is_some() {
            found.warn("/security", "credentials_in_clear", "without TLS everybody on the way can read the password");
        }
    }
    found.timeout_ms(Some(config.timeout_ms), "/timeout_ms");
    match (&config.publish, &config.subscribe) {
        (None, None) => found.issue("", "required", "there is nothing to do: publish or subscribe"),
        (Some(_), Some(_)) => found.issue("/subscribe", "conflict", "an action publishes or subscribes, not both"),
        (Some(publish), None) => check_publish(&mut found, publish),
        (None, Some(subscribe)) => check_subscribe(&mut found, subscribe),
    }
    found.finish(effect(config))
}

/// What a repeat can do.
pub fn effect(config: &Config) -> Effect {
    // What was captured is not captured again.
    let Some(publish) = &config.publish else { return Effect::Idempotent };
    match publish.effect {
        Some(word) => word.into(),
        None if publish.retain => Effect::Idempotent,
        None => Effect::Unsafe,
    }
}

fn check_publish(found: &mut Findings, publish: &Publish) {
    found.template(&publish.topic, "/publish/topic");
    if let Err(why) = topic(&publish.topic) {
        found.issue("/publish/topic", "invalid_topic", why);
    }
    if let Some(payload) = &publish.payload {
        found.template(payload, "/publish/payload");
    }
    if publish.qos > 1 {
        found.issue("/publish/qos", "out_of_range", "0 or 1");
    }
}

fn check_subscribe(found: &mut Findings, subscribe: &Subscribe) {
    if subscribe.topics.is_empty() {
        found.issue("/subscribe/topics", "empty", "there is no topic");
    }
    for (n, filter) in subscribe.topics.iter().enumerate() {
        if let Err(why) = topic_filter(filter) {
            found.issue(format!("/subscribe/topics/{n}"), "invalid_topic", why);
        }
    }
    if subscribe.qos > 1 {
        found.issue("/subscribe/qos", "out_of_range", "0 or 1");
    }
}

/// Whether a message can have this topic (3.1.1, 4.7).
pub fn topic(text: &str) -> Result<(), &'static str> {
    if text.is_empty() || text.len() > TEXT_BYTES_MAX || text.contains('\0') {
        return Err("a topic has 1 to 65535 bytes, none of them 0");
    }
    if text.contains(['+', '#']) {
        return Err("a message has one topic: + and # are for subscriptions");
    }
    Ok(())
}

/// Whether these are topics to subscribe to (3.1.1, 4.7.1).
fn topic_filter(text: &str) -> Result<(), &'static str> {
    if text.is_empty() || text.len() > TEXT_BYTES_MAX || text.contains('\0') {
        return Err("a topic has 1 to 65535 bytes, none of them 0");
    }
    let levels: Vec<&str> = text.split('/').collect();
    for (n, level) in levels.iter().enumerate() {
        if level.contains('#') && (*level != "#" || n + 1 != levels.len()) {
            return Err("# stands alone, as the last level");
        }
        if level.contains('+') && *level != "+" {
            return Err("+ stands alone, for one level");
        }
    }
    Ok(())
}
