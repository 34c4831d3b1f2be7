//! Asks a protocol whether it accepts a config.

use crate::{Engine, EngineError, schema::issues_of};
use action_domain::{
    failure::Issue,
    protocol::{Pin, Protocol},
    secret::reference,
    services::{Accepted, ValidateError},
};
use serde_json::Value;

impl Engine {
    /// Validates a config by the protocol's schema and then by the protocol itself.
    ///
    /// # Errors
    /// [`EngineError::Invalid`] with pointers below `/config`.
    pub async fn validate_config(&self, pin: &Pin, config: &Value) -> Result<Accepted, EngineError> {
        let protocol = self.protocol(pin).await?;
        self.accept_config(&protocol, config).await?.map_err(EngineError::Invalid)
    }

    /// The inner result says what is wrong with the config, with pointers below `/config`.
    pub(crate) async fn accept_config(
        &self,
        protocol: &Protocol,
        config: &Value,
    ) -> Result<Result<Accepted, Vec<Issue>>, EngineError> {
        let below_config = |issues: Vec<Issue>| issues.into_iter().map(|issue| issue.below("/config")).collect();
        let (_, mut issues) = reference::references(config);
        issues.extend(reference::misplaced(&protocol.descriptor.config_schema, config));
        issues.extend(self.missing_secrets(config).await?);
        // The protocol and its schema see texts in the place of secrets, here as in an attempt.
        let (config, secrets) = self.disguise(config)?;
        issues.extend(issues_of(&self.schemas(protocol)?.config, &config));
        if !issues.is_empty() {
            return Ok(Err(below_config(issues)));
        }
        // A component may count on its schema: it is not asked about what breaks that.
        match self.inner.parts.runtime.validate_config(protocol.digest, config.to_string().into()).await {
            Ok(mut accepted) => {
                secrets.redactor().issues(&mut accepted.warnings);
                Ok(Ok(accepted))
            }
            Err(ValidateError::Refused(mut issues)) => {
                secrets.redactor().issues(&mut issues);
                Ok(Err(below_config(issues)))
            }
            Err(ValidateError::Runtime(error)) => Err(error.into()),
        }
    }
}
