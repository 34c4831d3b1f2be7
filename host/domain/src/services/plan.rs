//! Plans: what an attempt would send, written down instead of sent.

use crate::{payload::RecordedPayload, secret::AttemptSecrets};
use serde::Serialize;
use std::sync::{Arc, Mutex, PoisonError};

/// Why nothing is reached, as a component is told in a plan.
pub const NOTHING_IS_SENT: &str = "this is a plan: nothing is sent";

/// A request that would have been made.
#[derive(Debug, Clone, Serialize)]
pub struct PlannedRequest {
    /// An HTTP method; `TCP`, `UDP` or `DNS` where it is none.
    pub method: String,
    /// To where: a URL, or `host:port`.
    pub target: String,
    /// In their order; of HTTP only. A value that is not UTF-8 is shown as well as it can be.
    pub headers: Vec<(String, String)>,
    /// Of HTTP only, where it is known: its bytes where they are few, else their digest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<RecordedPayload>,
}

/// Collects what an attempt would send. Bounded, because requests are counted and bodies are kept only
/// where they are small.
#[derive(Debug, Default)]
pub struct Plan {
    requests: Mutex<Vec<PlannedRequest>>,
    secrets: Arc<AttemptSecrets>,
}

impl Plan {
    /// An empty one, out of which these are kept.
    pub fn without(secrets: Arc<AttemptSecrets>) -> Self {
        Self { requests: Mutex::default(), secrets }
    }

    /// One more, with the names of secrets in the place of secrets and of their handles.
    pub fn note(&self, mut request: PlannedRequest) {
        let redactor = self.secrets.redactor();
        redactor.clean(&mut request.method);
        redactor.clean(&mut request.target);
        request.headers.iter_mut().flat_map(|(name, value)| [name, value]).for_each(|text| redactor.clean(text));
        if let Some(payload) = request.body.as_ref().and_then(RecordedPayload::inline) {
            request.body = Some(redactor.payload(payload).recorded().0);
        }
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).push(request);
    }

    /// A connection, of which nothing more is known.
    pub fn connection(&self, method: &str, target: String) {
        self.note(PlannedRequest { method: method.to_owned(), target, headers: Vec::new(), body: None });
    }

    /// All of them, in their order.
    pub fn take(&self) -> Vec<PlannedRequest> {
        std::mem::take(&mut self.requests.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{payload::Payload, secret::Held};

    #[test]
    fn a_plan_has_no_secret_anywhere() {
        let value = Some(Arc::new(b"hunter2-hunter2".to_vec().into()));
        let held = Held { handle: "sec_".to_owned(), name: "token".parse().unwrap(), value, reveal: true };
        let plan = Plan::without(Arc::new(AttemptSecrets::new(vec![held])));
        let text = || "x-hunter2-hunter2".to_owned();
        let body = Payload { content_type: "text/plain".into(), data: text().into() }.recorded().0;
        let headers = vec![(text(), text())];
        plan.note(PlannedRequest { method: text(), target: text(), headers, body: Some(body) });
        let noted = serde_json::to_string(&plan.take()).unwrap();
        assert!(!noted.contains("hunter2") && noted.matches("x-[secret:token]").count() == 4, "{noted}");
    }
}
