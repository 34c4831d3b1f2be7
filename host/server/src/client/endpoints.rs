//! One method an endpoint.

use super::{Client, ClientError, stream::EventStream, upload};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use reqwest::{Method, StatusCode, header};
use serde_json::Value;
use std::time::Duration;

/// The longest wait that the service grants.
const WAIT_MAX_S: u64 = 30;
/// Items of a page, where many are asked for.
const PAGE_ITEMS: u32 = 500;

/// Whether to wait for an execution.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Wait {
    /// As long as the service does by itself.
    Default,
    /// Up to this long.
    Up(Duration),
    /// Not at all.
    Not,
}

/// An execution that was set off.
#[derive(Debug)]
pub(crate) struct Executed {
    /// As the service describes it.
    pub(crate) execution: Value,
    /// Whether the service answered that it has ended.
    pub(crate) ended: bool,
}

impl Client {
    /// Whether the process answers.
    pub(crate) async fn health(&self) -> Result<(), ClientError> {
        self.send(self.request(Method::GET, &["healthz"], &[])).await.map(drop)
    }

    /// Pages of a list until `limit` items are there, and where the next ones would begin.
    pub(super) async fn pages(
        &self,
        segments: &[&str],
        query: &[(&str, String)],
        limit: u32,
    ) -> Result<(Vec<Value>, Option<String>), ClientError> {
        let mut items = Vec::new();
        let mut after: Option<String> = None;
        loop {
            let wanted = (limit as usize).saturating_sub(items.len()).min(PAGE_ITEMS as usize);
            let mut query = query.to_vec();
            query.push(("limit", wanted.to_string()));
            if let Some(after) = after.take() {
                query.retain(|(name, _)| *name != "after");
                query.push(("after", after));
            }
            let mut page = self.get(segments, &query).await?;
            let Some(Value::Array(more)) = page.get_mut("items").map(Value::take) else {
                return Err(ClientError::NotUnderstood("a page has no items".into()));
            };
            let empty = more.is_empty();
            items.extend(more);
            let next = match page.get("next") {
                Some(Value::String(next)) => Some(next.clone()),
                Some(Value::Number(next)) => Some(next.to_string()),
                _ => None,
            };
            if next.is_none() || empty || items.len() >= limit as usize {
                return Ok((items, next));
            }
            after = next;
        }
    }

    /// Protocols.
    pub(crate) async fn protocols(&self, limit: u32) -> Result<(Vec<Value>, Option<String>), ClientError> {
        self.pages(&["v1", "protocols"], &[], limit).await
    }

    /// Protocols that belong to the service and are not there.
    pub(crate) async fn missing_protocols(&self) -> Result<Vec<Value>, ClientError> {
        let mut page = self.get(&["v1", "protocols"], &[("limit", "1".to_owned())]).await?;
        match page.get_mut("missing").map(Value::take) {
            Some(Value::Array(missing)) => Ok(missing),
            // A service of an earlier release.
            _ => Ok(Vec::new()),
        }
    }

    /// The versions of a protocol.
    pub(crate) async fn protocol_versions(&self, name: &str) -> Result<Value, ClientError> {
        self.get(&["v1", "protocols", name], &[]).await
    }

    /// A protocol.
    pub(crate) async fn protocol(&self, name: &str, version: &str) -> Result<Value, ClientError> {
        self.get(&["v1", "protocols", name, version], &[]).await
    }

    /// Uploads a component; `sent` is told how many bytes are on their way. Whether it is new.
    pub(crate) async fn push_protocol(
        &self,
        component: Bytes,
        sent: impl Fn(u64) + Send + Sync + 'static,
    ) -> Result<(Value, bool), ClientError> {
        let request = self
            .request(Method::POST, &["v1", "protocols"], &[])
            .header(header::CONTENT_TYPE, "application/wasm")
            .header(header::CONTENT_LENGTH, component.len())
            .body(upload::body(component, sent));
        let answer = self.send(request).await?;
        Ok((answer.json()?, answer.status == StatusCode::CREATED))
    }

    /// Deletes a protocol.
    pub(crate) async fn delete_protocol(&self, name: &str, version: &str) -> Result<(), ClientError> {
        self.send(self.request(Method::DELETE, &["v1", "protocols", name, version], &[])).await.map(drop)
    }

    /// Asks a protocol whether it accepts a config.
    pub(crate) async fn validate_config(
        &self,
        name: &str,
        version: &str,
        config: &Value,
    ) -> Result<Value, ClientError> {
        let segments = ["v1", "protocols", name, version, "validate-config"];
        let body = serde_json::json!({"config": config});
        self.send(self.request(Method::POST, &segments, &[]).json(&body)).await?.json()
    }

    /// What a version changes for the actions that have another one.
    pub(crate) async fn protocol_upgrade(&self, name: &str, version: &str, from: &str) -> Result<Value, ClientError> {
        self.get(&["v1", "protocols", name, version, "upgrade"], &[("from", from.to_owned())]).await
    }

    /// What an action may reach, and whether a URL would be.
    pub(crate) async fn action_egress(&self, key: &str, url: Option<&str>) -> Result<Value, ClientError> {
        let query: Vec<_> = url.map(|url| ("url", url.to_owned())).into_iter().collect();
        self.get(&["v1", "actions", key, "egress"], &query).await
    }

    /// Grants made of what an action was denied.
    pub(crate) async fn egress_proposal(&self, key: &str, executions: Option<u32>) -> Result<Value, ClientError> {
        let query: Vec<_> = executions.map(|count| ("executions", count.to_string())).into_iter().collect();
        self.get(&["v1", "actions", key, "egress", "proposal"], &query).await
    }

    /// Actions.
    pub(crate) async fn actions(
        &self,
        query: &[(&str, String)],
        limit: u32,
    ) -> Result<(Vec<Value>, Option<String>), ClientError> {
        self.pages(&["v1", "actions"], query, limit).await
    }

    /// An action, if there is one.
    pub(crate) async fn find_action(&self, key: &str) -> Result<Option<Value>, ClientError> {
        match self.action(key).await {
            Ok(action) => Ok(Some(action)),
            Err(ClientError::Refused(problem)) if problem.code == "action_not_found" => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// An action.
    pub(crate) async fn action(&self, key: &str) -> Result<Value, ClientError> {
        self.get(&["v1", "actions", key], &[]).await
    }

    /// Makes an action, or replaces the one that has this revision now.
    pub(crate) async fn put_action(
        &self,
        key: &str,
        document: &Value,
        revision: Option<u64>,
        dry_run: bool,
    ) -> Result<Value, ClientError> {
        let query = [("dry_run", "true".to_owned())];
        let query = if dry_run { &query[..] } else { &[] };
        let mut request = self.request(Method::PUT, &["v1", "actions", key], query).json(document);
        request = match revision {
            Some(revision) => request.header(header::IF_MATCH, format!("\"{revision}\"")),
            None => request.header(header::IF_NONE_MATCH, "*"),
        };
        self.send(request).await?.json()
    }

    /// Deletes an action.
    pub(crate) async fn delete_action(&self, key: &str) -> Result<(), ClientError> {
        self.send(self.request(Method::DELETE, &["v1", "actions", key], &[])).await.map(drop)
    }

    /// Tests an action's connection.
    pub(crate) async fn test_action(&self, key: &str) -> Result<Value, ClientError> {
        let segments = ["v1", "actions", key, "test-connection"];
        let body = serde_json::json!({});
        self.send(self.request(Method::POST, &segments, &[]).json(&body)).await?.json()
    }

    /// Sets an action off.
    pub(crate) async fn execute(
        &self,
        key: &str,
        content_type: &str,
        input: Bytes,
        wait: Wait,
        idempotency_key: Option<&str>,
    ) -> Result<Executed, ClientError> {
        let mut request = self
            .request(Method::POST, &["v1", "actions", key, "execute"], &[])
            .header(header::CONTENT_TYPE, content_type)
            .body(input);
        if let Some(key) = idempotency_key {
            request = request.header("idempotency-key", key);
        }
        match wait {
            Wait::Default => {}
            Wait::Up(time) => request = request.header("prefer", format!("wait={}", time.as_secs().min(WAIT_MAX_S))),
            Wait::Not => request = request.header("prefer", "respond-async"),
        }
        let answer = self.send(request).await?;
        Ok(Executed { execution: answer.json()?, ended: answer.status == StatusCode::OK })
    }

    /// An execution.
    pub(crate) async fn execution(&self, id: &str) -> Result<Value, ClientError> {
        self.get(&["v1", "executions", id], &[]).await
    }

    /// Stops an execution. Whether it has ended.
    pub(crate) async fn cancel_execution(&self, id: &str) -> Result<(Value, bool), ClientError> {
        let answer = self.send(self.request(Method::POST, &["v1", "executions", id, "cancel"], &[])).await?;
        Ok((answer.json()?, answer.status == StatusCode::OK))
    }

    /// Tries an execution again.
    pub(crate) async fn retry_execution(&self, id: &str) -> Result<Value, ClientError> {
        self.send(self.request(Method::POST, &["v1", "executions", id, "retry"], &[])).await?.json()
    }

    /// Tries failed executions again that match.
    pub(crate) async fn retry_executions(&self, filter: &Value) -> Result<Value, ClientError> {
        self.send(self.request(Method::POST, &["v1", "executions", "retry"], &[]).json(filter)).await?.json()
    }

    /// Says what became of an execution in doubt.
    pub(crate) async fn resolve_execution(&self, id: &str, r#as: &str) -> Result<Value, ClientError> {
        let body = serde_json::json!({"as": r#as});
        self.send(self.request(Method::POST, &["v1", "executions", id, "resolve"], &[]).json(&body)).await?.json()
    }

    /// Gives a secret a value. Whether it is its first.
    pub(crate) async fn set_secret(&self, name: &str, value: &[u8]) -> Result<(Value, bool), ClientError> {
        let body = match std::str::from_utf8(value) {
            Ok(text) => serde_json::json!({"value": text}),
            Err(_) => serde_json::json!({"base64": STANDARD.encode(value)}),
        };
        let answer = self.send(self.request(Method::PUT, &["v1", "secrets", name], &[]).json(&body)).await?;
        Ok((answer.json()?, answer.status == StatusCode::CREATED))
    }

    /// Secrets, without their values.
    pub(crate) async fn secrets(&self, limit: u32) -> Result<(Vec<Value>, Option<String>), ClientError> {
        self.pages(&["v1", "secrets"], &[], limit).await
    }

    /// Deletes a secret.
    pub(crate) async fn delete_secret(&self, name: &str) -> Result<(), ClientError> {
        self.send(self.request(Method::DELETE, &["v1", "secrets", name], &[])).await.map(drop)
    }

    /// Moves all secrets to the service's first key.
    pub(crate) async fn rewrap_secrets(&self) -> Result<Value, ClientError> {
        self.send(self.request(Method::POST, &["v1", "secrets", "rewrap"], &[])).await?.json()
    }

    /// Removes executions that ended before a time, with their events.
    pub(crate) async fn prune_events(&self, before: &str) -> Result<Value, ClientError> {
        let body = serde_json::json!({"before": before});
        self.send(self.request(Method::POST, &["v1", "events", "prune"], &[]).json(&body)).await?.json()
    }

    /// Seals what happened so far.
    pub(crate) async fn seal_events(&self, old_key_is_lost: bool) -> Result<Value, ClientError> {
        let body = serde_json::json!({"old_key_is_lost": old_key_is_lost});
        self.send(self.request(Method::POST, &["v1", "audit", "seals"], &[]).json(&body)).await?.json()
    }

    /// Executions.
    pub(crate) async fn executions(
        &self,
        query: &[(&str, String)],
        limit: u32,
    ) -> Result<(Vec<Value>, Option<String>), ClientError> {
        self.pages(&["v1", "executions"], query, limit).await
    }

    /// Events.
    pub(crate) async fn events(
        &self,
        query: &[(&str, String)],
        limit: u32,
    ) -> Result<(Vec<Value>, Option<String>), ClientError> {
        self.pages(&["v1", "events"], query, limit).await
    }

    /// Events as they happen: after the last one that was seen, where one was.
    pub(crate) async fn follow_events(
        &self,
        query: &[(&str, String)],
        last_event_id: Option<&str>,
    ) -> Result<EventStream, ClientError> {
        let request = self.request(Method::GET, &["v1", "events"], query).header(header::ACCEPT, "text/event-stream");
        let request = match last_event_id {
            Some(id) => request.header("last-event-id", id),
            None => request,
        };
        Ok(EventStream::new(self.open(request).await?))
    }
}
