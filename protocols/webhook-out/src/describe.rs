//! Says what the protocol is.

use action_protocol::Descriptor;
use serde_json::json;

use crate::answer;
use crate::config::Config;

/// The descriptor. Its documentation is the README of this folder.
pub fn descriptor() -> Descriptor {
    Descriptor::new::<Config>(
        "webhook-out",
        env!("CARGO_PKG_VERSION"),
        "Delivers the input to a webhook endpoint, signed by Standard Webhooks",
    )
    .documentation(include_str!("../README.md"))
    .output_schema(&answer::schema())
    .example(
        "Deliver the input",
        &json!({ "url": "https://orchestrator.example.com/hooks/items", "secret": { "$secret": "orchestrator-hook" } }),
    )
    .example(
        "While the secret is being replaced",
        &json!({
            "url": "https://orchestrator.example.com/hooks/items",
            "secret": { "$secret": "orchestrator-hook-2" },
            "old_secret": { "$secret": "orchestrator-hook" },
            "headers": { "X-Tenant": "acme" },
        }),
    )
    .example(
        "To an endpoint behind a private authority, which has a second to answer",
        &json!({
            "url": "https://hooks.internal.example.com/items",
            "secret": { "$secret": "internal-hook" },
            "tls": { "server_name": "hooks.example.com" },
            "timeout_ms": 1000,
        }),
    )
}
