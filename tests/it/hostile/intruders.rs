//! What gets in under the guise of something else: bodies that do not end where they say, requests
//! and headers hidden in others, and compiled code that somebody put where the service keeps its own.

use super::input::{Head, end_of_log, events_behind, statuses, talk, with_body, with_echo};
use crate::kit::{PATIENCE, Remote, Service, client::Client, components, fixture, service::Options};
use reqwest::Method;
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsString,
    path::PathBuf,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

const UPLOAD: Head = Head("POST", "/v1/protocols", "content-type: application/wasm\r\n");
const EXECUTE: Head = Head("POST", "/v1/actions/echo/execute", "");

fn folder(service: &Service) -> PathBuf {
    service.folder().join("data/compiled")
}

fn compiled(service: &Service) -> BTreeSet<OsString> {
    std::fs::read_dir(folder(service)).unwrap().map(|file| file.unwrap().file_name()).collect()
}

async fn protocols(api: &Client) -> Vec<Value> {
    let listed = api.get("/v1/protocols?limit=500").await.json(200);
    listed["items"].as_array().unwrap().iter().map(|protocol| protocol["name"].clone()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_does_not_end_as_it_says_leaves_nothing() {
    let service = Service::start().await;
    let api = &service.private;
    let (noop, before, on_disk) = (fixture("noop"), end_of_log(api).await, compiled(&service));
    let half = &noop[..noop.len() / 2];
    let chunk = [format!("{:x}\r\n", noop.len()).as_bytes(), &noop, b"\r\n"].concat();
    for (attack, framing, body, status, code) in [
        ("a byte less than it says", format!("content-length: {}", noop.len() + 1), &noop[..], 400, "body_broken"),
        ("cut off in the middle", format!("content-length: {}", noop.len()), half, 400, "body_broken"),
        ("chunks without a last one", "transfer-encoding: chunked".into(), &chunk, 400, "body_broken"),
        ("a chunk that is cut off", "transfer-encoding: chunked".into(), &chunk[..100], 400, "body_broken"),
        ("a chunk of no size", "transfer-encoding: chunked".into(), b"zz\r\nxx\r\n0\r\n\r\n", 400, "body_broken"),
        (
            "a chunk larger than numbers",
            "transfer-encoding: chunked".into(),
            b"fffffffffffffffff\r\nxx\r\n",
            400,
            "body_broken",
        ),
        ("all memory", "content-length: 9007199254740993".into(), b"", 413, "body_too_large"),
        ("a length larger than numbers", "content-length: 99999999999999999999999".into(), b"", 400, ""),
        ("a length below nothing", "content-length: -1".into(), b"", 400, ""),
    ] {
        let answer = talk(api, &UPLOAD.with(&framing, body), true).await;
        assert_eq!(statuses(&answer), [status], "{attack}: {answer}");
        assert!(answer.contains(code), "{attack}: {answer}");
        // What has no code never became a request, and its answer has no body.
        assert_eq!(code.is_empty(), answer.contains("content-length: 0\r\n"), "{attack}: {answer}");
    }
    let answer = never_ending(api).await;
    assert!(answer.starts_with("HTTP/1.1 413 ") && answer.contains("body_too_large"), "{answer}");
    assert_eq!(events_behind(api, before).await, Vec::<Value>::new());
    assert_eq!((protocols(api).await, compiled(&service)), (Vec::<Value>::new(), on_disk));
    // Nobody holds a place among the uploads.
    api.upload(noop).await.json(201);
}

/// Chunk after chunk, for as long as somebody takes them; gives what was answered.
async fn never_ending(api: &Client) -> String {
    let stream = TcpStream::connect(api.base.trim_start_matches("http://")).await.unwrap();
    let (mut reading, mut writing) = stream.into_split();
    let chunk = [b"100000\r\n", &*vec![0; 1 << 20], b"\r\n"].concat();
    let sending = async {
        let mut piece = UPLOAD.with("transfer-encoding: chunked", b"");
        while writing.write_all(&piece).await.is_ok() {
            piece.clone_from(&chunk);
        }
        std::future::pending::<()>().await;
    };
    let mut answer = Vec::new();
    let talking = async {
        tokio::select! {
            () = sending => unreachable!(),
            // It is cut, perhaps not gently: what was sent does not matter to it any more.
            _ = reading.read_to_end(&mut answer) => {}
        }
    };
    timeout(PATIENCE, talking).await.expect("it is refused");
    String::from_utf8_lossy(&answer).into_owned()
}

/// A section of a component.
fn section(id: u8, content: &[u8]) -> Vec<u8> {
    [&[id][..], &leb(content.len()), content].concat()
}

fn leb(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number > 127 {
        bytes.push(number as u8 | 128);
        number >>= 7;
    }
    bytes.push(number as u8);
    bytes
}

/// A component whose types are made of the ones before them.
fn types_of_types(count: usize, next: impl Fn(usize) -> Vec<u8>) -> Vec<u8> {
    let mut types = [leb(count), vec![0x79]].concat();
    (0..count - 1).for_each(|before| types.extend(next(before)));
    [COMPONENT, &section(7, &types)].concat()
}

const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";

#[tokio::test(flavor = "multi_thread")]
async fn what_only_looks_like_a_component_is_refused_and_leaves_its_event() {
    let service = Service::start().await;
    let api = &service.private;
    let (noop, on_disk) = (fixture("noop"), compiled(&service));
    let in_one_another = |depth| (0..depth).fold(COMPONENT.to_vec(), |it, _| [COMPONENT, &section(4, &it)].concat());
    let lists = types_of_types(250_000, |before| [vec![0x70], leb(before)].concat());
    assert!((900_000..1 << 20).contains(&lists.len()), "{}", lists.len());
    let pairs = types_of_types(60, |before| [vec![0x6f, 2], leb(before), leb(before)].concat());
    for (attack, component, reason) in [
        ("no bytes", Vec::new(), "invalid_component"),
        ("a page", b"<!doctype html><html><body>Not Found</body></html>".to_vec(), "invalid_component"),
        ("an archive", b"\x1f\x8b\x08\0\0\0\0\0\0\x03".to_vec(), "invalid_component"),
        ("a head and nothing else", COMPONENT.to_vec(), "missing_export"),
        ("half a component", noop[..noop.len() / 2].to_vec(), "invalid_component"),
        ("a component without its last byte", noop[..noop.len() - 1].to_vec(), "invalid_component"),
        ("a module", components::core_module(), "core_module"),
        (
            "a module under a component's head",
            [COMPONENT, &components::core_module()[8..]].concat(),
            "invalid_component",
        ),
        ("a component of tomorrow", [b"\0asm\x0e\0\x01\0", &noop[8..]].concat(), "invalid_component"),
        ("a megabyte of lists of lists", lists, "too_many_types"),
        ("pairs of pairs, 60 deep", pairs, "invalid_component"),
        ("components in components", in_one_another(2_000), "missing_export"),
    ] {
        let before = end_of_log(api).await;
        let errors = api.upload(component).await.problem(422, "component_refused");
        assert_eq!(errors, [format!(" {reason}")], "{attack}");
        let events = events_behind(api, before).await;
        let [refused] = &events[..] else { panic!("{attack}: {events:?}") };
        assert_eq!(refused["type"], "protocol_refused", "{attack}: {refused}");
        assert_eq!(refused["data"]["errors"][0]["code"], reason, "{attack}: {refused}");
    }
    assert_eq!((protocols(api).await, compiled(&service)), (Vec::<Value>::new(), on_disk));
    api.upload(noop).await.json(201);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_hidden_in_another_is_not_served() {
    let service = Service::start().await;
    let api = &service.private;
    api.upload(fixture("noop")).await.json(201);
    api.action("echo", "noop", json!({})).await.json(201);
    api.action("victim", "noop", json!({})).await.json(201);
    let hidden = Head("DELETE", "/v1/actions/victim", "connection: close\r\n").with("content-length: 0", b"");
    let behind = |body: &[u8]| [body, &hidden].concat();
    let (none, last) = (behind(b""), behind(b"0\r\n\r\n"));
    for (attack, framing, body, status) in [
        ("two lengths", "content-length: 0\r\ncontent-length: 90", &none, 400),
        ("a list of lengths", "content-length: 0, 90", &none, 400),
        ("a length with a sign", "content-length: +0", &none, 400),
        ("a length in hexadecimal digits", "content-length: 0x0", &none, 400),
        ("a coding that nobody knows", "transfer-encoding: xchunked", &last, 400),
        ("chunked, and not at the end", "transfer-encoding: chunked, identity", &last, 400),
        ("chunked, and then something else", "transfer-encoding: chunked\r\ntransfer-encoding: identity", &last, 400),
        ("a space before the colon", "transfer-encoding : chunked", &last, 400),
        ("a vertical tab behind it", "transfer-encoding:\x0bchunked", &last, 400),
        ("a header that is folded", "x: y\r\n z\r\ncontent-length: 0", &none, 400),
        ("a coding that is folded", "transfer-encoding:\r\n chunked\r\ncontent-length: 0", &last, 400),
        ("a line that ends with CR alone", "x: y\rcontent-length: 0", &none, 400),
        ("a NUL in a header", "x: y\0\r\ncontent-length: 0", &none, 400),
        ("a chunk's size with 0x", "transfer-encoding: chunked", &behind(b"0x1\r\nx\r\n0\r\n\r\n"), 400),
        ("a chunk longer than its size", "transfer-encoding: chunked", &behind(b"1\r\nxx\r\n0\r\n\r\n"), 400),
        ("chunks whose lines end with LF", "transfer-encoding: chunked", &behind(b"1\nx\n0\n\n"), 400),
        ("an LF in a chunk's extension", "transfer-encoding: chunked", &behind(b"1;a=b\nx\r\n0\r\n\r\n"), 400),
        // As the coding says, once, and the connection ends there (RFC 9112, 6.3).
        ("a length and a coding", "content-length: 4\r\ntransfer-encoding: chunked", &last, 200),
        ("a coding and a length", "transfer-encoding: chunked\r\ncontent-length: 4", &last, 200),
    ] {
        let before = end_of_log(api).await;
        let answer = talk(api, &EXECUTE.with(framing, body), false).await;
        assert_eq!(statuses(&answer), [status], "{attack}: {answer}");
        let events = events_behind(api, before).await;
        let types: Vec<&str> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
        let ran: &[&str] = &["trigger_received", "attempt_started", "action_executed"];
        assert_eq!(types, if status == 200 { ran } else { &[] }, "{attack}");
        if status == 200 {
            assert_eq!(events[0]["data"]["input"]["bytes"], 0, "{attack}: {events:?}");
        }
    }
    api.get("/v1/actions/victim").await.json(200);
    // It is served where it may be, or the above would prove nothing.
    let two = [EXECUTE.with("content-length: 0", b""), hidden].concat();
    assert_eq!(statuses(&talk(api, &two, false).await), [200, 204]);
    api.get("/v1/actions/victim").await.problem(404, "action_not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_header_comes_out_of_a_value_that_came_in() {
    let (service, before) = with_echo().await;
    let api = &service.private;
    let long = "x".repeat(300);
    for (attack, line, code) in [
        ("a tab", "x-correlation-id: a\tb", "invalid_correlation_id"),
        ("letters that are no ASCII", "x-correlation-id: \u{e9}", "invalid_correlation_id"),
        ("nothing", "x-correlation-id:", "invalid_correlation_id"),
        ("too long", &format!("x-correlation-id: {long}"), "invalid_correlation_id"),
        ("a control character", "x-correlation-id: a\x01b", ""),
        ("a CR alone", "x-correlation-id: a\rset-cookie: x=1", ""),
        ("a NUL", "x-correlation-id: a\0set-cookie: x=1", ""),
        ("a tab", "idempotency-key: a\tb", "invalid_idempotency_key"),
        ("two of them", "idempotency-key: a\r\nidempotency-key: b", "invalid_idempotency_key"),
        ("a quote that is open", "idempotency-key: \"a", "invalid_idempotency_key"),
        ("too long", &format!("idempotency-key: {long}"), "invalid_idempotency_key"),
        ("a CR alone", "idempotency-key: a\rb", ""),
        ("too long", &format!("content-type: text/{long}"), "invalid_content_type"),
        ("letters that are no ASCII", "content-type: text/\u{e9}", "invalid_content_type"),
        ("no media type", "content-type: html", "invalid_content_type"),
    ] {
        let head = Head("POST", "/v1/actions/echo/execute", "connection: close\r\ncontent-length: 1\r\n");
        let answer = talk(api, &head.with(line, b"1"), false).await;
        assert_eq!(statuses(&answer), [400], "{attack}: {answer}");
        assert!(answer.contains(code) && !answer.contains("set-cookie"), "{attack}: {answer}");
    }
    assert_eq!(events_behind(api, before).await, Vec::<Value>::new());
    // A page from outside is saved and not shown, and a type that no header can hold is no type.
    for (given, told) in [("text/html", "text/html"), ("text/\thtml", "application/octet-stream")] {
        let ran = with_body(api, Method::POST, "/v1/actions/echo/execute", given, b"<script>").await.json(200);
        let output = api.get(&format!("/v1/executions/{}/output", ran["id"].as_str().unwrap())).await;
        assert_eq!((output.header("content-type"), &output.body[..]), (told, &b"<script>"[..]));
        assert_eq!(output.header("content-disposition"), "attachment");
        assert!(output.header("content-security-policy").contains("sandbox"));
    }
    outgoing(api).await;
}

/// The same for the requests that the service makes.
async fn outgoing(api: &Client) {
    let (remote, evil) = (Remote::start().await, "a\r\nEvil: 1");
    let url = remote.url("/");
    api.put("/v1/secrets/split", &json!({"value": "hemmelig\r\nEvil: 1"})).await.json(201);
    // Whoever names it first has it prepared.
    api.get("/v1/protocols/http/0.1.0").await.json(200);
    let before = end_of_log(api).await;
    for (attack, config, error) in [
        ("a value", json!({"url": url, "headers": {"X": evil}}), "/config/headers/X invalid_header_value"),
        ("with LF alone", json!({"url": url, "headers": {"X": "a\nb"}}), "/config/headers/X invalid_header_value"),
        ("with a NUL", json!({"url": url, "headers": {"X": "a\0b"}}), "/config/headers/X invalid_header_value"),
        ("a name", json!({"url": url, "headers": {"X: 1\r\nY": "b"}}), "/config/headers/X: 1\r\nY invalid_header_name"),
        (
            "what stands before a secret",
            json!({"url": url, "headers": {"X": {"$secret": "split", "prefix": evil}}}),
            "/config/headers/X invalid_header_value",
        ),
        ("the host", json!({"url": url, "headers": {"Host": "b"}}), "/config/headers/Host reserved_header"),
        (
            "the framing",
            json!({"url": url, "headers": {"Transfer-Encoding": "chunked"}}),
            "/config/headers/Transfer-Encoding reserved_header",
        ),
        ("the URL", json!({"url": format!("{url}{evil}")}), "/config/url invalid_url"),
        ("the method", json!({"url": url, "method": "GET / HTTP/1.1\r\nEvil:"}), "/config/method pattern"),
        ("the key", json!({"url": url, "idempotency_header": evil}), "/config/idempotency_header invalid_header_name"),
    ] {
        let refused = api.action("out", "http", config).await;
        assert_eq!(refused.problem(422, "invalid_document"), [error], "{attack}");
    }
    assert_eq!(events_behind(api, before).await, Vec::<Value>::new());
    // What a secret holds is known first when it is sent.
    let config = json!({"url": url, "method": "GET", "headers": {"X": {"$secret": "split"}}});
    let action = json!({
        "name": "out", "protocol": "http", "config": config, "grants": {"private_networks": true},
        "delivery": {"max_attempts": 1}
    });
    api.post("/v1/actions", &action).await.json(201);
    let execution = api.execute("out", &json!({})).await.json(200);
    assert_eq!(execution["error"]["failure"]["kind"], "invalid_config", "{execution}");
    assert!(execution["error"]["message"].as_str().unwrap().contains("line end"), "{execution}");
    let events = api.events(execution["id"].as_str().unwrap()).await;
    let made = events.iter().find(|event| event["type"] == "request_made").unwrap();
    assert_eq!((&made["data"]["status"], &made["data"]["bytes_out"]), (&Value::Null, &json!(0)), "{made}");
    assert!(!json!(events).to_string().contains("hemmelig"), "{events:?}");
    assert!(remote.requests().is_empty());
}

/// Runs them all, and gives their outputs.
async fn outputs(service: &Service, actions: &[&str]) -> BTreeMap<String, Value> {
    let mut outputs = BTreeMap::new();
    for action in actions {
        let execution = service.private.execute(action, &json!("as ever")).await.json(200);
        assert_eq!(execution["status"], "succeeded", "{action}: {execution}");
        outputs.insert((*action).to_owned(), execution["output"].clone());
    }
    outputs
}

#[tokio::test(flavor = "multi_thread")]
async fn compiled_code_that_somebody_changed_is_not_loaded_and_made_anew() {
    let log = tempfile::NamedTempFile::new().unwrap();
    let wrapper = ["sh", "-c", "exec \"$@\" 2>>\"$0\"", log.path().to_str().unwrap()].map(OsString::from).to_vec();
    let service = Service::start_with(Options { wrapper, ..Options::default() }).await;
    let warnings = || std::fs::read_to_string(log.path()).unwrap().matches("was changed by somebody else").count();
    let guests = ["noop", "misbehave", "hollow", "unsafe-test", "network-in-describe", "wasi-sockets"];
    let mut files = BTreeMap::new();
    for guest in guests {
        let digest = service.private.upload(fixture(guest)).await.json(201)["digest"].as_str().unwrap().to_owned();
        let starts = |name: &OsString| name.to_str().unwrap().starts_with(digest.trim_start_matches("sha256:"));
        files.insert(guest, folder(&service).join(compiled(&service).into_iter().find(starts).unwrap()));
    }
    // The last one only lends its code to another, which would fail with it.
    let actions = &guests[..5];
    for guest in actions {
        service.private.action(guest, guest, json!({"mode": "echo", "url": "http://127.0.0.1:9/"})).await.json(201);
    }
    let (expected, read) = (outputs(&service, actions).await, |guest: &str| std::fs::read(&files[guest]).unwrap());
    let service = Service::start_with(service.kill().await).await;
    assert_eq!((outputs(&service, actions).await, warnings()), (expected.clone(), 0));

    let options = service.kill().await;
    let flipped = |guest: &str, place: usize| {
        let mut bytes = read(guest);
        bytes[place] ^= 1;
        bytes
    };
    let tampered = [
        ("noop", flipped("noop", 0)),
        ("misbehave", flipped("misbehave", read("misbehave").len() / 2)),
        ("hollow", read("hollow")[..read("hollow").len() / 2].to_vec()),
        ("unsafe-test", Vec::new()),
        ("network-in-describe", read("wasi-sockets")),
    ];
    for (guest, bytes) in &tampered {
        std::fs::write(&files[guest], bytes).unwrap();
    }
    let service = Service::start_with(options).await;
    assert_eq!((outputs(&service, actions).await, warnings()), (expected.clone(), 5));
    for (guest, bytes) in &tampered {
        assert_ne!(read(guest), *bytes, "{guest}: it was left there");
    }
    // What was put there instead is good.
    let service = Service::start_with(service.kill().await).await;
    assert_eq!((outputs(&service, actions).await, warnings()), (expected.clone(), 5));

    // Without the key nothing there can be believed.
    let key = service.folder().join("data/compiled.key");
    let options = service.kill().await;
    let old = std::fs::read(&key).unwrap();
    std::fs::remove_file(&key).unwrap();
    let service = Service::start_with(options).await;
    assert_eq!((outputs(&service, actions).await, warnings()), (expected, 10));
    assert_ne!(std::fs::read(&key).unwrap(), old);
    let answer = service.private.send(service.private.request(Method::GET, "/readyz")).await;
    assert_eq!(answer.status, 200);
}
