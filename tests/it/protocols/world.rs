//! A service with secrets, and actions that are executed once.

use crate::kit::Service;
use serde_json::{Value, json};

pub(super) struct World {
    pub(super) service: Service,
    protocol: &'static str,
}

impl World {
    /// A service, and the protocol that its actions are of.
    pub(super) async fn new(protocol: &'static str) -> Self {
        Self { service: Service::start().await, protocol }
    }

    pub(super) async fn secret(&self, name: &str, value: &str) {
        let answer = self.service.private.put(&format!("/v1/secrets/{name}"), &json!({"value": value})).await;
        assert!(answer.status.is_success(), "{}", String::from_utf8_lossy(&answer.body));
    }

    /// Executes a config once, in an action that may reach private networks and see these secrets. How it
    /// ended, or that it is held in doubt.
    pub(super) async fn run_seeing(&self, reveal: &[&str], config: Value, input: &Value) -> Value {
        let action = json!({
            "protocol": self.protocol, "config": config,
            "grants": {"private_networks": true, "reveal": reveal}, "delivery": {"max_attempts": 1}
        });
        let api = &self.service.private;
        let saved = api.put("/v1/actions/tried", &action).await;
        assert!(saved.status.is_success(), "{}", String::from_utf8_lossy(&saved.body));
        let answer = api.execute("tried", input).await;
        assert!(answer.status.is_success(), "{}", String::from_utf8_lossy(&answer.body));
        serde_json::from_slice(&answer.body).unwrap()
    }

    pub(super) async fn run(&self, config: Value, input: &Value) -> Value {
        self.run_seeing(&[], config, input).await
    }

    /// The output of an execution that succeeds.
    #[track_caller]
    pub(super) fn output(execution: &Value) -> &Value {
        assert_eq!(execution["status"], "succeeded", "{execution}");
        &execution["output"]
    }

    /// The kind and the advice of an execution's failure.
    #[track_caller]
    pub(super) fn failure(execution: &Value) -> (&str, &str) {
        assert!(matches!(execution["status"].as_str(), Some("failed" | "in_doubt")), "{execution}");
        let failure = &execution["error"]["failure"];
        let text = |value: &'_ Value| value.as_str().map(str::to_owned);
        match (text(&failure["kind"]), text(&failure["advice"])) {
            (Some(_), Some(_)) => (failure["kind"].as_str().unwrap(), failure["advice"].as_str().unwrap()),
            _ => panic!("{execution}"),
        }
    }

    /// Tests a connection, with these secrets to be seen.
    pub(super) async fn test_seeing(&self, reveal: &[&str], config: &Value) -> Value {
        let body = json!({"config": config, "grants": {"private_networks": true, "reveal": reveal}});
        let path = format!("/v1/protocols/{}/0.1.0/test-connection", self.protocol);
        self.service.private.post(&path, &body).await.json(200)
    }

    /// Nothing that the service tells holds this.
    pub(super) async fn tells_nowhere(&self, text: &str) {
        for path in ["/v1/events?limit=500", "/v1/executions", "/v1/actions"] {
            let told = self.service.private.get(path).await;
            let told = String::from_utf8_lossy(&told.body).into_owned();
            assert!(!told.contains(text), "{path} tells {text}");
        }
    }
}
