//! JSON documents, read strictly: what two readers could understand differently, or what no
//! reader expects, is refused with its place.

use crate::{
    ApiState,
    error::{Answer, Problem},
    request::{body, headers::is_one_of},
    wire::form,
};
use action_domain::{action::escape_pointer, failure::Issue, limits::DOCUMENT_BYTES_MAX};
use axum::extract::{FromRequest, Request};
use serde::de::{DeserializeOwned, DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use std::fmt;
use utoipa::ToSchema;

/// Deepest nesting of a document. serde_json would go to 128.
const DEPTH_MAX: usize = 64;

/// A document of this type.
pub(crate) struct Json<T>(pub(crate) T);

impl<T: DeserializeOwned + ToSchema + 'static> FromRequest<ApiState> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &ApiState) -> Answer<Self> {
        let document = document(request, state, &["application/json"]).await?;
        form::read(&document).map(Self).map_err(Problem::invalid_document)
    }
}

/// A document that may be left out: an empty body and `null` are the default.
pub(crate) struct OptionalJson<T>(pub(crate) T);

impl<T: DeserializeOwned + ToSchema + Default + 'static> FromRequest<ApiState> for OptionalJson<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &ApiState) -> Answer<Self> {
        if axum::body::HttpBody::is_end_stream(request.body()) {
            return Ok(Self(T::default()));
        }
        match document(request, state, &["application/json"]).await? {
            Value::Null => Ok(Self(T::default())),
            document => form::read(&document).map(Self).map_err(Problem::invalid_document),
        }
    }
}

/// A document whose mistakes are looked for later.
pub(crate) struct Document(pub(crate) Value);

impl FromRequest<ApiState> for Document {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &ApiState) -> Answer<Self> {
        document(request, state, &["application/json"]).await.map(Self)
    }
}

/// A JSON merge patch (RFC 7396); `application/json` will do.
pub(crate) struct MergePatch(pub(crate) Value);

impl FromRequest<ApiState> for MergePatch {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &ApiState) -> Answer<Self> {
        document(request, state, &["application/merge-patch+json", "application/json"]).await.map(Self)
    }
}

async fn document(request: Request, state: &ApiState, types: &[&str]) -> Answer<Value> {
    let (parts, body) = request.into_parts();
    if !is_one_of(&parts.headers, types) {
        return Err(Problem::unsupported(format!("the body is {}: say so in Content-Type", types.join(" or "))));
    }
    let taken = body::take(state, &parts, body, DOCUMENT_BYTES_MAX).await?;
    parse(&taken.bytes)
}

/// Any JSON value, without members that are there twice and without abysses.
pub(crate) fn parse(bytes: &[u8]) -> Answer<Value> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let detail = format!("the body is not UTF-8: see byte {}", error.valid_up_to());
        Problem::bad_request("invalid_utf8", detail)
    })?;
    let mut walk = Walk::default();
    let mut reader = serde_json::Deserializer::from_str(text);
    let parsed = Strict(&mut walk).deserialize(&mut reader).and_then(|value| reader.end().map(|()| value));
    parsed.map_err(|error| match walk.issue {
        Some((code, issue)) => Problem::bad_request(code, issue.message.clone()).errors(vec![issue]),
        None => Problem::bad_request("malformed_json", format!("the body is not JSON: {error}")),
    })
}

/// Where the reader is, and what it found wrong.
#[derive(Default)]
struct Walk {
    pointer: String,
    depth: usize,
    issue: Option<(&'static str, Issue)>,
}

impl Walk {
    fn refuse<E: serde::de::Error>(&mut self, code: &'static str, message: &'static str) -> E {
        self.issue = Some((code, Issue::new(self.pointer.clone(), code, message)));
        E::custom(message)
    }

    fn enter<E: serde::de::Error>(&mut self) -> Result<(), E> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(self.refuse("too_deep", "the document is nested too deeply"));
        }
        Ok(())
    }
}

struct Strict<'w>(&'w mut Walk);

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("not a finite number"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let walk = self.0;
        walk.enter()?;
        let mut list = Vec::new();
        let mark = walk.pointer.len();
        loop {
            walk.pointer.push('/');
            walk.pointer.push_str(&list.len().to_string());
            let Some(value) = seq.next_element_seed(Strict(&mut *walk))? else { break };
            list.push(value);
            walk.pointer.truncate(mark);
        }
        walk.pointer.truncate(mark);
        walk.depth -= 1;
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let walk = self.0;
        walk.enter()?;
        let mut object = Map::new();
        let mark = walk.pointer.len();
        while let Some(key) = map.next_key::<String>()? {
            walk.pointer.push('/');
            walk.pointer.push_str(&escape_pointer(&key));
            if object.contains_key(&key) {
                return Err(walk.refuse("duplicate_member", "the object has this member twice"));
            }
            let value = map.next_value_seed(Strict(&mut *walk))?;
            object.insert(key, value);
            walk.pointer.truncate(mark);
        }
        walk.depth -= 1;
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::response::IntoResponse as _;
    use http_body_util::BodyExt as _;
    use serde_json::json;

    async fn problem(problem: Problem) -> Value {
        let body = problem.into_response().into_body().collect().await.unwrap().to_bytes();
        serde_json::from_slice(&body).unwrap()
    }

    #[test]
    fn values_come_through_as_they_are() {
        let text =
            r#" {"a": [1, -2, 2.5, 1e300, true, null, "\u00e4\n"], "": {"x/y": {}}, "big": 18446744073709551615} "#;
        assert_eq!(parse(text.as_bytes()).unwrap(), serde_json::from_str::<Value>(text).unwrap());
    }

    #[tokio::test]
    async fn what_is_refused_is_refused_with_its_place() {
        let deep = format!("{}{}", "[".repeat(DEPTH_MAX + 1), "]".repeat(DEPTH_MAX + 1));
        assert!(parse(&deep.as_bytes()[1..deep.len() - 1]).is_ok());
        for (text, code, pointer) in [
            (&br#"{"a": {"b/c": 1, "b/c": 2}}"#[..], "duplicate_member", json!("/a/b~1c")),
            (br#"{"a": [0, {"b": 1, "\u0062": 2}]}"#, "duplicate_member", json!("/a/1/b")),
            (deep.as_bytes(), "too_deep", json!("/0".repeat(DEPTH_MAX))),
            (&vec![b'['; 100_000], "too_deep", json!("/0".repeat(DEPTH_MAX))),
            (b"{\"a\": \"\xff\"}", "invalid_utf8", Value::Null),
            (b"", "malformed_json", Value::Null),
            (b"{} {}", "malformed_json", Value::Null),
            (b"{\"a\": NaN}", "malformed_json", Value::Null),
            (b"{\"a\": 1e999}", "malformed_json", Value::Null),
            (b"\xef\xbb\xbf{}", "malformed_json", Value::Null),
        ] {
            let problem = problem(parse(text).unwrap_err()).await;
            assert_eq!(problem["code"], code, "{problem}");
            assert_eq!(problem["errors"][0]["pointer"], pointer, "{problem}");
        }
    }
}
