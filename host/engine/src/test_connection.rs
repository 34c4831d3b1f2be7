//! Reaches an outside system without changing anything there, and says how far it got.

use crate::{Engine, EngineError, arm::Armed};
use action_domain::{
    action::Grants,
    actor::Actor,
    egress::Egress,
    event::{Context, Fact},
    failure::{ErrorCode, ExecutionError},
    limits::LimitsSpec,
    name::Name,
    protocol::{Pin, Protocol},
    receipt::Receipt,
    repositories::{ActionKey, UnitOfWork},
    secret::reference::{self, Outline},
    services::{ConnectionTest, RuntimeError, TestRequest, Verdict},
};
use serde_json::Value;
use std::sync::Arc;

impl Engine {
    /// Tests a config that no action has yet, with these grants.
    pub async fn test_protocol(
        &self,
        pin: &Pin,
        config: Value,
        grants: Grants,
        by: &Actor,
    ) -> Result<ConnectionTest, EngineError> {
        let protocol = self.protocol(pin).await?;
        self.accept_config(&protocol, &config).await?.map_err(EngineError::Invalid)?;
        let egress = Egress::of_action(&protocol.descriptor.config_schema, &config, &grants);
        let names: Vec<Name> = reference::names(&config).into_iter().collect();
        let armed = match self.arm_config(&Outline::of(&config), &names, &grants.reveal).await {
            Ok(armed) => armed,
            Err(error) => return self.record_test(protocol.pin(), failed(error), Context::default(), by).await,
        };
        let request = TestRequest {
            component: protocol.digest,
            config: armed.config.clone(),
            secrets: armed.secrets.clone(),
            test_methods: protocol.descriptor.test_methods.clone(),
            egress: Arc::new(egress),
            limits: self.inner.parts.limits.resolve(&LimitsSpec::default()),
        };
        self.test(&protocol, request, armed, Context::default(), by).await
    }

    /// Tests the current revision of an action.
    pub async fn test_action(&self, key: &ActionKey, by: &Actor) -> Result<ConnectionTest, EngineError> {
        let ready = self.ready(key).await?;
        let context =
            Context { action: Some(ready.action.id), revision: Some(ready.action.revision), ..Context::default() };
        let armed = match self.arm(&ready).await {
            Ok(armed) => armed,
            Err(error) => return self.record_test(ready.protocol.pin(), failed(error), context, by).await,
        };
        let request = TestRequest {
            component: ready.protocol.digest,
            config: armed.config.clone(),
            secrets: armed.secrets.clone(),
            test_methods: ready.protocol.descriptor.test_methods.clone(),
            egress: ready.egress.clone(),
            limits: ready.limits,
        };
        self.test(&ready.protocol, request, armed, context, by).await
    }

    /// Tests and records in a task of its own: a caller who hangs up meanwhile does not make a secret that was sent
    /// leave no trace.
    async fn test(
        &self,
        protocol: &Protocol,
        request: TestRequest,
        armed: Armed,
        context: Context,
        by: &Actor,
    ) -> Result<ConnectionTest, EngineError> {
        let permit = self.attempt_permit().await?;
        let (engine, pin, by) = (self.clone(), protocol.pin(), by.clone());
        let testing = self.inner.tasks.spawn(async move {
            let _permit = permit;
            let ran = engine.inner.parts.runtime.test_connection(request).await;
            // What came of it is not known, and something may have been sent.
            let unknown = |error: &RuntimeError| failed(ExecutionError::new(ErrorCode::HostError, error.to_string()));
            let mut test = ran.as_ref().map_or_else(unknown, Clone::clone);
            armed.clean_test(&mut test);
            let recorded = engine.record_test(pin, test, context, &by).await;
            ran?;
            recorded
        });
        testing.await.unwrap_or_else(|error| Err(EngineError::Internal(error.to_string())))
    }

    async fn record_test(
        &self,
        protocol: Pin,
        test: ConnectionTest,
        context: Context,
        by: &Actor,
    ) -> Result<ConnectionTest, EngineError> {
        let report = serde_json::to_value(&test).map_err(|error| EngineError::Internal(error.to_string()))?;
        let verdict = report["verdict"].as_str().unwrap_or_default().to_owned();
        let fact = Fact::ConnectionTested { protocol, verdict, report };
        self.store().commit(UnitOfWork::new().event(self.event_by(by, context, &fact))).await?;
        Ok(test)
    }
}

/// A test that could not begin.
fn failed(error: ExecutionError) -> ConnectionTest {
    let receipt = Receipt::default();
    ConnectionTest { verdict: Verdict::Failed, report: None, error: Some(error), stages: Vec::new(), receipt }
}
