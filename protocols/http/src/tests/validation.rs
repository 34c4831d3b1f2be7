//! validate-config says everything that is wrong, where, and what repeats can do.

use action_protocol::{Effect, Issue, Protocol, config};
use serde_json::{Value, json};

use crate::Http;
use crate::config::Config;

/// The issues as the adapter of the SDK reports them: pointer and code, in order.
fn issues(config: Value) -> Vec<(String, String)> {
    let text = config.to_string();
    let issues = match config::parse::<Config>(&text) {
        Ok(config) => Http::validate(&config).err().unwrap_or_default(),
        Err(_) => config::every_issue(&text, Http::validate),
    };
    let mut found: Vec<_> = issues.into_iter().map(|i: Issue| (i.pointer, i.code)).collect();
    found.sort();
    found
}

fn issue_with(name: &str, value: Value) -> Vec<(String, String)> {
    let mut config = json!({ "url": "https://a.example/" });
    config[name] = value;
    issues(config)
}

fn pair(pointer: &str, code: &str) -> (String, String) {
    (pointer.into(), code.into())
}

#[test]
fn everything_wrong_is_said_at_once() {
    let found = issues(json!({
        "url": "ftp://a.example/",
        "method": "get",
        "headers": { "X A": "1", "Host": "b", "X-B": "a\nb", "x-b": "{{ }}" },
        "query": { "q": ["{{ a", 1] },
        "body": { "json": { "{{ k }}": ["{{ a b }}"] } },
        "auth": { "basic": { "username": "a:b", "password": "p" } },
        "expect": [],
        "timeout_ms": 0,
        "max_redirects": 21,
        "redirect_urls": ["https://{{ h }}/", "nowhere"],
        "test": { "path": "x" },
        "failures": [{ "status": [], "kind": "rejected" }],
        "idempotency_header": "",
    }));
    let expected = [
        pair("/auth/basic/username", "invalid_username"),
        pair("/body/json/{{ k }}", "template_in_name"),
        pair("/body/json/{{ k }}/0", "invalid_template"),
        pair("/expect", "empty"),
        pair("/failures/0/status", "empty"),
        pair("/headers/Host", "reserved_header"),
        pair("/headers/X A", "invalid_header_name"),
        pair("/headers/X-B", "invalid_header_value"),
        pair("/headers/x-b", "duplicate_header"),
        pair("/headers/x-b", "invalid_template"),
        pair("/idempotency_header", "invalid_header_name"),
        pair("/max_redirects", "out_of_range"),
        pair("/method", "invalid_method"),
        pair("/query/q/0", "invalid_template"),
        pair("/redirect_urls/0", "template_in_host"),
        pair("/redirect_urls/1", "invalid_url"),
        pair("/test/path", "invalid_path"),
        pair("/timeout_ms", "out_of_range"),
        pair("/url", "invalid_url"),
    ];
    assert_eq!(found, expected);
}

#[test]
fn types_and_sense_are_reported_together() {
    let found = issues(json!({ "url": "nowhere", "timeout_ms": "x", "expect": ["ok"], "method": 1 }));
    let pointers: Vec<_> = found.iter().map(|(pointer, _)| pointer.as_str()).collect();
    assert_eq!(pointers, ["/expect/0", "/method", "/timeout_ms", "/url"]);
    assert_eq!(issues(json!({})), [pair("", "invalid_value")]);
}

#[test]
fn the_host_is_not_for_templates() {
    for url in [
        "{{ url }}",
        "https://{{ h }}/",
        "https://a.{{ h }}/x",
        "https://a.example:{{ p }}/",
        "https://a.example{{ x }}",
        "{{ s }}://a.example/",
    ] {
        assert_eq!(issues(json!({ "url": url })), [pair("/url", "template_in_host")], "{url}");
    }
    for url in ["https://a.example/{{ x }}", "https://a.example?{{ x }}", "http://[::1]:8080/{{ x }}/y?z={{ w }}"] {
        assert_eq!(issues(json!({ "url": url })), [], "{url}");
    }
    assert_eq!(issues(json!({ "url": "https://u:p@a.example/" })), [pair("/url", "invalid_url")]);
    assert_eq!(issues(json!({ "url": "https://a.example/#x" })), [pair("/url", "fragment_in_url")]);
}

#[test]
fn what_contradicts_itself_is_refused() {
    let both = json!({
        "url": "https://a.example/", "auth": { "bearer": { "token": "t" } }, "headers": { "authorization": "x" },
    });
    assert_eq!(issues(both), [pair("/headers/authorization", "conflict")]);
    let both = json!({ "url": "https://a.example/", "effect": "read", "idempotency": "keyed" });
    assert_eq!(issues(both), [pair("/effect", "conflict")]);
    assert_eq!(issue_with("method", json!("CONNECT")), [pair("/method", "invalid_method")]);
    assert_eq!(issue_with("body", json!({ "base64": "?" })), [pair("/body/base64", "invalid_base64")]);
}

#[test]
fn what_is_looked_at_is_the_same_each_time() {
    let found = issues(json!({
        "url": "https://a.example/{{ x }}", "method": "POST", "query": { "q": ["1", "{{ y }}"] },
        "headers": { "if-none-match": "a", "Range": "bytes=0-1", "X": "{{ @execution }}" },
        "poll": { "kind": "A", "items": "orders", "key": "/~2" },
    }));
    let expected = [
        pair("/headers/Range", "conflict"),
        pair("/headers/if-none-match", "conflict"),
        pair("/poll", "conflict"),
        pair("/poll/items", "invalid_pointer"),
        pair("/poll/key", "invalid_pointer"),
        pair("/poll/kind", "invalid_kind"),
        pair("/query/q", "template_in_poll"),
        pair("/url", "template_in_poll"),
    ];
    assert_eq!(found, expected);
    assert_eq!(issue_with("poll", json!({ "key": "/id" })), [pair("/poll/key", "conflict")]);
    let head = json!({ "url": "https://a.example/", "method": "HEAD", "poll": { "items": "" } });
    assert_eq!(issues(head), [pair("/poll/items", "conflict")]);
    assert_eq!(issue_with("poll", json!({ "items": "", "key": "/a~1b/~0" })), []);
    let body = json!({ "url": "https://a.example/", "output": "body", "poll": { "items": "" } });
    let accepted = Http::validate(&serde_json::from_value(body).unwrap()).unwrap();
    assert_eq!(accepted.warnings[0].code, "unused");
}

#[test]
fn the_effect_follows_from_the_method() {
    let effect = |config: Value| Http::validate(&serde_json::from_value(config).unwrap()).unwrap().effect;
    let url = "https://a.example/";
    for (method, expected) in [
        ("GET", Effect::Read),
        ("HEAD", Effect::Read),
        ("OPTIONS", Effect::Read),
        ("PUT", Effect::Idempotent),
        ("DELETE", Effect::Idempotent),
        ("POST", Effect::Unsafe),
        ("PATCH", Effect::Unsafe),
        ("PURGE", Effect::Unsafe),
    ] {
        assert_eq!(effect(json!({ "url": url, "method": method })), expected, "{method}");
    }
    assert_eq!(effect(json!({ "url": url, "method": "POST", "idempotency": "keyed" })), Effect::Keyed);
    assert_eq!(effect(json!({ "url": url, "method": "POST", "effect": "read" })), Effect::Read);
    assert_eq!(effect(json!({ "url": url, "effect": "unsafe" })), Effect::Unsafe);
}

#[test]
fn odd_things_are_warned_of() {
    let config = json!({
        "url": "http://a.example/", "body": "input", "auth": { "bearer": { "token": "t" } },
        "max_redirects": 0, "redirect_urls": ["https://b.example/"],
    });
    let accepted = Http::validate(&serde_json::from_value(config).unwrap()).unwrap();
    let mut codes: Vec<_> = accepted.warnings.into_iter().map(|warning| warning.code).collect();
    codes.sort();
    assert_eq!(codes, ["body_without_meaning", "credentials_in_clear", "unused"]);
}
