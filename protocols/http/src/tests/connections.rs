//! test-connection asks without changing anything, and says what came of it.

use std::cell::RefCell;

use action_protocol::{ConnectionReport, Failure, FailureKind, HttpRequest};
use serde_json::{Value, json};

use super::{answer, header};

fn test(config: Value, status: u16) -> (Result<ConnectionReport, Failure>, HttpRequest) {
    let asked = RefCell::new(None);
    let transport = |request: &HttpRequest| {
        *asked.borrow_mut() = Some(request.clone());
        Ok(answer(status, &[("Server", "nginx")], ""))
    };
    let config = serde_json::from_value(config).unwrap();
    let result = crate::connection::test(&config, &transport);
    (result, asked.into_inner().unwrap())
}

#[test]
fn it_asks_as_the_action_would_but_harmlessly() {
    let config = json!({
        "url": "https://a.example/x", "method": "POST", "body": { "json": {} },
        "query": { "key": "h", "q": "{{ q }}" },
        "headers": { "X-Key": "h", "X-In": "{{ a }}", "Content-Type": "a/b" },
        "auth": { "bearer": { "token": "h" } },
    });
    let (report, asked) = test(config, 405);
    assert_eq!((asked.method.as_str(), asked.url.as_str()), ("HEAD", "https://a.example/x?key=h"));
    assert!(asked.body.is_none());
    assert_eq!((header(&asked, "X-Key"), header(&asked, "Authorization")), (Some("h"), Some("Bearer h")));
    assert!(header(&asked, "X-In").is_none() && header(&asked, "Content-Type").is_none());
    let report = report.unwrap();
    assert!(report.summary.contains("answered 405") && report.summary.contains("nginx"), "{}", report.summary);
    let details: Value = serde_json::from_str(&report.details).unwrap();
    assert_eq!((&details["status"], &details["server"]), (&json!(405), &json!("nginx")));
    assert!(details["ms"].is_u64());
    assert!(!report.details.contains("key=h"));
}

#[test]
fn where_it_asks_can_be_said() {
    let config =
        json!({ "url": "https://a.example:1/x/{{ id }}", "test": { "method": "OPTIONS", "path": "/health?x=1" } });
    let (_, asked) = test(config, 200);
    assert_eq!((asked.method.as_str(), asked.url.as_str()), ("OPTIONS", "https://a.example:1/health?x=1"));
    let (_, asked) = test(json!({ "url": "https://a.example/x/{{ id }}" }), 200);
    assert_eq!(asked.url, "https://a.example/");
}

#[test]
fn only_who_turns_us_away_or_is_down_fails() {
    for (status, failure) in [
        (200, None),
        (302, None),
        (404, None),
        (501, None),
        (401, Some(FailureKind::Unauthenticated)),
        (403, Some(FailureKind::Unauthenticated)),
        (503, Some(FailureKind::Unavailable)),
    ] {
        let (result, _) = test(json!({ "url": "https://a.example/" }), status);
        assert_eq!(result.err().map(|failure| failure.kind), failure, "{status}");
    }
}
