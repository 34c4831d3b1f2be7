//! What only Postgres can get wrong: immutability, the schema among many processes, settings.
#![expect(clippy::unwrap_used, reason = "tests fail by panicking, also outside the test functions")]

use action_domain::{
    event::{EventType, NewEvent, Position},
    execution::Status,
    repositories::{CommitError, Prune, Reader as _, Store as _, UnitOfWork, Write},
    services::Random as _,
};
use action_store_postgres::{OpenError, PostgresOptions, PostgresStore, migrate};
use action_testkit::{World, postgres::Server};
use sqlx::{
    AssertSqlSafe, ConnectOptions as _, Connection as _, Executor as _, PgConnection, postgres::PgConnectOptions,
};
use std::sync::Arc;

async fn raw(url: &str) -> PgConnection {
    url.parse::<PgConnectOptions>().unwrap().connect().await.unwrap()
}

async fn world(url: &str) -> (Arc<PostgresStore>, World) {
    let store = Arc::new(PostgresStore::open(url, PostgresOptions::default()).await.unwrap());
    let world = World::new(store.clone());
    (store, world)
}

#[tokio::test]
async fn events_refuse_update_delete_and_truncate() {
    let database = Server::shared().database();
    let (_store, w) = world(&database.url).await;
    w.commit(UnitOfWork::new().event(w.any_event())).await;
    // Also for who may do everything.
    for url in [&database.url, &database.admin_url] {
        let mut connection = raw(url).await;
        for sql in [
            "UPDATE events SET data = '{}'",
            "UPDATE events SET position = 7 WHERE position = 1",
            "DELETE FROM events",
            "DELETE FROM events WHERE position = 1",
            "TRUNCATE events",
            "INSERT INTO events (position, id, type, time, data) VALUES (1, gen_random_uuid(), 't', 1, '{}') \
             ON CONFLICT (position) DO UPDATE SET data = excluded.data",
        ] {
            let error = sqlx::query(AssertSqlSafe(sql)).execute(&mut connection).await.unwrap_err();
            assert!(error.to_string().contains("events are immutable"), "{sql}: {error}");
        }
        let again = "INSERT INTO events (position, id, type, time, data) VALUES (1, gen_random_uuid(), 't', 1, '{}')";
        assert!(connection.execute(again).await.is_err());
    }
    assert_eq!(w.log().await.len(), 1);
}

/// Nobody removes events by the name of what still goes on, or without a word about it.
#[tokio::test]
async fn retention_is_not_used_by_mistake() {
    let database = Server::shared().database();
    let (_store, w) = world(&database.url).await;
    let action = w.action("a", "http@1.0.0");
    let (queued, ended) = (w.queued(&action), w.succeeded(&w.running(&action, w.random.uuid())));
    for execution in [&queued, &ended] {
        let event = w.event(EventType::TriggerReceived, w.context(execution));
        w.commit(UnitOfWork::new().write(Write::AddExecution(Box::new(execution.clone()))).event(event)).await;
    }
    let mut connection = raw(&database.url).await;
    let name = "INSERT INTO pruning (execution) VALUES ($1)";
    let error = sqlx::query(name).bind(queued.id.uuid()).execute(&mut connection).await.unwrap_err();
    assert!(error.to_string().contains("have ended"), "{error}");
    for tidy in [true, false] {
        let mut transaction = connection.begin().await.unwrap();
        sqlx::query(name).bind(ended.id.uuid()).execute(&mut *transaction).await.unwrap();
        let remove = "DELETE FROM events WHERE execution = $1";
        sqlx::query(remove).bind(ended.id.uuid()).execute(&mut *transaction).await.unwrap();
        if tidy {
            transaction.execute("DELETE FROM pruning").await.unwrap();
        }
        let error = transaction.commit().await.unwrap_err();
        assert!(error.to_string().contains("recorded"), "{error}");
    }
    // Nor with the record of another time.
    let event = w.any_event();
    let prune = Prune {
        before: w.now(),
        now: w.now(),
        through: Position::MAX,
        limit: 1,
        recorded: Box::new(move |_| NewEvent { r#type: EventType::EventsPruned, ..event.clone() }),
    };
    w.clock.advance(std::time::Duration::from_secs(1));
    assert_eq!(w.store.prune(Prune { before: w.now(), ..prune }).await.unwrap().executions, 1);
    let later = w.succeeded(&w.running(&action, w.random.uuid()));
    w.write(Write::AddExecution(Box::new(later.clone()))).await;
    let mut transaction = connection.begin().await.unwrap();
    sqlx::query(name).bind(later.id.uuid()).execute(&mut *transaction).await.unwrap();
    transaction.execute("DELETE FROM pruning").await.unwrap();
    assert!(transaction.commit().await.is_err());
}

/// Then it cannot take the triggers away that guard the log.
#[tokio::test]
async fn the_service_runs_as_a_role_that_owns_nothing() {
    let database = Server::shared().database();
    migrate(&database.url).await.unwrap();
    let mut admin = raw(&database.admin_url).await;
    let name: String = sqlx::query_scalar("SELECT current_database()::text").fetch_one(&mut admin).await.unwrap();
    let role = format!("tenant_of_{name}");
    for sql in [
        format!("CREATE ROLE {role} LOGIN"),
        format!("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role}"),
    ] {
        admin.execute(AssertSqlSafe(sql)).await.unwrap();
    }
    let (_, place) = database.url.split_once('@').unwrap();
    let url = format!("postgres://{role}@{place}");
    let (store, w) = world(&url).await;
    w.commit(UnitOfWork::new().event(w.any_event())).await;
    let mut tenant = raw(&url).await;
    for sql in ["DROP TRIGGER events_refuse_delete ON events", "ALTER TABLE events DISABLE TRIGGER ALL"] {
        let error = tenant.execute(sql).await.unwrap_err();
        assert!(error.to_string().contains("must be owner"), "{error}");
    }
    drop(tenant);
    store.close().await;
    for sql in [format!("DROP OWNED BY {role}"), format!("DROP ROLE {role}")] {
        admin.execute(AssertSqlSafe(sql)).await.unwrap();
    }
}

/// By the database's clock go all who share it, whatever their own shows.
#[tokio::test]
async fn the_time_is_the_databases() {
    let database = Server::shared().database();
    let mut connection = raw(&database.url).await;
    let ask = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint";
    let before: i64 = sqlx::query_scalar(ask).fetch_one(&mut connection).await.unwrap();
    let store = PostgresStore::open(&database.url, PostgresOptions::default()).await.unwrap();
    let now = store.clock().now().as_micros();
    let after: i64 = sqlx::query_scalar(ask).fetch_one(&mut connection).await.unwrap();
    assert!(before <= now && now <= after, "{before} {now} {after}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_processes_may_open_a_new_database_at_once() {
    let database = Server::shared().database();
    let opening: Vec<_> = (0..6)
        .map(|_| {
            let url = database.url.clone();
            tokio::spawn(async move { PostgresStore::open(&url, PostgresOptions::default()).await.unwrap() })
        })
        .collect();
    for (number, opening) in opening.into_iter().enumerate() {
        let w = World::new(Arc::new(opening.await.unwrap()));
        assert_eq!(w.commit(UnitOfWork::new().event(w.any_event())).await, number as i64 + 1);
    }
    assert_eq!(migrate(&database.url).await.unwrap(), 0);
}

#[tokio::test]
async fn a_newer_database_is_refused_with_its_version() {
    let database = Server::shared().database();
    let steps = migrate(&database.url).await.unwrap() as i64;
    assert!(steps > 0);
    assert_eq!(migrate(&database.url).await.unwrap(), 0);
    let newer = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
                 VALUES (99, 'of tomorrow', true, ''::bytea, 1)";
    raw(&database.url).await.execute(newer).await.unwrap();
    let error = PostgresStore::open(&database.url, PostgresOptions::default()).await.unwrap_err();
    assert!(matches!(error, OpenError::Newer { found: 99, known, .. } if known == steps), "{error}");
    assert!(error.to_string().contains("schema version 99"), "{error}");
}

#[tokio::test]
async fn who_cannot_be_reached_is_named_without_the_password() {
    let nobody = "postgres://service:very-secret@localhost:1/none?host=/nowhere";
    let error = PostgresStore::open(nobody, PostgresOptions::default()).await.unwrap_err();
    assert!(matches!(error, OpenError::Unusable { .. }), "{error}");
    let (text, debug) = (error.to_string(), format!("{error:?}"));
    assert!(text.contains("service@/nowhere:1/none") && !format!("{text}{debug}").contains("secret"), "{text}");
    let error = PostgresStore::open("sqlite:a.db", PostgresOptions::default()).await.unwrap_err();
    assert!(matches!(error, OpenError::Address(_)), "{error}");
}

/// As many connections as the options say, with the settings that bound what they hold up.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_are_few_named_and_bounded() {
    let database = Server::shared().database();
    let options = PostgresOptions { application_name: "named".into(), readers: 3, ..PostgresOptions::default() };
    let store = Arc::new(PostgresStore::open(&database.url, options).await.unwrap());
    let w = World::new(store.clone());
    let mut tasks = Vec::new();
    for _ in 0..50 {
        let (store, unit) = (store.clone(), UnitOfWork::new().event(w.any_event()));
        tasks.push(tokio::spawn(async move {
            store.commit(unit).await.unwrap();
            store.last_position().await.unwrap()
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    let mut admin = raw(&database.admin_url).await;
    let named =
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'named'";
    let count: i64 = sqlx::query_scalar(named).fetch_one(&mut admin).await.unwrap();
    assert!((3..=5).contains(&count), "{count}");
    store.close().await;
    let writers: i64 = sqlx::query_scalar("SELECT count(*) FROM writers").fetch_one(&mut admin).await.unwrap();
    assert_eq!(writers, 0, "who closes leaves no row");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_closed_store_refuses_and_ends_its_followers() {
    let database = Server::shared().database();
    let (store, w) = world(&database.url).await;
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

/// A claim whose closures panic takes nothing, and nobody else notices.
#[tokio::test]
async fn a_claim_that_panics_harms_nobody() {
    let database = Server::shared().database();
    let (store, w) = world(&database.url).await;
    let queued = w.queued(&w.action("a", "http@1.0.0"));
    w.write(Write::AddExecution(Box::new(queued.clone()))).await;
    let mut claim = w.claim(w.random.uuid(), 1);
    claim.lease = Box::new(|_| panic!("on purpose"));
    assert!(store.claim(claim).await.is_err());
    assert_eq!(w.execution_now(queued.id).await, queued);
    assert_eq!(store.claim(w.claim(w.random.uuid(), 1)).await.unwrap().executions.len(), 1);
}

/// Somebody holds the end of the log: the batch waits, is tried again, and is written once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_that_waited_too_long_is_tried_again() {
    let database = Server::shared().database();
    let options = PostgresOptions { lock_timeout_ms: 50, reconnect_ms: 30_000, ..PostgresOptions::default() };
    let store = Arc::new(PostgresStore::open(&database.url, options).await.unwrap());
    let w = World::new(store.clone());
    let mut holder = raw(&database.url).await;
    let mut holding = holder.begin().await.unwrap();
    holding.execute("UPDATE log SET position = position").await.unwrap();
    let running = w.running(&w.action("a", "http@1.0.0"), w.random.uuid());
    let unit = UnitOfWork::new().write(Write::AddExecution(Box::new(running.clone()))).event(w.any_event());
    let commit = tokio::spawn({
        let store = store.clone();
        async move { store.commit(unit).await }
    });
    // Until the writer has been sent away at least once: it takes another transaction then.
    let mut admin = raw(&database.admin_url).await;
    let waiting = "SELECT pid, backend_start, xact_start::text FROM pg_stat_activity \
                   WHERE datname = current_database() AND wait_event_type = 'Lock' AND xact_start IS NOT NULL";
    let mut seen = std::collections::BTreeSet::new();
    while seen.len() < 2 {
        assert!(!commit.is_finished(), "it gave up");
        for row in admin.fetch_all(waiting).await.unwrap() {
            seen.insert(sqlx::Row::get::<String, _>(&row, 2));
        }
    }
    holding.rollback().await.unwrap();
    assert_eq!(commit.await.unwrap().unwrap(), 1);
    assert_eq!(w.execution_now(running.id).await.status, Status::Running);
}
