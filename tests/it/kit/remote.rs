//! A real HTTP server on loopback that does what its path says and remembers what it was asked.

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, Response, body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::json;
use std::{
    convert::Infallible,
    fmt::Write as _,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
};
use tokio::{
    net::TcpListener,
    sync::{Semaphore, watch},
};

#[derive(Clone)]
pub(crate) struct Remote {
    pub(crate) address: SocketAddr,
    seen: Arc<Seen>,
}

struct Seen {
    requests: Mutex<Vec<Request<Bytes>>>,
    failures_left: AtomicU32,
    count: watch::Sender<usize>,
    /// Answers that `/hold` may give.
    released: Semaphore,
    /// Requests that `/hold` holds now, and the most that it ever held.
    held: Mutex<(usize, usize)>,
}

/// A request's place among those that are held; it goes with the connection too.
struct Held(Arc<Seen>);

impl Held {
    fn enter(seen: &Arc<Seen>) -> Self {
        let mut held = seen.held.lock().unwrap();
        held.0 += 1;
        held.1 = held.1.max(held.0);
        Self(seen.clone())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.held.lock().unwrap().0 -= 1;
    }
}

impl Remote {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Seen {
            requests: Mutex::default(),
            failures_left: AtomicU32::new(0),
            count: watch::Sender::new(0),
            released: Semaphore::new(0),
            held: Mutex::default(),
        });
        let remote = Self { address, seen };
        let server = remote.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let server = server.clone();
                tokio::spawn(async move {
                    let service = service_fn(move |request| server.clone().answer(request));
                    let _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        remote
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The next requests to `/flaky` fail this often.
    pub(crate) fn fail(&self, times: u32) {
        self.seen.failures_left.store(times, Ordering::SeqCst);
    }

    /// This many more requests to `/hold` are answered.
    pub(crate) fn release(&self, times: usize) {
        self.seen.released.add_permits(times);
    }

    /// The most requests that `/hold` ever held at once.
    pub(crate) fn at_once(&self) -> usize {
        self.seen.held.lock().unwrap().1
    }

    /// What was asked, in order.
    pub(crate) fn requests(&self) -> Vec<Request<Bytes>> {
        self.seen.requests.lock().unwrap().clone()
    }

    /// Waits until this many requests came.
    pub(crate) async fn asked(&self, times: usize) {
        let mut count = self.seen.count.subscribe();
        tokio::time::timeout(super::PATIENCE, count.wait_for(|count| *count >= times))
            .await
            .expect("it is asked")
            .unwrap();
    }

    async fn answer(self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
        let (head, body) = request.into_parts();
        let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
        let path = head.uri.path().to_owned();
        {
            let mut requests = self.seen.requests.lock().unwrap();
            requests.push(Request::from_parts(head.clone(), body.clone()));
            self.seen.count.send_replace(requests.len());
        }
        let answer = Response::builder();
        let words: Vec<&str> = path.split('/').skip(1).collect();
        let response = match words[..] {
            ["status", status] => answer.status(status.parse::<u16>().unwrap()).body(Full::new(body)),
            ["flaky"] => {
                let left = &self.seen.failures_left;
                let fails = left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
                answer.status(if fails { 503 } else { 200 }).body(Full::new(body))
            }
            ["retry-after", seconds] => answer.status(429).header("retry-after", seconds).body(Full::default()),
            // Answered once it is released.
            ["hold"] => {
                let _held = Held::enter(&self.seen);
                self.seen.released.acquire().await.unwrap().forget();
                answer.body(Full::new(body))
            }
            ["redirect"] => {
                let to = head.uri.query().unwrap_or_default().to_owned();
                answer.status(302).header("location", to).body(Full::default())
            }
            ["bytes", count] => {
                let zeros = vec![0; count.parse().unwrap()];
                answer.header("content-type", "application/octet-stream").body(Full::new(zeros.into()))
            }
            // Everything that it was asked, as text.
            ["mirror", ..] => {
                let mut text = format!("{} {}\n", head.method, head.uri);
                for (name, value) in &head.headers {
                    writeln!(text, "{name}: {}", String::from_utf8_lossy(value.as_bytes())).unwrap();
                }
                text.push_str(&String::from_utf8_lossy(&body));
                answer.header("content-type", "text/plain").body(Full::new(text.into()))
            }
            // Never answered: the connection stays open until the other side has enough.
            ["silence"] => std::future::pending().await,
            ["json"] => {
                let text = json!({"method": head.method.as_str(), "path": path, "query": head.uri.query()}).to_string();
                answer.header("content-type", "application/json").body(Full::new(text.into()))
            }
            _ => {
                let kind = head.headers.get("content-type").cloned();
                let mut answer = answer;
                if let Some(kind) = kind {
                    answer = answer.header("content-type", kind);
                }
                answer.body(Full::new(body))
            }
        };
        Ok(response.unwrap())
    }
}
