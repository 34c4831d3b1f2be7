//! Asking a protocol what became of an attempt in doubt.

use crate::{Engine, cache::Ready, dispatch_action::context_of, run_task::Concluded};
use action_domain::{
    actor::Actor,
    decide::{Reconciled, Step},
    event::{Fact, NewEvent},
    execution::{Execution, Lease},
    limits::LEASE_MARGIN,
    payload::Payload,
    repositories::{UnitOfWork, Write},
    services::{Journal, Reconciliation},
};
use std::sync::Arc;

impl Engine {
    /// Asks the protocol where its answer decides what comes next. What it did meanwhile goes to
    /// `events`, what it found out to `concluded`. `input` is looked up where it is not given.
    pub(crate) async fn reconcile_if_in_doubt(
        &self,
        ready: &Ready,
        execution: &mut Execution,
        concluded: &mut Concluded,
        input: Option<Payload>,
        events: &mut Vec<NewEvent>,
    ) {
        if self.step(ready, execution, concluded, self.now()) != Step::Reconcile {
            return;
        }
        concluded.reconciled = Some(Reconciled::Unknown);
        let input = match input {
            Some(input) => input,
            None => match self.input_of(execution.id).await {
                Ok(input) => input,
                Err(error) => return tracing::error!(execution = %execution.id, %error, "engine.reconcile.input"),
            },
        };
        // The lease has to outlive the question, and may have been a lost worker's.
        let Some(old) = execution.lease else { return };
        let until = self.now().plus(ready.limits.timeout() + LEASE_MARGIN);
        execution.cancel_requested = self.is_to_cancel(execution).await;
        execution.lease = Some(Lease { worker: self.inner.worker, until, ..old });
        let unit = UnitOfWork::new().write(Write::UpdateExecutionIfLeased(Box::new(execution.clone()), old));
        if let Err(error) = self.store().commit(unit).await {
            return tracing::warn!(execution = %execution.id, %error, "engine.reconcile.lease");
        }
        let journal = Arc::new(Journal::new());
        let request = self.attempt_request(ready, execution, input, &journal);
        let report = self.inner.parts.runtime.reconcile(request).await;
        events.extend(self.journal_events(execution, &journal));
        let found = match report.result {
            Ok(Reconciliation::TookEffect(outcome)) => {
                concluded.output = Some(outcome.output);
                concluded.error = None;
                Reconciled::TookEffect
            }
            Ok(Reconciliation::DidNot) => Reconciled::DidNot,
            Ok(Reconciliation::Unknown) => Reconciled::Unknown,
            Err(error) => {
                tracing::warn!(execution = %execution.id, code = error.code.as_str(), message = error.message, "engine.reconcile");
                Reconciled::Unknown
            }
        };
        concluded.reconciled = Some(found);
        let r#as = match found {
            Reconciled::TookEffect => "reconciled_took_effect",
            Reconciled::DidNot => "reconciled_did_not",
            _ => "reconciled_unknown",
        };
        let fact = Fact::ExecutionResolved { r#as: r#as.to_owned() };
        events.push(self.event_by(&Actor::System, context_of(execution, None), &fact));
    }
}
