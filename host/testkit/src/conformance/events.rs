//! The log.

use crate::World;
use action_domain::{
    digest::Digest,
    event::{Context, Event, EventType, NewEvent},
    repositories::{EventFilter, Page, Store, UnitOfWork, Write},
    services::Random,
};
use bytes::Bytes;
use serde_json::value::RawValue;
use std::{sync::Arc, time::Duration};
use tokio::time::timeout;

/// Every field and every type; the data byte for byte.
pub async fn events_come_back_whole(store: Arc<dyn Store>) {
    let w = World::new(store);
    let execution = w.running(&w.action("a", "http@1.0.0"), w.random.uuid());
    let full = Context {
        causation_id: Some(w.random.event_id()),
        correlation_id: Some("ключ \u{0} 🔑".into()),
        revision: Some(u32::MAX),
        ..w.context(&execution)
    };
    let large = format!(r#"{{ "text" : "{}", "n": 1.50e3 }}"#, "aü🦀\\u0000\\n".repeat(10_000));
    let large = NewEvent { data: RawValue::from_string(large).unwrap(), ..w.event(EventType::ActionExecuted, full) };
    let mut events = vec![large];
    for (number, r#type) in EventType::ALL.iter().enumerate() {
        let context = if number % 2 == 0 { Context::default() } else { w.context(&execution) };
        events.push(w.event(*r#type, context));
    }
    w.commit(UnitOfWork { writes: Vec::new(), events: events.clone() }).await;
    let log = w.log().await;
    assert_eq!(log.len(), events.len());
    for (found, event) in log.iter().zip(&events) {
        assert_eq!((found.id, found.time, &found.context), (event.id, event.time, &event.context));
        assert_eq!((&*found.r#type, found.data.get()), (event.r#type.as_str(), event.data.get()));
    }
}

/// Every filter, alone and with the others, in pages of several sizes.
pub async fn events_are_filtered_and_paged(store: Arc<dyn Store>) {
    let w = World::new(store);
    let action = w.action("a", "http@1.0.0");
    let executions: Vec<_> = (0..6).map(|_| w.running(&action, w.random.uuid())).collect();
    let other = w.action("b", "http@1.0.0");
    for _ in 0..30 {
        let events = (0..10).map(|_| {
            let mut context = w.context(w.random.one_of(&executions));
            if w.random.once_in(3) {
                context.action = Some(other.id);
            }
            if w.random.once_in(5) {
                context = Context { correlation_id: context.correlation_id, ..Context::default() };
            }
            if w.random.once_in(9) {
                context = Context::default();
            }
            w.event(*w.random.one_of(EventType::ALL), context)
        });
        w.commit(UnitOfWork { writes: Vec::new(), events: events.collect() }).await;
    }
    let log = w.log().await;
    let correlation = executions[0].correlation_id.to_string();
    let types = [
        vec![],
        vec![EventType::MessageLogged],
        vec![EventType::ItemCaptured, EventType::MessageLogged],
        vec![EventType::TriggerReceived, EventType::ActionExecuted, EventType::TriggerReceived],
        EventType::ALL.to_vec(),
    ];
    for types in types {
        for action in [None, Some(action.id), Some(w.random.action_id())] {
            for execution in [None, Some(executions[0].id), Some(w.random.execution_id())] {
                for correlation_id in [None, Some(correlation.clone()), Some("none".to_owned())] {
                    for kind in [None, Some("entry".to_owned())] {
                        let (types, correlation_id) = (types.clone(), correlation_id.clone());
                        check(&w, &EventFilter { types, action, execution, correlation_id, kind }, &log).await;
                    }
                }
            }
        }
    }
}

async fn check(w: &World, filter: &EventFilter, log: &[Event]) {
    let expected: Vec<i64> = log.iter().filter(|event| filter.matches(event)).map(|event| event.position).collect();
    for limit in [1, 7, 500] {
        let mut found: Vec<i64> = Vec::new();
        loop {
            // Pages of one only to the first boundaries: the rest would be the same again.
            if limit == 1 && found.len() == 5 {
                assert_eq!(found, expected[..5], "{filter:?}");
                break;
            }
            let page = Page { after: found.last().copied(), limit };
            let page = w.store.events(filter, page).await.unwrap();
            assert!(page.len() <= limit as usize);
            assert!(page.iter().all(|event| filter.matches(event)));
            if page.is_empty() {
                assert_eq!(found, expected, "{filter:?} by {limit}");
                break;
            }
            found.extend(page.iter().map(|event| event.position));
        }
    }
    let end = Page { after: log.last().map(|event| event.position), limit: 10 };
    assert!(w.store.events(filter, end).await.unwrap().is_empty(), "behind the end");
}

/// And only items; what callers ask for may be no kind at all.
pub async fn items_are_found_by_their_kind(store: Arc<dyn Store>) {
    let w = World::new(store);
    let actions = [w.action("a", "http@1.0.0"), w.action("b", "http@1.0.0")];
    for number in 0..60 {
        let context = w.context(&w.queued(&actions[number % 2]));
        let of = if number % 3 == 0 { EventType::MessageLogged } else { EventType::ItemCaptured };
        w.commit(UnitOfWork::new().event(w.event(of, context))).await;
    }
    let log = w.log().await;
    let mut found = 0;
    for kind in ["entry", "message", "reading", "info", "", "entry\u{0}"] {
        for action in [None, Some(actions[0].id), Some(w.random.action_id())] {
            let filter = EventFilter { kind: Some(kind.to_owned()), action, ..EventFilter::default() };
            check(&w, &filter, &log).await;
            found += log.iter().filter(|event| filter.matches(event)).count();
        }
    }
    assert!(found >= 60, "forty items, and those of one action again: {found}");
}

/// The first of a type, and of `action_executed` the last.
pub async fn the_first_and_the_last_event_of_an_execution_are_found(store: Arc<dyn Store>) {
    let w = World::new(store);
    let action = w.action("a", "http@1.0.0");
    let (one, other) = (w.queued(&action), w.queued(&action));
    let types = [
        EventType::TriggerReceived,
        EventType::MessageLogged,
        EventType::ActionExecuted,
        EventType::TriggerReceived,
        EventType::MessageLogged,
        EventType::ActionExecuted,
    ];
    let of = |execution| types.map(|r#type| w.event(r#type, w.context(execution)));
    let events = of(&one).into_iter().chain(of(&other)).collect();
    w.commit(UnitOfWork { writes: Vec::new(), events }).await;
    let found =
        async |execution, r#type| w.store.event_of(execution, r#type).await.unwrap().map(|event| event.position);
    assert_eq!(found(one.id, EventType::TriggerReceived).await, Some(1));
    assert_eq!(found(one.id, EventType::MessageLogged).await, Some(2));
    assert_eq!(found(one.id, EventType::ActionExecuted).await, Some(6));
    assert_eq!(found(other.id, EventType::TriggerReceived).await, Some(7));
    assert_eq!(found(other.id, EventType::ActionExecuted).await, Some(12));
    assert_eq!(found(one.id, EventType::AttemptFailed).await, None);
    assert_eq!(found(w.random.execution_id(), EventType::ActionExecuted).await, None);
}

/// It waits for events, and only for those that come after it began.
pub async fn a_follower_hears_of_events_and_of_nothing_else(store: Arc<dyn Store>) {
    const MOMENT: Duration = Duration::from_millis(30);
    const LONG: Duration = Duration::from_secs(10);
    let w = World::new(store);
    w.commit(UnitOfWork::new().event(w.any_event())).await;
    let mut follower = w.store.follow();
    let mut other = w.store.follow();
    assert!(timeout(MOMENT, follower.changed()).await.is_err(), "of an event before it began");
    let payload = Write::AddPayload(Digest::of(b"p"), Bytes::from_static(b"p"));
    w.commit(UnitOfWork::new().write(payload)).await;
    assert!(timeout(MOMENT, follower.changed()).await.is_err(), "of a unit without events");
    w.commit(UnitOfWork::new().event(w.any_event())).await;
    w.commit(UnitOfWork::new().event(w.any_event())).await;
    assert!(timeout(LONG, follower.changed()).await.unwrap());
    assert_eq!(w.store.last_position().await.unwrap(), 3);
    assert!(timeout(MOMENT, follower.changed()).await.is_err(), "of the same events twice");
    assert!(timeout(LONG, other.changed()).await.unwrap(), "each follower hears of it");
    let waiting = tokio::spawn(async move { follower.changed().await });
    tokio::task::yield_now().await;
    w.commit(UnitOfWork::new().event(w.any_event())).await;
    assert!(timeout(LONG, waiting).await.unwrap().unwrap());
}
