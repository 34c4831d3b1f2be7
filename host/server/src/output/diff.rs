//! What differs between two documents, member by member.

use super::{Colour, Output};
use action_domain::action::escape_pointer;
use serde::Serialize;
use serde_json::Value;

/// Longest value that a line of a diff shows.
const VALUE_CHARS_MAX: usize = 120;

/// One difference.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Change {
    /// JSON Pointer to it.
    pub(crate) pointer: String,
    /// What was there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) from: Option<Value>,
    /// What will be there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) to: Option<Value>,
}

/// All differences, in the order of the members' names.
pub(crate) fn changes(from: &Value, to: &Value) -> Vec<Change> {
    let mut found = Vec::new();
    compare(String::new(), Some(from), Some(to), &mut found);
    found
}

fn compare(pointer: String, from: Option<&Value>, to: Option<&Value>, found: &mut Vec<Change>) {
    match (from, to) {
        (from, to) if from == to => {}
        (Some(Value::Object(from)), Some(Value::Object(to))) => {
            let mut keys: Vec<&String> = from.keys().chain(to.keys().filter(|key| !from.contains_key(*key))).collect();
            keys.sort();
            for key in keys {
                compare(format!("{pointer}/{}", escape_pointer(key)), from.get(key), to.get(key), found);
            }
        }
        // An item that is put in moves all behind it: lists of another length differ as a whole.
        (Some(Value::Array(from)), Some(Value::Array(to))) if from.len() == to.len() => {
            for (index, (from, to)) in from.iter().zip(to).enumerate() {
                compare(format!("{pointer}/{index}"), Some(from), Some(to), found);
            }
        }
        (from, to) => found.push(Change { pointer, from: from.cloned(), to: to.cloned() }),
    }
}

impl Change {
    /// One or two lines for people.
    pub(crate) fn lines(&self, output: Output) -> String {
        let place = if self.pointer.is_empty() { "(document)" } else { &self.pointer };
        let line = |sign: char, colour, value: &Value| {
            let mut text = super::one_line(&value.to_string());
            if text.chars().count() > VALUE_CHARS_MAX {
                text = text.chars().take(VALUE_CHARS_MAX).chain(['…']).collect();
            }
            output.paint(colour, &format!("  {sign} {}: {text}", super::one_line(place)))
        };
        let gone = self.from.as_ref().map(|value| line('-', Colour::Red, value));
        let new = self.to.as_ref().map(|value| line('+', Colour::Green, value));
        gone.into_iter().chain(new).collect::<Vec<_>>().join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn each_difference_has_its_place() {
        let from = json!({"a": 1, "same": {"x": [1, 2]}, "labels": {"a/b": "1"}, "list": [1, {"k": 2}], "gone": true});
        let to = json!({"a": 2, "same": {"x": [1, 2]}, "labels": {"a/b": "2"}, "list": [1, {"k": 3}], "new": [1]});
        let lines: Vec<String> = changes(&from, &to).iter().map(|change| change.lines(Output::new(true))).collect();
        assert_eq!(
            lines,
            [
                "  - /a: 1\n  + /a: 2",
                "  - /gone: true",
                "  - /labels/a~1b: \"1\"\n  + /labels/a~1b: \"2\"",
                "  - /list/1/k: 2\n  + /list/1/k: 3",
                "  + /new: [1]",
            ]
        );
        assert!(changes(&from, &from).is_empty());
    }

    #[test]
    fn lists_of_another_length_differ_as_a_whole() {
        let changes = changes(&json!([1, 2]), &json!([0, 1, 2]));
        assert_eq!(changes, [Change { pointer: String::new(), from: Some(json!([1, 2])), to: Some(json!([0, 1, 2])) }]);
    }
}
