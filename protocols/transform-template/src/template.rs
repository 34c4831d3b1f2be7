//! A template: checked, with its mistake and the place of it, and rendered.

use crate::head;
use minijinja::{Environment, Error, UndefinedBehavior, Value, value::ValueKind};
use std::collections::BTreeMap;

/// What is wrong with a template or went wrong with it, and where in it, in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mistake {
    pub(crate) offset: Option<u32>,
    pub(crate) message: String,
}

impl Mistake {
    fn new(message: impl Into<String>) -> Self {
        Self { offset: None, message: message.into() }
    }

    fn of(error: &Error, source: &str) -> Self {
        let range = error.range().map(|range| range.start);
        let line = || error.line().map(|line| source.split_inclusive('\n').take(line - 1).map(str::len).sum());
        let offset = range.or_else(line).and_then(|offset: usize| u32::try_from(offset).ok());
        let mut message = error.kind().to_string();
        let mut told = error.detail().map(ToOwned::to_owned);
        if told.is_none() {
            told = std::error::Error::source(error).map(ToString::to_string);
        }
        if let Some(detail) = told {
            message = format!("{message}: {detail}");
        }
        Self { offset, message }
    }
}

/// What came out.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Rendered {
    pub(crate) content_type: String,
    pub(crate) text: String,
}

fn environment(content_type: &str) -> Environment<'static> {
    let mut environment = Environment::new();
    // With the places of mistakes; without the names and values around them, which may be large.
    environment.set_debug(true);
    // What is not there may be asked for, and is not written as if it were empty.
    environment.set_undefined_behavior(UndefinedBehavior::SemiStrict);
    let escaping = head::escaping(content_type);
    environment.set_auto_escape_callback(move |_| escaping.clone());
    environment
}

/// Says what is wrong with a template. A name is looked up in the input, so that any may be there.
pub(crate) fn check(template: &str, _variables: &[String]) -> Result<(), Mistake> {
    let environment = environment(head::content_type(template));
    environment.template_from_str(template).map(drop).map_err(|error| Mistake::of(&error, template))
}

/// Renders a template over an input: the members of an object by their names, the whole as `input`,
/// and the variables, which go before members of the same name.
pub(crate) fn render(template: &str, content_type: &str, data: &[u8], variables: &str) -> Result<Rendered, Mistake> {
    let input = value(content_type, data)?;
    let variables: BTreeMap<String, Value> =
        serde_json::from_str(variables).map_err(|error| Mistake::new(format!("variables: {error}")))?;
    let mut names = members(&input);
    names.insert("input".to_owned(), input);
    names.extend(variables);

    let content_type = head::content_type(template);
    let environment = environment(content_type);
    let rendered = environment.template_from_str(template).and_then(|compiled| compiled.render(names));
    let text = rendered.map_err(|error| Mistake::of(&error, template))?;
    if head::is_json(content_type)
        && let Err(error) = serde_json::from_str::<serde::de::IgnoredAny>(&text)
    {
        return Err(Mistake::new(format!("the template says that it gives JSON, and what it gave is none: {error}")));
    }
    Ok(Rendered { content_type: content_type.to_owned(), text })
}

/// What the template sees of an input: JSON as it is, a form as an object, text as a text, nothing as nothing.
fn value(content_type: &str, data: &[u8]) -> Result<Value, Mistake> {
    if data.is_empty() {
        Ok(Value::from(()))
    } else if head::is_json(content_type) {
        serde_json::from_slice(data).map_err(|error| Mistake::new(format!("the input is no JSON: {error}")))
    } else if head::essence(content_type) == "application/x-www-form-urlencoded" {
        Ok(form(data))
    } else if head::essence(content_type).starts_with("text/") {
        Ok(Value::from(String::from_utf8_lossy(data).into_owned()))
    } else {
        let essence = head::essence(content_type);
        Err(Mistake::new(format!("the input is {essence}, and a template takes JSON, forms or text")))
    }
}

/// A form as an object of texts; a name that is there several times has a list of them.
fn form(data: &[u8]) -> Value {
    let mut fields: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, value) in form_urlencoded::parse(data) {
        fields.entry(name.into_owned()).or_default().push(value.into_owned());
    }
    let value = |mut values: Vec<String>| if values.len() == 1 { Value::from(values.remove(0)) } else { values.into() };
    let fields: BTreeMap<String, Value> = fields.into_iter().map(|(name, values)| (name, value(values))).collect();
    Value::from(fields)
}

/// The members of an object by their names; of anything else none.
fn members(input: &Value) -> BTreeMap<String, Value> {
    if input.kind() != ValueKind::Map {
        return BTreeMap::new();
    }
    let names = input.try_iter().into_iter().flatten();
    names.filter_map(|name| Some((name.as_str()?.to_owned(), input.get_item(&name).ok()?))).collect()
}
