//! Mails become items.

use serde_json::{Value, json};

use super::config;
use crate::mail::{Depth, item};
use crate::response::Fetched;

const MIME: &str = "From: =?utf-8?q?Zo=C3=AB?= <zoe@a.example>\r\nTo: Ops <ops@b.example>, c@b.example\r\n\
    Subject: =?iso-8859-1?b?R3L832U=?=\r\n\t=?utf-8?q?_an_alle?=\r\nDate: Mon, 23 Nov 2026 05:08:00 +0100\r\n\
    Message-ID: <m1@a.example>\r\nReferences: <r1@a> <r2@a>\r\nX-A: one\r\nX-A: two\r\nMIME-Version: 1.0\r\n\
    Content-Type: multipart/mixed; boundary=b\r\n\r\n\
    --b\r\nContent-Type: multipart/alternative; boundary=c\r\n\r\n\
    --c\r\nContent-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nGr=FC=DFe\r\n\
    --c\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<p>Grüße</p>\r\n--c--\r\n\
    --b\r\nContent-Type: application/pdf; name=\"a.pdf\"\r\nContent-Disposition: attachment; filename=\"a.pdf\"\r\n\
    Content-Transfer-Encoding: base64\r\n\r\n/wA=\r\n\
    --b\r\nContent-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\ninner text\r\n--b--\r\n";

fn mail(body: &[u8]) -> Fetched {
    Fetched {
        uid: Some(7),
        size: Some(1_000),
        internal_date: Some("23-Nov-2026 05:08:01 +0100".into()),
        flags: vec!["\\Seen".into()],
        body: Some(body.to_vec()),
    }
}

fn read(changes: Value, body: &[u8]) -> Value {
    let payload = item(&mail(body), &config(changes), 3, false, Depth::Full).unwrap();
    serde_json::from_slice(&payload.data).unwrap()
}

#[test]
fn headers_text_and_attachments_are_told() {
    let item = read(json!({ "attachments": "content" }), MIME.as_bytes());
    let expected = json!({
        "uid": 7, "uid_validity": 3, "mailbox": "INBOX", "received_at": "2026-11-23T05:08:01+01:00",
        "flags": ["\\Seen"], "bytes": 1_000, "truncated": false,
        "message_id": "m1@a.example", "in_reply_to": [], "references": ["r1@a", "r2@a"],
        "date": "2026-11-23T05:08:00+01:00", "subject": "Grüße an alle",
        "from": [{ "name": "Zoë", "address": "zoe@a.example" }],
        "to": [{ "name": "Ops", "address": "ops@b.example" }, { "name": null, "address": "c@b.example" }],
        "reply_to": [], "cc": [], "bcc": [],
        "text": "Grüße", "html": "<p>Grüße</p>",
    });
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(&item[name], value, "{name}");
    }
    assert_eq!(item["headers"]["x-a"], json!(["one", "two"]));
    assert_eq!(item["headers"]["to"], json!(["Ops <ops@b.example>, c@b.example"]));
    let [pdf, inner] = item["attachments"].as_array().unwrap().as_slice() else { panic!("{item}") };
    let expected = json!({
        "name": "a.pdf", "content_type": "application/pdf", "content_id": null, "inline": false, "bytes": 2,
        "base64": "/wA=",
    });
    assert_eq!(pdf, &expected);
    assert_eq!(inner["content_type"], "message/rfc822");
    assert!(inner["bytes"].as_u64().unwrap() > 20, "{inner}");
    assert!(read(json!({}), MIME.as_bytes())["attachments"][0].get("base64").is_none());
}

#[test]
fn html_alone_is_text_too_and_headers_alone_have_none() {
    let html = b"Content-Type: text/html\r\n\r\n<p>Hello &amp; <b>all</b></p>";
    let item = read(json!({}), html);
    assert_eq!(item["text"].as_str().unwrap().trim(), "Hello & all");
    assert_eq!(item["html"], "<p>Hello &amp; <b>all</b></p>");
    let item = read(json!({ "content": "headers" }), MIME.as_bytes());
    assert_eq!(item["subject"], "Grüße an alle");
    assert!(item.get("text").is_none() && item.get("attachments").is_none(), "{item}");
}

#[test]
fn a_raw_mail_is_its_bytes() {
    let payload = item(&mail(MIME.as_bytes()), &config(json!({ "content": "raw" })), 3, false, Depth::Full).unwrap();
    assert_eq!((payload.content_type.as_str(), payload.data.as_slice()), ("message/rfc822", MIME.as_bytes()));
}

#[test]
fn no_bytes_are_too_odd_to_be_a_mail() {
    let boundaries = format!("Content-Type: multipart/mixed; boundary=a\r\n\r\n{}", "--a\r\n".repeat(2_000));
    let levels = (0..300).map(|n| format!("Content-Type: multipart/mixed; boundary=b{n}\r\n\r\n--b{n}\r\n"));
    let nested = levels.collect::<Vec<_>>().concat();
    let inner = "Content-Type: message/rfc822\r\n\r\n".repeat(300);
    let zeros = vec![0; 1_000];
    for bytes in [
        &b""[..],
        b"\r\n\r\n",
        b"no header at all",
        b"Subject",
        b"\xff\xfe: \xff\r\n\r\n\xff",
        b"Date: Mon, 99 Foo 2026 99:99:99 +9999\r\n\r\n",
        &MIME.as_bytes()[..700],
        boundaries.as_bytes(),
        nested.as_bytes(),
        inner.as_bytes(),
        &zeros,
    ] {
        let item = read(json!({ "attachments": "content" }), bytes);
        assert_eq!(item["uid"], 7, "{bytes:?}");
    }
}
