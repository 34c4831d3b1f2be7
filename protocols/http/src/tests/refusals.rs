//! Answers that were not expected, and errors on the way, become failures with advice.

use action_protocol::{Advice, FailureKind, OutboundError};
use serde_json::{Value, json};

use super::{answer, execute, execute_failing, execute_in_turn};

fn judged(config: &Value, status: u16, headers: &[(&str, &str)]) -> (FailureKind, String) {
    let failure = execute(config.clone(), answer(status, headers, "why")).unwrap_err();
    (failure.kind, word(failure.advice))
}

/// The advice as it is written in Rust.
fn word(advice: Advice) -> String {
    format!("{advice:?}").trim_start_matches("Advice::").to_owned()
}

fn with_method(method: &str) -> Value {
    json!({ "url": "https://a.example/x?secret=1", "method": method })
}

#[test]
fn statuses_mean_what_people_expect() {
    use FailureKind as K;
    for (status, kind, advice) in [
        (400, K::Rejected, "GiveUp"),
        (401, K::Unauthenticated, "GiveUp"),
        (403, K::Unauthenticated, "GiveUp"),
        (404, K::Rejected, "GiveUp"),
        (408, K::RateLimited, "Retry"),
        (409, K::Rejected, "GiveUp"),
        (425, K::RateLimited, "Retry"),
        (429, K::RateLimited, "Retry"),
        (500, K::Unavailable, "Retry"),
        (501, K::Rejected, "GiveUp"),
        (502, K::Unavailable, "Retry"),
        (503, K::Unavailable, "Retry"),
        (504, K::Unavailable, "Retry"),
        (304, K::Rejected, "GiveUp"),
        (199, K::BadResponse, "GiveUp"),
    ] {
        assert_eq!(judged(&with_method("GET"), status, &[]), (kind, advice.into()), "{status}");
    }
}

#[test]
fn a_gateway_that_gave_up_leaves_a_post_in_doubt() {
    for (method, advice) in [("POST", "InDoubt"), ("PUT", "Retry"), ("GET", "Retry")] {
        assert_eq!(judged(&with_method(method), 504, &[]).1, advice, "{method}");
    }
    let mut keyed = with_method("POST");
    keyed["idempotency"] = "keyed".into();
    assert_eq!(judged(&keyed, 502, &[]).1, "Retry");
}

#[test]
fn retry_after_is_kept_to() {
    let get = with_method("GET");
    assert_eq!(judged(&get, 429, &[("Retry-After", "2")]).1, "RetryAfter(2000)");
    let date = [("Date", "Sun, 06 Nov 1994 08:49:00 GMT"), ("Retry-After", "Sun, 06 Nov 1994 08:49:37 GMT")];
    assert_eq!(judged(&get, 503, &date).1, "RetryAfter(37000)");
    assert_eq!(judged(&get, 503, &[("Retry-After", "soon")]).1, "Retry");
    assert_eq!(judged(&get, 404, &[("Retry-After", "2")]).1, "GiveUp");
}

#[test]
fn the_configs_rules_go_first() {
    use FailureKind as K;
    let config = json!({
        "url": "https://a.example/", "expect": ["2xx", 404],
        "failures": [
            { "status": [409, "420-429"], "kind": "unavailable", "retry_after_ms": 7 },
            { "status": ["4xx"], "kind": "invalid_input" },
            { "status": [500], "kind": "bad_response", "advice": "in_doubt" },
        ],
    });
    assert_eq!(judged(&config, 409, &[]), (K::Unavailable, "RetryAfter(7)".into()));
    assert_eq!(judged(&config, 425, &[("Retry-After", "1")]), (K::Unavailable, "RetryAfter(1000)".into()));
    assert_eq!(judged(&config, 400, &[]), (K::InvalidInput, "GiveUp".into()));
    assert_eq!(judged(&config, 500, &[]), (K::BadResponse, "InDoubt".into()));
    assert_eq!(judged(&config, 503, &[]), (K::Unavailable, "Retry".into()));
    assert!(execute(config, answer(404, &[], "")).is_ok());
}

#[test]
fn a_failure_tells_what_it_can_and_no_query() {
    let long = "ä".repeat(3_000);
    let failure = execute(with_method("GET"), answer(422, &[("WWW-Authenticate", "x")], long)).unwrap_err();
    assert!(failure.message.contains("GET https://a.example/x answered 422"), "{}", failure.message);
    assert!(!failure.message.contains("secret"));
    let details: Value = serde_json::from_str(&failure.details.unwrap()).unwrap();
    assert_eq!(details["status"], 422);
    assert_eq!(details["headers"]["www-authenticate"], "x");
    assert_eq!(details["body"].as_str().unwrap().len(), 4_096);
    assert_eq!(details["body_cut"], true);
}

#[test]
fn errors_on_the_way() {
    use FailureKind as K;
    let cases = [
        (OutboundError::Denied("d".into()), K::InvalidConfig, "GiveUp", "GiveUp"),
        (OutboundError::NameUnknown("n".into()), K::Unavailable, "Retry", "Retry"),
        (OutboundError::ConnectFailed("c".into()), K::Unavailable, "Retry", "Retry"),
        (OutboundError::TimedOut, K::Unavailable, "Retry", "InDoubt"),
        (OutboundError::Closed, K::Unavailable, "Retry", "InDoubt"),
        (OutboundError::BadResponse("b".into()), K::BadResponse, "Retry", "InDoubt"),
        (OutboundError::TooLarge(1), K::BadResponse, "GiveUp", "GiveUp"),
    ];
    for (error, kind, reading, writing) in cases {
        for (method, advice) in [("GET", reading), ("PUT", reading), ("POST", writing)] {
            let failure = execute_failing(with_method(method), error.clone());
            assert_eq!((failure.kind, word(failure.advice).as_str()), (kind, advice), "{method} {error:?}");
        }
    }
}

#[test]
fn a_redirect_to_where_nobody_may_go_says_so() {
    let answers = || {
        vec![
            Ok(answer(302, &[("Location", "https://b.example/")], "")),
            Err(OutboundError::Denied("no grant for b.example".into())),
        ]
    };
    let (result, _) = execute_in_turn(with_method("GET"), answers());
    let failure = result.unwrap_err();
    assert_eq!(failure.kind, FailureKind::InvalidConfig);
    assert!(failure.message.contains("redirect_urls"), "{}", failure.message);
}

#[test]
fn behind_a_redirect_a_post_may_have_acted() {
    let mut config = with_method("POST");
    config["max_redirects"] = 3.into();
    let answers = vec![Ok(answer(303, &[("Location", "/done")], "")), Err(OutboundError::ConnectFailed("gone".into()))];
    let (result, _) = execute_in_turn(config, answers);
    assert!(matches!(result.unwrap_err().advice, Advice::InDoubt));
}

#[test]
fn a_post_is_not_redirected_unasked() {
    let redirect = answer(302, &[("Location", "/login")], "");
    let failure = execute(with_method("POST"), redirect).unwrap_err();
    assert_eq!(failure.kind, FailureKind::Rejected);
    assert!(failure.message.contains("/login") && failure.message.contains("max_redirects"));
}
