//! The queue: claims, leases, and what became of those who had them.

use crate::World;
use action_domain::{
    event::EventType,
    execution::{Execution, Status},
    id::{ActionId, ExecutionId},
    repositories::{Conflict, Store, UnitOfWork, Write},
    services::Random,
    time::Timestamp,
};
use std::{collections::BTreeSet, sync::Arc, time::Duration};
use uuid::Uuid;

async fn add(w: &World, executions: &[Execution]) {
    let add = |execution: &Execution| Write::AddExecution(Box::new(execution.clone()));
    w.commit(UnitOfWork { writes: executions.iter().map(add).collect(), events: Vec::new() }).await;
}

/// A queued execution that is due this many seconds from now.
fn due_in(w: &World, seconds: i64) -> Execution {
    let run_at = Timestamp::from_micros(w.now().as_micros() + seconds * 1_000_000);
    // All of one action: then they are taken in the order of their times.
    let action = ActionId::from_uuid(Uuid::from_u128(7));
    Execution { action, run_at: Some(run_at), ..w.queued(&w.action("a", "http@1.0.0")) }
}

/// Only what is due, by time and then by id, no more than asked for.
pub async fn a_claim_takes_what_is_due_oldest_first(store: Arc<dyn Store>) {
    let w = World::new(store);
    let worker = w.random.uuid();
    let queued = [due_in(&w, 0), due_in(&w, -5), due_in(&w, 1), due_in(&w, -5), due_in(&w, -9), due_in(&w, 60)];
    let waiting = Execution { status: Status::Waiting, ..due_in(&w, -7) };
    let held = Execution { status: Status::InDoubt, ..due_in(&w, -8) };
    add(&w, &[queued.to_vec(), vec![waiting.clone(), held]].concat()).await;
    let order = [&queued[4], &waiting, &queued[1], &queued[3], &queued[0]].map(|execution| execution.id);
    assert!(w.store.claim(w.claim(worker, 0)).await.unwrap().executions.is_empty());
    let mut claimed = Vec::new();
    for limit in [1, 3, 10, 10] {
        let taken = w.store.claim(w.claim(worker, limit)).await.unwrap().executions;
        assert!(taken.len() <= limit as usize);
        claimed.extend(taken.iter().map(|execution| execution.id));
    }
    assert_eq!(claimed, order);
    w.clock.advance(Duration::from_secs(1));
    let later = w.store.claim(w.claim(worker, 10)).await.unwrap().executions;
    assert_eq!(later.iter().map(|execution| execution.id).collect::<Vec<_>>(), [queued[2].id]);
}

/// Status, attempt, times, lease and event.
pub async fn a_claim_begins_an_attempt(store: Arc<dyn Store>) {
    let w = World::new(store);
    let worker = w.random.uuid();
    let queued = due_in(&w, 0);
    add(&w, std::slice::from_ref(&queued)).await;
    let first_start = w.now();
    let mut expected = Execution {
        status: Status::Running,
        attempt: 1,
        started_at: Some(first_start),
        run_at: None,
        lease: Some(w.lease(worker, 1)),
        ..queued
    };
    assert_eq!(w.store.claim(w.claim(worker, 5)).await.unwrap().executions, [expected.clone()]);
    assert_eq!(w.execution_now(expected.id).await, expected);
    let log = w.log().await;
    assert_eq!((log.len(), &*log[0].r#type), (1, "attempt_started"));
    assert_eq!(log[0].context, w.context(&expected));
    assert_eq!(w.store.last_position().await.unwrap(), 1);
    // Again, after a failure: the second attempt, still started when the first was.
    let waiting = w.waiting(&expected);
    w.write(Write::UpdateExecutionIfLeased(Box::new(waiting.clone()), w.lease(worker, 1))).await;
    assert!(w.store.claim(w.claim(worker, 5)).await.unwrap().executions.is_empty());
    w.clock.advance(Duration::from_secs(2));
    let again = w.random.uuid();
    expected = Execution { lease: Some(w.lease(again, 2)), attempt: 2, error: waiting.error, ..expected };
    assert_eq!(w.store.claim(w.claim(again, 5)).await.unwrap().executions, [expected.clone()]);
    assert_eq!(w.execution_now(expected.id).await, expected);
    let last = w.log().await.pop().unwrap();
    assert_eq!((last.position, last.context.attempt), (2, Some(2)));
    let found = w.store.event_of(expected.id, EventType::AttemptStarted).await.unwrap().unwrap();
    assert_eq!(found.position, 1);
}

/// Also where commit and claim go in together.
pub async fn a_claim_sees_what_was_committed_before(store: Arc<dyn Store>) {
    let w = World::new(store);
    let worker = w.random.uuid();
    for _ in 0..50 {
        let executions = [due_in(&w, 0), due_in(&w, 0)];
        add(&w, &executions[..1]).await;
        let unit = UnitOfWork::new().write(Write::AddExecution(Box::new(executions[1].clone())));
        let (committed, claimed) = tokio::join!(w.store.commit(unit), w.store.claim(w.claim(worker, 10)));
        committed.unwrap();
        let mut ids: BTreeSet<ExecutionId> = claimed.unwrap().executions.iter().map(|execution| execution.id).collect();
        assert!(ids.contains(&executions[0].id));
        ids.extend(w.store.claim(w.claim(worker, 10)).await.unwrap().executions.iter().map(|execution| execution.id));
        assert_eq!(ids, executions.iter().map(|execution| execution.id).collect());
    }
}

/// Many workers at once, each gets its own.
pub async fn nobody_gets_what_another_has(store: Arc<dyn Store>) {
    let w = Arc::new(World::new(store));
    let executions: Vec<_> = (0..200).map(|_| due_in(&w, 0)).collect();
    add(&w, &executions).await;
    let mut tasks = Vec::new();
    for seed in 100..120 {
        let w = Arc::clone(&w);
        tasks.push(tokio::spawn(async move {
            let worker = w.random.uuid();
            let mut mine = Vec::new();
            loop {
                let claimed = w.store.claim(w.claim_with(worker, 3, seed)).await.unwrap().executions;
                assert!(claimed.len() <= 3);
                if claimed.is_empty() {
                    return mine;
                }
                assert!(claimed.iter().all(|execution| execution.lease.unwrap().worker == worker));
                mine.extend(claimed.into_iter().map(|execution| execution.id));
            }
        }));
    }
    let mut all = Vec::new();
    for task in tasks {
        all.extend(task.await.unwrap());
    }
    assert_eq!(all.len(), executions.len());
    let expected: BTreeSet<_> = executions.iter().map(|execution| execution.id).collect();
    assert_eq!(all.into_iter().collect::<BTreeSet<_>>(), expected);
    assert_eq!(w.store.last_position().await.unwrap(), 200);
}

/// A lease is fenced by worker and attempt; its time does not count.
pub async fn who_lost_a_lease_cannot_write(store: Arc<dyn Store>) {
    let w = World::new(store);
    let (old, new) = (w.random.uuid(), w.random.uuid());
    add(&w, &[due_in(&w, 0)]).await;
    let mine = w.store.claim(w.claim(old, 1)).await.unwrap().executions.remove(0);
    let old_lease = mine.lease.unwrap();
    // A reaper gives it to another, as another attempt.
    let requeued = Execution { status: Status::Queued, run_at: Some(w.now()), lease: None, ..mine.clone() };
    w.write(Write::UpdateExecutionIfStatus(Box::new(requeued), Status::Running, 1)).await;
    let late = || UnitOfWork::new().write(Write::UpdateExecutionIfLeased(Box::new(w.succeeded(&mine)), old_lease));
    assert_eq!(w.refused(late().event(w.any_event())).await, Conflict::LeaseLost);
    let theirs = w.store.claim(w.claim(new, 1)).await.unwrap().executions.remove(0);
    assert_eq!(w.refused(late().event(w.any_event())).await, Conflict::LeaseLost);
    // The same worker, an earlier attempt.
    let earlier = action_domain::execution::Lease { worker: new, ..old_lease };
    let unit = UnitOfWork::new().write(Write::UpdateExecutionIfLeased(Box::new(w.succeeded(&mine)), earlier));
    assert_eq!(w.refused(unit).await, Conflict::LeaseLost);
    assert_eq!(w.execution_now(mine.id).await, theirs);
    // Over, but nobody took it: it still counts.
    w.clock.advance(Duration::from_hours(1));
    let ended = w.succeeded(&theirs);
    w.write(Write::UpdateExecutionIfLeased(Box::new(ended.clone()), w.lease(new, 2))).await;
    assert_eq!(w.execution_now(mine.id).await, ended);
    let again = UnitOfWork::new().write(Write::UpdateExecutionIfLeased(Box::new(ended), w.lease(new, 2)));
    assert_eq!(w.refused(again).await, Conflict::LeaseLost);
}

/// Over, or of another worker; the lease that ended first comes first.
pub async fn the_abandoned_are_found(store: Arc<dyn Store>) {
    let w = World::new(store);
    let (mine, theirs) = (w.random.uuid(), w.random.uuid());
    let action = w.action("a", "http@1.0.0");
    let mut running = Vec::new();
    for (worker, seconds) in [(mine, 30), (theirs, 10), (mine, 20), (theirs, 40), (mine, 10)] {
        let mut execution = w.running(&action, worker);
        execution.lease.as_mut().unwrap().until = w.now().plus(Duration::from_secs(seconds));
        running.push(execution);
    }
    add(&w, &running).await;
    add(&w, &[w.queued(&action), w.succeeded(&w.running(&action, theirs))]).await;
    let found = async |seconds, except, limit| {
        let now = w.now().plus(Duration::from_secs(seconds));
        let found = w.store.abandoned(now, except, limit).await.unwrap();
        found.iter().map(|execution| running.iter().position(|r| r == execution).unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(found(10, None, 9).await, [0; 0], "not before it is over");
    assert_eq!(found(11, None, 9).await, [1, 4]);
    assert_eq!(found(60, None, 9).await, [1, 4, 2, 0, 3]);
    assert_eq!(found(60, None, 2).await, [1, 4]);
    assert_eq!(found(0, Some(mine), 9).await, [1, 3]);
    assert_eq!(found(25, Some(mine), 9).await, [1, 4, 2, 3]);
    assert_eq!(found(0, Some(w.random.uuid()), 9).await, [1, 4, 2, 0, 3]);
}

/// Of what is queued and of what waits.
pub async fn the_next_due_time_is_known(store: Arc<dyn Store>) {
    let w = World::new(store);
    let next = async || w.store.next_due().await.unwrap();
    let later = due_in(&w, 60);
    add(&w, std::slice::from_ref(&later)).await;
    assert_eq!(next().await, later.run_at);
    let sooner = Execution { status: Status::Waiting, ..due_in(&w, -60) };
    add(&w, &[sooner.clone(), w.running(&w.action("a", "http@1.0.0"), w.random.uuid())]).await;
    assert_eq!(next().await, sooner.run_at);
    assert_eq!(w.store.claim(w.claim(w.random.uuid(), 9)).await.unwrap().executions.len(), 1);
    assert_eq!(next().await, later.run_at);
    let gone = Execution { status: Status::Cancelled, run_at: None, ..later };
    w.write(Write::UpdateExecutionIfStatus(Box::new(gone), Status::Queued, 0)).await;
    assert_eq!(next().await, None);
}
