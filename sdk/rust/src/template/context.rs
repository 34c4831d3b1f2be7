//! Fills templates in.
//!
//! What cannot be filled in is an `invalid-input` failure that names the place in the config
//! and the place in the input.

use std::borrow::Cow;
use std::cell::OnceCell;

use serde_json::{Value, json};

use super::{About, Fill, Part, Scalar, Source, Template, Values, is_template};
use crate::{Call, Failure, Payload};

/// What templates can name: the input, and the execution.
#[derive(Debug)]
pub struct Context<'a> {
    action: &'a str,
    execution: &'a str,
    correlation: &'a str,
    attempt: u32,
    idempotency_key: &'a str,
    payload: &'a Payload,
    /// Parsed when the first template asks for it: most inputs are passed on unread.
    input: OnceCell<Value>,
}

/// Which values become text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Structures {
    /// An object or an array is written as JSON.
    AsJson,
    /// An object or an array is a mistake.
    Refused,
}

impl<'a> Context<'a> {
    /// The context of a call.
    pub fn new<C>(call: &'a Call<C>) -> Self {
        Self {
            action: &call.action,
            execution: &call.execution,
            correlation: &call.correlation,
            attempt: call.attempt,
            idempotency_key: &call.idempotency_key,
            payload: &call.input,
            input: OnceCell::new(),
        }
    }

    /// The input as it came.
    pub fn payload(&self) -> &'a Payload {
        self.payload
    }

    fn input(&self, place: &str) -> Result<&Value, Failure> {
        if let Some(value) = self.input.get() {
            return Ok(value);
        }
        let value = read_input(self.payload).map_err(|why| refused(place, ".", &why))?;
        Ok(self.input.get_or_init(|| value))
    }

    /// The value of one template; nothing, where it is missing and may be.
    fn value(&self, fill: &Fill<'_>, place: &str) -> Result<Option<Cow<'_, Value>>, Failure> {
        let text = |text: &str| Some(Cow::Owned(Value::from(text)));
        let found = match &fill.source {
            Source::Text(literal) => text(literal),
            Source::About(About::Action) => text(self.action),
            Source::About(About::Execution) => text(self.execution),
            Source::About(About::Correlation) => text(self.correlation),
            Source::About(About::IdempotencyKey) => text(self.idempotency_key),
            Source::About(About::Attempt) => Some(Cow::Owned(Value::from(self.attempt))),
            Source::Input(names) => {
                let root = self.input(place)?;
                names.iter().try_fold(root, |value, name| step(value, name)).map(Cow::Borrowed)
            }
        };
        match found {
            None if !fill.optional => Err(refused(place, fill.written, "the input holds nothing there")),
            found => Ok(found),
        }
    }

    /// A text with its templates filled in. `escape` is applied to what is filled in.
    pub fn text_with(
        &self,
        text: &str,
        place: &str,
        structures: Structures,
        mut escape: impl FnMut(&mut String, &str, &Fill<'_>) -> Result<(), Failure>,
    ) -> Result<String, Failure> {
        if !is_template(text) {
            return Ok(text.to_owned());
        }
        let mut filled = String::with_capacity(text.len() * 2);
        for part in parse(text, place)?.0 {
            match part {
                Part::Text(text) => filled.push_str(text),
                Part::Fill(fill) => {
                    let value = self.value(&fill, place)?;
                    let value = value.as_deref().unwrap_or(&Value::Null);
                    escape(&mut filled, &written(value, &fill, place, structures)?, &fill)?;
                }
            }
        }
        Ok(filled)
    }

    /// A text with its templates filled in as they are.
    pub fn text(&self, text: &str, place: &str, structures: Structures) -> Result<String, Failure> {
        self.text_with(text, place, structures, |filled, value, _| {
            filled.push_str(value);
            Ok(())
        })
    }

    /// The texts that a property gives. A template alone may give a list, or nothing.
    pub fn texts(&self, values: &Values, place: &str) -> Result<Vec<String>, Failure> {
        let mut texts = Vec::new();
        for value in values.all() {
            match value {
                Scalar::Number(number) => texts.push(number.to_string()),
                Scalar::Flag(flag) => texts.push(flag.to_string()),
                Scalar::Text(text) if !is_template(text) => texts.push(text.clone()),
                Scalar::Text(text) => {
                    let template = parse(text, place)?;
                    let Some(fill) = template.only_fill() else {
                        texts.push(self.text(text, place, Structures::Refused)?);
                        continue;
                    };
                    match self.value(fill, place)?.as_deref() {
                        None => {}
                        Some(Value::Null) if fill.optional => {}
                        Some(Value::Array(elements)) => {
                            for element in elements {
                                texts.push(written(element, fill, place, Structures::Refused)?);
                            }
                        }
                        Some(value) => texts.push(written(value, fill, place, Structures::Refused)?),
                    }
                }
            }
        }
        Ok(texts)
    }

    /// A JSON value with the templates in its strings filled in. A string that is a template
    /// alone becomes the value itself, and null where that is missing and may be.
    pub fn json(&self, value: &Value, place: &str) -> Result<Value, Failure> {
        Ok(match value {
            Value::String(text) if is_template(text) => match parse(text, place)?.only_fill() {
                Some(fill) => self.value(fill, place)?.map_or(Value::Null, Cow::into_owned),
                None => self.text(text, place, Structures::Refused)?.into(),
            },
            Value::Array(elements) => {
                let filled = elements.iter().enumerate();
                filled.map(|(n, e)| self.json(e, &format!("{place}/{n}"))).collect::<Result<_, _>>()?
            }
            Value::Object(properties) => {
                let filled =
                    properties.iter().map(|(name, value)| Ok((name.clone(), self.json(value, &below(place, name))?)));
                Value::Object(filled.collect::<Result<_, Failure>>()?)
            }
            other => other.clone(),
        })
    }
}

/// The place of a property below another.
pub fn below(place: &str, name: &str) -> String {
    let mut place = place.to_owned();
    crate::config::push(&mut place, name);
    place
}

/// A failure that names where in the config, and where in the input.
pub fn refused(place: &str, written: &str, why: &str) -> Failure {
    Failure::invalid_input(format!("config {place}, {{{{ {written} }}}}: {why}"))
        .details(&json!({ "config_pointer": place, "template": written }))
}

/// Templates were checked when the action was saved; a text that is not one here came
/// through another door.
fn parse<'t>(text: &'t str, place: &str) -> Result<Template<'t>, Failure> {
    Template::parse(text).map_err(|mistake| Failure::invalid_config(format!("config {place}: {}", mistake.message)))
}

/// The input as a value: JSON where it says so, or says nothing; text where it is that.
fn read_input(input: &Payload) -> Result<Value, String> {
    let media_type = input.media_type().to_ascii_lowercase();
    if input.is_json() || media_type.is_empty() || media_type == "application/octet-stream" {
        let is_json = input.is_json();
        return serde_json::from_slice(&input.data).map_err(|error| {
            if is_json {
                format!("the input is not JSON: {error}")
            } else {
                "the input is neither JSON nor text; say so in its content type if it is".into()
            }
        });
    }
    if media_type.starts_with("text/") {
        let text = std::str::from_utf8(&input.data).map_err(|_| "the input is not UTF-8")?;
        return Ok(text.into());
    }
    Err(format!("the input is neither JSON nor text but {media_type}"))
}

fn step<'v>(value: &'v Value, name: &str) -> Option<&'v Value> {
    match value {
        Value::Object(properties) => properties.get(name),
        // As in a JSON Pointer: no sign, no leading zeros.
        Value::Array(elements) if name == "0" || !name.starts_with(['0', '+']) => {
            elements.get(name.parse::<usize>().ok()?)
        }
        _ => None,
    }
}

/// A value as text.
fn written(value: &Value, fill: &Fill<'_>, place: &str, structures: Structures) -> Result<String, Failure> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        Value::Bool(flag) => Ok(flag.to_string()),
        Value::Null if fill.optional => Ok(String::new()),
        Value::Null if structures == Structures::AsJson => Ok("null".into()),
        Value::Null => Err(refused(place, fill.written, "the input holds null there")),
        Value::Array(_) | Value::Object(_) if structures == Structures::AsJson => Ok(value.to_string()),
        Value::Array(_) => Err(refused(place, fill.written, "the input holds a list there")),
        Value::Object(_) => Err(refused(place, fill.written, "the input holds an object there")),
    }
}
