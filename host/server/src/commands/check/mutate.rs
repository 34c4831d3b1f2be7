//! Configs next to a good one: every place of it spoilt in every way that its schema knows, and
//! filled with values that programs stumble over.

use action_domain::{action::escape_pointer, egress::for_each_value};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, HashSet};

/// A config that is not quite the one that it was made of.
#[derive(Debug, Clone)]
pub(super) struct Mutant {
    pub(super) config: Value,
    /// Where it was changed, and how: for people.
    pub(super) change: String,
}

/// Most of one config.
const MUTANTS_MAX: usize = 600;
/// A text that is longer than anybody expects. An interpreted language spends a thousand units of fuel on
/// each character, and `validate-config` has a hundred million.
const LONG_TEXT_CHARS: usize = 10_000;

/// Texts that are valid JSON and that programs stumble over.
fn odd_texts() -> Vec<(&'static str, String)> {
    vec![
        ("an empty text", String::new()),
        ("a blank", " ".to_owned()),
        ("a NUL", "a\0b".to_owned()),
        ("line ends", "a\r\nb".to_owned()),
        ("characters outside of the basic plane", "🦀\u{202e}é\u{301}".to_owned()),
        ("an open template", "{{".to_owned()),
        ("a template", "{{ nothing.of.that[0] }}".to_owned()),
        ("a path upwards", "../../etc/passwd".to_owned()),
        ("half a URL", "http://".to_owned()),
        ("a URL without a host", "https://:99999/".to_owned()),
        ("colons", ":::".to_owned()),
        ("a number", "-1".to_owned()),
        ("a very long text", "x".repeat(LONG_TEXT_CHARS)),
    ]
}

fn odd_numbers() -> Vec<(&'static str, Value)> {
    vec![
        ("0", json!(0)),
        ("-1", json!(-1)),
        ("the largest integer", json!(u64::MAX)),
        ("the smallest integer", json!(i64::MIN)),
        ("1e308", json!(1e308)),
        ("a tenth", json!(0.1)),
    ]
}

/// One value of each type.
fn of_each_type() -> [(&'static str, Value); 6] {
    [
        ("null", Value::Null),
        ("a boolean", json!(true)),
        ("a number", json!(42.5)),
        ("a text", json!("text")),
        ("a list", json!([])),
        ("an object", json!({})),
    ]
}

/// Mutants of a config, whether the schema accepts them or not; each once.
pub(super) fn mutants(schema: &Value, config: &Value) -> Vec<Mutant> {
    let mut made = Made { config, met: HashSet::from([config.to_string()]), mutants: Vec::new() };
    for (what, value) in of_each_type() {
        made.put("", value, what);
    }
    let mut parts: BTreeMap<String, Vec<Map<String, Value>>> = BTreeMap::new();
    for_each_value(schema, config, |part, _, pointer| parts.entry(pointer.to_owned()).or_default().push(part.clone()));
    // The places nearest to the top come first, where there are more than anybody wants to try.
    let mut places: Vec<_> = parts.into_iter().collect();
    places.sort_by_key(|(pointer, _)| pointer.matches('/').count());
    for (pointer, parts) in &places {
        let Some(value) = config.pointer(pointer) else { continue };
        for part in parts {
            spoil_by_schema(&mut made, pointer, value, part);
        }
        for (what, other) in of_each_type() {
            made.put(pointer, other, what);
        }
        match value {
            Value::String(_) => odd_texts().into_iter().for_each(|(what, text)| made.put(pointer, json!(text), what)),
            Value::Number(_) => odd_numbers().into_iter().for_each(|(what, number)| made.put(pointer, number, what)),
            _ => {}
        }
    }
    made.mutants
}

/// Breaks what a part of the schema says about a value.
fn spoil_by_schema(made: &mut Made<'_>, pointer: &str, value: &Value, part: &Map<String, Value>) {
    let number = |keyword: &str| part.get(keyword).and_then(Value::as_f64);
    if let Value::Object(object) = value {
        for name in part.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
            let mut without = object.clone();
            if without.remove(name).is_some() {
                made.put_as(pointer, without.into(), &format!("{pointer}/{} left out", escape_pointer(name)));
            }
        }
        let mut with = |name: &str, value: Value, what: &str| {
            let mut more = object.clone();
            more.insert(name.to_owned(), value);
            made.put_as(pointer, more.into(), &format!("{pointer}/{}: {what}", escape_pointer(name)));
        };
        with("an unknown member", json!(1), "added");
        // A member that the config leaves out is not met by walking over the config.
        let absent = part.get("properties").and_then(Value::as_object).into_iter().flatten();
        for (name, _) in absent.filter(|(name, _)| !object.contains_key(*name)) {
            for (what, value) in of_each_type() {
                with(name, value, what);
            }
        }
    }
    if part.contains_key("enum") || part.contains_key("const") {
        made.put(pointer, json!("none of those that may be there"), "none of those that may be there");
    }
    if let Some(least) = number("minimum").or_else(|| number("exclusiveMinimum")) {
        made.put(pointer, json!(least - 1.0), "under the least");
    }
    if let Some(most) = number("maximum").or_else(|| number("exclusiveMaximum")) {
        made.put(pointer, json!(most + 1.0), "over the most");
    }
    if let Some(most) = part.get("maxLength").and_then(Value::as_u64).filter(|most| *most < LONG_TEXT_CHARS as u64) {
        made.put(pointer, json!("x".repeat(most as usize + 1)), "too long");
    }
    if let (Some(most), Value::Array(list)) = (part.get("maxItems").and_then(Value::as_u64), value)
        && let Some(item) = list.first().filter(|_| most < 1000)
    {
        made.put(pointer, Value::Array(vec![item.clone(); most as usize + 1]), "too many items");
    }
    if part.contains_key("minItems") {
        made.put(pointer, json!([]), "no items");
    }
}

struct Made<'a> {
    config: &'a Value,
    met: HashSet<String>,
    mutants: Vec<Mutant>,
}

impl Made<'_> {
    /// The config with another value at this place.
    fn put(&mut self, pointer: &str, value: Value, what: &str) {
        let place = if pointer.is_empty() { "the config" } else { pointer };
        self.put_as(pointer, value, &format!("{place}: {what}"));
    }

    fn put_as(&mut self, pointer: &str, value: Value, change: &str) {
        if self.mutants.len() >= MUTANTS_MAX {
            return;
        }
        let mut config = self.config.clone();
        let Some(place) = config.pointer_mut(pointer) else { return };
        *place = value;
        if self.met.insert(config.to_string()) {
            self.mutants.push(Mutant { config, change: change.to_owned() });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_config_is_spoilt_in_each_of_its_places() {
        let schema = json!({
            "type": "object", "required": ["url"], "additionalProperties": false,
            "properties": {"url": {"type": "string", "maxLength": 30}, "n": {"type": "integer", "maximum": 9},
                "absent": {"type": "string"}}
        });
        let mutants = mutants(&schema, &json!({"url": "https://a.test/", "n": 1}));
        let changes: Vec<&str> = mutants.iter().map(|mutant| mutant.change.as_str()).collect();
        for wanted in [
            "the config: null",
            "the config: a list",
            "/url left out",
            "/an unknown member: added",
            "/absent: a list",
            "/url: too long",
            "/url: an empty text",
            "/url: null",
            "/n: over the most",
            "/n: a text",
            "/n: -1",
        ] {
            assert!(changes.contains(&wanted), "{wanted}: {changes:?}");
        }
        let texts: HashSet<String> = mutants.iter().map(|mutant| mutant.config.to_string()).collect();
        assert_eq!(texts.len(), mutants.len(), "each once");
        assert!(mutants.len() <= MUTANTS_MAX);
    }

    #[test]
    fn a_circular_schema_gives_no_more_than_anybody_wants_to_try() {
        let schema = json!({"properties": {"next": {"$ref": "#"}, "list": {"items": {"$ref": "#"}}}});
        let list: Vec<Value> = (0..200).map(|n| json!({"next": {"next": {"n": n}}})).collect();
        assert_eq!(mutants(&schema, &json!({"list": list})).len(), MUTANTS_MAX);
    }
}
