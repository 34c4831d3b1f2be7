//! From a trigger to an execution, whoever noticed the trigger.
//!
//! Everything that is accepted is durable before anything else happens: the trigger's event,
//! the execution and its place in the queue are one unit. A caller who waits gets its first
//! attempt in the same unit when there is room for it, so that an execution costs two commits.

use crate::{Engine, EngineError, cache::Ready, schema::issues_of, view::ExecutionView};
use action_domain::{
    action::Action,
    actor::Actor,
    digest::Digest,
    event::{Context, Fact},
    execution::{Execution, Status},
    failure::{ErrorCode, ExecutionError, Issue},
    id::{ActionId, EventId, ExecutionId},
    payload::Payload,
    repositories::{ActionKey, CommitError, Conflict, IdempotencyKey, UnitOfWork, Write},
    services::GuestTrigger,
    time::Timestamp,
};
use serde_json::value::RawValue;
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::{OwnedSemaphorePermit, oneshot},
    time::Instant,
};

/// What callers are told to wait when too many wait already.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// How long a caller who waits is kept for room to run at once, before it is queued.
const ROOM_WAIT: Duration = Duration::from_millis(50);

/// The code of the one issue of an input that says that it is JSON and is not.
pub const MALFORMED_JSON: &str = "malformed_json";

/// A trigger: somebody calls an action.
#[derive(Debug, Clone)]
pub struct Dispatch {
    /// Which action.
    pub action: ActionKey,
    /// What comes with it.
    pub input: Payload,
    /// Taken over, else the execution's id.
    pub correlation_id: Option<Arc<str>>,
    /// W3C trace context of the caller.
    pub traceparent: Option<Arc<str>>,
    /// The same key for the same action leads to the same execution.
    pub idempotency_key: Option<Arc<str>>,
    /// How long the caller waits for the end; `None` for not at all.
    pub wait: Option<Duration>,
    /// Who calls.
    pub by: Actor,
}

/// An execution that was accepted.
#[derive(Debug, Clone)]
pub struct Dispatched {
    /// How it stands.
    pub view: ExecutionView,
    /// Whether it has ended.
    pub ended: bool,
}

/// Something that sets an action off, whoever noticed it.
#[derive(Debug, Clone)]
pub(crate) struct Occurrence {
    pub(crate) trigger: GuestTrigger,
    pub(crate) input: Payload,
    pub(crate) correlation_id: Option<Arc<str>>,
    pub(crate) traceparent: Option<Arc<str>>,
    pub(crate) idempotency_key: Option<Arc<str>>,
    /// What has to be the same under the same key; the whole input where none.
    pub(crate) fingerprint: Option<Digest>,
    pub(crate) by: Actor,
    /// The id of the execution that it leads to, where that has to be known before.
    pub(crate) execution: Option<ExecutionId>,
    /// The event that led to it.
    pub(crate) cause: Option<EventId>,
    /// What has to happen with it, also where it is refused: that it cannot happen twice.
    pub(crate) writes: Vec<Write>,
    /// Not due before this.
    pub(crate) run_at: Option<Timestamp>,
    /// Executions with the same one go one after the other, where the action has no order of its own.
    pub(crate) ordering_key: Option<Arc<str>>,
}

impl Occurrence {
    /// Something that the service noticed by itself.
    pub(crate) fn noticed(trigger: GuestTrigger, input: Payload) -> Self {
        Self {
            trigger,
            input,
            correlation_id: None,
            traceparent: None,
            idempotency_key: None,
            fingerprint: None,
            by: Actor::System,
            execution: None,
            cause: None,
            writes: Vec::new(),
            run_at: None,
            ordering_key: None,
        }
    }
}

impl From<Dispatch> for Occurrence {
    fn from(dispatch: Dispatch) -> Self {
        let Dispatch { input, correlation_id, traceparent, idempotency_key, by, .. } = dispatch;
        let noticed = Self::noticed(GuestTrigger::Call, input);
        Self { correlation_id, traceparent, idempotency_key, by, ..noticed }
    }
}

impl From<ExecutionView> for Dispatched {
    fn from(view: ExecutionView) -> Self {
        Self { ended: view.execution.status.is_terminal(), view }
    }
}

/// What became of accepting a trigger.
enum Accepted {
    /// The execution is there, and so is its beginning.
    New,
    /// A trigger with the same idempotency key came before, and led to this.
    Before(ExecutionId),
}

impl Engine {
    /// Accepts a trigger, and waits for the execution's end if the caller wants to.
    pub async fn dispatch(&self, dispatch: Dispatch) -> Result<Dispatched, EngineError> {
        let ready = self.ready(&dispatch.action).await?;
        let wait = dispatch.wait;
        self.occur(ready, dispatch.into(), wait).await
    }

    /// The same of anything that sets an action off.
    pub(crate) async fn occur(
        &self,
        ready: Arc<Ready>,
        occurrence: Occurrence,
        wait: Option<Duration>,
    ) -> Result<Dispatched, EngineError> {
        self.refuse_if_wrong(&ready, &occurrence).await?;
        let Some(wait) = wait else { return self.enqueue(&ready, occurrence).await };
        // Refused before anything is written: the caller may try again, and nothing runs twice.
        let busy = EngineError::Busy { retry_after: RETRY_AFTER };
        let _waiter = self.inner.waiters.try_acquire().map_err(|_| busy)?;
        let key = self.key_or_refuse(&ready, &occurrence).await?;
        let execution = self.new_execution(&ready, &occurrence, key);
        if !self.may_begin_at_once(&execution).await? {
            return self.enqueue_and_wait(execution, occurrence, wait).await;
        }
        // Nothing is promised yet, so a short wait for room costs less than the way over the queue.
        let room = tokio::time::timeout(ROOM_WAIT.min(wait), self.attempt_permit()).await;
        match room {
            Ok(permit) => self.run_at_once(ready, execution, occurrence, wait, permit?).await,
            Err(_) => self.enqueue_and_wait(execution, occurrence, wait).await,
        }
    }

    /// Whether it need not take its turn in the queue.
    async fn may_begin_at_once(&self, execution: &Execution) -> Result<bool, EngineError> {
        if !self.inner.parts.runs_attempts || execution.turn.waits_for_others() {
            return Ok(false);
        }
        Ok(!self.is_paused(execution.action, execution.created_at).await?)
    }

    async fn run_at_once(
        &self,
        ready: Arc<Ready>,
        mut execution: Execution,
        occurrence: Occurrence,
        wait: Duration,
        permit: OwnedSemaphorePermit,
    ) -> Result<Dispatched, EngineError> {
        let now = self.now();
        execution.begin_attempt(now);
        execution.lease = Some(self.lease_for(&ready.limits, 1, now));
        let id = execution.id;
        let mut waiting = self.inner.waiting.wait_for(id);
        let until = Instant::now() + wait;
        let mut place = self.inner.running.enter(id, execution.lease.map_or(now, |lease| lease.until));
        let (engine, (tell, accepted)) = (self.clone(), oneshot::channel());
        // A task of its own, from the promise on: what is kept as begun is run, wherever the caller goes.
        let ended = self.inner.tasks.spawn(async move {
            let started = Fact::AttemptStarted { worker: engine.inner.worker };
            let accepted = engine.accept(&execution, &occurrence, &started).await;
            let is_new = matches!(accepted, Ok(Accepted::New));
            let _ = tell.send(accepted);
            if is_new {
                let view =
                    engine.run_attempt(&ready, execution, occurrence.trigger, occurrence.input, &mut place).await;
                drop(permit);
                engine.announce(view);
            }
        });
        // Mostly the end is the next that is heard, and nobody is woken in between.
        let nobody_tells = tokio::select! {
            biased;
            told = &mut waiting.told => match told {
                Ok(view) => return Ok(view.into()),
                Err(_) => true,
            },
            _ = ended => false,
            () = tokio::time::sleep_until(until) => false,
        };
        let left = until.saturating_duration_since(Instant::now());
        match accepted.await.map_err(|error| EngineError::Internal(error.to_string()))?? {
            Accepted::New if nobody_tells => self.execution(id).await.map(Dispatched::from),
            Accepted::New => self.until_told(waiting, id, left).await,
            Accepted::Before(id) => self.wait_for_earlier(id, left).await,
        }
    }

    async fn enqueue_and_wait(
        &self,
        execution: Execution,
        occurrence: Occurrence,
        wait: Duration,
    ) -> Result<Dispatched, EngineError> {
        let id = execution.id;
        let waiting = self.inner.waiting.wait_for(id);
        match self.accept_and_ring(execution, occurrence).await? {
            (Accepted::New, _) => self.until_told(waiting, id, wait).await,
            (Accepted::Before(id), _) => self.wait_for_earlier(id, wait).await,
        }
    }

    async fn enqueue(&self, ready: &Ready, occurrence: Occurrence) -> Result<Dispatched, EngineError> {
        let key = self.key_or_refuse(ready, &occurrence).await?;
        let execution = self.new_execution(ready, &occurrence, key);
        match self.accept_and_ring(execution, occurrence).await? {
            (Accepted::New, execution) => Ok(ExecutionView { execution, output: None, reply: None }.into()),
            (Accepted::Before(id), _) => self.execution(id).await.map(Dispatched::from),
        }
    }

    /// Accepts what waits for its turn, and says that it does, wherever the caller is by then.
    async fn accept_and_ring(
        &self,
        execution: Execution,
        occurrence: Occurrence,
    ) -> Result<(Accepted, Execution), EngineError> {
        let engine = self.clone();
        let accepting = self.inner.tasks.spawn(async move {
            let queued = Fact::ExecutionQueued { run_at: execution.run_at.unwrap_or(execution.created_at) };
            let accepted = engine.accept(&execution, &occurrence, &queued).await?;
            if let Accepted::New = accepted {
                engine.ring();
            }
            Ok((accepted, execution))
        });
        accepting.await.map_err(|error| EngineError::Internal(error.to_string()))?
    }

    /// The execution of an earlier trigger with the same idempotency key; its end, if that comes
    /// in time.
    async fn wait_for_earlier(&self, id: ExecutionId, wait: Duration) -> Result<Dispatched, EngineError> {
        let waiting = self.inner.waiting.wait_for(id);
        // It may have ended before somebody waited here.
        let earlier = Dispatched::from(self.execution(id).await?);
        if earlier.ended || earlier.view.execution.status == Status::InDoubt {
            return Ok(earlier);
        }
        self.until_told(waiting, id, wait).await
    }

    pub(crate) async fn until_told(
        &self,
        mut waiting: crate::waiters::Waiting<'_>,
        id: ExecutionId,
        wait: Duration,
    ) -> Result<Dispatched, EngineError> {
        match tokio::time::timeout(wait, &mut waiting.told).await {
            Ok(Ok(view)) => Ok(view.into()),
            // Time is up, or the process stops and nobody will tell.
            Ok(Err(_)) | Err(_) => self.execution(id).await.map(Dispatched::from),
        }
    }

    /// The key by which it is ordered; without one that should be there the trigger is refused.
    async fn key_or_refuse(&self, ready: &Ready, occurrence: &Occurrence) -> Result<Option<Arc<str>>, EngineError> {
        if matches!(occurrence.trigger, GuestTrigger::Continuous) {
            return Ok(None);
        }
        match self.ordering_key(ready, &occurrence.trigger, &occurrence.input).await {
            Ok(key) => Ok(key),
            Err(error) => Err(self.refuse_failed(ready, occurrence, error).await?),
        }
    }

    /// Records and refuses a trigger for which an expression failed, or could not be run.
    pub(crate) async fn refuse_failed(
        &self,
        ready: &Ready,
        occurrence: &Occurrence,
        error: ExecutionError,
    ) -> Result<EngineError, EngineError> {
        self.refuse(&ready.action, occurrence, error.code.as_str(), error.message.clone(), Vec::new()).await?;
        Ok(match error.code {
            ErrorCode::TransformFailed => EngineError::TransformFailed(error.message),
            _ => EngineError::Internal(error.message),
        })
    }

    /// The current revision of an action that the service itself sets off, ready to run; none where the
    /// action is gone. Where it cannot be made ready, what was noticed is refused: it is this action's
    /// matter, and others are not to wait for it.
    pub(crate) async fn ready_or_refuse(
        &self,
        action: ActionId,
        noticed: impl FnOnce(&Action) -> Option<Occurrence>,
    ) -> Result<Option<Arc<Ready>>, EngineError> {
        let key = ActionKey::Id(action);
        let error = match self.ready(&key).await {
            Ok(ready) => return Ok(Some(ready)),
            Err(EngineError::NotFound("action")) => return Ok(None),
            Err(error @ EngineError::Unavailable(_)) => return Err(error),
            Err(error) => error,
        };
        let action = self.action(&key).await?;
        if let Some(occurrence) = noticed(&action) {
            self.refuse(&action, &occurrence, ErrorCode::HostError.as_str(), error.to_string(), Vec::new()).await?;
        }
        Err(error)
    }

    /// A queued execution that is due now.
    pub(crate) fn new_execution(&self, ready: &Ready, occurrence: &Occurrence, key: Option<Arc<str>>) -> Execution {
        let id = occurrence.execution.unwrap_or_else(|| self.inner.parts.random.execution_id());
        let now = self.now();
        let delivery = &ready.action.spec.delivery;
        let mut turn = delivery.turn(key, now);
        if let (None, Some(key)) = (&delivery.ordering_key, &occurrence.ordering_key) {
            (turn.ordering_key, turn.order_blocks) = (Some(key.clone()), false);
        }
        if matches!(occurrence.trigger, GuestTrigger::Continuous) {
            turn = turn.of_its_own();
        }
        Execution {
            id,
            action: ready.action.id,
            revision: ready.action.revision,
            protocol: ready.action.protocol.clone(),
            status: Status::Queued,
            attempt: 0,
            correlation_id: occurrence.correlation_id.clone().unwrap_or_else(|| id.to_string().into()),
            traceparent: occurrence.traceparent.clone(),
            created_at: now,
            started_at: None,
            ended_at: None,
            run_at: Some(occurrence.run_at.map_or(now, |at| at.max(now))),
            turn,
            lease: None,
            cancel_requested: false,
            error: None,
            receipt: None,
        }
    }

    /// One unit: the trigger, the execution, and what comes first.
    async fn accept(
        &self,
        execution: &Execution,
        occurrence: &Occurrence,
        first: &Fact,
    ) -> Result<Accepted, EngineError> {
        let (input, apart) = occurrence.input.recorded();
        let trigger = self.recorded_trigger(&occurrence.trigger);
        // The trigger comes before any attempt, also where the first one begins in this unit.
        let trigger_context = Context { attempt: None, causation_id: occurrence.cause, ..context_of(execution, None) };
        let received = self.event_by(&occurrence.by, trigger_context, &Fact::TriggerReceived { trigger, input });
        let then = context_of(execution, Some(&received));
        let mut unit = UnitOfWork { writes: occurrence.writes.clone(), events: Vec::new() };
        let key = occurrence.idempotency_key.as_ref().map(|key| IdempotencyKey {
            action: execution.action,
            key: key.clone(),
            fingerprint: occurrence.fingerprint.unwrap_or_else(|| fingerprint(&occurrence.input)),
            execution: execution.id,
            created_at: execution.created_at,
        });
        if let Some(key) = &key {
            unit = unit.write(Write::AddIdempotencyKey(Box::new(key.clone())));
        }
        unit = unit.write(Write::AddExecution(Box::new(execution.clone())));
        if let Some((digest, bytes)) = apart {
            unit = unit.write(Write::AddPayload(digest, bytes));
        }
        let first = self.event(then, first);
        match (self.store().commit(unit.event(received).event(first)).await, key) {
            (Ok(_), _) => Ok(Accepted::New),
            (Err(CommitError::Conflict(Conflict::KeyUsed(used))), Some(key)) => {
                if used.fingerprint == key.fingerprint {
                    return Ok(Accepted::Before(used.execution));
                }
                Err(EngineError::KeyReused { execution: used.execution })
            }
            (Err(error), _) => Err(error.into()),
        }
    }

    /// Records and refuses a trigger that can lead to nothing.
    async fn refuse_if_wrong(&self, ready: &Ready, occurrence: &Occurrence) -> Result<(), EngineError> {
        let (error, errors) = if ready.action.spec.enabled {
            let issues = input_issues(ready, &occurrence.input);
            if issues.is_empty() {
                return Ok(());
            }
            (EngineError::InvalidInput(issues.clone()), issues)
        } else {
            let message = format!("the action `{}` is disabled", ready.action.spec.name);
            (EngineError::Conflict { code: "action_disabled", message }, Vec::new())
        };
        let code = match &error {
            EngineError::Conflict { code, .. } => *code,
            _ => "invalid_input",
        };
        let malformed = errors.iter().any(|issue| issue.code == MALFORMED_JSON);
        let message = if malformed { "the input is said to be JSON and is not".to_owned() } else { error.to_string() };
        self.refuse(&ready.action, occurrence, code, message, errors).await?;
        Err(error)
    }

    /// Records a trigger that leads to nothing, and why. What an event sets off is refused once, whoever else
    /// looks at that event.
    pub(crate) async fn refuse(
        &self,
        action: &Action,
        occurrence: &Occurrence,
        code: &str,
        message: String,
        errors: Vec<Issue>,
    ) -> Result<(), CommitError> {
        let (input, apart) = occurrence.input.recorded();
        let context = Context {
            action: Some(action.id),
            revision: Some(action.revision),
            correlation_id: occurrence.correlation_id.clone(),
            causation_id: occurrence.cause,
            ..Context::default()
        };
        let trigger = self.recorded_trigger(&occurrence.trigger);
        let received = self.event_by(&occurrence.by, context.clone(), &Fact::TriggerReceived { trigger, input });
        let chain = match &occurrence.trigger {
            GuestTrigger::Event { chain, .. } => Some(chain.clone()),
            _ => None,
        };
        let refused = Fact::TriggerRefused { code: code.to_owned(), message, errors, chain };
        let refused = self.event(Context { causation_id: Some(received.id), ..context }, &refused);
        let mut unit = UnitOfWork { writes: occurrence.writes.clone(), events: vec![received, refused] };
        if let Some((digest, bytes)) = apart {
            unit = unit.write(Write::AddPayload(digest, bytes));
        }
        // A caller may mend what was refused and come again with its key; an event does not.
        if let (GuestTrigger::Event { .. }, Some(key)) = (&occurrence.trigger, &occurrence.idempotency_key) {
            unit = unit.write(Write::AddIdempotencyKey(Box::new(IdempotencyKey {
                action: action.id,
                key: key.clone(),
                fingerprint: fingerprint(&occurrence.input),
                // There is none with this id.
                execution: self.inner.parts.random.execution_id(),
                created_at: self.now(),
            })));
        }
        match self.store().commit(unit).await {
            Err(CommitError::Conflict(Conflict::KeyUsed(_))) => Ok(()),
            committed => committed.map(drop),
        }
    }

    /// A trigger as its event has it.
    fn recorded_trigger(&self, trigger: &GuestTrigger) -> Arc<RawValue> {
        match trigger {
            GuestTrigger::Call => self.inner.cache.call_trigger.clone(),
            // Plain words and texts: they always have a JSON form.
            other => serde_json::value::to_raw_value(other).unwrap_or_else(|_| RawValue::NULL.to_owned()).into(),
        }
    }
}

/// What has to be the same under the same idempotency key.
fn fingerprint(input: &Payload) -> Digest {
    Digest::of(&[input.content_type.as_bytes(), b"\0", &input.data].concat())
}

/// What is wrong with an input that says that it is JSON: its form, and by the protocol's schema.
pub(crate) fn input_issues(ready: &Ready, input: &Payload) -> Vec<Issue> {
    if !input.is_json() {
        return Vec::new();
    }
    // What an input transform gives is what has to fit the schema.
    let schema = ready.schemas.input.as_ref().filter(|_| ready.action.spec.input_transform.is_none());
    let issues = match schema {
        Some(validator) => serde_json::from_slice(&input.data).map(|value| issues_of(validator, &value)),
        // Its order depends on a value in it, so it has to be readable.
        None if ready.action.spec.delivery.ordering_key.is_some() => {
            serde_json::from_slice::<serde_json::Value>(&input.data).map(|_| Vec::new())
        }
        None => well_formed(&input.data).map(|()| Vec::new()),
    };
    issues.unwrap_or_else(|error| vec![Issue::new("", MALFORMED_JSON, error.to_string())])
}

/// Whether an input says that it is JSON and is not.
pub(crate) fn is_malformed(input: &Payload) -> bool {
    input.is_json() && well_formed(&input.data).is_err()
}

/// Nothing is kept of it; `IgnoredAny` alone would let strings pass that are not UTF-8.
fn well_formed(json: &[u8]) -> serde_json::Result<()> {
    let text = std::str::from_utf8(json).map_err(serde::de::Error::custom)?;
    serde_json::from_str::<serde::de::IgnoredAny>(text).map(|_| ())
}

/// The context of an event of this execution.
pub(crate) fn context_of(execution: &Execution, cause: Option<&action_domain::event::NewEvent>) -> Context {
    Context {
        action: Some(execution.action),
        revision: Some(execution.revision),
        execution: Some(execution.id),
        correlation_id: Some(execution.correlation_id.clone()),
        causation_id: cause.map(|event| event.id),
        attempt: (execution.attempt > 0).then_some(execution.attempt),
    }
}
