//! JSON Schema 2020-12: compiled with bounds, and its errors as issues with pointers.
//!
//! Schemas come from strangers: nothing they refer to is fetched, and their patterns run in
//! an engine whose time is linear in the text.

use action_domain::{failure::Issue, limits::ISSUES_MAX, protocol::Descriptor};
use jsonschema::{Draft, PatternOptions, Validator};
use serde_json::Value;

/// Most memory that a compiled pattern of a schema may take, in bytes.
const PATTERN_BYTES_MAX: usize = 1 << 20;

/// A protocol's schemas, compiled.
pub(crate) struct Schemas {
    pub(crate) config: Validator,
    pub(crate) input: Option<Validator>,
}

impl Schemas {
    /// Compiles all of a descriptor's schemas; every one that does not compile is an issue.
    pub(crate) fn compile(descriptor: &Descriptor) -> Result<Self, Vec<Issue>> {
        let mut issues = Vec::new();
        let mut compile_at = |pointer: &str, schema: &Value| match compile(schema) {
            Ok(validator) => Some(validator),
            Err(issue) => {
                issues.push(issue.below(pointer));
                None
            }
        };
        let config = compile_at("/config_schema", &descriptor.config_schema);
        let input = descriptor.input_schema.as_ref().and_then(|schema| compile_at("/input_schema", schema));
        if let Some(schema) = &descriptor.output_schema {
            compile_at("/output_schema", schema);
        }
        match config {
            Some(config) if issues.is_empty() => Ok(Self { config, input }),
            _ => Err(issues),
        }
    }
}

/// Compiles a schema.
fn compile(schema: &Value) -> Result<Validator, Issue> {
    let patterns = PatternOptions::regex().size_limit(PATTERN_BYTES_MAX).dfa_size_limit(PATTERN_BYTES_MAX);
    jsonschema::options()
        .with_draft(Draft::Draft202012)
        .with_pattern_options(patterns)
        .offline()
        .build(schema)
        .map_err(|error| Issue::new(error.instance_path().as_str(), "invalid_schema", error.to_string()))
}

/// Everything that is wrong with `value`, as far as [`ISSUES_MAX`] reaches. The messages do
/// not repeat values, which may be secrets.
pub(crate) fn issues_of(validator: &Validator, value: &Value) -> Vec<Issue> {
    validator
        .iter_errors(value)
        .take(ISSUES_MAX)
        .map(|error| {
            let keyword = error.schema_path().as_str().rsplit('/').find(|part| part.parse::<usize>().is_err());
            let code = keyword.map_or_else(|| "invalid".to_owned(), snake_case);
            Issue::new(error.instance_path().as_str(), code, error.masked().to_string())
        })
        .collect()
}

/// `additionalProperties` as `additional_properties`.
fn snake_case(keyword: &str) -> String {
    let mut word = String::with_capacity(keyword.len() + 4);
    for letter in keyword.chars() {
        if letter.is_ascii_uppercase() {
            word.push('_');
        }
        word.push(letter.to_ascii_lowercase());
    }
    word
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_mistake_with_its_place_and_without_its_value() {
        let schema = json!({
            "type": "object", "required": ["url"], "additionalProperties": false,
            "properties": {"url": {"type": "string"}, "n": {"type": "object", "properties": {"a/b": {"type": "integer"}}}}
        });
        let validator = compile(&schema).unwrap();
        let mut issues = issues_of(&validator, &json!({"n": {"a/b": "hunter2"}, "x": 1}));
        issues.sort_by(|a, b| a.code.cmp(&b.code));
        let short: Vec<(&str, &str)> = issues.iter().map(|i| (i.pointer.as_str(), i.code.as_str())).collect();
        assert_eq!(short, [("", "additional_properties"), ("", "required"), ("/n/a~1b", "type")]);
        assert!(issues.iter().all(|issue| !issue.message.contains("hunter2")));
    }

    #[test]
    fn nothing_is_fetched_and_no_pattern_explodes() {
        assert!(compile(&json!({"$ref": "http://127.0.0.1:1/schema.json"})).is_err());
        assert!(compile(&json!({"$ref": "file:///etc/passwd"})).is_err());
        assert!(compile(&json!({"type": "nonsense"})).is_err());
        assert!(compile(&json!({"pattern": "(a{1000}){1000}"})).is_err());
        let validator = compile(&json!({"pattern": "^(a+)+$"})).unwrap();
        assert!(!issues_of(&validator, &json!(format!("{}!", "a".repeat(10_000)))).is_empty());
    }
}
