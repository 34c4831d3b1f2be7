//! What an attempt leaves in the record, and the secrets that must not stand in it.
//!
//! The input: a secret, a text before it, a text behind it, and a byte that says where a line is broken.
#![cfg_attr(feature = "libfuzzer", no_main)]

use action_domain::{
    event::Fact,
    limits::SECRET_BYTES_MIN,
    payload::Payload,
    secret::{AttemptSecrets, HANDLE_PREFIX, Held, SecretValue},
    services::Journal,
    time::Timestamp,
};
use action_fuzz_targets::parts;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use std::sync::Arc;

#[cfg(feature = "libfuzzer")]
libfuzzer_sys::fuzz_target!(|data: &[u8]| check(data));

const MARKER: &str = "[secret:q]";
/// Longer ones only take longer.
const SECRET_BYTES_MAX: usize = 64;

/// Writes the secret down in every way that the service promises to find.
pub fn check(data: &[u8]) {
    let [secret, before, behind, places] = parts(data);
    let secret = secret.trim_ascii();
    let has = |part: &[u8]| !part.is_empty() && MARKER.as_bytes().windows(part.len()).any(|window| window == part);
    // A secret that is a part of what stands in its place, or begins or ends with a part of it, may be in any record.
    if !(SECRET_BYTES_MIN..=SECRET_BYTES_MAX).contains(&secret.len())
        || has(secret)
        || secret.iter().any(|byte| b"[]".contains(byte))
    {
        return;
    }
    let handle = format!("{HANDLE_PREFIX}{}", "5".repeat(32));
    let held = Held {
        handle: handle.clone(),
        name: "q".parse().expect("a name"),
        value: Some(Arc::new(SecretValue::from(secret.to_vec()))),
        reveal: false,
    };
    let secrets = Arc::new(AttemptSecrets::new(vec![held]));
    let redactor = secrets.redactor();
    let holds = |text: &[u8], part: &[u8]| text.windows(part.len()).any(|window| window == part);

    // As it is, and as its handle.
    let plain = [before, secret, behind].concat();
    let clean = redactor.bytes(&plain);
    assert!(!holds(&clean, secret), "{clean:?}");
    assert!(clean.len() <= (plain.len() + 1) * MARKER.len(), "{} of {}", clean.len(), plain.len());
    let handled = [before, handle.as_bytes(), behind].concat();
    assert!(!holds(&redactor.bytes(&handled), handle.as_bytes()));

    // A part of it is a text like any other, and where the host cuts a text no part is left. Of a secret with lines
    // each line counts.
    if !secret.contains(&b'\n') {
        for part in (1..secret.len()).map(|end| &secret[..end]) {
            assert!(matches!(redactor.bytes(part), std::borrow::Cow::Borrowed(_)), "{part:?}");
        }
        let value = String::from_utf8_lossy(secret);
        let around = format!("\n{value}\n");
        for chars in (1..value.chars().count()).filter(|_| value.as_bytes() == secret) {
            assert_eq!(redactor.cut(&around, chars), Some("\n"), "{chars} of {around:?}");
        }
    }

    // In base64, with what stands around it.
    let around = STANDARD.encode([before, secret, behind].concat());
    assert!(redactor.text(&around).contains(MARKER), "{around}");

    // In a URL, each byte that may have to be escaped in its own way. No encoding changes letters and digits.
    let written = secret.iter().enumerate().map(|(index, byte)| {
        let place = places.get(index).copied().unwrap_or_default();
        match place & 3 {
            _ if byte.is_ascii_alphanumeric() => char::from(*byte).to_string(),
            1 => format!("%{byte:02X}"),
            2 if byte.is_ascii_graphic() && !b"%\\&+".contains(byte) => char::from(*byte).to_string(),
            _ => format!("%{byte:02x}"),
        }
    });
    let escaped: String = written.collect();
    assert!(redactor.text(&escaped).contains(MARKER), "{escaped}");

    if let Ok(value) = std::str::from_utf8(secret) {
        in_json(redactor, value, &String::from_utf8_lossy(before), &String::from_utf8_lossy(behind));
        in_lines(&secrets, value, places);
    }
}

/// Within JSON, where every character has more than one spelling.
fn in_json(redactor: &action_domain::secret::Redactor, value: &str, before: &str, behind: &str) {
    let written = serde_json::json!({"a": [format!("{before}{value}{behind}")], value: 1}).to_string();
    let payload = Payload { content_type: "application/json".into(), data: written.into() };
    let clean = redactor.payload(payload).data;
    let read: serde_json::Value = serde_json::from_slice(&clean).expect("JSON stays JSON");
    assert!(!says(&read, value), "{read}");
    // Nothing is left for a second look.
    let again = Payload { content_type: "application/json".into(), data: clean.clone() };
    let again = redactor.payload(again).data;
    let read: serde_json::Value = serde_json::from_slice(&again).expect("JSON stays JSON");
    assert!(!says(&read, value), "{read}");
}

fn says(json: &serde_json::Value, value: &str) -> bool {
    match json {
        serde_json::Value::String(text) => text.contains(value),
        serde_json::Value::Array(list) => list.iter().any(|item| says(item, value)),
        serde_json::Value::Object(object) => object.iter().any(|(key, item)| key.contains(value) || says(item, value)),
        _ => false,
    }
}

/// Over lines of log that follow one another, broken anywhere.
fn in_lines(secrets: &Arc<AttemptSecrets>, value: &str, places: &[u8]) {
    let journal = Journal::without(secrets.clone());
    let now = Timestamp::from_micros(0);
    let mut line = String::new();
    let (mut recorded, mut is_drained) = (Vec::new(), false);
    for (index, letter) in value.chars().enumerate() {
        line.push(letter);
        let place = places.get(index).copied().unwrap_or_default();
        if place & 2 != 0 {
            journal.log(now, "info", &std::mem::take(&mut line));
        }
        // Who writes the rest only after the journal was asked twice takes more than a second for it.
        if place & 4 != 0 && !std::mem::replace(&mut is_drained, true) {
            recorded.extend(journal.drain());
        }
    }
    journal.log(now, "info", &line);
    recorded.extend(journal.finish());
    let messages: Vec<&str> = recorded.iter().map(message).collect();
    assert!(!messages.concat().contains(value), "{messages:?}");
}

fn message(entry: &action_domain::services::Entry) -> &str {
    match &entry.fact {
        Fact::MessageLogged { message, .. } => message,
        _ => "",
    }
}
