//! Transforms.

use action_domain::payload::Payload;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// An expression and what to try it on.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = TryTransform)]
pub(crate) struct TryBody {
    /// In the transform's language.
    #[schema(example = "{text: .title}")]
    pub(crate) expression: String,
    /// What it is applied to.
    #[serde(default)]
    #[schema(value_type = Value)]
    pub(crate) input: Value,
    /// What the expression sees as `$trigger`; a call where left out.
    #[serde(default = "call")]
    #[schema(value_type = Value)]
    pub(crate) trigger: Value,
}

fn call() -> Value {
    serde_json::json!({"type": "call"})
}

/// What an expression gave.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TriedTransform)]
pub(crate) struct TriedBody {
    /// JSON as it is, anything else as a text.
    #[schema(value_type = Value)]
    output: Value,
    /// The media type of the output.
    #[schema(example = "application/json")]
    content_type: String,
}

impl From<&Payload> for TriedBody {
    fn from(output: &Payload) -> Self {
        let text = || Value::String(String::from_utf8_lossy(&output.data).into_owned());
        let json = output.is_json().then(|| serde_json::from_slice(&output.data).ok()).flatten();
        Self { output: json.unwrap_or_else(text), content_type: output.content_type.to_string() }
    }
}
