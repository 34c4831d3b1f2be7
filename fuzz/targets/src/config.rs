//! Documents of actions, and schemas of protocols: JSON that callers and components send.
//!
//! The input: an action's document, a config schema, and an example of it.
#![cfg_attr(feature = "libfuzzer", no_main)]

use action_api::{ActionDraft, untrusted};
use action_domain::{
    action::{ActionSpec, Grants},
    egress::{Egress, issues_of_schema},
    failure::Issue,
    limits::ISSUES_MAX,
    secret::reference,
    services::{RawDescriptor, RawExample},
    transform::{Expression, Mistake},
    turn::KeyPath,
};
use action_engine::{Form, check_descriptor};
use action_fuzz_targets::{parts, texts};
use serde_json::{Value, json};

#[cfg(feature = "libfuzzer")]
libfuzzer_sys::fuzz_target!(|data: &[u8]| check(data));

/// Reads the document as a save does, and the schema as an upload does.
pub fn check(data: &[u8]) {
    let [document, _, _] = parts(data);
    let [_, schema, example] = texts(data);
    let document = read(document);
    if let Some(document) = &document {
        of_an_action(document);
    }
    of_a_descriptor(&schema, &example);
    let Ok(schema) = serde_json::from_str::<Value>(&schema) else { return };
    issues_of_schema(&schema).iter().for_each(is_sound);
    let empty = json!({});
    let config = document.as_ref().and_then(|document| document.get("config")).unwrap_or(&empty);
    of_a_config(&schema, config);
}

/// What is taken, every other reader takes too, and for the same.
fn read(bytes: &[u8]) -> Option<Value> {
    let document = untrusted::document(bytes)?;
    let other: Value = serde_json::from_slice(bytes).expect("what is taken is JSON");
    assert_eq!(document, other);
    let written = serde_json::to_vec(&document).expect("JSON can be written");
    assert!(untrusted::document(&written).is_some(), "{document}");
    Some(document)
}

fn of_an_action(document: &Value) {
    let mut draft = ActionDraft::read(document);
    if let Some(spec) = draft.spec() {
        of_its_expressions(spec);
        let found = spec.check();
        draft.add(found);
    }
    let sound = draft.is_sound();
    match draft.finish() {
        Err(issues) => {
            assert!(!issues.is_empty(), "refused, and nobody says why: {document}");
            for issue in &issues {
                is_sound(issue);
                points_somewhere(document, &issue.pointer);
            }
        }
        Ok(spec) => {
            assert!(sound);
            // As it is kept, it is the same action again, and as good.
            let kept = serde_json::to_value(&spec).expect("an action can be written");
            let again: ActionSpec = serde_json::from_value(kept).expect("an action that was kept can be read");
            assert_eq!(again, spec);
            assert!(again.check().is_empty(), "{document}");
        }
    }
}

/// Wherever a transform says that an expression is wrong, strangers write them too, people are told a place in it.
fn of_its_expressions(spec: &ActionSpec) {
    for (_, pointer, Expression { text, .. }) in spec.expressions() {
        let middle = text.len() / 2;
        for offset in [0, middle, text.len(), usize::MAX].map(|offset| u32::try_from(offset).unwrap_or(u32::MAX)) {
            let issue = Mistake { offset: Some(offset), message: "it is wrong".to_owned() }.issue(&pointer, text);
            let place = issue.place.expect("where it is known");
            let line = text.split('\n').nth(place.line as usize - 1);
            assert!(
                line.is_some_and(|line| place.column as usize <= line.chars().count() + 1),
                "{place:?} of {text:?}"
            );
        }
    }
    // A plain path is read without a sandbox, and leads into the document or to nothing.
    let path = spec.delivery.ordering_key.as_deref().and_then(|key| KeyPath::parse(key).ok());
    if let Some(key) = path.and_then(|path| path.key(&spec.config)) {
        assert!(key.len() <= spec.config.to_string().len(), "{key}");
    }
}

/// A place is there, or is a member that is missing from what is there.
fn points_somewhere(document: &Value, pointer: &str) {
    let (around, _) = pointer.rsplit_once('/').unwrap_or_default();
    assert!(document.pointer(pointer).is_some() || document.pointer(around).is_some(), "{pointer} of {document}");
}

fn of_a_descriptor(schema: &str, example: &str) {
    let raw = RawDescriptor {
        name: "p".to_owned(),
        version: "1.0.0".to_owned(),
        config_schema: schema.to_owned(),
        examples: vec![RawExample { name: "e".to_owned(), config: example.to_owned() }],
        ..RawDescriptor::default()
    };
    match check_descriptor(&raw) {
        Err(issues) => {
            assert!(!issues.is_empty());
            issues.iter().for_each(is_sound);
        }
        Ok(descriptor) => {
            assert!(Form::new(&descriptor.config_schema).is_ok(), "{schema}");
            assert!(issues_of_schema(&descriptor.config_schema).is_empty(), "{schema}");
            // Not a word changes that is told to those who make actions.
            assert_eq!(Some(descriptor.config_schema), serde_json::from_str(schema).ok());
        }
    }
}

fn of_a_config(schema: &Value, config: &Value) {
    if let Ok(form) = Form::new(schema) {
        let issues = form.issues(config);
        assert!(issues.len() <= ISSUES_MAX, "{}", issues.len());
        issues.iter().for_each(is_sound);
    }
    let grants = Grants::default();
    let action = json!({"config": config});
    for rule in Egress::of_action(schema, config, &grants).rules {
        assert!(action.pointer(&rule.from).is_some_and(Value::is_string), "{} of {config}", rule.from);
    }
    let (references, issues) = reference::references(config);
    issues.iter().for_each(is_sound);
    for found in references.iter().map(|found| &found.pointer) {
        assert!(config.pointer(found).is_some(), "{found} of {config}");
    }
    reference::misplaced(schema, config).iter().for_each(is_sound);
    let seen = reference::replaced(config, &mut |name| format!("<{name}>"));
    assert!(reference::references(&seen).0.is_empty(), "{seen}");
    if references.is_empty() {
        assert_eq!(&seen, config);
    }
}

fn is_sound(issue: &Issue) {
    let Issue { pointer, code, message, place } = issue;
    assert!(place.is_none_or(|place| place.line > 0 && place.column > 0), "{issue:?}");
    assert!(pointer.is_empty() || pointer.starts_with('/'), "{issue:?}");
    assert!(!code.is_empty() && !message.is_empty(), "{issue:?}");
}
