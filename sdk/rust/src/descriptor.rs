//! Descriptors, effects and reports, put together in few words.

use serde_json::Value;

use crate::{Accepted, ConnectionReport, Descriptor, Effect, Example, Issue};

impl Descriptor {
    /// A descriptor whose schema is derived from the config's type, so that the two cannot
    /// drift apart. `version` is usually `env!("CARGO_PKG_VERSION")`.
    #[cfg(feature = "schema")]
    pub fn new<C: schemars::JsonSchema>(name: &str, version: &str, summary: &str) -> Self {
        Self::with_schema(name, version, summary, crate::schema::of::<C>().to_string())
    }

    /// A descriptor with a schema written by hand.
    pub fn with_schema(name: &str, version: &str, summary: &str, config_schema: String) -> Self {
        Self {
            name: name.into(),
            version: version.into(),
            summary: summary.into(),
            documentation: String::new(),
            config_schema,
            input_schema: None,
            output_schema: None,
            examples: Vec::new(),
            test_methods: Vec::new(),
        }
    }

    /// Markdown for the person who configures an action.
    pub fn documentation(mut self, markdown: impl Into<String>) -> Self {
        self.documentation = markdown.into();
        self
    }

    /// JSON Schema of the output, where it is JSON.
    pub fn output_schema(mut self, schema: &Value) -> Self {
        self.output_schema = Some(schema.to_string());
        self
    }

    /// JSON Schema of the input, where it is JSON.
    pub fn input_schema(mut self, schema: &Value) -> Self {
        self.input_schema = Some(schema.to_string());
        self
    }

    /// A config to show to people, tried by the checker.
    pub fn example(mut self, name: &str, config: &Value) -> Self {
        self.examples.push(Example { name: name.into(), config: config.to_string() });
        self
    }

    /// An HTTP method beside GET, HEAD and OPTIONS that `test_connection` needs.
    pub fn test_method(mut self, method: &str) -> Self {
        self.test_methods.push(method.into());
        self
    }
}

impl Accepted {
    /// A config with this effect, and nothing to warn of.
    pub fn new(effect: Effect) -> Self {
        Self { effect, warnings: Vec::new() }
    }

    /// Only reads.
    pub fn read() -> Self {
        Self::new(Effect::Read)
    }

    /// The same with one more thing to know.
    pub fn warning(mut self, warning: Issue) -> Self {
        self.warnings.push(warning);
        self
    }
}

impl ConnectionReport {
    /// A report of one line.
    pub fn new(summary: impl Into<String>) -> Self {
        Self { summary: summary.into(), details: "{}".into() }
    }

    /// The same with details for a program to read.
    pub fn details(mut self, details: &Value) -> Self {
        self.details = details.to_string();
        self
    }
}
