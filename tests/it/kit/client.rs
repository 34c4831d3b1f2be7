//! A client that holds every answer against the service's OpenAPI document.

use super::{PATIENCE, document::Document, service::TOKEN};
use bytes::Bytes;
use reqwest::{Method, StatusCode, header::HeaderMap};
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::{sync::OnceCell, time::timeout};

pub(crate) struct Client {
    pub(crate) base: String,
    /// Where its document is.
    documented_at: String,
    http: reqwest::Client,
    document: OnceCell<Arc<Document>>,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    /// The body as JSON; the status has to be this one.
    pub(crate) fn json(&self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}", String::from_utf8_lossy(&self.body));
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {:?}", self.body))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// A problem with this status and code. Its `errors` as `pointer code`, sorted.
    pub(crate) fn problem(&self, status: u16, code: &str) -> Vec<String> {
        let body = self.json(status);
        assert_eq!(self.header("content-type"), "application/problem+json", "{body}");
        assert_eq!(body["code"], code, "{body}");
        assert_eq!(body["status"], status, "{body}");
        let mut errors: Vec<String> = (body["errors"].as_array().into_iter().flatten())
            .map(|error| format!("{} {}", error["pointer"].as_str().unwrap(), error["code"].as_str().unwrap()))
            .collect();
        errors.sort();
        errors
    }
}

impl Client {
    /// Of the private listener.
    pub(crate) fn new(base: String) -> Self {
        let documented_at = format!("{base}/openapi.json");
        Self::documented(base, documented_at)
    }

    /// Of the public listener, whose document the private one hands out.
    pub(crate) fn public(base: String, private: &str) -> Self {
        Self::documented(base, format!("{private}/openapi.public.json"))
    }

    fn documented(base: String, documented_at: String) -> Self {
        // Another test may have installed it already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        // A connection for each request: the service closes one whose body it did not want to read, and a
        // client that uses it again at that moment fails for a reason that is no answer.
        let http = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0).timeout(PATIENCE).build().unwrap();
        Self { base, documented_at, http, document: OnceCell::new() }
    }

    /// A request with the token.
    pub(crate) fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method, format!("{}{path}", self.base)).bearer_auth(TOKEN)
    }

    /// A request as it is.
    pub(crate) fn bare(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method, format!("{}{path}", self.base))
    }

    async fn document(&self) -> Arc<Document> {
        let load = || async {
            let answer = self.http.get(&self.documented_at).send().await.unwrap();
            // A worker has none.
            match answer.status() {
                StatusCode::OK => Arc::new(Document::new(answer.json().await.unwrap())),
                _ => Arc::new(Document::none()),
            }
        };
        self.document.get_or_init(load).await.clone()
    }

    /// Sends it, and checks that the answer is as documented.
    pub(crate) async fn send(&self, request: reqwest::RequestBuilder) -> Answer {
        let document = self.document().await;
        let request = request.build().unwrap();
        let (method, path) = (request.method().clone(), request.url().path().to_owned());
        let response = self.http.execute(request).await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        let body = response.bytes().await.unwrap();
        let answer = Answer { status, headers, body };
        document.check(&method, &path, &answer);
        answer
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(self.request(Method::GET, path)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.send(self.request(Method::DELETE, path)).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(self.request(Method::POST, path).json(body)).await
    }

    pub(crate) async fn put(&self, path: &str, body: &Value) -> Answer {
        self.send(self.request(Method::PUT, path).json(body)).await
    }

    pub(crate) async fn patch(&self, path: &str, body: &Value) -> Answer {
        let request = self.request(Method::PATCH, path).header("content-type", "application/merge-patch+json");
        self.send(request.body(body.to_string())).await
    }

    pub(crate) async fn upload(&self, component: Vec<u8>) -> Answer {
        let request = self.request(Method::POST, "/v1/protocols").header("content-type", "application/wasm");
        self.send(request.body(component)).await
    }

    /// Executes an action and waits for the end.
    pub(crate) async fn execute(&self, action: &str, input: &Value) -> Answer {
        self.post(&format!("/v1/actions/{action}/execute"), input).await
    }

    /// Makes an action that may reach private networks, if it can be made.
    pub(crate) async fn action(&self, name: &str, protocol: &str, config: Value) -> Answer {
        let action =
            json!({"name": name, "protocol": protocol, "config": config, "grants": {"private_networks": true}});
        self.post("/v1/actions", &action).await
    }

    /// Uploads a fixture, makes an action of it with this config, executes it once, and gives
    /// the execution back.
    pub(crate) async fn run(&self, name: &str, config: Value, input: &Value) -> Value {
        let uploaded = self.upload(super::fixture(name)).await;
        assert!(uploaded.status.is_success(), "{}", String::from_utf8_lossy(&uploaded.body));
        let spec = json!({
            "name": format!("{name}-{}", config["mode"].as_str().unwrap_or("x")), "protocol": name, "config": config,
            "grants": {"private_networks": true}, "delivery": {"max_attempts": 1}
        });
        let action = self.post("/v1/actions", &spec).await.json(201);
        self.execute(action["id"].as_str().unwrap(), input).await.json(200)
    }

    /// All events of an execution, as CloudEvents-free JSON.
    pub(crate) async fn events(&self, execution: &str) -> Vec<Value> {
        let page = self.get(&format!("/v1/executions/{execution}/events?limit=500")).await.json(200);
        page["items"].as_array().unwrap().clone()
    }

    pub(crate) async fn event_types(&self, execution: &str) -> Vec<String> {
        self.events(execution).await.iter().map(|event| event["type"].as_str().unwrap().to_owned()).collect()
    }

    /// Waits for an execution's end by following its events.
    pub(crate) async fn ended(&self, execution: &str) -> Value {
        self.followed(execution, &["action_executed", "execution_cancelled"]).await
    }

    /// Waits until an execution has ended or is held in doubt.
    pub(crate) async fn settled(&self, execution: &str) -> Value {
        self.followed(execution, &["action_executed", "execution_cancelled", "attempt_in_doubt"]).await
    }

    /// Waits for the next event of a type.
    pub(crate) async fn seen(&self, r#type: &str) {
        let request = self.request(Method::GET, &format!("/v1/events?type={type}&after=latest"));
        let request = request.header("accept", "text/event-stream");
        let Ok(mut response) = request.send().await else { return };
        let mut seen = String::new();
        while let Ok(Some(chunk)) = response.chunk().await {
            seen.push_str(&String::from_utf8_lossy(&chunk));
            if seen.contains(r#type) {
                return;
            }
        }
    }

    async fn followed(&self, execution: &str, ends: &[&str]) -> Value {
        let follow = async {
            let path = format!("/v1/events?execution={execution}&after=0");
            let request = self.request(Method::GET, &path).header("accept", "text/event-stream");
            let mut response = request.send().await.unwrap();
            let mut seen = String::new();
            while let Some(chunk) = response.chunk().await.unwrap() {
                seen.push_str(&String::from_utf8_lossy(&chunk));
                if ends.iter().any(|end| seen.contains(end)) {
                    return;
                }
            }
            panic!("the stream ended: {seen}");
        };
        timeout(PATIENCE, follow).await.expect("the execution ends");
        self.get(&format!("/v1/executions/{execution}")).await.json(200)
    }
}
