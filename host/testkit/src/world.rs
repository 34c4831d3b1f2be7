//! A store with a clock and randomness, and samples of everything that is stored.

use crate::{FakeClock, SeededRandom};
use action_domain::{
    action::{Action, ActionSpec, Delivery, Grants},
    consumer::Consumer,
    digest::Digest,
    event::{Context, Event, EventType, Fact, NewEvent, Position},
    execution::{Execution, Lease, Status, WorkerId},
    failure::{Advice, Effect, ExecutionError, Failure, FailureKind},
    id::{ActionId, ExecutionId},
    limits::LimitsSpec,
    payload::RecordedPayload,
    protocol::{Descriptor, Pin, Protocol},
    receipt::Receipt,
    repositories::{Claim, CommitError, Conflict, EventFilter, Page, Store, UnitOfWork, Write},
    secret::{Sealed, Secret},
    services::{Clock, Random},
    time::Timestamp,
    trigger::{Standing, StandingKind},
    turn::Turn,
};
use bytes::Bytes;
use serde_json::{json, value::RawValue};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use uuid::Uuid;

/// What a test of a store needs.
pub struct World {
    /// The store.
    pub store: Arc<dyn Store>,
    /// Stands still until it is moved.
    pub clock: FakeClock,
    /// The same in every run.
    pub random: SeededRandom,
}

impl World {
    /// Around a store.
    pub fn new(store: Arc<dyn Store>) -> Self {
        let clock = FakeClock::default();
        let random = SeededRandom::new(clock.clone(), 1);
        Self { store, clock, random }
    }

    /// The time.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Commits what has to succeed.
    pub async fn commit(&self, unit: UnitOfWork) -> Position {
        self.store.commit(unit).await.unwrap()
    }

    /// Commits one write.
    pub async fn write(&self, write: Write) {
        self.commit(UnitOfWork::new().write(write)).await;
    }

    /// Commits what has to be refused.
    pub async fn refused(&self, unit: UnitOfWork) -> Conflict {
        match self.store.commit(unit).await {
            Err(CommitError::Conflict(conflict)) => conflict,
            other => panic!("not refused: {other:?}"),
        }
    }

    /// The whole log, read in pages.
    pub async fn log(&self) -> Vec<Event> {
        let mut log: Vec<Event> = Vec::new();
        loop {
            let page = Page { after: log.last().map(|event| event.position), limit: 100 };
            let events = self.store.events(&EventFilter::default(), page).await.unwrap();
            if events.is_empty() {
                return log;
            }
            log.extend(events);
        }
    }

    /// An execution that has to be there.
    pub async fn execution_now(&self, id: ExecutionId) -> Execution {
        self.store.execution(id).await.unwrap().unwrap()
    }

    /// A protocol and its component.
    pub fn protocol(&self, pin: &str, component: &[u8]) -> (Protocol, Bytes) {
        let pin: Pin = pin.parse().unwrap();
        let descriptor = Descriptor {
            name: pin.name,
            version: pin.version,
            summary: "Sends “things” — 送る".into(),
            documentation: "# Documentation\n".into(),
            config_schema: json!({"type": "object", "properties": {"url": {"x-egress": true}}}),
            input_schema: None,
            output_schema: Some(json!(true)),
            examples: Vec::new(),
            test_methods: vec!["POST".into()],
        };
        let protocol = Protocol {
            descriptor,
            digest: Digest::of(component),
            bytes: component.len() as u64,
            imports: vec!["julee:action/outbound@0.1.0".into()],
            kind: action_domain::protocol::Kind::Protocol,
            reconciles: false,
            uploaded_at: self.now(),
        };
        (protocol, Bytes::copy_from_slice(component))
    }

    /// Adds a protocol.
    pub fn add_protocol(&self, pin: &str, component: &[u8]) -> Write {
        let (protocol, component) = self.protocol(pin, component);
        Write::AddProtocol(Box::new(protocol), component)
    }

    /// A trigger of an action, as it stands when it is saved.
    pub fn standing(&self, action: ActionId, place: u32, kind: StandingKind) -> Standing {
        let (identity, since) = (Self::identity(place, kind), Some(self.now()));
        Standing { action, place, kind, identity, since, path: None, due_at: None, last: None, uses: 0 }
    }

    /// What the trigger of this kind at a place is known by.
    pub fn identity(place: u32, kind: StandingKind) -> Digest {
        Digest::of(format!("{kind:?} {place}").as_bytes())
    }

    /// A webhook at a path.
    pub fn webhook(&self, action: ActionId, place: u32, path: &str) -> Standing {
        Standing { path: Some(path.to_owned()), ..self.standing(action, place, StandingKind::Webhook) }
    }

    /// A schedule that is due in so many seconds.
    pub fn schedule(&self, action: ActionId, place: u32, in_s: u64) -> Standing {
        let due_at = Some(self.now().plus(Duration::from_secs(in_s)));
        Standing { due_at, ..self.standing(action, place, StandingKind::Schedule) }
    }

    /// A reader of items.
    pub fn consumer(&self, name: &str) -> Consumer {
        let types = vec![EventType::ItemCaptured];
        let name = name.parse().unwrap();
        Consumer { name, types, action: None, kind: Some("entry \u{0}".into()), created_at: self.now() }
    }

    /// The first revision of an action.
    pub fn action(&self, name: &str, pin: &str) -> Action {
        Action {
            id: self.random.action_id(),
            revision: 1,
            protocol: pin.parse().unwrap(),
            transforms: std::collections::BTreeMap::new(),
            effect: Effect::Keyed,
            spec: ActionSpec {
                name: name.parse().unwrap(),
                enabled: true,
                description: "Übergröße 🦀 \" \\ \u{0}".into(),
                labels: BTreeMap::new(),
                protocol: pin.split('@').next().unwrap_or_default().into(),
                config: json!({"url": "https://api.example.com/", "n": [1, 2.5, null]}),
                triggers: Vec::new(),
                input_transform: None,
                output_transform: None,
                grants: Grants::default(),
                limits: LimitsSpec::default(),
                delivery: Delivery::default(),
            },
            created_at: self.now(),
            updated_at: self.now(),
        }
    }

    /// A version of a secret. What is sealed in it means nothing.
    pub fn secret(&self, name: &str, version: u32) -> Secret {
        let sealed = Sealed { key: "0f0f0f0f".into(), wrapped: vec![0, 255, version as u8], data: vec![7; 40] };
        let name = name.parse().unwrap();
        Secret { name, version, sealed, created_at: self.now(), updated_at: self.now() }
    }

    /// The next revision.
    pub fn revised(&self, action: &Action) -> Action {
        Action { revision: action.revision + 1, updated_at: self.now(), ..action.clone() }
    }

    /// An execution that is due now.
    pub fn queued(&self, action: &Action) -> Execution {
        Execution {
            id: self.random.execution_id(),
            action: action.id,
            revision: action.revision,
            protocol: action.protocol.clone(),
            status: Status::Queued,
            attempt: 0,
            correlation_id: format!("correlation-{}", self.random.uuid()).into(),
            traceparent: None,
            created_at: self.now(),
            started_at: None,
            ended_at: None,
            run_at: Some(self.now()),
            turn: Turn::default(),
            lease: None,
            cancel_requested: false,
            error: None,
            receipt: None,
        }
    }

    /// A lease of a minute for an execution's current attempt.
    pub fn lease(&self, worker: WorkerId, attempt: u32) -> Lease {
        Lease { worker, attempt, until: self.now().plus(Duration::from_mins(1)) }
    }

    /// An execution in its first attempt.
    pub fn running(&self, action: &Action, worker: WorkerId) -> Execution {
        let lease = Some(self.lease(worker, 1));
        let started_at = Some(self.now());
        let queued = self.queued(action);
        Execution { status: Status::Running, attempt: 1, run_at: None, lease, started_at, ..queued }
    }

    /// The same execution, ended well.
    pub fn succeeded(&self, execution: &Execution) -> Execution {
        let receipt = Some(Receipt { fuel: 812_344, wall_us: 5123, ..Receipt::default() });
        let ended_at = Some(self.now());
        let execution = execution.clone();
        Execution { status: Status::Succeeded, run_at: None, lease: None, ended_at, receipt, ..execution }
    }

    /// The same execution, to be tried again in a second.
    pub fn waiting(&self, execution: &Execution) -> Execution {
        let error = Some(ExecutionError::reported(Failure {
            kind: FailureKind::RateLimited,
            message: "zu schnell ⏳".into(),
            advice: Advice::RetryAfterMs(1000),
            details: Some(json!({"limit": 5})),
        }));
        let run_at = Some(self.now().plus(Duration::from_secs(1)));
        Execution { status: Status::Waiting, run_at, lease: None, error, ..execution.clone() }
    }

    /// To whom an event of an execution belongs.
    pub fn context(&self, execution: &Execution) -> Context {
        Context {
            action: Some(execution.action),
            revision: Some(execution.revision),
            execution: Some(execution.id),
            correlation_id: Some(Arc::clone(&execution.correlation_id)),
            causation_id: None,
            attempt: (execution.attempt > 0).then_some(execution.attempt),
        }
    }

    /// An event of this type.
    pub fn event(&self, r#type: EventType, context: Context) -> NewEvent {
        let input = || RecordedPayload {
            content_type: "application/json".into(),
            bytes: 2,
            json: Some(RawValue::from_string("{ \"a\" :1.0}".into()).unwrap()),
            base64: None,
            digest: None,
        };
        let fact = match r#type {
            EventType::TriggerReceived => {
                let trigger = RawValue::from_string(r#"{"type":"call"}"#.into()).unwrap().into();
                Fact::TriggerReceived { trigger, input: input() }
            }
            EventType::ActionExecuted => {
                Fact::ActionExecuted { success: true, error: None, output: Some(input()), receipt: None, reply: None }
            }
            EventType::ItemCaptured => {
                let kind = *self.random.one_of(&["entry", "message", "reading"]);
                Fact::ItemCaptured { kind: kind.into(), key: Some("ключ 1".into()), content: input() }
            }
            EventType::AttemptStarted => Fact::AttemptStarted { worker: Uuid::nil() },
            _ => Fact::MessageLogged { level: "info".into(), message: "grüße, 世界 🌍\n".into() },
        };
        let event = NewEvent::new(self.random.event_id(), self.now(), context, &fact);
        NewEvent { r#type, ..event }
    }

    /// Any event, of nobody.
    pub fn any_event(&self) -> NewEvent {
        self.event(EventType::MessageLogged, Context::default())
    }

    /// A claim for this worker, at the clock's time.
    pub fn claim(&self, worker: WorkerId, limit: u32) -> Claim {
        self.claim_with(worker, limit, self.random.number() as u16)
    }

    /// A claim whose events get their ids from a seed.
    pub fn claim_with(&self, worker: WorkerId, limit: u32, seed: u16) -> Claim {
        let (lease, random) = (self.lease(worker, 0), SeededRandom::new(self.clock.clone(), seed));
        let now = self.now();
        Claim {
            now,
            limit,
            only: None,
            after: None,
            lease: Box::new(move |execution| Lease { attempt: execution.attempt, ..lease }),
            started: Box::new(move |execution| {
                let context = Context {
                    action: Some(execution.action),
                    revision: Some(execution.revision),
                    execution: Some(execution.id),
                    correlation_id: Some(Arc::clone(&execution.correlation_id)),
                    causation_id: None,
                    attempt: Some(execution.attempt),
                };
                NewEvent::new(random.event_id(), now, context, &Fact::AttemptStarted { worker })
            }),
        }
    }
}
