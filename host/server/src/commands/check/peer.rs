//! A remote of the checker's own: it takes every connection, keeps what it is sent, and behaves as
//! it was told. It never gives back anything of what it was sent.
//!
//! HTTP it answers; of other protocols it knows nothing, so it says something that their clients
//! have to refuse. To a client that waits for the server to begin it says what a server of lines and
//! numbers would say (SMTP, FTP), as it was told to behave. TLS is told by its first byte.

use anyhow::Context as _;
use rustls::{
    ServerConfig,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};
use std::{
    borrow::Cow,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::watch,
    time::timeout,
};
use tokio_rustls::TlsAcceptor;

/// Most of one connection that is kept.
const KEPT_BYTES_MAX: usize = 1 << 20;
/// A client that says nothing for this long waits for the server to begin.
const BEGINS_AFTER: Duration = Duration::from_millis(150);
/// The same behind a TLS handshake, which a busy client may need a moment to get over.
const BEGINS_OVER_TLS_AFTER: Duration = Duration::from_secs(1);
/// The first byte of a TLS handshake.
const TLS_HANDSHAKE: u8 = 0x16;

/// Bytes that are no protocol, nor text.
const GARBAGE: &[u8] = b"\x00\xff\xfe garbage \x1b[31m \r\n\r\n\x80\x81\x82{\"";

/// How it behaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Manner {
    /// As well as it can.
    Answers,
    /// Every request is answered with this status.
    Status(u16),
    /// Every request is answered with 200 and this: a media type and a body, which hardly anybody means.
    Says(&'static str, Cow<'static, str>),
    /// Sends to another URL.
    Redirects(String),
    /// Answers with bytes that are no protocol at all.
    Garbage,
    /// Closes when it has read something.
    Closes,
    /// Reads and never answers.
    Silent,
}

/// What happened at a peer.
#[derive(Debug, Default)]
struct Seen {
    /// Counts how often it began anew: what is left of connections from before is not written down.
    round: u64,
    connections: usize,
    /// Closed by the other side.
    ended: usize,
    /// All that came, connections one after the other.
    bytes: Vec<u8>,
}

/// The remote.
pub(super) struct Peer {
    pub(super) address: SocketAddr,
    shared: Arc<Shared>,
    accepting: tokio::task::JoinHandle<()>,
}

struct Shared {
    manner: Mutex<Manner>,
    seen: Mutex<Seen>,
    changed: watch::Sender<()>,
    tls: TlsAcceptor,
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Who the peers are in TLS.
pub(super) struct Identity {
    /// PEM, for whoever is to trust them.
    pub(super) certificate: String,
    tls: TlsAcceptor,
}

impl Identity {
    /// Made for this run.
    pub(super) fn new() -> anyhow::Result<Self> {
        let names = ["localhost", "127.0.0.1", "127.0.0.2"].map(str::to_owned);
        let made = rcgen::generate_simple_self_signed(names).context("a certificate for the peers")?;
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
        let config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .context("TLS of the peers")?;
        Ok(Self { certificate: made.cert.pem(), tls: TlsAcceptor::from(Arc::new(config)) })
    }
}

impl Peer {
    /// Listens on a free port of this address.
    pub(super) async fn start(host: &str, identity: &Identity) -> std::io::Result<Self> {
        let listener = TcpListener::bind((host, 0)).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            manner: Mutex::new(Manner::Answers),
            seen: Mutex::default(),
            changed: watch::Sender::new(()),
            tls: identity.tls.clone(),
        });
        let accepted = shared.clone();
        let accepting = tokio::spawn(async move {
            // Dropped with this task, and their connections with them.
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let round = {
                    let mut seen = accepted.seen();
                    seen.connections += 1;
                    seen.round
                };
                accepted.changed.send_replace(());
                connections.spawn(accepted.clone().serve(stream, round));
                while connections.try_join_next().is_some() {}
            }
        });
        Ok(Self { address, shared, accepting })
    }

    /// From now on it behaves like this, and what it saw is forgotten.
    pub(super) fn begin(&self, manner: Manner) {
        *lock(&self.shared.manner) = manner;
        let mut seen = self.shared.seen();
        *seen = Seen { round: seen.round + 1, ..Seen::default() };
    }

    /// How many connections came.
    pub(super) fn connections(&self) -> usize {
        self.shared.seen().connections
    }

    /// Whether this was sent, as it is.
    pub(super) fn was_sent(&self, looks: impl Fn(&[u8]) -> bool) -> bool {
        looks(&self.shared.seen().bytes)
    }

    /// Waits until somebody has connected; `false`: nobody did for this long.
    pub(super) async fn is_reached(&self, patience: Duration) -> bool {
        self.until(patience, |seen| seen.connections > 0).await
    }

    /// Waits until every connection was closed by the other side; `false`: not for this long.
    pub(super) async fn is_left(&self, patience: Duration) -> bool {
        self.until(patience, |seen| seen.connections > 0 && seen.ended == seen.connections).await
    }

    async fn until(&self, patience: Duration, is_so: impl Fn(&Seen) -> bool) -> bool {
        let mut changed = self.shared.changed.subscribe();
        let wait = async {
            while !is_so(&self.shared.seen()) {
                if changed.changed().await.is_err() {
                    return;
                }
            }
        };
        timeout(patience, wait).await.is_ok()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        lock(&self.seen)
    }

    fn note(&self, round: u64, change: impl FnOnce(&mut Seen)) {
        let mut seen = self.seen();
        if seen.round == round {
            change(&mut seen);
            drop(seen);
            self.changed.send_replace(());
        }
    }

    async fn serve(self: Arc<Self>, stream: TcpStream, round: u64) {
        let mut first = [0];
        let begins = timeout(BEGINS_AFTER, stream.peek(&mut first)).await;
        if matches!(begins, Ok(Ok(1))) && first[0] == TLS_HANDSHAKE {
            if let Ok(stream) = self.tls.accept(stream).await {
                self.converse(stream, BEGINS_OVER_TLS_AFTER, round).await;
            }
        } else {
            let begins_after = if begins.is_err() { Duration::ZERO } else { BEGINS_AFTER };
            self.converse(stream, begins_after, round).await;
        }
        self.note(round, |seen| seen.ended += 1);
    }

    async fn converse(&self, mut stream: impl AsyncRead + AsyncWrite + Unpin, begins_after: Duration, round: u64) {
        let manner = lock(&self.manner).clone();
        let mut request = Vec::new();
        let mut chunk = vec![0; 16 << 10];
        let mut first = timeout(begins_after, stream.read(&mut chunk)).await.ok();
        // A client that waits for the server meets the same trouble as one that speaks first.
        if first.is_none() && manner != Manner::Silent {
            let greeting = greeting(&manner);
            if stream.write_all(greeting).await.is_err() || manner == Manner::Closes {
                let _ = stream.shutdown().await;
                return;
            }
        }
        loop {
            let read = match first.take() {
                Some(read) => read,
                None => stream.read(&mut chunk).await,
            };
            let Ok(read @ 1..) = read else { return };
            request.extend_from_slice(&chunk[..read]);
            self.note(round, |seen| {
                let room = KEPT_BYTES_MAX.saturating_sub(seen.bytes.len());
                seen.bytes.extend_from_slice(&chunk[..read.min(room)]);
            });
            if manner == Manner::Silent {
                request.clear();
                continue;
            }
            if is_http(&request) && !is_whole(&request) && request.len() < KEPT_BYTES_MAX {
                continue;
            }
            let answer = answer(&manner, is_http(&request));
            request.clear();
            if stream.write_all(&answer).await.is_err() || manner == Manner::Closes {
                let _ = stream.shutdown().await;
                return;
            }
        }
    }
}

/// What a server says that speaks first.
fn greeting(manner: &Manner) -> &'static [u8] {
    match manner {
        Manner::Closes | Manner::Silent => b"",
        Manner::Garbage => GARBAGE,
        // Busy, which may pass; and no service, which will not.
        Manner::Status(429 | 503) => b"421 the checker is busy, as it was told\r\n",
        Manner::Status(_) => b"554 the checker has no service, as it was told\r\n",
        Manner::Answers | Manner::Says(..) | Manner::Redirects(_) => b"220 checker ready\r\n",
    }
}

fn answer(manner: &Manner, http: bool) -> Vec<u8> {
    let of_type = |status: u16, content_type: &str, more: &str, body: &str| {
        let length = body.len();
        let head = format!("HTTP/1.1 {status} Checked\r\ncontent-type: {content_type}\r\ncontent-length: {length}\r\n");
        format!("{head}{more}\r\n{body}").into_bytes()
    };
    let response = |status: u16, more: &str, body: &str| of_type(status, "application/json", more, body);
    match manner {
        Manner::Closes | Manner::Silent => Vec::new(),
        Manner::Garbage => GARBAGE.to_vec(),
        // No server that speaks first or second says this, so that every client has to refuse it.
        _ if !http => b"-ERR 500 the checker does not speak this protocol\r\n".to_vec(),
        Manner::Answers => response(200, "", r#"{"checked": true}"#),
        Manner::Status(status) => response(*status, "", r#"{"error": "as the checker was told"}"#),
        Manner::Says(content_type, body) => of_type(200, content_type, "", body),
        Manner::Redirects(to) => response(307, &format!("location: {to}\r\n"), ""),
    }
}

/// Whether it begins as an HTTP request does.
pub(super) fn is_http(bytes: &[u8]) -> bool {
    let method = bytes.iter().take_while(|byte| byte.is_ascii_uppercase()).count();
    method > 2 && bytes.get(method) == Some(&b' ') && matches!(bytes.get(method + 1), Some(b'/' | b'h' | b'*'))
}

/// Whether all of an HTTP request is there.
fn is_whole(request: &[u8]) -> bool {
    let Some(head) = request.windows(4).position(|window| window == b"\r\n\r\n") else { return false };
    let body = &request[head + 4..];
    let text = String::from_utf8_lossy(&request[..head]).to_ascii_lowercase();
    let header = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':').map(str::trim));
    match header("content-length").and_then(|length| length.parse::<usize>().ok()) {
        Some(length) => body.len() >= length,
        None => header("transfer-encoding").is_none() || body.ends_with(b"0\r\n\r\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_client_that_waits_is_greeted_at_once_as_the_peer_was_told() {
        let peer = Peer::start("127.0.0.1", &Identity::new().unwrap()).await.unwrap();
        for (manner, begins) in [
            (Manner::Answers, &b"220 "[..]),
            (Manner::Status(429), b"421 "),
            (Manner::Status(500), b"554 "),
            (Manner::Garbage, GARBAGE),
            (Manner::Closes, b""),
        ] {
            peer.begin(manner.clone());
            let mut client = TcpStream::connect(peer.address).await.unwrap();
            let mut read = vec![0; GARBAGE.len()];
            let told = timeout(Duration::from_secs(10), client.read(&mut read)).await.unwrap().unwrap();
            assert!(read[..told].starts_with(begins) && (told == 0) == begins.is_empty(), "{manner:?}: {told}");
        }
    }

    #[test]
    fn a_request_is_answered_when_all_of_it_is_there() {
        for (request, whole) in [
            ("GET / HTTP/1.1\r\nhost: a\r\n", false),
            ("GET / HTTP/1.1\r\nhost: a\r\n\r\n", true),
            ("POST /x HTTP/1.1\r\nContent-Length: 3\r\n\r\nab", false),
            ("POST /x HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", true),
            ("POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", false),
            ("POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", true),
        ] {
            assert!(is_http(request.as_bytes()), "{request}");
            assert_eq!(is_whole(request.as_bytes()), whole, "{request}");
        }
        for other in ["*1\r\n$4\r\nPING\r\n", "EHLO a\r\n", "", "\0\0\0\u{8}"] {
            assert!(!is_http(other.as_bytes()), "{other}");
        }
    }
}
