//! Bytes with their media type, and the form in which the record keeps them.

use crate::digest::Digest;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{DeserializeSeed, MapAccess, SeqAccess, Visitor},
};
use serde_json::value::RawValue;
use std::{fmt, sync::Arc};

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
            .filter(|text| text.trim_ascii().len() == text.len() && every_reader_takes(text))
            .and_then(|text| RawValue::from_string(text.to_owned()).ok());
        let base64 = json.is_none().then(|| STANDARD.encode(&self.data));
        (RecordedPayload { content_type, bytes, json, base64, digest: None }, None)
    }
}

/// Bytes as base64 text, for serde.
pub mod base64_text {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    use bytes::Bytes;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    /// Writes them.
    ///
    /// # Errors
    /// The serializer's own.
    pub fn serialize<S: Serializer>(bytes: &Bytes, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(bytes))
    }

    /// Reads them.
    ///
    /// # Errors
    /// What is no base64.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Bytes, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        STANDARD.decode(text.as_bytes()).map(Bytes::from).map_err(D::Error::custom)
    }
}

/// Deepest nesting with which JSON stands in the record as it is. Readers commonly stop at 128, and an
/// event in a page puts a few levels around it.
const JSON_DEPTH_MAX: usize = 100;

/// Whether every JSON parser takes this text, also as a part of a larger one. The grammar allows more than
/// parsers do: lists in lists without end, numbers that are no `f64`, half of a surrogate pair. A record
/// with one of these in it could not be read, nor any page that it is on.
pub fn every_reader_takes(json: &str) -> bool {
    let mut deserializer = serde_json::Deserializer::from_str(json);
    Readable(JSON_DEPTH_MAX).deserialize(&mut deserializer).and_then(|()| deserializer.end()).is_ok()
}

/// Reads a value that may be so deep, and keeps nothing of it.
#[derive(Clone, Copy)]
struct Readable(usize);

impl Readable {
    fn below<E: serde::de::Error>(self) -> Result<Self, E> {
        self.0.checked_sub(1).map(Self).ok_or_else(|| E::custom("too deep"))
    }
}

impl<'de> DeserializeSeed<'de> for Readable {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Readable {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let below = self.below()?;
        while items.next_element_seed(below)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let below = self.below()?;
        while members.next_key_seed(below)?.is_some() {
            members.next_value_seed(below)?;
        }
        Ok(())
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

    #[test]
    fn json_that_not_every_reader_takes_is_kept_as_bytes() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        let fine = [nested(JSON_DEPTH_MAX), r#"{"a":[1,2.50,-0.0,"\ud83d\ude00",null,true]}"#.to_owned()];
        for text in &fine {
            assert_eq!(payload("application/json", text.as_bytes()).recorded().0.json.unwrap().get(), text);
        }
        let objects = format!("{}1{}", r#"{"a":"#.repeat(101), "}".repeat(101));
        let many = [nested(JSON_DEPTH_MAX + 1), nested(10_000), objects, "1e400".into(), r#"["\ud800"]"#.into()];
        for text in &many {
            let recorded = payload("application/json", text.as_bytes()).recorded().0;
            assert!(recorded.json.is_none() && recorded.base64.is_some(), "{text}");
            assert_eq!(recorded.inline().unwrap().data, text.as_bytes());
        }
    }
}
