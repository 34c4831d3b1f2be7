//! Two documents of the same action, made comparable.
//!
//! What a file leaves out has a default, and what the service adds (id, revision, times) is
//! nobody's wish: neither is a difference.

use action_domain::action::ActionSpec;
use serde_json::{Map, Value};

/// The members that somebody writes.
const MEMBERS: [&str; 12] = [
    "name",
    "enabled",
    "description",
    "labels",
    "protocol",
    "config",
    "triggers",
    "input_transform",
    "output_transform",
    "grants",
    "limits",
    "delivery",
];

/// What somebody wrote, with the defaults in their places. A document that is no action is
/// left as it is: the service says what is wrong with it.
pub(super) fn of_file(document: &Value) -> Value {
    let written: Result<ActionSpec, _> = serde_json::from_value(written(document));
    let full = written.ok().and_then(|spec| serde_json::to_value(spec).ok());
    comparable(full.as_ref().unwrap_or(document))
}

/// What the service has.
pub(super) fn of_service(action: &Value) -> Value {
    // The same way through the same types, so that the same wish has the same form.
    of_file(action)
}

fn written(document: &Value) -> Value {
    let mut members = document.as_object().cloned().unwrap_or_default();
    members.retain(|member, _| MEMBERS.contains(&member.as_str()));
    Value::Object(members)
}

fn comparable(document: &Value) -> Value {
    let Value::Object(members) = document else { return document.clone() };
    let kept = members.iter().map(|(member, value)| {
        // In a config, null may mean something.
        let value = if member == "config" { value.clone() } else { without_nulls(value) };
        (member.clone(), value)
    });
    Value::Object(kept.filter(|(_, value)| !value.is_null()).collect::<Map<_, _>>())
}

fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let members = members.iter().filter(|(_, value)| !value.is_null());
            Value::Object(members.map(|(member, value)| (member.clone(), without_nulls(value))).collect())
        }
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::changes;
    use serde_json::json;

    #[test]
    fn defaults_and_what_the_service_adds_are_no_differences() {
        let file = json!({"name": "a", "protocol": "http@0.1.0", "config": {"url": null}, "limits": {"fuel": 1}});
        let service = json!({
            "id": "act_x", "revision": 3, "transforms": {}, "effect": "read", "created_at": "t", "updated_at": "t", "warnings": [],
            "name": "a", "enabled": true, "description": "", "labels": {}, "protocol": "http@0.1.0",
            "config": {"url": null}, "triggers": [], "input_transform": null, "output_transform": null,
            "grants": {"egress": [], "private_networks": false, "reveal": []},
            "limits": {"timeout_ms": null, "fuel": 1},
            "delivery": {"max_attempts": 5,
                "backoff": {"initial_ms": 1000, "factor": 2.0, "max_ms": 600_000, "jitter": 0.2},
                "on_doubt": "hold", "max_concurrent": null, "expire_after_ms": null}
        });
        assert_eq!(changes(&of_service(&service), &of_file(&file)), []);
        let other = json!({"name": "a", "protocol": "http@0.1.0", "config": {}, "limits": {"fuel": 1}});
        let found = changes(&of_service(&service), &of_file(&other));
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].pointer, "/config/url");
    }

    #[test]
    fn a_document_that_is_no_action_is_left_to_the_service() {
        let wrong = json!({"name": "x", "protocol": 3});
        assert_eq!(of_file(&wrong), wrong);
    }
}
