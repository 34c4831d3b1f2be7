//! Puts a router on a listener, with bounds on everything that a peer can make last or grow.
//!
//! A head that cannot be parsed or is too large never becomes a request: hyper answers it with a
//! bare 400, 414 or 431 and has no hook for another body. The OpenAPI document says so.

use crate::{Peer, Router, request::host};
use axum::{body::Body, response::IntoResponse as _};
use futures_util::future::{Either, ready};
use hyper::{Request, body::Incoming};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto, graceful::GracefulShutdown},
    service::TowerToHyperService,
};
use std::{io, sync::Arc, time::Duration};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tokio_io_timeout::TimeoutStream;
use tower::{Service as _, service_fn};

/// How long a peer may take for a request's head, and until it sends a first byte; also how long a
/// connection may idle.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);
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
    /// Connections at once; others wait in the kernel's queue.
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
    let graceful = GracefulShutdown::new();
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
            Ok(((stream, from), permit)) => spawn(stream, Peer::new(from.ip()), permit, &router, &builder, &graceful),
            Err(error) if is_the_peers(&error) => {}
            Err(error) => {
                // Most likely out of descriptors: it passes when connections end.
                tracing::warn!(%error, "api.listener.accept");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    if tokio::time::timeout(options.grace, graceful.shutdown()).await.is_err() {
        tracing::warn!("api.listener.shutdown: connections were cut");
    }
    Ok(())
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
    permit: OwnedSemaphorePermit,
    router: &Router,
    builder: &Arc<auto::Builder<TokioExecutor>>,
    graceful: &GracefulShutdown,
) {
    // Answers are written whole: waiting for more to send would only cost time.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "api.connection.nodelay");
    }
    let router = router.clone();
    let service = service_fn(move |mut request: Request<Incoming>| match host::check(&request) {
        Ok(()) => {
            request.extensions_mut().insert(peer);
            Either::Left(router.clone().call(request.map(Body::new)))
        }
        Err(problem) => Either::Right(ready(Ok(problem.into_response()))),
    });
    let service = TowerToHyperService::new(service);
    let builder = builder.clone();
    let watcher = graceful.watcher();
    tokio::spawn(async move {
        // hyper's own timer runs from the first byte on.
        if tokio::time::timeout(HEADER_TIMEOUT, stream.peek(&mut [0])).await.is_err() {
            tracing::debug!("api.connection.silent");
            return;
        }
        let mut stream = TimeoutStream::new(stream);
        stream.set_write_timeout(Some(WRITE_TIMEOUT));
        let connection = builder.serve_connection(TokioIo::new(Box::pin(stream)), service);
        if let Err(error) = watcher.watch(connection).await {
            tracing::debug!(error, "api.connection.ended");
        }
        drop(permit);
    });
}

/// Whether only this one connection is concerned.
fn is_the_peers(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Api;
    use std::net::SocketAddr;
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        sync::oneshot,
        task::JoinHandle,
    };

    async fn start(options: ServeOptions) -> (SocketAddr, oneshot::Sender<()>, JoinHandle<io::Result<()>>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let router = Api::new().router;
        let serving = tokio::spawn(serve(listener, router, options, async move {
            let _ = stopped.await;
        }));
        (address, stop, serving)
    }

    async fn talk(address: SocketAddr, request: &[u8]) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request).await.unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8_lossy(&answer).into_owned()
    }

    #[tokio::test]
    async fn it_serves_and_stops() {
        let (address, stop, serving) = start(ServeOptions::default()).await;
        let answer = talk(address, b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
        // The preface of HTTP/2 is answered with frames: first of all settings (type 4).
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
        let mut frame = [0; 9];
        stream.read_exact(&mut frame).await.unwrap();
        assert_eq!(frame[3], 4);
        drop(stream);
        stop.send(()).unwrap();
        serving.await.unwrap().unwrap();
        assert!(TcpStream::connect(address).await.is_err());
    }

    #[tokio::test]
    async fn a_request_says_once_whom_it_is_for() {
        let (address, _stop, _serving) = start(ServeOptions::default()).await;
        for hosts in ["", "host: x\r\nhost: x\r\n", "host: x y\r\n"] {
            let request = format!("GET /healthz HTTP/1.1\r\n{hosts}connection: close\r\n\r\n");
            let answer = talk(address, request.as_bytes()).await;
            assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("invalid_host"), "{answer}");
        }
        let old = talk(address, b"GET /healthz HTTP/1.0\r\n\r\n").await;
        assert!(old.starts_with("HTTP/1.0 200"), "{old}");
    }

    #[tokio::test]
    async fn a_head_that_is_too_large_is_refused() {
        let (address, _stop, _serving) = start(ServeOptions::default()).await;
        let large = format!("GET / HTTP/1.1\r\nhost: x\r\nx: {}\r\n\r\n", "x".repeat(HEADER_BYTES_MAX));
        assert!(talk(address, large.as_bytes()).await.starts_with("HTTP/1.1 431"));
        let many = format!("GET / HTTP/1.1\r\nhost: x\r\n{}\r\n", "x: y\r\n".repeat(HEADERS_MAX));
        assert!(talk(address, many.as_bytes()).await.starts_with("HTTP/1.1 431"));
    }

    /// Time moves by itself as soon as nobody has anything to do.
    #[tokio::test(start_paused = true)]
    async fn who_says_nothing_is_cut() {
        let (address, _stop, _serving) = start(ServeOptions::default()).await;
        let begun = tokio::time::Instant::now();
        assert_eq!(talk(address, b"").await, "");
        assert!(begun.elapsed() >= HEADER_TIMEOUT);
    }

    #[tokio::test(start_paused = true)]
    async fn who_takes_nothing_is_cut() {
        let (address, _stop, _serving) = start(ServeOptions::default()).await;
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = b"GET /openapi.json HTTP/1.1\r\nhost: x\r\n\r\n".repeat(1000);
        // It asks for more than all buffers hold, and reads none of it.
        while stream.write_all(&request).await.is_ok() {}
    }

    /// Sends a byte now and then, for as long as somebody takes it; gives what was answered.
    async fn drip(address: SocketAddr, first: &[u8], every: Duration) -> String {
        let (mut reading, mut writing) = TcpStream::connect(address).await.unwrap().into_split();
        writing.write_all(first).await.unwrap();
        let mut drops = tokio::time::interval(every);
        let dripping = async {
            loop {
                drops.tick().await;
                if writing.write_all(b"x").await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        };
        let mut answer = Vec::new();
        tokio::select! {
            () = dripping => unreachable!(),
            _ = reading.read_to_end(&mut answer) => String::from_utf8_lossy(&answer).into_owned(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_drips_its_head_is_cut() {
        let (address, _stop, _serving) = start(ServeOptions::default()).await;
        let begun = tokio::time::Instant::now();
        let answer = drip(address, b"GET /healthz HTTP/1.1\r\nhost: x\r\nx: ", Duration::from_secs(5)).await;
        assert!(!answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert!((HEADER_TIMEOUT..2 * HEADER_TIMEOUT).contains(&begun.elapsed()), "{:?}", begun.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn who_drips_its_body_is_cut() {
        let (address, _stop, _serving) = start(ServeOptions::default()).await;
        let begun = tokio::time::Instant::now();
        let head = b"POST /v1/events/prune HTTP/1.1\r\nhost: x\r\nauthorization: Bearer admin-token\r\n\
            content-type: application/json\r\ncontent-length: 1000\r\n\r\n";
        let answer = drip(address, head, Duration::from_secs(10)).await;
        assert!(answer.starts_with("HTTP/1.1 408") && answer.contains("body_timeout"), "{answer}");
        assert!(begun.elapsed() < Duration::from_mins(6), "{:?}", begun.elapsed());
    }

    #[tokio::test]
    async fn only_so_many_connections_at_once() {
        let (address, _stop, _serving) = start(ServeOptions { connections_max: 1, ..ServeOptions::default() }).await;
        let first = TcpStream::connect(address).await.unwrap();
        let mut second = tokio::spawn(talk(address, b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"));
        assert!(tokio::time::timeout(Duration::from_millis(50), &mut second).await.is_err());
        drop(first);
        assert!(second.await.unwrap().starts_with("HTTP/1.1 200 OK"));
    }

    #[tokio::test]
    async fn an_upload_over_the_bound_is_refused_before_it_is_sent() {
        let (address, _stop, _serving) = start(ServeOptions::default()).await;
        let head = b"POST /v1/protocols HTTP/1.1\r\nhost: x\r\nauthorization: Bearer admin-token\r\n\
            content-type: application/wasm\r\ncontent-length: 67108865\r\nexpect: 100-continue\r\n\r\n";
        let answer = talk(address, head).await;
        assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
        assert!(answer.contains("application/problem+json") && answer.contains("body_too_large"), "{answer}");
    }
}
