//! Reads answers.

use std::borrow::Cow;

use serde::de::DeserializeOwned;

use crate::payload::{is_json, media_type};
use crate::{Failure, HttpResponse, Payload};

impl HttpResponse {
    /// Whether the status is 2xx.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The first header of this name, if it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name))?;
        std::str::from_utf8(&found.value).ok().map(str::trim)
    }

    /// The content type as the remote gave it.
    pub fn content_type(&self) -> Option<&str> {
        self.header("content-type").filter(|value| !value.is_empty())
    }

    /// The content type without its parameters.
    pub fn media_type(&self) -> Option<&str> {
        self.content_type().map(media_type)
    }

    /// Whether the content type says JSON.
    pub fn is_json(&self) -> bool {
        self.content_type().is_some_and(is_json)
    }

    /// The body as text; what is not UTF-8 in it is replaced.
    pub fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.body)
    }

    /// The body's JSON as a type; `bad-response` with the place where it does not fit.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        let mut json = serde_json::Deserializer::from_slice(&self.body);
        serde_path_to_error::deserialize(&mut json)
            .map_err(|error| Failure::bad_response(format!("the answer does not fit: {error}")))
    }

    /// The body with its content type.
    pub fn into_payload(self) -> Payload {
        let content_type = self.content_type().unwrap_or("application/octet-stream").to_owned();
        Payload { content_type, data: self.body }
    }
}
