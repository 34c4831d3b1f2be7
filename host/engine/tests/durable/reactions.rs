//! Actions that events set off: in the order of the events, and without waiting for one another.

use super::*;
use action_domain::{
    consumer::{before_event_triggers, event_triggers_by},
    event::Position,
    id::{ActionId, EventId},
};
use serde_json::{Value, json};

/// What an action of these tests listens to.
fn listens(to: &Action, extra: &Value) -> Value {
    let mut trigger = json!({"type": "event", "types": ["trigger_received"], "action": to.id.to_string()});
    trigger.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    json!([trigger])
}

impl Test {
    /// The action is called so often; the events of that, in their order.
    async fn called(&self, engine: &Engine, times: usize) -> Vec<EventId> {
        let before = self.events_of(&self.action, EventType::TriggerReceived).await.len();
        for _ in 0..times {
            engine.dispatch(self.call(false)).await.unwrap();
        }
        let received = self.events_of(&self.action, EventType::TriggerReceived).await;
        received[before..].iter().map(|event| event.id).collect()
    }

    /// By which events an action was set off, in the order in which it was.
    async fn causes(&self, action: &Action) -> Vec<EventId> {
        let received = self.events_of(action, EventType::TriggerReceived).await;
        received.iter().map(|event| event.context.causation_id.unwrap()).collect()
    }

    /// Waits until an action was set off so often, `patience` at most.
    async fn set_off(&self, action: &Action, times: usize, patience: Duration) -> Vec<EventId> {
        let mut positions = self.store.follow();
        let reached = async {
            while self.causes(action).await.len() < times {
                positions.changed().await;
            }
        };
        let _ = timeout(patience, reached).await;
        self.causes(action).await
    }

    /// Who has fallen behind.
    async fn behind(&self) -> Vec<ActionId> {
        let page = Page { after: Some(before_event_triggers()), limit: 500 };
        let cursors: Vec<(Arc<str>, Position)> = self.store.cursors(page).await.unwrap();
        cursors.iter().filter_map(|(name, _)| event_triggers_by(name)).collect()
    }
}

/// Longer than anybody has to wait for an action that is not held up.
const SOON: Duration = Duration::from_secs(2);
const LONG: Duration = Duration::from_mins(10);

#[tokio::test(start_paused = true)]
async fn a_slow_filter_holds_up_no_other_action() {
    let t = Test::new(|_| {}).await;
    let engine = t.process(true, 1).await;
    let slow = t.save(&engine, "slow", listens(&t.action, &json!({"filter": "held"}))).await;
    let quick = t.save(&engine, "quick", listens(&t.action, &json!({}))).await;
    assert_eq!(t.behind().await, []);
    let mut all = Vec::new();
    for _ in 0..5 {
        all.extend(t.called(&engine, 3).await);
        assert_eq!(t.set_off(&quick, all.len(), SOON).await, all);
    }
    assert_eq!((t.behind().await, t.causes(&slow).await), (vec![slow.id], vec![]));
    t.runtime.held.add_permits(2);
    assert_eq!(t.set_off(&slow, 2, LONG).await, all[..2]);
    // What is saved beside it, or changes nothing of what it hears, loses nothing.
    t.save(&engine, "slow", listens(&t.action, &json!({"filter": "held"}))).await;
    t.runtime.held.add_permits(100);
    all.extend(t.called(&engine, 2).await);
    assert_eq!(t.set_off(&slow, all.len(), LONG).await, all, "it misses nothing, and in the order of the events");
    timeout(LONG, async {
        let mut positions = t.store.follow();
        while !t.behind().await.is_empty() {
            engine.dispatch(t.call(false)).await.unwrap();
            positions.changed().await;
            tokio::time::advance(Duration::from_millis(500)).await;
        }
    })
    .await
    .expect("it catches up and goes on with the others");
}

#[tokio::test(start_paused = true)]
async fn events_set_an_action_off_in_their_order() {
    let t = Test::new(|_| {}).await;
    let api = t.idle(9);
    let first = t.process(false, 1).await;
    let listener = t.save(&first, "listener", listens(&t.action, &json!({"filter": "slow at first"}))).await;
    let all = t.called(&api, 12).await;
    assert_eq!(t.set_off(&listener, all.len(), LONG).await, all);
}

#[tokio::test(start_paused = true)]
async fn who_has_fallen_behind_is_taken_along_by_another_process() {
    let t = Test::new(|_| {}).await;
    let api = t.idle(9);
    let first = t.process(false, 1).await;
    let slow = t.save(&first, "slow", listens(&t.action, &json!({"filter": "held"}))).await;
    let quick = t.save(&first, "quick", listens(&t.action, &json!({}))).await;
    let mut all = t.called(&api, 4).await;
    assert_eq!(t.set_off(&quick, 4, SOON).await, all);
    timeout(LONG, async {
        while t.behind().await.is_empty() {
            tokio::time::advance(Duration::from_millis(100)).await;
        }
    })
    .await
    .unwrap();
    // Its filter hangs: what it was at is begun again elsewhere.
    assert!(!first.stop(Duration::from_secs(1)).await);
    all.extend(t.called(&api, 4).await);
    let _others = [t.process(false, 2).await, t.process(false, 3).await];
    assert_eq!(t.set_off(&quick, 8, SOON).await, all);
    t.runtime.held.add_permits(100);
    t.set_off(&slow, 8, LONG).await;
    assert!(timeout(Duration::from_mins(1), std::future::pending::<()>()).await.is_err());
    assert_eq!(t.causes(&slow).await, all, "each once, by three processes");
    assert_eq!((t.behind().await, t.causes(&quick).await), (vec![], all));
}
