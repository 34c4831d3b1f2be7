//! wasi:http, through the same gate: wasmtime-wasi-http would resolve and connect by itself.

use super::{
    gate::{Gate, Refusal, millis},
    http::{cause, establish, handshake},
    outbound::Record,
    stream::Counters,
    substitute, tls,
    tls_failure::{TlsFailure, TlsFailureKind},
};
use action_domain::{limits::RESPONSE_BYTES_MAX, services::PlannedRequest};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, Response, Uri};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpHooks};

/// Where the component names no time.
const FIRST_BYTE_TIMEOUT: Duration = Duration::from_secs(30);

type Io = Box<dyn Future<Output = Result<(), Error>> + Send>;
type Sending = Box<dyn Future<Output = Result<(Response<WasiBody>, Io), Error>> + Send>;

/// What wasi:http asks when it wants to send.
pub(crate) struct Hooks {
    pub(crate) gate: Arc<Gate>,
}

impl WasiHttpHooks for Hooks {
    fn send_request(&mut self, request: Request<WasiBody>, options: Option<RequestOptions>, _sent: Io) -> Sending {
        let gate = self.gate.clone();
        Box::new(async move {
            let started = Instant::now();
            let outcome = send(gate, request, options.unwrap_or_default()).await;
            tracing::trace!(ms = millis(started.elapsed()), ok = outcome.is_ok(), "wasi:http request");
            outcome
        })
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Denied(_) => Self::HttpRequestDenied,
            Refusal::NameUnknown(text) => Self::DnsError { rcode: Some(text), info_code: None },
            Refusal::ConnectFailed(_) => Self::ConnectionRefused,
            Refusal::TlsFailed(failure) => match failure.kind {
                TlsFailureKind::Certificate => Self::TlsCertificateError,
                TlsFailureKind::Alert(alert) => {
                    Self::TlsAlertReceived { alert_id: Some(alert), alert_message: Some(failure.to_string()) }
                }
                TlsFailureKind::Cut => Self::ConnectionTerminated,
                TlsFailureKind::Other => Self::TlsProtocolError,
            },
            Refusal::TimedOut => Self::ConnectionTimeout,
            Refusal::BadRequest(text) => Self::InternalError(Some(text)),
        }
    }
}

/// A request as a plan has it. Its body is a stream that nobody reads.
fn planned(request: &Request<WasiBody>) -> PlannedRequest {
    let header = |(name, value): (&HeaderName, &HeaderValue)| {
        (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    PlannedRequest {
        method: request.method().as_str().to_owned(),
        target: request.uri().to_string(),
        headers: request.headers().iter().map(header).collect(),
        body: None,
    }
}

async fn send(
    gate: Arc<Gate>,
    mut request: Request<WasiBody>,
    options: RequestOptions,
) -> Result<(Response<WasiBody>, Io), Error> {
    let uri = request.uri().clone();
    let https = uri.scheme_str() != Some("http");
    let authority = uri.authority().ok_or(Error::HttpRequestUriInvalid)?;
    // What stands before an `@` is no host, and no credential either: nobody would send it.
    if authority.as_str().contains('@') {
        return Err(Error::HttpRequestUriInvalid);
    }
    let port = authority.port_u16().unwrap_or(if https { 443 } else { 80 });
    let method = request.method().clone();
    gate.admit_method(method.as_str(), authority.host(), port).map_err(|_| Error::HttpRequestDenied)?;
    let target = gate.admit_request(https, authority.host(), port).map_err(|_| Error::HttpRequestDenied)?;
    if let Some(plan) = gate.plan() {
        plan.note(planned(&request));
        return Err(Error::ConnectionRefused);
    }
    let mut record = Record::new(gate.clone(), method.as_str(), target.clone(), Some(uri.path()));

    let choice = https.then(|| tls::Choice::http(&gate));
    let connect = establish(&gate, &target, choice.as_ref());
    let connect_timeout = options.connect_timeout.unwrap_or(Duration::MAX);
    let connected = match tokio::time::timeout(connect_timeout, connect).await {
        Ok(Ok((io, _))) => Ok(io),
        Ok(Err(refusal)) => Err(refusal),
        Err(_) => Err(Refusal::TimedOut),
    };
    let io = connected.map_err(|refusal| {
        record.refused(&refusal);
        Error::from(refusal)
    })?;
    let counters = io.counters();

    // Only path and query go into the request line; the Host header is set already.
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    *request.uri_mut() = path.parse::<Uri>().map_err(|_| Error::HttpRequestUriInvalid)?;
    substitute::fill(&gate.secrets, &mut request).map_err(|text| {
        record.error = Some(text.clone());
        Error::InternalError(Some(text))
    })?;
    if let Err(withheld) = gate.begin_sending().await {
        record.error = Some(withheld.message());
        return Err(Error::ConnectionTerminated);
    }
    let mut metered = Metered { gate, counters, record, left: RESPONSE_BYTES_MAX };
    let (mut sender, mut driver) = handshake(io).await.map_err(|error| metered.fail(&error))?;
    let response = sender.send_request(request);
    let limit = options.first_byte_timeout.unwrap_or(FIRST_BYTE_TIMEOUT);
    let response = match tokio::time::timeout(limit, driver.drive(response)).await {
        Ok(Ok(response)) => response,
        Ok(Err(error)) => return Err(metered.fail(&error)),
        Err(_) => {
            metered.record.error = Some("timed out".to_owned());
            return Err(Error::ConnectionReadTimeout);
        }
    };
    metered.gate.meter.answered();
    metered.record.status = Some(response.status().as_u16());
    metered.record.error = None;
    let response = response.map(|body| Received { body, metered }.boxed_unsync());
    Ok((
        response,
        Box::new(async move {
            driver.run().await;
            Ok(())
        }),
    ))
}

/// Counts and records an exchange when its response is dropped.
struct Metered {
    gate: Arc<Gate>,
    counters: Arc<Counters>,
    record: Record,
    left: usize,
}

impl Metered {
    fn fail(&mut self, error: &hyper::Error) -> Error {
        if let Some(failure) = TlsFailure::within(error) {
            let refusal = Refusal::TlsFailed(failure);
            self.record.error = Some(refusal.message());
            return refusal.into();
        }
        self.record.error = Some(cause(error));
        Error::HttpProtocolError
    }
}

impl Drop for Metered {
    fn drop(&mut self) {
        let (sent, received) = (self.counters.sent(), self.counters.received());
        self.gate.meter.add_out(sent);
        self.gate.meter.add_in(received);
        self.record.bytes_out = sent;
        self.record.bytes_in = received;
        if sent == 0 {
            self.gate.meter.nothing_sent();
        }
    }
}

/// A response body, up to the limit.
struct Received {
    body: hyper::body::Incoming,
    metered: Metered,
}

impl Body for Received {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let frame = match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
            None => return Poll::Ready(None),
            Some(Ok(frame)) => frame,
            Some(Err(error)) => return Poll::Ready(Some(Err(self.metered.fail(&error)))),
        };
        let bytes = frame.data_ref().map_or(0, Bytes::len);
        let Some(left) = self.metered.left.checked_sub(bytes) else {
            self.metered.record.error = Some(format!("the response is over {RESPONSE_BYTES_MAX} bytes"));
            return Poll::Ready(Some(Err(Error::HttpResponseBodySize(Some(RESPONSE_BYTES_MAX as u64)))));
        };
        self.metered.left = left;
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
