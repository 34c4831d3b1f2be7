//! Says what the protocol is.

use action_protocol::Descriptor;
use serde_json::json;

use crate::config::Config;

/// The descriptor. Its documentation is the README of this folder.
pub fn descriptor() -> Descriptor {
    Descriptor::new::<Config>("smtp", env!("CARGO_PKG_VERSION"), "Sends a mail made of the config and the input")
        .documentation(include_str!("../README.md"))
        .output_schema(&json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "required": ["message_id", "recipients", "reply"],
            "properties": {
                "message_id": { "type": "string" },
                "recipients": { "type": "array", "items": { "type": "string" } },
                "reply": { "description": "What the server said to the mail.", "type": "string" },
            },
        }))
        .example(
            "Tell somebody",
            &json!({
                "address": "mail.example.com:465",
                "username": "service",
                "password": { "$secret": "mail-password" },
                "from": "The shop <shop@example.com>",
                "to": "{{ customer.email }}",
                "subject": "Your order {{ order.id }}",
                "text": "Hello {{ customer.name }},\n\nyour order is on its way.\n",
                "html": "<p>Hello <b>{{ customer.name }}</b>,</p><p>your order is on its way.</p>",
            }),
        )
        .example(
            "Send the input along as a file",
            &json!({
                "address": "mail.example.com:587",
                "security": "starttls",
                "username": "service",
                "password": { "$secret": "mail-password" },
                "from": "reports@example.com",
                "to": ["ops@example.com", "Ada <ada@example.com>"],
                "subject": "The report of {{ @execution }}",
                "text": "It is attached.",
                "attachments": [{ "name": "report.pdf", "content_type": "application/pdf", "content": "input" }],
            }),
        )
        .example(
            "Over a relay that knows us by a certificate",
            &json!({
                "address": "relay.example.com:465",
                "tls": { "client_certificate": { "chain": "-----BEGIN CERTIFICATE-----\n…", "key": { "$secret": "relay-key" } } },
                "from": "alerts@example.com",
                "to": "ops@example.com",
                "headers": { "X-Priority": "1" },
                "subject": "{{ title }}",
                "text": "{{ . }}",
            }),
        )
}
