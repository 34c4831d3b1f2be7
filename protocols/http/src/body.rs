//! Makes the body of a request.

use action_protocol::http::url;
use action_protocol::template::{Context, Structures, below, refused};
use action_protocol::{Call, Failure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::config::{Body, Config};

/// The bytes and their content type; nothing where no body is sent.
pub fn build(call: &Call<Config>, context: &Context<'_>) -> Result<Option<(Vec<u8>, String)>, Failure> {
    let made = match call.config.body() {
        Body::None => return Ok(None),
        Body::Input => {
            let content_type = match call.input.content_type.as_str() {
                "" => "application/octet-stream",
                content_type => content_type,
            };
            (call.input.data.clone(), content_type.to_owned())
        }
        Body::Json(value) => {
            let value = context.json(value, "/body/json")?;
            (value.to_string().into_bytes(), "application/json".into())
        }
        Body::Form(fields) => {
            let mut form = String::new();
            for (name, values) in fields {
                for value in context.texts(values, &below("/body/form", name))? {
                    push_pair(&mut form, name, &value);
                }
            }
            (form.into_bytes(), "application/x-www-form-urlencoded".into())
        }
        Body::Text(text) => {
            let text = context.text(text, "/body/text", Structures::AsJson)?;
            (text.into_bytes(), "text/plain; charset=utf-8".into())
        }
        Body::Base64(text) => {
            let text = context.text(text, "/body/base64", Structures::Refused)?;
            let bytes = STANDARD
                .decode(text.trim())
                .map_err(|error| refused("/body/base64", text_start(&text), &format!("not base64: {error}")))?;
            (bytes, "application/octet-stream".into())
        }
    };
    Ok(Some(made))
}

/// Adds `name=value`, both percent-encoded, behind what is there.
pub fn push_pair(pairs: &mut String, name: &str, value: &str) {
    if !pairs.is_empty() && !pairs.ends_with(['?', '&']) {
        pairs.push('&');
    }
    url::encode(pairs, name);
    pairs.push('=');
    url::encode(pairs, value);
}

/// Enough of a long text to know it by.
fn text_start(text: &str) -> &str {
    let end = text.char_indices().nth(24).map_or(text.len(), |(at, _)| at);
    &text[..end]
}
