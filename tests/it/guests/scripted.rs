//! A real HTTP server on loopback whose answers are a function of what it is asked.

use crate::kit::Authority;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, Response, body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};
use tokio::net::TcpListener;

/// What a server does about a request.
pub(super) enum Reply {
    /// Answers.
    Answer(Response<Full<Bytes>>),
    /// Says nothing, and keeps the connection open.
    Silence,
    /// Closes the connection without a word.
    Hangup,
}

impl Reply {
    /// An answer of this status, with these headers.
    pub(super) fn new(status: u16, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Self {
        let mut response = Response::builder().status(status);
        for (name, value) in headers {
            response = response.header(*name, *value);
        }
        Self::Answer(response.body(Full::new(body.into())).unwrap())
    }

    /// JSON.
    pub(super) fn json(status: u16, body: &Value) -> Self {
        Self::new(status, &[("content-type", "application/json; charset=utf-8")], body.to_string())
    }
}

/// A running server. It is gone with the test.
#[derive(Clone)]
pub(super) struct Server {
    address: SocketAddr,
    is_tls: bool,
    requests: Arc<Mutex<Vec<Request<Bytes>>>>,
}

impl Server {
    pub(super) async fn start(answer: impl Fn(&Request<Bytes>) -> Reply + Send + Sync + 'static) -> Self {
        Self::start_as(None, answer).await
    }

    /// One that speaks TLS, to whom this authority knows.
    pub(super) async fn start_as(
        authority: Option<&Authority>,
        answer: impl Fn(&Request<Bytes>) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let acceptor = authority.map(Authority::acceptor);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = Self { address, is_tls: acceptor.is_some(), requests: Arc::default() };
        let (seen, answer) = (server.requests.clone(), Arc::new(answer));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (seen, answer, acceptor) = (seen.clone(), answer.clone(), acceptor.clone());
                tokio::spawn(async move {
                    let service = service_fn(|request| respond(request, seen.clone(), answer.clone()));
                    let connection = hyper::server::conn::http1::Builder::new();
                    // A hangup is an error of the service, which closes the connection.
                    let Some(acceptor) = acceptor else {
                        let _ = connection.serve_connection(TokioIo::new(stream), service).await;
                        return;
                    };
                    if let Ok(stream) = acceptor.accept(stream).await {
                        let _ = connection.serve_connection(TokioIo::new(stream), service).await;
                    }
                });
            }
        });
        server
    }

    pub(super) fn url(&self, path: &str) -> String {
        let scheme = if self.is_tls { "https" } else { "http" };
        format!("{scheme}://{}{path}", self.address)
    }

    /// What it was asked, in order.
    pub(super) fn requests(&self) -> Vec<Request<Bytes>> {
        self.requests.lock().unwrap().clone()
    }
}

async fn respond(
    request: Request<Incoming>,
    seen: Arc<Mutex<Vec<Request<Bytes>>>>,
    answer: Arc<impl Fn(&Request<Bytes>) -> Reply>,
) -> std::io::Result<Response<Full<Bytes>>> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let request = Request::from_parts(head, body);
    let reply = answer(&request);
    seen.lock().unwrap().push(request);
    match reply {
        Reply::Answer(response) => Ok(response),
        Reply::Silence => std::future::pending().await,
        Reply::Hangup => Err(std::io::Error::other("hangs up")),
    }
}

/// The body of a request as JSON.
pub(super) fn json_of(request: &Request<Bytes>) -> Value {
    serde_json::from_slice(request.body()).unwrap()
}
