//! Config and input → envelope and message.

use action_protocol::template::{Context, Structures, Values, below, refused};
use action_protocol::{Call, Failure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mail_builder::MessageBuilder;
use mail_builder::headers::address::Address;
use mail_builder::headers::raw::Raw;

use crate::config::{Config, Content};
use crate::mailbox::Mailbox;

/// As many as servers take at once (RFC 5321, 4.5.3.1.8).
const RECIPIENTS_MAX: usize = 100;

/// A mail and to whom it goes.
#[derive(Debug)]
pub struct Mail {
    /// Who sends: `local@domain`.
    pub from: String,
    /// Who gets it.
    pub recipients: Vec<String>,
    /// The same in every attempt of an execution, without its brackets.
    pub id: String,
    /// Headers and bodies, with lines that end in CR LF.
    pub bytes: Vec<u8>,
}

/// The mail of one execution.
pub fn build(call: &Call<Config>) -> Result<Mail, Failure> {
    let config = &call.config;
    let context = Context::new(call);
    let line = |text: &str, place: &str| -> Result<String, Failure> {
        let text = context.text(text, place, Structures::Refused)?;
        if text.chars().any(char::is_control) {
            return Err(refused(place, "…", "a header holds no control characters"));
        }
        Ok(text)
    };
    let parsed = |text: &str, place: &str| Mailbox::parse(text).map_err(|why| refused(place, "…", why));
    let all = |values: &Values, place: &str| -> Result<Vec<Mailbox>, Failure> {
        context.texts(values, place)?.iter().map(|text| parsed(text, place)).collect()
    };
    let from = parsed(&line(&config.from, "/from")?, "/from")?;
    let (to, cc, bcc) = (all(&config.to, "/to")?, all(&config.cc, "/cc")?, all(&config.bcc, "/bcc")?);
    let reply_to = all(&config.reply_to, "/reply_to")?;
    let mut recipients: Vec<String> = Vec::new();
    for mailbox in to.iter().chain(&cc).chain(&bcc) {
        if !recipients.contains(&mailbox.address) {
            recipients.push(mailbox.address.clone());
        }
    }
    if recipients.is_empty() {
        return Err(Failure::invalid_input("the mail goes to nobody"));
    }
    if recipients.len() > RECIPIENTS_MAX {
        return Err(Failure::invalid_input(format!("a mail goes to at most {RECIPIENTS_MAX} at once")));
    }
    let id = format!("{}@{}", call.execution, from.domain());
    let mut builder =
        MessageBuilder::new().from(address(&from)).message_id(id.clone()).subject(line(&config.subject, "/subject")?);
    // Not bcc: that is what it is for.
    for (name, mailboxes) in [("To", &to), ("Cc", &cc), ("Reply-To", &reply_to)] {
        if !mailboxes.is_empty() {
            builder = builder.header(name, Address::new_list(mailboxes.iter().map(address).collect()));
        }
    }
    for (name, value) in &config.headers {
        let value = line(value, &below("/headers", name))?;
        builder = if value.is_ascii() {
            builder.header(name.clone(), Raw::new(value))
        } else {
            builder.header(name.clone(), mail_builder::headers::text::Text::new(value))
        };
    }
    if let Some(text) = &config.text {
        builder = builder.text_body(context.text(text, "/text", Structures::AsJson)?);
    }
    if let Some(html) = &config.html {
        builder = builder.html_body(context.text_with(html, "/html", Structures::AsJson, |html, value, _| {
            escape(html, value);
            Ok(())
        })?);
    }
    for (n, attachment) in config.attachments.iter().enumerate() {
        let place = format!("/attachments/{n}");
        let bytes = match &attachment.content {
            Content::Input => context.payload().data.clone(),
            Content::Text(text) => {
                context.text(text, &format!("{place}/content/text"), Structures::AsJson)?.into_bytes()
            }
            Content::Base64(text) => {
                let place = format!("{place}/content/base64");
                let text = context.text(text, &place, Structures::Refused)?;
                let bytes = STANDARD.decode(text.trim());
                bytes.map_err(|error| refused(&place, "…", &format!("not base64: {error}")))?
            }
        };
        let content_type = line(&attachment.content_type, &format!("{place}/content_type"))?;
        builder = builder.attachment(content_type, line(&attachment.name, &format!("{place}/name"))?, bytes);
    }
    let bytes = builder.write_to_vec().map_err(|error| Failure::internal(format!("the mail: {error}")))?;
    Ok(Mail { from: from.address, recipients, id, bytes })
}

fn address(mailbox: &Mailbox) -> Address<'static> {
    Address::new_address(mailbox.name.clone(), mailbox.address.clone())
}

fn escape(html: &mut String, value: &str) {
    for character in value.chars() {
        match character {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            other => html.push(other),
        }
    }
}

/// A message as DATA takes it (RFC 5321, 4.5.2): lines end in CR LF, and one that begins with a dot gets
/// another. Without the dot that ends it.
pub fn stuffed(message: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(message.len() + 16);
    for line in message.split_inclusive(|byte| *byte == b'\n') {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.first() == Some(&b'.') {
            bytes.push(b'.');
        }
        // A bare CR could be read as the end of a line by some, and hide a dot that ends the mail.
        bytes.extend(line.iter().filter(|byte| **byte != b'\r'));
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}
