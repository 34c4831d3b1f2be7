//! Says what the protocol is.

use action_protocol::Descriptor;
use serde_json::{Value, json};

use crate::config::Config;

/// The descriptor. Its documentation is the README of this folder.
pub fn descriptor() -> Descriptor {
    let example = |operation: Value| {
        json!({
            "endpoint": "https://s3.eu-central-1.amazonaws.com",
            "region": "eu-central-1",
            "bucket": "reports",
            "access_key_id": "AKIAIOSFODNN7EXAMPLE",
            "secret_access_key": { "$secret": "s3-key" },
            "operation": operation,
        })
    };
    Descriptor::new::<Config>("s3", env!("CARGO_PKG_VERSION"), "Puts, gets, lists and deletes objects of an S3 bucket")
        .documentation(include_str!("../README.md"))
        .example("Keep the input", &example(json!({ "put": { "key": "in/{{ @execution }}" } })))
        .example("Read an object", &example(json!({ "get": { "key": "{{ key }}" } })))
        .example("List what is new", &example(json!({ "list": { "prefix": "in/", "after": "{{ last? }}" } })))
}
