//! The forms of documents. What the OpenAPI document says of a body is what the body is held
//! against, so that the two cannot part.
//!
//! A reader made by serde stops at the first mistake; a schema finds all of them, each with its
//! place. What a schema does not tell apart (1.0 from 1, a number of more than 64 bits) is left
//! to serde.

use action_domain::{action::escape_pointer, failure::Issue};
use action_engine::Form;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use serde_path_to_error::Segment;
use std::{
    any::TypeId,
    collections::{BTreeMap, HashMap},
    sync::{Arc, LazyLock, Mutex, PoisonError},
};
use utoipa::ToSchema;

/// Compiled once a type, when the first document of it comes.
static FORMS: LazyLock<Mutex<HashMap<TypeId, Arc<Form>>>> = LazyLock::new(Mutex::default);

/// A document of a type, or every place where it is none.
pub(crate) fn read<T: DeserializeOwned + ToSchema + 'static>(document: &Value) -> Result<T, Vec<Issue>> {
    let issues = issues::<T>(document);
    if issues.is_empty() { typed(document).map_err(|issue| vec![issue]) } else { Err(issues) }
}

/// Every place where a document has not the form that is published of a type.
pub(crate) fn issues<T: ToSchema + 'static>(document: &Value) -> Vec<Issue> {
    form::<T>().map_or_else(Vec::new, |form| form.issues(document))
}

/// A document of a type, or the first place where it is none.
pub(crate) fn typed<T: DeserializeOwned>(document: &Value) -> Result<T, Issue> {
    serde_path_to_error::deserialize(document).map_err(|error| {
        let pointer = error.path().iter().fold(String::new(), |pointer, segment| match segment {
            Segment::Seq { index } => format!("{pointer}/{index}"),
            Segment::Map { key } => format!("{pointer}/{}", escape_pointer(key)),
            Segment::Enum { .. } | Segment::Unknown => pointer,
        });
        Issue::new(pointer, "invalid", error.inner().to_string())
    })
}

fn form<T: ToSchema + 'static>() -> Option<Arc<Form>> {
    let mut forms = FORMS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(form) = forms.get(&TypeId::of::<T>()) {
        return Some(form.clone());
    }
    // The types are known when this is built, and a test compiles the form of each.
    let compiled = Form::new(&schema::<T>());
    let form = compiled.inspect_err(|issue| tracing::error!(issue = issue.message, "api.form.compile")).ok()?;
    Some(forms.entry(TypeId::of::<T>()).or_insert_with(|| Arc::new(form)).clone())
}

/// The published schema, with those that it refers to where it looks for them.
fn schema<T: ToSchema>() -> Value {
    let mut parts = vec![(T::name().into_owned(), T::schema())];
    T::schemas(&mut parts);
    let parts: BTreeMap<_, _> = parts.into_iter().collect();
    json!({"$ref": format!("#/components/schemas/{}", T::name()), "components": {"schemas": parts}})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        testing::Api,
        wire::{
            action::ActionSpec,
            config::{ConfigBody, OptionalConfigBody, TestBody},
        },
    };

    #[tokio::test]
    async fn the_form_of_each_body_is_the_published_one() {
        let document = Api::new().get("/openapi.json").send().await.json();
        let same = |name: &str, schema: Value| {
            let published = &document["components"]["schemas"];
            assert!(Form::new(&schema).is_ok(), "{name}");
            for (part, schema) in schema["components"]["schemas"].as_object().unwrap() {
                assert_eq!(schema, &published[part], "{part} of {name}");
            }
        };
        same("ActionSpec", schema::<ActionSpec>());
        same("ConfigBody", schema::<ConfigBody>());
        same("OptionalConfigBody", schema::<OptionalConfigBody>());
        same("TestBody", schema::<TestBody>());
    }

    #[test]
    fn every_mistake_has_its_place() {
        let wrong = json!({"grants": {"egress": [{"host": 1}, {"ports": [-1]}], "egres": []}, "confg": {}});
        let mut pointers: Vec<String> =
            read::<TestBody>(&wrong).unwrap_err().into_iter().map(|issue| issue.pointer).collect();
        pointers.sort();
        assert_eq!(
            pointers,
            [
                "/confg",
                "/config",
                "/grants/egres",
                "/grants/egress/0/host",
                "/grants/egress/1/host",
                "/grants/egress/1/ports/0"
            ]
        );
        let large = json!({"config": {}, "grants": {"egress": [{"host": "a", "ports": [65_536]}]}});
        assert_eq!(read::<TestBody>(&large).unwrap_err()[0].pointer, "/grants/egress/0/ports/0");
    }
}
