//! Says what the protocol is.

use action_protocol::Descriptor;
use serde_json::json;

use crate::config::Config;

/// The descriptor. Its documentation is the README of this folder.
pub fn descriptor() -> Descriptor {
    Descriptor::new::<Config>("imap", env!("CARGO_PKG_VERSION"), "Captures the mails of a mailbox that are new")
        .documentation(include_str!("../README.md"))
        .output_schema(&json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "required": ["messages", "more", "began", "uid_validity", "last_uid"],
            "properties": {
                "messages": { "type": "integer", "description": "How many mails were captured." },
                "more": { "type": "boolean", "description": "Whether there are more, for the next execution." },
                "began": {
                    "type": "boolean",
                    "description": "Whether it began anew: the first execution, or a mailbox that was made anew.",
                },
                "uid_validity": { "type": "integer", "description": "The mailbox as the server knows it." },
                "last_uid": { "type": "integer", "description": "The mail up to which all are read." },
            },
        }))
        .example(
            "Capture new mails, looking from time to time",
            &json!({
                "address": "imap.example.com:993",
                "username": "orders@example.com",
                "password": { "$secret": "mail-password" },
            }),
        )
        .example(
            "All of an archive, byte for byte",
            &json!({
                "address": "imap.example.com:143",
                "security": "starttls",
                "username": "archive",
                "password": { "$secret": "mail-password" },
                "mailbox": "Archive/2026",
                "first_run": "all",
                "content": "raw",
                "max_messages": 500,
            }),
        )
        .example(
            "Capture mails as they come, in a continuous action",
            &json!({
                "address": "imap.example.com:993",
                "username": "orders@example.com",
                "password": { "$secret": "mail-password" },
                "wait": true,
                "attachments": "content",
                "message_bytes_max": 4_194_304,
            }),
        )
        .example(
            "What is unread and from somebody, marked as seen when it is captured",
            &json!({
                "address": "imap.example.com:143",
                "security": "starttls",
                "username": "orders@example.com",
                "password": { "$secret": "mail-password" },
                "first_run": "all",
                "search": { "unseen": true, "from": "@supplier.example", "since": "2026-11-01" },
                "mark_seen": true,
            }),
        )
}
