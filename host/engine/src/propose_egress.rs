//! What an action may reach, and what its executions wanted to reach beside it.

use crate::{Engine, EngineError};
use action_domain::{
    egress::{DenialReason, Egress, EgressPolicy, Observed, Proposal, propose},
    event::EventType,
    limits::REQUESTS_MAX,
    repositories::{ActionKey, EventFilter, ExecutionFilter, Page},
};
use serde::Deserialize;

/// Grants that would have let through what was denied, and from what they were made.
#[derive(Debug, Clone)]
pub struct ObservedEgress {
    /// The grants.
    pub proposal: Proposal,
    /// Executions that were looked at, the last ones.
    pub executions: usize,
    /// Denials that were found.
    pub denials: usize,
}

/// The part of `egress_denied` that a proposal needs.
#[derive(Deserialize)]
struct DeniedData {
    host: String,
    port: u16,
    reason: DenialReason,
}

impl Engine {
    /// What an action may reach, and the operator's word on it.
    pub async fn egress(&self, key: &ActionKey) -> Result<(Egress, EgressPolicy), EngineError> {
        let ready = self.ready(key).await?;
        Ok(((*ready.egress).clone(), self.inner.parts.egress.clone()))
    }

    /// The smallest grants that would have let through what the last executions of an action were
    /// denied. Nothing is let through to find out.
    pub async fn propose_egress(&self, key: &ActionKey, executions: u32) -> Result<ObservedEgress, EngineError> {
        let ready = self.ready(key).await?;
        let filter = ExecutionFilter { action: Some(ready.action.id), ..ExecutionFilter::default() };
        let executions = self.reader().executions(&filter, Page { after: None, limit: executions }).await?;
        let mut observed = Vec::new();
        for execution in &executions {
            let filter = EventFilter {
                types: vec![EventType::EgressDenied],
                execution: Some(execution.id),
                ..EventFilter::default()
            };
            // One attempt records no more; what further attempts are denied is mostly the same.
            let events = self.reader().events(&filter, Page { after: None, limit: REQUESTS_MAX }).await?;
            let denied = events.iter().filter_map(|event| serde_json::from_str(event.data.get()).ok());
            observed.extend(denied.map(|DeniedData { host, port, reason }| Observed { host, port, reason }));
        }
        let (schema, spec) = (&ready.protocol.descriptor.config_schema, &ready.action.spec);
        let denials = observed.len();
        let proposal = propose(schema, &spec.config, &spec.grants, &self.inner.parts.egress, observed);
        Ok(ObservedEgress { proposal, executions: executions.len(), denials })
    }
}
