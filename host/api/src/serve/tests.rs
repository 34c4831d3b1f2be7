//! Listeners, with peers that take what they can.

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

/// The other end of a connection over HTTP/2, with as much of it as a peer needs that wants to stay.
struct Http2 {
    stream: TcpStream,
    /// Kinds of frames that came, but for pings and settings.
    seen: Vec<u8>,
}

const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const ACK: u8 = 1;
/// The ping by which hyper finds out that a peer has read its GOAWAY.
const GOODBYE_PING: [u8; 8] = [0x0b, 0x7b, 0xa2, 0xf0, 0x8b, 0x9b, 0xfe, 0x54];

impl Http2 {
    async fn connect(address: SocketAddr, settings: &[u8]) -> Self {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
        stream.write_all(&frame(SETTINGS, 0, 0, settings)).await.unwrap();
        Self { stream, seen: Vec::new() }
    }

    /// Asks for something and does not wait for it.
    async fn get(&mut self, path: &str, accept: &str) {
        // GET and http of the static table; the others as literals that nobody remembers.
        let mut head = vec![0x82, 0x86];
        let token = "Bearer admin-token";
        for (name, value) in [(":path", path), (":authority", "x"), ("accept", accept), ("authorization", token)] {
            head.push(0);
            for text in [name, value] {
                head.push(u8::try_from(text.len()).unwrap());
                head.extend_from_slice(text.as_bytes());
            }
        }
        self.stream.write_all(&frame(1, 5, 1, &head)).await.unwrap();
    }

    /// Answers pings and settings until the connection is closed; pings of a GOAWAY only if it is to be `polite`.
    async fn until_closed(mut self, polite: bool) -> Vec<u8> {
        while let Ok((kind, flags, payload)) = self.next().await {
            let answers = flags & ACK == 0 && (polite || payload != GOODBYE_PING);
            match kind {
                SETTINGS if answers => self.send(&frame(SETTINGS, ACK, 0, &[])).await,
                PING if answers => self.send(&frame(PING, ACK, 0, &payload)).await,
                SETTINGS | PING => {}
                other => self.seen.push(other),
            }
        }
        self.seen
    }

    async fn send(&mut self, frame: &[u8]) {
        // Where it is closed already, that is read next.
        let _ = self.stream.write_all(frame).await;
    }

    async fn next(&mut self) -> io::Result<(u8, u8, Vec<u8>)> {
        let mut head = [0; 9];
        self.stream.read_exact(&mut head).await?;
        let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
        self.stream.read_exact(&mut payload).await?;
        Ok((head[3], head[4], payload))
    }
}

fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = vec![length[1], length[2], length[3], kind, flags, 0, 0, 0, stream];
    frame.extend_from_slice(payload);
    frame
}

/// Time goes on while everybody waits, so what is measured is a little more than what was waited for.
fn took(begun: tokio::time::Instant, at_least: Duration) {
    assert!((at_least..at_least + 2 * GOODBYE_TIMEOUT).contains(&begun.elapsed()), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn who_opens_http2_and_asks_for_nothing_is_told_to_go() {
    let (address, _stop, _serving) = start(ServeOptions::default()).await;
    let begun = tokio::time::Instant::now();
    let seen = Http2::connect(address, &[]).await.until_closed(true).await;
    assert!(seen.contains(&GOAWAY), "{seen:?}");
    took(begun, HEADER_TIMEOUT);
}

#[tokio::test(start_paused = true)]
async fn who_is_told_to_go_and_stays_is_cut() {
    let (address, _stop, _serving) = start(ServeOptions::default()).await;
    let begun = tokio::time::Instant::now();
    let seen = Http2::connect(address, &[]).await.until_closed(false).await;
    assert!(seen.contains(&GOAWAY), "{seen:?}");
    took(begun, HEADER_TIMEOUT + GOODBYE_TIMEOUT);
}

#[tokio::test(start_paused = true)]
async fn who_asks_and_takes_no_answer_over_http2_is_cut() {
    let (address, _stop, _serving) = start(ServeOptions::default()).await;
    // Its window (setting 4) is 0: no byte of a body may be sent to it.
    let mut peer = Http2::connect(address, &[0, 4, 0, 0, 0, 0]).await;
    peer.get("/openapi.json", "*/*").await;
    let begun = tokio::time::Instant::now();
    let seen = peer.until_closed(true).await;
    assert!(seen.contains(&1), "its head was answered: {seen:?}");
    took(begun, HEADER_TIMEOUT + GOODBYE_TIMEOUT);
}

/// Events come when there are some: whoever waits for them is not idle.
#[tokio::test(start_paused = true)]
async fn who_waits_for_the_service_over_http2_is_not_cut() {
    let (address, _stop, _serving) = start(ServeOptions::default()).await;
    let mut peer = Http2::connect(address, &[]).await;
    peer.get("/v1/events?after=latest", "text/event-stream").await;
    assert!(tokio::time::timeout(10 * HEADER_TIMEOUT, peer.until_closed(true)).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn who_begins_the_preface_of_http2_and_stops_is_cut() {
    let (address, _stop, _serving) = start(ServeOptions::default()).await;
    let begun = tokio::time::Instant::now();
    talk(address, b"PRI * HT").await;
    took(begun, HEADER_TIMEOUT);
}

#[tokio::test]
async fn one_address_does_not_get_all_connections() {
    let (address, _stop, _serving) = start(ServeOptions { connections_max: 4, ..ServeOptions::default() }).await;
    let mut kept = Vec::new();
    for _ in 0..3 {
        kept.push(Http2::connect(address, &[]).await);
        // It is there as soon as it is answered.
        kept.last_mut().unwrap().next().await.unwrap();
    }
    assert_eq!(talk(address, b"").await, "", "closed at once");
    let other = tokio::net::TcpSocket::new_v4().unwrap();
    other.bind("127.0.0.2:0".parse().unwrap()).unwrap();
    let mut other = other.connect(address).await.unwrap();
    other.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    other.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
}
