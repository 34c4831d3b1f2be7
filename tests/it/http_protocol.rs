//! The `http` protocol against a real server: what it sends, and what it makes of answers.

use crate::kit::{PATIENCE, Remote, Service};
use bytes::Bytes;
use http_body_util::Full;
use hyper::{Request, Response, body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, Mutex},
};
use tokio::{net::TcpListener, sync::watch, time::timeout};

struct World {
    service: Service,
    remote: Remote,
}

impl World {
    async fn new() -> Self {
        Self { service: Service::start().await, remote: Remote::start().await }
    }

    /// An execution of `http` with this config, tried once.
    async fn run(&self, name: &str, config: Value, input: &Value) -> Value {
        let action = json!({
            "name": name, "protocol": "http", "config": config,
            "grants": {"private_networks": true}, "delivery": {"max_attempts": 1}
        });
        self.service.private.post("/v1/actions", &action).await.json(201);
        self.service.private.execute(name, input).await.json(200)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn url_query_headers_and_body_are_made_of_the_input() {
    let world = World::new().await;
    let config = json!({
        "url": world.remote.url("/orders/{{ order.id }}"), "method": "PUT",
        "query": {"q": "{{ order.name }}"},
        "headers": {"X-Order": "{{ order.id }}"},
        "auth": {"basic": {"username": "ada", "password": "pass"}},
        "body": {"json": {"items": "{{ order.items }}", "text": "n={{ order.id }}"}}
    });
    let input = json!({"order": {"id": "A 7/../x", "name": "a&b=c", "items": [1, 2]}});
    let execution = world.run("templated", config, &input).await;
    assert_eq!(execution["status"], "succeeded", "{execution}");
    let asked = &world.remote.requests()[0];
    assert_eq!(asked.method(), "PUT");
    assert_eq!(asked.uri().path(), "/orders/A%207%2F..%2Fx");
    assert_eq!(asked.uri().query(), Some("q=a%26b%3Dc"));
    assert_eq!(asked.headers()["x-order"], "A 7/../x");
    assert_eq!(asked.headers()["authorization"], "Basic YWRhOnBhc3M=");
    let body: Value = serde_json::from_slice(asked.body()).unwrap();
    assert_eq!(body, json!({"items": [1, 2], "text": "n=A 7/../x"}));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_filled_in_is_invalid_input_and_sends_nothing() {
    let world = World::new().await;
    let config = json!({"url": world.remote.url("/{{ missing }}"), "method": "GET"});
    let execution = world.run("missing", config, &json!({})).await;
    assert_eq!(execution["error"]["failure"]["kind"], "invalid_input", "{execution}");
    assert!(execution["error"]["message"].as_str().unwrap().contains("missing"), "{execution}");
    let config = json!({"url": world.remote.url("/"), "headers": {"X": "{{ x }}"}});
    let execution = world.run("injected", config, &json!({"x": "a\r\nEvil: 1"})).await;
    assert_eq!(execution["error"]["failure"]["kind"], "invalid_input", "{execution}");
    assert!(world.remote.requests().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn statuses_become_failures_with_advice() {
    let world = World::new().await;
    for (status, kind, advice) in [
        (401, "unauthenticated", json!("give_up")),
        (404, "rejected", json!("give_up")),
        (500, "unavailable", json!("retry")),
        (503, "unavailable", json!("retry")),
    ] {
        let config = json!({"url": world.remote.url(&format!("/status/{status}")), "method": "GET"});
        let execution = world.run(&format!("s-{status}"), config, &json!({})).await;
        let failure = &execution["error"]["failure"];
        assert_eq!((&failure["kind"], &failure["advice"]), (&json!(kind), &advice), "{execution}");
    }
    let config = json!({"url": world.remote.url("/retry-after/120"), "method": "GET"});
    let execution = world.run("limited", config, &json!({})).await;
    assert_eq!(execution["error"]["failure"]["kind"], "rate_limited", "{execution}");
    assert_eq!(execution["error"]["failure"]["advice"], json!({"retry_after_ms": 120_000}), "{execution}");
    let config = json!({"url": world.remote.url("/status/404"), "method": "GET", "expect": [404]});
    assert_eq!(world.run("expected", config, &json!({})).await["status"], "succeeded");
}

#[tokio::test(flavor = "multi_thread")]
async fn redirects_are_followed_only_to_granted_hosts() {
    let world = World::new().await;
    let other = Remote::start().await;
    let here = world.remote.url(&format!("/redirect?{}", world.remote.url("/json")));
    let execution = world.run("here", json!({"url": here, "method": "GET"}), &json!({})).await;
    assert_eq!(execution["output"]["body"]["path"], "/json", "{execution}");
    let away = world.remote.url(&format!("/redirect?{}", other.url("/json")));
    let execution = world.run("away", json!({"url": away, "method": "GET"}), &json!({})).await;
    assert_eq!(execution["status"], "failed", "{execution}");
    assert_eq!(execution["error"]["code"], "egress_denied", "{execution}");
    assert!(other.requests().is_empty());
    let config = json!({"url": away, "method": "GET", "redirect_urls": [other.url("/")]});
    assert_eq!(world.run("named", config, &json!({})).await["status"], "succeeded");
    assert_eq!(other.requests().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn binary_bodies_come_through_whole() {
    let world = World::new().await;
    let config = json!({"url": world.remote.url("/bytes/1000000"), "method": "GET", "output": "body"});
    let execution = world.run("binary", config, &json!({})).await;
    assert_eq!(execution["status"], "succeeded", "{execution}");
    let output =
        world.service.private.get(&format!("/v1/executions/{}/output", execution["id"].as_str().unwrap())).await;
    assert_eq!((output.body.len(), output.header("content-type")), (1_000_000, "application/octet-stream"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_trace_goes_along() {
    let world = World::new().await;
    let config = json!({"url": world.remote.url("/"), "method": "POST"});
    world.run("traced", config, &json!({})).await;
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let api = &world.service.private;
    let request = api.request(reqwest::Method::POST, "/v1/actions/traced/execute").header("traceparent", trace);
    api.send(request.json(&json!({}))).await.json(200);
    let sent = world.remote.requests()[1].headers()["traceparent"].to_str().unwrap().to_owned();
    assert!(sent.starts_with("00-0af7651916cd43dd8448eb211c80319c-"), "{sent}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_mistake_in_a_config_has_its_place() {
    let world = World::new().await;
    let config = json!({"url": "https://{{ host }}/", "method": "GET", "expect": ["9xx"], "colour": 1});
    let answer = world.service.private.action("wrong", "http", config).await;
    let errors = answer.problem(422, "invalid_document");
    assert!(errors.iter().any(|error| error.starts_with("/config")), "{errors:?}");
    let config = json!({"url": "https://{{ host }}/", "method": "GET"});
    let answer = world.service.private.action("wrong", "http", config).await;
    let errors = answer.problem(422, "invalid_document");
    assert!(errors.iter().any(|error| error.starts_with("/config/url")), "{errors:?}");
}

/// A remote whose page changes, and who says that it did not where it is asked so.
#[derive(Clone)]
struct Changing {
    address: SocketAddr,
    page: Arc<Mutex<Page>>,
    /// How often it was asked, and how often it said that nothing is new.
    asked: Arc<watch::Sender<(usize, usize)>>,
}

#[derive(Clone)]
struct Page {
    body: String,
    etag: Option<String>,
    modified: Option<&'static str>,
}

impl Changing {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let page = Page { body: String::new(), etag: None, modified: None };
        let remote = Self {
            address: listener.local_addr().unwrap(),
            page: Arc::new(Mutex::new(page)),
            asked: Arc::new(watch::Sender::new((0, 0))),
        };
        let server = remote.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let server = server.clone();
                let service = service_fn(move |request| {
                    let answer = server.answer(&request);
                    async { Ok::<_, Infallible>(answer) }
                });
                tokio::spawn(async move {
                    let connection = hyper::server::conn::http1::Builder::new();
                    let _ = connection.serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        remote
    }

    fn answer(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        let page = self.page.lock().unwrap().clone();
        let shown = |name: &str| request.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
        // The date counts only where no ETag was shown (RFC 9110, 13.2.2).
        let same = match shown("if-none-match") {
            Some(etag) => page.etag == Some(etag),
            None => page.modified.is_some() && shown("if-modified-since").as_deref() == page.modified,
        };
        self.asked.send_modify(|(asked, same_count)| {
            *asked += 1;
            *same_count += usize::from(same);
        });
        let mut answer = Response::builder().status(if same { 304 } else { 200 });
        if let Some(etag) = &page.etag {
            answer = answer.header("etag", etag);
        }
        if let Some(modified) = page.modified {
            answer = answer.header("last-modified", modified);
        }
        let body = if same { String::new() } else { page.body };
        answer.header("content-type", "application/json").body(Full::new(body.into())).unwrap()
    }

    fn show(&self, body: &Value, etag: Option<&str>, modified: Option<&'static str>) {
        *self.page.lock().unwrap() = Page { body: body.to_string(), etag: etag.map(str::to_owned), modified };
    }

    fn url(&self) -> String {
        format!("http://{}/orders", self.address)
    }

    /// How often it said that nothing is new.
    fn said_same(&self) -> usize {
        self.asked.borrow().1
    }

    /// Waits until it was asked so much more often.
    async fn asked_again(&self, times: usize) {
        let mut asked = self.asked.subscribe();
        let until = asked.borrow().0 + times;
        timeout(PATIENCE, asked.wait_for(|(asked, _)| *asked >= until)).await.expect("it is asked").unwrap();
    }
}

async fn captured(service: &Service, action: &str) -> Vec<Value> {
    let page = service.private.get(&format!("/v1/items?action={action}&limit=500")).await.json(200);
    page["items"].as_array().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn only_an_answer_that_is_new_is_captured() {
    let (mut service, remote) = (Service::start().await, Changing::start().await);
    let action = json!({"name": "look", "protocol": "http", "grants": {"private_networks": true},
        "config": {"url": remote.url(), "poll": {"kind": "page"}}, "delivery": {"max_attempts": 1}});
    service.private.post("/v1/actions", &action).await.json(201);
    let look = async |service: &Service| {
        let execution = service.private.execute("look", &json!(null)).await.json(200);
        assert_eq!(execution["status"], "succeeded", "{execution}");
        execution["output"]["result"].as_str().unwrap().to_owned()
    };
    remote.show(&json!({"n": 1}), Some("\"one\""), None);
    assert_eq!(look(&service).await, "captured");
    assert_eq!(look(&service).await, "not_modified");
    // What is known outlives the process.
    service = Service::start_with(service.kill().await).await;
    assert_eq!(look(&service).await, "not_modified");
    assert_eq!(remote.said_same(), 2);
    remote.show(&json!({"n": 2}), None, Some("Mon, 23 Nov 2026 05:08:00 GMT"));
    assert_eq!(look(&service).await, "captured");
    assert_eq!(look(&service).await, "not_modified");
    assert_eq!(remote.said_same(), 3, "by its date");
    remote.show(&json!({"n": 3}), None, None);
    assert_eq!(look(&service).await, "captured");
    assert_eq!(look(&service).await, "unchanged");
    assert_eq!(remote.said_same(), 3, "nobody said so, but it is the same");
    remote.show(&json!({"n": 1}), Some("\"one\""), None);
    assert_eq!(look(&service).await, "captured", "it is back, and that is new");
    let items = captured(&service, "look").await;
    let bodies: Vec<&Value> = items.iter().map(|item| &item["content"]["json"]["body"]["n"]).collect();
    assert_eq!(bodies, [1, 2, 3, 1]);
    assert!(items.iter().all(|item| item["kind"] == "page"), "{items:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_brings_each_entry_of_a_list_once() {
    let (service, remote) = (Service::start().await, Changing::start().await);
    let orders = |ids: &[u32]| json!({"orders": ids.iter().map(|id| json!({"id": id})).collect::<Vec<_>>()});
    remote.show(&orders(&[1, 2]), Some("\"a\""), None);
    let action = json!({"name": "orders", "protocol": "http", "grants": {"private_networks": true},
        "config": {"url": remote.url(), "poll": {"kind": "order", "items": "/orders", "key": "/id"}},
        "triggers": [{"type": "schedule", "every_ms": 1_000}], "delivery": {"max_concurrent": 1}});
    service.private.post("/v1/actions", &action).await.json(201);
    let come = async |count: usize| {
        let enough = async { while captured(&service, "orders").await.len() < count {} };
        timeout(PATIENCE, enough).await.expect("what is new comes");
    };
    come(2).await;
    // The same again, under the same name and then under none.
    remote.asked_again(2).await;
    remote.show(&orders(&[3, 2, 1, 4]), None, None);
    come(4).await;
    remote.asked_again(2).await;
    remote.show(&orders(&[5, 4]), Some("\"b\""), None);
    come(5).await;
    remote.asked_again(2).await;
    service.private.patch("/v1/actions/orders", &json!({"enabled": false})).await.json(200);
    let items = captured(&service, "orders").await;
    let ids: Vec<&Value> = items.iter().map(|item| &item["content"]["json"]["id"]).collect();
    assert_eq!(ids, [1, 2, 3, 4, 5], "each once, in the order in which it came");
    assert_eq!(items[2]["key"], "3");
    assert!(remote.said_same() >= 2, "it could say that nothing is new");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_is_none_fails_and_is_looked_at_again() {
    let (service, remote) = (Service::start().await, Changing::start().await);
    let action = json!({"name": "orders", "protocol": "http", "grants": {"private_networks": true},
        "config": {"url": remote.url(), "poll": {"items": "/orders", "key": "/id"}}});
    service.private.post("/v1/actions", &action).await.json(201);
    remote.show(&json!({"orders": [{"id": 1}, {"no": "id"}]}), Some("\"a\""), None);
    let failed = service.private.execute("orders", &json!(null)).await.json(200);
    assert_eq!(failed["error"]["failure"]["kind"], "bad_response", "{failed}");
    assert!(failed["error"]["message"].as_str().unwrap().contains("/orders/1"), "{failed}");
    assert!(captured(&service, "orders").await.is_empty(), "all of an answer or nothing");
    remote.show(&json!({"orders": [{"id": 1}, {"id": 2}]}), Some("\"a\""), None);
    let looked = service.private.execute("orders", &json!(null)).await.json(200);
    assert_eq!(looked["output"], json!({"result": "captured", "status": 200, "items": 2}), "{looked}");

    let wrong = json!({"url": remote.url(), "method": "POST", "poll": {"key": "/id"}});
    let errors = service.private.action("wrong", "http", wrong).await.problem(422, "invalid_document");
    for pointer in ["/config/poll ", "/config/poll/key "] {
        assert!(errors.iter().any(|error| error.starts_with(pointer)), "{errors:?}");
    }
}
