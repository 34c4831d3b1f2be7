//! What the service notices by itself: times that come, events that match, what is kept running, and
//! what executions bring in from outside.

use super::*;
use action_domain::{action::ActionSpec, capture::Item, event::Event, services::GuestTrigger};
use action_engine::{Editor, Expected};
use serde_json::{Value, json};
use std::collections::BTreeMap;

impl Attempt {
    pub(crate) fn succeed_with(self, captured: Captured) {
        let output = Payload { content_type: "application/json".into(), data: Bytes::from_static(b"1") };
        let result = Ok(Outcome { output, reply: None });
        let (receipt, sent) = (Receipt::default(), Sent::Acknowledged);
        let _ = self.answer.send(AttemptReport { result, receipt, sent, effect: None, captured });
    }
}

impl Test {
    pub(crate) async fn save(&self, engine: &Engine, name: &str, triggers: Value) -> Action {
        self.save_as(engine, name, json!({"triggers": triggers})).await
    }

    pub(crate) async fn save_as(&self, engine: &Engine, name: &str, members: Value) -> Action {
        let mut document = json!({"name": name, "protocol": "http", "config": {}});
        document.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        let spec: ActionSpec = serde_json::from_value(document).unwrap();
        let key = ActionKey::Name(name.parse().unwrap());
        let saved = engine.put_action(&key, spec, Expected::Anything, Editor::unlimited(&Actor::Admin)).await.unwrap();
        (*saved.action).clone()
    }

    pub(crate) async fn events_of(&self, action: &Action, r#type: EventType) -> Vec<Event> {
        let filter = EventFilter { types: vec![r#type], action: Some(action.id), ..EventFilter::default() };
        self.store.events(&filter, Page { after: None, limit: 500 }).await.unwrap()
    }

    pub(crate) async fn refusals(&self, action: &Action) -> Vec<String> {
        let code = |event: &Event| {
            let data: Value = serde_json::from_str(event.data.get()).unwrap();
            data["code"].as_str().unwrap().to_owned()
        };
        self.events_of(action, EventType::TriggerRefused).await.iter().map(code).collect()
    }
}

fn item(key: Option<&str>) -> Item {
    let content = Payload { content_type: "text/plain".into(), data: Bytes::from_static(b"news") };
    Item { key: key.map(Into::into), kind: "entry".into(), content }
}

fn captured(keys: &[&str], value: Option<&'static str>) -> Captured {
    let mut captured = Captured::default();
    for key in keys {
        captured.emit(item(Some(key))).unwrap();
    }
    if let Some(value) = value {
        captured.set(&BTreeMap::new(), "cursor".into(), Some(Bytes::from_static(value.as_bytes()))).unwrap();
    }
    captured
}

#[tokio::test(start_paused = true)]
async fn a_schedule_fires_once_whoever_looks() {
    let mut t = Test::new(|_| {}).await;
    let engines = [t.process(true, 1).await, t.process(true, 2).await, t.process(false, 3).await];
    let action = t.save(&engines[0], "tick", json!([{"type": "schedule", "every_ms": 60_000}])).await;
    let mut due = Vec::new();
    for _ in 0..10 {
        let attempt = t.attempt().await;
        let GuestTrigger::Schedule { due_at } = attempt.request.trigger else {
            panic!("{:?}", attempt.request.trigger)
        };
        assert_eq!(&attempt.request.input.data[..], b"null");
        due.push(due_at);
        attempt.succeed();
    }
    let minutes: Vec<i64> = due.windows(2).map(|two| two[1].as_micros() - two[0].as_micros()).collect();
    assert_eq!(minutes, vec![60_000_000; 9], "each minute once");
    t.save_as(&engines[1], "tick", json!({"triggers": [{"type": "schedule", "every_ms": 60_000}], "enabled": false}))
        .await;
    assert!(timeout(Duration::from_mins(10), t.attempts.recv()).await.is_err(), "a disabled action does not fire");
    assert_eq!(t.events_of(&action, EventType::TriggerReceived).await.len(), 10);
}

#[tokio::test(start_paused = true)]
async fn a_fire_that_overlaps_is_skipped_or_waits() {
    let mut t = Test::new(|_| {}).await;
    let engine = t.process(true, 1).await;
    let every = |overlap| json!([{"type": "schedule", "every_ms": 10_000, "overlap": overlap}]);
    let skips = t.save(&engine, "skips", every("skip")).await;
    let first = t.attempt().await;
    assert!(t.is_quiet().await && t.is_quiet().await, "the first has not ended");
    assert!(t.refusals(&skips).await.iter().all(|code| code == "overlap"));
    assert!(t.refusals(&skips).await.len() >= 2);
    first.succeed();
    t.attempt().await.succeed();
    engine.remove_action(&ActionKey::Id(skips.id), None, &Actor::Admin).await.unwrap();

    let queues = t.save(&engine, "queues", every("queue")).await;
    let first = t.attempt().await;
    assert!(t.is_quiet().await);
    first.fail(Advice::GiveUp);
    // What failed holds up nothing.
    t.attempt().await.succeed();
    assert!(t.refusals(&queues).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_nobody_was_there_for_is_made_up_for_as_said() {
    for (missed, runs, refused) in [("skip", 0, 1), ("run-once", 1, 1), ("run-all", 5, 0)] {
        let mut t = Test::new(|_| {}).await;
        let engine = t.process(true, 1).await;
        let schedule = json!([{"type": "schedule", "every_ms": 60_000, "missed": missed}]);
        let action = t.save(&engine, "tick", schedule).await;
        t.attempt().await.succeed();
        assert!(engine.stop(Duration::from_secs(1)).await);
        tokio::time::advance(Duration::from_secs(5 * 60 + 30)).await;
        let _again = t.process(true, 2).await;
        for _ in 0..runs {
            t.attempt().await.succeed();
        }
        assert!(t.is_quiet().await, "{missed}");
        assert_eq!(t.refusals(&action).await, vec!["schedule_missed"; refused], "{missed}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_event_sets_off_once_whoever_follows() {
    let mut t = Test::new(|_| {}).await;
    let engines = [t.process(true, 1).await, t.process(true, 2).await];
    let source = t.action.id.to_string();
    let trigger = json!([{"type": "event", "types": ["action_executed"], "action": source, "success": false}]);
    let alert = t.save(&engines[0], "alert", trigger).await;
    for fails in [true, false, true] {
        let called = engines[1].dispatch(t.call(false)).await.unwrap();
        let attempt = t.attempt().await;
        if !fails {
            attempt.succeed();
            t.until(id(&called), Status::Succeeded).await;
            assert!(t.is_quiet().await, "success is no reason for an alert");
            continue;
        }
        attempt.fail(Advice::GiveUp);
        let reaction = t.attempt().await;
        assert_eq!(reaction.request.action, alert.id);
        assert_eq!(&*reaction.request.correlation_id, id(&called).to_string(), "they belong together");
        let event: Value = serde_json::from_slice(&reaction.request.input.data).unwrap();
        assert_eq!((&event["specversion"], &event["type"]), (&json!("1.0"), &json!("action_executed")));
        assert_eq!(event["subject"], id(&called).to_string());
        let received = t.events_of(&alert, EventType::TriggerReceived).await.pop().unwrap();
        assert_eq!(received.context.causation_id.unwrap().to_string(), event["id"].as_str().unwrap());
        reaction.succeed();
    }
    assert!(t.is_quiet().await);
    assert_eq!(t.events_of(&alert, EventType::TriggerReceived).await.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_action_does_not_set_itself_off() {
    let mut t = Test::new(|_| {}).await;
    let engine = t.process(true, 1).await;
    let itself = json!([{"type": "event", "types": ["action_executed"], "action": "loops"}]);
    let action = t.save(&engine, "loops", itself).await;
    let mut call = t.call(false);
    call.action = ActionKey::Id(action.id);
    engine.dispatch(call).await.unwrap();
    t.attempt().await.succeed();
    assert!(t.is_quiet().await);
    assert!(t.refusals(&action).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_happened_while_nobody_was_there_sets_off_later_and_once() {
    let mut t = Test::new(|_| {}).await;
    let engine = t.process(true, 1).await;
    let source = t.action.id.to_string();
    let alert = json!([{"type": "event", "types": ["action_executed"], "action": source}]);
    let alert = t.save(&engine, "alert", alert).await;
    assert!(engine.stop(Duration::from_secs(1)).await);
    // A process that does not follow: it is killed before it looks.
    t.w.clock.set(t.clock.now());
    let ended = t.w.succeeded(&t.w.queued(&t.action));
    let event = t.w.event(EventType::ActionExecuted, t.w.context(&ended));
    t.w.commit(UnitOfWork::new().write(Write::AddExecution(Box::new(ended))).event(event)).await;
    for seed in 2..5 {
        let engine = t.process(true, seed).await;
        if seed == 2 {
            let reaction = t.attempt().await;
            assert_eq!(reaction.request.action, alert.id);
            reaction.succeed();
        }
        assert!(t.is_quiet().await);
        assert!(engine.stop(Duration::from_secs(1)).await);
    }
}

#[tokio::test(start_paused = true)]
async fn one_instance_runs_in_the_whole_system() {
    let mut t = Test::new(|_| {}).await;
    let engines = [t.process(true, 1).await, t.process(true, 2).await];
    let trigger = json!([{"type": "continuous", "initial_ms": 1000, "max_ms": 4000}]);
    let action = t.save(&engines[0], "subscription", trigger.clone()).await;
    let first = t.attempt().await;
    assert_eq!(first.request.trigger, GuestTrigger::Continuous);
    assert!(timeout(Duration::from_hours(2), t.attempts.recv()).await.is_err(), "it has no deadline and no double");
    first.fail(Advice::Retry);
    let mut waits = Vec::new();
    for _ in 0..4 {
        let before = Instant::now();
        let again = t.attempt().await;
        waits.push(before.elapsed().as_millis() / 900);
        assert_eq!(again.request.attempt, 1, "another execution takes its place");
        again.fail(Advice::GiveUp);
    }
    assert!(waits.is_sorted() && waits[3] >= 4, "the wait grows: {waits:?}");
    let running = t.attempt().await;
    t.save_as(&engines[1], "subscription", json!({"triggers": trigger, "enabled": false})).await;
    t.until(running.request.execution, Status::Cancelled).await;
    assert!(t.is_quiet().await);
    t.save_as(&engines[1], "subscription", json!({"triggers": trigger})).await;
    let enabled = t.attempt().await;
    assert!(engines[0].stop(Duration::from_mins(1)).await && engines[1].stop(Duration::from_mins(1)).await);
    let _third = t.process(true, 3).await;
    let moved = t.attempt().await;
    assert_eq!(moved.request.execution, enabled.request.execution, "it was given back and goes on elsewhere");
    assert_eq!(moved.request.action, action.id);
}

#[tokio::test(start_paused = true)]
async fn what_is_kept_running_stands_in_nobodys_way() {
    let mut t = Test::new(|_| {}).await;
    let engine = t.process(true, 1).await;
    let delivery = json!({"ordering_key": ".", "on_order_failure": "block", "max_concurrent": 1, "max_attempts": 1});
    let members = json!({"triggers": [{"type": "continuous", "initial_ms": 1000}], "delivery": delivery});
    let action = t.save_as(&engine, "subscription", members).await;
    let first = t.attempt().await;
    first.fail(Advice::GiveUp);
    let second = t.attempt().await;
    assert_eq!(second.request.trigger, GuestTrigger::Continuous, "its failure does not block the next");
    let null = Payload { content_type: "application/json".into(), data: Bytes::from_static(b"null") };
    let calls = Dispatch { action: ActionKey::Id(action.id), input: null, ..t.call(false) };
    let called = [engine.dispatch(calls.clone()).await.unwrap(), engine.dispatch(calls).await.unwrap()];
    let attempt = timeout(Duration::from_secs(3), t.attempts.recv()).await.unwrap().unwrap();
    assert_eq!((attempt.request.execution, &attempt.request.trigger), (id(&called[0]), &GuestTrigger::Call));
    assert!(t.is_quiet().await, "calls are one at a time all the same");
    attempt.succeed();
    t.attempt().await.succeed();
    t.until(id(&called[1]), Status::Succeeded).await;
    drop(second);
}

#[tokio::test(start_paused = true)]
async fn items_are_captured_once_and_with_what_was_read() {
    let mut t = Test::new(|_| {}).await;
    let engine = t.process(true, 1).await;
    let mut seen = Vec::new();
    for (keys, cursor) in [(vec!["a", "b"], "2"), (vec!["b", "c", "c"], "3")] {
        let run = id(&engine.dispatch(t.call(false)).await.unwrap());
        let attempt = t.attempt().await;
        let values = attempt.request.capturing.as_ref().unwrap().values().await.unwrap();
        seen.push(values.get("cursor").map(|value| String::from_utf8(value.to_vec()).unwrap()));
        attempt.succeed_with(captured(&keys, Some(cursor)));
        t.until(run, Status::Succeeded).await;
        assert_eq!(t.types(run).await.last().unwrap(), "action_executed", "the end comes last");
    }
    assert_eq!(seen, [None, Some("2".to_owned())]);
    let items = t.events_of(&t.action, EventType::ItemCaptured).await;
    let keys: Vec<Value> =
        items.iter().map(|item| serde_json::from_str::<Value>(item.data.get()).unwrap()["key"].clone()).collect();
    assert_eq!(keys, ["a", "b", "c"]);
    // What fails brings nothing in.
    let run = id(&engine.dispatch(t.call(false)).await.unwrap());
    t.attempt().await.fail(Advice::GiveUp);
    t.until(run, Status::Failed).await;
    assert_eq!(t.events_of(&t.action, EventType::ItemCaptured).await.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_checkpoint_is_kept_whatever_becomes_of_the_attempt() {
    let mut t = Test::new(|_| {}).await;
    let engine = t.process(true, 1).await;
    let run = id(&engine.dispatch(t.call(false)).await.unwrap());
    let attempt = t.attempt().await;
    let keeper = attempt.request.capturing.clone().unwrap();
    assert_eq!(keeper.checkpoint(captured(&["a", "b"], Some("2"))).await.unwrap(), 2);
    assert_eq!(keeper.checkpoint(captured(&["b", "c"], None)).await.unwrap(), 1);
    attempt.fail(Advice::GiveUp);
    t.until(run, Status::Failed).await;
    assert_eq!(t.events_of(&t.action, EventType::ItemCaptured).await.len(), 3);
    assert_eq!(keeper.values().await.unwrap()["cursor"], "2");
    assert!(keeper.checkpoint(captured(&["d"], None)).await.is_err(), "the lease is gone: what comes late is not kept");
    assert_eq!(t.events_of(&t.action, EventType::ItemCaptured).await.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn two_that_capture_the_same_at_once_capture_it_once() {
    let mut t = Test::new(|_| {}).await;
    let engine = t.process(true, 1).await;
    let runs: Vec<ExecutionId> = {
        let mut runs = Vec::new();
        for _ in 0..8 {
            runs.push(id(&engine.dispatch(t.call(false)).await.unwrap()));
        }
        runs
    };
    let mut attempts = Vec::new();
    for _ in 0..8 {
        attempts.push(t.attempt().await);
    }
    for attempt in attempts {
        attempt.succeed_with(captured(&["a", "b", "c"], None));
    }
    for run in runs {
        t.until(run, Status::Succeeded).await;
    }
    assert_eq!(t.events_of(&t.action, EventType::ItemCaptured).await.len(), 3);
}
