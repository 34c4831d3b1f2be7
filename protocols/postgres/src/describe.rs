//! Says what the protocol is.

use action_protocol::Descriptor;
use serde_json::json;

use crate::config::Config;

/// The descriptor. Its documentation is the README of this folder.
pub fn descriptor() -> Descriptor {
    Descriptor::new::<Config>(
        "postgres",
        env!("CARGO_PKG_VERSION"),
        "Queries a Postgres database and changes it, with parameters made of the input",
    )
    .documentation(include_str!("../README.md"))
    .output_schema(&json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "oneOf": [{ "required": ["rows"] }, { "required": ["results"] }],
        "properties": {
            "rows": { "description": "With query: by the names of their columns.", "type": "array" },
            "row_count": { "type": "integer" },
            "truncated": { "description": "Whether there were more rows.", "type": "boolean" },
            "results": {
                "description": "With execute: one for each statement.",
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["command", "rows_affected", "rows"],
                    "properties": {
                        "command": { "type": "string" },
                        "rows_affected": { "type": "integer" },
                        "rows": { "type": "array" },
                    },
                },
            },
        },
    }))
    .example(
        "Look something up",
        &json!({
            "address": "db.example.com:5432",
            "user": "service",
            "password": { "$secret": "db-password" },
            "database": "shop",
            "query": { "sql": "SELECT id, status, total FROM orders WHERE id = $1", "parameters": ["{{ id }}"] },
        }),
    )
    .example(
        "Write something down once, however often it is tried",
        &json!({
            "address": "db.example.com:5432",
            "user": "service",
            "password": { "$secret": "db-password" },
            "database": "shop",
            "effect": "idempotent",
            "execute": [{
                "sql": "INSERT INTO payments (key, order_id, document) VALUES ($1, $2, $3) ON CONFLICT (key) DO NOTHING",
                "parameters": ["{{ @idempotency_key }}", "{{ order.id }}", "{{ . }}"],
            }],
        }),
    )
    .example(
        "Change several tables, all or none",
        &json!({
            "address": "db.example.com:5432",
            "user": "service",
            "password": { "$secret": "db-password" },
            "database": "shop",
            "execute": [
                { "sql": "UPDATE stock SET left = left - 1 WHERE article = $1", "parameters": ["{{ article }}"] },
                { "sql": "INSERT INTO sold (article) VALUES ($1) RETURNING id", "parameters": ["{{ article }}"] },
            ],
        }),
    )
}
