//! Readers of the log, and where they stand.

use crate::World;
use action_domain::{
    consumer::{CONSUMERS_MAX, Consumer, StandingConsumer},
    name::Name,
    repositories::{CommitError, Conflict, Page, Store, UnitOfWork, Write},
    services::Random,
};
use std::{sync::Arc, time::Duration};

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn put(consumer: &Consumer, position: i64) -> UnitOfWork {
    UnitOfWork::new().write(Write::PutConsumer(Box::new(consumer.clone()), position))
}

fn acknowledge(text: &str, position: i64) -> UnitOfWork {
    UnitOfWork::new().write(Write::Acknowledge(name(text), position))
}

/// And never back, whatever it reads.
pub async fn a_consumer_goes_on_where_it_acknowledged(store: Arc<dyn Store>) {
    let w = World::new(store);
    let (one, other) = (w.consumer("one"), Consumer { kind: None, types: Vec::new(), ..w.consumer("other") });
    let at = async |text: &str| w.store.consumer(&name(text)).await.unwrap();
    assert_eq!(at("one").await, None);
    for text in ["one", "other"] {
        assert_eq!(w.refused(acknowledge(text, 1)).await, Conflict::NotFound);
        let gone = UnitOfWork::new().write(Write::RemoveConsumer(name(text)));
        assert_eq!(w.refused(gone).await, Conflict::NotFound);
    }
    w.commit(put(&one, 7).write(Write::PutConsumer(Box::new(other.clone()), 0))).await;
    let standing = |consumer: &Consumer, position| Some(StandingConsumer { consumer: consumer.clone(), position });
    assert_eq!((at("one").await, at("other").await), (standing(&one, 7), standing(&other, 0)));
    w.commit(acknowledge("one", 12)).await;
    w.commit(acknowledge("one", 9)).await;
    assert_eq!((at("one").await, at("other").await), (standing(&one, 12), standing(&other, 0)));
    w.clock.advance(Duration::from_secs(5));
    let changed = Consumer { action: Some(w.random.action_id()), kind: None, ..w.consumer("one") };
    assert_ne!(changed.created_at, one.created_at);
    w.commit(put(&changed, 3)).await;
    let changed = Consumer { created_at: one.created_at, ..changed };
    assert_eq!(at("one").await, standing(&changed, 12), "it stands where it stood, made when it was");
    let refused = acknowledge("one", 99).write(Write::RemoveConsumer(name("other")));
    assert_eq!(w.refused(refused.write(Write::RemoveConsumer(name("none")))).await, Conflict::NotFound);
    assert_eq!((at("one").await, at("other").await), (standing(&changed, 12), standing(&other, 0)));
    w.write(Write::RemoveConsumer(name("one"))).await;
    assert_eq!((at("one").await, at("other").await), (None, standing(&other, 0)));
    assert_eq!(w.refused(acknowledge("one", 1)).await, Conflict::NotFound);
    w.commit(put(&one, 1)).await;
    assert_eq!(at("one").await, standing(&one, 1), "it begins anew");
}

/// By name; and there are no more than may be.
pub async fn consumers_are_paged_and_bounded(store: Arc<dyn Store>) {
    let w = World::new(store);
    let mut all: Vec<Consumer> = (0..CONSUMERS_MAX).map(|n| w.consumer(&format!("c{}", n * 7 % 1000))).collect();
    for some in all.chunks(250) {
        let writes = some.iter().map(|one| Write::PutConsumer(Box::new(one.clone()), 1)).collect();
        w.commit(UnitOfWork { writes, events: Vec::new() }).await;
    }
    all.sort_by(|a, b| a.name.cmp(&b.name));
    for limit in [77, 500] {
        let mut found: Vec<StandingConsumer> = Vec::new();
        loop {
            let after = found.last().map(|one| one.consumer.name.clone());
            let page = w.store.consumers(Page { after, limit }).await.unwrap();
            assert!(page.len() <= limit as usize);
            if page.is_empty() {
                break;
            }
            found.extend(page);
        }
        assert_eq!(found.iter().map(|one| &one.consumer).collect::<Vec<_>>(), all.iter().collect::<Vec<_>>());
    }
    assert_eq!(w.refused(put(&w.consumer("one-more"), 1)).await, Conflict::TooMany);
    w.commit(put(&w.consumer("c5"), 1)).await;
    let instead = UnitOfWork::new().write(Write::RemoveConsumer(name("c5")));
    w.commit(UnitOfWork { writes: [instead.writes, put(&w.consumer("one-more"), 1).writes].concat(), ..instead }).await;
    assert_eq!(w.refused(put(&w.consumer("c5"), 1)).await, Conflict::TooMany);
}

/// By whoever knows where it stands.
pub async fn a_cursor_is_moved_from_where_it_stands(store: Arc<dyn Store>) {
    let w = World::new(store);
    let moved = |text: &str, from, to| UnitOfWork::new().write(Write::MoveCursorIf(text.into(), from, to));
    let at = async |text: &str| w.store.cursor(text).await.unwrap();
    assert_eq!(at("$a").await, None);
    assert_eq!(w.refused(moved("$a", Some(0), Some(1))).await, Conflict::CursorMoved);
    assert_eq!(w.refused(moved("$a", Some(0), None)).await, Conflict::CursorMoved);
    w.commit(moved("$a", None, None)).await;
    w.commit(moved("$a", None, Some(5))).await;
    for (from, to) in [(None, Some(6)), (None, None), (Some(4), Some(6)), (Some(6), None)] {
        assert_eq!(w.refused(moved("$a", from, to)).await, Conflict::CursorMoved, "{from:?} to {to:?}");
    }
    assert_eq!((at("$a").await, at("$b").await), (Some(5), None));
    let there_and_back = moved("$a", Some(5), Some(9)).write(Write::MoveCursorIf("$a".into(), Some(9), Some(3)));
    w.commit(there_and_back).await;
    assert_eq!(at("$a").await, Some(3));
    let refused = moved("$a", Some(3), None).write(Write::MoveCursorIf("$b".into(), Some(1), Some(2)));
    assert_eq!(w.refused(refused).await, Conflict::CursorMoved);
    assert_eq!(at("$a").await, Some(3));
    w.commit(moved("$a b", None, Some(7)).write(Write::MoveCursorIf("$a-b".into(), None, Some(8)))).await;
    let page = async |after: Option<&str>, limit| {
        let cursors = w.store.cursors(Page { after: after.map(Into::into), limit }).await.unwrap();
        cursors.into_iter().map(|(name, position)| (name.to_string(), position)).collect::<Vec<_>>()
    };
    let all = [("$a", 3), ("$a b", 7), ("$a-b", 8)].map(|(name, position)| (name.to_owned(), position));
    assert_eq!(page(None, 9).await, all);
    assert_eq!(page(None, 2).await, all[..2]);
    assert_eq!(page(Some("$a "), 9).await, all[1..]);
    assert_eq!(page(Some("$a b"), 9).await, all[2..]);
    w.commit(moved("$a", Some(3), None)).await;
    assert_eq!(at("$a").await, None);
    w.commit(moved("$a", None, Some(0))).await;
    let mut tasks = Vec::new();
    for number in 1..=12 {
        let (store, unit) = (w.store.clone(), moved("$a", Some(0), Some(number)).event(w.any_event()));
        tasks.push(tokio::spawn(async move { store.commit(unit).await }));
    }
    let mut won = Vec::new();
    for (number, task) in (1..).zip(tasks) {
        match task.await.unwrap() {
            Ok(_) => won.push(number),
            Err(error) => assert!(matches!(error, CommitError::Conflict(Conflict::CursorMoved)), "{error}"),
        }
    }
    assert_eq!((won.len(), at("$a").await), (1, Some(won[0])));
    assert_eq!(w.log().await.len(), 1);
}
