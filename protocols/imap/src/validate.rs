//! Says everything that is wrong with a config, and what its repeats can do.

use action_protocol::config::Findings;
use action_protocol::{Accepted, Effect, Issue};

use crate::command;
use crate::config::{
    Attachments, Config, Content, MAILBOX_BYTES_MAX, MESSAGE_BYTES_MAX, MESSAGE_BYTES_MIN, MESSAGE_BYTES_WITHIN_FUEL,
    MESSAGES_MAX, SEARCH_BYTES_MAX, Security,
};

/// What is wrong with a config, or its effect and what is odd about it.
pub fn validate(config: &Config) -> Result<Accepted, Vec<Issue>> {
    let mut found = Findings::default();
    if config.security == Security::None {
        if config.tls.is_some() {
            found.issue("/tls", "conflict", "without TLS this has no meaning: leave it out, or set security");
        }
        found.warn("/security", "credentials_in_clear", "without TLS everybody on the way can read the password");
    }
    text(&mut found, "/username", &config.username, usize::MAX);
    if config.password.is_empty() {
        found.issue("/password", "empty", "there is no password");
    }
    text(&mut found, "/mailbox", &config.mailbox, MAILBOX_BYTES_MAX);
    let search = &config.search;
    for (pointer, given) in
        [("/search/from", &search.from), ("/search/to", &search.to), ("/search/subject", &search.subject)]
    {
        if let Some(given) = given {
            text(&mut found, pointer, given, SEARCH_BYTES_MAX);
        }
    }
    if search.since.as_deref().is_some_and(|day| command::day(day).is_none()) {
        found.issue("/search/since", "invalid_date", "a day is written as 2026-11-23");
    }
    if config.attachments == Attachments::Content && config.content != Content::Text {
        found.issue("/attachments", "conflict", "only an item with content \"text\" holds what is attached");
    }
    if !(1..=MESSAGES_MAX).contains(&config.max_messages) {
        found.issue("/max_messages", "out_of_range", format!("from 1 to {MESSAGES_MAX}"));
    }
    if !(MESSAGE_BYTES_MIN..=MESSAGE_BYTES_MAX).contains(&config.message_bytes_max) {
        let message = format!("from {MESSAGE_BYTES_MIN} to {MESSAGE_BYTES_MAX}");
        found.issue("/message_bytes_max", "out_of_range", message);
    }
    let is_taken_apart = config.content == Content::Text && !config.wait;
    if is_taken_apart && config.message_bytes_max > MESSAGE_BYTES_WITHIN_FUEL {
        let message =
            "a mail this large takes more fuel than an action has by default: raise limits.fuel, by 200 a byte";
        found.warn("/message_bytes_max", "needs_fuel", message);
    }
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    if config.kind.is_empty() || config.kind.len() > 63 || !config.kind.bytes().all(plain) {
        found.issue("/kind", "invalid_kind", "a kind is snake_case, of 1 to 63 letters");
    }
    found.timeout_ms(Some(config.timeout_ms), "/timeout_ms");
    found.finish(effect(config))
}

/// What a repeat can do. What was captured is not captured again, and what is marked is marked.
pub fn effect(config: &Config) -> Effect {
    if config.mark_seen { Effect::Idempotent } else { Effect::Read }
}

fn text(found: &mut Findings, pointer: &str, text: &str, bytes_max: usize) {
    if text.is_empty() {
        found.issue(pointer, "empty", "there is nothing in it");
    } else if text.len() > bytes_max {
        found.issue(pointer, "out_of_range", format!("at most {bytes_max} bytes"));
    }
    if text.chars().any(char::is_control) {
        found.issue(pointer, "control_character", "it holds no control characters");
    }
}
