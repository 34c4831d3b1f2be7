//! The service's private API, as the commands use it.
//!
//! One method an endpoint, in `endpoints.rs`. Documents stay JSON: the commands show what the
//! service says, also what a newer one says more.

mod cloud_event;
mod endpoints;
mod error;
mod stream;
mod tokens;
mod upload;

pub(crate) use cloud_event::own_form;
pub(crate) use endpoints::{Executed, Wait};
pub(crate) use error::{ClientError, Problem};

use crate::config::{names, place};
use reqwest::{Method, Response, StatusCode, header};
use serde_json::Value;
use std::time::Duration;
use url::Url;

/// How long to wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long to wait for the next piece of an answer. The longest silence is that of an upload
/// whose component takes its time to compile.
const READ_TIMEOUT: Duration = Duration::from_mins(5);
/// Largest answer that is taken: an output may have 64 MiB, and Base64 makes it longer.
const ANSWER_BYTES_MAX: usize = 128 << 20;

/// Talks to one service.
#[derive(Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    base: Url,
    token: Option<String>,
}

/// An answer that was a success.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// The body as JSON.
    pub(crate) fn json(&self) -> Result<Value, ClientError> {
        serde_json::from_slice(&self.body).map_err(|error| ClientError::NotUnderstood(error.to_string()))
    }
}

impl Client {
    /// A client of the service at `server`.
    ///
    /// # Errors
    /// Where `server` is no HTTP URL.
    pub(crate) fn new(server: &str, token: Option<String>) -> Result<Self, ClientError> {
        let bad = |reason: String| ClientError::BadServer { server: place::shown(server), reason };
        let mut base: Url = server.parse().map_err(|error: url::ParseError| bad(error.to_string()))?;
        if !matches!(base.scheme(), "http" | "https") || base.host_str().is_none() {
            return Err(bad(format!("an http:// or https:// URL is needed (--server, {})", names::URL)));
        }
        // `http://host/prefix` and `http://host/prefix/` are the same place.
        if let Ok(mut path) = base.path_segments_mut() {
            path.pop_if_empty();
        }
        let mut http = reqwest::Client::builder()
            .user_agent(concat!("action-service/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(READ_TIMEOUT)
            // A token is for the service that was named, and for no other.
            .redirect(reqwest::redirect::Policy::none());
        if is_this_machine(&base) {
            http = http.no_proxy();
        }
        let http = http.build().map_err(|error| bad(error.to_string()))?;
        Ok(Self { http, base, token })
    }

    /// With another token.
    pub(crate) fn with_token(mut self, token: Option<String>) -> Self {
        self.token = token;
        self
    }

    /// Whether what is sent there never leaves this machine.
    pub(crate) fn is_on_this_machine(&self) -> bool {
        is_this_machine(&self.base)
    }

    /// Where it is, for people.
    pub(crate) fn server(&self) -> String {
        place::shown(self.base.as_str())
    }

    /// A request to `/a/b` for the segments `a` and `b`, each escaped.
    fn request(&self, method: Method, segments: &[&str], query: &[(&str, String)]) -> reqwest::RequestBuilder {
        let mut url = self.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.extend(segments);
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let request = self.http.request(method, url);
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    /// Sends it; an answer that is no success is an error.
    async fn open(&self, request: reqwest::RequestBuilder) -> Result<Response, ClientError> {
        let response = request.send().await.map_err(|error| self.unreachable(&error))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let retry_after = response.headers().get(header::RETRY_AFTER).and_then(|value| value.to_str().ok());
        let retry_after = retry_after.map(str::to_owned);
        let body = self.body(response).await?;
        Err(ClientError::Refused(Box::new(Problem::from_answer(status, &body, retry_after))))
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Result<Answer, ClientError> {
        let response = self.open(request).await?;
        let status = response.status();
        Ok(Answer { status, body: self.body(response).await? })
    }

    async fn body(&self, mut response: Response) -> Result<Vec<u8>, ClientError> {
        let mut body = Vec::new();
        while let Some(piece) = response.chunk().await.map_err(|error| self.unreachable(&error))? {
            if body.len() + piece.len() > ANSWER_BYTES_MAX {
                return Err(ClientError::NotUnderstood(format!("it has more than {ANSWER_BYTES_MAX} bytes")));
            }
            body.extend_from_slice(&piece);
        }
        Ok(body)
    }

    async fn get(&self, segments: &[&str], query: &[(&str, String)]) -> Result<Value, ClientError> {
        self.send(self.request(Method::GET, segments, query)).await?.json()
    }

    fn unreachable(&self, error: &reqwest::Error) -> ClientError {
        // The innermost reason is the one that helps: "connection refused".
        let mut reason: &dyn std::error::Error = error;
        while let Some(source) = reason.source() {
            reason = source;
        }
        ClientError::Unreachable { server: self.server(), reason: reason.to_string() }
    }
}

/// A proxy of the surroundings leads to the outside, not back to this machine.
fn is_this_machine(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_leave_its_place_in_the_path() {
        crate::use_ring();
        let client = Client::new("http://127.0.0.1:1/base/", None).unwrap();
        let built = client.request(Method::GET, &["v1", "actions", "../x?y#z/w"], &[("a", "b&c".into())]).build();
        assert_eq!(built.unwrap().url().as_str(), "http://127.0.0.1:1/base/v1/actions/..%2Fx%3Fy%23z%2Fw?a=b%26c");
    }

    #[test]
    fn this_machine_is_known_by_its_loopback_addresses() {
        for (url, own) in [
            ("http://127.0.0.1:8081", true),
            ("http://[::1]:1", true),
            ("https://localhost", true),
            ("http://10.0.0.1:8081", false),
            ("http://localhost.example.com", false),
            ("http://127.0.0.1.example.com", false),
        ] {
            assert_eq!(is_this_machine(&url.parse().unwrap()), own, "{url}");
        }
    }

    #[test]
    fn a_server_is_an_http_url() {
        crate::use_ring();
        for bad in ["127.0.0.1:8081", "ftp://x", "nonsense", "unix:/x"] {
            assert!(Client::new(bad, None).is_err(), "{bad}");
        }
    }
}
