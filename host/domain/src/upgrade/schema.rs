//! How two config schemas differ, place by place.
//!
//! A schema is followed as far as `x-egress` is found in it. What is said of one place by several
//! schemas (branches of a `oneOf`, what is referred to) is taken together. Texts for people are no
//! difference.

use crate::{
    action::escape_pointer,
    egress::schema::{DEPTH_MAX, For, Inner, KEYWORD, inner},
};
use serde::Serialize;
use serde_json::{Map, Value};
use std::{
    collections::{BTreeMap, BTreeSet},
    ptr,
};

/// Most places of one schema that are compared: a few references to references make very many.
const PLACES_MAX: usize = 2_000;
/// Most differences that are listed.
const CHANGES_MAX: usize = 200;

/// Keywords whose schemas are places of their own, and texts for people.
const ASIDE: [&str; 26] = [
    "$anchor",
    "$comment",
    "$defs",
    "$dynamicAnchor",
    "$id",
    "$ref",
    "$schema",
    "allOf",
    "anyOf",
    "definitions",
    "deprecated",
    "dependentSchemas",
    "description",
    "else",
    "examples",
    "if",
    "items",
    "oneOf",
    "prefixItems",
    "properties",
    "readOnly",
    "required",
    "then",
    "title",
    "writeOnly",
    KEYWORD,
];

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SchemaChange {
    /// JSON Pointer into configs; `*` stands for every item or every other member.
    pub pointer: String,
    /// What is different there.
    pub change: SchemaChangeKind,
}

/// What is different about a place. The words are stable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SchemaChangeKind {
    /// It may be there now.
    Added,
    /// Nothing is said of it any more.
    Removed,
    /// It has to be there now.
    Required,
    /// It may be left out now.
    Optional,
    /// What it may be is another.
    Changed,
    /// What stands there may be reached from now on.
    EgressAdded,
    /// What stands there is no grant any more.
    EgressRemoved,
    /// It is a secret from now on.
    WriteOnlyAdded,
    /// It is no secret any more.
    WriteOnlyRemoved,
}

impl SchemaChangeKind {
    /// The stable word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Removed => "removed",
            Self::Required => "required",
            Self::Optional => "optional",
            Self::Changed => "changed",
            Self::EgressAdded => "egress_added",
            Self::EgressRemoved => "egress_removed",
            Self::WriteOnlyAdded => "write_only_added",
            Self::WriteOnlyRemoved => "write_only_removed",
        }
    }
}

/// What all schemas together say of one place.
#[derive(Debug, Default)]
struct Said {
    required: bool,
    egress: bool,
    write_only: bool,
    forms: BTreeSet<String>,
}

#[derive(Default)]
struct Places {
    found: BTreeMap<String, Said>,
    cut: bool,
}

impl Places {
    fn of(schema: &Value) -> Self {
        let mut places = Self::default();
        places.follow(schema, schema, "", false, &mut Vec::new());
        places
    }

    fn follow(
        &mut self,
        root: &Value,
        schema: &Value,
        pointer: &str,
        conditional: bool,
        trail: &mut Vec<*const Value>,
    ) {
        // A schema within itself says nothing new about how the two differ.
        if trail.len() == DEPTH_MAX || trail.contains(&ptr::from_ref(schema)) {
            return;
        }
        if self.found.len() >= PLACES_MAX {
            self.cut = true;
            return;
        }
        let said = self.found.entry(pointer.to_owned()).or_default();
        let Some(object) = schema.as_object() else {
            said.forms.insert(schema.to_string());
            return;
        };
        said.egress |= object.contains_key(KEYWORD);
        said.write_only |= object.get("writeOnly") == Some(&Value::Bool(true));
        said.forms.extend(form(object));
        if !conditional {
            for name in object.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
            {
                self.found.entry(format!("{pointer}/{}", escape_pointer(name))).or_default().required = true;
            }
        }
        trail.push(ptr::from_ref(schema));
        for part in inner(root, object) {
            let conditional = conditional || part.is_conditional();
            let Inner { schema, values, .. } = part;
            let place = match values {
                For::Itself | For::ItselfWith(_) => pointer.to_owned(),
                For::Property(name) => format!("{pointer}/{}", escape_pointer(name)),
                For::Item(index) => format!("{pointer}/{index}"),
                For::PropertiesBut(_) | For::ItemsFrom(_) => format!("{pointer}/*"),
            };
            self.follow(root, schema, &place, conditional, trail);
        }
        trail.pop();
    }
}

/// What a schema itself says of its values, in one order.
fn form(schema: &Map<String, Value>) -> Option<String> {
    let others_followed =
        schema.get("additionalProperties").is_some_and(Value::is_object) && schema.get("patternProperties").is_none();
    let own: BTreeMap<_, _> = schema
        .iter()
        .map(|(keyword, value)| (keyword.as_str(), value))
        .filter(|(keyword, _)| !(ASIDE.contains(keyword) || others_followed && *keyword == "additionalProperties"))
        .collect();
    (!own.is_empty()).then(|| serde_json::to_string(&own).unwrap_or_default())
}

/// How one config schema differs from another, and whether there is more than is listed.
pub fn changes_of_schema(from: &Value, to: &Value) -> (Vec<SchemaChange>, bool) {
    let (old, new) = (Places::of(from), Places::of(to));
    let mut changes = Vec::new();
    let pointers: BTreeSet<&String> = old.found.keys().chain(new.found.keys()).collect();
    for pointer in pointers {
        let mut add = |change| changes.push(SchemaChange { pointer: pointer.clone(), change });
        let (before, after) = (old.found.get(pointer), new.found.get(pointer));
        // Of what came or went as a whole the top is enough.
        let parent = pointer.rsplit_once('/').map(|(parent, _)| parent);
        let within = |places: &Places| parent.is_some_and(|parent| !places.found.contains_key(parent));
        match (before, after) {
            (None, Some(_)) if !within(&old) => add(SchemaChangeKind::Added),
            (Some(_), None) if !within(&new) => add(SchemaChangeKind::Removed),
            (Some(before), Some(after)) if before.forms != after.forms => add(SchemaChangeKind::Changed),
            _ => {}
        }
        let mut flag = |of: fn(&Said) -> bool, came, went: Option<SchemaChangeKind>| match (
            before.is_some_and(of),
            after.is_some_and(of),
        ) {
            (false, true) => add(came),
            (true, false) => went.into_iter().for_each(&mut add),
            _ => {}
        };
        let optional = after.is_some().then_some(SchemaChangeKind::Optional);
        flag(|said| said.required, SchemaChangeKind::Required, optional);
        flag(|said| said.egress, SchemaChangeKind::EgressAdded, Some(SchemaChangeKind::EgressRemoved));
        flag(|said| said.write_only, SchemaChangeKind::WriteOnlyAdded, Some(SchemaChangeKind::WriteOnlyRemoved));
    }
    let cut = old.cut || new.cut || changes.len() > CHANGES_MAX;
    changes.truncate(CHANGES_MAX);
    (changes, cut)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn told(from: Value, to: Value) -> Vec<String> {
        let (changes, cut) = changes_of_schema(&from, &to);
        assert!(!cut);
        changes.iter().map(|change| format!("{} {}", change.pointer, change.change.as_str())).collect()
    }

    #[test]
    fn each_difference_has_its_place() {
        let from = json!({
            "required": ["a", "b"],
            "properties": {
                "a": {"type": "string"},
                "b": {"type": "string", "x-egress": "http"},
                "c": {"type": "integer", "description": "old words"},
                "gone": {"properties": {"inside": {"type": "string"}}},
                "list": {"items": {"$ref": "#/$defs/server"}},
            },
            "$defs": {"server": {"properties": {"host": {"type": "string"}}}},
            "additionalProperties": false
        });
        let to = json!({
            "required": ["a", "c"],
            "properties": {
                "a": {"type": "string", "writeOnly": true},
                "b": {"type": "string"},
                "c": {"type": "number", "description": "new words"},
                "list": {"items": {"$ref": "#/$defs/host"}},
                "new/one": {"properties": {"url": {"x-egress": "http", "type": "string"}}},
            },
            "$defs": {"host": {"properties": {"host": {"type": "string", "x-egress": "tcp"}}, "required": ["host"]}},
            "additionalProperties": false
        });
        assert_eq!(
            told(from.clone(), to),
            [
                "/a write_only_added",
                "/b optional",
                "/b egress_removed",
                "/c changed",
                "/c required",
                "/gone removed",
                "/list/*/host required",
                "/list/*/host egress_added",
                "/new~1one added",
                "/new~1one/url egress_added",
            ]
        );
        assert!(told(from.clone(), from).is_empty());
    }

    #[test]
    fn what_is_said_under_a_condition_is_not_required() {
        let from = json!({"properties": {"a": {}}});
        let to = json!({"oneOf": [{"required": ["a"], "properties": {"a": {"type": "string"}}}, {"type": "null"}]});
        assert_eq!(told(from, to), [" changed", "/a changed"]);
    }

    #[test]
    fn branches_are_taken_together_in_any_order() {
        let (one, other) = (json!({"type": "string"}), json!({"type": "null", "x-egress": "http"}));
        assert!(told(json!({"anyOf": [one, other]}), json!({"anyOf": [other, one]})).is_empty());
    }

    #[test]
    fn a_schema_of_many_ways_is_cut_and_ends() {
        let twice = json!({"properties": {"l": {"$ref": "#/$defs/b"}, "r": {"$ref": "#/$defs/b"}},
            "$defs": (0..26_u8).map(|n| {
                let next = format!("#/$defs/{}", char::from(b'b' + n));
                let name = char::from(b'a' + n).to_string();
                (name, json!({"properties": {"l": {"$ref": next}, "r": {"$ref": next}}}))
            }).collect::<Map<_, _>>()});
        let (_, cut) = changes_of_schema(&twice, &json!({}));
        assert!(cut);
        let circular = json!({"properties": {"next": {"$ref": "#"}, "u": {"x-egress": "http"}}});
        assert_eq!(told(json!({}), circular), ["/next added", "/u added", "/u egress_added"]);
    }
}
