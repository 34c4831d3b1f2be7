//! What a component says of itself: always the same, without reaching anything, and of use to people.

use super::{super::subject::Bench, Finding, Problems, Rule, Subject, count, denied};
use action_domain::{
    action::escape_pointer,
    failure::Issue,
    protocol::Descriptor,
    services::{Entry, RawDescriptor},
};
use action_engine::Form;
use serde_json::{Map, Value};
use std::time::Duration;

/// How far its clock is ahead each time that a component is asked again what it is: not at all, so that
/// chance shows; and then so far that second, minute, hour, day, month and year are others.
const ASKED_AGAIN: [Duration; 5] = [
    Duration::ZERO,
    Duration::ZERO,
    Duration::ZERO,
    Duration::from_secs(3_661),
    Duration::from_secs(400 * 86_400 + 5 * 3_600 + 61),
];
/// Names of properties that hold secrets, or end like this.
const SECRET_NAMES: [&str; 9] =
    ["password", "passwd", "passphrase", "secret", "token", "api_key", "apikey", "private_key", "credentials"];

/// Whether `describe` gives the same each time, and what it tried to reach.
pub(super) async fn deterministic(bench: &Bench, first: &RawDescriptor) -> (Finding, Vec<Entry>) {
    let (mut problems, mut entries) = (Problems::default(), Vec::new());
    for ahead in ASKED_AGAIN {
        let when = if ahead.is_zero() { "" } else { ", at another time" };
        let (described, met) = bench.describe(ahead).await;
        entries.extend(met);
        match described {
            Ok(again) => different(first, &again).into_iter().for_each(|field| {
                problems.fail(format!("{field} is another one when it is asked again{when}"));
            }),
            Err(error) => problems.fail(format!("when it is asked again{when}: {error}")),
        }
    }
    let done = format!("asked {} times what it is, on different days", ASKED_AGAIN.len() + 1);
    (problems.finding(Rule::Deterministic, &done, "always the same"), entries)
}

/// The fields in which two descriptors differ.
fn different(one: &RawDescriptor, other: &RawDescriptor) -> Vec<&'static str> {
    let examples = |descriptor: &RawDescriptor| {
        descriptor.examples.iter().map(|example| (example.name.clone(), example.config.clone())).collect::<Vec<_>>()
    };
    [
        ("name", one.name == other.name),
        ("version", one.version == other.version),
        ("summary", one.summary == other.summary),
        ("documentation", one.documentation == other.documentation),
        ("config-schema", one.config_schema == other.config_schema),
        ("input-schema", one.input_schema == other.input_schema),
        ("output-schema", one.output_schema == other.output_schema),
        ("examples", examples(one) == examples(other)),
        ("test-methods", one.test_methods == other.test_methods),
    ]
    .into_iter()
    .filter_map(|(field, is_same)| (!is_same).then_some(field))
    .collect()
}

/// Whether what must reach nothing tried to.
pub(super) fn pure(which: &str, entries: &[Entry]) -> Finding {
    let mut problems = Problems::default();
    for target in denied(entries) {
        problems.fail(format!("tried to reach {target}"));
    }
    problems.finding(Rule::Pure, which, "nobody was to be reached")
}

/// The descriptor as the service takes it, and as people read it.
pub(super) fn descriptor(checked: Result<&Descriptor, &[Issue]>) -> Finding {
    let mut problems = Problems::default();
    let descriptor = match checked {
        Ok(descriptor) => descriptor,
        Err(issues) => {
            for issue in issues {
                problems.fail(format!("{}: {}", issue.pointer, issue.message));
            }
            return problems.finding(Rule::Descriptor, "the service would refuse it", "");
        }
    };
    if descriptor.summary.trim().is_empty() {
        problems.warn("/summary is empty: lists of protocols show it");
    }
    if descriptor.documentation.trim().is_empty() {
        problems.warn("/documentation is empty: who configures an action has nothing else to read");
    }
    let Descriptor { name, version, .. } = descriptor;
    let done = format!("{name}@{version}, with {}", count(descriptor.examples.len(), "example"));
    problems.finding(Rule::Descriptor, &done, "")
}

/// What validates, and misleads all the same.
pub(super) fn schema(subject: &Subject) -> Finding {
    let schema = &subject.descriptor.config_schema;
    let mut problems = Problems::default();
    let mut properties = 0;
    each_property(schema, "", &mut |owner, name, property, pointer| {
        properties += 1;
        let lower = name.to_ascii_lowercase();
        let is_secret = SECRET_NAMES.iter().any(|word| lower == *word || lower.ends_with(&format!("_{word}")));
        let text = property.to_string();
        // What it refers to is looked at where it stands.
        let says_so = text.contains(r#""writeOnly":true"#) || text.contains(r#""$ref""#);
        if is_secret && may_be_text(property) && !says_so {
            problems.warn(format!("{pointer} looks like a secret and is not writeOnly: its value would be plain text"));
        }
        if let Some(default) = property.get("default")
            && !text.contains(r#""$ref""#)
            && Form::new(property).is_ok_and(|form| !form.issues(default).is_empty())
        {
            problems.fail(format!("{pointer}: its default is not valid"));
        }
        let is_top = std::ptr::eq(owner, schema);
        let told = ["description", "title", "$ref"].iter().any(|keyword| text.contains(keyword));
        if is_top && !told {
            problems.warn(format!("{pointer} has no description"));
        }
    });
    each_object(schema, "", &mut |object, pointer| {
        let known = object.get("properties").and_then(Value::as_object);
        let is_closed = object.get("additionalProperties") == Some(&Value::Bool(false));
        for name in object.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
            if is_closed
                && !object.contains_key("patternProperties")
                && known.is_none_or(|known| !known.contains_key(name))
            {
                problems.fail(format!("{pointer}/required asks for `{name}`, which may not be there"));
            }
        }
    });
    let is_open = ["additionalProperties", "unevaluatedProperties"].iter().all(|keyword| schema.get(keyword).is_none());
    if properties > 0 && is_open {
        problems.warn("a misspelt member is taken without a word: additionalProperties is not false");
    }
    problems.finding(Rule::Schema, &format!("looked at {}", count(properties, "place")), "nothing that misleads")
}

fn may_be_text(property: &Value) -> bool {
    match property.get("type") {
        Some(Value::Array(types)) => types.iter().any(|name| name == "string"),
        Some(name) => name == "string",
        None => true,
    }
}

/// Every schema that is an object, with its place.
fn each_object(schema: &Value, pointer: &str, then: &mut impl FnMut(&Map<String, Value>, &str)) {
    match schema {
        Value::Object(object) => {
            then(object, pointer);
            for (keyword, value) in object {
                // Data, whatever it looks like.
                if !["const", "default", "enum", "examples"].contains(&keyword.as_str()) {
                    each_object(value, &format!("{pointer}/{}", escape_pointer(keyword)), then);
                }
            }
        }
        Value::Array(list) => {
            for (index, value) in list.iter().enumerate() {
                each_object(value, &format!("{pointer}/{index}"), then);
            }
        }
        _ => {}
    }
}

/// Every property: the schema that it stands in, its name, its schema, its place.
fn each_property(schema: &Value, pointer: &str, then: &mut impl FnMut(&Value, &str, &Value, &str)) {
    match schema {
        Value::Object(object) => {
            for (name, property) in object.get("properties").and_then(Value::as_object).into_iter().flatten() {
                then(schema, name, property, &format!("{pointer}/properties/{}", escape_pointer(name)));
            }
            for (keyword, value) in object {
                if !["const", "default", "enum", "examples"].contains(&keyword.as_str()) {
                    each_property(value, &format!("{pointer}/{}", escape_pointer(keyword)), then);
                }
            }
        }
        Value::Array(list) => {
            for (index, value) in list.iter().enumerate() {
                each_property(value, &format!("{pointer}/{index}"), then);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn properties_are_found_wherever_they_stand_and_data_is_not_looked_at() {
        let schema = json!({
            "properties": {"a": {"properties": {"b/c": {}}}}, "$defs": {"d": {"properties": {"e": {}}}},
            "examples": [{"properties": {"no": {}}}]
        });
        let mut places = Vec::new();
        each_property(&schema, "", &mut |_, _, _, pointer| places.push(pointer.to_owned()));
        assert_eq!(places, ["/properties/a", "/$defs/d/properties/e", "/properties/a/properties/b~1c"]);
    }

    #[test]
    fn fields_that_differ_are_named() {
        let one = RawDescriptor::default();
        let other = RawDescriptor { summary: "s".into(), test_methods: vec!["POST".into()], ..one.clone() };
        assert_eq!(different(&one, &other), ["summary", "test-methods"]);
        assert!(different(&one, &one).is_empty());
    }
}
