//! Whatever is gone is an error now and made again by the next call.

use super::*;
use std::{sync::Arc, time::Instant};

/// For tests that wait for somebody who does not answer.
fn impatient() -> NatsOptions {
    NatsOptions { answer_within: 5 * MOMENT, ..NatsOptions::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_killed_and_comes_back_has_lost_nothing() {
    let mut server = NatsServer::start();
    let broker = broker_with(&server, NatsOptions { ack_wait: Duration::from_secs(1), ..NatsOptions::default() });
    let due = due(500);
    bounded(broker.publish(&due)).await.unwrap();
    // Delivered and not done: these come again, too.
    let held = pull(&broker, 10).await;
    server.kill();
    let start = Instant::now();
    for _ in 0..3 {
        assert!(bounded(broker.publish(&due)).await.is_err());
        assert!(bounded(broker.pull(10, BOUND)).await.is_err());
    }
    for message in held {
        assert!(bounded(message.done()).await.is_err());
    }
    assert!(start.elapsed() < BOUND / 4, "{:?}", start.elapsed());
    server.restart();
    assert_eq!(finish(&broker, 500).await, ids(&due));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_comes_back_with_nothing_works_with_the_next_call() {
    let mut server = NatsServer::start();
    let broker = broker(&server);
    let due = due(2);
    bounded(broker.publish(&due[..1])).await.unwrap();
    server.restart_empty();
    bounded(broker.publish(&due[1..])).await.unwrap();
    assert_eq!(finish(&broker, 1).await, ids(&due[1..]));
    server.restart_empty();
    nothing_is_there(&broker).await;
    // What it forgot may be offered again at once.
    bounded(broker.publish(&due)).await.unwrap();
    assert_eq!(finish(&broker, 2).await, ids(&due));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_that_waits_ends_when_its_broker_is_killed() {
    let mut server = NatsServer::start();
    let broker = Arc::new(broker(&server));
    let waiting = tokio::spawn({
        let broker = Arc::clone(&broker);
        async move { broker.pull(10, Duration::from_mins(10)).await.map(|messages| messages.len()) }
    });
    consumer_is(&look(&server).await, |consumer| consumer.num_waiting == 1).await;
    server.kill();
    assert!(trouble(bounded(waiting).await.unwrap()).contains("lost"));
    server.restart();
    nothing_is_there(&broker).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_deleted_is_made_again() {
    let server = NatsServer::start();
    let broker = broker_with(&server, impatient());
    let look = look(&server).await;
    for pair in due(3).chunks(1) {
        bounded(broker.publish(pair)).await.unwrap();
        look.delete_stream("action-service").await.unwrap();
        let gone = trouble(bounded(broker.publish(pair)).await);
        assert!(gone.contains("action-service is gone"), "{gone}");
        bounded(broker.publish(pair)).await.unwrap();
        assert_eq!(finish(&broker, 1).await, ids(pair));
        look.delete_stream("action-service").await.unwrap();
        assert!(bounded(broker.pull(1, BOUND)).await.is_err());
        nothing_is_there(&broker).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_that_is_deleted_is_made_again_and_nothing_is_lost() {
    let server = NatsServer::start();
    let broker = Arc::new(broker_with(&server, impatient()));
    let look = look(&server).await;
    let due = due(2);
    let waiting = tokio::spawn({
        let broker = Arc::clone(&broker);
        async move { broker.pull(10, Duration::from_mins(10)).await.map(|messages| messages.len()) }
    });
    consumer_is(&look, |consumer| consumer.num_waiting == 1).await;
    look.delete_consumer_from_stream("workers", "action-service").await.unwrap();
    // One that waits hears of it, one that comes finds nobody.
    trouble(bounded(waiting).await.unwrap());
    bounded(broker.publish(&due)).await.unwrap();
    look.delete_consumer_from_stream("workers", "action-service").await.unwrap();
    trouble(bounded(broker.pull(1, BOUND)).await);
    assert_eq!(finish(&broker, 2).await, ids(&due));
}

#[tokio::test(flavor = "multi_thread")]
async fn many_that_wait_for_a_server_that_is_silent_give_up_together() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("nats://{}", silent.local_addr().unwrap());
    let broker = Arc::new(NatsBroker::new(&url, impatient()).unwrap());
    let start = Instant::now();
    let callers: Vec<_> = (0..20)
        .map(|_| {
            let broker = Arc::clone(&broker);
            tokio::spawn(async move { broker.publish(&due(1)).await })
        })
        .collect();
    for caller in callers {
        let why = trouble(bounded(caller).await.unwrap());
        assert!(why.contains("timed out"), "{why}");
    }
    // One after another they would need five times as long.
    assert!(start.elapsed() < 20 * MOMENT, "{:?}", start.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stops_answering_is_given_up() {
    let mut server = NatsServer::start();
    let broker = broker_with(&server, impatient());
    nothing_is_there(&broker).await;
    server.freeze();
    let start = Instant::now();
    // Its threads do not stop all at once.
    while bounded(broker.publish(&due(1))).await.is_ok() {}
    assert!(bounded(broker.pull(1, MOMENT)).await.is_err());
    assert!(start.elapsed() < BOUND / 4, "{:?}", start.elapsed());
    server.thaw();
    // It may find what was sent meanwhile.
    let due = due(1);
    bounded(broker.publish(&due)).await.unwrap();
    while !finish(&broker, 1).await.is_subset(&ids(&due)) {}
}
