//! Bytes with their media type, and the form in which the record keeps them.

use crate::digest::Digest;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::sync::Arc;

/// Payloads up to this size stand in the event itself; larger ones are kept apart by
/// digest, so that a page of events stays a page.
pub const INLINE_BYTES_MAX: usize = 64 * 1024;

/// Bytes with their media type, as they go into a protocol and come out of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payload {
    /// A media type, for instance `application/json`.
    pub content_type: Arc<str>,
    /// The bytes.
    pub data: Bytes,
}

impl Payload {
    /// Whether the media type says JSON: `application/json` or `…+json`.
    pub fn is_json(&self) -> bool {
        is_json(&self.content_type)
    }

    /// The form for the record, and what has to be stored beside it, if anything.
    pub fn recorded(&self) -> (RecordedPayload, Option<(Digest, Bytes)>) {
        let content_type = self.content_type.to_string();
        let bytes = self.data.len() as u64;
        if self.data.len() > INLINE_BYTES_MAX {
            let digest = Digest::of(&self.data);
            let recorded = RecordedPayload { content_type, bytes, json: None, base64: None, digest: Some(digest) };
            return (recorded, Some((digest, self.data.clone())));
        }
        let json = self
            .is_json()
            .then(|| std::str::from_utf8(&self.data).ok())
            .flatten()
            // Exactly these bytes must come back, and RawValue drops white space around the value.
            .filter(|text| text.trim_ascii().len() == text.len())
            .and_then(|text| RawValue::from_string(text.to_owned()).ok());
        let base64 = json.is_none().then(|| STANDARD.encode(&self.data));
        (RecordedPayload { content_type, bytes, json, base64, digest: None }, None)
    }
}

/// Whether a media type says JSON.
pub fn is_json(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json" || essence.ends_with("+json")
}

/// A payload as the event log keeps it: one of `json`, `base64` and `digest` is there.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RecordedPayload {
    /// A media type.
    pub content_type: String,
    /// The payload's size.
    pub bytes: u64,
    /// JSON, as it came.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub json: Option<Box<RawValue>>,
    /// Any other bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base64: Option<String>,
    /// Over [`INLINE_BYTES_MAX`]: kept apart under this digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
}

/// A member that is there, also where it is `null`: that is a payload too.
fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Box<RawValue>>, D::Error> {
    Box::<RawValue>::deserialize(deserializer).map(Some)
}

impl RecordedPayload {
    /// The payload, if it stands in the record. `None`: it is kept apart under
    /// [`Self::digest`], or the record was damaged.
    pub fn inline(&self) -> Option<Payload> {
        let data = match (&self.json, &self.base64) {
            (Some(json), _) => Bytes::from(json.get().to_owned()),
            (None, Some(text)) => STANDARD.decode(text).ok()?.into(),
            (None, None) => return None,
        };
        Some(Payload { content_type: self.content_type.as_str().into(), data })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payload(content_type: &str, data: &[u8]) -> Payload {
        Payload { content_type: content_type.into(), data: Bytes::copy_from_slice(data) }
    }

    #[test]
    fn every_small_payload_comes_back_byte_for_byte() {
        for p in [
            payload("application/json", br#"{"a": [1, 2.50]}"#),
            payload("application/json", b"{\"a\":1}\n"),
            payload("application/json", b"null"),
            payload("application/json", b"not json"),
            payload("application/ld+json; charset=utf-8", b"1"),
            payload("application/octet-stream", &[0, 255]),
            payload("text/plain", b""),
        ] {
            let (recorded, stored) = p.recorded();
            assert!(stored.is_none());
            let text = serde_json::to_string(&recorded).unwrap();
            let back: RecordedPayload = serde_json::from_str(&text).unwrap();
            assert_eq!(back.inline().unwrap(), p, "{text}");
        }
    }

    #[test]
    fn a_large_payload_is_kept_apart() {
        let p = payload("application/json", &vec![b'1'; INLINE_BYTES_MAX + 1]);
        let (recorded, stored) = p.recorded();
        let (digest, bytes) = stored.unwrap();
        assert_eq!(recorded.digest, Some(digest));
        assert_eq!(bytes, p.data);
        assert!(recorded.inline().is_none());
    }
}
