//! Replies as JSON.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Number, Value, json};

use crate::resp::Reply;

/// A reply as JSON; that of a command which reads a stream with its entries taken apart.
pub fn of(reply: &Reply, command: &str) -> Value {
    let shaped = match command {
        "XRANGE" | "XREVRANGE" | "XCLAIM" => entries(reply),
        "XREAD" | "XREADGROUP" => streams(reply),
        _ => None,
    };
    shaped.unwrap_or_else(|| plain(reply))
}

/// The schema of the output.
pub fn schema() -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "required": ["replies"],
        "properties": {
            "replies": {
                "description": "One for each command, in order. Bytes that are no text are {\"base64\": …}.",
                "type": "array",
            },
        },
    })
}

fn plain(reply: &Reply) -> Value {
    match reply {
        Reply::Null => Value::Null,
        Reply::Bytes(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => text.into(),
            Err(_) => json!({ "base64": STANDARD.encode(bytes) }),
        },
        Reply::Integer(number) => (*number).into(),
        // What JSON has no number for (inf, nan, very long ones) stays a text.
        Reply::Number(text) => match text.parse::<i64>() {
            Ok(number) => number.into(),
            Err(_) => match text.parse::<f64>().ok().and_then(Number::from_f64) {
                Some(number) if text.len() <= 24 => Value::Number(number),
                _ => text.as_str().into(),
            },
        },
        Reply::Boolean(truth) => (*truth).into(),
        Reply::List(list) => list.iter().map(plain).collect(),
        Reply::Map(pairs) => object(pairs.iter().map(|(key, value)| (key, plain(value))))
            .unwrap_or_else(|| pairs.iter().map(|(key, value)| json!([plain(key), plain(value)])).collect()),
        Reply::Error(text) => json!({ "error": text }),
    }
}

/// An object, where every name is text.
fn object<'r>(pairs: impl Iterator<Item = (&'r Reply, Value)>) -> Option<Value> {
    let named = pairs.map(|(key, value)| {
        let name = match key {
            Reply::Integer(number) => number.to_string(),
            key => key.text()?.to_owned(),
        };
        Some((name, value))
    });
    named.collect::<Option<Map<_, _>>>().map(Value::Object)
}

/// `[[id, [name, value, …]], …]` as `[{"id": …, "fields": {…}}, …]`.
fn entries(reply: &Reply) -> Option<Value> {
    let Reply::List(list) = reply else { return None };
    list.iter().map(entry).collect()
}

fn entry(reply: &Reply) -> Option<Value> {
    let Reply::List(pair) = reply else { return None };
    let [id, fields] = pair.as_slice() else { return None };
    let fields = match fields {
        // Read by a group before, and deleted since.
        Reply::Null => Value::Null,
        Reply::List(list) if list.len() % 2 == 0 => {
            object(list.chunks_exact(2).map(|pair| (&pair[0], plain(&pair[1]))))?
        }
        _ => return None,
    };
    Some(json!({ "id": id.text()?, "fields": fields }))
}

/// Entries by the stream that they are of.
fn streams(reply: &Reply) -> Option<Value> {
    match reply {
        // Nothing new.
        Reply::Null => Some(json!({})),
        Reply::Map(pairs) => {
            let streams: Option<Vec<_>> = pairs.iter().map(|(name, list)| Some((name, entries(list)?))).collect();
            object(streams?.into_iter())
        }
        Reply::List(list) => {
            let streams: Option<Vec<_>> = list
                .iter()
                .map(|stream| match stream {
                    Reply::List(pair) if pair.len() == 2 => Some((&pair[0], entries(&pair[1])?)),
                    _ => None,
                })
                .collect();
            object(streams?.into_iter())
        }
        _ => None,
    }
}
