//! How many units a second a store's writer carries: a load for the stores' `commit_rate`
//! examples, which are no tests.

use crate::{FakeClock, SeededRandom};
use action_domain::{
    event::{Context, Fact, NewEvent},
    execution::{Execution, Lease, Status},
    payload::RecordedPayload,
    receipt::Receipt,
    repositories::{Store, UnitOfWork, Write},
    services::{Clock as _, Random as _},
    time::Timestamp,
    turn::Turn,
};
use serde_json::value::RawValue;
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

/// What the callers do.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Load {
    Add,
    AddThenEnd,
}

/// Why a load ended early.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Prints what the stores carry: executions that are added with two events, then the same with
/// each ended by a third one, as a synchronous call does it; `time` long each, from so many callers
/// at once. Several stores stand for several processes on one database.
///
/// # Errors
/// Where a commit is refused.
pub async fn measure(stores: &[Arc<dyn Store>], callers: usize, time: Duration) -> Result<(), Failure> {
    let micros = SystemTime::UNIX_EPOCH.elapsed()?.as_micros();
    let maker = Arc::new(Maker::new(Timestamp::from_micros(i64::try_from(micros)?)));
    for load in [Load::Add, Load::AddThenEnd] {
        run(load, stores, &maker, callers, time).await?;
    }
    Ok(())
}

async fn run(
    load: Load,
    stores: &[Arc<dyn Store>],
    maker: &Arc<Maker>,
    callers: usize,
    time: Duration,
) -> Result<(), Failure> {
    let units = Arc::new(AtomicU64::new(0));
    let cpu = commit_cpu();
    let begin = Instant::now();
    let mut tasks = Vec::new();
    for caller in 0..callers {
        let store = &stores[caller % stores.len()];
        let (store, maker, units) = (Arc::clone(store), Arc::clone(maker), Arc::clone(&units));
        tasks.push(tokio::spawn(async move {
            let mut slowest = Duration::ZERO;
            while begin.elapsed() < time {
                let execution = maker.execution();
                let called = Instant::now();
                store.commit(maker.add(&execution)).await?;
                slowest = slowest.max(called.elapsed());
                units.fetch_add(1, Ordering::Relaxed);
                if load == Load::AddThenEnd {
                    store.commit(maker.end(&execution)).await?;
                    units.fetch_add(1, Ordering::Relaxed);
                }
            }
            Ok::<_, Failure>(slowest)
        }));
    }
    let mut slowest = Duration::ZERO;
    for task in tasks {
        slowest = slowest.max(task.await??);
    }
    let units = units.load(Ordering::Relaxed) as f64;
    let rate = units / begin.elapsed().as_secs_f64();
    let cpu = commit_cpu().saturating_sub(cpu).as_secs_f64() * 1e6 / units;
    println!(
        "{load:?} from {callers} callers over {} stores: {rate:.0} units/s, slowest {slowest:?}, committing threads {cpu:.1} us/unit",
        stores.len()
    );
    Ok(())
}

/// What the threads that write have used so far; zero where /proc does not tell.
fn commit_cpu() -> Duration {
    let tasks = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let of = |task: std::fs::DirEntry| {
        let name = std::fs::read_to_string(task.path().join("comm")).ok()?;
        let times = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
        let nanos = times.split(' ').next()?.parse().ok()?;
        (name.trim() == "store-writer").then(|| Duration::from_nanos(nanos))
    };
    tasks.filter_map(of).sum()
}

struct Maker {
    clock: FakeClock,
    random: SeededRandom,
    start: Instant,
    zero: Timestamp,
    actions: Vec<action_domain::id::ActionId>,
    worker: uuid::Uuid,
    trigger: Arc<RawValue>,
}

impl Maker {
    fn new(zero: Timestamp) -> Self {
        let clock = FakeClock::at(zero);
        let random = SeededRandom::new(clock.clone(), 1);
        let actions = (0..50).map(|_| random.action_id()).collect();
        let worker = random.uuid();
        let trigger =
            RawValue::from_string(r#"{"type":"call"}"#.into()).unwrap_or_else(|_| RawValue::NULL.to_owned()).into();
        Self { clock, random, start: Instant::now(), zero, actions, worker, trigger }
    }

    fn execution(&self) -> Execution {
        self.clock.set(self.zero.plus(self.start.elapsed()));
        let now = self.clock.now();
        let id = self.random.execution_id();
        Execution {
            id,
            action: *self.random.one_of(&self.actions),
            revision: 1,
            protocol: "http@0.1.0".parse().unwrap_or_else(|_| unreachable!("a pin")),
            status: Status::Running,
            attempt: 1,
            correlation_id: id.to_string().into(),
            traceparent: None,
            created_at: now,
            started_at: Some(now),
            ended_at: None,
            run_at: None,
            lease: Some(self.lease(now)),
            turn: Turn::default(),
            cancel_requested: false,
            error: None,
            receipt: None,
        }
    }

    fn lease(&self, now: Timestamp) -> Lease {
        Lease { worker: self.worker, attempt: 1, until: now.plus(Duration::from_mins(1)) }
    }

    fn event(&self, execution: &Execution, fact: &Fact) -> NewEvent {
        let context = Context {
            action: Some(execution.action),
            revision: Some(1),
            execution: Some(execution.id),
            correlation_id: Some(Arc::clone(&execution.correlation_id)),
            causation_id: None,
            attempt: Some(1),
        };
        NewEvent::new(self.random.event_id(), self.clock.now(), context, fact)
    }

    fn add(&self, execution: &Execution) -> UnitOfWork {
        let input = RecordedPayload {
            content_type: "application/json".into(),
            bytes: 30,
            json: RawValue::from_string(r#"{"text":"a message of someone"}"#.into()).ok(),
            base64: None,
            digest: None,
        };
        let received = Fact::TriggerReceived { trigger: Arc::clone(&self.trigger), input };
        UnitOfWork::new()
            .write(Write::AddExecution(Box::new(execution.clone())))
            .event(self.event(execution, &received))
            .event(self.event(execution, &Fact::AttemptStarted { worker: self.worker }))
    }

    fn end(&self, execution: &Execution) -> UnitOfWork {
        let receipt = Some(Receipt { fuel: 812_344, memory_bytes: 1_179_648, wall_us: 5123, ..Receipt::default() });
        let ended_at = Some(self.clock.now());
        let status = Status::Succeeded;
        let ended = Execution { status, lease: None, receipt, ended_at, ..execution.clone() };
        let fact = Fact::ActionExecuted { success: true, error: None, output: None, receipt, reply: None };
        UnitOfWork::new()
            .write(Write::UpdateExecutionIfLeased(Box::new(ended), self.lease(self.clock.now())))
            .event(self.event(execution, &fact))
    }
}
