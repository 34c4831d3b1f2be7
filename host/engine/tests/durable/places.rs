//! What a process has, from the claim to the end: it can be stopped at every moment, is lost where its
//! lease is, and is given back where there is no place for it.

use super::*;
use action_domain::{capture::Item, services::GuestTrigger};
use serde_json::json;
use std::sync::atomic::{AtomicU64, Ordering};

/// As many subscriptions as one process keeps running.
const MOST: usize = action_domain::limits::CONTINUOUS_MAX;

#[tokio::test(start_paused = true)]
async fn subscriptions_without_a_place_are_given_back_and_run_once_when_there_is_one() {
    let mut t = Test::new(|_| {}).await;
    let engine = t.process_with(1, |parts| parts.exclusive_store = true).await;
    let mut attempts = Vec::new();
    for number in 0..MOST + 2 {
        let members = json!({"triggers": [{"type": "continuous"}], "limits": {"timeout_ms": 1000}});
        t.save_as(&engine, &format!("s{number}"), members).await;
    }
    for _ in 0..MOST {
        attempts.push(t.attempt().await);
    }
    let held = |attempts: &[Attempt], action: &Action| attempts.iter().any(|it| it.request.action == action.id);
    for _ in 0..30 {
        assert!(t.is_quiet().await, "ten minutes, and no further one runs");
    }
    let abandoned = EventFilter { types: vec![EventType::AttemptAbandoned], ..EventFilter::default() };
    let events = t.store.events(&abandoned, Page { after: None, limit: 9 }).await.unwrap();
    assert!(events.is_empty(), "nobody was lost: {events:?}");
    let mut removed = 0;
    for number in 0..MOST + 2 {
        let key = ActionKey::Name(format!("s{number}").parse().unwrap());
        let action = t.store.action(&key).await.unwrap().unwrap();
        if removed < 2 && held(&attempts, &action) {
            engine.remove_action(&key, None, &Actor::Admin).await.unwrap();
            removed += 1;
        }
    }
    let others = [t.attempt().await, t.attempt().await];
    assert!(others.iter().all(|other| other.request.trigger == GuestTrigger::Continuous));
    assert_ne!(others[0].request.action, others[1].request.action);
    assert!(t.is_quiet().await, "each runs once");
    // At the end nobody waits for what has no end.
    assert!(engine.stop(Duration::from_secs(1)).await);
}

/// A process that was held up sees that it is later than it thought.
struct HeldUp {
    clock: Arc<RuntimeClock>,
    seconds: AtomicU64,
}

impl Clock for HeldUp {
    fn now(&self) -> Timestamp {
        self.clock.now().plus(Duration::from_secs(self.seconds.load(Ordering::SeqCst)))
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_held_up_beyond_its_lease_stops_before_it_goes_on() {
    let mut t = Test::new(|_| {}).await;
    let clock = Arc::new(HeldUp { clock: t.clock.clone(), seconds: AtomicU64::new(0) });
    let own = clock.clone();
    let engine = t.process_with(1, |parts| parts.clock = own).await;
    t.save(&engine, "subscription", json!([{"type": "continuous"}])).await;
    let mut attempt = t.attempt().await;
    assert!(t.is_quiet().await && t.is_quiet().await && t.is_quiet().await, "it keeps its lease");
    clock.seconds.store(2 * LEASE.as_secs(), Ordering::SeqCst);
    timeout(LEASE, attempt.answer.closed()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_lease_is_renewed_only_of_what_a_process_has() {
    let mut t = Test::new(|_| {}).await;
    let engine = t.process(true, 1).await;
    let busy = id(&engine.dispatch(t.call(false)).await.unwrap());
    let has = t.attempt().await;
    // Claimed in its name, and lost on the way: a read failed, or the answer to the claim.
    let idle = t.idle(2);
    let lost = id(&idle.dispatch(t.call(false)).await.unwrap());
    let worker = t.store.execution(busy).await.unwrap().unwrap().lease.unwrap().worker;
    t.w.clock.set(t.clock.now());
    assert_eq!(t.store.claim(t.w.claim(worker, 9)).await.unwrap().executions.len(), 1);
    let again = t.attempt().await;
    assert_eq!((again.request.execution, again.request.attempt), (lost, 2), "somebody takes it up");
    again.succeed();
    t.until(lost, Status::Succeeded).await;
    has.succeed();
    t.until(busy, Status::Succeeded).await;
}

#[tokio::test(start_paused = true)]
async fn a_process_that_ends_repeats_nothing_that_may_have_done_harm() {
    for (on_doubt, expected) in [(OnDoubt::Fail, Status::Failed), (OnDoubt::Hold, Status::InDoubt)] {
        let mut t = Test::new(|action| {
            action.effect = Effect::Unsafe;
            action.spec.delivery.on_doubt = on_doubt;
            action.spec.delivery.max_attempts = 5;
        })
        .await;
        let engine = t.process(true, 1).await;
        let began = id(&engine.dispatch(t.call(false)).await.unwrap());
        let attempt = t.attempt().await;
        attempt.request.sending.as_ref().unwrap().begins().await.unwrap();
        assert!(engine.stop(Duration::from_secs(1)).await);
        assert_eq!(t.status(began).await, expected);
        let _next = t.process(true, 2).await;
        assert!(t.is_quiet().await);
    }
}

#[tokio::test(start_paused = true)]
async fn a_running_execution_is_stopped_wherever_it_runs() {
    let mut t = Test::new(|_| {}).await;
    let (api, worker) = (t.process(false, 1).await, t.process(true, 2).await);
    let began = api.dispatch(t.call(false)).await.unwrap();
    let mut attempt = t.attempt().await;
    api.cancel_execution(id(&began), &Actor::Admin).await.unwrap();
    timeout(Duration::from_mins(1), attempt.answer.closed()).await.unwrap();
    t.until(id(&began), Status::Cancelled).await;
    assert_eq!(t.types(id(&began)).await.last().unwrap(), "execution_cancelled");
    // In the same process it is over when the answer comes.
    let began = worker.dispatch(t.call(false)).await.unwrap();
    let attempt = t.attempt().await;
    let view = worker.cancel_execution(id(&began), &Actor::Admin).await.unwrap();
    assert_eq!(view.execution.status, Status::Cancelled);
    assert!(attempt.answer.is_closed());
    let again = worker.cancel_execution(id(&began), &Actor::Admin).await.unwrap_err();
    assert!(matches!(again, EngineError::Conflict { code: "already_ended", .. }));
}

#[tokio::test(start_paused = true)]
async fn what_is_still_being_prepared_can_be_cancelled() {
    for exclusive in [false, true] {
        let mut t = Test::new(|_| {}).await;
        let engine = t.process_with(1, |parts| parts.exclusive_store = exclusive).await;
        let transform = json!({"input_transform": {"language": "jq", "expression": "waits"}});
        let action = t.save_as(&engine, "slow", transform).await;
        for wait in [false, true] {
            let call = Dispatch { action: ActionKey::Id(action.id), ..t.call(wait) };
            let (other, positions) = (engine.clone(), t.store.follow());
            let calling = tokio::spawn(async move { other.dispatch(call).await });
            let began = begun(&t, &action, positions).await;
            engine.cancel_execution(began, &Actor::Admin).await.unwrap();
            t.until(began, Status::Cancelled).await;
            let _ = calling.await.unwrap().unwrap();
        }
        assert!(t.is_quiet().await, "nothing of them ran");
    }
}

/// The execution of an action that is running.
async fn begun(
    t: &Test,
    action: &Action,
    mut positions: Box<dyn action_domain::repositories::Positions>,
) -> ExecutionId {
    let begun = async {
        loop {
            let started = t.events_of(action, EventType::AttemptStarted).await;
            let last = started.last().and_then(|event| event.context.execution);
            if let Some(id) = last
                && t.status(id).await == Status::Running
            {
                return id;
            }
            positions.changed().await;
        }
    };
    timeout(Duration::from_hours(1), begun).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn what_was_taken_from_the_remote_is_kept_where_only_the_output_transform_fails() {
    let mut t = Test::new(|_| {}).await;
    let engine = t.process(true, 1).await;
    let transform = json!({"output_transform": {"language": "jq", "expression": "fails"}});
    let action = t.save_as(&engine, "reads", transform).await;
    let call = Dispatch { action: ActionKey::Id(action.id), ..t.call(false) };
    let began = id(&engine.dispatch(call).await.unwrap());
    let mut captured = Captured::default();
    let content = Payload { content_type: "text/plain".into(), data: Bytes::from_static(b"news") };
    captured.emit(Item { key: None, kind: "entry".into(), content }).unwrap();
    t.attempt().await.succeed_with(captured);
    t.until(began, Status::Failed).await;
    assert_eq!(t.events_of(&action, EventType::ItemCaptured).await.len(), 1);
}
