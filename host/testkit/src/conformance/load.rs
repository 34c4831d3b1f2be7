//! Many at once.

use crate::World;
use action_domain::{
    event::EventType,
    execution::Status,
    repositories::{CommitError, Conflict, EventFilter, Page, Store, UnitOfWork, Write},
    services::Random,
};
use std::{sync::Arc, time::Duration};

/// Every one gets its own consecutive positions, and all of it is there.
pub async fn a_thousand_commits_at_once(store: Arc<dyn Store>) {
    let w = World::new(store);
    let action = w.action("a", "http@1.0.0");
    let mut tasks = Vec::new();
    for number in 0..1000 {
        let execution = w.queued(&action);
        let events: Vec<_> =
            (0..=number % 3).map(|_| w.event(EventType::MessageLogged, w.context(&execution))).collect();
        let unit = UnitOfWork { writes: vec![Write::AddExecution(Box::new(execution.clone()))], events };
        let store = Arc::clone(&w.store);
        tasks.push((execution, tokio::spawn(async move { store.commit(unit).await })));
    }
    let mut answered = 0;
    for (number, (execution, task)) in tasks.into_iter().enumerate() {
        let last = task.await.unwrap().unwrap();
        let filter = EventFilter { execution: Some(execution.id), ..EventFilter::default() };
        let events = w.store.events(&filter, Page { after: None, limit: 10 }).await.unwrap();
        let positions: Vec<_> = events.iter().map(|event| event.position).collect();
        let count = number as i64 % 3 + 1;
        assert_eq!(positions, (last - count + 1..=last).collect::<Vec<_>>());
        assert_eq!(w.execution_now(execution.id).await, execution);
        answered += count;
    }
    assert_eq!(w.log().await.len() as i64, answered);
    assert_eq!(w.store.last_position().await.unwrap(), answered);
}

/// Half of them clash; the other half does not notice.
pub async fn conflicts_at_once_harm_nobody_else(store: Arc<dyn Store>) {
    let w = World::new(store);
    let action = w.action("taken", "http@1.0.0");
    w.write(Write::AddAction(Box::new(action.clone()))).await;
    let mut tasks = Vec::new();
    for number in 0..200 {
        let running = w.running(&action, w.random.uuid());
        let add = UnitOfWork::new().write(Write::AddExecution(Box::new(running.clone()))).event(w.any_event());
        let (unit, conflict) = match number % 4 {
            0 => (add, None),
            1 => {
                let late = Write::UpdateExecutionIfLeased(Box::new(running), w.lease(w.random.uuid(), 1));
                (add.write(late), Some(Conflict::LeaseLost))
            }
            2 => (add.write(Write::AddAction(Box::new(w.action(&format!("a{number}"), "http@1.0.0")))), None),
            _ => (add.write(Write::AddAction(Box::new(w.action("taken", "http@1.0.0")))), Some(Conflict::NameTaken)),
        };
        let store = Arc::clone(&w.store);
        tasks.push((conflict, tokio::spawn(async move { store.commit(unit).await })));
    }
    for (expected, task) in tasks {
        match (task.await.unwrap(), expected) {
            (Ok(_), None) => {}
            (Err(CommitError::Conflict(conflict)), Some(expected)) => assert_eq!(conflict, expected),
            other => panic!("{other:?}"),
        }
    }
    let positions: Vec<_> = w.log().await.iter().map(|event| event.position).collect();
    assert_eq!(positions, (1..=100).collect::<Vec<_>>());
}

/// Those that believe the same thing of one execution: the first of them is right.
pub async fn one_of_many_updates_wins(store: Arc<dyn Store>) {
    let w = World::new(store);
    let worker = w.random.uuid();
    for round in 0..20 {
        let running = w.running(&w.action("a", "http@1.0.0"), worker);
        w.write(Write::AddExecution(Box::new(running.clone()))).await;
        let mut tasks = Vec::new();
        for number in 0..20 {
            let ended = Box::new(w.succeeded(&running));
            let write = if (number + round) % 2 == 0 {
                Write::UpdateExecutionIfLeased(ended, w.lease(worker, 1))
            } else {
                Write::UpdateExecutionIfStatus(ended, Status::Running, 1)
            };
            let unit = UnitOfWork::new().write(write).event(w.event(EventType::ActionExecuted, w.context(&running)));
            let store = Arc::clone(&w.store);
            tasks.push(tokio::spawn(async move { store.commit(unit).await.is_ok() }));
        }
        let mut won = 0;
        for task in tasks {
            won += usize::from(task.await.unwrap());
        }
        assert_eq!(won, 1);
        assert_eq!(w.execution_now(running.id).await, w.succeeded(&running));
    }
    assert_eq!(w.log().await.len(), 20);
}

/// Following positions while others write: none is missed, none comes twice, and none lies behind the end
/// that is told next.
pub async fn a_reader_of_positions_misses_nothing(store: Arc<dyn Store>) {
    const EVENTS: i64 = 600;
    let w = Arc::new(World::new(store));
    let reader = Arc::clone(&w);
    let reading = tokio::spawn(async move {
        let mut follower = reader.store.follow();
        let mut seen: Vec<i64> = Vec::new();
        while seen.len() < EVENTS as usize {
            let page = Page { after: seen.last().copied(), limit: 7 };
            let events = reader.store.events(&EventFilter::default(), page).await.unwrap();
            if events.is_empty() {
                let changed = tokio::time::timeout(Duration::from_secs(30), follower.changed()).await;
                assert!(changed.unwrap());
            }
            seen.extend(events.iter().map(|event| event.position));
            assert!(seen.last().copied().unwrap_or(0) <= reader.store.last_position().await.unwrap());
        }
        seen
    });
    let mut tasks = Vec::new();
    for _ in 0..10 {
        let w = Arc::clone(&w);
        tasks.push(tokio::spawn(async move {
            for _ in 0..EVENTS / 20 {
                w.commit(UnitOfWork::new().event(w.any_event()).event(w.any_event())).await;
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(reading.await.unwrap(), (1..=EVENTS).collect::<Vec<_>>());
}
