//! Whatever is around a secret and however it is written: it goes, and the rest stays.

use super::*;
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use proptest::prelude::*;
use serde_json::json;
use std::fmt::Write as _;

fn redactor(values: &[(&str, &[u8])]) -> Redactor {
    let mut redactor = Redactor::default();
    for (name, value) in values {
        redactor.add(&name.parse().unwrap(), value);
    }
    redactor
}

fn token() -> Redactor {
    redactor(&[("token", b"s3cr/t \"v\xc3\xa4lue\""), ("other", b"another-one")])
}

#[test]
fn a_text_keeps_everything_but_the_secret() {
    let redactor = token();
    assert_eq!(redactor.text("a s3cr/t \"välue\" b"), "a [secret:token] b");
    assert_eq!(redactor.text("another-ones3cr%2Ft+%22v%C3%A4lue%22"), "[secret:other][secret:token]");
    assert_eq!(redactor.text(r#"{"a": "s3cr\/t \"v\u00e4lue\""}"#), r#"{"a": "[secret:token]"}"#);
    let basic = STANDARD.encode("user:another-one");
    let clean = redactor.text(&basic).into_owned();
    assert!(clean.starts_with(&basic[..6]) && clean.contains("[secret:other]"), "{clean}");
    assert!(matches!(redactor.text("s3cr/t, not here"), Cow::Borrowed(_)));
    assert!(matches!(Redactor::default().text("another-one"), Cow::Borrowed(_)));
}

#[test]
fn a_value_is_told_from_a_handle_and_from_other_bytes() {
    let mut redactor = token();
    redactor.add_handle(&"token".parse().unwrap(), "sec_0123456789abcdef0123456789abcdef");
    assert_eq!(redactor.value_in(b"https://x.invalid/?key=another-one&page=2"), Some("[secret:other]"));
    assert_eq!(redactor.value_in(b"\xff s3cr%2Ft%20%22v%C3%A4lue%22"), Some("[secret:token]"));
    assert_eq!(redactor.value_in(STANDARD.encode("user:another-one").as_bytes()), Some("[secret:other]"));
    for none in ["", "another-", "sec_0123456789abcdef0123456789abcdef"] {
        assert_eq!(redactor.value_in(none.as_bytes()), None, "{none}");
    }
}

#[test]
fn json_stays_json_and_bytes_without_a_secret_stay_the_same() {
    let redactor = redactor(&[("pin", b"123456"), ("token", b"hunter2!")]);
    let clean = |text: &str| {
        let payload = Payload { content_type: "application/json".into(), data: text.to_owned().into() };
        String::from_utf8(redactor.payload(payload).data.to_vec()).unwrap()
    };
    assert_eq!(clean(r#"{ "b": 1.0, "a": [] }"#), r#"{ "b": 1.0, "a": [] }"#);
    assert_eq!(
        clean(r#"{"n": 91234560, "hunter2!": ["\u0068unter2!"]}"#),
        r#"{"[secret:token]":["[secret:token]"],"n":"9[secret:pin]0"}"#
    );
    // A number that a double cannot hold is found as it is written.
    let large = clean("[1234567890123456789012345]");
    assert!(serde_json::from_str::<Value>(&large).is_ok() && !large.contains("123456"), "{large}");
    assert_eq!(clean("not json hunter2!"), "not json [secret:token]");
    let binary = Payload { content_type: "hunter2!/x".into(), data: b"\xff\x00hunter2!\xfe"[..].into() };
    let binary = redactor.payload(binary);
    assert_eq!((&*binary.content_type, &binary.data[..]), ("[secret:token]/x", &b"\xff\x00[secret:token]\xfe"[..]));
}

#[test]
fn errors_denials_and_requests_lose_them_too() {
    use crate::failure::{Advice, Failure, FailureKind};
    let redactor = redactor(&[("token", b"hunter2!")]);
    let mut error = ExecutionError::reported(Failure {
        kind: FailureKind::Rejected,
        message: "GET /?t=hunter2%21".into(),
        advice: Advice::GiveUp,
        details: Some(json!({"body": "you sent hunter2!"})),
    });
    redactor.error(&mut error);
    assert!(!serde_json::to_string(&error).unwrap().contains("hunter2"), "{error:?}");
    let mut denial = Denial {
        host: "hunter2!.test".into(),
        port: 1,
        reason: crate::egress::DenialReason::NotGranted,
        rule: "r".into(),
        hint: "add hunter2!".into(),
    };
    redactor.denial(&mut denial);
    assert!(!denial.to_string().contains("hunter2"), "{denial}");
    let mut fact = Fact::RequestMade {
        method: "GET".into(),
        host: "h".into(),
        port: 1,
        path: Some("/hunter2!".into()),
        status: None,
        error: Some("hunter2!".into()),
        bytes_out: 0,
        bytes_in: 0,
        ms: 0,
    };
    redactor.fact(&mut fact);
    assert!(!serde_json::to_string(&fact).unwrap().contains("hunter2"), "{fact:?}");
}

#[test]
fn a_key_with_lines_is_found_by_its_lines() {
    let pem = "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0w\nawIBAQQgx1Yz5fT2\n-----END PRIVATE KEY-----\n";
    let redactor = redactor(&[("key", pem.as_bytes())]);
    assert_eq!(redactor.text("> MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0w"), "> [secret:key]");
    assert_eq!(redactor.text("awIBAQQgx1Yz5fT2"), "[secret:key]");
    for line in ["-----BEGIN PRIVATE KEY-----", "-----END PRIVATE KEY-----"] {
        assert_eq!(redactor.text(line), line, "every key has it");
    }
    assert_eq!(redactor.text(&format!("a {pem}b")), "a [secret:key]\nb");
}

#[test]
fn nothing_tells_how_a_secret_begins() {
    let redactor = redactor(&[("token", b"hunter2-hunter2"), ("key", b"-----BEGIN KEY-----\nMIGHAgEAMBMGByqGSM49\n")]);
    let value = "hunter2-hunter2";
    for begun in (1..value.len()).map(|end| &value[..end]) {
        for text in [begun.to_owned(), format!("sent {begun}"), format!("sent {begun}…"), format!("{begun}\n")] {
            assert!(matches!(redactor.text(&text), Cow::Borrowed(_)), "{text}");
            let data = json!({"cut": text, begun: [text]}).to_string();
            let payload = Payload { content_type: "application/json".into(), data: data.clone().into() };
            assert_eq!(redactor.payload(payload).data, data);
            assert_eq!(redactor.sequence(&["a", &text]), ["a", &text]);
            assert_eq!(redactor.value_in(text.as_bytes()), None);
        }
    }
    assert_eq!(redactor.text("hunter2-hunter2hunt"), "[secret:token]hunt");
    assert_eq!(redactor.text("MIGHAgEAMBMGByqGSM4"), "MIGHAgEAMBMGByqGSM4");
}

#[test]
fn no_text_is_cut_within_a_secret() {
    let redactor = redactor(&[("token", "hünter2-hünter2".as_bytes())]);
    let cut = |text: &'static str, chars| redactor.cut(text, chars);
    assert_eq!(cut("sent hünter2-hünter2 to", 4), Some("sent"));
    for within in 6..20 {
        assert_eq!(cut("sent hünter2-hünter2 to", within), Some("sent "), "{within}");
    }
    assert_eq!(cut("sent hünter2-hünter2 to", 20), Some("sent hünter2-hünter2"));
    assert_eq!(cut("sent hünter2-hünter2", 20), None);
    // What goes on otherwise is none.
    assert_eq!(cut("sent hünter2-hünter to", 10), Some("sent hünte"));
    assert_eq!(cut("?h%C3%BCnter2-h%C3%BCnter2&", 5), Some("?"));
    assert_eq!(Redactor::default().cut("hünter2", 2), Some("hü"));
}

#[test]
fn a_secret_over_several_texts_goes_from_each() {
    let redactor = redactor(&[("token", b"hunter2-hunter2")]);
    let clean = redactor.sequence(&["a hunter", "2-hun", "ter2 b", "c"]);
    assert_eq!(clean, ["a [secret:token]", "[secret:token]", "[secret:token] b", "c"]);
    assert_eq!(redactor.sequence(&["a", "", "b hunter"]), ["a", "", "b hunter"]);
    let twice = redactor.sequence(&["b hunter", "2-hunter2 hunter2-", "hunter2"]);
    assert_eq!(twice, ["b [secret:token]", "[secret:token] [secret:token]", "[secret:token]"]);
}

/// A value as people have them, and as generators make them.
fn value() -> impl Strategy<Value = String> {
    prop_oneof!["[!-~]{6,40}", "[A-Za-z0-9+/]{16,44}={0,2}", "\\PC{6,20}", "[ -~]{8,30}"]
        .prop_filter("long enough", |text| super::super::check_value(text.as_bytes()).is_ok())
}

fn percent(text: &str) -> String {
    let mut escaped = String::new();
    for byte in text.bytes() {
        match byte {
            byte if byte.is_ascii_alphanumeric() => escaped.push(char::from(byte)),
            byte => write!(escaped, "%{byte:02X}").unwrap(),
        }
    }
    escaped
}

fn ascii_json(text: &str) -> String {
    let escaped = serde_json::to_string(text).unwrap();
    let unit = |c: char| {
        if c.is_ascii() {
            c.to_string()
        } else {
            c.encode_utf16(&mut [0; 2]).iter().fold(String::new(), |text, unit| format!("{text}\\u{unit:04x}"))
        }
    };
    escaped[1..escaped.len() - 1].chars().map(unit).collect::<String>().replace('/', "\\/")
}

proptest! {
    // A failure is told with its input; nothing is written into the source folder.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_spelling_of_a_secret_is_left(value in value(), before in "[ -~]{0,30}", after in "[ -~]{0,30}") {
        let redactor = redactor(&[("x", value.as_bytes())]);
        let value = value.trim_ascii();
        for spelled in [value.to_owned(), percent(value), ascii_json(value), url::form_urlencoded::byte_serialize(value.as_bytes()).collect()] {
            let clean = redactor.text(&format!("{before}\u{1}{spelled}\u{1}{after}")).into_owned();
            prop_assert!(clean.contains("\u{1}[secret:x]\u{1}"), "{spelled:?} in {clean:?}");
        }
        for text in [STANDARD.encode(format!("{before}{value}{after}")), URL_SAFE_NO_PAD.encode(format!("{before}{value}{after}"))] {
            let clean = redactor.text(&text).into_owned();
            prop_assert!(clean.contains("[secret:x]"), "{text:?} in {clean:?}");
        }
    }

    #[test]
    fn what_the_host_cuts_shows_nothing_of_a_secret(value in value(), before in "[ -~]{0,30}", after in "[ -~]{0,30}", at in 0_usize..40) {
        let redactor = redactor(&[("x", value.as_bytes())]);
        let value = value.trim_ascii();
        let chars = before.chars().count() + 1 + at.min(value.chars().count() - 1);
        for spelled in [value.to_owned(), percent(value), ascii_json(value)] {
            let text = format!("{before}\u{1}{spelled}\u{1}{after}");
            let clean = redactor.text(redactor.cut(&text, chars).unwrap()).into_owned();
            prop_assert_eq!(clean, redactor.text(&format!("{before}\u{1}")).into_owned());
        }
    }

    #[test]
    fn a_secret_cut_anywhere_is_whole_in_a_sequence(value in value(), cuts in prop::collection::vec(0_usize..40, 1..4)) {
        let redactor = redactor(&[("x", value.as_bytes())]);
        let value = value.trim_ascii().to_owned();
        let mut parts: Vec<String> = vec![String::new()];
        for (at, letter) in value.chars().enumerate() {
            if cuts.contains(&at) {
                parts.push(String::new());
            }
            parts.last_mut().unwrap().push(letter);
        }
        let texts: Vec<&str> = parts.iter().map(String::as_str).collect();
        let clean = redactor.sequence(&texts);
        for (part, clean) in parts.iter().zip(clean) {
            prop_assert!(part.is_empty() || clean == "[secret:x]", "{part:?} became {clean:?}");
        }
    }
}
