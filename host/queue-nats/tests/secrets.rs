//! What is logged, by everybody and at every level: a process of its own hears all of it.
#![expect(clippy::unwrap_used, reason = "tests fail by panicking, also outside the test functions")]

use action_domain::{id::ExecutionId, services::Broker as _};
use action_queue_nats::{NatsBroker, NatsOptions};
use action_testkit::nats::NatsServer;
use std::{
    io::{self, Write},
    sync::{Arc, Mutex},
    time::Duration,
};
use uuid::Uuid;

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn credentials_from_the_url_open_the_server_and_are_in_no_log_and_no_error() {
    let log = Log::default();
    let writer = log.clone();
    tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(move || writer.clone()).init();
    let due = [(ExecutionId::from_uuid(Uuid::from_u64_pair(0x0190_0000_0000_7000, 0b10 << 62)), 1)];
    for (arguments, good, bad) in [
        (&["--user", "ann", "--pass", "s3cr3t/x"][..], "ann:s3cr3t%2Fx", "ann:wr0ng"),
        (&["--auth", "s3cr3t-token"], "s3cr3t-token", "wr0ng"),
    ] {
        let server = NatsServer::start_with(arguments);
        let broker = NatsBroker::new(&server.url_as(good), NatsOptions::default()).unwrap();
        broker.publish(&due).await.unwrap();
        assert_eq!(broker.pull(1, Duration::from_secs(10)).await.unwrap().len(), 1);
        let stranger = NatsBroker::new(&server.url_as(bad), NatsOptions::default()).unwrap();
        let why = stranger.publish(&due).await.unwrap_err().to_string();
        assert!(why.contains("authorization violation"), "{why}");
        for text in [why, format!("{broker:?} {stranger:?}")] {
            assert!(!text.contains("s3cr3t") && !text.contains("wr0ng"), "{text}");
        }
    }
    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(text.contains("queue.nats.connected") && text.contains("write operation: CONNECT"), "{text}");
    assert!(!text.contains("s3cr3t") && !text.contains("wr0ng"), "{text}");
}
