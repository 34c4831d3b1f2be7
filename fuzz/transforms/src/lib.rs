//! What the fuzzer calls of the transforms: expressions and templates that callers write, and what they are applied to.
//!
//! It stands apart from the other targets because its code is that of guests: the pure parts of `jq` and `template`,
//! compiled for this machine from where they stand. Their crates give components and no libraries, which would cost
//! link-time optimisation, and what runs in a component shows the fuzzer nothing of the way that it goes. The
//! modules find each other by `crate::`, so this file stands in for both of their roots.
//!
//! The input: an expression of jq, a document, and a template, with zero bytes between them. Expressions and templates
//! are read and not run, since one may be endless; the sandbox ends those.

#![expect(clippy::expect_used, clippy::missing_panics_doc, reason = "a target panics where something does not hold")]

#[path = "../../../protocols/transform-jq/src/definitions.rs"]
mod definitions;
#[path = "../../../protocols/transform-template/src/head.rs"]
mod head;
#[path = "../../../protocols/transform-jq/src/json.rs"]
mod json;
#[path = "../../../protocols/transform-jq/src/program.rs"]
mod program;
#[path = "../../../protocols/transform-template/src/template.rs"]
mod template;
#[path = "../../../protocols/transform-jq/src/words.rs"]
mod words;

use std::{panic::resume_unwind, thread};

use serde_json::Value;

/// jaq reads as deep as a text nests. In a component that ends by a trap, here it would end the fuzzer.
const STACK_BYTES: usize = 256 << 20;
/// Longer texts nest deeper than that stack.
const TEXT_BYTES_MAX: usize = 4 << 10;
/// What expressions may name beside their input.
const NAMES: [&str; 2] = ["action", "trigger"];
/// What it is.
const VARIABLES: &str = r#"{"action":{"id":null,"name":"a"},"trigger":{"type":"call"}}"#;

/// Reads all of it as the transforms do, and applies what ends.
pub fn check(data: &[u8]) {
    let mut parts = data.splitn(3, |byte| *byte == 0);
    let [expression, document, template] = std::array::from_fn(|_| parts.next().unwrap_or_default());
    if [expression, document, template].iter().any(|part| part.len() > TEXT_BYTES_MAX) {
        return;
    }
    let [expression, template] = [expression, template].map(|part| String::from_utf8_lossy(part).into_owned());
    let document = document.to_vec();
    let reader = thread::Builder::new().stack_size(STACK_BYTES).spawn(move || {
        of_an_expression(&expression);
        of_a_document(&document);
        of_a_template(&template);
        of_what_is_written(&document);
    });
    if let Err(panic) = reader.expect("a thread").join() {
        resume_unwind(panic);
    }
}

/// A mistake says something, and its place is one of the text.
fn is_told(offset: Option<u32>, message: &str, text: &str) {
    assert!(!message.is_empty(), "{text:?}");
    assert!(offset.is_none_or(|offset| text.is_char_boundary(offset as usize)), "{offset:?} {message} of {text:?}");
}

fn of_an_expression(expression: &str) {
    let Err(mistakes) = program::compile(expression, NAMES) else { return };
    assert!(!mistakes.is_empty(), "refused, and nobody says why: {expression:?}");
    for program::Mistake { offset, message } in mistakes {
        is_told(offset, &message, expression);
    }
}

/// What jq gives for a document, where it reads it.
fn applied(document: &[u8]) -> Option<Result<Vec<u8>, program::Mistake>> {
    let input = jaq_json::read::parse_single(document).ok()?;
    Some(program::run(".", input, VARIABLES))
}

/// What jq reads it writes as JSON, and it is the same.
fn of_a_document(document: &[u8]) {
    let read = serde_json::from_slice::<Value>(document);
    let Some(output) = applied(document) else {
        assert!(read.is_err(), "JSON is none to jq: {read:?}");
        return;
    };
    // Keys that are no texts, and bytes: they have no form in JSON.
    let Ok(output) = output else { return assert!(read.is_err(), "JSON is none any more: {read:?}") };
    let written = std::str::from_utf8(&output).expect("JSON is UTF-8");
    assert_eq!(applied(&output), Some(Ok(output.clone())), "{written}");
    if let Ok(read) = read {
        let written: Value = serde_json::from_str(written).expect("what is written is JSON");
        assert!(is_same(&read, &written), "{read} became {written}");
    }
}

/// The last digit of a number may be another one each time that it is read: `serde_json` reads them fast.
const PRECISION: f64 = 1e-15;

/// Whether two documents say the same; a number may be written in more than one way.
fn is_same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => match (left.as_f64(), right.as_f64()) {
            (Some(left), Some(right)) => (left - right).abs() <= left.abs() * PRECISION,
            _ => false,
        },
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| is_same(left, right))
        }
        (Value::Object(left), Value::Object(right)) => {
            let has = |(name, value): (&String, &Value)| right.get(name).is_some_and(|other| is_same(value, other));
            left.len() == right.len() && left.iter().all(has)
        }
        (left, right) => left == right,
    }
}

fn of_a_template(text: &str) {
    let rendered = || template::render(text, "text/plain", b"x", VARIABLES);
    if let Err(template::Mistake { offset, message }) = template::check(text, &[]) {
        is_told(offset, &message, text);
        assert!(rendered().is_err(), "{text}");
        return;
    }
    if text.contains("{{") || text.contains("{%") {
        return;
    }
    // Nothing is computed, so it ends; where it says that it is JSON and is not, with a mistake.
    match rendered() {
        Err(template::Mistake { offset, message }) => is_told(offset, &message, text),
        Ok(template::Rendered { content_type, text: written }) => {
            // As a header of a response may have it.
            let is_printable = content_type.bytes().all(|byte| (b' '..=b'~').contains(&byte));
            assert!(is_printable && content_type.contains('/'), "{content_type:?}");
            assert!(written.len() <= text.len(), "{written}");
        }
    }
}

/// What a template puts into JSON or HTML stays one value, whatever it is.
fn of_what_is_written(document: &[u8]) {
    let rendered = |text: &str, content_type: &str, data: &[u8]| {
        template::render(text, content_type, data, VARIABLES).map(|rendered| rendered.text)
    };
    let text = String::from_utf8_lossy(document);
    if !text.is_empty() {
        let html = rendered("{# text/html #}{{ input }}", "text/plain", text.as_bytes()).expect("any text");
        assert!(!html.contains(['<', '>', '"', '\'']), "{html}");
        let json = rendered("{# application/json #}[{{ input }}]", "text/plain", text.as_bytes()).expect("any text");
        assert_eq!(serde_json::from_str::<Value>(&json).ok(), Some(Value::from(vec![text.into_owned()])));
        let form = rendered("{# application/json #}{{ input }}", "application/x-www-form-urlencoded", document);
        let form: Value = serde_json::from_str(&form.expect("any bytes are a form")).expect("JSON");
        assert!(form.is_object(), "{form}");
    }
    let Ok(value) = serde_json::from_slice::<Value>(document) else { return };
    let both = "{# application/json #}{\"a\": {{ input }}, \"b\": {{ input|tojson }}}";
    let Ok(written) = rendered(both, "application/json", document) else { return };
    let written: Value = serde_json::from_str(&written).expect("the transform looked at it");
    for name in ["a", "b"] {
        assert!(is_same(&written[name], &value), "{value} became {written}");
    }
}
