//! References to secrets in a config: `{"$secret": "name", "prefix": "Bearer "}`.
//!
//! A reference counts as a string, the prefix and the secret. It may stand where the protocol's
//! schema says `writeOnly`: there the protocol expects something that it has to hand on and not to
//! show. Anywhere else it would be a handle in a place that nobody fills in.

use super::{HANDLE_BYTES, HANDLE_PREFIX};
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

/// A config as text, ready for a handle in the place of each reference.
#[derive(Debug, Clone, Default)]
pub struct Outline {
    text: Box<str>,
    /// Where a handle goes, and of which secret, in their order.
    places: Box<[(usize, Name)]>,
}

impl Outline {
    /// Of a config.
    pub fn of(config: &Value) -> Self {
        let plain = config.to_string();
        // Something of a handle's length that does not stand in the config by itself.
        let mut number = 0_u128;
        let stand_in = loop {
            let stand_in = format!("{HANDLE_PREFIX}{number:032x}");
            if !plain.contains(&stand_in) {
                break stand_in;
            }
            number += 1;
        };
        let mut names = Vec::new();
        let seen = replaced(config, &mut |name| {
            names.push(name.clone());
            stand_in.clone()
        });
        let text = seen.to_string();
        let places = text.match_indices(&stand_in).map(|(at, _)| at).zip(names).collect();
        Self { text: text.into(), places }
    }

    /// The config as a protocol sees it, with these handles: each of [`HANDLE_BYTES`], for the name that it is
    /// asked for.
    ///
    /// # Errors
    /// The first of `handle`.
    pub fn filled<E>(&self, mut handle: impl FnMut(&Name) -> Result<String, E>) -> Result<String, E> {
        let mut filled = String::with_capacity(self.text.len());
        let mut at = 0;
        for (place, name) in &self.places {
            filled.push_str(&self.text[at..*place]);
            filled.push_str(&handle(name)?);
            at = place + HANDLE_BYTES;
        }
        filled.push_str(&self.text[at..]);
        Ok(filled)
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
    fn an_outline_says_what_the_replaced_config_says() {
        let stand_in = format!("{HANDLE_PREFIX}{:032x}", 0);
        let config = json!({
            "headers": {"a": {"$secret": "token", "prefix": "Bearer \"é\" "}, "b": [{"$secret": "other"}, 1.5]},
            "odd": [stand_in, {"$secret": 1}], "again": {"$secret": "token"}
        });
        let handles = || (1_u8..).map(|number| format!("{HANDLE_PREFIX}{number:032x}"));
        let (mut these, mut those) = (handles(), handles());
        let mut asked = Vec::new();
        let outline = Outline::of(&config);
        let filled = outline.filled(|name| {
            asked.push(name.to_string());
            Ok::<_, ()>(these.next().unwrap())
        });
        assert_eq!(filled.unwrap(), replaced(&config, &mut |_| those.next().unwrap()).to_string());
        assert_eq!(asked, ["token", "token", "other"]);
        assert_eq!(outline.filled(|_| Err("no handle")), Err("no handle"));
        assert_eq!(Outline::of(&json!({"a": 1})).filled(|_| Err(())).unwrap(), r#"{"a":1}"#);
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
