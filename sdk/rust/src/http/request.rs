//! Builds requests.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

use crate::{Failure, Header, HttpRequest, HttpResponse, OutboundError, TlsOptions, outbound};

impl HttpRequest {
    /// A request with this method.
    pub fn new(method: impl Into<String>, url: impl Into<String>) -> Self {
        Self { method: method.into(), url: url.into(), headers: Vec::new(), body: None, timeout_ms: None, tls: None }
    }

    /// A GET.
    pub fn get(url: impl Into<String>) -> Self {
        Self::new("GET", url)
    }

    /// A HEAD: what GET would give, without its body.
    pub fn head(url: impl Into<String>) -> Self {
        Self::new("HEAD", url)
    }

    /// A POST; give it a body.
    pub fn post(url: impl Into<String>) -> Self {
        Self::new("POST", url)
    }

    /// A PUT; give it a body.
    pub fn put(url: impl Into<String>) -> Self {
        Self::new("PUT", url)
    }

    /// A DELETE.
    pub fn delete(url: impl Into<String>) -> Self {
        Self::new("DELETE", url)
    }

    /// Adds a header, beside others of the same name.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<Vec<u8>>) -> Self {
        self.headers.push(Header { name: name.into(), value: value.into() });
        self
    }

    /// Adds a header unless there is one of this name.
    pub fn header_unless_set(self, name: &str, value: impl Into<Vec<u8>>) -> Self {
        if self.has_header(name) { self } else { self.header(name, value) }
    }

    /// Whether there is a header of this name.
    pub fn has_header(&self, name: &str) -> bool {
        self.headers.iter().any(|header| header.name.eq_ignore_ascii_case(name))
    }

    /// Basic authentication (RFC 7617). The password may be a secret's handle: the service
    /// looks into the encoded pair for it.
    pub fn basic_auth(self, username: &str, password: &str) -> Self {
        let pair = STANDARD.encode(format!("{username}:{password}"));
        self.header("Authorization", format!("Basic {pair}"))
    }

    /// A bearer token (RFC 6750), which may be a secret's handle.
    pub fn bearer_auth(self, token: &str) -> Self {
        self.header("Authorization", format!("Bearer {token}"))
    }

    /// Bytes as the body.
    pub fn body(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.body = Some(bytes.into());
        self
    }

    /// A value as the body, as JSON, with its content type unless there is one.
    pub fn json(self, value: &impl Serialize) -> Result<Self, Failure> {
        let bytes =
            serde_json::to_vec(value).map_err(|error| Failure::internal(format!("the body is not JSON: {error}")))?;
        Ok(self.body(bytes).header_unless_set("Content-Type", "application/json"))
    }

    /// How long the whole exchange may take, within the attempt's deadline.
    pub fn timeout_ms(mut self, timeout_ms: u32) -> Self {
        self.timeout_ms = Some(timeout_ms);
        self
    }

    /// A private CA or a client certificate.
    pub fn tls(mut self, options: TlsOptions) -> Self {
        self.tls = Some(options);
        self
    }

    /// Sends it. Redirects are not followed; [`super::follow`] does.
    pub fn send(&self) -> Result<HttpResponse, OutboundError> {
        outbound::send(self)
    }
}

/// Whether a text is a token of RFC 9110: what a method or a header's name is made of.
pub fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value<'a>(request: &'a HttpRequest, name: &str) -> &'a str {
        let header = request.headers.iter().find(|header| header.name == name).unwrap();
        std::str::from_utf8(&header.value).unwrap()
    }

    #[test]
    fn credentials_are_written_as_the_service_looks_for_them() {
        let request = HttpRequest::get("https://a/").basic_auth("Aladdin", "open sesame");
        assert_eq!(value(&request, "Authorization"), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
        let request = HttpRequest::get("https://a/").bearer_auth("handle");
        assert_eq!(value(&request, "Authorization"), "Bearer handle");
    }

    #[test]
    fn a_json_body_keeps_the_content_type_that_was_set() {
        let request = HttpRequest::post("https://a/").header("content-type", "a/b").json(&1).unwrap();
        assert_eq!(request.headers.len(), 1);
        assert_eq!(request.body.as_deref(), Some(b"1".as_slice()));
    }

    #[test]
    fn tokens() {
        assert!(is_token("M-SEARCH") && is_token("x!") && !is_token("") && !is_token("A B"));
    }
}
