//! The OpenAPI document, held against what the service really answers.

use super::Answer;
use reqwest::Method;
use serde_json::{Value, json};

/// An OpenAPI 3.1 document.
pub(crate) struct Document(Option<Value>);

impl Document {
    pub(crate) fn new(document: Value) -> Self {
        assert!(document["openapi"].as_str().unwrap().starts_with("3.1"), "{}", document["openapi"]);
        Self(Some(document))
    }

    pub(crate) const fn none() -> Self {
        Self(None)
    }

    /// Fails the test if this answer to a documented path is not documented, or not like that.
    pub(crate) fn check(&self, method: &Method, path: &str, answer: &Answer) {
        let Some(document) = &self.0 else { return };
        let Some(operation) = operation(document, method, path) else {
            let code = answer.status.as_u16();
            assert!(matches!(code, 404 | 405), "{method} {path} answered {code} and is not documented");
            return;
        };
        let status = answer.status.as_u16().to_string();
        let responses = &operation["responses"];
        let Some(response) = responses.get(&status).or_else(|| responses.get("default")) else {
            panic!("{method} {path}: {status} is not documented: {}", String::from_utf8_lossy(&answer.body));
        };
        let response = follow(document, response);
        let media = answer.header("content-type").split(';').next().unwrap().trim().to_owned();
        let Some(content) = response.get("content").and_then(Value::as_object) else { return };
        let Some(schema) = content.get(&media).or_else(|| content.get("*/*")).map(|content| &content["schema"]) else {
            panic!("{method} {path} {status}: {media:?} is not documented");
        };
        if !media.ends_with("json") || schema.is_null() {
            return;
        }
        let body: Value = serde_json::from_slice(&answer.body).unwrap();
        let whole = json!({"$ref": "#/root", "root": schema, "components": document["components"]});
        let validator = jsonschema::options().offline().build(&whole).unwrap();
        let wrong: Vec<String> =
            validator.iter_errors(&body).map(|error| format!("{}: {error}", error.instance_path())).collect();
        assert!(wrong.is_empty(), "{method} {path} {status} is not as documented: {wrong:#?}\n{body:#}");
    }
}

fn follow<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    match value["$ref"].as_str() {
        Some(reference) => document.pointer(reference.trim_start_matches('#')).unwrap(),
        None => value,
    }
}

fn operation<'a>(document: &'a Value, method: &Method, path: &str) -> Option<&'a Value> {
    let fits = |template: &str| {
        let (mut own, mut asked) = (template.split('/'), path.split('/'));
        loop {
            match (own.next(), asked.next()) {
                // A webhook's path has as many parts as it likes.
                (None, None) | (Some("{path}"), Some(_)) => return true,
                (Some(own), Some(asked)) if own == asked || own.starts_with('{') && !asked.is_empty() => {}
                _ => return false,
            }
        }
    };
    let paths = document["paths"].as_object()?;
    // A path without parameters before one with.
    let template =
        paths.keys().filter(|template| fits(template)).min_by_key(|template| template.matches('{').count())?;
    // What a webhook takes, it takes with any method.
    let method = if template == "/hooks/{path}" { "post".to_owned() } else { method.as_str().to_ascii_lowercase() };
    paths[template].get(method)
}
