//! Delivery: keys, turns, orders, ends that somebody asks for, and the end of the process.

use crate::kit::{
    PATIENCE, Remote, Service,
    client::Client,
    fixture,
    service::{Options, TOKEN},
};
use action_testkit::nats::NatsServer;
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Instant;
use tokio::{io::AsyncWriteExt as _, net::TcpStream, time::timeout};

/// An action of the built-in `http` protocol that asks `url`.
async fn action(api: &Client, name: &str, url: &str, method: &str, delivery: Value) {
    let spec = json!({
        "name": name, "protocol": "http", "config": {"url": url, "method": method},
        "grants": {"private_networks": true}, "delivery": delivery
    });
    api.post("/v1/actions", &spec).await.json(201);
}

/// Sets an action off and does not wait; the execution's id.
async fn trigger(api: &Client, action: &str, input: &Value) -> String {
    let request = api.request(Method::POST, &format!("/v1/actions/{action}/execute"));
    let accepted = api.send(request.header("prefer", "respond-async").json(input)).await.json(202);
    accepted["id"].as_str().unwrap().to_owned()
}

/// Waits until an execution has so many events of a type.
async fn until(api: &Client, execution: &str, event_type: &str, times: usize) {
    let follow = async {
        let path = format!("/v1/events?execution={execution}&type={event_type}&after=0");
        let request = api.request(Method::GET, &path).header("accept", "text/event-stream");
        let mut response = request.send().await.unwrap();
        let mut seen = String::new();
        while seen.matches("\ndata:").count() + usize::from(seen.starts_with("data:")) < times {
            let chunk = response.chunk().await.unwrap().expect("the stream goes on");
            seen.push_str(&String::from_utf8_lossy(&chunk));
        }
    };
    timeout(PATIENCE, follow).await.unwrap_or_else(|_| panic!("{execution} gets {times} {event_type}"));
}

async fn execution(api: &Client, id: &str) -> Value {
    api.get(&format!("/v1/executions/{id}")).await.json(200)
}

fn inputs(remote: &Remote) -> Vec<Value> {
    remote.requests().iter().map(|request| serde_json::from_slice(request.body()).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_key_is_one_execution_also_when_two_come_at_once() {
    let (service, remote) = (Service::start().await, Remote::start().await);
    let api = &service.private;
    action(api, "pay", &remote.url("/echo"), "POST", json!({})).await;
    let call = |body: Value, prefer: &'static str| {
        let request = api.request(Method::POST, "/v1/actions/pay/execute").header("idempotency-key", "order-7");
        api.send(request.header("prefer", prefer).json(&body))
    };
    let body = || json!({"order": 7});
    let (first, second, third) =
        tokio::join!(call(body(), "wait=30"), call(body(), "wait=30"), call(body(), "respond-async"));
    let (first, second) = (first.json(200), second.json(200));
    assert_eq!(first, second);
    let third: Value = serde_json::from_slice(&third.body).unwrap();
    assert_eq!(first["id"], third["id"]);
    assert_eq!(first, call(body(), "wait=30").await.json(200), "later too");
    assert_eq!(remote.requests().len(), 1);
    let other = call(json!({"order": 8}), "wait=30").await;
    other.problem(422, "idempotency_key_reused");
    assert!(other.header("location").ends_with(first["id"].as_str().unwrap()), "{}", other.header("location"));
    let received = api.get("/v1/events?type=trigger_received").await.json(200);
    assert_eq!(received["items"].as_array().unwrap().len(), 1, "{received}");
}

#[tokio::test(flavor = "multi_thread")]
async fn cancelling_stops_an_endless_loop_within_the_call() {
    let service = Service::start().await;
    let api = &service.private;
    api.upload(fixture("misbehave")).await.json(201);
    let spec = json!({
        "name": "endless", "protocol": "misbehave", "config": {"mode": "loop"},
        "limits": {"fuel": 1_000_000_000_000_u64, "timeout_ms": 600_000}
    });
    api.post("/v1/actions", &spec).await.json(201);
    let id = trigger(api, "endless", &json!(1)).await;
    until(api, &id, "attempt_started", 1).await;
    let asked = Instant::now();
    let cancelled = api.post(&format!("/v1/executions/{id}/cancel"), &json!({})).await.json(200);
    println!("stopped after {:?}", asked.elapsed());
    assert_eq!((cancelled["status"].as_str(), cancelled["attempts"].as_u64()), (Some("cancelled"), Some(1)));
    let types = api.event_types(&id).await;
    assert_eq!(types.last().unwrap(), "execution_cancelled", "{types:?}");
    api.post(&format!("/v1/executions/{id}/cancel"), &json!({})).await.problem(409, "already_ended");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_at_a_time_never_overlaps_and_what_is_cancelled_in_the_queue_never_begins() {
    let (service, remote) = (Service::start().await, Remote::start().await);
    let api = &service.private;
    action(api, "one", &remote.url("/hold"), "POST", json!({"max_concurrent": 1})).await;
    let mut all = Vec::new();
    for number in 0..6 {
        all.push(trigger(api, "one", &json!(number)).await);
    }
    remote.asked(1).await;
    let running = inputs(&remote)[0].as_u64().unwrap() as usize;
    let queued = all.remove((running + 3) % all.len());
    let cancelled = api.post(&format!("/v1/executions/{queued}/cancel"), &json!({})).await.json(200);
    assert_eq!((cancelled["status"].as_str(), cancelled["attempts"].as_u64()), (Some("cancelled"), Some(0)));
    for number in 1..=5 {
        remote.asked(number).await;
        remote.release(1);
    }
    for id in &all {
        assert_eq!(api.ended(id).await["status"], "succeeded");
    }
    assert_eq!((remote.at_once(), remote.requests().len()), (1, 5));
    assert!(!api.event_types(&queued).await.contains(&"attempt_started".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_is_tried_again_by_its_id_and_by_what_it_has_in_common() {
    let (service, remote) = (Service::start().await, Remote::start().await);
    let api = &service.private;
    for name in ["a", "b"] {
        action(api, name, &remote.url("/flaky"), "POST", json!({"max_attempts": 1})).await;
    }
    remote.fail(4);
    let mut failed = Vec::new();
    for name in ["a", "a", "a", "b"] {
        let id = trigger(api, name, &json!({"name": name})).await;
        assert_eq!(api.ended(&id).await["status"], "failed");
        failed.push(id);
    }
    let retried = api.post(&format!("/v1/executions/{}/retry", failed[0]), &json!({})).await;
    assert_eq!(retried.header("location"), format!("/v1/executions/{}", failed[0]));
    assert_eq!(retried.json(202)["status"], "waiting");
    until(api, &failed[0], "action_executed", 2).await;
    let good = execution(api, &failed[0]).await;
    assert_eq!((good["status"].as_str(), good["attempts"].as_u64()), (Some("succeeded"), Some(2)));
    api.post(&format!("/v1/executions/{}/retry", failed[0]), &json!({})).await.problem(409, "not_retryable");

    let filter = json!({"action": "a", "error_code": "protocol_failed", "limit": 1});
    let some = api.post("/v1/executions/retry", &filter).await.json(202);
    assert_eq!(some, json!({"retried": 1, "more": true}));
    let rest = api.post("/v1/executions/retry", &json!({"action": "a"})).await.json(202);
    assert_eq!(rest, json!({"retried": 1, "more": false}));
    for id in &failed[1..3] {
        until(api, id, "action_executed", 2).await;
    }
    let letters = api.get("/v1/executions?status=failed").await.json(200);
    let left: Vec<&str> = letters["items"].as_array().unwrap().iter().map(|it| it["id"].as_str().unwrap()).collect();
    assert_eq!(left, [failed[3].as_str()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_kept_and_waits_behind_a_failure_until_that_is_dismissed() {
    let (service, remote) = (Service::start().await, Remote::start().await);
    let api = &service.private;
    let ordered = json!({"ordering_key": ".customer", "max_attempts": 1});
    action(api, "ordered", &remote.url("/flaky"), "POST", ordered).await;
    remote.fail(1);
    let mut first = Vec::new();
    for number in 0..4 {
        first.push(trigger(api, "ordered", &json!({"customer": "x", "number": number})).await);
    }
    let failed = api.ended(&first[0]).await;
    assert_eq!((failed["status"].as_str(), failed["ordering_key"].as_str()), (Some("failed"), Some("x")));
    let mut others = Vec::new();
    for number in 0..12 {
        let customer = ["y", "z"][number % 2];
        others.push(trigger(api, "ordered", &json!({"customer": customer, "number": number})).await);
    }
    for id in &others {
        assert_eq!(api.ended(id).await["status"], "succeeded");
    }
    assert_eq!(execution(api, &first[1]).await["attempts"], 0, "it waits behind the one that failed");
    api.post(&format!("/v1/executions/{}/cancel", first[0]), &json!({})).await.json(200);
    for id in &first[1..] {
        assert_eq!(api.ended(id).await["status"], "succeeded");
    }
    for customer in ["x", "y", "z"] {
        let asked = inputs(&remote).into_iter().filter(|input| input["customer"] == customer);
        let numbers: Vec<u64> = asked.map(|input| input["number"].as_u64().unwrap()).collect();
        assert!(numbers.is_sorted() && numbers.len() >= 4, "{customer}: {numbers:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_could_not_begin_in_time_expires() {
    let (service, remote) = (Service::start().await, Remote::start().await);
    let api = &service.private;
    action(api, "soon", &remote.url("/hold"), "POST", json!({"max_concurrent": 1, "expire_after_ms": 1500})).await;
    let first = trigger(api, "soon", &json!(1)).await;
    remote.asked(1).await;
    let second = trigger(api, "soon", &json!(2)).await;
    assert!(execution(api, &second).await["expires_at"].is_string());
    let expired = api.ended(&second).await;
    assert_eq!((expired["status"].as_str(), expired["error"]["code"].as_str()), (Some("expired"), Some("expired")));
    assert_eq!(expired["attempts"], 0);
    remote.release(1);
    assert_eq!(api.ended(&first).await["status"], "succeeded");
    assert_eq!(remote.requests().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn pruning_removes_what_ended_and_keeps_every_position() {
    let service = Service::start().await;
    let api = &service.private;
    api.upload(fixture("noop")).await.json(201);
    api.action("echo", "noop", json!({})).await.json(201);
    let all = async || api.get("/v1/events?limit=500").await.json(200)["items"].as_array().unwrap().clone();
    let mut old = Vec::new();
    for _ in 0..3 {
        old.push(api.execute("echo", &json!("x".repeat(70_000))).await.json(200)["id"].clone());
    }
    let new = api.execute("echo", &json!(1)).await.json(200);
    let before = all().await;
    let pruned = api.post("/v1/events/prune", &json!({"before": new["created_at"]})).await.json(200);
    assert_eq!(pruned["executions"], 3, "{pruned}");
    assert!(pruned["payloads"].as_u64() >= Some(1), "{pruned}");
    let mut after = all().await;
    let told = after.pop().unwrap();
    assert_eq!((&told["type"], &told["data"]["events"]), (&json!("events_pruned"), &pruned["events"]));
    let kept: Vec<Value> = before.into_iter().filter(|event| !old.contains(&event["execution"])).collect();
    assert_eq!(after, kept);
    api.get(&format!("/v1/executions/{}", old[0].as_str().unwrap())).await.problem(404, "execution_not_found");
    assert_eq!(execution(api, new["id"].as_str().unwrap()).await, new);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_carries_what_is_due_and_is_not_missed_when_it_is_gone() {
    let mut nats = NatsServer::start();
    let options = Options::default().with("ACTION_SERVICE_QUEUE_URL", nats.url());
    let (service, remote) = (Service::start_with(options).await, Remote::start().await);
    let api = &service.private;
    action(api, "carried", &remote.url("/echo"), "POST", json!({"max_concurrent": 2})).await;
    for gone in [false, true, false] {
        let mut ids = Vec::new();
        for number in 0..10 {
            ids.push(trigger(api, "carried", &json!(number)).await);
        }
        for id in &ids {
            assert_eq!(api.ended(id).await["status"], "succeeded", "without a broker: {gone}");
        }
        if gone {
            nats.restart_empty();
        } else {
            nats.kill();
        }
    }
    assert_eq!(remote.requests().len(), 30);
}

/// Waits until nobody is let in any more: the signal has come.
async fn closed(address: &str) {
    let refused = async { while TcpStream::connect(address).await.is_ok() {} };
    timeout(PATIENCE, refused).await.expect("it stops listening");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_lets_an_attempt_end_and_its_caller_hear_of_it() {
    let (service, remote) = (Service::start().await, Remote::start().await);
    let api = &service.private;
    action(api, "slow", &remote.url("/hold"), "POST", json!({})).await;
    let call = api.request(Method::POST, "/v1/actions/slow/execute").json(&json!(1));
    let caller = tokio::spawn(async move { call.send().await.unwrap().json::<Value>().await.unwrap() });
    remote.asked(1).await;
    let address = api.base.trim_start_matches("http://").to_owned();
    let stopping = tokio::spawn(service.stop());
    closed(&address).await;
    remote.release(1);
    assert_eq!(caller.await.unwrap()["status"], "succeeded");
    let (status, _) = stopping.await.unwrap();
    assert_eq!(status.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_end_within_the_grace_is_given_back_and_goes_on_at_once() {
    let options = Options::default().with("ACTION_SERVICE_SHUTDOWN_GRACE_MS", "1");
    let (service, remote) = (Service::start_with(options).await, Remote::start().await);
    let api = &service.private;
    action(api, "slow", &remote.url("/hold"), "GET", json!({"backoff": {"initial_ms": 1}})).await;
    let id = trigger(api, "slow", &json!(1)).await;
    remote.asked(1).await;
    let (status, options) = service.stop().await;
    assert_eq!(status.code(), Some(0));
    remote.release(2);
    let service = Service::start_with(options).await;
    let ended = service.private.ended(&id).await;
    assert_eq!((ended["status"].as_str(), ended["attempts"].as_u64()), (Some("succeeded"), Some(2)));
    let types = service.private.event_types(&id).await;
    assert!(types.contains(&"attempt_abandoned".to_owned()), "{types:?}");
}

/// Says a request and goes away some time later, which so many turns of the scheduler measure.
async fn hang_up(api: &Client, request: &str, body: &Value, turns: u32) {
    let mut stream = TcpStream::connect(api.base.trim_start_matches("http://")).await.unwrap();
    let body = body.to_string();
    let head = format!(
        "{request} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {TOKEN}\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all((head + &body).as_bytes()).await.unwrap();
    for _ in 0..turns {
        tokio::task::yield_now().await;
    }
}

/// Wherever a caller goes away, in the middle of a commit too: what was begun comes to its end, and nothing that was
/// replaced is taken for what is current.
#[tokio::test(flavor = "multi_thread")]
async fn callers_who_hang_up_leave_nothing_half_done() {
    let service = Service::start().await;
    let api = &service.private;
    api.upload(fixture("noop")).await.json(201);
    // A time so long that nobody takes over meanwhile what was given up.
    let action = json!({"name": "noop", "protocol": "noop", "config": {}, "limits": {"timeout_ms": 300_000}});
    api.post("/v1/actions", &action).await.json(201);
    for round in 0..300 {
        let turns = round * 37 % 1500;
        hang_up(api, "POST /v1/actions/noop/execute", &json!(round), turns).await;
        let description = json!({"description": round.to_string()});
        hang_up(api, "PATCH /v1/actions/noop", &description, turns).await;
        let saved = api.get("/v1/actions/noop").await.json(200)["revision"].as_u64().unwrap();
        let run = api.execute("noop", &json!(null)).await.json(200)["revision"].as_u64().unwrap();
        assert!(run >= saved, "revision {run} ran when {saved} was saved");
    }
    let mut revoked = 0;
    for token in 0..50 {
        let made = api.post("/v1/tokens", &json!({"name": token.to_string(), "scopes": ["read"]})).await.json(201);
        let (id, bearer) = (made["id"].as_str().unwrap(), made["token"].as_str().unwrap());
        let used = || api.send(api.bare(Method::GET, "/v1/actions").bearer_auth(bearer));
        used().await.json(200);
        hang_up(api, &format!("DELETE /v1/tokens/{id}"), &json!(null), token * 37 % 1500).await;
        let kept = api.get("/v1/tokens?limit=500").await.json(200);
        if !kept["items"].as_array().unwrap().iter().any(|kept| kept["id"] == id) {
            used().await.problem(401, "token_invalid");
            revoked += 1;
        }
    }
    assert!(revoked > 0, "some were heard before the caller went");
    let mut after = String::new();
    loop {
        let page = api.get(&format!("/v1/executions?limit=500{after}")).await.json(200);
        for execution in page["items"].as_array().unwrap() {
            assert_eq!(api.ended(execution["id"].as_str().unwrap()).await["status"], "succeeded");
        }
        let Some(next) = page["next"].as_str() else { return };
        after = format!("&after={next}");
    }
}
