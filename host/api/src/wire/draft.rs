//! Actions as somebody wrote them, perhaps with mistakes.
//!
//! All mistakes are said at once. So that a wrong member does not hide what is wrong elsewhere,
//! it is taken out, and what is left is looked at as if it were the whole.

use crate::wire::{action::ActionSpec, form};
use action_domain::{action, failure::Issue, limits::ISSUES_MAX};
use serde_json::{Value, json};

/// What a document says of an action, and what is wrong with it.
#[derive(Debug)]
pub struct ActionDraft {
    issues: Vec<Issue>,
    spec: Option<action::ActionSpec>,
}

impl ActionDraft {
    /// Reads a document as far as it can be understood.
    pub fn read(document: &Value) -> Self {
        let mut issues = form::issues::<ActionSpec>(document);
        // What a name looks like, the domain says in better words.
        issues.retain(|issue| issue.code != "pattern");
        // A derived reader would take a list for an object, member by member.
        if !document.is_object() {
            return Self { issues, spec: None };
        }
        let mut rest = document.clone();
        for issue in &issues {
            take_out(&mut rest, &issue.pointer);
        }
        if !issues.is_empty() {
            stand_in(&mut rest);
        }
        for _ in 0..ISSUES_MAX {
            match form::typed::<ActionSpec>(&rest) {
                Ok(spec) => {
                    let spec = spec.into_domain(&mut issues);
                    return Self { issues, spec };
                }
                Err(issue) => {
                    take_out(&mut rest, &issue.pointer);
                    // A part that misses what was taken out of it was told of already.
                    if !issues.iter().any(|known| covers(&issue.pointer, &known.pointer)) {
                        issues.push(issue);
                    }
                }
            }
        }
        Self { issues, spec: None }
    }

    /// What could be understood; something harmless stands where a member could not be.
    pub fn spec(&self) -> Option<&action::ActionSpec> {
        self.spec.as_ref()
    }

    /// Adds what was found wrong with [`Self::spec`], where it was not known before.
    pub fn add(&mut self, mut found: Vec<Issue>) {
        found.retain(|new| !self.issues.iter().any(|known| covers(&known.pointer, &new.pointer)));
        self.issues.append(&mut found);
    }

    /// Whether nothing is known to be wrong.
    pub fn is_sound(&self) -> bool {
        self.issues.is_empty()
    }

    /// The action, or everything that is wrong.
    pub fn finish(self) -> Result<action::ActionSpec, Vec<Issue>> {
        match self.spec {
            Some(spec) if self.issues.is_empty() => Ok(spec),
            _ => Err(self.issues),
        }
    }
}

/// Whether a place is another one or within it.
fn covers(outer: &str, inner: &str) -> bool {
    inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Takes out the member at a place. A list goes as a whole: the places behind it would move.
fn take_out(document: &mut Value, pointer: &str) {
    let mut at = document;
    let mut parts = pointer.split('/').skip(1).map(|part| part.replace("~1", "/").replace("~0", "~")).peekable();
    while let (Value::Object(members), Some(part)) = (at, parts.next()) {
        if parts.peek().is_none() || !members.get(&part).is_some_and(Value::is_object) {
            members.remove(&part);
            return;
        }
        let Some(member) = members.get_mut(&part) else { return };
        at = member;
    }
}

/// Fills what every action has to have.
fn stand_in(document: &mut Value) {
    if let Value::Object(members) = document {
        for (member, value) in [("name", json!("x")), ("protocol", json!("")), ("config", json!({}))] {
            members.entry(member).or_insert(value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(document: &Value) -> String {
        let issues = ActionDraft::read(document).finish().unwrap_err();
        let mut places: Vec<String> = issues.into_iter().map(|issue| issue.pointer).collect();
        places.sort();
        places.join(" ")
    }

    #[test]
    fn a_mistake_hides_no_other() {
        let document = json!({
            "name": "Not A Name", "protocol": 1, "colour": 1, "a/b": 1,
            "triggers": [{"type": "call", "path": 1}],
            "input_transform": {"language": "jq"},
            "grants": {"egress": [{"host": "a", "ports": [65_536]}, {"port": 1}], "private_networks": "yes"},
            "limits": {"foo": 1, "fuel": 1e30, "memory_bytes": 1.0},
            "delivery": {"max_attempts": "many", "backoff": {"factor": "x"}, "on_doubt": "guess"}
        });
        assert_eq!(
            places(&document),
            "/a~1b /colour /config /delivery/backoff/factor /delivery/max_attempts /delivery/on_doubt \
             /grants/egress/1/host /grants/egress/1/port /grants/private_networks /input_transform/expression \
             /limits/foo /limits/fuel /limits/memory_bytes /name /protocol /triggers/0/path"
        );
    }

    #[test]
    fn what_is_left_can_be_looked_at() {
        let document = json!({"protocol": "echo", "config": {"a": 1}, "limits": {"foo": 1, "fuel": 7}, "labels": []});
        let mut draft = ActionDraft::read(&document);
        let spec = draft.spec().unwrap();
        assert_eq!((spec.limits.fuel, &spec.config, &*spec.protocol), (Some(7), &json!({"a": 1}), "echo"));
        draft.add(vec![Issue::new("/labels/x", "a", "b"), Issue::new("/limits", "a", "b")]);
        let pointers: Vec<String> = draft.finish().unwrap_err().into_iter().map(|issue| issue.pointer).collect();
        assert_eq!(pointers.len(), 4, "{pointers:?}");
        assert!(pointers.contains(&"/limits".to_owned()), "{pointers:?}");
    }

    #[test]
    fn what_is_no_object_is_no_action() {
        for document in [json!([]), json!(null), json!("a"), json!(["a", true, "", {}, "echo", {}])] {
            let draft = ActionDraft::read(&document);
            assert!(draft.spec().is_none());
            assert_eq!(places(&document), "");
        }
    }
}
