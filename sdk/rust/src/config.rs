//! Parses a config into its type and says where, as a JSON Pointer, it does not fit.

use std::fmt::Write;

use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_path_to_error::{Path, Segment};

use crate::template::{Template, is_template};
use crate::{Accepted, Effect, Issue};

/// No config has more mistakes than a person wants to read at once.
const ISSUES_MAX: usize = 32;

/// Parses a config, or says the first thing that does not fit.
pub fn parse<C: DeserializeOwned>(text: &str) -> Result<C, Issue> {
    // Every attempt parses its config; only a mistake pays for knowing where it is.
    serde_json::from_str(text).map_err(|_| match tracked::<C>(text) {
        Err(issue) => issue,
        Ok(_) => Issue::new("", "invalid_json", "something follows the config"),
    })
}

/// Parses a config and keeps track of where it is.
fn tracked<C: DeserializeOwned>(text: &str) -> Result<C, Issue> {
    let mut json = serde_json::Deserializer::from_str(text);
    serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let code = if error.inner().is_data() { "invalid_value" } else { "invalid_json" };
        // Its place in the text is of no use to somebody who looks at a form.
        let message = error.inner().to_string();
        let message = message.split(" at line ").next().unwrap_or_default();
        Issue::new(pointer(error.path()), code, message)
    })
}

/// Every issue of a config that did not parse: what does not fit its type is taken out
/// piece by piece, and what is left is validated.
pub fn every_issue<C: DeserializeOwned>(
    text: &str,
    validate: impl FnOnce(&C) -> Result<Accepted, Vec<Issue>>,
) -> Vec<Issue> {
    let mut value: Value = match serde_json::from_str(text) {
        Ok(value) => value,
        Err(error) => return vec![Issue::new("", "invalid_json", error.to_string())],
    };
    let mut issues: Vec<Issue> = Vec::new();
    let mut removed: Vec<String> = Vec::new();
    while issues.len() < ISSUES_MAX {
        // From text again, not from the value: a second deserialiser of the whole type would
        // make every protocol larger, for what happens only when somebody made a mistake.
        let issue = match tracked::<C>(&value.to_string()) {
            Ok(config) => {
                let found = validate(&config).err().unwrap_or_default();
                // What was taken out is reported already, and its absence is no mistake.
                let is_new = |issue: &Issue| !removed.iter().any(|gone| covers(gone, &issue.pointer));
                issues.extend(found.into_iter().filter(is_new));
                break;
            }
            Err(issue) => issue,
        };
        let mut at = clip(&value, issue.pointer);
        // A complaint about a container that something was taken out of may be about just that.
        let follows = removed.iter().any(|gone| parent(gone) == Some(&at));
        if !follows {
            issues.push(Issue::new(at.clone(), issue.code, issue.message));
        }
        // An element cannot be taken out of an array without moving the others: it goes whole.
        while remove(&mut value, &at).is_none() {
            match parent(&at) {
                Some(container) => at.truncate(container.len()),
                None => return issues,
            }
        }
        removed.push(at);
    }
    issues
}

/// The JSON Pointer (RFC 6901) of a path.
fn pointer(path: &Path) -> String {
    let mut pointer = String::new();
    for segment in path {
        match segment {
            // Writing into a String cannot fail.
            Segment::Seq { index } => {
                let _ = write!(pointer, "/{index}");
            }
            Segment::Map { key } | Segment::Enum { variant: key } => push(&mut pointer, key),
            Segment::Unknown => {}
        }
    }
    pointer
}

/// Adds a name to a JSON Pointer, escaped.
pub fn push(pointer: &mut String, name: &str) {
    pointer.push('/');
    pointer.push_str(&name.replace('~', "~0").replace('/', "~1"));
}

/// The longest part of the pointer that leads somewhere: the name of a variant is a segment
/// of the path also where the document does not spell it.
fn clip(value: &Value, mut pointer: String) -> String {
    while value.pointer(&pointer).is_none() {
        match parent(&pointer) {
            Some(shorter) => pointer.truncate(shorter.len()),
            None => break,
        }
    }
    pointer
}

fn parent(pointer: &str) -> Option<&str> {
    pointer.rsplit_once('/').map(|(parent, _)| parent)
}

fn covers(outer: &str, inner: &str) -> bool {
    inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Takes a property out of the object that holds it.
fn remove(value: &mut Value, pointer: &str) -> Option<Value> {
    let (container, name) = pointer.rsplit_once('/')?;
    let name = name.replace("~1", "/").replace("~0", "~");
    value.pointer_mut(container)?.as_object_mut()?.remove(&name)
}

/// What a protocol finds while it looks at a config: everything, not the first thing.
#[derive(Debug, Default)]
pub struct Findings {
    /// What is wrong.
    pub issues: Vec<Issue>,
    /// What is odd and does not stop anything.
    pub warnings: Vec<Issue>,
}

impl Findings {
    /// Something wrong at this place.
    pub fn issue(&mut self, pointer: impl Into<String>, code: &str, message: impl Into<String>) {
        self.issues.push(Issue::new(pointer, code, message));
    }

    /// Something to know about this place.
    pub fn warn(&mut self, pointer: impl Into<String>, code: &str, message: impl Into<String>) {
        self.warnings.push(Issue::new(pointer, code, message));
    }

    /// A text that may hold templates: whether they are ones.
    pub fn template(&mut self, text: &str, pointer: &str) {
        if let Err(mistake) = Template::parse(text) {
            let message = format!("{} (at byte {})", mistake.message, mistake.offset);
            self.issue(pointer, "invalid_template", message);
        }
    }

    /// The same of every text in a JSON value. Names of properties cannot be templates.
    pub fn json_template(&mut self, value: &Value, pointer: &str) {
        match value {
            Value::String(text) => self.template(text, pointer),
            Value::Array(elements) => {
                for (n, element) in elements.iter().enumerate() {
                    self.json_template(element, &format!("{pointer}/{n}"));
                }
            }
            Value::Object(properties) => {
                for (name, value) in properties {
                    let mut pointer = pointer.to_owned();
                    push(&mut pointer, name);
                    if is_template(name) {
                        self.issue(pointer.as_str(), "template_in_name", "a property's name cannot be a template");
                    }
                    self.json_template(value, &pointer);
                }
            }
            _ => {}
        }
    }

    /// A time that may be given, in milliseconds.
    pub fn timeout_ms(&mut self, given: Option<u32>, pointer: &str) {
        let most = crate::net::TIMEOUT_MS_MAX;
        if given.is_some_and(|ms| !(1..=most).contains(&ms)) {
            self.issue(pointer, "out_of_range", format!("a timeout is from 1 to {most} ms"));
        }
    }

    /// The answer of `validate`: the effect, unless something is wrong.
    pub fn finish(self, effect: Effect) -> Result<Accepted, Vec<Issue>> {
        if self.issues.is_empty() { Ok(Accepted { effect, warnings: self.warnings }) } else { Err(self.issues) }
    }
}

/// What a repeat can do, where a config says so itself.
#[derive(Clone, Copy, Debug, serde::Deserialize, PartialEq, Eq)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the contract explains the words; a list of bare words is easier in forms")]
pub enum EffectWord {
    Read,
    Idempotent,
    Unsafe,
}

impl From<EffectWord> for Effect {
    fn from(word: EffectWord) -> Self {
        match word {
            EffectWord::Read => Self::Read,
            EffectWord::Idempotent => Self::Idempotent,
            EffectWord::Unsafe => Self::Unsafe,
        }
    }
}

impl Issue {
    /// Something wrong at this place. `code` is a stable snake_case word.
    pub fn new(pointer: impl Into<String>, code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), code: code.into(), message: message.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only whether it parses is looked at")]
    struct Config {
        url: String,
        #[serde(default)]
        limits: Limits,
        #[serde(default)]
        codes: Vec<u16>,
    }

    #[derive(Debug, Default, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    struct Limits {
        #[serde(rename = "a/b")]
        bytes: u32,
    }

    fn pointers(text: &str) -> Vec<String> {
        every_issue(text, |_: &Config| Ok(Accepted::read())).into_iter().map(|issue| issue.pointer).collect()
    }

    #[test]
    fn the_first_issue_has_its_place() {
        let issue = parse::<Config>(r#"{"url": "u", "limits": {"a/b": "x"}}"#).unwrap_err();
        assert_eq!(issue.pointer, "/limits/a~1b");
        assert_eq!(issue.code, "invalid_value");
        assert!(!issue.message.contains("line"), "{}", issue.message);
        assert_eq!(parse::<Config>("{").unwrap_err().code, "invalid_json");
        assert_eq!(parse::<Config>(r#"{"url":"u"} x"#).unwrap_err().code, "invalid_json");
    }

    #[test]
    fn everything_wrong_comes_at_once() {
        let text = r#"{"url": 1, "limits": {"a/b": "x"}, "codes": [1, "x"]}"#;
        let mut found = pointers(text);
        found.sort();
        assert_eq!(found, ["/codes/1", "/limits/a~1b", "/url"]);
    }

    #[test]
    fn what_the_protocol_finds_is_added_but_not_what_was_taken_out() {
        let text = r#"{"url": "u", "limits": {"a/b": "x"}}"#;
        let issues = every_issue(text, |_: &Config| {
            Err(vec![Issue::new("/limits/a~1b", "zero", "z"), Issue::new("/url", "bad", "b")])
        });
        let found: Vec<_> = issues.iter().map(|i| (i.pointer.as_str(), i.code.as_str())).collect();
        assert_eq!(found, [("/limits/a~1b", "invalid_value"), ("/url", "bad")]);
    }

    #[test]
    fn unknown_and_missing_properties_are_found() {
        assert_eq!(pointers(r#"{"url": "u", "x": 1, "codes": 3}"#).len(), 2);
        assert_eq!(pointers("{}"), [""]);
        assert_eq!(pointers("[]"), [""]);
        assert_eq!(pointers("nonsense"), [""]);
    }
}
