//! `outbound.send`: one request, and the whole of its response.

use super::{
    connection::Connection,
    gate::{Gate, Refusal, Target, millis},
    http::{Exchanger, Failed, establish},
    pool::{Key, Pool},
    substitute, tls,
    tls_failure::TlsFailureKind,
};
use crate::{
    bindings::v0_1::julee::action::{
        model::Header,
        outbound::{Host, HttpRequest, HttpResponse, OutboundError, TlsOptions},
    },
    state::State,
};
use action_domain::{
    event::Fact,
    limits::RESPONSE_BYTES_MAX,
    payload::Payload,
    secret::Redactor,
    services::{NOTHING_IS_SENT, PlannedRequest},
};
use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request,
    header::{self, HOST},
};
use http_body_util::Full;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use wasmtime::{Result, component::Resource};

/// Where the component names no time.
const TIMEOUT_DEFAULT: Duration = Duration::from_secs(30);
const HEADERS_MAX: usize = 256;

/// Headers that belong to the connection, which is the service's.
const CONNECTION_HEADERS: [&str; 9] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

type Answer<T> = std::result::Result<T, OutboundError>;

impl From<Refusal> for OutboundError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Denied(denial) => Self::Denied(denial.to_string()),
            Refusal::NameUnknown(text) => Self::NameUnknown(text),
            Refusal::ConnectFailed(text) => Self::ConnectFailed(text),
            // It may be restarting: that is worth a repeat, and what TLS does not accept is not.
            Refusal::TlsFailed(failure) if failure.kind == TlsFailureKind::Cut => {
                Self::ConnectFailed(failure.to_string())
            }
            Refusal::TlsFailed(failure) => Self::TlsFailed(failure.to_string()),
            Refusal::TimedOut => Self::TimedOut,
            Refusal::BadRequest(text) => Self::BadRequest(text),
        }
    }
}

impl Host for State {
    async fn send(&mut self, request: HttpRequest) -> Result<Answer<HttpResponse>> {
        Ok(send(&self.gate, &self.pool, request).await)
    }

    async fn connect(
        &mut self,
        host: String,
        port: u16,
        tls: Option<TlsOptions>,
    ) -> Result<Answer<Resource<Connection>>> {
        Ok(match Connection::open(self.gate.clone(), &host, port, tls.as_ref()).await {
            Ok(connection) => Ok(self.table.push(connection)?),
            Err(refusal) => Err(refusal.into()),
        })
    }
}

/// What a request is for the record, written down when it ends, however it ends. One that was
/// denied was not made: its denial is in the record already.
pub(super) struct Record {
    gate: Arc<Gate>,
    denied: bool,
    withheld: Option<String>,
    started: Instant,
    method: String,
    target: Target,
    path: Option<String>,
    pub(super) status: Option<u16>,
    pub(super) error: Option<String>,
    pub(super) bytes_out: u64,
    pub(super) bytes_in: u64,
}

impl Record {
    pub(super) fn new(gate: Arc<Gate>, method: &str, target: Target, path: Option<&str>) -> Self {
        let path = path.map(|path| recorded_path(path, gate.secrets.redactor()));
        let error = Some("the attempt ended before the answer".to_owned());
        Self {
            gate,
            denied: false,
            withheld: None,
            started: Instant::now(),
            method: method.to_owned(),
            target,
            path,
            status: None,
            error,
            bytes_out: 0,
            bytes_in: 0,
        }
    }
}

/// What the record has of a path. The journal takes secrets out of it, and so it is cut within none.
fn recorded_path(path: &str, secrets: &Redactor) -> String {
    const PATH_CHARS_MAX: usize = 1024;
    secrets.cut(path, PATH_CHARS_MAX).unwrap_or(path).to_owned()
}

impl Record {
    /// Nothing was reached, for this reason.
    pub(super) fn refused(&mut self, refusal: &Refusal) {
        self.denied = matches!(refusal, Refusal::Denied(_));
        self.error = Some(refusal.message());
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        if self.denied {
            return;
        }
        let fact = Fact::RequestMade {
            method: std::mem::take(&mut self.method),
            host: self.target.host.to_string(),
            port: self.target.port,
            path: self.path.take(),
            status: self.status,
            error: self.error.take(),
            bytes_out: self.bytes_out,
            bytes_in: self.bytes_in,
            ms: millis(self.started.elapsed()),
        };
        self.gate.journal.request(self.gate.now(), fact);
    }
}

/// A request that is well formed, before anybody looked at where it goes.
struct Prepared {
    https: bool,
    host: String,
    port: u16,
    path: String,
    request: Request<Full<Bytes>>,
}

async fn send(gate: &Arc<Gate>, pool: &Arc<Pool>, request: HttpRequest) -> Answer<HttpResponse> {
    let limit = request.timeout_ms.map_or(TIMEOUT_DEFAULT, |ms| Duration::from_millis(ms.into()));
    let tls = request.tls.clone();
    let body = gate.plan().and(request.body.clone());
    let Prepared { https, host, port, path, mut request } = prepare(request).map_err(OutboundError::BadRequest)?;
    if let Err(denial) = gate.admit_method(request.method().as_str(), &host, port) {
        return Err(OutboundError::Denied(denial.to_string()));
    }
    let target = gate.admit_request(https, &host, port).map_err(|denial| OutboundError::Denied(denial.to_string()))?;
    if let Some(plan) = gate.plan() {
        plan.note(planned(https, &request, body));
        return Err(OutboundError::ConnectFailed(NOTHING_IS_SENT.to_owned()));
    }
    let mut record = Record::new(gate.clone(), request.method().as_str(), target.clone(), Some(&path));
    if let Err(denial) = gate.vouched(&target, tls.as_ref())
        && substitute::would_fill(&gate.secrets, &request)
    {
        gate.deny(&denial);
        record.denied = true;
        return Err(OutboundError::Denied(denial.to_string()));
    }
    if let Err(text) = substitute::fill(&gate.secrets, &mut request) {
        record.error = Some(text.clone());
        return Err(OutboundError::BadRequest(text));
    }
    let work = exchange(gate, pool, &target, https, tls.as_ref(), request, &mut record);
    let outcome = tokio::time::timeout(limit, work).await.unwrap_or(Err(OutboundError::TimedOut));
    // Where a kept connection had been tried before, something was made all the same.
    record.denied = record.bytes_out == 0 && matches!(outcome, Err(OutboundError::Denied(_)));
    record.error = record.withheld.take().or_else(|| outcome.as_ref().err().map(describe));
    outcome
}

/// A request as a plan has it: before its secrets are filled in.
fn planned(https: bool, request: &Request<Full<Bytes>>, body: Option<Vec<u8>>) -> PlannedRequest {
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let headers = request.headers();
    let host = headers.get(HOST).map(text).unwrap_or_default();
    let content_type = headers.get(header::CONTENT_TYPE).map_or_else(|| "application/octet-stream".to_owned(), text);
    PlannedRequest {
        method: request.method().as_str().to_owned(),
        target: format!("{}://{host}{}", if https { "https" } else { "http" }, request.uri()),
        headers: headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect(),
        body: body.map(|data| Payload { content_type: content_type.into(), data: data.into() }.recorded().0),
    }
}

async fn exchange(
    gate: &Arc<Gate>,
    pool: &Arc<Pool>,
    target: &Target,
    https: bool,
    options: Option<&TlsOptions>,
    mut request: Request<Full<Bytes>>,
    record: &mut Record,
) -> Answer<HttpResponse> {
    // A connection is kept where nothing is special about it. A test wants to see each step.
    let key = match gate.action {
        Some(action) if options.is_none() && !gate.is_test() => {
            Some(Key { action, https, host: target.host.to_string(), port: target.port })
        }
        _ => None,
    };
    let repeatable = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    while let Some(mut kept) = key.as_ref().and_then(|key| pool.take(key)) {
        if gate.check_address(target, kept.peer().ip()).is_err() || !kept.is_usable().await {
            continue;
        }
        gate.meter.connected();
        let spare = repeatable.then(|| request.clone());
        match attempt(gate, &mut kept, request, record).await {
            Ok(response) => {
                keep(pool, key, kept).await;
                return Ok(response);
            }
            // Servers close idle connections as they like. Where nothing left, or where a repeat
            // does no harm, that is not the component's business.
            Err(Failed::Unsent(back, _)) => request = *back,
            Err(failed @ (Failed::NoResponse | Failed::Tls(_))) => match spare {
                Some(spare) => request = spare,
                None => return Err(to_error(failed)),
            },
            Err(failed) => return Err(to_error(failed)),
        }
    }
    let choice = match (https, options) {
        (false, _) => None,
        (true, None) => Some(tls::Choice::http(gate)),
        (true, Some(options)) => Some(tls::Choice::http_with(gate, options)?),
    };
    let (io, peer) = establish(gate, target, choice.as_ref()).await?;
    let mut fresh = Exchanger::new(io, peer).await?;
    let response = attempt(gate, &mut fresh, request, record).await.map_err(to_error)?;
    keep(pool, key, fresh).await;
    Ok(response)
}

async fn keep(pool: &Arc<Pool>, key: Option<Key>, mut connection: Exchanger) {
    if let Some(key) = key
        && connection.is_usable().await
    {
        pool.put(key, connection);
    }
}

/// Counts what went over a connection, also when the attempt is dropped in the middle of it.
struct Metered<'a> {
    gate: &'a Gate,
    record: &'a mut Record,
    counters: Arc<super::stream::Counters>,
    before: (u64, u64),
}

impl Drop for Metered<'_> {
    fn drop(&mut self) {
        let sent = self.counters.sent() - self.before.0;
        let received = self.counters.received() - self.before.1;
        self.gate.meter.add_out(sent);
        self.gate.meter.add_in(received);
        self.record.bytes_out += sent;
        self.record.bytes_in += received;
        if sent == 0 {
            self.gate.meter.nothing_sent();
        }
    }
}

async fn attempt(
    gate: &Gate,
    connection: &mut Exchanger,
    request: Request<Full<Bytes>>,
    record: &mut Record,
) -> std::result::Result<HttpResponse, Failed> {
    if let Err(withheld) = gate.begin_sending().await {
        record.withheld = Some(withheld.message());
        return Err(Failed::Withheld);
    }
    let counters = connection.counters().clone();
    let before = (counters.sent(), counters.received());
    let metered = Metered { gate, record, counters, before };
    let mut headers = Vec::new();
    let response = connection
        .exchange(request, RESPONSE_BYTES_MAX, |head| {
            gate.meter.answered();
            metered.record.status = Some(head.status.as_u16());
            headers = head.headers.iter().map(to_header).collect();
        })
        .await?;
    drop(metered);
    let status = response.status().as_u16();
    Ok(HttpResponse { status, headers, body: response.into_body().into() })
}

fn to_header((name, value): (&HeaderName, &HeaderValue)) -> Header {
    Header { name: name.as_str().to_owned(), value: value.as_bytes().to_vec() }
}

fn to_error(failed: Failed) -> OutboundError {
    match failed {
        Failed::Unsent(_, Some(failure)) | Failed::Tls(failure) => OutboundError::TlsFailed(failure.to_string()),
        Failed::Unsent(_, None) | Failed::NoResponse | Failed::Withheld => OutboundError::Closed,
        Failed::BadResponse(text) => OutboundError::BadResponse(text),
        Failed::TooLarge => OutboundError::TooLarge(RESPONSE_BYTES_MAX as u32),
    }
}

/// For the record.
pub(super) fn describe(error: &OutboundError) -> String {
    match error {
        OutboundError::Denied(text) => format!("denied: {text}"),
        OutboundError::NameUnknown(text) => format!("the name is not known: {text}"),
        OutboundError::ConnectFailed(text) => format!("no connection: {text}"),
        OutboundError::TlsFailed(text) => format!("TLS failed: {text}"),
        OutboundError::TimedOut => "timed out".to_owned(),
        OutboundError::Closed => "the connection was closed before the answer".to_owned(),
        OutboundError::TooLarge(bytes) => format!("the response is over {bytes} bytes"),
        OutboundError::BadRequest(text) | OutboundError::BadResponse(text) => text.clone(),
    }
}

/// Checks all of a request but where it goes. The URL is read by the same parser that reads
/// the config's `x-egress` values, so that both see the same host.
fn prepare(request: HttpRequest) -> std::result::Result<Prepared, String> {
    let url = url::Url::parse(&request.url).map_err(|error| format!("`url`: {error}"))?;
    let https = match url.scheme() {
        "https" => true,
        "http" => false,
        other => return Err(format!("`url`: the scheme is `{other}`, not http or https")),
    };
    if !url.username().is_empty() || url.password().is_some() {
        return Err("`url`: put user and password into an Authorization header".to_owned());
    }
    let host = url.host_str().ok_or("`url`: no host")?.to_owned();
    let port = url.port_or_known_default().ok_or("`url`: no port")?;
    let method = Method::from_bytes(request.method.as_bytes()).map_err(|_| "`method` is no HTTP method")?;
    if method == Method::CONNECT {
        return Err("`method`: CONNECT is not for requests; use `connect`".to_owned());
    }
    let body = Bytes::from(request.body.unwrap_or_default());
    let mut headers = headers(&request.headers, body.len())?;
    let authority = url.port().map_or_else(|| host.clone(), |port| format!("{host}:{port}"));
    headers.insert(HOST, HeaderValue::try_from(authority).map_err(|_| "`url`: no host")?);
    let path = url.path().to_owned();
    let target = url.query().map_or_else(|| path.clone(), |query| format!("{path}?{query}"));
    let mut out = Request::new(Full::new(body));
    *out.method_mut() = method;
    *out.uri_mut() = target.parse().map_err(|_| "`url`: the path cannot be sent")?;
    *out.headers_mut() = headers;
    Ok(Prepared { https, host, port, path, request: out })
}

fn headers(given: &[Header], body_bytes: usize) -> std::result::Result<HeaderMap, String> {
    if given.len() > HEADERS_MAX {
        return Err(format!("more than {HEADERS_MAX} headers"));
    }
    let mut headers = HeaderMap::with_capacity(given.len() + 2);
    for Header { name, value } in given {
        // Only letters, digits and a few signs pass here, and no line ends in the value.
        let name =
            HeaderName::try_from(name.as_str()).map_err(|_| format!("`{}` is no header name", name.escape_debug()))?;
        let value =
            HeaderValue::from_bytes(value).map_err(|_| format!("the value of header `{name}` cannot be sent"))?;
        if CONNECTION_HEADERS.contains(&name.as_str()) {
            return Err(format!("header `{name}` belongs to the connection, which is the service's"));
        }
        if name == HOST {
            return Err("header `host` comes from the URL".to_owned());
        }
        if name == header::CONTENT_LENGTH {
            // The service sets it; one that says the same is let pass, because clients set it.
            if value.as_bytes() != body_bytes.to_string().as_bytes() {
                return Err("header `content-length` is not the body's length".to_owned());
            }
            continue;
        }
        headers.append(name, value);
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use action_domain::secret::{AttemptSecrets, Held};

    fn request(url: &str, given: &[(&str, &str)]) -> HttpRequest {
        let headers =
            given.iter().map(|(name, value)| Header { name: (*name).into(), value: value.as_bytes().into() }).collect();
        HttpRequest { method: "POST".into(), url: url.into(), headers, body: None, timeout_ms: None, tls: None }
    }

    #[test]
    fn the_host_header_is_that_of_the_url() {
        for (url, host, port, path) in [
            ("http://example.com/a?b=c#d", "example.com", 80, "/a?b=c"),
            ("https://EXAMPLE.com:8443", "example.com:8443", 8443, "/"),
            ("https://example.com:443/", "example.com", 443, "/"),
            ("http://[::1]:81/", "[::1]:81", 81, "/"),
        ] {
            let prepared = prepare(request(url, &[])).unwrap();
            assert_eq!(prepared.request.headers()[HOST], host, "{url}");
            assert_eq!(prepared.port, port, "{url}");
            assert_eq!(prepared.request.uri(), path, "{url}");
        }
    }

    #[test]
    fn a_path_is_cut_within_no_secret() {
        let value = Some(Arc::new(b"hunter2/hunter2".to_vec().into()));
        let held = Held { handle: "sec_".to_owned(), name: "token".parse().unwrap(), value, reveal: true };
        let secrets = AttemptSecrets::new(vec![held]);
        let recorded = |path: &str| recorded_path(path, secrets.redactor());
        let around = "/".repeat(1020);
        assert_eq!(recorded(&format!("{around}hunter2%2Fhunter2/more")), around);
        assert_eq!(recorded(&format!("{around}hunter3%2Fhunter2/more")), format!("{around}hunt"));
        assert_eq!(recorded("/hunter2%2Fhunt"), "/hunter2%2Fhunt");
    }

    #[test]
    fn no_header_reaches_into_the_connection() {
        for (name, value) in [
            ("a", "b\r\nc: d"),
            ("a\r\nb", "c"),
            ("a b", "c"),
            ("", "c"),
            ("Host", "other.example"),
            ("Connection", "close"),
            ("Transfer-Encoding", "chunked"),
            ("Content-Length", "5"),
            ("Upgrade", "h2c"),
            ("TE", "trailers"),
        ] {
            assert!(prepare(request("http://example.com/", &[(name, value)])).is_err(), "{name}: {value}");
        }
        let fine = prepare(request("http://example.com/", &[("Content-Length", "0"), ("X", "1"), ("x", "2")])).unwrap();
        assert_eq!(fine.request.headers().get_all("x").iter().count(), 2);
        assert!(!fine.request.headers().contains_key("content-length"));
    }

    #[test]
    fn only_plain_urls() {
        for url in ["", "/path", "ftp://example.com/", "http://", "http://u:p@example.com/", "file:///etc/passwd"] {
            assert!(prepare(request(url, &[])).is_err(), "{url}");
        }
        assert!(prepare(HttpRequest { method: "GET /x".into(), ..request("http://example.com/", &[]) }).is_err());
        assert!(prepare(HttpRequest { method: "CONNECT".into(), ..request("http://example.com/", &[]) }).is_err());
    }
}
