//! Sealing and verifying over the memory store: several engines stand for several processes.
#![expect(clippy::unwrap_used, reason = "tests fail by panicking, also outside the test functions")]

use action_domain::{
    actor::Actor,
    audit::{Anchor, FindingCode, SEAL_EVENTS_MAX, SealKey, Summary},
    digest::Digest,
    egress::EgressPolicy,
    event::Position,
    limits::{LEASE, LimitsPolicy, SEAL_EVERY},
    repositories::{LogReader as _, Prune, UnitOfWork, Write},
    services::{
        Accepted, Admitted, AttemptReport, AttemptRequest, ConnectionTest, ProtocolRuntime, Random as _, RuntimeError,
        TestRequest, ValidateError,
    },
};
use action_engine::{Engine, EngineError, EventKey, Parts, prove_event, verify_log};
use action_store_memory::MemoryStore;
use action_testkit::{SeededRandom, World};
use action_vault::Keyring;
use async_trait::async_trait;
use bytes::Bytes;
use std::{sync::Arc, time::Duration};

/// Nothing runs here.
struct Idle;

#[async_trait]
impl ProtocolRuntime for Idle {
    async fn admit(&self, _: Bytes) -> Result<Admitted, RuntimeError> {
        unreachable!("nothing is uploaded here")
    }

    async fn prepare(&self, _: Digest) -> Result<(), RuntimeError> {
        unreachable!("nothing runs here")
    }

    async fn validate_config(&self, _: Digest, _: Arc<str>) -> Result<Accepted, ValidateError> {
        unreachable!("nothing is saved here")
    }

    async fn test_connection(&self, _: TestRequest) -> Result<ConnectionTest, RuntimeError> {
        unreachable!("no connection is tested here")
    }

    async fn run(&self, _: AttemptRequest) -> AttemptReport {
        unreachable!("nothing runs here")
    }
}

fn key(number: u8) -> SealKey {
    SealKey::from_seed(&[number; 32])
}

struct Test {
    store: Arc<MemoryStore>,
    w: World,
}

impl Test {
    fn new() -> Self {
        let store = Arc::new(MemoryStore::new());
        Self { w: World::new(store.clone()), store }
    }

    /// A process that seals with these keys.
    fn process(&self, keys: &[u8]) -> Engine {
        Engine::new(Parts {
            store: self.store.clone(),
            runtime: Arc::new(Idle),
            vault: Arc::new(Keyring::default()),
            clock: Arc::new(self.w.clock.clone()),
            random: Arc::new(SeededRandom::new(self.w.clock.clone(), 7)),
            limits: LimitsPolicy::default(),
            egress: EgressPolicy::default(),
            concurrency: 1,
            waiters_max: 1,
            runs_attempts: false,
            broker: None,
            lease: LEASE,
            exclusive_store: false,
            seal_keys: keys.iter().map(|number| key(*number)).collect(),
            seal_every: SEAL_EVERY,
        })
    }

    async fn happen(&self, events: u64) {
        let events = (0..events).map(|_| self.w.any_event()).collect();
        self.w.commit(UnitOfWork { writes: Vec::new(), events }).await;
    }

    /// An execution that has ended, with two events.
    async fn execute(&self) {
        let w = &self.w;
        let execution = w.succeeded(&w.running(&w.action("a", "http@1.0.0"), w.random.uuid()));
        let event = || w.event(action_domain::event::EventType::MessageLogged, w.context(&execution));
        let unit = UnitOfWork::new().write(Write::AddExecution(Box::new(execution.clone())));
        w.commit(unit.event(event()).event(event())).await;
    }

    async fn seals(&self) -> Vec<(Position, Position)> {
        let seals = self.store.seals(None, 500).await.unwrap();
        seals.iter().map(|seal| seal.read().unwrap()).map(|document| (document.first, document.last)).collect()
    }

    async fn verify(&self, trusted: &[u8]) -> (Vec<FindingCode>, Summary) {
        let trusted = trusted.iter().map(|number| key(*number).public()).collect();
        let mut codes = Vec::new();
        let summary = verify_log(&*self.store, trusted, Vec::<Anchor>::new(), |found, _| {
            codes.extend(found.into_iter().map(|finding| finding.code));
        });
        let summary = summary.await.unwrap();
        assert_eq!(summary.findings, codes.len() as u64);
        (codes, summary)
    }
}

#[tokio::test]
async fn a_period_ends_by_time_or_by_number() {
    let t = Test::new();
    let engine = t.process(&[1]);
    let began = t.w.now();
    t.w.clock.advance(SEAL_EVERY * 2);
    engine.seal_if_due(began).await.unwrap();
    assert_eq!(t.seals().await, [], "nothing happened");
    t.happen(3).await;
    engine.seal_if_due(t.w.now()).await.unwrap();
    assert_eq!(t.seals().await, [], "the first period has just begun");
    engine.seal_if_due(began).await.unwrap();
    assert_eq!(t.seals().await, [(1, 3)]);
    t.happen(2).await;
    t.w.clock.advance(SEAL_EVERY.saturating_sub(Duration::from_micros(1)));
    engine.seal_if_due(began).await.unwrap();
    assert_eq!(t.seals().await.len(), 1);
    t.w.clock.advance(Duration::from_micros(1));
    engine.seal_if_due(began).await.unwrap();
    assert_eq!(t.seals().await, [(1, 3), (4, 5)]);
    let many = SEAL_EVENTS_MAX as Position;
    t.happen(SEAL_EVENTS_MAX - 1).await;
    engine.seal_if_due(began).await.unwrap();
    assert_eq!(t.seals().await.len(), 2, "not full yet");
    t.happen(SEAL_EVENTS_MAX + 2).await;
    engine.seal_if_due(began).await.unwrap();
    assert_eq!(t.seals().await[2..], [(6, many + 5), (many + 6, 2 * many + 5), (2 * many + 6, 2 * many + 6)]);
    let (codes, summary) = t.verify(&[1]).await;
    assert_eq!((codes, summary.seals, summary.events, summary.unsealed), (vec![], 5, 2 * SEAL_EVENTS_MAX + 6, 0));
    let proof = prove_event(&*t.store, EventKey::Position(many + 5)).await.unwrap();
    assert_eq!(proof.check(&[key(1).public()]).unwrap().sequence, 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_processes_make_one_chain() {
    let t = Test::new();
    let processes: Vec<Engine> = (0..4).map(|_| t.process(&[1])).collect();
    for _ in 0..20 {
        t.happen(7).await;
        let sealing =
            processes.iter().cloned().map(|engine| tokio::spawn(async move { engine.seal_events(false).await }));
        for sealed in sealing.collect::<Vec<_>>() {
            sealed.await.unwrap().unwrap();
        }
    }
    let seals = t.seals().await;
    assert!(seals.windows(2).all(|pair| pair[1].0 == pair[0].1 + 1), "{seals:?}");
    assert_eq!(t.verify(&[1]).await.0, []);
}

#[tokio::test]
async fn a_key_that_the_chain_does_not_name_seals_nothing() {
    let t = Test::new();
    assert!(matches!(t.process(&[]).seal_events(false).await, Err(EngineError::Conflict { code: "sealing_off", .. })));
    t.happen(1).await;
    t.process(&[1]).seal_events(false).await.unwrap();
    t.happen(1).await;
    let refused = t.process(&[2]).seal_events(false).await;
    assert!(matches!(refused, Err(EngineError::Conflict { code: "audit_key_changed", .. })), "{refused:?}");
    // It hands over as soon as it is looked at, also when nothing happened.
    t.process(&[2, 1]).seal_if_due(t.w.now()).await.unwrap();
    t.process(&[2, 1]).seal_if_due(t.w.now()).await.unwrap();
    assert_eq!(t.seals().await, [(1, 1), (2, 2)]);
    t.process(&[3, 2]).seal_events(false).await.unwrap();
    assert_eq!(t.seals().await, [(1, 1), (2, 2), (3, 2)]);
    t.happen(1).await;
    t.process(&[3]).seal_events(false).await.unwrap();
    for trusted in 1..=3 {
        assert_eq!(t.verify(&[trusted]).await.0, [], "{trusted}");
    }
    t.happen(1).await;
    t.process(&[4]).seal_events(true).await.unwrap();
    assert_eq!(t.verify(&[4]).await.0, [FindingCode::KeyChanged]);
    assert_eq!(t.verify(&[3, 4]).await.0, []);
}

#[tokio::test]
async fn what_goes_is_sealed_before_it_goes() {
    let t = Test::new();
    let engine = t.process(&[1]);
    for _ in 0..3 {
        t.execute().await;
    }
    t.w.clock.advance(Duration::from_secs(1));
    let pruned = engine.prune_events(t.w.now(), &Actor::Admin, |_| {}).await.unwrap();
    assert_eq!((pruned.executions, pruned.events), (3, 6));
    assert_eq!(t.seals().await, [(1, 6)]);
    t.execute().await;
    engine.seal_events(false).await.unwrap();
    let (codes, summary) = t.verify(&[1]).await;
    assert_eq!((codes, summary.pruned), (vec![], 6));
    // A process without a key keeps what the others have not sealed.
    t.execute().await;
    t.w.clock.advance(Duration::from_secs(1));
    let pruned = t.process(&[]).prune_events(t.w.now(), &Actor::Admin, |_| {}).await.unwrap();
    assert_eq!((pruned.executions, pruned.events), (1, 2));
    // Where nobody seals everything may go, and who seals later seals that it is gone.
    let t = Test::new();
    t.execute().await;
    t.happen(1).await;
    t.w.clock.advance(Duration::from_secs(1));
    assert_eq!(t.process(&[]).prune_events(t.w.now(), &Actor::Admin, |_| {}).await.unwrap().events, 2);
    t.process(&[1]).seal_events(false).await.unwrap();
    assert_eq!(t.verify(&[1]).await.0, []);
}

/// A prune that the store knows of and the log does not.
#[tokio::test]
async fn a_prune_that_records_something_else_is_found() {
    let t = Test::new();
    t.execute().await;
    t.process(&[1]).seal_events(false).await.unwrap();
    t.w.clock.advance(Duration::from_secs(1));
    let other = t.w.any_event();
    let recorded = Box::new(move |_| other.clone());
    let prune = Prune { before: t.w.now(), now: t.w.now(), through: Position::MAX, limit: 1, recorded };
    action_domain::repositories::Store::prune(&*t.store, prune).await.unwrap();
    assert_eq!(t.verify(&[1]).await.0, [FindingCode::PruneMismatch]);
}
