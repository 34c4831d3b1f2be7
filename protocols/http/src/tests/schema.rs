//! The descriptor: its schema is one, holds what the service looks for, and fits the examples.

use crate::Http;
use crate::config::Config;
use action_protocol::Protocol;
use serde_json::{Value, json};

/// As the service shows a config to its schema and to the protocol.
fn with_handles(config: &Value) -> Value {
    match config {
        Value::Object(object) if object.contains_key("$secret") => {
            format!("{}sec_{}", object.get("prefix").and_then(Value::as_str).unwrap_or_default(), "0".repeat(32)).into()
        }
        Value::Object(object) => object.iter().map(|(name, value)| (name.clone(), with_handles(value))).collect(),
        Value::Array(list) => list.iter().map(with_handles).collect(),
        other => other.clone(),
    }
}

fn schema() -> Value {
    serde_json::from_str(&Http::describe().config_schema).unwrap()
}

#[test]
fn the_examples_are_valid_and_accepted() {
    let descriptor = Http::describe();
    let validator = jsonschema::draft202012::new(&schema()).unwrap();
    assert!(descriptor.examples.len() > 3);
    for example in descriptor.examples {
        let config = with_handles(&serde_json::from_str(&example.config).unwrap());
        let errors: Vec<_> = validator.iter_errors(&config).map(|e| e.to_string()).collect();
        assert!(errors.is_empty(), "{}: {errors:?}", example.name);
        let config: Config = serde_json::from_value(config).unwrap();
        let accepted = Http::validate(&config).unwrap_or_else(|e| panic!("{}: {e:?}", example.name));
        assert!(accepted.warnings.is_empty(), "{}: {:?}", example.name, accepted.warnings);
    }
}

#[test]
fn the_schema_says_what_may_be_reached_and_what_is_secret() {
    let schema = schema();
    let text = schema.to_string();
    let properties = &schema["properties"];
    assert_eq!(schema["additionalProperties"], false);
    assert_eq!(schema["required"], json!(["url"]));
    assert_eq!(properties["url"]["x-egress"], "http");
    assert_eq!(properties["redirect_urls"]["items"]["x-egress"], "http");
    // Password, token, key, and the values of headers and query, alone and in lists.
    assert_eq!(text.matches("\"writeOnly\":true").count(), 7);
    for map in ["headers", "query"] {
        assert_eq!(properties[map]["additionalProperties"]["writeOnly"], true);
        assert_eq!(properties[map]["additionalProperties"]["items"]["writeOnly"], true);
    }
    assert!(!properties["body"].to_string().contains("writeOnly"), "nothing fills a body in");
    assert!(!text.contains("$ref"));
    assert_eq!(properties["method"]["default"], "GET");
    assert_eq!(properties["expect"]["default"], json!(["2xx"]));
    for (name, property) in properties.as_object().unwrap() {
        assert!(property["description"].is_string(), "{name} has no description");
    }
}

#[test]
fn what_the_types_refuse_the_schema_refuses() {
    let validator = jsonschema::draft202012::new(&schema()).unwrap();
    for config in [
        json!({}),
        json!({ "url": 1 }),
        json!({ "url": "https://a.example/", "uri": "x" }),
        json!({ "url": "https://a.example/", "body": { "xml": "x" } }),
        json!({ "url": "https://a.example/", "body": "nothing" }),
        json!({ "url": "https://a.example/", "expect": ["ok"] }),
        json!({ "url": "https://a.example/", "expect": [99] }),
        json!({ "url": "https://a.example/", "auth": { "bearer": {} } }),
        json!({ "url": "https://a.example/", "auth": { "basic": { "username": "u", "password": "p", "x": 1 } } }),
        json!({ "url": "https://a.example/", "headers": { "a": {} } }),
        json!({ "url": "https://a.example/", "failures": [{ "status": [404], "kind": "odd" }] }),
        json!({ "url": "https://a.example/", "timeout_ms": -1 }),
    ] {
        assert!(!validator.is_valid(&config), "{config}");
        assert!(serde_json::from_value::<Config>(config.clone()).is_err(), "{config}");
    }
}

/// The configs that README.md shows.
#[test]
fn the_configs_in_the_documentation_work() {
    let shown = include_str!("../../README.md").split("```json\n").skip(1).filter_map(|rest| rest.split("```").next());
    let configs: Vec<Value> = shown.map(|text| with_handles(&serde_json::from_str(text).unwrap())).collect();
    let configs: Vec<&Value> = configs.iter().filter(|config| config["status"].is_null()).collect();
    assert!(configs.len() > 1);
    let validator = jsonschema::draft202012::new(&schema()).unwrap();
    for config in configs {
        let errors: Vec<_> = validator.iter_errors(config).map(|e| e.to_string()).collect();
        assert!(errors.is_empty(), "{config}: {errors:?}");
        let accepted = Http::validate(&serde_json::from_value((*config).clone()).unwrap()).unwrap();
        assert!(accepted.warnings.is_empty(), "{config}: {:?}", accepted.warnings);
    }
}
