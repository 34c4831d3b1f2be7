//! Replies become JSON, and what is none breaks nothing.

use action_protocol::{Advice, FailureKind};
use serde_json::json;

use super::{HELLO, execute, reply_to};

#[test]
fn every_kind_of_reply_has_its_form() {
    for (says, value) in [
        ("+OK\r\n", json!("OK")),
        ("$5\r\na\r\nbc\r\n", json!("a\r\nbc")),
        ("$-1\r\n", json!(null)),
        ("*-1\r\n", json!(null)),
        ("_\r\n", json!(null)),
        (":-42\r\n", json!(-42)),
        (",3.5\r\n", json!(3.5)),
        (",inf\r\n", json!("inf")),
        ("(3492890328409238509324850943850943825024385\r\n", json!("3492890328409238509324850943850943825024385")),
        ("#t\r\n", json!(true)),
        ("=8\r\ntxt:text\r\n", json!("text")),
        ("~2\r\n+a\r\n+b\r\n", json!(["a", "b"])),
        ("%1\r\n+a\r\n*1\r\n:1\r\n", json!({ "a": [1] })),
        ("%1\r\n*0\r\n:1\r\n", json!([[[], 1]])),
        (">2\r\n+invalidate\r\n*0\r\n:7\r\n", json!(7)),
        ("|1\r\n+ttl\r\n:1\r\n*2\r\n:1\r\n|1\r\n+a\r\n+b\r\n:2\r\n", json!([1, 2])),
    ] {
        assert_eq!(reply_to("GET", says).unwrap(), value, "{says:?}");
    }
    let script = action_protocol::net::Script::new([HELLO.into(), b"$2\r\n\xff\x00\r\n".to_vec()]);
    let outcome = crate::run::execute(&super::call(json!({ "commands": [["GET", "k"]] }), &json!({})), &script);
    let output = String::from_utf8(outcome.unwrap().output.data).unwrap();
    assert_eq!(output, r#"{"replies":[{"base64":"/wA="}]}"#);
}

#[test]
fn entries_of_streams_are_objects_in_both_versions() {
    let entry = "*2\r\n$3\r\n1-0\r\n*2\r\n+a\r\n+1\r\n";
    let gone = "*2\r\n$3\r\n2-0\r\n*-1\r\n";
    let expected = json!([{ "id": "1-0", "fields": { "a": "1" } }, { "id": "2-0", "fields": null }]);
    assert_eq!(reply_to("XRANGE", &format!("*2\r\n{entry}{gone}")).unwrap(), expected);
    let of_stream = json!({ "s": expected });
    assert_eq!(reply_to("XREAD", &format!("%1\r\n+s\r\n*2\r\n{entry}{gone}")).unwrap(), of_stream);
    assert_eq!(reply_to("xreadgroup", &format!("*1\r\n*2\r\n+s\r\n*2\r\n{entry}{gone}")).unwrap(), of_stream);
    assert_eq!(reply_to("XREAD", "_\r\n").unwrap(), json!({}));
}

#[test]
fn what_is_no_reply_is_a_bad_response() {
    for says in [
        "HTTP/1.1 400 Bad Request\r\n\r\n",
        "\r\n",
        ":x\r\n",
        "$x\r\n",
        "$-2\r\n",
        "*99999999999999999999\r\n",
        "$2\r\nabc\r\n",
        "\u{1}\u{2}\u{3}\r\n",
    ] {
        let failure = reply_to("GET", says).unwrap_err();
        assert_eq!(failure.kind, FailureKind::BadResponse, "{says:?}: {}", failure.message);
        assert!(matches!(failure.advice, Advice::Retry), "a read may be repeated");
        assert!(matches!(reply_to("INCR", says).unwrap_err().advice, Advice::InDoubt), "{says:?}");
    }
    let deep = "*1\r\n".repeat(100);
    assert_eq!(reply_to("GET", &deep).unwrap_err().kind, FailureKind::BadResponse);
}

#[test]
fn what_is_too_large_is_not_kept() {
    for says in ["$8388609\r\n", "*8388609\r\n*8388609\r\n"] {
        let failure = reply_to("GET", says).unwrap_err();
        assert!(!failure.message.is_empty());
    }
    // Announced only; what comes is counted.
    let failure = reply_to("GET", "$8388609\r\n").unwrap_err();
    assert!(failure.message.contains("8388608"), "{}", failure.message);
    let many = format!("*1000000\r\n{}", ":1\r\n".repeat(600_000));
    let failure = reply_to("GET", &many).unwrap_err();
    assert!(failure.message.contains("8388608"), "{}", failure.message);
}

#[test]
fn no_bytes_make_it_trap() {
    // A walk over what a server could say, of the signs that mean something.
    let alphabet = b"+-:$*~%>|,(#_=!0123459\r\n\r\nab";
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    for _ in 0..20_000 {
        let mut says = String::new();
        for _ in 0..24 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            says.push(char::from(alphabet[usize::try_from(state % alphabet.len() as u64).unwrap()]));
        }
        let (_, heard) = execute(json!({ "commands": [["XREAD", "s"]] }), &json!({}), &[&says, HELLO, &says]);
        assert!(heard.starts_with("*2\r\n$5\r\nHELLO"));
    }
}
