//! What attacks on the way out have in common: an action that tries, a target that counts who
//! comes, and what has to stand in the record.

use crate::kit::{PATIENCE, Service, client::Client, fixture, service::Options};
use action_testkit::dns::DnsServer;
use serde_json::{Value, json};
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::timeout,
};

/// Somebody who must not be reached, and counts who comes all the same.
pub(crate) struct Doorkeeper {
    pub(crate) address: SocketAddr,
    arrived: Arc<AtomicUsize>,
}

impl Doorkeeper {
    pub(crate) async fn start() -> Self {
        Self::at("127.0.0.1:0").await
    }

    pub(crate) async fn at(address: &str) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let arrived = Arc::new(AtomicUsize::new(0));
        let counter = arrived.clone();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                counter.fetch_add(1, Ordering::SeqCst);
                let _ = stream.shutdown().await;
            }
        });
        Self { address, arrived }
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// Connections are counted in their order, so once ours is, all before it were.
    pub(crate) async fn saw_nobody(self) {
        let mut ours = TcpStream::connect(self.address).await.unwrap();
        timeout(PATIENCE, ours.read(&mut [0])).await.expect("we are turned away").unwrap();
        assert_eq!(self.arrived.load(Ordering::SeqCst), 1, "somebody came to {}", self.address);
    }
}

/// A service whose gate asks this server for names, with the guests that attack.
pub(crate) async fn service(dns: Option<&DnsServer>, settings: &[(&str, &str)]) -> Service {
    let mut options = settings.iter().fold(Options::default(), |options, (name, value)| options.with(name, *value));
    if let Some(dns) = dns {
        options = options.with("ACTION_SERVICE_DNS_SERVERS", dns.address().to_string());
    }
    let service = Service::start_with(options).await;
    for guest in ["misbehave", "wasi-http", "wasi-sockets"] {
        service.private.upload(fixture(guest)).await.json(201);
    }
    service
}

/// An action that lives for one execution.
pub(crate) async fn execute(api: &Client, protocol: &str, config: &Value, grants: &Value) -> Value {
    let action = json!({
        "name": "attack", "protocol": protocol, "config": config, "grants": grants, "delivery": {"max_attempts": 1}
    });
    api.put("/v1/actions/attack", &action).await;
    let known = api.get("/v1/actions/attack").await.json(200);
    assert_eq!(known["config"], *config, "the action was not saved");
    api.execute("attack", &json!("hello")).await.json(200)
}

/// The denial of an execution that ended because the gate denied it, and made nothing.
#[track_caller]
pub(crate) fn only_denial(attack: &str, execution: &Value, events: &[Value]) -> Value {
    assert_eq!(execution["status"], "failed", "{attack}: {execution}");
    assert_eq!(execution["error"]["code"], "egress_denied", "{attack}: {execution}");
    assert_eq!(execution["error"]["blame"], "action", "{attack}: {execution}");
    assert!(!events.iter().any(|event| event["type"] == "request_made"), "{attack}: {events:?}");
    let mut denials = events.iter().filter(|event| event["type"] == "egress_denied");
    let denial = denials.next().unwrap_or_else(|| panic!("{attack}: nothing is recorded: {events:?}"));
    assert!(denials.next().is_none(), "{attack}: {events:?}");
    for member in ["host", "rule", "hint"] {
        assert!(denial["data"][member].as_str().is_some_and(|text| !text.is_empty()), "{attack}: {denial}");
    }
    denial["data"].clone()
}

/// Tries it, and asserts that it was denied for this reason, once, before anything was made.
pub(crate) async fn denied(
    api: &Client,
    attack: &str,
    protocol: &str,
    config: Value,
    grants: Value,
    reason: &str,
) -> Value {
    let execution = execute(api, protocol, &config, &grants).await;
    let events = api.events(execution["id"].as_str().unwrap()).await;
    let denial = only_denial(attack, &execution, &events);
    assert_eq!(denial["reason"], reason, "{attack}: {denial}");
    denial
}
