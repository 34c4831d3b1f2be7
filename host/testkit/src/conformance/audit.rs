//! The log as an audit reads it, seals, and what prunes leave behind.

use crate::World;
use action_domain::{
    audit::{Logged, LoggedEvent, PositionsDigest, Removed, RemovedDigest, Seal, SealKey, tree::Hash},
    digest::Digest,
    event::{Context, EventType, NewEvent, Position},
    repositories::{Conflict, Prune, PrunedPosition, Store, UnitOfWork, Write},
    services::Random,
};
use bytes::Bytes;
use serde_json::value::RawValue;
use std::sync::Arc;

fn next(before: Option<&Seal>, leaves: &[Hash], time: i64) -> Seal {
    let document = before.and_then(|seal| Some((seal.read()?, seal.hash())));
    let before = document.as_ref().map(|(document, hash)| (document, *hash));
    Seal::next(before, leaves, action_domain::time::Timestamp::from_micros(time), &SealKey::from_seed(&[7; 32]))
}

fn append(seal: &Seal, leaves: &[Hash]) -> Write {
    Write::AppendSealIfNext(Box::new(seal.clone()), Bytes::from(leaves.concat()))
}

/// Byte for byte, with the payloads that events refer to.
pub async fn the_log_is_read_as_it_stands(store: Arc<dyn Store>) {
    let w = World::new(store);
    assert!(w.store.logged(None, 10).await.unwrap().is_empty());
    let execution = w.running(&w.action("a", "http@1.0.0"), w.random.uuid());
    let data = RawValue::from_string("{ \"a\" : 1.50e3, \"b\": \"\\u0000\"}".to_owned()).unwrap();
    let full = Context { causation_id: Some(w.random.event_id()), revision: Some(u32::MAX), ..w.context(&execution) };
    let given = Context { correlation_id: Some("ключ \u{0}".into()), ..full.clone() };
    let payload = Some(Digest::of(b"p"));
    let mut events: Vec<NewEvent> = EventType::ALL.iter().map(|r#type| w.event(*r#type, Context::default())).collect();
    events.push(NewEvent { payload, data: data.clone(), ..w.event(EventType::TriggerReceived, full) });
    events.push(NewEvent { data, ..w.event(EventType::MessageLogged, given) });
    events.push(NewEvent { kind: Some("entry".into()), ..w.event(EventType::ItemCaptured, Context::default()) });
    w.commit(UnitOfWork { writes: Vec::new(), events: events.clone() }).await;
    let mut found = Vec::new();
    loop {
        let after = found.last().map(Logged::position);
        let page = w.store.logged(after, 7).await.unwrap();
        assert!(page.len() <= 7);
        if page.is_empty() {
            break;
        }
        found.extend(page);
    }
    let wanted = events.into_iter().zip(1..).map(|(event, position)| LoggedEvent {
        position,
        id: event.id,
        r#type: event.r#type.as_str().to_owned(),
        time: event.time,
        context: event.context,
        payload: event.payload,
        data: event.data.get().to_owned(),
        kind: event.kind.map(|kind| kind.to_string()),
    });
    let wanted: Vec<Logged> = wanted.map(|event| Logged::Event(Box::new(event))).collect();
    assert_eq!(found, wanted);
    w.commit(UnitOfWork::new().write(Write::AddPayload(Digest::of(b"p"), Bytes::from_static(b"p")))).await;
    assert_eq!(w.store.kept_payload(&Digest::of(b"p")).await.unwrap().as_deref(), Some(&b"p"[..]));
    assert_eq!(w.store.kept_payload(&Digest::of(b"q")).await.unwrap(), None);
}

/// One behind the other, and nothing else.
pub async fn seals_form_one_chain(store: Arc<dyn Store>) {
    let w = World::new(store);
    assert_eq!(w.store.last_seal().await.unwrap(), None);
    assert_eq!(w.store.seal_over(1).await.unwrap(), None);
    let leaves: Vec<Hash> = (0..9).map(|number| [number; 32]).collect();
    let first = next(None, &leaves[..4], 1);
    let empty = next(Some(&first), &[], 2);
    let second = next(Some(&empty), &leaves[4..], 3);
    for wrong in [&empty, &second] {
        assert_eq!(w.refused(UnitOfWork::new().write(append(wrong, &[]))).await, Conflict::NotNextSeal);
    }
    w.write(append(&first, &leaves[..4])).await;
    // The same again, another first one, one that names another one before it, one that is no seal.
    let other = next(None, &leaves[..3], 1);
    let forked = next(Some(&other), &[], 2);
    let unreadable = Seal { document: "{}".to_owned(), ..empty.clone() };
    for wrong in [&first, &other, &forked, &second, &unreadable] {
        assert_eq!(w.refused(UnitOfWork::new().write(append(wrong, &[]))).await, Conflict::NotNextSeal);
    }
    // Two in one unit; the second believes the first.
    w.commit(UnitOfWork::new().write(append(&empty, &[])).write(append(&second, &leaves[4..]))).await;
    assert_eq!(w.store.last_seal().await.unwrap(), Some(second.clone()));
    let all = [first.clone(), empty.clone(), second.clone()];
    assert_eq!(w.store.seals(None, 10).await.unwrap(), all);
    assert_eq!(w.store.seals(Some(1), 1).await.unwrap(), all[1..2]);
    assert_eq!(w.store.seals(Some(3), 10).await.unwrap(), []);
    let listed = async |sequence| w.store.leaves(sequence).await.unwrap();
    assert_eq!(listed(1).await.unwrap(), leaves[..4].concat());
    assert_eq!(listed(2).await.unwrap(), Bytes::new());
    assert_eq!(listed(4).await, None);
    for (position, seal) in
        [(0, None), (1, Some(&first)), (4, Some(&first)), (5, Some(&second)), (Position::MAX, Some(&second))]
    {
        assert_eq!(w.store.seal_over(position).await.unwrap().as_ref(), seal, "{position}");
    }
}

/// Of many who seal at once one is next.
pub async fn one_of_many_sealers_is_next(store: Arc<dyn Store>) {
    let w = World::new(store);
    let mut last: Option<Seal> = None;
    for round in 0..5 {
        let tries: Vec<Seal> =
            (0..8).map(|number| next(last.as_ref(), &[[number; 32]], round * 100 + i64::from(number))).collect();
        let commits = tries.iter().map(|seal| {
            let (store, unit) = (Arc::clone(&w.store), UnitOfWork::new().write(append(seal, &[])));
            tokio::spawn(async move { store.commit(unit).await.is_ok() })
        });
        let mut done = Vec::new();
        for commit in commits.collect::<Vec<_>>() {
            done.push(commit.await.unwrap());
        }
        assert_eq!(done.iter().filter(|done| **done).count(), 1, "round {round}");
        let place = done.iter().position(|done| *done).unwrap();
        last = w.store.last_seal().await.unwrap();
        assert_eq!(last.as_ref(), Some(&tries[place]));
    }
}

/// Each empty position names the event that says so, and what is not sealed stays.
pub async fn a_prune_accounts_for_what_it_removes(store: Arc<dyn Store>) {
    let w = World::new(store);
    let record = || w.event(EventType::EventsPruned, Context::default());
    let action = w.action("a", "http@1.0.0");
    let mut executions = Vec::new();
    for _ in 0..4 {
        let execution = w.succeeded(&w.running(&action, w.random.uuid()));
        let event = |r#type| w.event(r#type, w.context(&execution));
        let unit = UnitOfWork::new().write(Write::AddExecution(Box::new(execution.clone())));
        w.commit(unit.event(event(EventType::TriggerReceived)).event(event(EventType::ActionExecuted))).await;
        executions.push(execution.id);
    }
    w.clock.advance(std::time::Duration::from_secs(1));
    let before = w.now();
    let prune = |through, limit, recorded: NewEvent| Prune {
        before,
        through,
        now: w.now(),
        limit,
        recorded: Box::new(move |_| recorded.clone()),
    };
    assert_eq!(w.store.prune(prune(1, 9, record())).await.unwrap().executions, 0);
    assert!(w.store.pruned(None, 9).await.unwrap().is_empty());
    // The third one's last event is at 6.
    let (one, two) = (record(), record());
    let going: Vec<Removed> = w.store.logged(None, 2).await.unwrap().iter().map(Removed::of).collect();
    let pruned = w.store.prune(prune(5, 1, one.clone())).await.unwrap();
    assert_eq!((pruned.executions, pruned.events, pruned.positions), (1, 2, PositionsDigest::of(&[1, 2])));
    assert_eq!(pruned.removed, RemovedDigest::of(&going));
    let pruned = w.store.prune(prune(5, 9, two.clone())).await.unwrap();
    assert_eq!((pruned.executions, pruned.positions), (1, PositionsDigest::of(&[3, 4])));
    assert_eq!(w.store.prune(prune(5, 9, record())).await.unwrap().executions, 0);
    let of = |execution: usize| Some(executions[execution]);
    let empty = [(1, one.id, of(0)), (2, one.id, of(0)), (3, two.id, of(1)), (4, two.id, of(1))];
    let empty = empty.into_iter().map(|(position, by, of)| PrunedPosition { position, by, of });
    let empty: Vec<PrunedPosition> = empty.collect();
    assert_eq!(w.store.pruned(None, 9).await.unwrap(), empty);
    assert_eq!(w.store.pruned(Some(1), 2).await.unwrap(), empty[1..3]);
    assert_eq!(w.store.left_of(executions[1]).await.unwrap(), None);
    let stands = w.store.left_of(executions[2]).await.unwrap();
    assert!(matches!(stands, Some(5 | 6)), "{stands:?}");
    let left: Vec<Position> = w.store.logged(None, 99).await.unwrap().iter().map(Logged::position).collect();
    assert_eq!(left, [5, 6, 7, 8, 9, 10]);
}

/// When an execution ended stands in a table that nobody seals; when its events happened is sealed.
pub async fn an_execution_with_a_later_event_is_not_pruned(store: Arc<dyn Store>) {
    let w = World::new(store);
    let execution = w.succeeded(&w.running(&w.action("a", "http@1.0.0"), w.random.uuid()));
    w.clock.advance(std::time::Duration::from_secs(1));
    let event = w.event(EventType::ActionExecuted, w.context(&execution));
    let before = event.time;
    w.commit(UnitOfWork::new().write(Write::AddExecution(Box::new(execution))).event(event)).await;
    w.clock.advance(std::time::Duration::from_secs(1));
    let prune = |before| {
        let recorded = w.event(EventType::EventsPruned, Context::default());
        Prune { before, through: Position::MAX, now: w.now(), limit: 9, recorded: Box::new(move |_| recorded.clone()) }
    };
    assert_eq!(w.store.prune(prune(before)).await.unwrap().executions, 0);
    assert_eq!(w.store.prune(prune(w.now())).await.unwrap().executions, 1);
}
