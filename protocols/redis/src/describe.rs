//! Says what the protocol is.

use action_protocol::Descriptor;
use serde_json::json;

use crate::config::Config;
use crate::output;

/// The descriptor. Its documentation is the README of this folder.
pub fn descriptor() -> Descriptor {
    Descriptor::new::<Config>(
        "redis",
        env!("CARGO_PKG_VERSION"),
        "Sends commands to a Redis server, those of streams too, and gives back the replies",
    )
    .documentation(include_str!("../README.md"))
    .output_schema(&output::schema())
    .example(
        "Read a key",
        &json!({
            "address": "redis.example.com:6380",
            "password": { "$secret": "redis-password" },
            "commands": [["GET", "order:{{ id }}"]],
        }),
    )
    .example(
        "Append the input to a stream",
        &json!({
            "address": "redis.example.com:6380",
            "username": "service",
            "password": { "$secret": "redis-password" },
            "commands": [["XADD", "orders", "MAXLEN", "~", 10000, "*", "order", { "json": "{{ . }}" }]],
        }),
    )
    .example(
        "Read a stream as one of a group, and say later that it is done",
        &json!({
            "address": "redis.example.com:6380",
            "password": { "$secret": "redis-password" },
            "commands": [
                ["XREADGROUP", "GROUP", "billing", "worker-1", "COUNT", 10, "BLOCK", 5000, "STREAMS", "orders", ">"],
            ],
        }),
    )
    .example(
        "Several commands that belong together",
        &json!({
            "address": "redis.example.com:6380",
            "password": { "$secret": "redis-password" },
            "transaction": true,
            "commands": [
                ["HSET", "order:{{ id }}", "status", "{{ status }}"],
                ["EXPIRE", "order:{{ id }}", 86400],
                ["SADD", "orders", "{{ id }}"],
            ],
        }),
    )
}
