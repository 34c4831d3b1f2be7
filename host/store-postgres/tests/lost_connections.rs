//! Connections and servers that go away: what was answered is so, whatever was lost.
#![expect(clippy::unwrap_used, reason = "tests fail by panicking, also outside the test functions")]

mod proxy;

use action_domain::{
    repositories::{CommitError, Reader as _, Signal, Store as _, UnitOfWork, Write},
    services::Random as _,
};
use action_store_postgres::{PostgresOptions, PostgresStore};
use action_testkit::{World, postgres::Server};
use proxy::{Loss, Proxy};
use sqlx::{ConnectOptions as _, PgConnection, postgres::PgConnectOptions};
use std::{sync::Arc, time::Duration};
use tokio::time::timeout;

const LONG: Duration = Duration::from_secs(30);

async fn open(url: &str, options: PostgresOptions) -> (Arc<PostgresStore>, World) {
    let store = Arc::new(PostgresStore::open(url, options).await.unwrap());
    let world = World::new(store.clone());
    (store, world)
}

async fn raw(url: &str) -> PgConnection {
    url.parse::<PgConnectOptions>().unwrap().connect().await.unwrap()
}

/// Ends every connection of the service to this database, or those whose last statement is like
/// this.
async fn terminate(admin: &mut PgConnection, last: &str) {
    let sql = "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity \
               WHERE datname = current_database() AND usename = 'service' AND query LIKE $1";
    assert!(!sqlx::query(sql).bind(last).fetch_all(admin).await.unwrap().is_empty(), "{last}");
}

/// Each unit is a commit that is lost once: all are answered, and each is there once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_whose_answer_is_lost_is_looked_up() {
    let database = Server::shared().database();
    let proxy = Proxy::before(database.server().socket()).await;
    let (store, w) = open(&database.url_through("127.0.0.1", proxy.port), PostgresOptions::default()).await;
    let action = w.action("a", "http@1.0.0");
    for (round, loss) in [Loss::After, Loss::Before, Loss::After, Loss::After, Loss::Before].into_iter().enumerate() {
        proxy.lose(loss);
        let queued = w.queued(&action);
        let unit = UnitOfWork::new().write(Write::AddExecution(Box::new(queued.clone()))).event(w.any_event());
        let position = timeout(LONG, store.commit(unit)).await.unwrap().unwrap();
        assert_eq!(position, round as i64 + 1, "{loss:?}: once, and behind the one before");
        assert_eq!(proxy.lost(), round + 1);
        assert_eq!(w.execution_now(queued.id).await, queued);
    }
    assert_eq!(w.log().await.len(), 5);
    // A claim gets what it took, also when it is told late.
    proxy.lose(Loss::After);
    assert_eq!(timeout(LONG, store.claim(w.claim(w.random.uuid(), 9))).await.unwrap().unwrap().executions.len(), 5);
    assert!(store.claim(w.claim(w.random.uuid(), 9)).await.unwrap().executions.is_empty());
    assert_eq!(proxy.lost(), 6);
}

/// The server still holds the transaction of a connection that is gone, and all its locks: it
/// ends it in its time, and then it is known.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_that_nobody_ends_is_waited_for() {
    let database = Server::shared().database();
    let proxy = Proxy::before(database.server().socket()).await;
    let options = PostgresOptions { idle_in_transaction_timeout_ms: 400, ..PostgresOptions::default() };
    let (store, w) = open(&database.url_through("127.0.0.1", proxy.port), options).await;
    let running = w.running(&w.action("a", "http@1.0.0"), w.random.uuid());
    w.write(Write::AddExecution(Box::new(running.clone()))).await;
    proxy.lose(Loss::Unnoticed);
    let end = Write::UpdateExecutionIfLeased(Box::new(w.succeeded(&running)), running.lease.unwrap());
    let unit = UnitOfWork::new().write(end).event(w.any_event());
    assert_eq!(timeout(LONG, store.commit(unit)).await.unwrap().unwrap(), 1);
    assert_eq!((proxy.lost(), w.log().await.len()), (1, 1));
    assert_eq!(w.execution_now(running.id).await, w.succeeded(&running));
}

/// Nobody can be asked: only then is a unit refused of which nobody knows, and it says so.
#[tokio::test]
async fn a_commit_of_which_nobody_knows_says_so() {
    let database = Server::shared().database();
    let proxy = Proxy::before(database.server().socket()).await;
    let options = PostgresOptions { commit_unknown_ms: 200, reconnect_ms: 200, ..PostgresOptions::default() };
    let (store, w) = open(&database.url_through("127.0.0.1", proxy.port), options).await;
    proxy.lose(Loss::Forever);
    let refused = timeout(LONG, store.commit(UnitOfWork::new().event(w.any_event()))).await.unwrap();
    let Err(CommitError::Unavailable(why)) = refused else { panic!("{refused:?}") };
    assert!(why.to_string().contains("not known"), "{why}");
    // Of this one everybody knows: there was no connection to begin it on.
    let refused = timeout(LONG, store.commit(UnitOfWork::new().event(w.any_event()))).await.unwrap();
    assert!(matches!(&refused, Err(CommitError::Unavailable(why)) if !why.to_string().contains("not known")));
    proxy.lose(Loss::None);
    assert_eq!(timeout(LONG, store.commit(UnitOfWork::new().event(w.any_event()))).await.unwrap().unwrap(), 2);
    assert_eq!(w.log().await.len(), 2, "the one of which nobody knew, and the last");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lost_connections_are_replaced_and_nobody_notices() {
    let database = Server::shared().database();
    let (store, w) = open(&database.url, PostgresOptions::default()).await;
    let mut admin = raw(&database.admin_url).await;
    let mut follower = store.follow();
    for round in 1..=3 {
        // Several readers have connections, and the writer has prepared statements.
        let reads = (0..20).map(|_| {
            let store = store.clone();
            tokio::spawn(async move { store.last_position().await })
        });
        for read in reads.collect::<Vec<_>>() {
            read.await.unwrap().unwrap();
        }
        terminate(&mut admin, "%").await;
        assert_eq!(w.commit(UnitOfWork::new().event(w.any_event())).await, round);
        assert_eq!(store.last_position().await.unwrap(), round);
        assert!(timeout(LONG, follower.changed()).await.unwrap());
    }
    assert_eq!(w.log().await.len(), 3);
}

/// The listener of one process loses its connection; what another one commits meanwhile and
/// afterwards is heard all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listener_that_was_lost_hears_again() {
    let database = Server::shared().database();
    let ears = PostgresOptions { application_name: "ears".into(), ..PostgresOptions::default() };
    let (hearing, _) = open(&database.url, ears).await;
    let (_writing, w) = open(&database.url, PostgresOptions::default()).await;
    let mut admin = raw(&database.admin_url).await;
    let (mut follower, mut signals) = (hearing.follow(), hearing.signals());
    for _ in 0..3 {
        w.commit(UnitOfWork::new().event(w.any_event())).await;
        assert!(timeout(LONG, follower.changed()).await.unwrap());
        let sql = "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity \
                   WHERE datname = current_database() AND application_name = 'ears'";
        sqlx::query(sql).execute(&mut admin).await.unwrap();
        // It may have rung before; after this it has to ring again.
        let queued = w.queued(&w.action("a", "http@1.0.0"));
        w.write(Write::AddExecution(Box::new(queued))).await;
        assert_eq!(timeout(LONG, signals.next()).await.unwrap(), Signal::Due);
    }
}

/// Postgres crashes, with its disk synced as it should be: everything that was answered is there,
/// and the store goes on when it is back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_answered_survives_a_crash_of_the_server() {
    let database = Server::private(&[]).database();
    let (store, w) = open(&database.url, PostgresOptions { reconnect_ms: 60_000, ..PostgresOptions::default() }).await;
    let action = w.action("a", "http@1.0.0");
    let mut tasks = Vec::new();
    for _ in 0..200 {
        let running = w.running(&action, w.random.uuid());
        let unit = UnitOfWork::new().write(Write::AddExecution(Box::new(running.clone()))).event(w.any_event());
        let store = store.clone();
        tasks.push((running, tokio::spawn(async move { store.commit(unit).await })));
    }
    // While they are being written.
    let mut follower = store.follow();
    if store.last_position().await.unwrap() == 0 {
        assert!(timeout(LONG, follower.changed()).await.unwrap());
    }
    database.server().crash();
    let waiting = UnitOfWork::new().event(w.any_event());
    let late = tokio::spawn({
        let store = store.clone();
        async move { store.commit(waiting).await }
    });
    database.server().restart();
    let mut positions = vec![timeout(LONG, late).await.unwrap().unwrap().unwrap()];
    for (running, task) in tasks {
        positions.push(timeout(LONG, task).await.unwrap().unwrap().unwrap());
        assert_eq!(w.execution_now(running.id).await, running);
    }
    positions.sort_unstable();
    assert_eq!(positions, (1..=201).collect::<Vec<_>>(), "each once, without a gap");
    assert_eq!(w.log().await.len(), 201);
    drop(store);
}
