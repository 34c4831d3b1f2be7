//! Sealing and verifying over the memory store: several engines stand for several processes.
#![expect(clippy::unwrap_used, reason = "tests fail by panicking, also outside the test functions")]

use action_domain::{
    actor::Actor,
    audit::{Anchor, FindingCode, SEAL_EVENTS_MAX, Seal, SealKey, Summary},
    digest::Digest,
    egress::EgressPolicy,
    event::{Context, Fact, NewEvent, Position},
    limits::{LEASE, LimitsPolicy, SEAL_EVERY},
    repositories::{LogReader as _, Prune, Pruned, UnitOfWork, Write},
    services::{
        Accepted, Admitted, AttemptReport, AttemptRequest, ConnectionTest, MarkUnusable, ProtocolRuntime, Random as _,
        RuntimeError, SealMark, TestRequest, ValidateError,
    },
};
use action_engine::{Engine, EngineError, EventKey, Parts, prove_event, verify_log};
use action_store_memory::MemoryStore;
use action_testkit::{SeededRandom, World};
use action_vault::Keyring;
use async_trait::async_trait;
use bytes::Bytes;
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

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

/// A node's data folder, as far as it is about marks.
#[derive(Default)]
struct Folder {
    mark: Mutex<Option<Anchor>>,
    is_full: bool,
}

impl SealMark for Folder {
    fn read(&self) -> Result<Option<Anchor>, MarkUnusable> {
        Ok(*self.mark.lock().unwrap())
    }

    fn keep(&self, mark: Anchor) -> Result<(), MarkUnusable> {
        if self.is_full {
            return Err(MarkUnusable("there is no room".to_owned()));
        }
        *self.mark.lock().unwrap() = Some(mark);
        Ok(())
    }
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

    /// A process that seals with these keys, and forgets what it knows.
    fn process(&self, keys: &[u8]) -> Engine {
        self.process_on(keys, None)
    }

    /// The same on a node that remembers.
    fn process_on(&self, keys: &[u8], node: Option<&Arc<Folder>>) -> Engine {
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
            seal_mark: node.map(|node| Arc::clone(node) as Arc<dyn SealMark>),
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
    // A process without a key cannot sign what it removes of a log that is sealed.
    t.execute().await;
    t.w.clock.advance(Duration::from_secs(1));
    let refused = t.process(&[]).prune_events(t.w.now(), &Actor::Admin, |_| {}).await;
    assert!(matches!(refused, Err(EngineError::Conflict { code: "sealing_off", .. })), "{refused:?}");
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

fn differs<T: std::fmt::Debug>(done: &Result<T, EngineError>) -> bool {
    matches!(done, Err(EngineError::Conflict { code: "chain_differs", .. }))
}

/// Whoever writes the database can take seals away; the node whose key would sign anew remembers them.
#[tokio::test]
async fn a_node_seals_behind_what_it_knows_and_nothing_else() {
    let t = Test::new();
    let node = Arc::new(Folder::default());
    for events in [2, 3] {
        t.happen(events).await;
        t.process_on(&[1], Some(&node)).seal_events(false).await.unwrap();
    }
    assert_eq!(node.read().unwrap().unwrap().sequence, 2);
    // The same events; the seals are gone, fewer, or others.
    for (sealed, sequence) in [(&[][..], None), (&[2][..], Some(1)), (&[1, 1, 3][..], Some(3))] {
        let forged = Test::new();
        for events in sealed {
            forged.happen(*events).await;
            forged.process(&[1]).seal_events(false).await.unwrap();
        }
        forged.happen(4).await;
        assert_eq!(forged.store.last_seal().await.unwrap().map(|seal| seal.sequence), sequence);
        let engine = forged.process_on(&[1], Some(&node));
        let began = forged.w.now();
        forged.w.clock.advance(SEAL_EVERY * 2);
        assert!(!engine.refuses_to_seal());
        assert!(differs(&engine.seal_if_due(began).await) && differs(&engine.seal_events(true).await));
        assert!(engine.refuses_to_seal());
        let pruned = engine.prune_events(forged.w.now(), &Actor::Admin, |_| {}).await;
        assert!(differs(&pruned), "nothing is removed whose seals are in doubt");
        assert_eq!(forged.store.last_seal().await.unwrap().map(|seal| seal.sequence), sequence);
        assert_eq!(node.read().unwrap().unwrap().sequence, 2, "the mark is the evidence");
    }
    // Where it is there again, sealing goes on.
    let engine = t.process_on(&[1], Some(&node));
    t.happen(1).await;
    engine.seal_events(false).await.unwrap();
    assert!(!engine.refuses_to_seal());
}

/// A crash between a seal and its mark, other nodes, a full disk, a new key: the mark is behind.
#[tokio::test]
async fn a_mark_behind_the_chain_is_nothing() {
    let t = Test::new();
    let node = Arc::new(Folder::default());
    t.happen(1).await;
    t.process_on(&[1], Some(&node)).seal_events(false).await.unwrap();
    let kept = node.read().unwrap();
    for keys in [&[1][..], &[2, 1], &[2]] {
        t.happen(1).await;
        t.process(keys).seal_events(false).await.unwrap();
    }
    t.happen(1).await;
    let full = Arc::new(Folder { mark: Mutex::new(kept), is_full: true });
    t.process_on(&[2], Some(&full)).seal_events(false).await.unwrap();
    assert_eq!(full.read().unwrap(), kept);
    t.process_on(&[2], Some(&node)).seal_if_due(t.w.now()).await.unwrap();
    let last = t.store.last_seal().await.unwrap().unwrap();
    assert_eq!((last.sequence, node.read().unwrap()), (5, Some(last.anchor())));
    // A node that has sealed nothing believes what it finds.
    let new = Arc::new(Folder::default());
    t.process_on(&[2], Some(&new)).seal_events(false).await.unwrap();
    assert_eq!(new.read().unwrap(), Some(last.anchor()));
    assert_eq!(t.verify(&[2]).await.0, []);
}

/// The store looks at numbers and names, and whoever writes a database past it does not need it to.
#[tokio::test]
async fn what_others_append_is_gone_behind_only_if_they_may_seal() {
    let t = Test::new();
    let node = Arc::new(Folder::default());
    t.happen(1).await;
    t.process_on(&[1], Some(&node)).seal_events(false).await.unwrap();
    let (last, said) = {
        let last = t.store.last_seal().await.unwrap().unwrap();
        let said = last.read().unwrap();
        (last, said)
    };
    let before = Some((&said, last.hash()));
    let unsigned = Seal { signature: vec![0; 64], ..Seal::next(before, &[], t.w.now(), &key(1)) };
    let strange = Seal::handing_over(before, &[], t.w.now(), &key(9), key(1).public());
    for forged in [unsigned, strange] {
        let t = Test::new();
        t.happen(1).await;
        let append = |seal: &Seal, leaves: &[u8]| {
            Write::AppendSealIfNext(Box::new(seal.clone()), Bytes::copy_from_slice(leaves))
        };
        t.w.commit(UnitOfWork::new().write(append(&last, &[0; 32])).write(append(&forged, &[]))).await;
        t.happen(1).await;
        let engine = t.process_on(&[1], Some(&node));
        assert!(differs(&engine.seal_events(false).await), "{forged:?}");
    }
}

/// The store removes and the log says so, and nobody with the key did it.
#[tokio::test]
async fn a_prune_without_the_key_is_told_from_one_of_the_service() {
    let t = Test::new();
    t.execute().await;
    t.process(&[1]).seal_events(false).await.unwrap();
    t.w.clock.advance(Duration::from_secs(1));
    let (before, id) = (t.w.now(), t.w.random.event_id());
    let recorded = Box::new(move |pruned: Pruned| {
        let Pruned { executions, events, payloads, positions, .. } = pruned;
        let fact = Fact::EventsPruned { before, executions, events, payloads, positions, proof: None };
        NewEvent::by(&Actor::Admin, id, before, Context::default(), &fact)
    });
    let prune = Prune { before, now: before, through: Position::MAX, limit: 1, recorded };
    action_domain::repositories::Store::prune(&*t.store, prune).await.unwrap();
    assert_eq!(t.verify(&[1]).await.0, [FindingCode::PruneUnproven]);
    t.process(&[1]).seal_events(false).await.unwrap();
    assert_eq!(t.verify(&[1]).await.0, [FindingCode::PruneUnproven], "to seal it is no word for it");
}
