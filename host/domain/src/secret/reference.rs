//! References to secrets in a config: `{"$secret": "name", "prefix": "Bearer "}`.
//!
//! A reference counts as a string, the prefix and the secret. It may stand where the protocol's
//! schema says `writeOnly`: there the protocol expects something that it has to hand on and not to
//! show. Anywhere else it would be a handle in a place that nobody fills in.

use crate::{action::escape_pointer, egress::for_each_value, failure::Issue, name::Name};
use serde_json::{Map, Value};
use std::collections::{BTreeSet, HashSet};

/// The member that makes an object a reference.
const KEYWORD: &str = "$secret";
/// Goes before the secret.
const PREFIX: &str = "prefix";
/// The annotation of a schema at whose values references may stand.
const WRITE_ONLY: &str = "writeOnly";

/// A reference, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// The secret.
    pub name: Name,
    /// JSON Pointer into the config.
    pub pointer: String,
}

/// Every reference of a config in its order; what looks like one and is none is an issue.
pub fn references(config: &Value) -> (Vec<Reference>, Vec<Issue>) {
    let (mut references, mut issues) = (Vec::new(), Vec::new());
    each_reference(config, &mut String::new(), &mut |object, pointer| match read(object) {
        Ok((name, _)) => references.push(Reference { name, pointer: pointer.to_owned() }),
        Err((member, message)) => {
            issues.push(Issue::new(format!("{pointer}{member}"), "invalid_secret_reference", message));
        }
    });
    (references, issues)
}

/// The names of the secrets that a config refers to.
pub fn names(config: &Value) -> BTreeSet<Name> {
    references(config).0.into_iter().map(|reference| reference.name).collect()
}

/// The config as the protocol sees it: in each reference's place its prefix, and what `with` gives
/// for it. What is no proper reference stays as it is.
pub fn replaced(config: &Value, with: &mut impl FnMut(&Name) -> String) -> Value {
    match config {
        Value::Object(object) if object.contains_key(KEYWORD) => match read(object) {
            Ok((name, prefix)) => Value::String(format!("{prefix}{}", with(&name))),
            Err(_) => config.clone(),
        },
        Value::Object(object) => {
            object.iter().map(|(key, value)| (key.clone(), replaced(value, with))).collect::<Map<_, _>>().into()
        }
        Value::Array(list) => list.iter().map(|value| replaced(value, with)).collect::<Vec<_>>().into(),
        other => other.clone(),
    }
}

/// References where the schema does not expect a secret.
pub fn misplaced(schema: &Value, config: &Value) -> Vec<Issue> {
    let (references, _) = references(config);
    if references.is_empty() {
        return Vec::new();
    }
    let mut places = HashSet::new();
    for_each_value(schema, config, |annotations, _, pointer| {
        if annotations.get(WRITE_ONLY) == Some(&Value::Bool(true)) {
            places.insert(pointer.to_owned());
        }
    });
    let message = "a secret can only stand where the protocol's schema says writeOnly: in other places nothing puts \
                   the value in";
    let misplaced = references.into_iter().filter(|reference| !places.contains(&reference.pointer));
    misplaced.map(|reference| Issue::new(reference.pointer, "secret_misplaced", message)).collect()
}

fn each_reference(value: &Value, pointer: &mut String, then: &mut impl FnMut(&Map<String, Value>, &str)) {
    let mut below = |part: &str, value: &Value| {
        let length = pointer.len();
        pointer.push('/');
        pointer.push_str(part);
        each_reference(value, pointer, then);
        pointer.truncate(length);
    };
    match value {
        Value::Object(object) if object.contains_key(KEYWORD) => then(object, pointer),
        Value::Object(object) => object.iter().for_each(|(key, value)| below(&escape_pointer(key), value)),
        Value::Array(list) => list.iter().enumerate().for_each(|(index, value)| below(&index.to_string(), value)),
        _ => {}
    }
}

/// A reference's name and prefix; else the member that is wrong, and why.
fn read(object: &Map<String, Value>) -> Result<(Name, &str), (String, String)> {
    let wrong = |member: &str, message: &str| Err((format!("/{}", escape_pointer(member)), message.to_owned()));
    if let Some(other) = object.keys().find(|key| ![KEYWORD, PREFIX].contains(&key.as_str())) {
        return wrong(other, "a reference to a secret has the members $secret and prefix, and no other");
    }
    let prefix = match object.get(PREFIX) {
        None => "",
        Some(Value::String(text)) => text,
        Some(_) => return wrong(PREFIX, "the prefix is a text"),
    };
    match object.get(KEYWORD).and_then(Value::as_str).map(str::parse) {
        Some(Ok(name)) => Ok((name, prefix)),
        Some(Err(error)) => wrong(KEYWORD, &format!("the name of a secret is needed: {error}")),
        None => wrong(KEYWORD, "the name of a secret is needed, which is a text"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn told(issues: Vec<Issue>) -> Vec<(String, String)> {
        issues.into_iter().map(|issue| (issue.pointer, issue.code)).collect()
    }

    #[test]
    fn references_are_found_wherever_they_stand_and_become_strings() {
        let config = json!({
            "headers": {"a/b": {"$secret": "token", "prefix": "Bearer "}, "c": [1, {"$secret": "other"}]},
            "url": "https://a.test/", "again": {"$secret": "token"}
        });
        let (references, issues) = references(&config);
        let pointers: Vec<_> = references.iter().map(|it| format!("{} {}", it.pointer, it.name)).collect();
        assert_eq!(pointers, ["/again token", "/headers/a~1b token", "/headers/c/1 other"]);
        assert_eq!(issues, []);
        assert_eq!(names(&config).len(), 2);
        let mut count = 0;
        let seen = replaced(&config, &mut |name| {
            count += 1;
            format!("<{name}{count}>")
        });
        assert_eq!(
            seen,
            json!({
                "headers": {"a/b": "Bearer <token2>", "c": [1, "<other3>"]},
                "url": "https://a.test/", "again": "<token1>"
            })
        );
    }

    #[test]
    fn what_looks_like_a_reference_has_to_be_one() {
        for (reference, pointer) in [
            (json!({"$secret": 1}), "/a/$secret"),
            (json!({"$secret": "Not A Name"}), "/a/$secret"),
            (json!({"$secret": null}), "/a/$secret"),
            (json!({"$secret": "x", "prefix": 1}), "/a/prefix"),
            (json!({"$secret": "x", "pre/fix": ""}), "/a/pre~1fix"),
        ] {
            let (found, issues) = references(&json!({"a": reference}));
            assert_eq!(found, []);
            assert_eq!(told(issues), [(pointer.to_owned(), "invalid_secret_reference".to_owned())], "{reference}");
        }
    }

    #[test]
    fn a_secret_stands_where_the_schema_says_write_only() {
        let schema = json!({
            "properties": {
                "token": {"type": "string", "writeOnly": true},
                "headers": {"additionalProperties": {"writeOnly": true, "items": {"writeOnly": true}}},
                "auth": {"oneOf": [{"properties": {"password": {"$ref": "#/$defs/p"}}}, {"type": "null"}]},
                "plain": {"type": "string", "writeOnly": false}, "json": {}
            },
            "$defs": {"p": {"type": "string", "writeOnly": true}}
        });
        let secret = json!({"$secret": "x"});
        for fine in [
            json!({"token": secret}),
            json!({"headers": {"a": secret, "b": ["x", secret]}}),
            json!({"auth": {"password": secret}}),
            json!({"plain": "p"}),
        ] {
            assert_eq!(misplaced(&schema, &fine), [], "{fine}");
        }
        for (wrong, pointer) in [
            (json!({"plain": secret}), "/plain"),
            (json!({"json": {"a": [secret]}}), "/json/a/0"),
            (json!({"headers": secret}), "/headers"),
            (json!({"unknown": secret}), "/unknown"),
            (secret.clone(), ""),
        ] {
            assert_eq!(told(misplaced(&schema, &wrong)), [(pointer.to_owned(), "secret_misplaced".to_owned())]);
        }
    }
}
