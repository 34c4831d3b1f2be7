//! What comes in well formed as HTTP and is meant to break what reads it: names, documents,
//! texts for the database, cursors, conditions.

use crate::kit::{Answer, PATIENCE, Service, client::Client, fixture, service::TOKEN};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use reqwest::{Method, header::HeaderValue};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// The head of a request as bytes: method, path, and lines that end with CR LF.
pub(super) struct Head(pub(super) &'static str, pub(super) &'static str, pub(super) &'static str);

impl Head {
    /// With the token, further lines, and what stands behind it.
    pub(super) fn with(&self, lines: &str, body: &[u8]) -> Vec<u8> {
        let Self(method, path, own) = self;
        let head =
            format!("{method} {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {TOKEN}\r\n{own}{lines}\r\n\r\n");
        [head.as_bytes(), body].concat()
    }
}

/// Sends these bytes as they are, and then nothing any more where it is said; gives all that is
/// answered until the other side closes.
pub(super) async fn talk(client: &Client, bytes: &[u8], nothing_more: bool) -> String {
    let mut stream = TcpStream::connect(client.base.trim_start_matches("http://")).await.unwrap();
    let mut answer = Vec::new();
    let talking = async {
        // The other side may have closed already, and what it said is there all the same.
        let _ = stream.write_all(bytes).await;
        if nothing_more {
            let _ = stream.shutdown().await;
        }
        let _ = stream.read_to_end(&mut answer).await;
    };
    timeout(PATIENCE, talking).await.expect("the connection is closed");
    String::from_utf8_lossy(&answer).into_owned()
}

/// The statuses of all answers in a text.
pub(super) fn statuses(answer: &str) -> Vec<u16> {
    answer.match_indices("HTTP/1.1 ").map(|(at, _)| answer[at + 9..at + 12].parse().unwrap()).collect()
}

/// The position of the last event.
pub(super) async fn end_of_log(api: &Client) -> i64 {
    let page = api.get("/v1/events?after=latest").await.json(200);
    page["next"].as_str().unwrap().parse().unwrap()
}

pub(super) async fn events_behind(api: &Client, position: i64) -> Vec<Value> {
    let page = api.get(&format!("/v1/events?limit=500&after={position}")).await.json(200);
    page["items"].as_array().unwrap().clone()
}

/// A service with the action `echo`, and where its log ends.
pub(super) async fn with_echo() -> (Service, i64) {
    let service = Service::start().await;
    service.private.upload(fixture("noop")).await.json(201);
    service.private.action("echo", "noop", json!({})).await.json(201);
    let end = end_of_log(&service.private).await;
    (service, end)
}

async fn items(api: &Client, path: &str) -> Vec<Value> {
    api.get(path).await.json(200)["items"].as_array().unwrap().clone()
}

/// Every byte that is no letter and no digit as `%` and its digits.
fn encoded(text: &str) -> String {
    let byte = |byte: u8| if byte.is_ascii_alphanumeric() { char::from(byte).into() } else { format!("%{byte:02X}") };
    text.bytes().map(byte).collect()
}

pub(super) async fn with_body(api: &Client, method: Method, path: &str, media: &str, body: &[u8]) -> Answer {
    api.send(api.request(method, path).header("content-type", media).body(body.to_vec())).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_is_a_name_and_no_path_and_looks_like_no_other() {
    let (service, before) = with_echo().await;
    let api = &service.private;
    let action = json!({"protocol": "noop", "config": {}});
    let (long, longer) = ("e".repeat(64), "e".repeat(5_000));
    for (attack, name) in [
        ("a path up", "../secrets/x"),
        ("a path up in percent signs", "%2e%2e%2fsecrets"),
        ("a path up on another system", "..\\..\\x"),
        ("a file of the host", "/etc/passwd"),
        ("a drive", "c:"),
        ("a part of the path", "echo/execute"),
        ("a query", "echo?x=1"),
        ("a parameter", "echo;x=1"),
        ("a NUL", "echo\0"),
        ("a line end", "echo\n"),
        ("a header behind a line end", "echo\r\nset-cookie: x=1"),
        ("a sequence for a terminal", "\u{1b}[2J"),
        ("a space", "echo "),
        ("a capital letter", "Echo"),
        ("a letter of another alphabet", "ech\u{43e}"),
        ("wide letters", "\u{ff45}\u{ff43}\u{ff48}\u{ff4f}"),
        ("a letter with an accent behind it", "echo\u{301}"),
        ("a letter that is nothing", "echo\u{200b}"),
        ("backwards", "\u{202e}ohce"),
        ("a letter too long", &long),
        ("much too long", &longer),
        ("a pattern", "ech%"),
        ("an id of another kind", "exe_01h455vb4pex5vsknk084sn02q"),
        ("an id's letters with a capital", "act_01H455VB4PEX5VSKNK084SN02Q"),
    ] {
        let told = encoded(name);
        let path = |of: &str, behind: &str| format!("/v1/{of}/{told}{behind}");
        for (method, path, code) in [
            (Method::GET, path("actions", ""), "action_not_found"),
            (Method::POST, path("actions", "/execute"), "action_not_found"),
            (Method::DELETE, path("actions", ""), "action_not_found"),
            (Method::GET, path("protocols", ""), "protocol_not_found"),
            (Method::GET, path("protocols", "/0.1.0/component"), "protocol_not_found"),
            (Method::DELETE, path("secrets", ""), "secret_not_found"),
            (Method::DELETE, path("tokens", ""), "token_not_found"),
        ] {
            let errors = api.send(api.request(method, &path)).await.problem(404, code);
            assert_eq!(errors, [""; 0], "{attack}: {path}");
        }
        let looked = api.get(&path("executions", "")).await;
        looked.problem(404, "execution_not_found");
        let made = api.put(&path("actions", ""), &action).await;
        assert_eq!(made.problem(400, "invalid_name"), [""; 0], "{attack}");
        let kept = api.put(&path("secrets", ""), &json!({"value": "hemmelig"})).await;
        assert_eq!(kept.problem(422, "invalid_document"), [" invalid_name"], "{attack}");
        let posted = api.action(name, "noop", json!({})).await;
        assert_eq!(posted.problem(422, "invalid_document"), ["/name invalid_name"], "{attack}");
        let named = json!({"name": "of another", "scopes": ["invoke"], "actions": [name]});
        let token = api.post("/v1/tokens", &named).await.problem(422, "invalid_document");
        assert!(token[0].starts_with("/actions/0 "), "{attack}: {token:?}");
    }
    for (attack, told) in [("no UTF-8", "%ff"), ("a slash in two bytes", "%c0%af"), ("half a surrogate", "%ed%a0%80")] {
        for of in ["actions", "protocols", "executions"] {
            let refused = api.get(&format!("/v1/{of}/{told}")).await;
            assert_eq!(refused.problem(400, "invalid_path"), [""; 0], "{attack}");
        }
        let kept = api.put(&format!("/v1/secrets/{told}"), &json!({"value": "hemmelig"})).await;
        assert_eq!(kept.problem(400, "invalid_path"), [""; 0], "{attack}");
    }
    // A path up that nobody has taken out on the way is a path that is not there.
    for path in ["/v1/actions/../secrets", "/v1/actions/../../etc/passwd", "/v1/protocols/../tokens/x"] {
        let answer = talk(api, &Head("GET", path, "connection: close\r\n").with("x: y", b""), false).await;
        assert_eq!(statuses(&answer), [404], "{path}: {answer}");
    }
    assert_eq!(events_behind(api, before).await, Vec::<Value>::new());
    assert_eq!((items(api, "/v1/actions").await.len(), items(api, "/v1/secrets").await.len()), (1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_that_two_could_read_differently_is_read_by_nobody() {
    let (service, before) = with_echo().await;
    let api = &service.private;
    let (arrays, objects) = (("[".repeat(10_000), "]".repeat(10_000)), ("{\"a\":".repeat(10_000), "}".repeat(10_000)));
    let digits = format!("{{\"a\": 1{}}}", "0".repeat(400));
    let large = format!("{{\"a\": \"{}\"}}", "x".repeat(1 << 20));
    let (inner, deep) = ("/0".repeat(64), "/a".repeat(64));
    for (attack, body, status, code, pointer) in [
        ("arrays 10,000 deep", format!("{}{}", arrays.0, arrays.1).as_bytes(), 400, "too_deep", Some(&*inner)),
        ("arrays that never end", arrays.0.as_bytes(), 400, "too_deep", Some(&inner)),
        ("objects 10,000 deep", format!("{}1{}", objects.0, objects.1).as_bytes(), 400, "too_deep", Some(&deep)),
        ("a member twice", br#"{"a": 1, "a": 2}"#, 400, "duplicate_member", Some("/a")),
        ("twice in two spellings", br#"{"a": [{"b": 1, "\u0062": 2}]}"#, 400, "duplicate_member", Some("/a/0/b")),
        ("a prototype twice", br#"{"__proto__": 1, "__proto__": 2}"#, 400, "duplicate_member", Some("/__proto__")),
        ("1e400", br#"{"a": 1e400}"#, 400, "malformed_json", None),
        ("-1e400", br#"{"a": -1e400}"#, 400, "malformed_json", None),
        ("an exponent larger than numbers", br#"{"a": 1e99999999999999999999}"#, 400, "malformed_json", None),
        ("a number of 401 digits", digits.as_bytes(), 400, "malformed_json", None),
        ("no number", br#"{"a": NaN}"#, 400, "malformed_json", None),
        ("infinity", br#"{"a": -Infinity}"#, 400, "malformed_json", None),
        ("an octal number", br#"{"a": 010}"#, 400, "malformed_json", None),
        ("a hexadecimal number", br#"{"a": 0x10}"#, 400, "malformed_json", None),
        ("a byte that is no UTF-8", b"{\"a\": \"\xff\"}", 400, "invalid_utf8", None),
        ("a slash in two bytes", b"{\"a\": \"\xc0\xaf\"}", 400, "invalid_utf8", None),
        ("half a surrogate in bytes", b"{\"a\": \"\xed\xa0\x80\"}", 400, "invalid_utf8", None),
        ("UTF-16", b"\xff\xfe{\0}\0", 400, "invalid_utf8", None),
        ("the first half of a surrogate", br#"{"a": "\ud800"}"#, 400, "malformed_json", None),
        ("the second half of a surrogate", br#"{"a": "\udc00"}"#, 400, "malformed_json", None),
        ("the halves the wrong way round", br#"{"a": "\udc00\ud800"}"#, 400, "malformed_json", None),
        ("a NUL in a text", b"{\"a\": \"\0\"}", 400, "malformed_json", None),
        ("a NUL behind it", b"{\"a\": 1}\0", 400, "malformed_json", None),
        ("a line end in a text", b"{\"a\": \"\n\"}", 400, "malformed_json", None),
        ("a byte order mark", b"\xef\xbb\xbf{\"a\": 1}", 400, "malformed_json", None),
        ("something behind it", br#"{"a": 1} x"#, 400, "malformed_json", None),
        ("another one behind it", br#"{"a": 1}{"a": 2}"#, 400, "malformed_json", None),
        ("a comment", br#"{"a": 1 /* 2 */}"#, 400, "malformed_json", None),
        ("a comma too many", br#"{"a": 1,}"#, 400, "malformed_json", None),
        ("other quotes", b"{'a': 1}", 400, "malformed_json", None),
        ("the end cut off", br#"{"a": {"b": 1}"#, 400, "malformed_json", None),
        ("a byte over a megabyte", large.as_bytes(), 413, "body_too_large", None),
    ] {
        for (method, path) in [
            (Method::POST, "/v1/actions"),
            (Method::PUT, "/v1/actions/echo"),
            (Method::PATCH, "/v1/actions/echo"),
            (Method::PUT, "/v1/secrets/text"),
            (Method::POST, "/v1/tokens"),
            (Method::POST, "/v1/protocols/noop/0.1.0/validate-config"),
        ] {
            let errors = with_body(api, method, path, "application/json", body).await.problem(status, code);
            let expected: Vec<_> = pointer.iter().map(|pointer| format!("{pointer} {code}")).collect();
            assert_eq!(errors, expected, "{attack}: {path}");
        }
    }
    assert_eq!(events_behind(api, before).await, Vec::<Value>::new());
    assert_eq!(api.get("/v1/actions/echo").await.json(200)["revision"], 1);
    // An input that says it is JSON and is not is refused too, and that is on record.
    for (attack, input) in [
        ("a byte that is no UTF-8", &b"\"\xff\""[..]),
        ("a NUL behind it", b"1\0"),
        ("a byte order mark", b"\xef\xbb\xbf1"),
        ("another one behind it", b"1 2"),
        ("arrays that never end", arrays.0.as_bytes()),
    ] {
        let before = end_of_log(api).await;
        let refused =
            with_body(api, Method::POST, "/v1/actions/echo/execute", "application/json; charset=utf-16", input).await;
        assert_eq!(refused.problem(400, "malformed_json"), [" malformed_json"], "{attack}");
        let events = events_behind(api, before).await;
        let [received, told] = &events[..] else { panic!("{attack}: {events:?}") };
        assert_eq!((&received["type"], &told["type"]), (&json!("trigger_received"), &json!("trigger_refused")));
        assert_eq!(told["data"]["errors"][0]["code"], "malformed_json", "{attack}: {told}");
    }
    assert_eq!(items(api, "/v1/executions").await, Vec::<Value>::new());
}

/// Texts that would be statements where somebody pasted them into one.
const STATEMENTS: [&str; 6] = [
    "' OR '1'='1",
    "'; DROP TABLE events;--",
    "\" OR \"\"=\"",
    "1) UNION SELECT digest FROM tokens--",
    "%' ESCAPE '\\",
    "$1; SELECT pg_sleep(60)--",
];

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_in_a_filter_matches_nothing_and_as_data_it_comes_back_as_it_was() {
    let (service, _) = with_echo().await;
    let api = &service.private;
    let lists: [(&str, &[&str]); 6] = [
        ("/v1/events", &["type", "action", "execution", "limit", "after"]),
        ("/v1/executions", &["action", "status", "since", "until", "limit", "after"]),
        ("/v1/actions", &["protocol", "enabled", "limit", "after"]),
        ("/v1/protocols", &["limit", "after"]),
        ("/v1/secrets", &["limit", "after"]),
        ("/v1/tokens", &["limit", "after"]),
    ];
    for (number, statement) in STATEMENTS.iter().enumerate() {
        let before = end_of_log(api).await;
        let told = encoded(statement);
        for (path, parameters) in lists {
            for parameter in parameters {
                let code = if *parameter == "after" { "invalid_cursor" } else { "invalid_query" };
                let refused = api.get(&format!("{path}?{parameter}={told}")).await;
                assert_eq!(refused.problem(400, code), [""; 0], "{path} {parameter} {statement}");
            }
            api.get(&format!("{path}?{told}=x")).await.problem(400, "invalid_query");
        }
        // These two may be any text.
        for path in [format!("/v1/events?correlation_id={told}"), format!("/v1/actions?label=team%3D{told}")] {
            assert_eq!(items(api, &path).await, Vec::<Value>::new(), "{path}");
        }
        assert_eq!(events_behind(api, before).await, Vec::<Value>::new());

        let name = format!("a-{number}");
        let spec = json!({
            "name": name, "protocol": "noop", "config": {"text": statement}, "description": statement,
            "labels": {"team": statement, format!("key {number} ';--"): "x"}
        });
        let action = api.post("/v1/actions", &spec).await.json(201);
        for member in ["config", "description", "labels"] {
            assert_eq!(action[member], spec[member], "{statement}");
        }
        let labelled = items(api, &format!("/v1/actions?label=team%3D{told}")).await;
        assert_eq!(labelled, [action], "{statement}");
        let call = || {
            let request = api.request(Method::POST, &format!("/v1/actions/{name}/execute")).json(&json!(statement));
            request.header("x-correlation-id", *statement).header("idempotency-key", format!("k {statement}"))
        };
        let answer = api.send(call()).await;
        let execution = answer.json(200);
        assert_eq!((answer.header("x-correlation-id"), &execution["output"]), (*statement, &json!(statement)));
        assert_eq!(api.send(call()).await.json(200)["id"], execution["id"], "{statement}");
        let events = items(api, &format!("/v1/events?correlation_id={told}")).await;
        assert_eq!(events.len(), 3, "{statement}: {events:?}");
        assert!(events.iter().all(|event| event["execution"] == execution["id"]), "{statement}: {events:?}");
        let token = api.post("/v1/tokens", &json!({"name": statement, "scopes": ["read"]})).await.json(201);
        assert_eq!(token["name"], *statement);
    }
    let names: Vec<Value> = items(api, "/v1/tokens").await.iter().map(|token| token["name"].clone()).collect();
    assert!(STATEMENTS.iter().all(|statement| names.contains(&json!(statement))), "{names:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_that_no_list_gave_leads_nowhere() {
    let (service, _) = with_echo().await;
    let api = &service.private;
    api.put("/v1/secrets/one", &json!({"value": "hemmelig"})).await.json(201);
    api.put("/v1/secrets/two", &json!({"value": "hemmelig"})).await.json(201);
    let before = end_of_log(api).await;
    let own = api.get("/v1/secrets?limit=1").await.json(200)["next"].as_str().unwrap().to_owned();
    let made = |text: &str| URL_SAFE_NO_PAD.encode(text);
    for (attack, cursor) in [
        ("nothing", String::new()),
        ("cut off", own[..own.len() - 1].to_owned()),
        ("its own, a thousand times", own.repeat(1_000)),
        ("its own with padding", format!("{own}==")),
        ("of no list", made("user:one")),
        ("of its kind in capitals", made("SECRET:one")),
        ("a statement", made("secret:' OR 1=1--")),
        ("a path", made("secret:../../one")),
        ("a NUL", made("secret:one\0")),
        ("no UTF-8", URL_SAFE_NO_PAD.encode(b"secret:\xff")),
        ("of actions", made("action:echo")),
        ("of protocols", made("protocol:noop@0.1.0")),
        ("of executions", made("execution:exe_01h455vb4pex5vsknk084sn02q")),
        ("of tokens", made("token:tok_01h455vb4pex5vsknk084sn02q")),
    ] {
        for list in ["actions", "protocols", "executions", "tokens", "secrets"] {
            let answer = api.get(&format!("/v1/{list}?after={}", encoded(&cursor))).await;
            if attack == format!("of {list}") {
                answer.json(200);
            } else {
                assert_eq!(answer.problem(400, "invalid_cursor"), [""; 0], "{attack}: {list}");
            }
        }
    }
    api.get(&format!("/v1/secrets?after={own}&after={own}")).await.problem(400, "invalid_query");
    for (attack, id, code) in [
        ("below nothing", "-1", "invalid_cursor"),
        ("a fraction", "1.5", "invalid_cursor"),
        ("hexadecimal", "0x1", "invalid_cursor"),
        ("two", "1 2", "invalid_cursor"),
        ("a word", "LATEST", "invalid_cursor"),
        ("a statement", "0; DROP TABLE events", "invalid_cursor"),
        ("the last number", "9223372036854775807", "position_beyond_end"),
        ("the number behind it", "9223372036854775808", "invalid_cursor"),
        ("many digits", &"9".repeat(1_000), "invalid_cursor"),
        ("no ASCII", "\u{661}", "invalid_cursor"),
    ] {
        let request = api.request(Method::GET, "/v1/events").header("accept", "text/event-stream");
        let id = HeaderValue::from_bytes(id.as_bytes()).unwrap();
        let errors = api.send(request.header("last-event-id", id)).await.problem(400, code);
        assert_eq!(errors, [""; 0], "{attack}");
    }
    assert_eq!(events_behind(api, before).await, Vec::<Value>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_condition_that_makes_no_sense_holds_for_nothing_and_a_wish_that_makes_none_is_none() {
    let (service, before) = with_echo().await;
    let api = &service.private;
    for (attack, tag, status, code) in [
        ("no quotes", "1", 400, "invalid_header"),
        ("a quote that is open", "\"1", 400, "invalid_header"),
        ("other quotes", "'1'", 400, "invalid_header"),
        ("two without a comma", "\"1\" \"2\"", 400, "invalid_header"),
        ("commas alone", ",,,", 400, "invalid_header"),
        ("any and any", "*, *", 400, "invalid_header"),
        ("no ASCII", "\"\u{e9}\"", 400, "invalid_header"),
        ("a weak one", "W/\"1\"", 412, "revision_mismatch"),
        ("a nought before it", "\"01\"", 412, "revision_mismatch"),
        ("a sign before it", "\"+1\"", 412, "revision_mismatch"),
        ("a space before it", "\" 1\"", 412, "revision_mismatch"),
        ("larger than numbers", "\"4294967297\"", 412, "revision_mismatch"),
        ("a statement", "\"1 OR 1=1\"", 412, "revision_mismatch"),
        ("nothing in quotes", "\"\"", 412, "revision_mismatch"),
        ("nothing", "", 412, "revision_mismatch"),
    ] {
        let tag = HeaderValue::from_bytes(tag.as_bytes()).unwrap();
        let changes = [
            api.request(Method::PUT, "/v1/actions/echo").json(&json!({"protocol": "noop", "config": {"a": 1}})),
            api.request(Method::PATCH, "/v1/actions/echo").json(&json!({"config": {"a": 1}})),
            api.request(Method::DELETE, "/v1/actions/echo"),
        ];
        for change in changes {
            let errors = api.send(change.header("if-match", tag.clone())).await.problem(status, code);
            assert_eq!(errors, [""; 0], "{attack}");
        }
    }
    assert_eq!(events_behind(api, before).await, Vec::<Value>::new());
    for (attack, wish, status, applied) in [
        ("signs", ";;;===,,,\"", 200, ""),
        ("a wait below nothing", "wait=-1", 200, ""),
        ("a wait that is no number", "wait=NaN", 200, ""),
        ("a wait for ever", "wait=99999999999999999999999", 200, "wait=30"),
        ("no ASCII", "wait=\u{661}", 200, ""),
        ("another one's", "return=minimal; respond-async", 200, ""),
        ("no wait at all", "wait=0, wait=30", 202, "wait=0"),
    ] {
        let wish = HeaderValue::from_bytes(wish.as_bytes()).unwrap();
        let request = api.request(Method::POST, "/v1/actions/echo/execute").header("prefer", wish).json(&json!(1));
        let answer = api.send(request).await;
        let execution = answer.json(status);
        assert_eq!(answer.header("preference-applied"), applied, "{attack}");
        let ended = api.ended(execution["id"].as_str().unwrap()).await;
        assert_eq!(ended["status"], "succeeded", "{attack}: {ended}");
    }
}
