//! Two stores, the same random work: all that can be read has to be equal.

mod comes_in;

use crate::World;
use action_domain::{
    action::Action,
    digest::Digest,
    event::{Context, EventType, NewEvent, Position},
    execution::{Execution, Status},
    id::ActionId,
    repositories::{
        ActionFilter, ActionKey, EventFilter, ExecutionFilter, IdempotencyKey, Page, Prune, Store, UnitOfWork, Write,
    },
    services::Random,
    turn::{Priority, Rate, Turn},
};
use bytes::Bytes;
use comes_in::ComesIn;
use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// Does `steps` random units and claims on both stores, and compares what they answer and what
/// they hold. The seed is in every failure's message: it repeats the run.
pub async fn run(left: Arc<dyn Store>, right: Arc<dyn Store>, seed: u16, steps: usize) {
    let mut w = World::new(Arc::clone(&left));
    w.random = crate::SeededRandom::new(w.clock.clone(), seed);
    let mut known = Known::default();
    let (mut accepted, mut refused) = (0, 0);
    for step in 0..steps {
        w.clock.advance(Duration::from_millis(w.random.below(400) as u64));
        let place = format!("seed {seed}, step {step}");
        if w.random.once_in(25) {
            let again_before = w.now().minus(Duration::from_secs(1));
            let one = left.offer(w.now(), again_before, 7).await.unwrap();
            assert_eq!(one, right.offer(w.now(), again_before, 7).await.unwrap(), "{place}");
            continue;
        }
        if w.random.once_in(60) {
            let event = w.event(EventType::EventsPruned, Context::default());
            let prune = |event: NewEvent| Prune {
                before: w.now().minus(Duration::from_secs(5)),
                // Keys of the run's first half are too old to count.
                now: w.now().plus(Duration::from_hours(24)).minus(Duration::from_secs(40)),
                through: Position::MAX,
                limit: 3,
                recorded: Box::new(move |_| event.clone()),
            };
            let one = left.prune(prune(event.clone())).await.unwrap();
            assert_eq!(one, right.prune(prune(event)).await.unwrap(), "{place}");
            known.forget(&*left).await;
            continue;
        }
        if w.random.once_in(6) {
            let (worker, limit, claim_seed) = (w.random.uuid(), w.random.below(4) as u32, w.random.number() as u16);
            let one = left.claim(w.claim_with(worker, limit, claim_seed)).await.unwrap();
            let other = right.claim(w.claim_with(worker, limit, claim_seed)).await.unwrap();
            assert_eq!(one, other, "{place}");
            for execution in one.executions {
                known.learn(execution);
            }
            continue;
        }
        let unit = known.unit(&w);
        let one = left.commit(unit.clone()).await;
        let other = right.commit(unit.clone()).await;
        // A refusal has to be the same one; an unusable unit need not have the same words.
        let words = |result: &Result<i64, _>| match result {
            Err(action_domain::repositories::CommitError::Unavailable(_)) => "unavailable".to_owned(),
            other => format!("{other:?}"),
        };
        assert_eq!(words(&one), words(&other), "{place}: {unit:?}");
        if one.is_ok() {
            known.remember(&unit);
            accepted += 1;
        } else {
            refused += 1;
        }
        if step % 50 == 49 {
            compare(&*left, &*right, &w, &known, &place).await;
        }
    }
    compare(&*left, &*right, &w, &known, &format!("seed {seed}, the end")).await;
    // Otherwise it would compare two empty stores, or never a conflict.
    assert!(accepted > steps / 8 && refused > steps / 8, "seed {seed}: {accepted} accepted, {refused} refused");
}

/// What was written so far: what further work can build on, or clash with.
#[derive(Default)]
struct Known {
    actions: Vec<Action>,
    executions: Vec<Execution>,
    payloads: Vec<Digest>,
    /// The current version of each secret.
    secrets: BTreeMap<String, u32>,
    comes_in: ComesIn,
}

const PINS: [&str; 5] = ["http@1.0.0", "http@1.1.0", "smtp@1.0.0", "feed@2.0.0-rc.1", "feed@10.0.0"];
const NAMES: [&str; 5] = ["a", "b", "c", "d-e", "f0"];

impl Known {
    fn unit(&self, w: &World) -> UnitOfWork {
        let mut unit = UnitOfWork::new();
        for _ in 0..=w.random.below(3) {
            unit = unit.write(self.write(w));
        }
        for _ in 0..w.random.below(4) {
            let context = match self.executions.last() {
                Some(_) if w.random.once_in(2) => w.context(w.random.one_of(&self.executions)),
                _ => Context::default(),
            };
            unit = unit.event(w.event(*w.random.one_of(EventType::ALL), context));
        }
        unit
    }

    fn write(&self, w: &World) -> Write {
        let random = &w.random;
        let (pin, name) = (*random.one_of(&PINS), *random.one_of(&NAMES));
        let action = if self.actions.is_empty() || random.once_in(4) {
            w.action(name, pin)
        } else {
            random.one_of(&self.actions).clone()
        };
        let execution = if self.executions.is_empty() || random.once_in(8) {
            w.queued(&action)
        } else {
            // The young ones are those that still move.
            let recent = self.executions.len().saturating_sub(12);
            random.one_of(&self.executions[recent..]).clone()
        };
        let moved = match random.below(5) {
            0 => w.succeeded(&execution),
            1 => w.waiting(&execution),
            2 => Execution { status: Status::InDoubt, lease: None, run_at: None, ..execution.clone() },
            3 => Execution { status: Status::Failed, lease: None, run_at: None, ..execution.clone() },
            _ => Execution { status: Status::Queued, lease: None, run_at: Some(w.now()), ..execution.clone() },
        };
        if random.once_in(3) {
            return self.comes_in.write(w, action.id);
        }
        match random.below(27) {
            0 => w.add_protocol(pin, &pin.as_bytes()[..=random.below(pin.len())]),
            1 => Write::RemoveProtocolIfUnused(pin.parse().unwrap()),
            2 => Write::AddAction(Box::new(w.action(name, pin))),
            3 | 4 => {
                let mut next = w.revised(&action);
                next.protocol = pin.parse().unwrap();
                next.spec.name = name.parse().unwrap();
                next.spec.enabled = random.once_in(2);
                if random.once_in(2) {
                    next.spec.config = serde_json::json!({"token": {"$secret": *random.one_of(&NAMES)}});
                }
                next.spec.labels = [((*random.one_of(&NAMES)).into(), (*random.one_of(&NAMES)).into())].into();
                Write::AddRevisionIfCurrent(Box::new(next))
            }
            5 => Write::RemoveActionIfCurrent(action.id, action.revision),
            6 => {
                let data = Bytes::from(vec![7; random.below(5)]);
                Write::AddPayload(Digest::of(&data), data)
            }
            7 | 14 | 15 => Write::AddExecution(Box::new(Execution { turn: Self::turn(w), ..w.queued(&action) })),
            16 => Write::RequestCancelIfRunning(execution.id, execution.attempt),
            17 => {
                let worker = execution.lease.map_or_else(|| random.uuid(), |lease| lease.worker);
                Write::RenewLeases(worker, vec![execution.id], w.now())
            }
            18 => Write::CallBack(execution.action, execution.turn.ordering_key.clone(), w.now()),
            19 => Write::SlowDown(execution.action, w.now().plus(Duration::from_millis(random.below(3000) as u64))),
            25 => Write::EndPause(execution.action),
            26 => Write::ForgetPace(execution.action),
            20 => Write::AddIdempotencyKey(Box::new(IdempotencyKey {
                action: action.id,
                key: (*random.one_of(&NAMES)).into(),
                fingerprint: Digest::of(name.as_bytes()),
                execution: execution.id,
                created_at: w.now(),
            })),
            22 => Write::SetSecretIfCurrent(Box::new(w.secret(name, self.next_version(name, w)))),
            23 => Write::ResealSecretIfCurrent(Box::new(w.secret(name, self.next_version(name, w).saturating_sub(1)))),
            24 => Write::RemoveSecretIfUnused(name.parse().unwrap(), self.next_version(name, w).saturating_sub(1)),
            21 => match execution.lease {
                Some(lease) => Write::RequireLease(execution.id, lease),
                None => Write::RequireLease(execution.id, w.lease(random.uuid(), 1)),
            },
            8 => Write::AddExecution(Box::new(w.running(&action, random.uuid()))),
            9..12 => match execution.lease {
                Some(lease) => Write::UpdateExecutionIfLeased(Box::new(moved), lease),
                None => Write::UpdateExecutionIfLeased(Box::new(moved), w.lease(random.uuid(), 1)),
            },
            _ => Write::UpdateExecutionIfStatus(Box::new(moved), execution.status, execution.attempt),
        }
    }

    /// The version that a secret would have next; now and then a wrong one.
    fn next_version(&self, name: &str, w: &World) -> u32 {
        let versions = self.secrets.get(name).copied().unwrap_or_default();
        if w.random.once_in(8) { versions + 2 } else { versions + 1 }
    }

    /// Any rules for taking a turn; mostly none.
    fn turn(w: &World) -> Turn {
        let random = &w.random;
        let soon = || w.now().plus(Duration::from_millis(random.below(4000) as u64));
        let mut turn = Turn { priority: *random.one_of(&Priority::ALL), ..Turn::default() };
        if random.once_in(3) {
            turn.max_concurrent = Some(1 + random.below(2) as u32);
        }
        if random.once_in(3) {
            turn.ordering_key = Some((*random.one_of(&NAMES)).into());
            turn.order_blocks = random.once_in(2);
        }
        if random.once_in(4) {
            turn.rate = Some(Rate { per_second: 2.0, burst: 1 + random.below(3) as u32 });
        }
        if random.once_in(4) {
            turn.expires_at = Some(soon());
        }
        turn
    }

    /// Forgets executions that are not there any more.
    async fn forget(&mut self, store: &dyn Store) {
        let mut there = Vec::new();
        for execution in self.executions.drain(..) {
            if store.execution(execution.id).await.unwrap().is_some() {
                there.push(execution);
            }
        }
        self.executions = there;
    }

    fn learn(&mut self, execution: Execution) {
        match self.executions.iter_mut().find(|known| known.id == execution.id) {
            Some(known) => *known = execution,
            None => self.executions.push(execution),
        }
    }

    fn remember(&mut self, unit: &UnitOfWork) {
        for write in &unit.writes {
            match write {
                Write::AddAction(action) | Write::AddRevisionIfCurrent(action) => {
                    self.actions.retain(|known| known.id != action.id);
                    self.actions.push((**action).clone());
                }
                Write::AddExecution(execution)
                | Write::UpdateExecutionIfLeased(execution, _)
                | Write::UpdateExecutionIfStatus(execution, ..) => self.learn((**execution).clone()),
                Write::AddPayload(digest, _) => self.payloads.push(*digest),
                Write::SetSecretIfCurrent(secret) => {
                    self.secrets.insert(secret.name.to_string(), secret.version);
                }
                Write::RemoveSecretIfUnused(name, _) => drop(self.secrets.remove(name.as_str())),
                write => self.comes_in.remember(write),
            }
        }
    }
}

/// Compares all that can be read.
async fn compare(left: &dyn Store, right: &dyn Store, w: &World, known: &Known, place: &str) {
    macro_rules! same {
        ($($call:tt)*) => {
            let (one, other) = (left.$($call)*.await.unwrap(), right.$($call)*.await.unwrap());
            assert_eq!(format!("{one:?}"), format!("{other:?}"), "{place}: {}", stringify!($($call)*));
        };
    }
    same!(last_position());
    let mut after = None;
    loop {
        let page = Page { after, limit: 500 };
        same!(events(&EventFilter::default(), page));
        match left.events(&EventFilter::default(), page).await.unwrap().last() {
            Some(last) => after = Some(last.position),
            None => break,
        }
    }
    let mut after = None;
    loop {
        same!(logged(after, 500));
        match left.logged(after, 500).await.unwrap().last() {
            Some(last) => after = Some(last.position()),
            None => break,
        }
    }
    same!(pruned(None, 1_000_000));
    same!(next_due());
    same!(abandoned(w.now(), Some(w.random.uuid()), 500));
    same!(expired(w.now(), 500));
    for action in &known.actions {
        same!(paused_until(action.id));
        for name in NAMES {
            same!(idempotency_key(action.id, name));
        }
    }
    same!(protocols(Page { after: None, limit: 500 }));
    for name in ["http", "smtp", "feed"] {
        same!(protocol_versions(&name.parse().unwrap()));
    }
    for pin in PINS {
        for end in 1..=pin.len() {
            same!(component(&Digest::of(&pin.as_bytes()[..end])));
            same!(protocols_with(&Digest::of(&pin.as_bytes()[..end])));
        }
    }
    same!(secrets(Page { after: None, limit: 500 }));
    same!(secrets_named(&NAMES.map(|name| name.parse().unwrap())));
    same!(actions(&ActionFilter::default(), Page { after: None, limit: 500 }));
    for name in NAMES {
        same!(action(&ActionKey::Name(name.parse().unwrap())));
        for value in NAMES {
            let filter = ActionFilter { label: Some((name.into(), value.into())), ..ActionFilter::default() };
            same!(actions(&filter, Page { after: None, limit: 500 }));
        }
    }
    for action in &known.actions {
        for revision in 1..=action.revision {
            same!(action_revision(action.id, revision));
        }
    }
    for status in Status::ALL.map(Some).into_iter().chain([None]) {
        let action = known.actions.first().map(|action| action.id);
        for action in [None, action] {
            let filter = ExecutionFilter { status, action, ..ExecutionFilter::default() };
            same!(executions(&filter, Page { after: None, limit: 500 }));
        }
    }
    for execution in &known.executions {
        same!(execution(execution.id));
        same!(event_of(execution.id, EventType::ActionExecuted));
        same!(has_sent(execution.id, 1));
        if let Some(lease) = execution.lease {
            same!(to_cancel(lease.worker));
        }
        let filter = EventFilter { execution: Some(execution.id), ..EventFilter::default() };
        same!(events(&filter, Page { after: None, limit: 500 }));
    }
    for digest in &known.payloads {
        same!(payload(digest));
    }
    let actions: Vec<ActionId> = known.actions.iter().map(|action| action.id).collect();
    comes_in::compare(left, right, w, &actions, place).await;
}
