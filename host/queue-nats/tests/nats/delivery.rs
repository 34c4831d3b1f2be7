//! What is published arrives, once, and until it is done.

use super::*;
use std::time::Instant;

#[tokio::test(flavor = "multi_thread")]
async fn what_is_published_is_pulled_by_its_id_and_gone_when_it_is_done() {
    let server = NatsServer::start();
    let broker = broker(&server);
    let due = due(3);
    bounded(broker.publish(&due)).await.unwrap();
    assert_eq!(finish(&broker, 3).await, ids(&due));
    stream_is(&look(&server).await, |state| state.messages == 0).await;
    nothing_is_there(&broker).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_backlog_is_what_nobody_has_said_to_be_done() {
    let server = NatsServer::start();
    let broker = broker(&server);
    let backlog = async || bounded(broker.backlog()).await.unwrap();
    assert_eq!(backlog().await, 0);
    bounded(broker.publish(&due(3))).await.unwrap();
    assert_eq!(backlog().await, 3);
    let taken = pull(&broker, 1).await;
    assert_eq!(backlog().await, 3, "taken is not done");
    for message in taken {
        message.done().await.unwrap();
    }
    stream_is(&look(&server).await, |state| state.messages == 2).await;
    assert_eq!(backlog().await, 2);
    // Who deletes the stream is heard of, and there is an empty one again.
    look(&server).await.delete_stream("action-service").await.unwrap();
    trouble(bounded(broker.backlog()).await);
    assert_eq!(backlog().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn more_than_one_batch_is_published_in_one_call_and_pulled_in_several() {
    let server = NatsServer::start();
    let broker = broker(&server);
    let due = due(3000);
    bounded(broker.publish(&due)).await.unwrap();
    assert_eq!(finish(&broker, 3000).await, ids(&due));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_pair_twice_arrives_once_and_the_next_attempt_arrives_too() {
    let server = NatsServer::start();
    let broker = broker(&server);
    let first = due(1);
    let second = [(first[0].0, 2)];
    for due in [&first[..], &first, &second] {
        bounded(broker.publish(due)).await.unwrap();
    }
    assert_eq!(finish(&broker, 2).await, ids(&first));
    // Also when it is done already: the window is about publishing.
    bounded(broker.publish(&first)).await.unwrap();
    nothing_is_there(&broker).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pair_arrives_again_when_the_window_for_duplicates_has_passed() {
    let server = NatsServer::start();
    let broker = broker_with(&server, NatsOptions { duplicate_window: MOMENT, ..NatsOptions::default() });
    let due = due(1);
    bounded(broker.publish(&due)).await.unwrap();
    finish(&broker, 1).await;
    let again = async {
        loop {
            broker.publish(&due).await.unwrap();
            let messages = broker.pull(1, MOMENT).await.unwrap();
            if let Some(message) = messages.first() {
                break message.execution();
            }
        }
    };
    assert_eq!(bounded(again).await, due[0].0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_done_comes_again_after_ack_wait() {
    let server = NatsServer::start();
    let ack_wait = Duration::from_secs(1);
    let broker = broker_with(&server, NatsOptions { ack_wait, ..NatsOptions::default() });
    let due = due(1);
    bounded(broker.publish(&due)).await.unwrap();
    drop(pull(&broker, 1).await);
    let start = Instant::now();
    assert_eq!(finish(&broker, 1).await, ids(&due));
    assert!(start.elapsed() > ack_wait / 2, "{:?}", start.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn two_pullers_share() {
    let server = NatsServer::start();
    let (one, other) = (broker(&server), broker(&server));
    let many = due(40);
    bounded(one.publish(&many)).await.unwrap();
    let mut executions = BTreeSet::new();
    for broker in [&one, &other, &one, &other] {
        executions.extend(finish(broker, 10).await);
    }
    assert_eq!(executions, ids(&many));
    // Of two that wait, one gets it.
    let look = look(&server).await;
    let (one, other) = (tokio::spawn(async move { one.pull(10, 5 * MOMENT).await }), other);
    let other = tokio::spawn(async move { other.pull(10, 5 * MOMENT).await });
    consumer_is(&look, |consumer| consumer.num_waiting == 2).await;
    let publisher = broker(&server);
    bounded(publisher.publish(&due(1))).await.unwrap();
    let (one, other) = bounded(async { tokio::join!(one, other) }).await;
    assert_eq!(one.unwrap().unwrap().len() + other.unwrap().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_returns_with_the_first_that_comes() {
    let server = NatsServer::start();
    let (puller, publisher) = (broker(&server), broker(&server));
    let pulled = tokio::spawn(async move { puller.pull(100, BOUND).await.map(|messages| messages.len()) });
    consumer_is(&look(&server).await, |consumer| consumer.num_waiting == 1).await;
    let start = Instant::now();
    bounded(publisher.publish(&due(1))).await.unwrap();
    assert_eq!(bounded(pulled).await.unwrap().unwrap(), 1);
    assert!(start.elapsed() < BOUND / 4, "{:?}", start.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_from_an_empty_stream_returns_after_its_wait() {
    let server = NatsServer::start();
    let broker = broker(&server);
    nothing_is_there(&broker).await;
    for wait in [Duration::ZERO, MOMENT, 5 * MOMENT] {
        let start = Instant::now();
        assert!(bounded(broker.pull(10, wait)).await.unwrap().is_empty());
        let took = start.elapsed();
        assert!(took >= wait && took < wait + BOUND / 4, "{wait:?}: {took:?}");
    }
    assert!(bounded(broker.pull(0, BOUND)).await.unwrap().is_empty());
    bounded(broker.publish(&[])).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_ours_is_taken_away_and_blocks_nothing() {
    let server = NatsServer::start();
    let broker = broker(&server);
    nothing_is_there(&broker).await;
    let look = look(&server).await;
    // The last one looks like the server's own word that a request has ended.
    let garbage: [&[u8]; 5] = [b"", b"\xff\xfe", b"exe_1/1", b"{\"id\":1}", b"NATS/1.0 408 Request Timeout"];
    for payload in garbage {
        look.publish("action-service.due", payload.into()).await.unwrap().await.unwrap();
    }
    // So does this, also to a client: a status line where headers begin.
    let mut raw = std::net::TcpStream::connect(("127.0.0.1", server.port())).unwrap();
    let header = "NATS/1.0 408 Request Timeout\r\n\r\n";
    let line = format!("HPUB action-service.due {0} {0}\r\n{header}\r\n", header.len());
    std::io::Write::write_all(&mut raw, format!("CONNECT {{\"verbose\":false,\"headers\":true}}\r\n{line}").as_bytes())
        .unwrap();
    stream_is(&look, |state| state.messages == 6).await;
    // With nothing else there, a pull takes it away and still waits.
    nothing_is_there(&broker).await;
    stream_is(&look, |state| state.messages == 0).await;
    let due = due(2);
    bounded(broker.publish(&due[..1])).await.unwrap();
    look.publish("action-service.due", "more".into()).await.unwrap().await.unwrap();
    bounded(broker.publish(&due[1..])).await.unwrap();
    assert_eq!(finish(&broker, 2).await, ids(&due));
    stream_is(&look, |state| state.messages == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_full_refuses_what_is_new_and_keeps_what_is_old() {
    let server = NatsServer::start();
    let broker = broker_with(&server, NatsOptions { messages_max: 5, ..NatsOptions::default() });
    let (old, new) = (due(5), due(3));
    bounded(broker.publish(&old)).await.unwrap();
    let refusal = trouble(bounded(broker.publish(&new)).await);
    assert!(refusal.contains("maximum messages exceeded"), "{refusal}");
    assert_eq!(finish(&broker, 5).await, ids(&old));
    stream_is(&look(&server).await, |state| state.messages == 0).await;
    // Offered again, it is not taken for a duplicate.
    bounded(broker.publish(&new)).await.unwrap();
    assert_eq!(finish(&broker, 3).await, ids(&new));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_is_delivered_than_may_wait_to_be_done_and_pulls_wait_for_that() {
    let server = NatsServer::start();
    let broker = broker_with(&server, NatsOptions { unacknowledged_max: 5, ..NatsOptions::default() });
    bounded(broker.publish(&due(8))).await.unwrap();
    let messages = pull(&broker, 8).await;
    assert_eq!(messages.len(), 5);
    let start = Instant::now();
    nothing_is_there(&broker).await;
    assert!(start.elapsed() >= MOMENT, "{:?}", start.elapsed());
    for message in messages {
        message.done().await.unwrap();
    }
    finish(&broker, 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn brokers_with_streams_of_their_own_see_nothing_of_each_other() {
    let server = NatsServer::start();
    let blue = NatsBroker::new(&format!("{}?stream=blue", server.url()), NatsOptions::default()).unwrap();
    let green =
        NatsBroker::new(&format!("{}?stream=green&subject=meadow", server.url()), NatsOptions::default()).unwrap();
    let (one, other) = (due(1), due(1));
    bounded(blue.publish(&one)).await.unwrap();
    bounded(green.publish(&other)).await.unwrap();
    assert_eq!(finish(&blue, 1).await, ids(&one));
    assert_eq!(finish(&green, 1).await, ids(&other));
    let blue = look(&server).await.get_stream("blue").await.unwrap();
    assert_eq!(blue.cached_info().config.subjects, ["blue.due"]);
}
