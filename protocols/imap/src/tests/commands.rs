//! Strings, names of mailboxes, days and numbers as they are said.

use serde_json::json;

use super::config;
use crate::command::{Piece, day, internal_date, mailbox_name, search, uid_set};

#[test]
fn names_of_mailboxes_are_modified_utf7() {
    for (name, written) in [
        ("INBOX", "INBOX"),
        ("R&D", "R&-D"),
        ("Entwürfe", "Entw&APw-rfe"),
        ("~peter/mail/台北/日本語", "~peter/mail/&U,BTFw-/&ZeVnLIqe-"),
        ("😀", "&2D3eAA-"),
        ("ä&ö", "&AOQ-&-&APY-"),
        ("", ""),
    ] {
        assert_eq!(mailbox_name(name), written, "{name}");
    }
}

#[test]
fn strings_stand_in_quotes_where_they_can() {
    assert_eq!(Piece::quoted(br#"a "b" \c"#).unwrap(), r#""a \"b\" \\c""#);
    assert_eq!(Piece::quoted(b"").unwrap(), "\"\"");
    for apart in ["a\r\nb", "ä", "\u{7f}", "a\0"] {
        assert_eq!(Piece::quoted(apart.as_bytes()), None, "{apart:?}");
    }
    assert_eq!(Piece::quoted(&[b'x'; 600]), None);
}

#[test]
fn what_is_searched_for_has_its_keys() {
    let config = config(json!({ "search": { "unseen": true, "from": "a\" NOT \"b", "since": "2026-11-03" } }));
    let expected = [
        Piece::word("UID SEARCH UID 5:9"),
        Piece::word("UNSEEN"),
        Piece::word("SINCE 3-Nov-2026"),
        Piece::word("FROM"),
        Piece::text("a\" NOT \"b"),
    ];
    assert_eq!(search(5, 9, &config.search), expected);
    let config = super::config(json!({ "search": { "subject": "Grüße" } }));
    assert_eq!(search(1, 1, &config.search)[0], Piece::word("UID SEARCH CHARSET UTF-8 UID 1:1"));
}

#[test]
fn days_and_times_are_read() {
    for (text, expected) in [
        ("2026-11-03", Some("3-Nov-2026")),
        ("2024-02-29", Some("29-Feb-2024")),
        ("2026-13-01", None),
        ("2026-00-01", None),
        ("2026-11-31", None),
        ("2026-1-01", None),
        ("26-11-01", None),
        ("+026-11-01", None),
        ("", None),
    ] {
        assert_eq!(day(text).as_deref(), expected, "{text}");
    }
    for (text, expected) in [
        ("17-Jul-1996 02:44:25 -0700", Some("1996-07-17T02:44:25-07:00")),
        (" 7-jul-1996 02:44:25 +0000", Some("1996-07-07T02:44:25Z")),
        ("17-Jul-1996 02:44 -0700", None),
        ("17-Jux-1996 02:44:25 -0700", None),
        ("17-Jul-1996 02:44:25 ä700", None),
        ("nonsense", None),
    ] {
        assert_eq!(internal_date(text).as_deref(), expected, "{text}");
    }
}

#[test]
fn numbers_are_put_together() {
    assert_eq!(uid_set(&[1, 2, 3, 7, 9, 10]), "1:3,7,9:10");
    assert_eq!(uid_set(&[u32::MAX]), "4294967295");
}
