//! Durable dispatch over the memory store: several engines stand for several processes, the
//! runtime does what the test says, and time moves by itself whenever everybody waits.
#![expect(clippy::unwrap_used, reason = "tests fail by panicking, also outside the test functions")]

mod afferent;
mod broker;
mod doubt;
mod pauses;
mod places;
mod reactions;
mod triggers;

use action_domain::{
    action::{Action, Delivery, OnDoubt, OnOrderFailure},
    actor::Actor,
    capture::Captured,
    digest::Digest,
    egress::EgressPolicy,
    event::EventType,
    execution::{Execution, Status},
    failure::{Advice, Effect, ErrorCode, ExecutionError, Failure, FailureKind, Sent},
    id::ExecutionId,
    limits::{LEASE, LimitsPolicy, RETRY_AFTER_MAX},
    payload::Payload,
    protocol::Kind,
    receipt::Receipt,
    repositories::{ActionKey, EventFilter, Page, Reader as _, Store as _, UnitOfWork, Write},
    services::{
        Accepted, Admitted, AttemptReport, AttemptRequest, Clock, ConnectionTest, Outcome, ProtocolRuntime,
        Random as _, ReconcileReport, Reconciliation, RuntimeError, TestRequest, TransformError, TransformRequest,
        ValidateError,
    },
    time::Timestamp,
    transform::Mistake,
    turn::Rate,
};
use action_engine::{DeadLetters, Dispatch, Dispatched, Editor, Engine, EngineError, Parts, Resolution, Version};
use action_store_memory::MemoryStore;
use action_testkit::{FakeClock, SeededRandom, World};
use action_vault::Keyring;
use async_trait::async_trait;
use bytes::Bytes;
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::{Semaphore, mpsc, oneshot},
    time::{Instant, timeout},
};

/// Shows the time of the test's runtime, which moves when everybody waits.
struct RuntimeClock {
    begun: Instant,
    start: Timestamp,
}

impl Clock for RuntimeClock {
    fn now(&self) -> Timestamp {
        self.start.plus(self.begun.elapsed())
    }
}

/// An attempt that runs until the test answers.
struct Attempt {
    request: AttemptRequest,
    answer: oneshot::Sender<AttemptReport>,
}

impl Attempt {
    fn succeed(self) {
        let output = Payload { content_type: "application/json".into(), data: Bytes::from_static(b"1") };
        self.end(Ok(Outcome { output, reply: None }), Sent::Acknowledged);
    }

    fn fail(self, advice: Advice) {
        let failure = Failure { kind: FailureKind::Unavailable, message: "no".into(), advice, details: None };
        self.end(Err(ExecutionError::reported(failure)), Sent::NotSent);
    }

    fn trap(self, sent: Sent) {
        self.end(Err(ExecutionError::new(ErrorCode::Trapped, "unreachable")), sent);
    }

    fn end(self, result: Result<Outcome, ExecutionError>, sent: Sent) {
        let _ = self.answer.send(AttemptReport {
            result,
            receipt: Receipt::default(),
            sent,
            effect: None,
            captured: Captured::default(),
        });
    }
}

/// A protocol that is asked what became of an attempt, until the test answers.
struct Question {
    request: AttemptRequest,
    answer: oneshot::Sender<Reconciliation>,
}

/// Hands each attempt to the test.
struct Scripted {
    attempts: mpsc::UnboundedSender<Attempt>,
    /// What a reconciling protocol finds out, one after the other.
    findings: Mutex<Vec<Reconciliation>>,
    /// Hands each question to the test for which there is no finding.
    questions: mpsc::UnboundedSender<Question>,
    /// A permit for each time that an expression which is held may go on.
    held: Semaphore,
    /// Whether an expression that is slow at first was applied.
    asked: AtomicBool,
}

#[async_trait]
impl ProtocolRuntime for Scripted {
    async fn admit(&self, _: Bytes) -> Result<Admitted, RuntimeError> {
        unreachable!("protocols are put into the store")
    }

    async fn prepare(&self, _: Digest) -> Result<(), RuntimeError> {
        Ok(())
    }

    async fn validate_config(&self, _: Digest, _: Arc<str>) -> Result<Accepted, ValidateError> {
        Ok(Accepted { effect: Effect::Keyed, warnings: Vec::new() })
    }

    async fn test_connection(&self, _: TestRequest) -> Result<ConnectionTest, RuntimeError> {
        unreachable!("no connection is tested here")
    }

    async fn run(&self, request: AttemptRequest) -> AttemptReport {
        let (answer, answered) = oneshot::channel();
        self.attempts.send(Attempt { request, answer }).unwrap_or_else(|_| panic!("the test is over"));
        match answered.await {
            Ok(report) => report,
            // The test has let go of it: it hangs, as long as anybody lets it.
            Err(_) => std::future::pending().await,
        }
    }

    async fn check_expression(&self, _: Digest, _: Arc<str>, _: &[&str]) -> Result<Vec<Mistake>, RuntimeError> {
        Ok(Vec::new())
    }

    /// Every expression holds but three: one `fails`, one `cannot run`, and one `waits` for ever. Others take
    /// their time.
    async fn transform(&self, request: TransformRequest) -> Result<Payload, TransformError> {
        match &*request.expression {
            "held" | "held, then fails" => self.held.acquire().await.unwrap().forget(),
            "slow at first" if !self.asked.swap(true, Ordering::Relaxed) => {
                let _ = timeout(Duration::from_secs(1), std::future::pending::<()>()).await;
            }
            _ => {}
        }
        match &*request.expression {
            "fails" | "held, then fails" => {
                Err(TransformError::Ended(ExecutionError::new(ErrorCode::TransformFailed, "no")))
            }
            "waits" => std::future::pending().await,
            "cannot run" => Err(RuntimeError::Host("no".to_owned()).into()),
            _ => Ok(Payload { content_type: "application/json".into(), data: Bytes::from_static(b"true") }),
        }
    }

    async fn reconcile(&self, request: AttemptRequest) -> ReconcileReport {
        let found = self.findings.lock().unwrap().pop();
        let found = if let Some(found) = found {
            found
        } else {
            let (answer, answered) = oneshot::channel();
            self.questions.send(Question { request, answer }).unwrap_or_else(|_| panic!("the test is over"));
            answered.await.unwrap()
        };
        ReconcileReport { result: Ok(found), receipt: Receipt::default() }
    }
}

/// A store with an action, and the processes that share it.
struct Test {
    w: World,
    store: Arc<MemoryStore>,
    clock: Arc<RuntimeClock>,
    runtime: Arc<Scripted>,
    attempts: mpsc::UnboundedReceiver<Attempt>,
    questions: mpsc::UnboundedReceiver<Question>,
    action: Action,
}

impl Test {
    async fn new(change: impl FnOnce(&mut Action)) -> Self {
        Self::with_protocol(change, false).await
    }

    async fn with_protocol(change: impl FnOnce(&mut Action), reconciles: bool) -> Self {
        let store = Arc::new(MemoryStore::new());
        let mut w = World::new(store.clone());
        w.random = SeededRandom::new(w.clock.clone(), 7);
        let (mut protocol, component) = w.protocol("http@1.0.0", b"component");
        protocol.reconciles = reconciles;
        w.write(Write::AddProtocol(Box::new(protocol), component)).await;
        let (mut jq, component) = w.protocol("jq@1.0.0", b"transform");
        jq.kind = Kind::Transform;
        w.write(Write::AddProtocol(Box::new(jq), component)).await;
        let mut action = w.action("a", "http@1.0.0");
        action.spec.delivery.backoff.jitter = 0.0;
        change(&mut action);
        w.write(Write::AddAction(Box::new(action.clone()))).await;
        let (sender, attempts) = mpsc::unbounded_channel();
        let (asker, questions) = mpsc::unbounded_channel();
        let runtime = Arc::new(Scripted {
            attempts: sender,
            findings: Mutex::default(),
            questions: asker,
            held: Semaphore::new(0),
            asked: AtomicBool::new(false),
        });
        let clock = Arc::new(RuntimeClock { begun: Instant::now(), start: w.now() });
        Self { w, store, clock, runtime, attempts, questions, action }
    }

    async fn process(&self, runs_attempts: bool, seed: u16) -> Engine {
        self.process_with(seed, |parts| parts.runs_attempts = runs_attempts).await
    }

    async fn process_with(&self, seed: u16, change: impl FnOnce(&mut Parts)) -> Engine {
        let mut parts = self.parts(seed);
        change(&mut parts);
        let engine = Engine::new(parts);
        engine.start().await.unwrap();
        engine
    }

    /// A process that does what it is asked to, and nothing by itself.
    fn idle(&self, seed: u16) -> Engine {
        Engine::new(Parts { runs_attempts: false, ..self.parts(seed) })
    }

    fn parts(&self, seed: u16) -> Parts {
        Parts {
            store: self.store.clone(),
            runtime: self.runtime.clone(),
            vault: Arc::new(Keyring::default()),
            clock: self.clock.clone(),
            random: Arc::new(SeededRandom::new(FakeClock::at(self.clock.now()), seed)),
            limits: LimitsPolicy::default(),
            egress: EgressPolicy::default(),
            concurrency: 8,
            waiters_max: 8,
            runs_attempts: true,
            broker: None,
            lease: LEASE,
            exclusive_store: false,
            seal_keys: Vec::new(),
            seal_every: action_domain::limits::SEAL_EVERY,
            seal_mark: None,
        }
    }

    fn call(&self, wait: bool) -> Dispatch {
        Dispatch {
            action: ActionKey::Id(self.action.id),
            input: Payload { content_type: "application/json".into(), data: Bytes::from_static(br#"{"k":"x"}"#) },
            correlation_id: None,
            traceparent: None,
            idempotency_key: None,
            wait: wait.then_some(Duration::from_mins(10)),
            by: Actor::Admin,
        }
    }

    /// A worker that takes what is due and is never heard of again.
    async fn lost_worker(&self) -> Vec<Execution> {
        self.w.clock.set(self.clock.now());
        self.store.claim(self.w.claim(self.w.random.uuid(), 9)).await.unwrap().executions
    }

    async fn attempt(&mut self) -> Attempt {
        timeout(Duration::from_hours(2), self.attempts.recv()).await.unwrap().unwrap()
    }

    /// Whether no attempt begins in a while.
    async fn is_quiet(&mut self) -> bool {
        timeout(Duration::from_secs(20), self.attempts.recv()).await.is_err()
    }

    async fn status(&self, id: ExecutionId) -> Status {
        self.store.execution(id).await.unwrap().unwrap().status
    }

    /// Waits until the execution has this status.
    async fn until(&self, id: ExecutionId, status: Status) {
        let mut positions = self.store.follow();
        let reached = async {
            while self.status(id).await != status {
                positions.changed().await;
            }
        };
        timeout(Duration::from_hours(2), reached).await.unwrap();
    }

    async fn types(&self, id: ExecutionId) -> Vec<String> {
        let filter = EventFilter { execution: Some(id), ..EventFilter::default() };
        let events = self.store.events(&filter, Page { after: None, limit: 100 }).await.unwrap();
        events.iter().map(|event| event.r#type.to_string()).collect()
    }
}

fn id(dispatched: &Dispatched) -> ExecutionId {
    dispatched.view.execution.id
}

#[tokio::test(start_paused = true)]
async fn a_caller_of_one_process_hears_of_the_end_in_another() {
    let mut t = Test::new(|_| {}).await;
    let (api, _worker) = (t.process(false, 1).await, t.process(true, 2).await);
    let call = t.call(true);
    let caller = tokio::spawn(async move { api.dispatch(call).await });
    t.attempt().await.succeed();
    let ended = caller.await.unwrap().unwrap();
    assert!(ended.ended);
    assert_eq!(ended.view.execution.status, Status::Succeeded);
    assert!(ended.view.output.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_long_attempt_keeps_its_lease_and_a_lost_worker_does_not() {
    let mut t = Test::new(|action| action.spec.limits.timeout_ms = Some(600_000)).await;
    let (one, two) = (t.process(true, 1).await, t.process(false, 2).await);
    let began = one.dispatch(t.call(false)).await.unwrap();
    let attempt = t.attempt().await;
    assert!(t.is_quiet().await && t.is_quiet().await && t.is_quiet().await, "a minute, and the lease still holds");
    attempt.succeed();
    t.until(id(&began), Status::Succeeded).await;
    drop((one, two));
}

#[tokio::test(start_paused = true)]
async fn whoever_is_alive_takes_over_from_a_lost_worker() {
    let mut t = Test::new(|_| {}).await;
    let api = t.process(false, 1).await;
    let began = api.dispatch(t.call(false)).await.unwrap();
    assert_eq!(t.lost_worker().await.len(), 1);
    let _worker = t.process(true, 2).await;
    let again = t.attempt().await;
    assert_eq!(again.request.attempt, 2);
    again.succeed();
    t.until(id(&began), Status::Succeeded).await;
    assert!(t.types(id(&began)).await.contains(&"attempt_abandoned".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn what_must_not_be_repeated_is_held_only_if_something_left() {
    let unsafe_action = |action: &mut Action| action.effect = Effect::Unsafe;
    let mut t = Test::new(unsafe_action).await;
    let engine = t.process(true, 1).await;
    let begun = engine.dispatch(t.call(false)).await.unwrap();
    let attempt = t.attempt().await;
    attempt.request.sending.as_ref().unwrap().begins().await.unwrap();
    assert_eq!(t.types(id(&begun)).await.last().unwrap(), "attempt_sending");
    let sending = attempt.request.sending.clone().unwrap();
    attempt.succeed();
    t.until(id(&begun), Status::Succeeded).await;
    assert!(sending.begins().await.is_err(), "the lease is gone: what comes late does not leave");
    assert!(engine.stop(Duration::from_secs(1)).await);

    let api = t.process(false, 2).await;
    let silent = id(&api.dispatch(t.call(false)).await.unwrap());
    let loud = id(&api.dispatch(t.call(false)).await.unwrap());
    let lost = t.lost_worker().await;
    let said = lost.iter().find(|execution| execution.id == loud).unwrap();
    t.w.commit(UnitOfWork::new().event(t.w.event(EventType::AttemptSending, t.w.context(said)))).await;
    let _worker = t.process(true, 3).await;
    let again = t.attempt().await;
    assert_eq!((again.request.execution, again.request.attempt), (silent, 2), "nothing had left");
    again.succeed();
    t.until(loud, Status::InDoubt).await;
}

#[tokio::test(start_paused = true)]
async fn a_protocol_that_can_reconcile_is_asked_first() {
    let outcome =
        || Outcome { output: Payload { content_type: "application/json".into(), data: "2".into() }, reply: None };
    for (finding, on_doubt, expected) in [
        (Reconciliation::TookEffect(outcome()), OnDoubt::Hold, Status::Succeeded),
        (Reconciliation::Unknown, OnDoubt::Hold, Status::InDoubt),
        (Reconciliation::Unknown, OnDoubt::Fail, Status::Failed),
    ] {
        let change = |action: &mut Action| {
            action.effect = Effect::Unsafe;
            action.spec.delivery.on_doubt = on_doubt;
        };
        let mut t = Test::with_protocol(change, true).await;
        let engine = t.process(true, 1).await;
        t.runtime.findings.lock().unwrap().push(finding);
        let began = engine.dispatch(t.call(false)).await.unwrap();
        t.attempt().await.trap(Sent::MaybeSent);
        t.until(id(&began), expected).await;
        assert!(t.types(id(&began)).await.contains(&"execution_resolved".to_owned()));
    }
    let mut t = Test::with_protocol(|action| action.effect = Effect::Unsafe, true).await;
    let engine = t.process(true, 1).await;
    t.runtime.findings.lock().unwrap().push(Reconciliation::DidNot);
    engine.dispatch(t.call(false)).await.unwrap();
    t.attempt().await.trap(Sent::MaybeSent);
    assert_eq!(t.attempt().await.request.attempt, 2, "it did not take effect, so it is tried again");
}

#[tokio::test(start_paused = true)]
async fn the_same_key_is_the_same_execution() {
    let mut t = Test::new(|_| {}).await;
    let engine = t.process(true, 1).await;
    let keyed = |wait| Dispatch { idempotency_key: Some("order-7".into()), ..t.call(wait) };
    let (one, other) = (keyed(true), keyed(true));
    let (first, second) = (engine.clone(), engine.clone());
    let one = tokio::spawn(async move { first.dispatch(one).await.unwrap() });
    let other = tokio::spawn(async move { second.dispatch(other).await.unwrap() });
    let late = keyed(false);
    let wrong = Dispatch { input: Payload { content_type: "text/plain".into(), data: "y".into() }, ..keyed(false) };
    t.attempt().await.succeed();
    let (one, other) = (one.await.unwrap(), other.await.unwrap());
    assert_eq!(id(&one), id(&other));
    assert!(one.ended && other.ended);
    assert_eq!(id(&engine.dispatch(late).await.unwrap()), id(&one));
    let refused = engine.dispatch(wrong).await.unwrap_err();
    assert!(matches!(refused, EngineError::KeyReused { execution } if execution == id(&one)));
    assert!(t.is_quiet().await);
}

#[tokio::test(start_paused = true)]
async fn what_waits_is_cancelled_at_once_and_retried_when_asked() {
    let mut t = Test::new(|action| action.spec.delivery.max_attempts = 1).await;
    let api = t.process(false, 1).await;
    let began = api.dispatch(t.call(false)).await.unwrap();
    let view = api.cancel_execution(id(&began), &Actor::Admin).await.unwrap();
    assert_eq!(view.execution.status, Status::Cancelled);
    let _worker = t.process(true, 2).await;
    assert!(t.is_quiet().await);
    api.retry_execution(id(&began), &Actor::Admin).await.unwrap();
    t.attempt().await.fail(Advice::Retry);
    t.until(id(&began), Status::Failed).await;
    let none = DeadLetters { error_code: Some("trapped".into()), limit: 10, ..DeadLetters::default() };
    assert_eq!(api.retry_dead_letters(&none, &Actor::Admin).await.unwrap().retried, 0);
    let all = DeadLetters { limit: 10, action: Some(t.action.id), ..DeadLetters::default() };
    let retried = api.retry_dead_letters(&all, &Actor::Admin).await.unwrap();
    assert_eq!((retried.retried, retried.more), (1, false));
    let attempt = t.attempt().await;
    assert_eq!(attempt.request.attempt, 2);
    attempt.succeed();
    t.until(id(&began), Status::Succeeded).await;
}

#[tokio::test(start_paused = true)]
async fn an_order_and_a_seat_are_handed_on_without_waiting() {
    let ordered = |action: &mut Action| action.spec.delivery.ordering_key = Some(".k".into());
    let mut t = Test::new(ordered).await;
    let engine = t.process(true, 1).await;
    let mut begun = Vec::new();
    for _ in 0..3 {
        begun.push(id(&engine.dispatch(t.call(false)).await.unwrap()));
    }
    let started = Instant::now();
    for expected in begun {
        let attempt = t.attempt().await;
        assert_eq!(attempt.request.execution, expected);
        assert!(t.attempts.is_empty(), "one at a time");
        attempt.succeed();
    }
    assert!(started.elapsed() < Duration::from_secs(1), "the end of one calls the next");
}

#[tokio::test(start_paused = true)]
async fn a_remote_that_asks_to_wait_is_left_alone_by_the_whole_action() {
    let burst = |action: &mut Action| action.spec.delivery.rate = Some(Rate { per_second: 10.0, burst: 20 });
    let mut t = Test::new(burst).await;
    let engine = t.process(true, 1).await;
    engine.dispatch(t.call(false)).await.unwrap();
    t.attempt().await.fail(Advice::RetryAfterMs(60_000));
    let asked = Instant::now();
    tokio::task::yield_now().await;
    let waits = t.call(true);
    let other = engine.clone();
    let caller = tokio::spawn(async move { other.dispatch(waits).await.unwrap() });
    for _ in 0..2 {
        t.attempt().await.succeed();
        assert!(asked.elapsed() >= Duration::from_secs(59), "{:?}", asked.elapsed());
    }
    assert!(caller.await.unwrap().ended);
}

#[tokio::test(start_paused = true)]
async fn a_rate_holds_over_processes() {
    let paced = |action: &mut Action| action.spec.delivery.rate = Some(Rate { per_second: 1.0, burst: 1 });
    let mut t = Test::new(paced).await;
    let (one, _two) = (t.process(true, 1).await, t.process(true, 2).await);
    for _ in 0..5 {
        one.dispatch(t.call(false)).await.unwrap();
    }
    let mut began = Vec::new();
    for _ in 0..5 {
        t.attempt().await.succeed();
        began.push(Instant::now());
    }
    for pair in began.windows(2) {
        assert!(pair[1] - pair[0] >= Duration::from_millis(990), "{began:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_too_late_expires_and_says_so() {
    let late = |action: &mut Action| action.spec.delivery.expire_after_ms = Some(5_000);
    let mut t = Test::new(late).await;
    let api = t.process(false, 1).await;
    let began = api.dispatch(t.call(false)).await.unwrap();
    t.until(id(&began), Status::Expired).await;
    assert_eq!(t.types(id(&began)).await.last().unwrap(), "action_executed");
    let _worker = t.process(true, 2).await;
    assert!(t.is_quiet().await);
}

#[tokio::test(start_paused = true)]
async fn a_stopping_process_hands_on_what_it_cannot_finish() {
    // That its process ends costs an execution none of its attempts.
    let mut t = Test::new(|action| action.spec.delivery.max_attempts = 1).await;
    let one = t.process(true, 1).await;
    let began = one.dispatch(t.call(false)).await.unwrap();
    let _hangs = t.attempt().await;
    let _two = t.process(true, 2).await;
    let stopping = Instant::now();
    assert!(one.stop(Duration::from_secs(3)).await);
    let again = t.attempt().await;
    assert_eq!(again.request.attempt, 2);
    assert!(stopping.elapsed() < Duration::from_secs(10), "nobody waited for a lease to run out");
    again.succeed();
    t.until(id(&began), Status::Succeeded).await;
    assert!(one.dispatch(t.call(false)).await.is_ok(), "what is accepted is run by the other");
    t.attempt().await.succeed();
}

#[tokio::test(start_paused = true)]
async fn a_poison_task_ends_in_the_dead_letters() {
    let mut t = Test::new(|action| {
        action.spec.delivery = Delivery { max_attempts: 3, ..action.spec.delivery.clone() };
    })
    .await;
    let api = t.process(false, 1).await;
    let began = id(&api.dispatch(t.call(false)).await.unwrap());
    for attempt in 1..=3 {
        let taken = t.lost_worker().await;
        assert_eq!(taken[0].attempt, attempt);
        let after = if attempt < 3 { Status::Waiting } else { Status::Failed };
        t.until(began, after).await;
        tokio::time::advance(Duration::from_mins(1)).await;
    }
    let _worker = t.process(true, 9).await;
    assert!(t.is_quiet().await);
    let failed = t.store.execution(began).await.unwrap().unwrap();
    assert_eq!((failed.attempt, failed.error.unwrap().code), (3, ErrorCode::WorkerLost));
}

#[tokio::test(start_paused = true)]
async fn retention_removes_whole_executions_and_says_so() {
    let mut t = Test::new(|_| {}).await;
    let engine = t.process(true, 1).await;
    for _ in 0..2 {
        let call = t.call(true);
        let other = engine.clone();
        let caller = tokio::spawn(async move { other.dispatch(call).await.unwrap() });
        t.attempt().await.succeed();
        caller.await.unwrap();
    }
    let pruned = engine.prune_events(t.clock.now().plus(Duration::from_secs(1)), &Actor::Admin, |_| {}).await.unwrap();
    assert_eq!((pruned.executions, pruned.events), (2, 6));
    let filter = EventFilter { types: vec![EventType::EventsPruned], ..EventFilter::default() };
    let said = t.store.events(&filter, Page { after: None, limit: 9 }).await.unwrap();
    assert_eq!(said.len(), 1);
    t.w.commit(UnitOfWork::new()).await;
}
