//! Derives the JSON Schema (2020-12) of a config from its type.
//!
//! Doc comments become descriptions. The annotations that the service reads are given as
//! `#[schemars(extend("x-egress" = "http"))]` and, for what may be a secret, the type
//! [`Secret`](crate::secrets::Secret) or `#[schemars(extend("writeOnly" = true))]`.

use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use schemars::{JsonSchema, Schema};
use serde_json::Value;

/// The schema of a type, in one piece: no `$ref`, so that a form can be made of it and an
/// annotation be found by walking down the properties.
pub fn of<C: JsonSchema>() -> Value {
    let mut settings = SchemaSettings::draft2020_12();
    settings.inline_subschemas = true;
    settings
        .with_transform(RecursiveTransform(forbid_null))
        .with_transform(RecursiveTransform(unwrap_description))
        .into_generator()
        .into_root_schema_for::<C>()
        .to_value()
}

/// An optional property is left out, not null: a config has one way to say a thing.
fn forbid_null(schema: &mut Schema) {
    if let Some(Value::Array(types)) = schema.get_mut("type") {
        types.retain(|name| name != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            schema.insert("type".into(), only);
        }
    }
    if let Some(Value::Array(options)) = schema.get_mut("enum") {
        options.retain(|option| !option.is_null());
    }
    let null = serde_json::json!({ "type": "null" });
    let mut only = None;
    if let Some(Value::Array(options)) = schema.get_mut("anyOf") {
        options.retain(|option| *option != null);
        if options.len() == 1 {
            only = options.pop();
        }
    }
    if let Some(Value::Object(option)) = only {
        schema.remove("anyOf");
        for (name, value) in option {
            // What the property says of itself goes before what its type says.
            if schema.get(&name).is_none() {
                schema.insert(name, value);
            }
        }
    }
    if schema.get("default") == Some(&Value::Null) {
        schema.remove("default");
    }
}

/// A doc comment is broken into lines for the source's sake; a description is one paragraph.
fn unwrap_description(schema: &mut Schema) {
    if let Some(Value::String(text)) = schema.get_mut("description") {
        let paragraphs: Vec<_> = text.split("\n\n").map(|p| p.replace('\n', " ")).collect();
        *text = paragraphs.join("\n\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(JsonSchema)]
    #[expect(dead_code, reason = "only its schema is looked at")]
    #[schemars(deny_unknown_fields)]
    struct Config {
        /// Where to
        /// look.
        #[schemars(extend("x-egress" = "http"))]
        url: String,
        /// How long.
        timeout_ms: Option<u32>,
        /// Inner.
        inner: Option<Inner>,
    }

    #[derive(JsonSchema)]
    #[expect(dead_code, reason = "only its schema is looked at")]
    struct Inner {
        a: bool,
    }

    #[test]
    fn a_schema_is_in_one_piece_and_knows_no_null() {
        let schema = of::<Config>();
        assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
        assert_eq!(schema["additionalProperties"], false);
        let properties = &schema["properties"];
        assert_eq!(properties["url"]["x-egress"], "http");
        assert_eq!(properties["url"]["description"], "Where to look.");
        assert_eq!(properties["timeout_ms"]["type"], "integer");
        assert_eq!(properties["inner"]["type"], "object");
        assert_eq!(properties["inner"]["description"], "Inner.");
        let text = schema.to_string();
        assert!(!text.contains("$ref") && !text.contains("null"), "{text}");
    }
}
