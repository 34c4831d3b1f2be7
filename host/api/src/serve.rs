//! Puts a router on a listener, with bounds on everything that a peer can make last or grow.
//!
//! A head that cannot be parsed or is too large never becomes a request: hyper answers it with a
//! bare 400, 414 or 431 and has no hook for another body. The OpenAPI document says so.

mod pulse;

use crate::{
    Peer, Router,
    request::host,
    shares::{Place, Shares},
};
use axum::{body::Body, response::IntoResponse as _};
use futures_util::future::Either;
use hyper::{Request, body::Incoming};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
    service::TowerToHyperService,
};
use pulse::{Pulse, Watched};
use std::{convert::Infallible, io, pin::pin, sync::Arc, time::Duration};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    time::Instant,
};
use tokio_io_timeout::TimeoutStream;
use tower::{Service as _, service_fn};

/// How long a peer may take for a request's head, and until it sends a first byte; also how long a
/// connection may idle, whichever version of HTTP it speaks. Answers to pings are no requests.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a peer that was idle and is told to go may take for it, while none of its requests moves.
const GOODBYE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a peer may take nothing of what is written to it.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// Largest head of a request.
const HEADER_BYTES_MAX: usize = 64 << 10;
/// Most headers of a request.
const HEADERS_MAX: usize = 100;
/// Most requests at once in a connection over HTTP/2.
const STREAMS_MAX: u32 = 128;
/// How often a connection over HTTP/2 is asked whether the peer is still there.
const PING_INTERVAL: Duration = Duration::from_secs(20);
/// How long nothing is accepted after accepting failed for want of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Bounds of a listener.
#[derive(Debug, Clone, Copy)]
pub struct ServeOptions {
    /// Connections at once; others wait in the kernel's queue. Of one peer not all of them, see [`crate::shares`].
    pub connections_max: usize,
    /// How long requests may go on after the shutdown began.
    pub grace: Duration,
}

impl Default for ServeOptions {
    fn default() -> Self {
        Self { connections_max: 1024, grace: Duration::from_secs(30) }
    }
}

/// Serves `router` over HTTP/1.1 and HTTP/2 without TLS until `shutdown` is done, then lets
/// requests that are under way finish within the grace period.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    options: ServeOptions,
    shutdown: impl Future<Output = ()> + Send,
) -> io::Result<()> {
    let connections = Arc::new(Semaphore::new(options.connections_max));
    let shares = Arc::new(Shares::default());
    let (stop, stopping) = watch::channel(());
    let builder = Arc::new(builder());
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        // The permit comes first: who is not served yet is not accepted either.
        let accepted = async {
            let permit = connections.clone().acquire_owned().await.map_err(io::Error::other)?;
            Ok::<_, io::Error>((listener.accept().await?, permit))
        };
        let accepted = tokio::select! {
            accepted = accepted => accepted,
            () = &mut shutdown => break,
        };
        match accepted {
            Ok(((stream, from), permit)) => {
                let peer = Peer::new(from.ip());
                // With the one that it would get.
                let free = connections.available_permits() + 1;
                let Some(place) = shares.place(peer, free) else {
                    tracing::debug!(%peer, free, "api.listener.share_used_up");
                    continue;
                };
                let held = Held { _permit: permit, _place: place };
                spawn(stream, peer, held, &router, &builder, stopping.clone());
            }
            Err(error) if is_the_peers(&error) => {}
            Err(error) => {
                // Most likely out of descriptors: it passes when connections end.
                tracing::warn!(%error, "api.listener.accept");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    drop(stop);
    // Each connection has a permit: who gets all of them knows that none is left.
    let all = u32::try_from(options.connections_max).unwrap_or(u32::MAX);
    if tokio::time::timeout(options.grace, connections.acquire_many(all)).await.is_err() {
        tracing::warn!("api.listener.shutdown: connections were cut");
    }
    Ok(())
}

/// What a connection holds until it ends.
struct Held {
    _permit: OwnedSemaphorePermit,
    _place: Place,
}

fn builder() -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(HEADER_BYTES_MAX)
        .max_headers(HEADERS_MAX);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(u32::try_from(HEADER_BYTES_MAX).unwrap_or(u32::MAX))
        .max_concurrent_streams(STREAMS_MAX)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_INTERVAL);
    builder
}

fn spawn(
    stream: TcpStream,
    peer: Peer,
    held: Held,
    router: &Router,
    builder: &Arc<auto::Builder<TokioExecutor>>,
    mut stopping: watch::Receiver<()>,
) {
    // Answers are written whole: waiting for more to send would only cost time.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "api.connection.nodelay");
    }
    let (router, builder) = (router.clone(), builder.clone());
    let pulse = Pulse::new();
    let beats = pulse.clone();
    let service = TowerToHyperService::new(service_fn(move |mut request: Request<Incoming>| {
        let moving = beats.begin();
        let answer = match host::check(&request) {
            Ok(()) => {
                request.extensions_mut().insert(peer);
                Either::Left(router.clone().call(request.map(Body::new)))
            }
            Err(problem) => Either::Right(std::future::ready(Ok::<_, Infallible>(problem.into_response()))),
        };
        async move { answer.await.map(|answer| answer.map(|body| Watched::new(body, moving))) }
    }));
    tokio::spawn(async move {
        // Lives as long as the connection does.
        let _held = held;
        let mut byte = [0];
        let first = tokio::select! {
            first = tokio::time::timeout(HEADER_TIMEOUT, stream.peek(&mut byte)) => first,
            _ = stopping.changed() => return,
        };
        if first.is_err() {
            tracing::debug!("api.connection.silent");
            return;
        }
        let mut stream = TimeoutStream::new(stream);
        stream.set_write_timeout(Some(WRITE_TIMEOUT));
        let mut connection = pin!(builder.serve_connection(TokioIo::new(Box::pin(stream)), service));
        let begun = Instant::now();
        let ended = tokio::select! {
            ended = connection.as_mut() => Ok(ended),
            // It only ever ends.
            _ = stopping.changed() => Err(WRITE_TIMEOUT),
            () = pulse.still(begun, HEADER_TIMEOUT) => Err(GOODBYE_TIMEOUT),
        };
        let ended = match ended {
            Ok(ended) => ended,
            Err(patience) => {
                // Over HTTP/2 this says GOAWAY. Whoever does not go is not waited for.
                connection.as_mut().graceful_shutdown();
                let told = Instant::now();
                tokio::select! {
                    ended = connection.as_mut() => ended,
                    () = pulse.still(told, patience) => {
                        tracing::debug!("api.connection.stayed");
                        return;
                    }
                }
            }
        };
        if let Err(error) = ended {
            tracing::debug!(error, "api.connection.ended");
        }
    });
}

/// Whether only this one connection is concerned.
fn is_the_peers(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

#[cfg(test)]
mod tests;
