//! One HTTP/1.1 exchange over a connection that the gate let through.
//!
//! The connection is driven by whoever waits for the response, in the same task: no task is
//! spawned for a request, and dropping the attempt drops the connection with it.

use super::{
    gate::{Gate, Refusal, Target},
    stream::{Counted, Counters, Io},
    tls,
    tls_failure::TlsFailure,
};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::{
    body::{Body, Incoming},
    client::conn::http1::{self, Connection, SendRequest},
};
use hyper_util::rt::TokioIo;
use std::{
    future::{Future, poll_fn},
    net::SocketAddr,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
};

/// Room for the head of a response.
const HEAD_BYTES_MAX: usize = 256 << 10;

/// Connects to a target: TCP, and TLS where asked for.
pub(crate) async fn establish(
    gate: &Gate,
    target: &Target,
    tls: Option<&tls::Choice>,
) -> Result<(Counted, SocketAddr), Refusal> {
    let work = async {
        let stream = gate.connect(target).await?;
        let peer = stream.peer_addr().map_err(|error| Refusal::ConnectFailed(super::gate::plain(&error)))?;
        let io = match tls {
            None => Io::Plain(stream),
            Some(choice) => Io::Tls(Box::new(choice.handshake(gate, target, stream).await?)),
        };
        Ok((Counted::new(io), peer))
    };
    // From the name to TLS: all of it together.
    tokio::time::timeout(action_domain::limits::CONNECT_TIMEOUT, work).await.unwrap_or(Err(Refusal::TimedOut))
}

/// The part of a connection that moves bytes.
pub(crate) struct Driver<B>
where
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    connection: Pin<Box<Connection<TokioIo<Counted>, B>>>,
    ended: bool,
}

impl<B> Driver<B>
where
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    /// Moves what can be moved. Says whether the connection has ended.
    fn poll(&mut self, cx: &mut Context<'_>) -> bool {
        self.ended = self.ended || self.connection.as_mut().poll(cx).is_ready();
        self.ended
    }

    /// Waits for `work`, and drives the connection meanwhile. If it ends, `work` learns so
    /// from the connection's other half.
    pub(crate) async fn drive<F: Future>(&mut self, work: F) -> F::Output {
        let mut work = pin!(work);
        poll_fn(|cx| {
            self.poll(cx);
            work.as_mut().poll(cx)
        })
        .await
    }

    /// Drives the connection to its end.
    pub(crate) async fn run(mut self) {
        poll_fn(|cx| if self.poll(cx) { Poll::Ready(()) } else { Poll::Pending }).await;
    }
}

/// Begins HTTP on a connection.
pub(crate) async fn handshake<B>(io: Counted) -> hyper::Result<(SendRequest<B>, Driver<B>)>
where
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let (sender, connection) = http1::Builder::new().max_buf_size(HEAD_BYTES_MAX).handshake(TokioIo::new(io)).await?;
    Ok((sender, Driver { connection: Box::pin(connection), ended: false }))
}

/// How an exchange failed.
#[derive(Debug)]
pub(crate) enum Failed {
    /// Nothing of the request left: the connection was closed before, by TLS perhaps. Here it is back.
    Unsent(Box<Request<Full<Bytes>>>, Option<TlsFailure>),
    /// Nothing of the request left, because it may not.
    Withheld,
    /// TLS ended the connection, where TLS 1.3 ends it: behind the handshake.
    Tls(TlsFailure),
    /// The connection ended without a response.
    NoResponse,
    /// The response makes no sense, or ended early.
    BadResponse(String),
    /// The body is over the limit.
    TooLarge,
}

/// A connection that carries one exchange after the other.
pub(crate) struct Exchanger {
    sender: SendRequest<Full<Bytes>>,
    driver: Driver<Full<Bytes>>,
    counters: Arc<Counters>,
    peer: SocketAddr,
}

impl Exchanger {
    /// Begins HTTP on a connection.
    pub(crate) async fn new(io: Counted, peer: SocketAddr) -> Result<Self, Refusal> {
        let counters = io.counters();
        let (sender, driver) = handshake(io).await.map_err(|error| Refusal::ConnectFailed(cause(&error)))?;
        Ok(Self { sender, driver, counters, peer })
    }

    /// What went over it.
    pub(crate) fn counters(&self) -> &Arc<Counters> {
        &self.counters
    }

    /// Who is at the other end.
    pub(crate) fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// Whether another request can go over it: what it has to do is done, and the other end
    /// has not closed it.
    pub(crate) async fn is_usable(&mut self) -> bool {
        let ended = poll_fn(|cx| Poll::Ready(self.driver.poll(cx))).await;
        !ended && self.sender.is_ready()
    }

    /// Sends a request and takes in the whole response. `on_head` is called when its head is there.
    pub(crate) async fn exchange(
        &mut self,
        request: Request<Full<Bytes>>,
        body_bytes_max: usize,
        on_head: impl FnOnce(&http::response::Parts),
    ) -> Result<Response<Bytes>, Failed> {
        let Self { sender, driver, .. } = self;
        let response = sender.try_send_request(request);
        let work = async {
            let response = match response.await {
                Ok(response) => response,
                Err(mut error) => match error.take_message() {
                    Some(request) => {
                        return Err(Failed::Unsent(Box::new(request), TlsFailure::within(error.error())));
                    }
                    None => return Err(failed(error.error())),
                },
            };
            let (head, body) = response.into_parts();
            on_head(&head);
            Ok(Response::from_parts(head, collect(body, body_bytes_max).await?))
        };
        driver.drive(work).await
    }
}

async fn collect(body: Incoming, bytes_max: usize) -> Result<Bytes, Failed> {
    if body.size_hint().lower() > bytes_max as u64 {
        return Err(Failed::TooLarge);
    }
    match Limited::new(body, bytes_max).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(Failed::TooLarge),
        Err(error) => Err(match error.downcast::<hyper::Error>() {
            Ok(error) => Failed::BadResponse(format!("the body ended early: {}", cause(&error))),
            Err(_) => Failed::BadResponse("the body ended early".to_owned()),
        }),
    }
}

fn failed(error: &hyper::Error) -> Failed {
    if let Some(failure) = TlsFailure::within(error) {
        Failed::Tls(failure)
    } else if error.is_parse() || error.is_parse_too_large() {
        Failed::BadResponse(cause(error))
    } else {
        Failed::NoResponse
    }
}

/// hyper's own words and those of what it met.
pub(crate) fn cause(error: &hyper::Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        text = format!("{text}: {inner}");
        source = inner.source();
    }
    text.split_once(" (os error").map_or_else(|| text.clone(), |(text, _)| text.to_owned())
}
