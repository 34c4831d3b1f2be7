//! Says what the protocol is.

use action_protocol::Descriptor;
use serde_json::json;

use crate::config::Config;
use crate::output;

/// The descriptor. Its documentation is the README of this folder.
pub fn descriptor() -> Descriptor {
    Descriptor::new::<Config>(
        "http",
        env!("CARGO_PKG_VERSION"),
        "Sends an HTTP request made of the config and the input, and gives back the answer",
    )
    .documentation(include_str!("../README.md"))
    .output_schema(&output::schema())
    .example("Read a page", &json!({ "url": "https://api.example.com/status" }))
    .example(
        "Post the input",
        &json!({
            "url": "https://api.example.com/orders",
            "method": "POST",
            "auth": { "bearer": { "token": { "$secret": "orders-token" } } },
            "idempotency": "keyed",
        }),
    )
    .example(
        "Give an API key of the remote's own kind",
        &json!({
            "url": "https://api.example.com/orders",
            "headers": { "X-Api-Key": { "$secret": "orders-key" } },
        }),
    )
    .example(
        "Post JSON made of the input",
        &json!({
            "url": "https://chat.example.com/api/rooms/{{ room }}/messages",
            "method": "POST",
            "body": { "json": { "text": "New order: {{ order.title }}", "items": "{{ order.items }}" } },
            "expect": [201],
            "timeout_ms": 5000,
        }),
    )
    .example(
        "Search, with what it means when there is nothing",
        &json!({
            "url": "https://api.example.com/customers",
            "query": { "email": "{{ email }}", "fields": ["id", "name"], "page": "{{ page? }}" },
            "auth": { "basic": { "username": "service", "password": { "$secret": "customers-password" } } },
            "failures": [
                { "status": [404], "kind": "invalid_input" },
                { "status": ["520-529"], "kind": "unavailable", "retry_after_ms": 30000 },
            ],
        }),
    )
    .example(
        "Download a file, also from where it redirects to",
        &json!({
            "url": "https://files.example.com/{{ file }}",
            "redirect_urls": ["https://cdn.example.net/"],
            "output": "body",
        }),
    )
    .example(
        "Look for new orders, each captured once",
        &json!({
            "url": "https://api.example.com/orders",
            "query": { "status": "open" },
            "auth": { "bearer": { "token": { "$secret": "orders-token" } } },
            "poll": { "kind": "order", "items": "/orders", "key": "/id" },
        }),
    )
    .example(
        "Send a form",
        &json!({
            "url": "https://example.com/subscribe",
            "method": "POST",
            "body": { "form": { "email": "{{ email }}", "list": ["news", "offers"] } },
            "expect": ["2xx", 302],
        }),
    )
}
