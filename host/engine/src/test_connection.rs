//! Reaches an outside system without changing anything there, and says how far it got.

use crate::{Engine, EngineError};
use action_domain::{
    action::Grants,
    egress::Egress,
    event::{Context, Fact},
    limits::LimitsSpec,
    protocol::{Pin, Protocol},
    repositories::{ActionKey, UnitOfWork},
    services::{ConnectionTest, TestRequest},
};
use serde_json::Value;
use std::sync::Arc;

impl Engine {
    /// Tests a config that no action has yet, with these grants.
    pub async fn test_protocol(&self, pin: &Pin, config: Value, grants: Grants) -> Result<ConnectionTest, EngineError> {
        let protocol = self.protocol(pin).await?;
        self.accept_config(&protocol, &config).await?.map_err(EngineError::Invalid)?;
        let egress = Egress::of_action(&protocol.descriptor.config_schema, &config, &grants);
        let request = TestRequest {
            component: protocol.digest,
            config: config.to_string().into(),
            test_methods: protocol.descriptor.test_methods.clone(),
            egress: Arc::new(egress),
            limits: self.inner.parts.limits.resolve(&LimitsSpec::default()),
        };
        self.test(&protocol, request, Context::default()).await
    }

    /// Tests the current revision of an action.
    pub async fn test_action(&self, key: &ActionKey) -> Result<ConnectionTest, EngineError> {
        let ready = self.ready(key).await?;
        let request = TestRequest {
            component: ready.protocol.digest,
            config: ready.config.clone(),
            test_methods: ready.protocol.descriptor.test_methods.clone(),
            egress: ready.egress.clone(),
            limits: ready.limits,
        };
        let context =
            Context { action: Some(ready.action.id), revision: Some(ready.action.revision), ..Context::default() };
        self.test(&ready.protocol, request, context).await
    }

    async fn test(
        &self,
        protocol: &Protocol,
        request: TestRequest,
        context: Context,
    ) -> Result<ConnectionTest, EngineError> {
        let _permit = self.attempt_permit().await?;
        let test = self.inner.parts.runtime.test_connection(request).await?;
        let report = serde_json::to_value(&test).map_err(|error| EngineError::Internal(error.to_string()))?;
        let verdict = report["verdict"].as_str().unwrap_or_default().to_owned();
        let fact = Fact::ConnectionTested { protocol: protocol.pin(), verdict, report };
        self.store().commit(UnitOfWork::new().event(self.event(context, &fact))).await?;
        Ok(test)
    }
}
