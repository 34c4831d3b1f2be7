//! Protocols.

use crate::wire::upgrade::UpgradeBody;
use action_domain::protocol::{Example, Protocol};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// A protocol in a list.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ProtocolSummary)]
pub(crate) struct ProtocolSummary {
    /// Its name.
    #[schema(example = "http")]
    name: String,
    /// Its version.
    #[schema(example = "0.1.0")]
    version: String,
    /// `protocol`, or `transform`: a language of expressions.
    #[schema(example = "protocol")]
    kind: &'static str,
    /// One line.
    summary: String,
    /// SHA-256 of the component.
    #[schema(example = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")]
    digest: String,
    /// The component's size.
    bytes: u64,
    /// When it was uploaded.
    #[schema(value_type = String, format = DateTime)]
    uploaded_at: action_domain::time::Timestamp,
}

impl From<&Protocol> for ProtocolSummary {
    fn from(protocol: &Protocol) -> Self {
        let descriptor = &protocol.descriptor;
        Self {
            name: descriptor.name.to_string(),
            kind: protocol.kind.as_str(),
            version: descriptor.version.to_string(),
            summary: descriptor.summary.clone(),
            digest: protocol.digest.to_string(),
            bytes: protocol.bytes,
            uploaded_at: protocol.uploaded_at,
        }
    }
}

/// A protocol.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Protocol)]
pub(crate) struct ProtocolBody<'a> {
    #[serde(flatten)]
    summary: ProtocolSummary,
    /// Markdown.
    documentation: &'a str,
    /// JSON Schema 2020-12 of the config.
    #[schema(value_type = Value)]
    config_schema: &'a Value,
    /// JSON Schema of an input that is JSON.
    #[schema(value_type = Option<Value>, required = true)]
    input_schema: Option<&'a Value>,
    /// JSON Schema of an output that is JSON.
    #[schema(value_type = Option<Value>, required = true)]
    output_schema: Option<&'a Value>,
    /// Configs to start from.
    examples: Vec<ExampleBody<'a>>,
    /// HTTP methods beside GET, HEAD and OPTIONS that its connection test needs.
    test_methods: &'a [String],
    /// The interfaces that the component imports.
    imports: &'a [String],
    /// Whether it can find out what became of an attempt in doubt.
    reconciles: bool,
}

/// A protocol that was uploaded.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UploadedProtocol)]
pub(crate) struct UploadedBody<'a> {
    #[serde(flatten)]
    pub(crate) protocol: ProtocolBody<'a>,
    /// What it changes, where there is an earlier version.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) upgrade: Option<UpgradeBody<'a>>,
}

/// A config to start from.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Example)]
struct ExampleBody<'a> {
    /// What it shows.
    name: &'a str,
    /// The config.
    #[schema(value_type = Value)]
    config: &'a Value,
}

impl<'a> From<&'a Protocol> for ProtocolBody<'a> {
    fn from(protocol: &'a Protocol) -> Self {
        let descriptor = &protocol.descriptor;
        let example = |Example { name, config }: &'a Example| ExampleBody { name, config };
        Self {
            summary: protocol.into(),
            documentation: &descriptor.documentation,
            config_schema: &descriptor.config_schema,
            input_schema: descriptor.input_schema.as_ref(),
            output_schema: descriptor.output_schema.as_ref(),
            examples: descriptor.examples.iter().map(example).collect(),
            test_methods: &descriptor.test_methods,
            imports: &protocol.imports,
            reconciles: protocol.reconciles,
        }
    }
}
