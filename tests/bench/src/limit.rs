//! The limit program: what the service would reach if components cost nothing.
//!
//! axum as in the service, and two events a request that are each durable before it goes on:
//! one before the work, one after it. All requests share one writer, which commits whatever
//! waits at that moment at once. The work is nothing, or one HTTP call over a pool of open
//! connections. It keeps no executions, checks no token and knows no limits: this is meant to
//! be as fast as such a program can be.
//!
//! With `--enqueue` there is no work: the rows of an execution that waits, as many as the service
//! writes for one, are durable before the request is answered.

use anyhow::{Context as _, Result, anyhow, ensure};
use axum::{
    Router,
    extract::State,
    http::{StatusCode, header::CONTENT_TYPE},
    response::IntoResponse,
    routing::post,
    serve::ListenerExt as _,
};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{
    Request,
    client::conn::http1::{self, SendRequest},
    header::HOST,
};
use hyper_util::rt::TokioIo;
use rusqlite::Connection;
use std::{
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{mpsc, oneshot},
};
use uuid::Uuid;

/// Events in one commit. As many as there are connections at most, so no event waits for a
/// second commit.
const BATCH_MAX: usize = 256;

const SCHEMA: &str = "CREATE TABLE events (
    seq INTEGER PRIMARY KEY, execution BLOB NOT NULL, at INTEGER NOT NULL, type TEXT NOT NULL, data BLOB NOT NULL
) STRICT;
CREATE TABLE executions (id BLOB PRIMARY KEY, status TEXT NOT NULL, run_at INTEGER NOT NULL) STRICT, WITHOUT ROWID";
/// What is written of an execution that is only accepted, beside its row.
const ACCEPTED: [&str; 2] = ["received", "queued"];

struct Event {
    execution: Uuid,
    at: i64,
    kinds: &'static [&'static str],
    waits: bool,
    data: Bytes,
    durable: oneshot::Sender<()>,
}

struct Limit {
    events: mpsc::Sender<Event>,
    remote: Option<Remote>,
}

/// Serves until the process is ended, or until the database fails.
pub(crate) async fn serve(port: u16, db: &Path, remote: Option<SocketAddr>, only_enqueue: bool) -> Result<()> {
    let connection = Connection::open(db)?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "full")?;
    connection.execute_batch(SCHEMA)?;
    // Every waiting request may have an event in it, so it never holds anybody up.
    let (events, queue) = mpsc::channel(4 * BATCH_MAX);
    let limit = Limit { events, remote: remote.map(Remote::new) };
    let work = if only_enqueue { post(enqueue) } else { post(execute) };
    let router = Router::new().route("/execute", work).with_state(Arc::new(limit));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    println!("listening on http://{}", listener.local_addr()?);
    let listener = listener.tap_io(|stream| {
        let _ = stream.set_nodelay(true);
    });
    let (ended, end) = oneshot::channel();
    std::thread::spawn(move || ended.send(write(&connection, queue)));
    tokio::select! {
        served = axum::serve(listener, router).into_future() => served.context("the server ended"),
        written = end => written?.context("the writer ended"),
    }
}

#[expect(clippy::disallowed_methods, reason = "a program of its own, without the service's parts")]
async fn execute(State(limit): State<Arc<Limit>>, input: Bytes) -> Result<impl IntoResponse, (StatusCode, String)> {
    let execution = Uuid::now_v7();
    limit.write(execution, &["started"], false, input.clone()).await.map_err(failed)?;
    let output = match &limit.remote {
        Some(remote) => remote.call(input).await.map_err(failed)?,
        None => input,
    };
    limit.write(execution, &["succeeded"], false, output.clone()).await.map_err(failed)?;
    let head = format!(r#"{{"id":"{execution}","status":"succeeded","output":"#);
    let body = [head.as_bytes(), &output, b"}"].concat();
    Ok(([(CONTENT_TYPE, "application/json")], body))
}

#[expect(clippy::disallowed_methods, reason = "a program of its own, without the service's parts")]
async fn enqueue(State(limit): State<Arc<Limit>>, input: Bytes) -> Result<impl IntoResponse, (StatusCode, String)> {
    let execution = Uuid::now_v7();
    limit.write(execution, &ACCEPTED, true, input).await.map_err(failed)?;
    let body = format!(r#"{{"id":"{execution}","status":"queued"}}"#);
    Ok((StatusCode::ACCEPTED, [(CONTENT_TYPE, "application/json")], body))
}

fn failed(error: anyhow::Error) -> (StatusCode, String) {
    (StatusCode::INTERNAL_SERVER_ERROR, format!("{error:#}"))
}

impl Limit {
    /// Comes back when everything is on the disk.
    #[expect(clippy::disallowed_methods, reason = "a program of its own, without the service's parts")]
    async fn write(&self, execution: Uuid, kinds: &'static [&'static str], waits: bool, data: Bytes) -> Result<()> {
        let (durable, told) = oneshot::channel();
        let at = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis() as i64;
        let event = Event { execution, at, kinds, waits, data, durable };
        self.events.send(event).await.map_err(|_| anyhow!("the writer is gone"))?;
        told.await.context("the event was not written")
    }
}

/// The one writer, on a thread of its own, as in the service.
fn write(connection: &Connection, mut queue: mpsc::Receiver<Event>) -> Result<()> {
    let mut insert = connection.prepare("INSERT INTO events (execution, at, type, data) VALUES (?, ?, ?, ?)")?;
    let mut queue_up = connection.prepare("INSERT INTO executions (id, status, run_at) VALUES (?, 'queued', ?)")?;
    let mut batch = Vec::with_capacity(BATCH_MAX);
    while queue.blocking_recv_many(&mut batch, BATCH_MAX) > 0 {
        connection.execute_batch("BEGIN IMMEDIATE")?;
        for event in &batch {
            for kind in event.kinds {
                insert.execute((event.execution.as_bytes(), event.at, kind, &event.data[..]))?;
            }
            if event.waits {
                queue_up.execute((event.execution.as_bytes(), event.at))?;
            }
        }
        connection.execute_batch("COMMIT")?;
        for event in batch.drain(..) {
            // The request may have gone away meanwhile.
            let _ = event.durable.send(());
        }
    }
    Ok(())
}

/// A server over HTTP/1.1, and the connections to it that nobody uses at the moment.
struct Remote {
    address: SocketAddr,
    host: String,
    idle: Mutex<Vec<SendRequest<Full<Bytes>>>>,
}

impl Remote {
    fn new(address: SocketAddr) -> Self {
        Self { address, host: address.to_string(), idle: Mutex::default() }
    }

    async fn call(&self, input: Bytes) -> Result<Bytes> {
        let mut connection = match self.take() {
            Some(connection) => connection,
            None => self.connect().await?,
        };
        connection.ready().await?;
        let request = Request::post("/")
            .header(HOST, &self.host)
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(input))?;
        let response = connection.send_request(request).await?;
        ensure!(response.status() == StatusCode::OK, "the remote answered {}", response.status());
        let output = response.into_body().collect().await?.to_bytes();
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
        Ok(output)
    }

    fn take(&self) -> Option<SendRequest<Full<Bytes>>> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        std::iter::from_fn(|| idle.pop()).find(|connection| !connection.is_closed())
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>> {
        let stream = TcpStream::connect(self.address).await.context("the remote cannot be reached")?;
        stream.set_nodelay(true)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(sender)
    }
}
