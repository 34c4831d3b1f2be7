//! Headers and cursors of a request: lines of `name: value`, and behind a zero byte what a caller
//! gives as `after`.
#![cfg_attr(feature = "libfuzzer", no_main)]

use action_api::untrusted::{self, Read};
use action_domain::limits::{IDEMPOTENCY_KEY_BYTES_MAX, WAIT_MAX};
use action_fuzz_targets::{header_map, parts};
use http::{HeaderMap, HeaderName, HeaderValue};

#[cfg(feature = "libfuzzer")]
libfuzzer_sys::fuzz_target!(|data: &[u8]| check(data));

/// Reads both, and what was understood again.
pub fn check(data: &[u8]) {
    let [head, cursor] = parts(data);
    let map = header_map(head);
    let read = untrusted::headers(&map);
    of_headers(&map, &read);
    let cursor = String::from_utf8_lossy(cursor);
    let lists = untrusted::cursors(&cursor);
    assert!(lists.len() <= 1, "{cursor}: one list's cursor is another's: {lists:?}");
    for (list, again) in lists {
        assert_eq!(untrusted::cursors(&again), [(list, again.clone())], "{cursor}");
    }
    if let Some(position) = untrusted::event_position(&cursor) {
        assert!(position >= 0 && cursor.bytes().all(|byte| byte.is_ascii_digit()), "{cursor}");
        assert_eq!(untrusted::event_position(&position.to_string()), Some(position));
    }
}

fn of_headers(map: &HeaderMap, read: &Read) {
    let given = |name: &str| map.get_all(name).iter().count();
    let one = |name: &'static str, value: &str| {
        HeaderMap::from_iter([(HeaderName::from_static(name), HeaderValue::from_str(value).expect("it is legal"))])
    };
    let printable = |text: &str| text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    if let Ok(Some(id)) = &read.correlation_id {
        assert!((1..=128).contains(&id.len()) && printable(id), "{id:?}");
    }
    if let Ok(Some(key)) = &read.idempotency_key {
        assert!((1..=IDEMPOTENCY_KEY_BYTES_MAX).contains(&key.len()) && printable(key), "{key:?}");
        assert_eq!(given("idempotency-key"), 1, "one of several counts");
        // As the draft wants it written it is the same key.
        let quoted = format!("\"{}\"", key.replace('\\', "\\\\").replace('"', "\\\""));
        let again = untrusted::headers(&one("idempotency-key", &quoted)).idempotency_key;
        assert_eq!(again.ok().flatten().as_deref(), Some(&**key), "{quoted}");
    }
    if let Ok(Some(revisions)) = &read.if_match
        && !revisions.is_empty()
    {
        let list: Vec<String> = revisions.iter().map(|revision| format!("\"{revision}\"")).collect();
        let again = untrusted::headers(&one("if-match", &list.join(", "))).if_match;
        assert_eq!(again.as_ref(), Ok(&Some(revisions.clone())));
    }
    if let Some(parent) = &read.traceparent {
        assert_eq!(given("traceparent"), 1);
        assert!(parent.len() >= 55 && parent.len() <= 512 && printable(parent), "{parent}");
    }
    if let Ok(content_type) = &read.content_type {
        assert!(content_type.len() <= 255 && content_type.contains('/'), "{content_type:?}");
    }
    assert!(read.wait.is_none_or(|wait| wait <= WAIT_MAX), "{:?}", read.wait);
    if let Some(applied) = &read.applied[1] {
        let applied = applied.to_str().expect("words and numbers");
        assert_eq!(untrusted::headers(&one("prefer", applied)).wait, read.wait, "{applied}");
    }
    match &read.bearer {
        Ok(Some(bearer)) => {
            assert_eq!(given("authorization"), 1);
            assert!(!bearer.is_empty() && bearer.trim() == bearer, "{bearer:?}");
        }
        Ok(None) => assert!(given("authorization") <= 1),
        Err(()) => assert!(given("authorization") > 1),
    }
}
