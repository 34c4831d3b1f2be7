//! The shipped protocols against the real servers that they are for, and against remotes that are
//! away, slow, or talk nonsense.

mod imap;
mod kept;
mod mqtt;
mod odd;
mod postgres;
mod redis;
mod s3;
mod smtp;
mod syslog;
mod webhook_out;
mod world;

use crate::kit::Service;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Protocols that come with the service and have servers here.
const SHIPPED: [&str; 8] = ["http", "imap", "mqtt", "postgres", "redis", "s3", "smtp", "webhook-out"];

#[tokio::test(flavor = "multi_thread")]
async fn every_example_and_every_config_of_the_documentation_is_accepted() {
    let service = Service::start().await;
    let api = &service.private;
    for name in SHIPPED {
        let protocol = api.get(&format!("/v1/protocols/{name}/0.1.0")).await.json(200);
        let examples = protocol["examples"].as_array().unwrap();
        assert!(examples.len() >= 3, "{name} has {} examples", examples.len());
        let mut configs: Vec<Value> = examples.iter().map(|example| example["config"].clone()).collect();
        let documentation = protocol["documentation"].as_str().unwrap();
        let shown = documentation.split("```json\n").skip(1).filter_map(|rest| rest.split("```").next());
        let shown = shown.map(|text| serde_json::from_str::<Value>(text).unwrap());
        // Other JSON that it shows is no config: an input, an output, grants.
        let named = |config: &Value| ["url", "address", "endpoint"].iter().any(|key| config[key].is_string());
        let shown: Vec<Value> = shown.filter(named).filter(|config| config["status"].is_null()).collect();
        assert!(!shown.is_empty(), "{name} shows no config");
        configs.extend(shown);
        for config in configs {
            let mut names = BTreeSet::new();
            secrets_in(&config, &mut names);
            for secret in names {
                api.put(&format!("/v1/secrets/{secret}"), &json!({"value": "long enough"})).await;
            }
            let path = format!("/v1/protocols/{name}/0.1.0/validate-config");
            let answer = api.post(&path, &json!({"config": config})).await.json(200);
            assert_eq!(answer["valid"], true, "{name}: {config}\n{answer}");
            assert_eq!(answer["warnings"], json!([]), "{name}: {config}");
        }
    }
}

fn secrets_in(config: &Value, names: &mut BTreeSet<String>) {
    match config {
        Value::Object(object) => {
            names.extend(object.get("$secret").and_then(Value::as_str).map(str::to_owned));
            object.values().for_each(|value| secrets_in(value, names));
        }
        Value::Array(list) => list.iter().for_each(|value| secrets_in(value, names)),
        _ => {}
    }
}
