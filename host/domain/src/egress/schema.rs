//! Which places of a config schema an `x-egress` annotation may stand at, and which grant
//! nothing.
//!
//! The value of a config is followed by the keywords that say plainly which schema is for which
//! value. Others would need a validator's judgement (`patternProperties`, `unevaluatedItems`,
//! `not`); an annotation below one of them would never grant anything, so a protocol that has
//! one is refused, and its author learns it at once.

use crate::{action::escape_pointer, failure::Issue};
use serde_json::{Map, Value};
use std::{
    borrow::Cow,
    collections::{HashSet, VecDeque},
};

/// The annotation.
pub(crate) const KEYWORD: &str = "x-egress";

/// Deepest nesting of schemas that is followed; references may be circular.
pub(crate) const DEPTH_MAX: usize = 32;

/// The keywords that are followed, for people.
const FOLLOWED: &str = "properties, additionalProperties without patternProperties, items, prefixItems, allOf, \
                        anyOf, oneOf, if, then, else, dependentSchemas, and $ref to a place in this schema (#/…)";

/// The values that a schema is for, seen from the value that its parent is for.
pub(crate) enum For<'a> {
    /// The same.
    Itself,
    /// The same, if it has this property.
    ItselfWith(&'a str),
    /// This property.
    Property(&'a str),
    /// Every property but these.
    PropertiesBut(Option<&'a Map<String, Value>>),
    /// This item.
    Item(usize),
    /// The items from this one on.
    ItemsFrom(usize),
}

/// A schema inside another one, or one that is referred to.
pub(crate) struct Inner<'a> {
    pub(crate) schema: &'a Value,
    pub(crate) values: For<'a>,
    /// Where it stands: below its parent, or in the whole where it is referred to.
    place: Place<'a>,
}

impl Inner<'_> {
    /// Whether a value of the parent's may break this one and be valid all the same.
    pub(crate) fn is_conditional(&self) -> bool {
        match self.place {
            Place::Keyword(keyword) => matches!(keyword, "if" | "then" | "else"),
            Place::Number(keyword, _) => matches!(keyword, "anyOf" | "oneOf"),
            Place::Name(keyword, _) => keyword == "dependentSchemas",
            Place::Whole(_) => false,
        }
    }
}

enum Place<'a> {
    Keyword(&'static str),
    Name(&'static str, &'a str),
    Number(&'static str, usize),
    Whole(Cow<'a, str>),
}

impl Place<'_> {
    fn pointer(&self, parent: &str) -> String {
        match self {
            Self::Keyword(keyword) => format!("{parent}/{keyword}"),
            Self::Name(keyword, name) => format!("{parent}/{keyword}/{}", escape_pointer(name)),
            Self::Number(keyword, index) => format!("{parent}/{keyword}/{index}"),
            Self::Whole(pointer) => pointer.clone().into_owned(),
        }
    }
}

/// The schemas to follow from this one. One with an `$id` of its own is another whole, in which
/// references mean something else: it is not followed.
pub(crate) fn inner<'a>(root: &'a Value, schema: &'a Map<String, Value>) -> Vec<Inner<'a>> {
    let mut found = Vec::new();
    let mut add = |schema, values, place| found.push(Inner { schema, values, place });
    if let Some((pointer, target)) = schema.get("$ref").and_then(|reference| resolve(root, reference.as_str()?)) {
        add(target, For::Itself, Place::Whole(pointer));
    }
    for keyword in ["allOf", "anyOf", "oneOf"] {
        for (index, branch) in schema.get(keyword).and_then(Value::as_array).into_iter().flatten().enumerate() {
            add(branch, For::Itself, Place::Number(keyword, index));
        }
    }
    for keyword in ["if", "then", "else"] {
        if let Some(branch) = schema.get(keyword) {
            add(branch, For::Itself, Place::Keyword(keyword));
        }
    }
    let map = |keyword| schema.get(keyword).and_then(Value::as_object);
    for (name, dependent) in map("dependentSchemas").into_iter().flatten() {
        add(dependent, For::ItselfWith(name), Place::Name("dependentSchemas", name));
    }
    for (name, property) in map("properties").into_iter().flatten() {
        add(property, For::Property(name), Place::Name("properties", name));
    }
    if let Some(others) = schema.get("additionalProperties")
        && map("patternProperties").is_none_or(Map::is_empty)
    {
        add(others, For::PropertiesBut(map("properties")), Place::Keyword("additionalProperties"));
    }
    let prefix = schema.get("prefixItems").and_then(Value::as_array);
    for (index, item) in prefix.into_iter().flatten().enumerate() {
        add(item, For::Item(index), Place::Number("prefixItems", index));
    }
    if let Some(items) = schema.get("items") {
        add(items, For::ItemsFrom(prefix.map_or(0, Vec::len)), Place::Keyword("items"));
    }
    found.retain(|inner| std::ptr::eq(inner.schema, root) || inner.schema.get("$id").is_none());
    found
}

/// A reference inside the same schema: `#/$defs/thing`, as pointer and target.
fn resolve<'a>(root: &'a Value, reference: &'a str) -> Option<(Cow<'a, str>, &'a Value)> {
    let pointer = percent_decoded(reference.strip_prefix('#')?)?;
    let target = root.pointer(&pointer)?;
    Some((pointer, target))
}

fn percent_decoded(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains('%') {
        return Some(text.into());
    }
    let mut parts = text.split('%');
    let mut bytes = parts.next()?.as_bytes().to_vec();
    for part in parts {
        let (code, rest) = part.as_bytes().split_at_checked(2)?;
        bytes.extend(hex::decode(code).ok()?);
        bytes.extend(rest);
    }
    String::from_utf8(bytes).ok().map(Cow::from)
}

/// What is wrong with the `x-egress` annotations of a config schema: every one that can never
/// grant anything, with a pointer into the schema.
pub fn issues_of_schema(schema: &Value) -> Vec<Issue> {
    let followed = followed(schema);
    let mut issues = Vec::new();
    annotations(schema, "", &mut |annotated, pointer| {
        let mut wrong = |message: String| {
            issues.push(Issue::new(format!("{pointer}/{KEYWORD}"), "egress_grants_nothing", message));
        };
        if !matches!(annotated[KEYWORD].as_str(), Some("http" | "tcp")) {
            wrong(format!("{KEYWORD} is \"http\" (a URL) or \"tcp\" (host:port)"));
        } else if annotated.get("type").is_some_and(|types| !may_be_text(types)) {
            wrong(format!("{KEYWORD} stands at a string; for a list or an object, at its items or properties"));
        } else if !followed.contains(pointer) {
            wrong(format!("{KEYWORD} grants nothing here: it is found by {FOLLOWED}, {DEPTH_MAX} deep at most"));
        }
    });
    issues
}

fn may_be_text(types: &Value) -> bool {
    types == "string" || types.as_array().is_some_and(|types| types.iter().any(|name| name == "string"))
}

/// Pointers to all schemas that some value can be for. The nearest come first, so that each is
/// met by its shortest way.
fn followed(root: &Value) -> HashSet<String> {
    let mut met = HashSet::from([String::new()]);
    let mut next = VecDeque::from([(String::new(), root, 0)]);
    while let Some((pointer, schema, depth)) = next.pop_front() {
        let Some(schema) = schema.as_object().filter(|_| depth < DEPTH_MAX) else { continue };
        for inner in inner(root, schema) {
            let pointer = inner.place.pointer(&pointer);
            if met.insert(pointer.clone()) {
                next.push_back((pointer, inner.schema, depth + 1));
            }
        }
    }
    met
}

/// All schemas that are annotated, wherever they stand.
fn annotations(schema: &Value, pointer: &str, found: &mut impl FnMut(&Map<String, Value>, &str)) {
    let Some(object) = schema.as_object() else { return };
    if object.contains_key(KEYWORD) {
        found(object, pointer);
    }
    for (keyword, value) in object {
        let pointer = format!("{pointer}/{}", escape_pointer(keyword));
        match (keyword.as_str(), value) {
            // Data, whatever it looks like.
            ("const" | "default" | "enum" | "examples", _) => {}
            // Names of the author's own, and a schema for each.
            (
                "$defs" | "definitions" | "dependencies" | "dependentSchemas" | "patternProperties" | "properties",
                Value::Object(schemas),
            ) => {
                for (name, schema) in schemas {
                    annotations(schema, &format!("{pointer}/{}", escape_pointer(name)), found);
                }
            }
            (_, Value::Array(schemas)) => {
                for (index, schema) in schemas.iter().enumerate() {
                    annotations(schema, &format!("{pointer}/{index}"), found);
                }
            }
            (_, schema) => annotations(schema, &pointer, found),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::egress::rules_of_config;
    use serde_json::json;

    /// An annotated schema.
    fn url() -> Value {
        json!({"type": "string", "x-egress": "http"})
    }

    #[test]
    fn where_an_annotation_is_found_it_grants_and_is_no_issue() {
        let server = json!("https://a.test/");
        for (schema, config, from) in [
            (url(), server.clone(), ""),
            (json!({"properties": {"u": url()}}), json!({"u": server}), "/u"),
            (json!({"properties": {"x-egress": url()}}), json!({"x-egress": server}), "/x-egress"),
            (json!({"properties": {"p": {}}, "additionalProperties": url()}), json!({"p": server, "q": server}), "/q"),
            (json!({"patternProperties": {}, "additionalProperties": url()}), json!({"q": server}), "/q"),
            (json!({"items": url()}), json!([server]), "/0"),
            (json!({"prefixItems": [{}, url()]}), json!([server, server]), "/1"),
            (json!({"prefixItems": [{}], "items": url()}), json!([server, server]), "/1"),
            (json!({"allOf": [{"anyOf": [{"oneOf": [url()]}]}]}), server.clone(), ""),
            (json!({"if": {"properties": {"u": url()}}}), json!({"u": server}), "/u"),
            (json!({"if": {}, "then": {"properties": {"u": url()}}}), json!({"u": server}), "/u"),
            (json!({"if": {}, "else": {"properties": {"u": url()}}}), json!({"u": server}), "/u"),
            (json!({"dependentSchemas": {"t": {"properties": {"u": url()}}}}), json!({"t": 1, "u": server}), "/u"),
            (json!({"$defs": {"a b": url()}, "items": {"$ref": "#/$defs/a%20b"}}), json!([server]), "/0"),
            (json!({"definitions": {"a/b": url()}, "items": {"$ref": "#/definitions/a~1b"}}), json!([server]), "/0"),
            (json!({"properties": {"u": url(), "next": {"$ref": "#"}}}), json!({"next": {"u": server}}), "/next/u"),
            (json!({"$id": "https://s.test/", "properties": {"u": url()}}), json!({"u": server}), "/u"),
            (json!({"type": ["string", "null"], "x-egress": "http"}), server.clone(), ""),
        ] {
            assert_eq!(issues_of_schema(&schema), [], "{schema}");
            let rules = rules_of_config(&schema, &config);
            let found: Vec<&str> = rules.iter().map(|rule| rule.from.as_str()).collect();
            assert_eq!(found, [from], "{schema}");
        }
    }

    #[test]
    fn an_annotation_that_grants_nothing_is_told_with_its_place() {
        let server = "https://a.test/";
        let object = json!({"u": server, "t": server});
        for (schema, config, pointer) in [
            (json!({"patternProperties": {"^u/": url()}}), &object, "/patternProperties/^u~1"),
            (json!({"patternProperties": {"^u": {}}, "additionalProperties": url()}), &object, "/additionalProperties"),
            (json!({"unevaluatedProperties": url()}), &object, "/unevaluatedProperties"),
            (json!({"propertyNames": url()}), &object, "/propertyNames"),
            (json!({"not": {"properties": {"u": url()}}}), &object, "/not/properties/u"),
            (json!({"$defs": {"unused": url()}}), &object, "/$defs/unused"),
            (json!({"$defs": {"a": url()}, "not": {"$ref": "#/$defs/a"}}), &object, "/$defs/a"),
            (
                json!({"$defs": {"a": {"$anchor": "a", "x-egress": "http"}}, "properties": {"u": {"$ref": "#a"}}}),
                &object,
                "/$defs/a",
            ),
            (json!({"properties": {"u": {"$id": "https://s.test/", "x-egress": "http"}}}), &object, "/properties/u"),
            (json!({"properties": {"u": {"x-egress": "https"}}}), &object, "/properties/u"),
            (json!({"properties": {"u": {"x-egress": true}}}), &object, "/properties/u"),
            (json!({"unevaluatedItems": url()}), &json!([server]), "/unevaluatedItems"),
            (json!({"contains": url()}), &json!([server]), "/contains"),
            (json!({"type": "array", "x-egress": "http"}), &json!([server]), ""),
        ] {
            assert_eq!(rules_of_config(&schema, config), [], "{schema}");
            let issues = issues_of_schema(&schema);
            let told: Vec<_> = issues.iter().map(|issue| (issue.pointer.clone(), issue.code.as_str())).collect();
            assert_eq!(told, [(format!("{pointer}/x-egress"), "egress_grants_nothing")], "{schema}");
        }
    }

    #[test]
    fn what_is_data_is_no_annotation() {
        let data = json!({"x-egress": "nonsense"});
        let schema = json!({"const": data, "default": data, "enum": [data], "examples": [data]});
        assert_eq!(issues_of_schema(&schema), []);
    }

    #[test]
    fn what_is_too_deep_to_be_found_is_told() {
        let deep = |depth| (0..depth).fold(url(), |schema, _| json!({"allOf": [schema]}));
        let config = json!("https://a.test/");
        assert_eq!(issues_of_schema(&deep(DEPTH_MAX)), []);
        assert_eq!(rules_of_config(&deep(DEPTH_MAX), &config).len(), 1);
        assert_eq!(issues_of_schema(&deep(DEPTH_MAX + 1)).len(), 1);
        assert_eq!(rules_of_config(&deep(DEPTH_MAX + 1), &config), []);
    }
}
