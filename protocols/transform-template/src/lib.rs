//! The transform `template`: texts in the manner of Jinja, by minijinja.
//!
//! `head` reads what a template says of its own output, `template` checks and renders.

mod head;
mod template;

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
use template::{Mistake, Rendered};

/// The component.
struct Template;

impl Guest for Template {
    fn check(expression: String, variables: Vec<String>) -> Result<(), Vec<TransformError>> {
        template::check(&expression, &variables).map_err(|mistake| vec![mistake.into()])
    }

    fn apply(expression: String, input: Payload, variables: String) -> Result<Payload, TransformError> {
        let Rendered { content_type, text } =
            template::render(&expression, &input.content_type, &input.data, &variables)?;
        Ok(Payload { content_type, data: text.into_bytes() })
    }
}

impl From<Mistake> for TransformError {
    fn from(Mistake { offset, message }: Mistake) -> Self {
        Self { offset, message }
    }
}

#[cfg(target_family = "wasm")]
#[expect(unsafe_code, reason = "the generated exports are functions that are called from outside of Rust")]
mod exported {
    use super::{Template, bindings};
    bindings::export!(Template with_types_in bindings);
}
