//! What is sent, and what becomes of errors.

use action_protocol::{Advice, FailureKind};
use serde_json::{Value, json};

use super::{HELLO, execute};

fn details(failure: &action_protocol::Failure) -> Value {
    serde_json::from_str(failure.details.as_deref().unwrap()).unwrap()
}

#[test]
fn arguments_are_filled_in_and_stay_arguments() {
    let config = json!({ "commands": [[
        "set", "k {{ id }}", 1.5, true, "{{ list }}", "{{ gone? }}", { "json": { "all": "{{ . }}" } },
        { "base64": "{{ b }}" }, { "raw": "input" }, ["x", "{{ id }}"],
    ]] });
    let input = json!({ "id": "7\r\nDEL x", "list": ["a", 2], "b": "aGk=" });
    let (replies, heard) = execute(config, &input, &[HELLO, "+OK\r\n"]);
    assert_eq!(replies.unwrap(), json!(["OK"]));
    let sent = heard.split_once("HELLO\r\n$1\r\n3\r\n").unwrap().1;
    let all = input.to_string();
    let words =
        ["SET", "k 7\r\nDEL x", "1.5", "true", "a", "2", &format!("{{\"all\":{all}}}"), "hi", &all, "x", "7\r\nDEL x"];
    let expected: String = words.iter().map(|word| format!("${}\r\n{word}\r\n", word.len())).collect();
    assert_eq!(sent, format!("*{}\r\n{expected}", words.len()));
}

#[test]
fn what_cannot_be_filled_in_connects_to_nobody() {
    for command in [json!(["GET", "{{ a }}"]), json!(["GET", { "base64": "{{ b }}" }]), json!(["GET", "{{ c }}"])] {
        let (outcome, heard) = execute(json!({ "commands": [command] }), &json!({ "b": "?", "c": {} }), &[]);
        assert_eq!(outcome.unwrap_err().kind, FailureKind::InvalidInput);
        assert!(heard.is_empty());
    }
}

#[test]
fn an_old_server_is_spoken_to_as_it_can() {
    let config = json!({ "password": "p", "database": 2, "commands": [["GET", "k"]] });
    let says = ["-ERR unknown command 'HELLO'\r\n", "+OK\r\n", "+OK\r\n", "$1\r\nv\r\n"];
    let (replies, heard) = execute(config, &json!({}), &says);
    assert_eq!(replies.unwrap(), json!(["v"]));
    assert!(heard.contains("*5\r\n$5\r\nHELLO\r\n$1\r\n3\r\n$4\r\nAUTH\r\n$7\r\ndefault\r\n$1\r\np\r\n"), "{heard}");
    assert!(heard.contains("*2\r\n$4\r\nAUTH\r\n$1\r\np\r\n*2\r\n$6\r\nSELECT\r\n$1\r\n2\r\n"), "{heard}");
}

#[test]
fn errors_mean_what_they_say() {
    for (error, kind, retried) in [
        ("WRONGPASS invalid username-password pair", FailureKind::Unauthenticated, false),
        ("NOPERM this user has no permissions", FailureKind::Unauthenticated, false),
        ("ERR max number of clients reached", FailureKind::RateLimited, true),
        ("LOADING Redis is loading the dataset in memory", FailureKind::Unavailable, true),
        ("MOVED 3999 127.0.0.1:6381", FailureKind::InvalidConfig, false),
        ("WRONGTYPE Operation against a key", FailureKind::Rejected, false),
        ("", FailureKind::Rejected, false),
    ] {
        let says = format!("-{error}\r\n");
        let (outcome, _) = execute(json!({ "commands": [["INCR", "k"]] }), &json!({}), &[HELLO, &says]);
        let failure = outcome.unwrap_err();
        assert_eq!((failure.kind, matches!(failure.advice, Advice::Retry)), (kind, retried), "{error}");
    }
}

#[test]
fn what_came_before_an_error_is_told_and_counts() {
    let config = |first: &str| json!({ "commands": [[first, "a"], ["GET", "b"], ["GET", "c"]] });
    let (outcome, heard) = execute(config("INCR"), &json!({}), &[HELLO, ":1\r\n", "-LOADING x\r\n"]);
    let failure = outcome.unwrap_err();
    assert!(matches!(failure.advice, Advice::InDoubt), "INCR would count again");
    assert_eq!(details(&failure), json!({ "redis_error": "LOADING", "command": 1, "replies": [1] }));
    assert!(!heard.contains("$1\r\nc\r\n"), "the third is not sent");
    let (outcome, _) = execute(config("GET"), &json!({}), &[HELLO, ":1\r\n", "-LOADING x\r\n"]);
    assert!(matches!(outcome.unwrap_err().advice, Advice::Retry));
}

#[test]
fn a_transaction_is_all_or_nothing_as_far_as_redis_has_it() {
    let config = || json!({ "transaction": true, "commands": [["INCR", "a"], ["INCR", "b"]] });
    let queued = "+OK\r\n+QUEUED\r\n+QUEUED\r\n";
    let (replies, heard) = execute(config(), &json!({}), &[HELLO, queued, "*2\r\n:1\r\n:2\r\n"]);
    assert_eq!(replies.unwrap(), json!([1, 2]));
    assert!(heard.contains("MULTI") && heard.ends_with("*1\r\n$4\r\nEXEC\r\n"));
    let refused = "+OK\r\n-ERR unknown command\r\n+QUEUED\r\n-EXECABORT Transaction discarded\r\n";
    let failure = execute(config(), &json!({}), &[HELLO, refused]).0.unwrap_err();
    assert!(failure.message.contains("command 0: ERR unknown command"), "{}", failure.message);
    let half = [HELLO, queued, "*2\r\n:1\r\n-WRONGTYPE x\r\n"];
    let failure = execute(config(), &json!({}), &half).0.unwrap_err();
    assert_eq!(details(&failure)["replies"], json!([1, { "error": "WRONGTYPE x" }]));
    let cut = execute(config(), &json!({}), &[HELLO, queued]).0.unwrap_err();
    assert!(matches!(cut.advice, Advice::InDoubt));
}
