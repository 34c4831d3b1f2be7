//! Whose turn it is: shares, seats, order, rates, expiry; and what else the queue keeps.

use crate::World;
use action_domain::{
    action::Action,
    digest::Digest,
    event::{Context, EventType, Position},
    execution::{Execution, Status},
    id::ExecutionId,
    limits::IDEMPOTENCY_KEY_FOR,
    repositories::{Claim, Conflict, IdempotencyKey, Prune, Store, UnitOfWork, Write},
    services::Random as _,
    turn::{ASIDE, ASIDE_MAX, Rate, Turn},
};
use std::{sync::Arc, time::Duration};

async fn add(w: &World, executions: &[Execution]) {
    let add = |execution: &Execution| Write::AddExecution(Box::new(execution.clone()));
    w.commit(UnitOfWork { writes: executions.iter().map(add).collect(), events: Vec::new() }).await;
}

fn with(w: &World, action: &Action, turn: Turn) -> Execution {
    Execution { turn, ..w.queued(action) }
}

async fn take(w: &World, limit: u32) -> Vec<ExecutionId> {
    let claimed = w.store.claim(w.claim(w.random.uuid(), limit)).await.unwrap();
    claimed.executions.iter().map(|execution| execution.id).collect()
}

async fn end(w: &World, id: ExecutionId, status: Status) {
    let running = w.execution_now(id).await;
    let lease = running.lease.unwrap();
    let ended = Execution { status, ..w.succeeded(&running) };
    w.write(Write::UpdateExecutionIfLeased(Box::new(ended), lease)).await;
}

/// One with many executions does not hold up one with few, and the next claim goes on behind it.
pub async fn actions_take_turns(store: Arc<dyn Store>) {
    let w = World::new(store);
    let [busy, quiet, last] = ["a", "b", "c"].map(|name| w.action(name, "http@1.0.0"));
    let many: Vec<Execution> = (0..20).map(|_| w.queued(&busy)).collect();
    add(&w, &many).await;
    let few = [w.queued(&quiet), w.queued(&last)];
    add(&w, &few).await;
    let ids = |executions: &[Execution]| executions.iter().map(|execution| execution.id).collect::<Vec<_>>();
    assert_eq!(take(&w, 4).await, [&ids(&many[..2])[..], &ids(&few)[..]].concat());
    let behind = Claim { after: Some(busy.id), ..w.claim(w.random.uuid(), 2) };
    let claimed = w.store.claim(behind).await.unwrap();
    assert_eq!((ids(&claimed.executions), claimed.last), (ids(&many[2..4]), Some(busy.id)));
    assert!(!claimed.drained);
    let rest = w.store.claim(w.claim(w.random.uuid(), 64)).await.unwrap();
    assert_eq!((ids(&rest.executions), rest.drained), (ids(&many[4..]), true));
}

/// Retries wait until no first attempt is due.
pub async fn first_attempts_go_before_retries(store: Arc<dyn Store>) {
    let w = World::new(store);
    let action = w.action("a", "http@1.0.0");
    let retry = Execution { status: Status::Waiting, attempt: 1, ..w.queued(&action) };
    w.clock.advance(Duration::from_secs(1));
    let first = w.queued(&action);
    add(&w, &[retry.clone(), first.clone()]).await;
    assert_eq!(take(&w, 9).await, [first.id, retry.id]);
}

/// No more run at once than the action allows; the end of one calls the next back.
pub async fn seats_are_kept(store: Arc<dyn Store>) {
    let w = World::new(store);
    let action = w.action("a", "http@1.0.0");
    let two = Turn { max_concurrent: Some(2), ..Turn::default() };
    let executions: Vec<Execution> = (0..5).map(|_| with(&w, &action, two.clone())).collect();
    add(&w, &executions).await;
    let first = take(&w, 9).await;
    assert_eq!(first, [executions[0].id, executions[1].id]);
    let aside = w.execution_now(executions[2].id).await;
    assert_eq!((aside.turn.aside, aside.run_at), (true, Some(w.now().plus(ASIDE))));
    assert!(take(&w, 9).await.is_empty());
    end(&w, first[0], Status::Succeeded).await;
    assert!(take(&w, 9).await.is_empty(), "aside until it is called back");
    w.write(Write::CallBack(action.id, None, w.now())).await;
    let next = take(&w, 9).await;
    assert_eq!(next, [executions[2].id]);
    assert!(!w.execution_now(next[0]).await.turn.aside);
    // Nobody called: the time does.
    end(&w, next[0], Status::Succeeded).await;
    w.clock.advance(ASIDE);
    assert_eq!(take(&w, 9).await, [executions[3].id]);
    // What takes no seat leaves those that there are, and waits for none.
    let endless = with(&w, &action, two.of_its_own());
    add(&w, std::slice::from_ref(&endless)).await;
    assert_eq!(take(&w, 9).await, [endless.id]);
    assert_eq!(w.execution_now(endless.id).await.turn, endless.turn);
    end(&w, executions[1].id, Status::Succeeded).await;
    w.clock.advance(ASIDE);
    assert_eq!(take(&w, 9).await, [executions[4].id]);
}

/// However many claim at once.
pub async fn seats_are_kept_among_many_workers(store: Arc<dyn Store>) {
    let w = Arc::new(World::new(store));
    let action = w.action("a", "http@1.0.0");
    let three = Turn { max_concurrent: Some(3), ..Turn::default() };
    add(&w, &(0..40).map(|_| with(&w, &action, three.clone())).collect::<Vec<_>>()).await;
    let claims = (200..210).map(|seed| {
        let w = Arc::clone(&w);
        tokio::spawn(async move {
            let claim = w.claim_with(w.random.uuid(), 2, seed);
            w.store.claim(claim).await.unwrap().executions.len()
        })
    });
    let mut taken = 0;
    for claim in claims.collect::<Vec<_>>() {
        taken += claim.await.unwrap();
    }
    assert_eq!(taken, 3);
}

/// One at a time with the same key, in the order of their ids; behind a failed one as told.
pub async fn keys_are_kept_in_order(store: Arc<dyn Store>) {
    let w = World::new(store);
    let action = w.action("a", "http@1.0.0");
    let key = |key: &str, order_blocks| Turn { ordering_key: Some(key.into()), order_blocks, ..Turn::default() };
    let executions = [("x", true), ("y", false), ("x", true), ("y", false), ("x", false)]
        .map(|(name, blocks)| with(&w, &action, key(name, blocks)));
    add(&w, &executions).await;
    let call = async || w.write(Write::CallBack(action.id, Some("x".into()), w.now())).await;
    assert_eq!(take(&w, 9).await, [executions[0].id, executions[1].id]);
    end(&w, executions[0].id, Status::Failed).await;
    end(&w, executions[1].id, Status::Failed).await;
    call().await;
    assert_eq!(take(&w, 9).await, [executions[3].id], "the failed x blocks, the failed y does not");
    let failed = w.execution_now(executions[0].id).await;
    let gone = Execution { status: Status::Cancelled, ..failed };
    w.write(Write::UpdateExecutionIfStatus(Box::new(gone), Status::Failed, 1)).await;
    call().await;
    assert_eq!(take(&w, 9).await, [executions[2].id]);
    end(&w, executions[2].id, Status::Succeeded).await;
    call().await;
    assert_eq!(take(&w, 9).await, [executions[4].id]);
    // What is tried again waits for what began meanwhile, although that came later.
    let cancelled = w.execution_now(executions[0].id).await;
    let again = Execution { status: Status::Waiting, run_at: Some(w.now()), ended_at: None, ..cancelled };
    w.write(Write::UpdateExecutionIfStatus(Box::new(again), Status::Cancelled, 1)).await;
    assert!(take(&w, 9).await.is_empty());
    end(&w, executions[4].id, Status::Succeeded).await;
    call().await;
    assert_eq!(take(&w, 9).await, [executions[0].id]);
}

/// Each gets its time, and keeps it.
pub async fn a_rate_spreads_an_action(store: Arc<dyn Store>) {
    let w = World::new(store);
    let action = w.action("a", "http@1.0.0");
    let paced = Turn { rate: Some(Rate { per_second: 2.0, burst: 1 }), ..Turn::default() };
    let executions: Vec<Execution> = (0..4).map(|_| with(&w, &action, paced.clone())).collect();
    add(&w, &executions).await;
    for execution in &executions {
        assert_eq!(take(&w, 9).await, [execution.id]);
        w.clock.advance(Duration::from_millis(499));
        assert!(take(&w, 9).await.is_empty());
        w.clock.advance(Duration::from_millis(1));
    }
}

/// A remote asked an action to wait.
pub async fn an_action_can_be_slowed_down(store: Arc<dyn Store>) {
    let w = World::new(store);
    let (slow, other) = (w.action("a", "http@1.0.0"), w.action("b", "http@1.0.0"));
    let executions = [w.queued(&slow), w.queued(&other)];
    add(&w, &executions).await;
    let until = w.now().plus(Duration::from_secs(7));
    assert_eq!(w.store.paused_until(slow.id).await.unwrap(), None);
    w.write(Write::SlowDown(slow.id, until)).await;
    w.write(Write::SlowDown(slow.id, w.now())).await;
    assert_eq!(w.store.paused_until(slow.id).await.unwrap(), Some(until));
    assert_eq!(w.store.paused_until(other.id).await.unwrap(), None);
    assert_eq!(take(&w, 9).await, [executions[1].id]);
    assert_eq!(w.execution_now(executions[0].id).await.run_at, Some(until));
    w.clock.advance(Duration::from_secs(7));
    assert_eq!(take(&w, 9).await, [executions[0].id]);
}

/// Also what its rate has given a time already, and without a burst behind the pause.
pub async fn a_pause_stops_what_a_rate_has_counted(store: Arc<dyn Store>) {
    let w = World::new(store);
    let action = w.action("a", "http@1.0.0");
    let paced = Turn { rate: Some(Rate { per_second: 1.0, burst: 2 }), ..Turn::default() };
    let executions: Vec<Execution> = (0..6).map(|_| with(&w, &action, paced.clone())).collect();
    add(&w, &executions).await;
    assert_eq!(take(&w, 9).await, [executions[0].id, executions[1].id]);
    let asked = w.now();
    let after = |seconds| Some(asked.plus(Duration::from_secs(seconds)));
    w.write(Write::SlowDown(action.id, after(3).unwrap())).await;
    for seconds in [1, 2] {
        w.clock.set(after(seconds).unwrap());
        assert!(take(&w, 9).await.is_empty(), "counted for {seconds} s, and asked to wait");
    }
    assert_eq!(w.store.paused_until(action.id).await.unwrap(), after(3));
    let mut times = Vec::new();
    for execution in &executions[2..] {
        let waits = w.execution_now(execution.id).await;
        assert!(waits.turn.counted);
        times.push(waits.run_at);
    }
    // The last two keep the places that they had, and the others come behind them.
    assert_eq!(times, [after(5), after(6), after(3), after(4)]);
    for number in [4, 5, 2, 3] {
        w.clock.advance(Duration::from_secs(1));
        assert_eq!(take(&w, 9).await, [executions[number].id]);
    }
}

/// A mistake is put right: what a rate has counted, and what a remote asked for.
pub async fn a_pace_and_a_pause_can_be_taken_back(store: Arc<dyn Store>) {
    let w = World::new(store);
    let (action, other) = (w.action("a", "http@1.0.0"), w.action("b", "http@1.0.0"));
    let paced = |per_second| Turn { rate: Some(Rate { per_second, burst: 1 }), ..Turn::default() };
    let slow: Vec<Execution> = (0..4).map(|_| with(&w, &action, paced(0.1))).collect();
    add(&w, &slow).await;
    let until = w.now().plus(Duration::from_secs(1000));
    w.write(Write::SlowDown(other.id, until)).await;
    w.write(Write::SlowDown(action.id, w.now())).await;
    assert_eq!(take(&w, 9).await, [slow[0].id]);
    let both =
        |action: &Action| UnitOfWork::new().write(Write::EndPause(action.id)).write(Write::ForgetPace(action.id));
    // Those who have neither are not harmed, and a unit that is refused takes nothing back.
    w.commit(both(&w.action("c", "http@1.0.0"))).await;
    let late = Write::RequireLease(slow[0].id, w.lease(w.random.uuid(), 7));
    for action in [&action, &other] {
        w.refused(both(action).write(late.clone())).await;
    }
    assert_eq!(w.store.paused_until(other.id).await.unwrap(), Some(until));
    let queued = [with(&w, &action, paced(10.0)), w.queued(&other)];
    add(&w, &queued).await;
    assert!(take(&w, 9).await.is_empty());
    assert_eq!(w.execution_now(queued[0].id).await.given_time(), Some(w.now().plus(Duration::from_secs(40))));
    for action in [&action, &other] {
        w.commit(both(action)).await;
    }
    assert_eq!(w.store.paused_until(other.id).await.unwrap(), None);
    assert_eq!(w.store.paused_until(action.id).await.unwrap(), None);
    let new = [with(&w, &action, paced(10.0)), w.queued(&other)];
    add(&w, &new).await;
    assert_eq!(take(&w, 9).await, [new[0].id, new[1].id]);
    let next = with(&w, &action, paced(10.0));
    add(&w, std::slice::from_ref(&next)).await;
    assert!(take(&w, 9).await.is_empty(), "the new rate counts from the beginning");
    // What had its time keeps it.
    w.clock.advance(Duration::from_secs(10));
    assert_eq!(take(&w, 9).await, [next.id, slow[1].id]);
    w.write(Write::SlowDown(other.id, until)).await;
    assert_eq!(w.store.paused_until(other.id).await.unwrap(), Some(until), "a remote may ask again");
}

/// Looked at again the later the longer it has waited.
pub async fn who_is_behind_another_is_looked_at_seldom(store: Arc<dyn Store>) {
    let w = World::new(store);
    let action = w.action("a", "http@1.0.0");
    let key = Turn { ordering_key: Some("x".into()), order_blocks: true, ..Turn::default() };
    let [first, second] = [0; 2].map(|_| with(&w, &action, key.clone()));
    add(&w, &[first.clone(), second.clone()]).await;
    assert_eq!(take(&w, 1).await, [first.id]);
    let pause = async || {
        w.write(Write::CallBack(action.id, Some("x".into()), w.now())).await;
        assert!(take(&w, 9).await.is_empty());
        let aside = w.execution_now(second.id).await;
        assert!(aside.turn.aside);
        aside.run_at.unwrap().since(w.now())
    };
    assert_eq!(pause().await, ASIDE);
    w.clock.advance(Duration::from_mins(2));
    assert_eq!(pause().await, Duration::from_secs(10));
    end(&w, first.id, Status::Failed).await;
    w.clock.advance(Duration::from_mins(4));
    assert_eq!(pause().await, Duration::from_secs(30));
    w.clock.advance(Duration::from_hours(4));
    assert_eq!(pause().await, ASIDE_MAX);
    w.clock.advance(ASIDE_MAX.checked_sub(Duration::from_micros(1)).unwrap());
    assert!(take(&w, 9).await.is_empty());
    assert_eq!(w.execution_now(second.id).await.run_at, Some(w.now().plus(Duration::from_micros(1))), "nobody looked");
    // Somebody acts.
    let failed = w.execution_now(first.id).await;
    let gone = Execution { status: Status::Cancelled, ..failed };
    w.write(Write::UpdateExecutionIfStatus(Box::new(gone), Status::Failed, 1)).await;
    w.write(Write::CallBack(action.id, Some("x".into()), w.now())).await;
    assert_eq!(take(&w, 9).await, [second.id]);
}

/// Not taken, and found.
pub async fn what_is_too_late_is_found(store: Arc<dyn Store>) {
    let w = World::new(store);
    let action = w.action("a", "http@1.0.0");
    let until = |seconds| Turn { expires_at: Some(w.now().plus(Duration::from_secs(seconds))), ..Turn::default() };
    let executions = [with(&w, &action, until(20)), with(&w, &action, until(10)), w.queued(&action)];
    add(&w, &executions).await;
    assert!(w.store.expired(w.now(), 9).await.unwrap().is_empty());
    w.clock.advance(Duration::from_secs(20));
    assert_eq!(take(&w, 9).await, [executions[2].id]);
    let late = w.store.expired(w.now(), 9).await.unwrap();
    assert_eq!(late, [executions[1].clone(), executions[0].clone()]);
    assert_eq!(w.store.expired(w.now(), 1).await.unwrap().len(), 1);
    let mut spared = late[0].clone();
    spared.turn.expires_at = None;
    w.write(Write::UpdateExecutionIfStatus(Box::new(spared), Status::Queued, 0)).await;
    assert_eq!(w.store.expired(w.now(), 9).await.unwrap(), late[1..]);
    for execution in late {
        let expired = Execution { status: Status::Expired, run_at: None, ..execution };
        w.write(Write::UpdateExecutionIfStatus(Box::new(expired), Status::Queued, 0)).await;
    }
    assert!(w.store.expired(w.now(), 9).await.unwrap().is_empty());
}

/// By id, only what is due.
pub async fn a_claim_can_name_what_it_wants(store: Arc<dyn Store>) {
    let w = World::new(store);
    let action = w.action("a", "http@1.0.0");
    let later = Execution { run_at: Some(w.now().plus(Duration::from_secs(1))), ..w.queued(&action) };
    let executions = [w.queued(&action), w.queued(&action), later];
    add(&w, &executions).await;
    let unknown = w.random.execution_id();
    let only = vec![executions[2].id, executions[1].id, unknown, executions[1].id];
    let claim = || Claim { only: Some(only.clone()), ..w.claim(w.random.uuid(), 9) };
    let claimed = w.store.claim(claim()).await.unwrap();
    assert_eq!(claimed.executions.iter().map(|e| e.id).collect::<Vec<_>>(), [executions[1].id]);
    assert!(w.store.claim(claim()).await.unwrap().executions.is_empty());
    assert_eq!(take(&w, 9).await, [executions[0].id]);
}

/// Of a running attempt, by whoever runs it.
pub async fn a_cancel_request_reaches_the_worker(store: Arc<dyn Store>) {
    let w = World::new(store);
    let action = w.action("a", "http@1.0.0");
    let (mine, theirs) = (w.random.uuid(), w.random.uuid());
    let running = [w.running(&action, mine), w.running(&action, theirs)];
    let queued = w.queued(&action);
    add(&w, &[running.to_vec(), vec![queued.clone()]].concat()).await;
    w.write(Write::RequestCancelIfRunning(running[0].id, 1)).await;
    for (id, attempt) in [(running[1].id, 2), (queued.id, 0), (w.random.execution_id(), 1)] {
        let unit = UnitOfWork::new().write(Write::RequestCancelIfRunning(id, attempt));
        assert_eq!(w.refused(unit).await, Conflict::StatusMismatch);
    }
    assert!(w.execution_now(running[0].id).await.cancel_requested);
    assert_eq!(w.store.to_cancel(mine).await.unwrap(), [running[0].id]);
    assert!(w.store.to_cancel(theirs).await.unwrap().is_empty());
    end(&w, running[0].id, Status::Cancelled).await;
    assert!(w.store.to_cancel(mine).await.unwrap().is_empty());
}

/// Whoever writes how the attempt ended either ends the execution or hears of the request.
pub async fn a_cancel_request_is_not_written_over(store: Arc<dyn Store>) {
    let w = World::new(store);
    let worker = w.random.uuid();
    let running = [0; 4].map(|_| w.running(&w.action("a", "http@1.0.0"), worker));
    add(&w, &running).await;
    let lease = running[0].lease.unwrap();
    let update = |execution: Execution| Write::UpdateExecutionIfLeased(Box::new(execution), lease);
    let in_doubt = |execution: &Execution| Execution { status: Status::InDoubt, ..w.waiting(execution) };
    for execution in &running[..3] {
        w.write(Write::RequestCancelIfRunning(execution.id, 1)).await;
        let later = Execution { lease: Some(w.lease(worker, 1)), ..execution.clone() };
        for goes_on in [w.waiting(execution), in_doubt(execution), later] {
            let unit = UnitOfWork::new().write(update(goes_on)).event(w.any_event());
            assert_eq!(w.refused(unit).await, Conflict::CancelRequested);
        }
        assert!(w.execution_now(execution.id).await.cancel_requested);
    }
    // What says so itself stays asked to stop, also in the next unit.
    w.write(update(Execution { cancel_requested: true, ..running[0].clone() })).await;
    assert_eq!(w.refused(UnitOfWork::new().write(update(w.waiting(&running[0])))).await, Conflict::CancelRequested);
    w.write(update(Execution { status: Status::Cancelled, lease: None, ..running[0].clone() })).await;
    // It had ended before anybody could stop it.
    w.write(update(w.succeeded(&running[1]))).await;
    w.write(update(Execution { status: Status::Failed, ..w.succeeded(&running[2]) })).await;
    // Within one unit too; and whoever has lost the lease hears that first.
    let both = UnitOfWork::new().write(Write::RequestCancelIfRunning(running[3].id, 1));
    assert_eq!(w.refused(both.write(update(w.waiting(&running[3])))).await, Conflict::CancelRequested);
    w.write(update(w.waiting(&running[3]))).await;
    assert_eq!(w.refused(UnitOfWork::new().write(update(w.waiting(&running[3])))).await, Conflict::LeaseLost);
}

/// Also where nothing else is written.
pub async fn a_lease_can_be_required(store: Arc<dyn Store>) {
    let w = World::new(store);
    let worker = w.random.uuid();
    let running = w.running(&w.action("a", "http@1.0.0"), worker);
    add(&w, std::slice::from_ref(&running)).await;
    let holding = |attempt| {
        UnitOfWork::new().write(Write::RequireLease(running.id, w.lease(worker, attempt))).event(w.any_event())
    };
    w.commit(holding(1)).await;
    assert_eq!(w.refused(holding(2)).await, Conflict::LeaseLost);
    assert_eq!(w.execution_now(running.id).await, running);
    end(&w, running.id, Status::Succeeded).await;
    assert_eq!(w.refused(holding(1)).await, Conflict::LeaseLost);
}

/// Those of a worker that it names, never to an earlier time; the fence stays.
pub async fn leases_are_renewed(store: Arc<dyn Store>) {
    let w = World::new(store);
    let action = w.action("a", "http@1.0.0");
    let (mine, theirs) = (w.random.uuid(), w.random.uuid());
    let running = [w.running(&action, mine), w.running(&action, mine), w.running(&action, theirs)];
    add(&w, &running).await;
    let until = async |number: usize| w.execution_now(running[number].id).await.lease.unwrap().until;
    let (first, later) = (until(0).await, until(0).await.plus(Duration::from_secs(30)));
    let all: Vec<_> = running.iter().map(|execution| execution.id).collect();
    w.write(Write::RenewLeases(mine, vec![all[0], all[2], w.queued(&action).id], later)).await;
    w.write(Write::RenewLeases(mine, all, first)).await;
    assert_eq!([until(0).await, until(1).await, until(2).await], [later, first, first]);
    assert_eq!(w.store.abandoned(first.plus(Duration::from_secs(1)), None, 9).await.unwrap().len(), 2);
    end(&w, running[0].id, Status::Succeeded).await;
}

/// The same key of the same action is used once.
pub async fn idempotency_keys_are_used_once(store: Arc<dyn Store>) {
    let w = World::new(store);
    let (action, other) = (w.action("a", "http@1.0.0"), w.action("b", "http@1.0.0"));
    let execution = w.queued(&action);
    let key = IdempotencyKey {
        action: action.id,
        key: "order-7".into(),
        fingerprint: Digest::of(b"body"),
        execution: execution.id,
        created_at: w.now(),
    };
    let adding = |key: &IdempotencyKey| {
        let execution = Execution { id: key.execution, ..w.queued(&action) };
        UnitOfWork::new()
            .write(Write::AddIdempotencyKey(Box::new(key.clone())))
            .write(Write::AddExecution(Box::new(execution)))
            .event(w.any_event())
    };
    w.commit(adding(&key)).await;
    let again = IdempotencyKey { execution: w.random.execution_id(), ..key.clone() };
    assert_eq!(w.refused(adding(&again)).await, Conflict::KeyUsed(Box::new(key.clone())));
    assert!(w.store.execution(again.execution).await.unwrap().is_none());
    assert_eq!(w.store.idempotency_key(action.id, "order-7").await.unwrap(), Some(key));
    assert_eq!(w.store.idempotency_key(other.id, "order-7").await.unwrap(), None);
    w.commit(adding(&IdempotencyKey { action: other.id, ..again.clone() })).await;
    let day = Duration::from_hours(24);
    let next_day =
        IdempotencyKey { created_at: again.created_at.plus(day), execution: w.random.execution_id(), ..again };
    w.commit(adding(&next_day)).await;
    assert_eq!(w.store.idempotency_key(action.id, "order-7").await.unwrap(), Some(next_day));
}

/// Each once, until it is time to name them again.
pub async fn what_is_due_is_offered(store: Arc<dyn Store>) {
    let w = World::new(store);
    let action = w.action("a", "http@1.0.0");
    let later = Execution { run_at: Some(w.now().plus(Duration::from_mins(1))), ..w.queued(&action) };
    let first = w.queued(&action);
    let retry = Execution { status: Status::Waiting, attempt: 2, ..w.queued(&action) };
    let executions = [first, retry, later];
    add(&w, &executions).await;
    let named = [(executions[0].id, 1), (executions[1].id, 3)];
    let long_ago = w.now();
    assert_eq!(w.store.offer(w.now(), long_ago, 1).await.unwrap(), named[..1]);
    assert_eq!(w.store.offer(w.now(), long_ago, 9).await.unwrap(), named[1..]);
    assert!(w.store.offer(w.now(), long_ago, 9).await.unwrap().is_empty());
    w.clock.advance(Duration::from_secs(30));
    assert_eq!(w.store.offer(w.now(), w.now(), 9).await.unwrap(), named, "nobody took them");
    assert_eq!(take(&w, 9).await, [executions[0].id, executions[1].id]);
    assert!(w.store.offer(w.now(), w.now(), 9).await.unwrap().is_empty());
    // A retry is another thing to name, at once.
    let running = w.execution_now(executions[0].id).await;
    let waiting = Execution { run_at: Some(w.now()), ..w.waiting(&running) };
    w.write(Write::UpdateExecutionIfLeased(Box::new(waiting), running.lease.unwrap())).await;
    assert_eq!(w.store.offer(w.now(), long_ago, 9).await.unwrap(), [(executions[0].id, 2)]);
}

/// Of this attempt and of no other.
pub async fn what_was_sent_is_known(store: Arc<dyn Store>) {
    let w = World::new(store);
    let running = w.running(&w.action("a", "http@1.0.0"), w.random.uuid());
    add(&w, std::slice::from_ref(&running)).await;
    assert!(!w.store.has_sent(running.id, 1).await.unwrap());
    w.commit(UnitOfWork::new().event(w.event(EventType::AttemptSending, w.context(&running)))).await;
    assert!(w.store.has_sent(running.id, 1).await.unwrap());
    assert!(!w.store.has_sent(running.id, 2).await.unwrap());
}

/// With its events and what only they needed; everything else stays where it is.
pub async fn what_ended_long_ago_is_removed(store: Arc<dyn Store>) {
    let w = World::new(store);
    let action = w.action("a", "http@1.0.0");
    let payloads: Vec<Vec<u8>> = (0..3).map(|n| vec![n; 70_000]).collect();
    let mut executions = Vec::new();
    for payload in [0, 1, 1] {
        let execution = w.succeeded(&w.running(&action, w.random.uuid()));
        let digest = Digest::of(&payloads[payload]);
        let mut event = w.event(EventType::TriggerReceived, w.context(&execution));
        event.payload = Some(digest);
        let unit = UnitOfWork::new()
            .write(Write::AddPayload(digest, payloads[payload].clone().into()))
            .write(Write::AddExecution(Box::new(execution.clone())));
        w.commit(unit.event(event).event(w.any_event())).await;
        executions.push(execution);
        w.clock.advance(Duration::from_secs(10));
    }
    add(&w, &[w.queued(&action)]).await;
    let before = executions[2].ended_at.unwrap();
    let log = w.log().await;
    let prune = |limit| {
        let event = w.event(EventType::EventsPruned, Context::default());
        Prune { before, now: w.now(), through: Position::MAX, limit, recorded: Box::new(move |_| event.clone()) }
    };
    let one = w.store.prune(prune(1)).await.unwrap();
    assert_eq!((one.executions, one.events, one.payloads), (1, 1, 1));
    let two = w.store.prune(prune(9)).await.unwrap();
    assert_eq!((two.executions, two.events, two.payloads), (1, 1, 0), "the third needs the payload too");
    assert_eq!(w.store.prune(prune(9)).await.unwrap().executions, 0);
    for execution in &executions[..2] {
        assert!(w.store.execution(execution.id).await.unwrap().is_none());
    }
    assert!(w.store.execution(executions[2].id).await.unwrap().is_some());
    assert!(w.store.payload(&Digest::of(&payloads[0])).await.unwrap().is_none());
    assert!(w.store.payload(&Digest::of(&payloads[1])).await.unwrap().is_some());
    let stays: Vec<_> = log.iter().map(|event| event.position).filter(|position| ![1, 3].contains(position)).collect();
    let after = w.log().await;
    assert_eq!(after.iter().map(|event| event.position).collect::<Vec<_>>(), [stays, vec![7, 8]].concat());
    assert_eq!(w.commit(UnitOfWork::new().event(w.any_event())).await, 9, "positions are not used again");
}

/// What holds something up, and what a young key leads to.
pub async fn what_is_still_needed_is_not_removed(store: Arc<dyn Store>) {
    let w = World::new(store);
    let action = w.action("a", "http@1.0.0");
    // A key may say anything, also what the rules say elsewhere.
    let key = r#""order_blocks":true"#;
    let order = |order_blocks| Turn { ordering_key: Some(key.into()), order_blocks, ..Turn::default() };
    let ended = |status, turn| Execution { status, turn, ..w.succeeded(&w.running(&action, w.random.uuid())) };
    let blocking = ended(Status::Failed, order(true));
    let executions = [
        blocking.clone(),
        ended(Status::Failed, order(false)),
        ended(Status::Failed, Turn::default()),
        ended(Status::Succeeded, order(true)),
        ended(Status::Succeeded, Turn::default()),
    ];
    add(&w, &executions).await;
    let keyed = &executions[4];
    let key = IdempotencyKey {
        action: action.id,
        key: "order-7".into(),
        fingerprint: Digest::of(b"body"),
        execution: keyed.id,
        created_at: w.now(),
    };
    w.write(Write::AddIdempotencyKey(Box::new(key.clone()))).await;
    let prune = async || {
        let event = w.event(EventType::EventsPruned, Context::default());
        let before = w.now().plus(Duration::from_secs(1));
        let prune = Prune {
            before,
            now: w.now(),
            through: Position::MAX,
            limit: 9,
            recorded: Box::new(move |_| event.clone()),
        };
        w.store.prune(prune).await.unwrap().executions
    };
    w.clock.set(w.now().plus(IDEMPOTENCY_KEY_FOR).minus(Duration::from_micros(1)));
    assert_eq!(prune().await, 3);
    assert_eq!(w.execution_now(blocking.id).await, blocking);
    assert_eq!(w.store.idempotency_key(action.id, "order-7").await.unwrap(), Some(key));
    assert_eq!(w.execution_now(keyed.id).await, *keyed);
    w.clock.advance(Duration::from_micros(1));
    assert_eq!(prune().await, 1);
    assert_eq!(w.store.idempotency_key(action.id, "order-7").await.unwrap(), None);
    let dismissed = Execution { status: Status::Cancelled, ..blocking.clone() };
    w.write(Write::UpdateExecutionIfStatus(Box::new(dismissed), Status::Failed, 1)).await;
    assert_eq!(prune().await, 1);
    assert!(w.store.execution(blocking.id).await.unwrap().is_none());
}
