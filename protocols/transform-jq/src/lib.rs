//! The transform `jq`: expressions over JSON, by jaq.
//!
//! An input that is JSON is what it says; a form is an object; one that is text is a string; one that is empty is `null`.
//! The output is JSON. `definitions` keeps a call cheap, `program` compiles and runs.

mod definitions;
mod json;
mod program;
mod words;

#[cfg(test)]
mod tests;

#[expect(clippy::pedantic, reason = "generated from the contract")]
mod bindings {
    wit_bindgen::generate!({ path: "../../wit/v0.1", world: "action-transform" });
}

use bindings::{
    exports::julee::action::transformer::{Guest, TransformError},
    julee::action::model::Payload,
};
use jaq_json::{Map, Val, read};
use program::Mistake;
use std::rc::Rc;

/// The component.
struct Jq;

impl Guest for Jq {
    fn check(expression: String, variables: Vec<String>) -> Result<(), Vec<TransformError>> {
        let compiled = program::compile(&expression, variables.iter().map(String::as_str));
        compiled.map(drop).map_err(|mistakes| mistakes.into_iter().map(Into::into).collect())
    }

    fn apply(expression: String, input: Payload, variables: String) -> Result<Payload, TransformError> {
        let input = value(&input)?;
        let data = program::run(&expression, input, &variables)?;
        Ok(Payload { content_type: "application/json".to_owned(), data })
    }
}

/// What the expression sees of an input.
fn value(input: &Payload) -> Result<Val, Mistake> {
    let essence = input.content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if input.data.is_empty() {
        Ok(Val::Null)
    } else if essence == "application/json" || essence.ends_with("+json") {
        read::parse_single(&input.data).map_err(|error| Mistake::new(format!("the input is no JSON: {error}")))
    } else if essence == "application/x-www-form-urlencoded" {
        Ok(form(&input.data))
    } else if essence.starts_with("text/") {
        Ok(Val::utf8_str(input.data.clone()))
    } else {
        Err(Mistake::new(format!("the input is {essence}, and jq takes JSON, forms or text")))
    }
}

/// A form as an object of texts; a name that is there several times has a list of them.
fn form(bytes: &[u8]) -> Val {
    let mut fields = Map::default();
    for (name, value) in form_urlencoded::parse(bytes) {
        let (name, value) = (Val::utf8_str(name.into_owned()), Val::utf8_str(value.into_owned()));
        match fields.get_mut(&name) {
            Some(Val::Arr(values)) => Rc::make_mut(values).push(value),
            Some(first) => *first = [std::mem::take(first), value].into_iter().collect(),
            None => {
                fields.insert(name, value);
            }
        }
    }
    Val::obj(fields)
}

impl From<Mistake> for TransformError {
    fn from(Mistake { offset, message }: Mistake) -> Self {
        Self { offset, message }
    }
}

#[cfg(target_family = "wasm")]
#[expect(unsafe_code, reason = "the generated exports are functions that are called from outside of Rust")]
mod exported {
    use super::{Jq, bindings};
    bindings::export!(Jq with_types_in bindings);
}
