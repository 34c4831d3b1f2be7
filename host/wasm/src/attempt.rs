//! An attempt: `validate-config`, then `execute`, in one instance.

use crate::{
    WasmRuntime,
    bindings::v0_1::{ActionProtocol, julee::action::model},
    capability::gate::Gate,
    invoke::{Ended, Invocation},
    outcome,
};
use action_domain::{
    capture::Captured,
    failure::{Effect, ErrorCode, ExecutionError, Sent},
    limits::{Limits, PURE_CALL_FUEL, PURE_CALL_TIMEOUT, REPLY_BYTES_MAX, REPLY_HEADERS_MAX},
    payload::Payload,
    receipt::Receipt,
    services::{
        AttemptReport, AttemptRequest, GuestTrigger, Outcome, RuntimeError, Sending, WebhookReply, WebhookRequest,
    },
};
use bytes::Bytes;
use std::{sync::Arc, time::Instant};

impl WasmRuntime {
    pub(crate) async fn attempt(&self, mut request: AttemptRequest) -> AttemptReport {
        let prepared = match self.components.get(request.component).await {
            Ok(prepared) => prepared,
            Err(error) => return never_ran(unusable(error)),
        };
        let Ok(place) = self.attempts.clone().acquire_owned().await else {
            return never_ran(WasmRuntime::shutting_down());
        };
        let started = Instant::now();
        let gate = self.gate_of(&request);
        let limits = request.limits;
        let mut invocation = match Invocation::new(&self.engine, gate.clone(), self.pool.clone(), &limits, started) {
            Ok(invocation) => invocation,
            Err(error) => return never_ran(WasmRuntime::broken(&error)),
        };
        let sending = request.sending.take();
        invocation.capture_into(request.capturing.take());
        let call = to_call(request);
        let _closed = ClosedAtEnd(gate.clone());
        let attempt = async move {
            let _place = place;
            let mut effect = None;
            let result = run(&mut invocation, &prepared, &gate, call, &limits, sending, &mut effect).await;
            // The report is true from here on: what the instance still held may send no more.
            let sent = gate.meter.seal();
            let captured = if result.is_ok() { invocation.captured() } else { Captured::default() };
            let receipt = invocation.finish();
            AttemptReport { result, receipt, sent, effect, captured }
        };
        self.lanes.drive(attempt).await.unwrap_or_else(|| never_ran(WasmRuntime::shutting_down()))
    }

    /// A closed gate with the grants, the secrets and the journal of a request.
    pub(crate) fn gate_of(&self, request: &AttemptRequest) -> Arc<Gate> {
        let gate = Gate::new(
            request.egress.clone(),
            request.journal.clone(),
            &self.outside,
            self.clock.clone(),
            Some(request.action),
        );
        Arc::new(gate.holding(request.secrets.clone(), request.config.clone()).planning(request.plan.clone()))
    }
}

/// Lets nothing be sent from where it is dropped, wherever the guest is by then.
pub(crate) struct ClosedAtEnd(pub(crate) Arc<Gate>);

impl Drop for ClosedAtEnd {
    fn drop(&mut self) {
        self.0.meter.seal();
    }
}

async fn run(
    invocation: &mut Invocation,
    prepared: &crate::prepared::Prepared,
    gate: &Gate,
    call: model::Call,
    limits: &Limits,
    sending: Option<Arc<dyn Sending>>,
    effect: &mut Option<Effect>,
) -> Result<Outcome, ExecutionError> {
    let pure = Limits { fuel: limits.fuel.min(PURE_CALL_FUEL), ..*limits };
    invocation.refuel(pure.fuel).map_err(|error| WasmRuntime::broken(&error))?;
    let config = &call.config;
    let (store, stopwatch) = invocation.parts();
    let validated = stopwatch
        .phase(limits.timeout().min(PURE_CALL_TIMEOUT), async {
            let protocol = Invocation::instantiate(&mut *store, prepared).await?;
            let verdict = protocol.julee_action_protocol_api().call_validate_config(&mut *store, config).await?;
            Ok((protocol, verdict))
        })
        .await;
    let (protocol, accepted): (ActionProtocol, _) = match validated {
        Ok((protocol, Ok(accepted))) => (protocol, accepted),
        Ok((_, Err(issues))) => return Err(outcome::invalid_config(issues, gate.secrets.redactor())),
        Err(ended) => return Err(outcome::error(&ended, "validate-config", invocation.state(), &pure)),
    };
    let accepted = outcome::effect(accepted.effect);
    *effect = Some(accepted);
    // Where a repeat does no harm, nobody has to know whether a lost attempt had begun to send.
    if let Some(sending) = sending.filter(|_| accepted == Effect::Unsafe) {
        gate.require(sending);
    }

    // One budget for the whole attempt: what validate-config took is gone.
    let fuel = limits.fuel.saturating_sub(invocation.fuel_spent());
    invocation.refuel(fuel).map_err(|error| WasmRuntime::broken(&error))?;
    gate.open();
    let left = limits.timeout().saturating_sub(invocation.elapsed());
    let (store, stopwatch) = invocation.parts();
    let executed = stopwatch
        .phase(left, async {
            tokio::select! {
                biased;
                refusal = gate.refused() => Err(refusal.into()),
                answer = protocol.julee_action_protocol_api().call_execute(store, &call) => answer,
            }
        })
        .await;
    // It may have ended by itself between the refusal and here, with whatever it made of it.
    if let Some(refusal) = gate.refusal() {
        return Err(ExecutionError::new(ErrorCode::HostError, refusal.to_string()));
    }
    match executed {
        Ok(Ok(outcome)) => to_outcome(outcome, limits),
        Ok(Err(failure)) => Err(outcome::reported(failure, gate)),
        Err(ended) => {
            // The limit that people know is the attempt's, not what was left of it.
            let ended = if let Ended::Deadline(_) = ended { Ended::Deadline(limits.timeout()) } else { ended };
            Err(outcome::error(&ended, "execute", invocation.state(), limits))
        }
    }
}

/// An outcome as the engine knows it, if it is within the limits.
pub(crate) fn to_outcome(outcome: model::Outcome, limits: &Limits) -> Result<Outcome, ExecutionError> {
    let model::Payload { content_type, data } = outcome.output;
    if data.len() as u64 > limits.output_bytes {
        return Err(outcome::output_too_large(data.len(), limits));
    }
    let content_type: Arc<str> = if is_media_type(&content_type) { content_type.into() } else { OCTETS.into() };
    let reply = outcome.reply.map(to_reply).transpose()?;
    Ok(Outcome { output: Payload { content_type, data: Bytes::from(data) }, reply })
}

/// A reply that can go out as it is.
fn to_reply(reply: model::WebhookReply) -> Result<WebhookReply, ExecutionError> {
    let model::WebhookReply { status, headers, body } = reply;
    let bytes = headers.iter().map(|header| header.name.len() + header.value.len()).sum::<usize>() + body.len();
    if !(200..=599).contains(&status) || headers.len() > REPLY_HEADERS_MAX || bytes > REPLY_BYTES_MAX {
        let message = format!(
            "the reply to the webhook is none: a status of 200 to 599, {REPLY_HEADERS_MAX} headers and {REPLY_BYTES_MAX} bytes at most"
        );
        return Err(ExecutionError::new(ErrorCode::OutputTooLarge, message));
    }
    let text = |header: model::Header| String::from_utf8(header.value).map(|value| (header.name, value));
    let headers = headers.into_iter().map(text).collect::<Result<_, _>>().map_err(|_| {
        ExecutionError::new(ErrorCode::ProtocolFailed, "the reply to the webhook has a header that is not UTF-8")
    })?;
    Ok(WebhookReply { status, headers, body: body.into() })
}

pub(crate) const OCTETS: &str = "application/octet-stream";

/// It goes into a response header: one line, not too long.
pub(crate) fn is_media_type(text: &str) -> bool {
    text.len() <= 255 && text.contains('/') && text.bytes().all(|byte| (b' '..=b'~').contains(&byte))
}

/// What the component is called with.
pub(crate) fn to_call(request: AttemptRequest) -> model::Call {
    let execution = request.execution.to_string();
    model::Call {
        action: request.action.to_string(),
        idempotency_key: execution.clone(),
        execution,
        correlation: request.correlation_id.as_ref().to_owned(),
        attempt: request.attempt,
        deadline: request.deadline.to_string(),
        traceparent: request.traceparent.as_deref().map(str::to_owned),
        trigger: match request.trigger {
            // What is kept running was set off by whoever saved the action.
            GuestTrigger::Call | GuestTrigger::Continuous => model::Trigger::Call,
            GuestTrigger::Webhook(head) => model::Trigger::Webhook(webhook_request(head)),
            GuestTrigger::Schedule { due_at } => model::Trigger::Schedule(due_at.to_string()),
            GuestTrigger::Event { .. } => model::Trigger::Event,
        },
        config: request.config.as_ref().to_owned(),
        input: model::Payload {
            content_type: request.input.content_type.as_ref().to_owned(),
            // Without a copy where nobody else holds the bytes.
            data: request.input.data.into(),
        },
    }
}

fn webhook_request(head: WebhookRequest) -> model::WebhookRequest {
    let header = |(name, value): (String, String)| model::Header { name, value: value.into_bytes() };
    model::WebhookRequest {
        method: head.method,
        path_with_query: head.path_with_query,
        headers: head.headers.into_iter().map(header).collect(),
    }
}

/// The component cannot be had.
pub(crate) fn unusable(error: RuntimeError) -> ExecutionError {
    match error {
        RuntimeError::Broken(error) => error,
        other => ExecutionError::new(ErrorCode::HostError, other.to_string()),
    }
}

fn never_ran(error: ExecutionError) -> AttemptReport {
    let captured = Captured::default();
    AttemptReport { result: Err(error), receipt: Receipt::default(), sent: Sent::NotSent, effect: None, captured }
}
