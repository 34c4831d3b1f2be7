//! Asking a protocol what became of an attempt in doubt.

use crate::{
    Engine,
    cache::Ready,
    conclude::Concluded,
    dispatch_action::context_of,
    running::{Place, Stop},
};
use action_domain::{
    actor::Actor,
    decide::{Reconciled, Step},
    event::{Fact, NewEvent},
    execution::Execution,
    payload::Payload,
    services::{GuestTrigger, Journal, Reconciliation},
};
use std::sync::Arc;

impl Engine {
    /// Asks the protocol where its answer decides what comes next. What it did meanwhile goes to
    /// `events`, what it found out to `concluded`. What set it off is looked up where it is not given.
    ///
    /// # Errors
    /// Where the question was stopped, like an attempt is.
    pub(crate) async fn ask_if_in_doubt(
        &self,
        ready: &Ready,
        execution: &Execution,
        concluded: &mut Concluded,
        came: Option<(GuestTrigger, Payload)>,
        events: &mut Vec<NewEvent>,
        place: &mut Place,
    ) -> Result<(), Stop> {
        if self.step(ready, execution, concluded, self.now()) != Step::Reconcile {
            return Ok(());
        }
        concluded.reconciled = Some(Reconciled::Unknown);
        let came = match came {
            Some(came) => Ok(came),
            None => self.given_to(ready, execution).await,
        };
        let (trigger, input) = match came {
            Ok(came) => came,
            Err(message) => {
                tracing::error!(execution = %execution.id, message, "engine.reconcile.input");
                return Ok(());
            }
        };
        let armed = match self.arm(ready).await {
            Ok(armed) => armed,
            Err(error) => {
                tracing::error!(execution = %execution.id, message = error.message, "engine.reconcile.arm");
                return Ok(());
            }
        };
        let journal = Arc::new(Journal::without(armed.secrets.clone()));
        let request = self.attempt_request(ready, &armed, execution, trigger, input, &journal);
        let report = tokio::select! {
            biased;
            report = self.inner.parts.runtime.reconcile(request) => armed.clean_found(report),
            why = place.stopped() => {
                events.extend(self.journal_events(execution, journal.finish()));
                return Err(why);
            }
        };
        events.extend(self.journal_events(execution, journal.finish()));
        let found = match report.result {
            Ok(Reconciliation::TookEffect(outcome)) => {
                concluded.output = Some(outcome.output);
                concluded.reply = outcome.reply;
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
        Ok(())
    }

    /// What set an execution off, and what its protocol was given.
    async fn given_to(&self, ready: &Ready, execution: &Execution) -> Result<(GuestTrigger, Payload), String> {
        let (trigger, input) = self.trigger_of(execution.id).await.map_err(|error| error.to_string())?;
        let given = self.transformed_input(ready, &trigger, input).await.map_err(|error| error.message)?;
        Ok((trigger, given))
    }
}
