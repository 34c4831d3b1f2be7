//! A mail becomes an item.

use std::collections::BTreeMap;

use action_protocol::{Failure, Payload};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mail_parser::{Address, DateTime, HeaderValue, Message, MessageParser, MessagePart, MimeHeaders, PartType};
use serde_json::{Map, Value, json};

use crate::command::internal_date;
use crate::config::{Attachments, Config, Content};
use crate::response::Fetched;

/// Headers that an item has. Mails on long ways have some fifty.
const HEADERS_MAX: usize = 500;

/// How much of a mail an item shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// As the config says.
    Full,
    /// Its headers, since the rest is too large.
    Headers,
}

/// The item of a mail. `cut`: what is there is not all of it.
pub fn item(mail: &Fetched, config: &Config, uid_validity: u32, cut: bool, depth: Depth) -> Result<Payload, Failure> {
    let bytes = mail.body.as_deref().unwrap_or_default();
    if config.content == Content::Raw && depth == Depth::Full {
        return Ok(Payload::bytes("message/rfc822", bytes.to_vec()));
    }
    let mut item = json!({
        "uid": mail.uid,
        "uid_validity": uid_validity,
        "mailbox": config.mailbox,
        "received_at": mail.internal_date.as_deref().and_then(internal_date),
        "flags": mail.flags,
        "bytes": mail.size,
        "truncated": cut,
    });
    let is_text = config.content == Content::Text && depth == Depth::Full;
    let parser = MessageParser::default();
    let parsed = if is_text { parser.parse(bytes) } else { parser.parse_headers(bytes) };
    // Bytes without a single header are a mail too.
    let Some(message) = parsed else { return Payload::json(&item) };
    let members = item.as_object_mut().ok_or_else(|| Failure::internal("an item is an object"))?;
    head(members, &message);
    if is_text {
        body(members, &message, config.attachments);
    }
    Payload::json(&item)
}

fn head(members: &mut Map<String, Value>, message: &Message<'_>) {
    members.insert("message_id".into(), message.message_id().into());
    members.insert("in_reply_to".into(), ids(message.in_reply_to()));
    members.insert("references".into(), ids(message.references()));
    let date = message.date().filter(|date| date.is_valid());
    members.insert("date".into(), date.map(DateTime::to_rfc3339).into());
    members.insert("subject".into(), message.subject().into());
    for (name, address) in [
        ("from", message.from()),
        ("reply_to", message.reply_to()),
        ("to", message.to()),
        ("cc", message.cc()),
        ("bcc", message.bcc()),
    ] {
        members.insert(name.into(), addresses(address));
    }
    let mut headers: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, value) in message.headers_raw().take(HEADERS_MAX) {
        headers.entry(name.to_ascii_lowercase()).or_default().push(unfolded(value));
    }
    members.insert("headers".into(), json!(headers));
}

fn body(members: &mut Map<String, Value>, message: &Message<'_>, attachments: Attachments) {
    let texts: Vec<_> = (0..message.text_body_count()).filter_map(|n| message.body_text(n)).collect();
    members.insert("text".into(), if texts.is_empty() { Value::Null } else { texts.join("\n").into() });
    let htmls = message.html_bodies().filter(|part| part.is_text_html()).filter_map(MessagePart::text_contents);
    let htmls: Vec<&str> = htmls.collect();
    members.insert("html".into(), if htmls.is_empty() { Value::Null } else { htmls.join("\n").into() });
    let listed: Vec<Value> = message.attachments().map(|part| attachment(part, attachments)).collect();
    members.insert("attachments".into(), listed.into());
}

fn attachment(part: &MessagePart<'_>, attachments: Attachments) -> Value {
    let media_type = part.content_type().map(|kind| match kind.subtype() {
        Some(subtype) => format!("{}/{subtype}", kind.ctype()).to_ascii_lowercase(),
        None => kind.ctype().to_ascii_lowercase(),
    });
    let bytes = match &part.body {
        PartType::Message(message) => message.raw_message(),
        _ => part.contents(),
    };
    let mut listed = json!({
        "name": part.attachment_name(),
        "content_type": media_type,
        "content_id": part.content_id(),
        "inline": matches!(part.body, PartType::InlineBinary(_)),
        "bytes": bytes.len(),
    });
    if attachments == Attachments::Content {
        listed["base64"] = STANDARD.encode(bytes).into();
    }
    listed
}

fn ids(value: &HeaderValue<'_>) -> Value {
    match value {
        HeaderValue::Text(id) => json!([id]),
        HeaderValue::TextList(ids) => json!(ids),
        _ => json!([]),
    }
}

fn addresses(address: Option<&Address<'_>>) -> Value {
    let listed = address.map(|address| address.iter().map(|one| json!({ "name": one.name, "address": one.address })));
    listed.map_or_else(|| json!([]), Iterator::collect)
}

/// A header's value in one line (RFC 5322, 2.2.3).
fn unfolded(value: &str) -> String {
    value.trim().replace("\r\n", "").replace('\n', "")
}
