//! A value that a JSON Schema may accept, where its author gives none: good enough to begin with,
//! and always compared with the schema afterwards.

use serde_json::{Map, Value, json};

/// Deepest nesting; schemas may be circular.
const DEPTH_MAX: usize = 12;

/// What a sample has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extent {
    /// What is required.
    Required,
    /// Hosts and secrets beside that, which much depends on.
    WithHostsAndSecrets,
}

/// A value for a schema.
pub(super) fn sample(root: &Value, extent: Extent) -> Value {
    Sampler { root, extent }.of(root, 0)
}

struct Sampler<'a> {
    root: &'a Value,
    extent: Extent,
}

impl Sampler<'_> {
    fn of(&self, schema: &Value, depth: usize) -> Value {
        let Some(schema) = schema.as_object().filter(|_| depth < DEPTH_MAX) else { return Value::Null };
        if let Some(given) = given(schema) {
            return given;
        }
        if let Some(target) = schema.get("$ref").and_then(Value::as_str).and_then(|reference| {
            let pointer = reference.strip_prefix('#')?;
            self.root.pointer(pointer)
        }) {
            return self.of(target, depth + 1);
        }
        let mut value = self.plain(schema, depth);
        for keyword in ["anyOf", "oneOf"] {
            if let Some(first) = schema.get(keyword).and_then(Value::as_array).and_then(|branches| branches.first()) {
                value = merged(value, self.of(first, depth + 1));
            }
        }
        for part in schema.get("allOf").and_then(Value::as_array).into_iter().flatten() {
            value = merged(value, self.of(part, depth + 1));
        }
        value
    }

    fn plain(&self, schema: &Map<String, Value>, depth: usize) -> Value {
        let number = |keyword: &str| schema.get(keyword).and_then(Value::as_u64).unwrap_or(0);
        let types = match schema.get("type") {
            Some(Value::Array(types)) => types.first().and_then(Value::as_str),
            other => other.and_then(Value::as_str),
        };
        let has_members = schema.contains_key("properties") || schema.contains_key("required");
        match types.or_else(|| has_members.then_some("object")) {
            Some("object") => {
                let required = schema.get("required").and_then(Value::as_array).into_iter().flatten();
                let known = schema.get("properties").and_then(Value::as_object);
                let mut names: Vec<&str> = required.filter_map(Value::as_str).collect();
                if self.extent == Extent::WithHostsAndSecrets {
                    let wanted = |property: &Value| {
                        property.get("x-egress").is_some() || property.get("writeOnly") == Some(&Value::Bool(true))
                    };
                    let more = known.into_iter().flatten().filter(|(_, property)| wanted(property));
                    names.extend(more.map(|(name, _)| name.as_str()));
                }
                let member = |name: &str| {
                    let property = known.and_then(|known| known.get(name));
                    (name.to_owned(), property.map_or_else(|| json!("sample"), |schema| self.of(schema, depth + 1)))
                };
                names.into_iter().map(member).collect::<Map<_, _>>().into()
            }
            Some("array") => {
                let item = schema.get("items").map_or(Value::Null, |items| self.of(items, depth + 1));
                Value::Array(vec![item; number("minItems").min(16) as usize])
            }
            Some("integer" | "number") => {
                let least = schema.get("minimum").cloned();
                least
                    .or_else(|| schema.get("exclusiveMinimum")?.as_i64().map(|n| json!(n + 1)))
                    .unwrap_or_else(|| json!(1))
            }
            Some("boolean") => json!(false),
            Some("string") => text(schema, number("minLength") as usize),
            _ => Value::Null,
        }
    }
}

/// What the author says.
fn given(schema: &Map<String, Value>) -> Option<Value> {
    let first = |keyword: &str| schema.get(keyword)?.as_array()?.first().cloned();
    schema
        .get("const")
        .cloned()
        .or_else(|| first("examples"))
        .or_else(|| schema.get("default").cloned())
        .or_else(|| first("enum"))
}

fn merged(one: Value, other: Value) -> Value {
    match (one, other) {
        (Value::Object(mut one), Value::Object(other)) => {
            one.extend(other);
            one.into()
        }
        (Value::Null, other) => other,
        (one, _) => one,
    }
}

fn text(schema: &Map<String, Value>, least: usize) -> Value {
    if schema.get("writeOnly") == Some(&Value::Bool(true)) {
        return json!({"$secret": "sample"});
    }
    let text = match (schema.get("x-egress").and_then(Value::as_str), schema.get("format").and_then(Value::as_str)) {
        (Some("tcp"), _) => "sample.example.com:4711",
        (Some(_), _) | (_, Some("uri" | "url")) => "https://sample.example.com/",
        (_, Some("email")) => "sample@example.com",
        (_, Some("date-time")) => "2026-01-01T00:00:00Z",
        _ => "sample",
    };
    json!(format!("{text}{}", "x".repeat(least.saturating_sub(text.len()).min(4096))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_has_what_is_required() {
        let schema = json!({
            "type": "object", "required": ["url", "n", "token", "kind", "deep", "list"],
            "properties": {
                "url": {"type": "string", "x-egress": "http"}, "n": {"type": "integer", "minimum": 3},
                "token": {"$ref": "#/$defs/token"}, "kind": {"enum": ["a", "b"]}, "optional": {"type": "string"},
                "deep": {"anyOf": [{"type": "object", "required": ["x"], "properties": {"x": {"default": 7}}}]},
                "list": {"type": "array", "minItems": 2, "items": {"type": "string", "minLength": 8}}
            },
            "$defs": {"token": {"type": "string", "writeOnly": true}}
        });
        assert_eq!(
            sample(&schema, Extent::Required),
            json!({"url": "https://sample.example.com/", "n": 3, "token": {"$secret": "sample"}, "kind": "a",
                "deep": {"x": 7}, "list": ["samplexx", "samplexx"]})
        );
        let schema = json!({"type": "object", "properties": {"to": {"type": "string", "x-egress": "tcp"}, "n": {}}});
        assert_eq!(sample(&schema, Extent::Required), json!({}));
        let more = sample(&schema, Extent::WithHostsAndSecrets);
        assert_eq!(more, json!({"to": "sample.example.com:4711"}));
        assert_eq!(sample(&json!({"$ref": "#"}), Extent::Required), Value::Null, "a circle ends");
    }
}
