//! JSON Schema 2020-12: compiled with bounds, and its errors as issues with pointers.
//!
//! Schemas come from strangers: nothing they refer to is fetched, and their patterns run in
//! an engine whose time is linear in the text.

use action_domain::{action::escape_pointer, failure::Issue, limits::ISSUES_MAX, protocol::Descriptor};
use jsonschema::{Draft, PatternOptions, ValidationError, Validator, error::ValidationErrorKind};
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

/// The form of a document, by a schema of the service's own.
#[derive(Debug)]
pub struct Form(Validator);

impl Form {
    /// Of a schema; it may refer to parts of itself only.
    pub fn new(schema: &Value) -> Result<Self, Issue> {
        compile(schema).map(Self)
    }

    /// Every place where a document has another form, as far as [`ISSUES_MAX`] reaches.
    pub fn issues(&self, document: &Value) -> Vec<Issue> {
        issues_of(&self.0, document)
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
    let mut issues = Vec::new();
    for error in validator.iter_errors(value) {
        add_issues(&error, &mut issues);
        if issues.len() >= ISSUES_MAX {
            issues.truncate(ISSUES_MAX);
            break;
        }
    }
    issues
}

/// A member that is missing or unknown is pointed at itself, not the object around it.
fn add_issues(error: &ValidationError<'_>, issues: &mut Vec<Issue>) {
    let place = error.instance_path().as_str();
    let keyword = error.schema_path().as_str().rsplit('/').find(|part| part.parse::<usize>().is_err());
    let code = keyword.map_or_else(|| "invalid".to_owned(), snake_case);
    let at = |member: &str, message: String| {
        Issue::new(format!("{place}/{}", escape_pointer(member)), code.clone(), message)
    };
    match error.kind() {
        ValidationErrorKind::Required { property } => {
            issues.push(at(property.as_str().unwrap_or_default(), "this member is missing".into()));
        }
        ValidationErrorKind::AdditionalProperties { unexpected }
        | ValidationErrorKind::UnevaluatedProperties { unexpected } => {
            issues.extend(unexpected.iter().map(|member| at(member, "there is no member of this name".into())));
        }
        ValidationErrorKind::PropertyNames { error: of_name } => {
            let member = of_name.instance().as_str().unwrap_or_default();
            issues.push(at(member, format!("the member's name: {}", of_name.masked())));
        }
        ValidationErrorKind::OneOfNotValid { context } | ValidationErrorKind::AnyOf { context } => {
            match meant(place, context) {
                Some(branch) => branch.iter().for_each(|error| add_issues(error, issues)),
                None => issues.push(Issue::new(place, code, error.masked().to_string())),
            }
        }
        _ => issues.push(Issue::new(place, code, error.masked().to_string())),
    }
}

/// Of several schemas the only one for values of this type, if there is one: `null` or an object
/// with members, for instance.
fn meant<'e>(place: &str, branches: &'e [Vec<ValidationError<'static>>]) -> Option<&'e [ValidationError<'static>]> {
    let of_another_type = |error: &ValidationError<'_>| {
        matches!(error.kind(), ValidationErrorKind::Type { .. }) && error.instance_path().as_str() == place
    };
    let mut left = branches.iter().filter(|errors| !errors.iter().any(of_another_type));
    let only = left.next().filter(|errors| !errors.is_empty());
    only.filter(|_| left.next().is_none()).map(Vec::as_slice)
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
        assert_eq!(short, [("/x", "additional_properties"), ("/url", "required"), ("/n/a~1b", "type")]);
        assert!(issues.iter().all(|issue| !issue.message.contains("hunter2")));
    }

    #[test]
    fn missing_and_unknown_members_are_pointed_at_themselves() {
        let object = json!({"type": "object", "required": ["a", "b/c"], "additionalProperties": false,
            "properties": {"a": {"type": "integer"}, "b/c": true}});
        let schema = json!({"properties": {
            "maybe": {"oneOf": [object, {"type": "null"}]}, "either": {"anyOf": [{"type": "string"}, object]},
            "both": {"oneOf": [{"minimum": 1}, {"minimum": 2}]}, "names": {"propertyNames": {"pattern": "^[a-z]+$"}}
        }, "unevaluatedProperties": false});
        let validator = compile(&schema).unwrap();
        let places = |value: Value| {
            let issues = issues_of(&validator, &value).into_iter();
            let mut places: Vec<String> = issues.map(|issue| format!("{} {}", issue.pointer, issue.code)).collect();
            places.sort();
            places.join(", ")
        };
        let wrong = json!({"maybe": {"a": "x", "y/z": 1}, "either": {}, "odd": 1, "more": 2, "names": {"A~": 1}});
        assert_eq!(
            places(wrong),
            "/either/a required, /either/b~1c required, /maybe/a type, /maybe/b~1c required, \
             /maybe/y~1z additional_properties, /more unevaluated_properties, /names/A~0 pattern, \
             /odd unevaluated_properties"
        );
        assert_eq!(places(json!({"maybe": 7, "either": 7, "both": 0})), "/both one_of, /either any_of, /maybe one_of");
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
