//! Transforms.

use action_domain::{failure::Issue, payload::Payload};
use serde::{Deserialize, Serialize};
use serde_json::{
    Value,
    value::{RawValue, to_raw_value},
};
use utoipa::ToSchema;

/// An expression and what to try it on.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = TryTransform)]
pub(crate) struct TryBody {
    /// In the transform's language.
    #[schema(example = "{text: .title}")]
    pub(crate) expression: String,
    /// What it is applied to, as JSON; numbers come as they are read here. Or else `text`.
    #[serde(default)]
    #[schema(value_type = Value)]
    pub(crate) input: Value,
    /// What it is applied to, to the byte: what comes in is no JSON, or has numbers whose every digit counts.
    #[schema(example = "text=hello&user=ada")]
    pub(crate) text: Option<String>,
    /// The media type of `text`: `application/json` where left out.
    #[schema(example = "application/x-www-form-urlencoded")]
    pub(crate) content_type: Option<String>,
    /// What the expression sees as `$trigger`; a call where left out.
    #[serde(default = "call")]
    #[schema(value_type = Value)]
    pub(crate) trigger: Value,
}

fn call() -> Value {
    serde_json::json!({"type": "call"})
}

impl TryBody {
    /// What the expression is applied to.
    ///
    /// # Errors
    /// What the document says twice, or of what is not there.
    pub(crate) fn payload(&self) -> Result<Payload, Vec<Issue>> {
        let both = self.text.is_some() && !self.input.is_null();
        let of_nothing = self.text.is_none() && self.content_type.is_some();
        let both = both.then(|| Issue::new("/text", "invalid", "there is an `input` too: one of them"));
        let of_nothing =
            of_nothing.then(|| Issue::new("/content_type", "invalid", "it is of `text`, and there is none"));
        let issues: Vec<Issue> = both.into_iter().chain(of_nothing).collect();
        if !issues.is_empty() {
            return Err(issues);
        }
        let content_type = self.content_type.as_deref().unwrap_or("application/json").into();
        Ok(Payload { content_type, data: self.text.clone().unwrap_or_else(|| self.input.to_string()).into() })
    }
}

/// What an expression gave.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TriedTransform)]
pub(crate) struct TriedBody {
    /// JSON as it is, to the digit; anything else as a text.
    #[schema(value_type = Value)]
    output: Box<RawValue>,
    /// The media type of the output.
    #[schema(example = "application/json")]
    content_type: String,
}

impl From<&Payload> for TriedBody {
    fn from(output: &Payload) -> Self {
        // A text always has a JSON form.
        let text = || to_raw_value(&String::from_utf8_lossy(&output.data)).unwrap_or_default();
        let json = output.is_json().then(|| serde_json::from_slice(&output.data).ok()).flatten();
        Self { output: json.unwrap_or_else(text), content_type: output.content_type.to_string() }
    }
}
