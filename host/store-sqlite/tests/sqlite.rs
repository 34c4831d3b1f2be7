//! What only SQLite can get wrong: durability, exclusiveness, immutability, a full disk.
#![expect(clippy::unwrap_used, reason = "tests fail by panicking, also outside the test functions")]

use action_domain::{
    digest::Digest,
    execution::Status,
    repositories::{ActionKey, CommitError, EventFilter, Page, Reader as _, Store as _, UnitOfWork, Write},
    services::Random as _,
};
use action_store_sqlite::{OpenError, SqliteOptions, SqliteStore, migrate};
use action_testkit::World;
use bytes::Bytes;
use rusqlite::Connection;
use std::{path::Path, sync::Arc};
use tempfile::tempdir;

fn raw(path: &Path) -> Connection {
    Connection::open(path).unwrap()
}

async fn world(path: &Path) -> (Arc<SqliteStore>, World) {
    let store = Arc::new(SqliteStore::open(path).await.unwrap());
    let world = World::new(store.clone());
    (store, world)
}

#[tokio::test]
async fn events_refuse_update_and_delete() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("a.db");
    let (store, w) = world(&path).await;
    w.commit(UnitOfWork::new().event(w.any_event())).await;
    store.close().await;
    let connection = raw(&path);
    let rows =
        "INSERT INTO seals VALUES (1, 1, '', x'', x''); INSERT INTO pruned_events VALUES (1, zeroblob(16), NULL)";
    connection.execute_batch(rows).unwrap();
    for sql in [
        "UPDATE events SET data = '{}'",
        "UPDATE events SET position = 7 WHERE position = 1",
        "DELETE FROM events",
        "DELETE FROM events WHERE position = 1",
        "INSERT INTO events (position, id, type, time, data) VALUES (1, x'00', 1, 1, '{}')",
        "UPDATE seals SET document = ''",
        "DELETE FROM seals",
        "INSERT OR REPLACE INTO seals VALUES (1, 1, '', x'', x'')",
        "UPDATE pruned_events SET position = 2",
        "DELETE FROM pruned_events",
        "INSERT OR REPLACE INTO pruned_events VALUES (1, zeroblob(16), NULL)",
    ] {
        assert!(connection.execute(sql, []).is_err(), "{sql}");
    }
    let error = connection.execute("DELETE FROM events", []).unwrap_err();
    assert!(error.to_string().contains("events are immutable"), "{error}");
    connection.close().unwrap();
    assert_eq!(world(&path).await.1.log().await.len(), 1);
}

/// Nobody removes events by the name of what still goes on, or without a word about it.
#[tokio::test]
async fn retention_is_not_used_by_mistake() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("a.db");
    let (store, w) = world(&path).await;
    let action = w.action("a", "http@1.0.0");
    let (queued, ended) = (w.queued(&action), w.succeeded(&w.running(&action, w.random.uuid())));
    for execution in [&queued, &ended] {
        let event = w.event(action_domain::event::EventType::TriggerReceived, w.context(execution));
        w.commit(UnitOfWork::new().write(Write::AddExecution(Box::new(execution.clone()))).event(event)).await;
    }
    store.close().await;
    let mut connection = raw(&path);
    let name = "INSERT INTO pruning (execution) VALUES (?)";
    let error = connection.execute(name, [queued.id.uuid().as_bytes()]).unwrap_err();
    assert!(error.to_string().contains("have ended"), "{error}");
    let transaction = connection.transaction().unwrap();
    transaction.execute(name, [ended.id.uuid().as_bytes()]).unwrap();
    transaction.execute("DELETE FROM events WHERE execution = ?", [ended.id.uuid().as_bytes()]).unwrap();
    let error = transaction.execute("DELETE FROM pruning", []).unwrap_err();
    assert!(error.to_string().contains("recorded"), "{error}");
    drop(transaction);
    connection.close().unwrap();
    assert_eq!(world(&path).await.1.log().await.len(), 2);
}

#[tokio::test]
async fn everything_is_there_after_reopening() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("deep/er/a.db");
    let (store, w) = world(&path).await;
    let action = w.action("a", "http@1.0.0");
    let worker = w.random.uuid();
    let (running, queued) = (w.running(&action, worker), w.queued(&action));
    let payload = Bytes::from(vec![1; 100_000]);
    let unit = UnitOfWork::new()
        .write(w.add_protocol("http@1.0.0", b"component"))
        .write(Write::AddAction(Box::new(action.clone())))
        .write(Write::AddExecution(Box::new(running.clone())))
        .write(Write::AddExecution(Box::new(queued.clone())))
        .write(Write::AddPayload(Digest::of(&payload), payload.clone()));
    w.commit(unit.event(w.any_event()).event(w.any_event())).await;
    let log = format!("{:?}", w.log().await);
    store.close().await;
    assert!(!folder.path().join("deep/er/a.db-wal").exists(), "the write-ahead log is moved into the database");

    let (store, again) = world(&path).await;
    assert_eq!(format!("{:?}", again.log().await), log);
    assert_eq!(again.execution_now(running.id).await, running);
    assert_eq!(again.execution_now(queued.id).await, queued);
    assert_eq!(*store.action(&ActionKey::Id(action.id)).await.unwrap().unwrap(), action);
    assert_eq!(store.component(&Digest::of(b"component")).await.unwrap().unwrap(), &b"component"[..]);
    assert_eq!(store.payload(&Digest::of(&payload)).await.unwrap().unwrap(), payload);
    assert_eq!(store.last_position().await.unwrap(), 2);
    // The writer knows again what runs, and where the log ends.
    let end = Write::UpdateExecutionIfLeased(Box::new(w.succeeded(&running)), w.lease(worker, 1));
    assert_eq!(store.commit(UnitOfWork::new().write(end).event(w.any_event())).await.unwrap(), 3);
    assert_eq!(store.claim(w.claim(worker, 5)).await.unwrap().executions.len(), 1);
    assert_eq!(store.last_position().await.unwrap(), 4);
}

#[tokio::test]
async fn only_one_may_open_it() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("a.db");
    let (store, w) = world(&path).await;
    let error = SqliteStore::open(&path).await.unwrap_err();
    assert!(matches!(&error, OpenError::InUse { path: named } if *named == path));
    assert!(error.to_string().contains(&path.display().to_string()), "{error}");
    assert!(matches!(migrate(&path).await, Err(OpenError::InUse { .. })));
    w.commit(UnitOfWork::new().event(w.any_event())).await;
    store.close().await;
    let (again, _) = world(&path).await;
    assert_eq!(again.last_position().await.unwrap(), 1);
}

#[tokio::test]
async fn a_closed_store_refuses_and_ends_its_followers() {
    let folder = tempdir().unwrap();
    let (store, w) = world(&folder.path().join("a.db")).await;
    let mut follower = store.follow();
    let mut waiting = Vec::new();
    for _ in 0..50 {
        let (store, unit) = (store.clone(), UnitOfWork::new().event(w.any_event()));
        waiting.push(tokio::spawn(async move { store.commit(unit).await }));
    }
    for commit in waiting {
        commit.await.unwrap().unwrap();
    }
    store.close().await;
    store.close().await;
    assert!(follower.changed().await, "of what came before the end");
    assert!(!follower.changed().await);
    let late = store.commit(UnitOfWork::new().event(w.any_event())).await;
    assert!(matches!(late, Err(CommitError::Unavailable(_))));
    assert!(store.execution(w.random.execution_id()).await.is_err());
    assert!(store.claim(w.claim(w.random.uuid(), 1)).await.is_err());
}

#[tokio::test]
async fn a_newer_database_is_refused_with_its_version() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("a.db");
    let steps = migrate(&path).await.unwrap() as i64;
    assert!(steps > 0);
    assert_eq!(migrate(&path).await.unwrap(), 0);
    let connection = raw(&path);
    connection.pragma_update(None, "user_version", 99).unwrap();
    connection.close().unwrap();
    let error = SqliteStore::open(&path).await.unwrap_err();
    assert!(matches!(error, OpenError::Newer { found: 99, known, .. } if known == steps), "{error}");
    assert!(error.to_string().contains("schema version 99"), "{error}");
}

#[tokio::test]
async fn what_is_no_database_is_refused() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("a.db");
    std::fs::write(&path, "a text and not a database, long enough to be read as a header".repeat(20)).unwrap();
    assert!(matches!(SqliteStore::open(&path).await, Err(OpenError::Unusable { .. })));
    let error = SqliteStore::open(folder.path()).await.unwrap_err();
    assert!(matches!(error, OpenError::Unusable { .. }), "{error}");
}

/// A full database refuses everything of the batch, keeps what it has, and takes what fits.
#[tokio::test]
async fn a_full_database_refuses_and_goes_on() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("a.db");
    let options = SqliteOptions { pages_max: Some(300), ..SqliteOptions::new(&path) };
    let store = Arc::new(SqliteStore::open_with(options).await.unwrap());
    let w = World::new(store.clone());
    let running = w.running(&w.action("a", "http@1.0.0"), w.random.uuid());
    w.commit(UnitOfWork::new().write(Write::AddExecution(Box::new(running.clone()))).event(w.any_event())).await;
    for round in 0..3 {
        let data = Bytes::from(vec![round; 4 << 20]);
        let large = Write::AddPayload(Digest::of(&data), data.clone());
        let refused = store.commit(UnitOfWork::new().write(large).event(w.any_event())).await;
        assert!(matches!(refused, Err(CommitError::Unavailable(_))), "{refused:?}");
        assert!(store.payload(&Digest::of(&data)).await.unwrap().is_none());
        let position = w.commit(UnitOfWork::new().event(w.any_event())).await;
        assert_eq!(position, i64::from(round) + 2, "the log goes on without a gap");
        assert_eq!(store.last_position().await.unwrap(), position);
    }
    // What the writer knew by heart, it knows again.
    let lease = running.lease.unwrap();
    w.write(Write::UpdateExecutionIfLeased(Box::new(w.succeeded(&running)), lease)).await;
    assert_eq!(w.execution_now(running.id).await.status, Status::Succeeded);
    let page = Page { after: None, limit: 10 };
    assert_eq!(store.events(&EventFilter::default(), page).await.unwrap().len(), 4);
}

/// A claim whose closures panic takes nothing, and nobody else notices.
#[tokio::test]
async fn a_claim_that_panics_harms_nobody() {
    let folder = tempdir().unwrap();
    let (store, w) = world(&folder.path().join("a.db")).await;
    let queued = w.queued(&w.action("a", "http@1.0.0"));
    w.write(Write::AddExecution(Box::new(queued.clone()))).await;
    let mut claim = w.claim(w.random.uuid(), 1);
    claim.lease = Box::new(|_| panic!("on purpose"));
    assert!(store.claim(claim).await.is_err());
    assert_eq!(w.execution_now(queued.id).await, queued);
    assert_eq!(store.claim(w.claim(w.random.uuid(), 1)).await.unwrap().executions.len(), 1);
}
