//! The stream speaks CloudEvents; people and programs see an event in one form, that of lists.

use serde_json::{Map, Value};

/// The member of our own form for an attribute of a CloudEvent.
const NAMES: [(&str, &str); 9] = [
    ("id", "id"),
    ("type", "type"),
    ("time", "time"),
    ("subject", "execution"),
    ("revision", "revision"),
    ("correlationid", "correlation_id"),
    ("causationid", "causation_id"),
    ("attempt", "attempt"),
    ("data", "data"),
];

/// Where the action's id is.
const ACTION_SOURCE: &str = "/v1/actions/";

/// The event in the service's own form. Anything that is no CloudEvent stays as it is.
pub(crate) fn own_form(event: Value) -> Value {
    let Value::Object(mut given) = event else { return event };
    if !given.contains_key("specversion") {
        return Value::Object(given);
    }
    let mut own = Map::new();
    // A text, since a CloudEvent's integers have 32 bits.
    let position = given.get("position").and_then(Value::as_str).and_then(|text| text.parse::<i64>().ok());
    own.extend(position.map(|position| ("position".to_owned(), position.into())));
    let action = given.get("source").and_then(Value::as_str).and_then(|source| source.strip_prefix(ACTION_SOURCE));
    own.extend(action.map(|action| ("action".to_owned(), action.into())));
    for (theirs, ours) in NAMES {
        own.extend(given.remove(theirs).map(|value| (ours.to_owned(), value)));
    }
    Value::Object(own)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_event_of_the_stream_is_one_of_the_list() {
        let cloud = json!({"specversion": "1.0", "id": "evt_1", "source": "/v1/actions/act_1", "type": "action_executed",
            "time": "t", "subject": "exe_1", "datacontenttype": "application/json", "position": "4711", "revision": 3,
            "correlationid": "c", "causationid": "evt_0", "attempt": 1, "data": {"success": true}});
        let own = json!({"id": "evt_1", "position": 4711, "type": "action_executed", "time": "t", "action": "act_1",
            "revision": 3, "execution": "exe_1", "correlation_id": "c", "causation_id": "evt_0", "attempt": 1,
            "data": {"success": true}});
        assert_eq!(own_form(cloud), own);
        assert_eq!(own_form(own.clone()), own);
    }
}
