//! The broker against a real `nats-server`.
#![expect(clippy::unwrap_used, reason = "tests fail by panicking, also outside the test functions")]

mod access;
mod delivery;
mod trouble;

use action_domain::{
    id::ExecutionId,
    services::{Broker as _, BrokerUnavailable, Carried},
};
use action_queue_nats::{NatsBroker, NatsOptions};
use action_testkit::nats::NatsServer;
use async_nats::jetstream::{self, consumer, stream};
use std::{collections::BTreeSet, sync::atomic::AtomicU64, sync::atomic::Ordering, time::Duration};
use uuid::Uuid;

/// Longer than anything here takes: only a test that fails waits for it.
const BOUND: Duration = Duration::from_secs(20);
/// How long a queue is looked at that should have nothing.
const MOMENT: Duration = Duration::from_millis(200);

fn broker(server: &NatsServer) -> NatsBroker {
    broker_with(server, NatsOptions::default())
}

fn broker_with(server: &NatsServer, options: NatsOptions) -> NatsBroker {
    NatsBroker::new(&server.url(), options).unwrap()
}

/// New executions, each at its first attempt.
fn due(count: usize) -> Vec<(ExecutionId, u32)> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let id = || {
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        ExecutionId::from_uuid(Uuid::from_u64_pair(0x0190_0000_0000_7000, (0b10 << 62) | count))
    };
    (0..count).map(|_| (id(), 1)).collect()
}

fn ids(due: &[(ExecutionId, u32)]) -> BTreeSet<ExecutionId> {
    due.iter().map(|(id, _)| *id).collect()
}

/// Ends with the test rather than hangs.
async fn bounded<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(BOUND, work).await.unwrap()
}

async fn pull(broker: &NatsBroker, limit: usize) -> Vec<Box<dyn Carried>> {
    bounded(broker.pull(limit, BOUND / 2)).await.unwrap()
}

/// Pulls until `count` are here, and says that they are done.
async fn finish(broker: &NatsBroker, count: usize) -> BTreeSet<ExecutionId> {
    let mut executions = Vec::new();
    while executions.len() < count {
        let messages = pull(broker, count).await;
        assert!(!messages.is_empty(), "{} of {count} came", executions.len());
        for message in messages {
            executions.push(message.execution());
            message.done().await.unwrap();
        }
    }
    assert_eq!(executions.len(), count);
    executions.into_iter().collect()
}

async fn nothing_is_there(broker: &NatsBroker) {
    assert!(bounded(broker.pull(10, MOMENT)).await.unwrap().is_empty());
}

/// What went wrong.
fn trouble<T>(result: Result<T, BrokerUnavailable>) -> String {
    result.map(|_| ()).unwrap_err().to_string()
}

/// A second look at the server, beside the broker.
async fn look(server: &NatsServer) -> jetstream::Context {
    jetstream::new(async_nats::connect(server.url()).await.unwrap())
}

/// Asks for the stream until it is as wanted.
async fn stream_is(look: &jetstream::Context, wanted: impl Fn(&stream::State) -> bool) {
    let asked = async {
        let mut stream = look.get_stream("action-service").await.unwrap();
        while !wanted(&stream.info().await.unwrap().state) {}
    };
    bounded(asked).await;
}

/// Asks for the consumer until it is as wanted.
async fn consumer_is(look: &jetstream::Context, wanted: impl Fn(&consumer::Info) -> bool) {
    let asked = async {
        loop {
            let consumer: Result<consumer::PullConsumer, _> =
                look.get_consumer_from_stream("workers", "action-service").await;
            if consumer.is_ok_and(|consumer| wanted(consumer.cached_info())) {
                break;
            }
        }
    };
    bounded(asked).await;
}
