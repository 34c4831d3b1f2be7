//! Triggers beside one another: what a save, a refusal, a doubt and a chain of events must not do to them.

use super::*;
use action_domain::{
    chain::CHAIN_DEPTH_MAX,
    repositories::{ExecutionFilter, Fire},
    trigger::{Standing, identities},
};
use action_engine::Resolution;
use serde_json::{Value, json};

impl Test {
    /// What of an action has not ended.
    async fn under_way(&self, action: &Action) -> Vec<Execution> {
        let filter = ExecutionFilter { action: Some(action.id), ..ExecutionFilter::default() };
        let all = self.store.executions(&filter, Page { after: None, limit: 500 }).await.unwrap();
        all.into_iter().filter(|execution| !execution.status.is_terminal()).collect()
    }

    async fn rows(&self, action: &Action) -> Vec<Standing> {
        self.store.triggers_of(action.id).await.unwrap()
    }

    /// Lets every attempt succeed until nothing more comes; of which actions they were.
    async fn run_all(&mut self) -> Vec<Action> {
        let mut ran = Vec::new();
        while let Ok(attempt) = timeout(Duration::from_secs(20), self.attempts.recv()).await {
            let attempt = attempt.unwrap();
            let action = self.store.action(&ActionKey::Id(attempt.request.action)).await.unwrap().unwrap();
            ran.push((*action).clone());
            attempt.succeed();
            assert!(ran.len() < 1000, "it has no end");
        }
        ran
    }

    fn call_of(&self, action: &Action) -> Dispatch {
        Dispatch { action: ActionKey::Id(action.id), ..self.call(false) }
    }
}

fn event(types: &[&str], extra: &Value) -> Value {
    let mut trigger = json!({"type": "event", "types": types});
    trigger.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    json!([trigger])
}

#[tokio::test(start_paused = true)]
async fn a_save_makes_up_for_what_was_missed_before_it() {
    for (missed, runs) in [("run-once", 1), ("run-all", 5)] {
        let mut t = Test::new(|_| {}).await;
        let engine = t.process(true, 1).await;
        let members = |text| json!({"description": text, "triggers": [{"type": "schedule", "every_ms": 60_000, "missed": missed}]});
        let action = t.save_as(&engine, "tick", members("one")).await;
        t.attempt().await.succeed();
        assert!(engine.stop(Duration::from_secs(1)).await);
        tokio::time::advance(Duration::from_secs(5 * 60 + 30)).await;
        let due_at = t.rows(&action).await[0].due_at;
        // Saved before anybody looks at schedules.
        let saving = t.idle(2);
        t.save_as(&saving, "tick", members("another")).await;
        assert_eq!(t.rows(&action).await[0].due_at, due_at);
        let _again = t.process(true, 3).await;
        for _ in 0..runs {
            t.attempt().await.succeed();
        }
        assert!(t.is_quiet().await, "{missed}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_wrong_clock_put_off_fires_again() {
    let mut t = Test::new(|_| {}).await;
    let engine = t.process(true, 1).await;
    let triggers = json!([{"type": "schedule", "every_ms": 60_000}]);
    let action = t.save(&engine, "tick", triggers.clone()).await;
    t.attempt().await.succeed();
    let put_off = async |t: &Test| {
        let row = t.rows(&action).await.remove(0);
        let next = Some(t.clock.now().plus(Duration::from_hours(24 * 365 * 10)));
        let fire =
            Fire { action: action.id, identity: row.identity, due_at: row.due_at.unwrap(), next, last: row.last };
        t.w.write(Write::FireIfDue(Box::new(fire))).await;
    };
    put_off(&t).await;
    timeout(Duration::from_mins(12), t.attempts.recv()).await.expect("whoever looks").unwrap().succeed();
    put_off(&t).await;
    t.save_as(&t.idle(2), "tick", json!({"triggers": triggers, "description": "another"})).await;
    timeout(Duration::from_secs(61), t.attempts.recv()).await.expect("at a save").unwrap().succeed();
    put_off(&t).await;
    assert!(engine.stop(Duration::from_secs(1)).await);
    let _again = t.process(true, 3).await;
    timeout(Duration::from_secs(61), t.attempts.recv()).await.expect("at a start").unwrap().succeed();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn saves_lose_no_fire_no_use_and_no_instance() {
    const SAVES: usize = 30;
    const USES: u32 = 40;
    let mut t = Test::new(|_| {}).await;
    let engines = [t.process(true, 1).await, t.process(true, 2).await];
    let triggers = json!([
        {"type": "continuous", "initial_ms": 10, "max_ms": 10},
        {"type": "webhook", "path": "raced", "verify": {"scheme": "none"}}
    ]);
    let members = |text: usize| json!({"description": text.to_string(), "triggers": triggers});
    let action = t.save_as(&engines[0], "raced", members(0)).await;
    let used = identities(&action.spec.triggers)[1].unwrap();
    // What begins goes on until it is stopped.
    let (_sender, none) = mpsc::unbounded_channel();
    let mut attempts = std::mem::replace(&mut t.attempts, none);
    let running = tokio::spawn(async move {
        let mut all = Vec::new();
        while let Some(attempt) = attempts.recv().await {
            all.push(attempt);
        }
    });
    let uses = (0..4).map(|_| {
        let (store, id) = (t.store.clone(), action.id);
        tokio::spawn(async move {
            let mut done = 0;
            for _ in 0..USES {
                let unit = UnitOfWork::new().write(Write::UseTrigger(id, used, USES));
                done += u32::from(store.commit(unit).await.is_ok());
                tokio::task::yield_now().await;
            }
            done
        })
    });
    let uses: Vec<_> = uses.collect();
    let saves = async |engine: &Engine| {
        for text in 1..=SAVES {
            t.save_as(engine, "raced", members(text)).await;
            tokio::task::yield_now().await;
        }
    };
    tokio::join!(saves(&engines[0]), saves(&engines[1]));
    let mut done = 0;
    for task in uses {
        done += task.await.unwrap();
    }
    assert_eq!((done, t.rows(&action).await[1].uses), (USES, USES));
    let current = t.store.action(&ActionKey::Id(action.id)).await.unwrap().unwrap();
    assert_eq!(current.revision as usize, 1 + 2 * SAVES);
    let mut positions = t.store.follow();
    let alone = async {
        loop {
            let (under_way, rows) = (t.under_way(&action).await, t.rows(&action).await);
            if let [one] = &under_way[..]
                && one.revision == current.revision
                && rows[0].last == Some(one.id)
            {
                return;
            }
            positions.changed().await;
        }
    };
    timeout(Duration::from_secs(30), alone).await.expect("one instance, of the last revision, and everybody knows it");
    running.abort();
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_no_trigger_knows_is_stopped() {
    let mut t = Test::new(|_| {}).await;
    let _engine = t.process(true, 1).await;
    let saving = t.idle(2);
    let action = t.save(&saving, "subscription", json!([{"type": "continuous"}])).await;
    // As another process leaves it that saves the action in the midst of a restart, and dies.
    let orphan = t.attempt().await;
    t.w.commit(UnitOfWork::new().write(Write::SetTriggers(action.id, Vec::new()))).await;
    t.until(orphan.request.execution, Status::Cancelled).await;
    assert!(t.is_quiet().await);
    // And what still waits for its turn when its action goes never begins.
    t.save(&saving, "subscription", json!([{"type": "continuous"}])).await;
    let known = t.attempt().await;
    saving.remove_action(&ActionKey::Id(action.id), None, &Actor::Admin).await.unwrap();
    t.until(known.request.execution, Status::Cancelled).await;
    assert!(t.is_quiet().await);
}

#[tokio::test(start_paused = true)]
async fn what_is_enabled_again_waits_for_what_ran_before() {
    let mut t = Test::new(|_| {}).await;
    let engines = [t.process(true, 1).await, t.process(false, 2).await];
    let members = |enabled: bool| json!({"triggers": [{"type": "continuous"}], "enabled": enabled});
    let action = t.save_as(&engines[0], "subscription", members(true)).await;
    let first = t.attempt().await;
    for enabled in [false, true] {
        t.save_as(&engines[1], "subscription", members(enabled)).await;
    }
    let second = t.attempt().await;
    assert!(t.status(first.request.execution).await.is_terminal(), "never two at once");
    assert_eq!(t.under_way(&action).await.len(), 1);
    drop(second);
}

#[tokio::test(start_paused = true)]
async fn a_subscription_in_doubt_is_followed_by_the_next() {
    let mut t = Test::new(|_| {}).await;
    let engine = t.process(true, 1).await;
    let action = t.save(&engine, "subscription", json!([{"type": "continuous"}])).await;
    let first = t.attempt().await;
    let doubtful = first.request.execution;
    let _ = first.answer.send(AttemptReport {
        result: Err(ExecutionError::new(ErrorCode::Trapped, "unreachable")),
        receipt: Receipt::default(),
        sent: Sent::MaybeSent,
        effect: Some(Effect::Unsafe),
        captured: Captured::default(),
    });
    let second = t.attempt().await;
    assert_eq!(t.status(doubtful).await, Status::InDoubt, "it stays for a person");
    // That person wants it tried again: the one that runs is the one that is wanted.
    engine.resolve_execution(doubtful, Resolution::Retry, &Actor::Admin).await.unwrap();
    t.until(doubtful, Status::Cancelled).await;
    assert!(t.is_quiet().await);
    let under_way: Vec<ExecutionId> = t.under_way(&action).await.iter().map(|execution| execution.id).collect();
    assert_eq!(under_way, [second.request.execution]);
}

#[tokio::test(start_paused = true)]
async fn a_subscription_that_is_refused_backs_off_and_holds_up_no_other() {
    let mut t = Test::new(|_| {}).await;
    // It wants more of an input than a subscription has.
    let (mut picky, component) = t.w.protocol("picky@1.0.0", b"picky");
    picky.descriptor.input_schema = Some(json!({"type": "object"}));
    t.w.write(Write::AddProtocol(Box::new(picky), component)).await;
    let engines = [t.process(true, 1).await, t.process(false, 2).await];
    let triggers = json!([{"type": "continuous"}]);
    let bad = t.save_as(&engines[0], "bad", json!({"triggers": triggers, "protocol": "picky"})).await;
    let good = t.save(&engines[0], "good", triggers.clone()).await;
    let attempt = t.attempt().await;
    assert_eq!(attempt.request.action, good.id, "it comes behind the other");
    // Ten minutes: 1 s, 2 s, 4 s, … 60 s, whoever looks.
    assert!(timeout(Duration::from_mins(10), t.attempts.recv()).await.is_err());
    let refused = t.refusals(&bad).await.len();
    assert!((10..=20).contains(&refused), "{refused}");
    // What mends it counts at once.
    t.save(&engines[0], "bad", triggers).await;
    let mended = timeout(Duration::from_secs(3), t.attempts.recv()).await.unwrap().unwrap();
    assert_eq!(mended.request.action, bad.id);
}

#[tokio::test(start_paused = true)]
async fn a_schedule_that_is_refused_goes_on_and_holds_up_no_other() {
    for key in ["fails", "cannot run"] {
        let mut t = Test::new(|_| {}).await;
        let engine = t.process(true, 1).await;
        let triggers = json!([{"type": "schedule", "every_ms": 60_000}]);
        let delivery = json!({"ordering_key": key});
        let bad = t.save_as(&engine, "bad", json!({"triggers": triggers, "delivery": delivery})).await;
        let good = t.save(&engine, "good", triggers).await;
        for _ in 0..5 {
            let attempt = t.attempt().await;
            assert_eq!(attempt.request.action, good.id);
            attempt.succeed();
        }
        assert!(t.is_quiet().await);
        assert_eq!(t.refusals(&bad).await.len(), 5, "{key}: each fire is recorded, and once");
    }
}

#[tokio::test(start_paused = true)]
async fn a_filter_that_fails_holds_up_no_other_trigger() {
    for filter in ["fails", "cannot run"] {
        let mut t = Test::new(|_| {}).await;
        let engine = t.process(true, 1).await;
        let source = t.action.id.to_string();
        let bad = event(&["action_executed"], &json!({"action": source, "filter": filter}));
        let bad = t.save(&engine, "bad", bad).await;
        let good = t.save(&engine, "good", event(&["action_executed"], &json!({"action": source}))).await;
        for round in 1..=3 {
            engine.dispatch(t.call(false)).await.unwrap();
            let ran: Vec<_> = t.run_all().await.into_iter().map(|action| action.id).collect();
            assert_eq!(ran, [t.action.id, good.id]);
            assert_eq!(t.refusals(&bad).await.len(), round, "{filter}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_event_that_sets_nothing_off_is_refused_once_whoever_looks() {
    let mut t = Test::new(|_| {}).await;
    let engines = [t.process(true, 1).await, t.process(true, 2).await];
    let source = t.action.id.to_string();
    let fails = event(&["action_executed"], &json!({"action": source, "filter": "held, then fails"}));
    let fails = t.save(&engines[0], "fails", fails).await;
    let listens = event(&["action_executed"], &json!({"action": source}));
    let no_key = json!({"triggers": listens, "delivery": {"ordering_key": "cannot run"}});
    let no_key = t.save_as(&engines[0], "no-key", no_key).await;
    assert!(t.is_quiet().await);
    for round in 1..=5 {
        engines[round % 2].dispatch(t.call(false)).await.unwrap();
        assert_eq!(t.run_all().await.len(), 1);
        assert_eq!(t.refusals(&fails).await.len(), round - 1, "both processes are at it");
        t.runtime.held.add_permits(9);
        assert!(t.is_quiet().await);
        t.runtime.held.forget_permits(9);
        let refused = [t.refusals(&fails).await, t.refusals(&no_key).await];
        assert_eq!(refused, [vec!["transform_failed"; round], vec!["host_error"; round]]);
        assert_eq!(t.events_of(&fails, EventType::TriggerReceived).await.len(), round);
    }
}

#[tokio::test(start_paused = true)]
async fn what_happened_before_a_trigger_was_there_does_not_set_it_off() {
    let mut t = Test::new(|_| {}).await;
    let engine = t.process(true, 1).await;
    let listens = event(&["action_executed"], &json!({"action": t.action.id.to_string()}));
    let saved = |triggers: &Value, enabled: bool| json!({"triggers": triggers, "enabled": enabled});
    let happens = async |t: &mut Test| {
        engine.dispatch(t.call(false)).await.unwrap();
        t.run_all().await.len() - 1
    };
    // The action is there already when it happens, and not yet its trigger.
    t.save_as(&engine, "alert", saved(&json!([]), true)).await;
    assert_eq!(happens(&mut t).await, 0);
    t.save_as(&engine, "alert", saved(&listens, true)).await;
    assert!(t.run_all().await.is_empty());
    assert_eq!(happens(&mut t).await, 1);
    t.save_as(&engine, "alert", saved(&listens, false)).await;
    assert_eq!(happens(&mut t).await, 0);
    t.save_as(&engine, "alert", saved(&listens, true)).await;
    assert!(t.run_all().await.is_empty());
    assert_eq!(happens(&mut t).await, 1);
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_is_a_link_of_its_chain() {
    let mut t = Test::new(|_| {}).await;
    let engine = t.process(true, 1).await;
    let disabled = t.save_as(&engine, "disabled", json!({"enabled": false})).await;
    let received = t.save(&engine, "on-received", event(&["trigger_received"], &json!({}))).await;
    let refused = json!({"filter": "fails"});
    let refused = t.save(&engine, "on-refused", event(&["trigger_refused"], &refused)).await;
    // The log is followed from where it is when somebody first looks.
    assert!(t.is_quiet().await);
    engine.dispatch(t.call_of(&disabled)).await.unwrap_err();
    let ran: Vec<_> = t.run_all().await.into_iter().map(|action| action.id).collect();
    // By the call, and by what the other one was refused.
    assert_eq!(ran, [received.id, received.id]);
    assert_eq!(t.refusals(&refused).await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn alerts_that_listen_to_one_another_have_an_end() {
    let mut t = Test::new(|_| {}).await;
    let engine = t.process(true, 1).await;
    for name in ["one", "other"] {
        t.save(&engine, name, event(&["action_executed"], &json!({}))).await;
    }
    engine.dispatch(t.call(false)).await.unwrap();
    let ran: Vec<_> = t.run_all().await.into_iter().map(|action| action.spec.name.to_string()).collect();
    assert_eq!(ran.len(), 5, "what was called, each of them, and each behind the other: {ran:?}");
}

#[tokio::test(start_paused = true)]
async fn a_chain_that_is_too_deep_is_ended_and_says_so() {
    let mut t = Test::new(|_| {}).await;
    let engine = t.process(true, 1).await;
    let mut before = t.action.clone();
    for number in 0..CHAIN_DEPTH_MAX + 3 {
        let of = event(&["action_executed", "trigger_refused"], &json!({"action": before.id.to_string()}));
        before = t.save(&engine, &format!("link-{number}"), of).await;
        let refused = t.refusals(&before).await;
        assert!(refused.is_empty());
    }
    engine.dispatch(t.call(false)).await.unwrap();
    let ran = t.run_all().await;
    assert_eq!(ran.len(), 1 + CHAIN_DEPTH_MAX as usize);
    let mut refused = Vec::new();
    for number in 0..CHAIN_DEPTH_MAX + 3 {
        let key = ActionKey::Name(format!("link-{number}").parse().unwrap());
        let action = t.store.action(&key).await.unwrap().unwrap();
        refused.extend(t.refusals(&action).await);
    }
    assert_eq!(refused, ["chain_too_deep"], "once, and nothing behind it");
}
