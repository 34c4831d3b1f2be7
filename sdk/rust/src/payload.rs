//! Payloads: JSON, text and bytes, with their media types.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Failure, Outcome, Payload};

impl Payload {
    /// A value as JSON.
    pub fn json(value: &impl Serialize) -> Result<Self, Failure> {
        let data =
            serde_json::to_vec(value).map_err(|error| Failure::internal(format!("the output is not JSON: {error}")))?;
        Ok(Self { content_type: "application/json".into(), data })
    }

    /// A text, in UTF-8.
    pub fn text(text: impl Into<String>) -> Self {
        Self { content_type: "text/plain; charset=utf-8".into(), data: text.into().into_bytes() }
    }

    /// Bytes of this media type.
    pub fn bytes(content_type: impl Into<String>, data: Vec<u8>) -> Self {
        Self { content_type: content_type.into(), data }
    }

    /// The media type without its parameters.
    pub fn media_type(&self) -> &str {
        media_type(&self.content_type)
    }

    /// Whether the media type says JSON.
    pub fn is_json(&self) -> bool {
        is_json(&self.content_type)
    }

    /// The JSON in it, as a type; `invalid-input` with the place where it does not fit.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        let mut json = serde_json::Deserializer::from_slice(&self.data);
        serde_path_to_error::deserialize(&mut json)
            .map_err(|error| Failure::invalid_input(format!("the input does not fit: {error}")))
    }
}

/// An outcome without an answer to a webhook's caller.
impl From<Payload> for Outcome {
    fn from(output: Payload) -> Self {
        Self { output, reply: None }
    }
}

/// A content type without its parameters, as it was written.
pub(crate) fn media_type(content_type: &str) -> &str {
    content_type.split(';').next().unwrap_or_default().trim()
}

/// Whether a content type is JSON, or one of the `+json` kind.
pub(crate) fn is_json(content_type: &str) -> bool {
    let media_type = media_type(content_type);
    media_type.eq_ignore_ascii_case("application/json")
        || media_type.rsplit_once('+').is_some_and(|(_, suffix)| suffix.eq_ignore_ascii_case("json"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_known_by_its_media_type() {
        for yes in ["application/json", "Application/JSON; charset=utf-8", "application/problem+json"] {
            assert!(is_json(yes), "{yes}");
        }
        for no in ["", "text/plain", "application/jsonlines", "application/json5"] {
            assert!(!is_json(no), "{no}");
        }
    }

    #[test]
    fn an_input_that_does_not_fit_says_where() {
        let input = Payload::bytes("application/json", br#"{"a": ["x"]}"#.to_vec());
        let failure = input.parse::<std::collections::HashMap<String, Vec<u8>>>().unwrap_err();
        assert!(failure.message.contains("a[0]"), "{}", failure.message);
    }
}
