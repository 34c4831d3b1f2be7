//! Expressions over data: where an action has them, and what is wrong with them.

use crate::{
    action::{ActionSpec, Transform},
    failure::{Issue, Place},
    limits::EXPRESSION_BYTES_MAX,
    trigger::Trigger,
    turn::KeyPath,
};

/// The language of ordering keys and filters.
pub const JQ: &str = "jq";

/// What every expression can name beside its input: `action` has `id` and `name`, `trigger` is what
/// set the action off, as `trigger_received` has it.
pub const VARIABLES: [&str; 2] = ["action", "trigger"];

/// What is wrong with an expression, as the transform says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// Where in the expression, in bytes, when it is known.
    pub offset: Option<u32>,
    /// For people.
    pub message: String,
}

impl Mistake {
    /// One of this expression, which stands at `pointer`.
    pub fn issue(&self, pointer: &str, expression: &str) -> Issue {
        let place = self.offset.map(|offset| Place::of(expression, offset as usize));
        Issue { place, ..Issue::new(pointer, "invalid_expression", self.message.clone()) }
    }

    /// With its place in words.
    pub fn told(&self, expression: &str) -> String {
        match self.offset.map(|offset| Place::of(expression, offset as usize)) {
            Some(Place { line, column }) => format!("{} (line {line}, column {column})", self.message),
            None => self.message.clone(),
        }
    }
}

/// An expression of an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expression<'a> {
    /// Which transform: `jq`, `jq@^0.1` or `jq@0.1.0`.
    pub language: &'a str,
    /// In that language.
    pub text: &'a str,
}

impl ActionSpec {
    /// Its expressions that run in a sandbox, each with a pointer to what names its language and one
    /// to its text. An ordering key that is a plain path needs none.
    pub fn expressions(&self) -> Vec<(String, String, Expression<'_>)> {
        let mut found = Vec::new();
        for (at, transform) in
            [("/input_transform", &self.input_transform), ("/output_transform", &self.output_transform)]
        {
            if let Some(Transform { language, expression }) = transform {
                let expression = Expression { language, text: expression };
                found.push((format!("{at}/language"), format!("{at}/expression"), expression));
            }
        }
        let mut in_jq = |at: String, text| found.push((at.clone(), at, Expression { language: JQ, text }));
        for (index, trigger) in self.triggers.iter().enumerate() {
            let filter = match trigger {
                Trigger::Webhook(webhook) => webhook.filter.as_deref(),
                Trigger::Event(event) => event.filter.as_deref(),
                _ => None,
            };
            if let Some(filter) = filter {
                in_jq(format!("/triggers/{index}/filter"), filter);
            }
        }
        if let Some(key) = self.delivery.ordering_key.as_deref().filter(|key| KeyPath::parse(key).is_err()) {
            in_jq("/delivery/ordering_key".to_owned(), key);
        }
        found
    }

    /// What is wrong with its expressions as far as it can be told without their languages.
    pub(crate) fn check_expressions(&self, issues: &mut Vec<Issue>) {
        for (_, pointer, expression) in self.expressions() {
            if expression.text.len() > EXPRESSION_BYTES_MAX {
                let message = format!("an expression has at most {EXPRESSION_BYTES_MAX} bytes");
                issues.push(Issue::new(pointer, "too_long", message));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn each_expression_is_found_with_its_place() {
        let spec: ActionSpec = serde_json::from_value(json!({
            "name": "a", "protocol": "http", "config": {},
            "input_transform": {"language": "template", "expression": "{{ a }}"},
            "triggers": [{"type": "call"}, {"type": "event", "types": ["item_captured"], "filter": ".a"}],
            "delivery": {"ordering_key": ".a | .b"}
        }))
        .unwrap();
        let found: Vec<_> =
            spec.expressions().into_iter().map(|(_, at, expression)| (at, expression.language)).collect();
        let expected = [
            ("/input_transform/expression", "template"),
            ("/triggers/1/filter", "jq"),
            ("/delivery/ordering_key", "jq"),
        ];
        assert_eq!(found, expected.map(|(at, language)| (at.to_owned(), language)));
    }

    #[test]
    fn a_place_is_counted_as_editors_do() {
        let mistake = Mistake { offset: Some(7), message: "no".into() };
        assert_eq!(mistake.told("\u{e4}\nabcdef"), "no (line 2, column 5)");
        assert_eq!(mistake.issue("/a", "x").place, Some(Place { line: 1, column: 2 }));
    }
}
