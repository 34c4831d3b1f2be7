//! Units of work: all or nothing, in order, seen at once.

use crate::World;
use action_domain::{
    audit::{Seal, SealKey},
    digest::Digest,
    event::EventType,
    execution::{Execution, Status},
    id::ActionId,
    repositories::{
        ActionFilter, ActionKey, CommitError, Conflict, EventFilter, ExecutionFilter, Fire, Page, Store, UnitOfWork,
        Write,
    },
    services::Random,
    time::Timestamp,
    trigger::{Standing, StandingKind},
};
use bytes::Bytes;
use std::{sync::Arc, time::Duration};

/// An empty store answers everything with nothing.
pub async fn a_new_store_is_empty(store: Arc<dyn Store>) {
    let w = World::new(store);
    assert_eq!(w.store.last_position().await.unwrap(), 0);
    assert!(w.log().await.is_empty());
    assert_eq!(w.store.next_due().await.unwrap(), None);
    let max = Timestamp::from_micros(i64::MAX);
    assert!(w.store.abandoned(max, Some(w.random.uuid()), 10).await.unwrap().is_empty());
    assert!(w.store.protocols(Page { after: None, limit: 10 }).await.unwrap().is_empty());
    assert!(w.store.protocol_versions(&"http".parse().unwrap()).await.unwrap().is_empty());
    assert!(w.store.protocol(&"http@1.0.0".parse().unwrap()).await.unwrap().is_none());
    assert!(w.store.actions(&ActionFilter::default(), Page { after: None, limit: 10 }).await.unwrap().is_empty());
    assert!(w.store.action(&ActionKey::Id(w.random.action_id())).await.unwrap().is_none());
    let page = Page { after: None, limit: 10 };
    assert!(w.store.executions(&ExecutionFilter::default(), page).await.unwrap().is_empty());
    assert!(w.store.execution(w.random.execution_id()).await.unwrap().is_none());
    assert!(w.store.event_of(w.random.execution_id(), EventType::ActionExecuted).await.unwrap().is_none());
    assert!(w.store.component(&Digest::of(b"")).await.unwrap().is_none());
    assert!(w.store.payload(&Digest::of(b"")).await.unwrap().is_none());
    for kind in StandingKind::ALL {
        assert!(w.store.triggers(kind, Page { after: None, limit: 10 }).await.unwrap().is_empty());
    }
    assert!(w.store.due_schedules(max, 10).await.unwrap().is_empty());
    assert_eq!(w.store.next_schedule().await.unwrap(), None);
    assert!(w.store.values(w.random.action_id()).await.unwrap().is_empty());
    assert!(w.store.consumers(Page { after: None, limit: 10 }).await.unwrap().is_empty());
    assert!(w.store.claim(w.claim(w.random.uuid(), 10)).await.unwrap().executions.is_empty());
    assert_eq!(w.commit(UnitOfWork::new()).await, 0);
}

/// Positions of a unit follow each other, and the answer names the last.
pub async fn events_of_a_unit_get_consecutive_positions(store: Arc<dyn Store>) {
    let w = World::new(store);
    for count in [1, 2, 3, 100] {
        let before = w.store.last_position().await.unwrap();
        let events: Vec<_> = (0..count).map(|_| w.any_event()).collect();
        let ids: Vec<_> = events.iter().map(|event| event.id).collect();
        let last = w.commit(UnitOfWork { writes: Vec::new(), events }).await;
        let log = w.log().await;
        let new: Vec<_> = log.iter().filter(|event| event.position > before).collect();
        assert_eq!(new.iter().map(|event| event.id).collect::<Vec<_>>(), ids);
        let positions: Vec<_> = new.iter().map(|event| event.position).collect();
        assert_eq!(positions, (last - count + 1..=last).collect::<Vec<_>>());
        assert_eq!(w.store.last_position().await.unwrap(), last);
    }
    let end = w.store.last_position().await.unwrap();
    let payload = Write::AddPayload(Digest::of(b"p"), Bytes::from_static(b"p"));
    assert_eq!(w.commit(UnitOfWork::new().write(payload)).await, end, "a unit without events gives the log's end");
}

/// Read your writes.
pub async fn what_was_committed_is_read_at_once(store: Arc<dyn Store>) {
    let w = World::new(store);
    let action = w.action("a", "http@1.0.0");
    for _ in 0..200 {
        let execution = w.running(&action, w.random.uuid());
        let event = w.event(EventType::TriggerReceived, w.context(&execution));
        let unit = UnitOfWork::new().write(Write::AddExecution(Box::new(execution.clone()))).event(event.clone());
        let position = w.commit(unit).await;
        assert_eq!(w.execution_now(execution.id).await, execution);
        let found = w.store.event_of(execution.id, EventType::TriggerReceived).await.unwrap().unwrap();
        assert_eq!((found.id, found.position), (event.id, position));
        assert_eq!(w.store.last_position().await.unwrap(), position);
    }
}

/// Every write that can clash, with each way in which it does.
async fn clashes(w: &World) -> Vec<(Write, Conflict)> {
    let worker = w.random.uuid();
    for write in [w.add_protocol("http@1.0.0", b"c"), w.add_protocol("free@1.0.0", b"f")] {
        w.write(write).await;
    }
    let (taken, other) = (w.action("taken", "http@1.0.0"), w.action("other", "http@1.0.0"));
    w.write(Write::AddAction(Box::new(taken.clone()))).await;
    w.write(Write::AddAction(Box::new(other.clone()))).await;
    w.write(Write::AddRevisionIfCurrent(Box::new(w.revised(&taken)))).await;
    let on_free = w.action("on-free", "free@1.0.0");
    let queued = w.queued(&on_free);
    let running = w.running(&taken, worker);
    let ended = w.succeeded(&w.running(&taken, worker));
    for execution in [&queued, &running, &ended] {
        w.write(Write::AddExecution(Box::new(execution.clone()))).await;
    }
    let mut wrong_name = w.revised(&other);
    wrong_name.spec.name = "taken".parse().unwrap();
    let unknown = w.running(&taken, worker);
    let by_lease = |execution: &Execution, worker, attempt| {
        Write::UpdateExecutionIfLeased(Box::new(w.succeeded(execution)), w.lease(worker, attempt))
    };
    let by_status = |execution: &Execution, status, attempt| {
        Write::UpdateExecutionIfStatus(Box::new(w.succeeded(execution)), status, attempt)
    };
    let mismatch = Conflict::RevisionMismatch { current: 2 };
    // Where there is no first one.
    let key = SealKey::from_seed(&[7; 32]);
    let first_seal = Seal::next(None, &[], w.now(), &key);
    let before = first_seal.read().unwrap();
    let second_seal = Seal::next(Some((&before, first_seal.hash())), &[], w.now(), &key);
    let mut clashes = vec![
        (w.add_protocol("http@1.0.0", b"other bytes"), Conflict::VersionExists),
        (Write::RemoveProtocolIfUnused("http@9.0.0".parse().unwrap()), Conflict::NotFound),
        (Write::RemoveProtocolIfUnused("http@1.0.0".parse().unwrap()), Conflict::InUse { by: "other".into() }),
        (Write::RemoveProtocolIfUnused("free@1.0.0".parse().unwrap()), Conflict::InUse { by: queued.id.to_string() }),
        (Write::AddAction(Box::new(w.action("taken", "http@1.0.0"))), Conflict::NameTaken),
        (Write::AddRevisionIfCurrent(Box::new(w.revised(&w.action("new", "http@1.0.0")))), Conflict::NotFound),
        (Write::AddRevisionIfCurrent(Box::new(w.revised(&taken))), mismatch.clone()),
        (Write::AddRevisionIfCurrent(Box::new(wrong_name)), Conflict::NameTaken),
        (Write::RemoveActionIfCurrent(w.random.action_id(), 1), Conflict::NotFound),
        (Write::RemoveActionIfCurrent(taken.id, 1), mismatch),
        (by_lease(&unknown, worker, 1), Conflict::LeaseLost),
        (by_lease(&queued, worker, 1), Conflict::LeaseLost),
        (by_lease(&ended, worker, 1), Conflict::LeaseLost),
        (by_lease(&running, w.random.uuid(), 1), Conflict::LeaseLost),
        (by_lease(&running, worker, 2), Conflict::LeaseLost),
        (by_status(&unknown, Status::Running, 1), Conflict::StatusMismatch),
        (by_status(&running, Status::Queued, 1), Conflict::StatusMismatch),
        (by_status(&running, Status::Running, 2), Conflict::StatusMismatch),
        (by_status(&ended, Status::Running, 1), Conflict::StatusMismatch),
        (by_status(&queued, Status::Queued, 1), Conflict::StatusMismatch),
        (Write::AppendSealIfNext(Box::new(second_seal), Bytes::new()), Conflict::NotNextSeal),
    ];
    clashes.extend(clashes_of_what_comes_in(w, taken.id, other.id).await);
    clashes
}

async fn clashes_of_what_comes_in(w: &World, taken: ActionId, other: ActionId) -> Vec<(Write, Conflict)> {
    let row = w.schedule(taken, 1, 5);
    let due_at = row.due_at.unwrap();
    w.write(Write::SetTriggers(taken, vec![w.webhook(taken, 0, "path"), row])).await;
    w.write(Write::UseTrigger(taken, World::identity(0, StandingKind::Webhook), 1)).await;
    w.write(Write::AddItemKeys(taken, vec!["key".into()])).await;
    w.write(Write::SetValues(taken, [("value".to_owned(), Some("1".into()))].into())).await;
    w.write(Write::PutConsumer(Box::new(w.consumer("reader")), 0)).await;
    w.write(Write::MoveCursorIf("$cursor".into(), None, Some(1))).await;
    let fire = |action, place, due_at| {
        let identity = World::identity(place, StandingKind::Schedule);
        Write::FireIfDue(Box::new(Fire { action, identity, due_at, next: None, last: Some(w.random.execution_id()) }))
    };
    vec![
        (Write::SetTriggers(other, vec![w.webhook(other, 0, "path")]), Conflict::PathTaken("path".into())),
        (fire(taken, 1, due_at.plus(Duration::from_secs(1))), Conflict::FiredBefore),
        (fire(taken, 0, due_at), Conflict::FiredBefore),
        (fire(other, 1, due_at), Conflict::FiredBefore),
        (Write::UseTrigger(taken, World::identity(0, StandingKind::Webhook), 1), Conflict::UsedUp),
        (Write::UseTrigger(other, World::identity(0, StandingKind::Webhook), 1), Conflict::UsedUp),
        (
            Write::RestartIfLast(
                taken,
                World::identity(1, StandingKind::Schedule),
                Some(w.random.execution_id()),
                w.random.execution_id(),
            ),
            Conflict::FiredBefore,
        ),
        (Write::AddItemKeys(taken, vec!["new".into(), "key".into()]), Conflict::ItemKnown),
        (Write::RemoveConsumer("none".parse().unwrap()), Conflict::NotFound),
        (Write::Acknowledge("none".parse().unwrap(), 1), Conflict::NotFound),
        (Write::MoveCursorIf("$cursor".into(), None, Some(2)), Conflict::CursorMoved),
        (Write::MoveCursorIf("$cursor".into(), Some(2), None), Conflict::CursorMoved),
    ]
}

/// What a unit can do beside a clash to what [`clashes_of_what_comes_in`] has left.
fn of_what_comes_in(w: &World, id: ActionId) -> [Write; 10] {
    let row = w.schedule(id, 1, 5);
    let fire = Fire { action: id, identity: row.identity, due_at: row.due_at.unwrap(), next: None, last: None };
    [
        Write::FireIfDue(Box::new(fire)),
        Write::UseTrigger(id, World::identity(0, StandingKind::Webhook), 2),
        Write::RestartIfLast(id, row.identity, None, w.random.execution_id()),
        Write::SetTriggers(
            id,
            vec![Standing { uses: 1, ..w.webhook(id, 0, "path") }, row, w.webhook(id, 2, "another")],
        ),
        Write::AddItemKeys(id, vec!["new".into()]),
        Write::SetValues(id, [("value".to_owned(), None), ("new".to_owned(), Some("2".into()))].into()),
        Write::Acknowledge("reader".parse().unwrap(), 7),
        Write::PutConsumer(Box::new(w.consumer("another")), 0),
        Write::RemoveConsumer("reader".parse().unwrap()),
        Write::MoveCursorIf("$cursor".into(), Some(1), Some(9)),
    ]
}

/// What each clash must not have left.
async fn state(w: &World) -> String {
    let page = || Page { after: None, limit: 100 };
    let executions = w.store.executions(&ExecutionFilter::default(), Page { after: None, limit: 100 }).await;
    let taken = w.store.action(&ActionKey::Name("taken".parse().unwrap())).await.unwrap().unwrap().id;
    let captured = w.store.captured_keys(taken, &["key".into(), "new".into()]).await;
    let readers = (w.store.consumers(Page { after: None, limit: 100 }).await, w.store.cursor("$cursor").await);
    let paths = (w.store.webhook_at("path").await, w.store.webhook_at("another").await);
    format!(
        "{:?} {captured:?} {:?} {readers:?} {paths:?} {:?} {:?} {:?} {:?} {:?}",
        w.store.triggers_of(taken).await,
        w.store.values(taken).await,
        w.store.next_schedule().await,
        w.store.protocols(Page { after: None, limit: 100 }).await,
        w.store.actions(&ActionFilter::default(), Page { after: None, limit: 100 }).await,
        executions,
        w.store.events(&EventFilter::default(), page()).await
    )
}

/// For each conflict: nothing of the unit happened, whatever stands before and behind it.
pub async fn a_refused_unit_leaves_nothing_behind(store: Arc<dyn Store>) {
    let w = World::new(store);
    let clashes = clashes(&w).await;
    let before = state(&w).await;
    let action = w.action("extra", "extra@1.0.0");
    let taken = w.store.action(&ActionKey::Name("taken".parse().unwrap())).await.unwrap().unwrap().id;
    for (write, conflict) in clashes {
        let running = w.running(&action, w.random.uuid());
        let payload = Bytes::from_static(b"a payload of its own");
        let digest = Digest::of(&payload);
        let hot = [
            Write::AddPayload(digest, payload),
            Write::AddExecution(Box::new(running.clone())),
            Write::UpdateExecutionIfStatus(Box::new(w.waiting(&running)), Status::Running, 1),
        ];
        let cold = [w.add_protocol("extra@1.0.0", b"extra"), Write::AddAction(Box::new(action.clone()))];
        let both = [hot.to_vec(), cold.to_vec()].concat();
        let with_incoming = [hot.to_vec(), of_what_comes_in(&w, taken).to_vec()].concat();
        for others in [hot.to_vec(), cold.to_vec(), both, with_incoming] {
            for place in [0, others.len()] {
                let mut writes = others.clone();
                writes.insert(place, write.clone());
                let unit = UnitOfWork { writes, events: vec![w.any_event()] };
                assert_eq!(w.refused(unit).await, conflict);
                assert_eq!(state(&w).await, before, "{conflict:?} at {place}");
                assert!(w.store.payload(&digest).await.unwrap().is_none());
                assert!(w.store.component(&Digest::of(b"extra")).await.unwrap().is_none());
                assert!(w.store.action_revision(action.id, 1).await.unwrap().is_none());
                assert!(w.store.execution(running.id).await.unwrap().is_none());
            }
        }
        assert_eq!(w.refused(UnitOfWork::new().write(write)).await, conflict);
    }
    // Nothing of all that stands in the way of the same thing done right.
    let unit = UnitOfWork::new()
        .write(w.add_protocol("extra@1.0.0", b"extra"))
        .write(Write::AddAction(Box::new(action)))
        .event(w.any_event());
    assert_eq!(w.commit(unit).await, 1);
}

/// Two conflicts: the first one counts.
pub async fn the_first_conflict_in_the_order_of_the_writes_is_given(store: Arc<dyn Store>) {
    let w = World::new(store);
    let clashes = clashes(&w).await;
    for (first, conflict) in &clashes {
        for (second, _) in &clashes {
            let unit = UnitOfWork::new().write(first.clone()).write(second.clone());
            assert_eq!(w.refused(unit).await, *conflict);
        }
    }
}

/// Writes of a unit build on the ones before.
pub async fn a_unit_sees_its_own_writes(store: Arc<dyn Store>) {
    let w = World::new(store);
    let worker = w.random.uuid();
    let action = w.action("a", "http@1.0.0");
    let running = w.running(&action, worker);
    let unit = UnitOfWork::new()
        .write(w.add_protocol("http@1.0.0", b"c"))
        .write(Write::AddAction(Box::new(action.clone())))
        .write(Write::AddRevisionIfCurrent(Box::new(w.revised(&action))))
        .write(Write::AddExecution(Box::new(running.clone())))
        .write(Write::UpdateExecutionIfLeased(Box::new(w.waiting(&running)), w.lease(worker, 1)));
    let in_use = unit.clone().write(Write::RemoveProtocolIfUnused("http@1.0.0".parse().unwrap()));
    assert_eq!(w.refused(in_use).await, Conflict::InUse { by: "a".into() });
    let gone = unit
        .clone()
        .write(Write::RemoveActionIfCurrent(action.id, 2))
        .write(Write::RemoveProtocolIfUnused("http@1.0.0".parse().unwrap()));
    assert_eq!(w.refused(gone).await, Conflict::InUse { by: running.id.to_string() });
    let late = unit.clone().write(Write::UpdateExecutionIfLeased(Box::new(running.clone()), w.lease(worker, 1)));
    assert_eq!(w.refused(late).await, Conflict::LeaseLost);
    let taken = unit.clone().write(Write::AddAction(Box::new(w.action("a", "http@1.0.0"))));
    assert_eq!(w.refused(taken).await, Conflict::NameTaken);
    w.commit(unit).await;
    assert_eq!(w.execution_now(running.id).await, w.waiting(&running));
    assert_eq!(w.store.action(&ActionKey::Id(action.id)).await.unwrap().unwrap().revision, 2);
    let hot = w.running(&action, worker);
    let unit = UnitOfWork::new()
        .write(Write::AddExecution(Box::new(hot.clone())))
        .write(Write::UpdateExecutionIfLeased(Box::new(w.waiting(&hot)), w.lease(worker, 1)))
        .write(Write::UpdateExecutionIfStatus(Box::new(w.succeeded(&hot)), Status::Waiting, 1));
    let late = unit.clone().write(Write::UpdateExecutionIfStatus(Box::new(hot.clone()), Status::Waiting, 1));
    assert_eq!(w.refused(late).await, Conflict::StatusMismatch);
    w.commit(unit).await;
    assert_eq!(w.execution_now(hot.id).await, w.succeeded(&hot));
}

/// Ids are new by contract. Who breaks that is refused alone.
pub async fn a_unit_with_an_id_that_is_there_harms_no_other(store: Arc<dyn Store>) {
    let w = World::new(store);
    let action = w.action("a", "http@1.0.0");
    let first = w.queued(&action);
    w.write(Write::AddExecution(Box::new(first.clone()))).await;
    let twice = || UnitOfWork::new().write(Write::AddExecution(Box::new(w.succeeded(&first)))).event(w.any_event());
    let good = || UnitOfWork::new().write(Write::AddExecution(Box::new(w.queued(&action)))).event(w.any_event());
    let units = [good(), twice(), good(), twice(), good()];
    let mut tasks = Vec::new();
    for unit in units {
        let store = Arc::clone(&w.store);
        tasks.push(tokio::spawn(async move { store.commit(unit).await }));
    }
    let mut outcomes = Vec::new();
    for task in tasks {
        outcomes.push(matches!(task.await.unwrap(), Err(CommitError::Unavailable(_))));
    }
    assert_eq!(outcomes, [false, true, false, true, false]);
    assert_eq!(w.execution_now(first.id).await, first);
    assert_eq!(w.log().await.iter().map(|event| event.position).collect::<Vec<_>>(), [1, 2, 3]);
}

/// By digest, once, of any size.
pub async fn payloads_are_kept_once(store: Arc<dyn Store>) {
    let w = World::new(store);
    for data in [Bytes::new(), Bytes::from_static(&[0, 255, 0]), Bytes::from(vec![7; 5 << 20])] {
        let digest = Digest::of(&data);
        let add = || Write::AddPayload(digest, data.clone());
        w.commit(UnitOfWork::new().write(add()).write(add())).await;
        w.write(add()).await;
        assert_eq!(w.store.payload(&digest).await.unwrap().unwrap(), data);
    }
}
