//! Says everything that is wrong with a config. A repeat may always deliver the mail twice.

use action_protocol::config::Findings;
use action_protocol::http::is_token;
use action_protocol::template::{Scalar, Values, below, is_template};
use action_protocol::{Accepted, Effect, Issue};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::config::{Config, Content, Security};
use crate::mailbox::Mailbox;

/// Headers that have a property of their own, or are made here.
const OWN_HEADERS: [&str; 11] = [
    "from",
    "to",
    "cc",
    "bcc",
    "reply-to",
    "subject",
    "date",
    "message-id",
    "mime-version",
    "content-type",
    "content-transfer-encoding",
];

/// What is wrong with a config, or what is odd about it.
pub fn validate(config: &Config) -> Result<Accepted, Vec<Issue>> {
    let mut found = Findings::default();
    mailbox(&mut found, &config.from, "/from");
    let lists = [("/to", &config.to), ("/cc", &config.cc), ("/bcc", &config.bcc), ("/reply_to", &config.reply_to)];
    for (pointer, list) in lists {
        for (n, value) in list.all().iter().enumerate() {
            let pointer = match list {
                Values::One(_) => pointer.to_owned(),
                Values::Many(_) => format!("{pointer}/{n}"),
            };
            match value {
                Scalar::Text(text) => mailbox(&mut found, text, &pointer),
                _ => found.issue(pointer, "invalid_address", "an address is written local@domain"),
            }
        }
    }
    if lists[..3].iter().all(|(_, list)| list.all().is_empty()) {
        found.issue("/to", "empty", "the mail goes to nobody");
    }
    found.template(&config.subject, "/subject");
    if config.text.is_none() && config.html.is_none() {
        found.issue("", "empty", "the mail has neither text nor html");
    }
    for (pointer, body) in [("/text", &config.text), ("/html", &config.html)] {
        if let Some(body) = body {
            found.template(body, pointer);
        }
    }
    for (name, value) in &config.headers {
        let pointer = below("/headers", name);
        if !is_token(name) {
            found.issue(pointer.as_str(), "invalid_header_name", "a header's name is a word; templates cannot make it");
        } else if OWN_HEADERS.contains(&name.to_ascii_lowercase().as_str()) {
            found.issue(pointer.as_str(), "reserved_header", "this header is made of the other properties");
        }
        found.template(value, &pointer);
    }
    for (n, attachment) in config.attachments.iter().enumerate() {
        let pointer = format!("/attachments/{n}");
        found.template(&attachment.name, &format!("{pointer}/name"));
        found.template(&attachment.content_type, &format!("{pointer}/content_type"));
        match &attachment.content {
            Content::Input => {}
            Content::Text(text) => found.template(text, &format!("{pointer}/content/text")),
            Content::Base64(text) if is_template(text) => found.template(text, &format!("{pointer}/content/base64")),
            Content::Base64(text) => {
                if let Err(error) = STANDARD.decode(text.trim()) {
                    found.issue(format!("{pointer}/content/base64"), "invalid_base64", error.to_string());
                }
            }
        }
    }
    access(&mut found, config);
    found.timeout_ms(Some(config.timeout_ms), "/timeout_ms");
    found.finish(Effect::Unsafe)
}

fn mailbox(found: &mut Findings, text: &str, pointer: &str) {
    if is_template(text) {
        found.template(text, pointer);
    } else if let Err(why) = Mailbox::parse(text) {
        found.issue(pointer, "invalid_address", why);
    }
}

fn access(found: &mut Findings, config: &Config) {
    match (&config.username, &config.password) {
        (Some(_), None) => found.issue("/username", "conflict", "a user is known by a password: give one too"),
        (None, Some(_)) => found.issue("/password", "conflict", "a password is that of a user: give one too"),
        _ => {}
    }
    if config.hello.is_empty() || !config.hello.bytes().all(|b| b.is_ascii_alphanumeric() || b".:[]-".contains(&b)) {
        found.issue("/hello", "invalid_name", "this is no name of a host");
    }
    if config.security == Security::None {
        if config.tls.is_some() {
            found.issue("/tls", "conflict", "without TLS this has no meaning: leave it out, or set security");
        }
        found.warn("/security", "in_clear", "without TLS everybody on the way can read what is sent");
    }
}
