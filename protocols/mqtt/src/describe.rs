//! Says what the protocol is.

use action_protocol::Descriptor;
use serde_json::json;

use crate::config::Config;

/// The descriptor. Its documentation is the README of this folder.
pub fn descriptor() -> Descriptor {
    Descriptor::new::<Config>(
        "mqtt",
        env!("CARGO_PKG_VERSION"),
        "Publishes to an MQTT broker, and subscribes to its topics",
    )
    .documentation(include_str!("../README.md"))
    .output_schema(&json!({
        "type": "object",
        "properties": {
            "topic": { "type": "string", "description": "Where it was published." },
            "bytes": { "type": "integer", "description": "How large the payload was." },
            "acknowledged": { "type": "boolean", "description": "Whether the broker said that it has it." },
            "messages": { "type": "integer", "description": "How many came." },
        },
    }))
    .example(
        "Publish the input",
        &json!({
            "address": "mqtt.example.com:8883",
            "username": "service",
            "password": { "$secret": "mqtt-password" },
            "publish": { "topic": "orders/{{ id }}" },
        }),
    )
    .example(
        "Capture what comes, in a continuous action",
        &json!({
            "address": "mqtt.example.com:8883",
            "subscribe": { "topics": ["sensors/+/temperature", "alarms/#"], "kind": "reading" },
        }),
    )
    .example(
        "Look from time to time",
        &json!({
            "address": "mqtt.example.com:8883",
            "subscribe": { "topics": ["orders/#"], "idle_ms": 2000 },
        }),
    )
}
