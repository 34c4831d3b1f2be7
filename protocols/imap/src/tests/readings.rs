//! Whole executions: what is asked, in which order, and what a server may say in between.

use action_protocol::{Advice, FailureKind};
use serde_json::json;

use super::{Memory, run};
use crate::reading::Cursor;

const HELLO: [&str; 4] = [
    "* OK hi\r\n",
    "* CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR\r\na1 OK done\r\n",
    "a2 OK in\r\n",
    "* CAPABILITY IMAP4rev1\r\na3 OK done\r\n",
];
const OPEN: &str = "* 2 EXISTS\r\n* OK [UIDVALIDITY 7] ok\r\na4 OK [READ-ONLY] done\r\n";

fn after<'a>(hello: &[&'a str], more: &[&'a str]) -> Vec<&'a str> {
    hello.iter().chain(more).copied().collect()
}

fn cursor(uid: u32) -> Cursor {
    Cursor { mailbox: "INBOX".into(), uid_validity: 7, uid, marking: vec![] }
}

#[test]
fn mails_come_once_in_their_order_whatever_is_said_between() {
    let memory = Memory::default();
    let says = after(
        &HELLO,
        &[
            OPEN,
            "* 2 FETCH (UID 9)\r\na5 OK\r\n",
            "* 1 FETCH (FLAGS (\\Seen))\r\n* SEARCH 9\r\n* SEARCH 4 99\r\n* 1 RECENT\r\na6 OK\r\n",
            "* 2 FETCH (UID 9 RFC822.SIZE 3)\r\n* 1 FETCH (RFC822.SIZE 3 UID 4)\r\na7 OK\r\n",
            "* OK by the way\r\n* 2 FETCH (UID 9 BODY[]<0> {3}\r\nnew)\r\n* 1 FETCH (FLAGS ())\r\n",
            "* 1 FETCH (BODY[]<0> {3}\r\nold UID 4)\r\na8 OK\r\n",
        ],
    );
    let (output, heard) = run(json!({}), &memory, &says);
    let expected = json!({ "messages": 2, "more": false, "began": true, "uid_validity": 7, "last_uid": 9 });
    assert_eq!(output.unwrap(), expected);
    assert_eq!(memory.keys(), ["7/4", "7/9"]);
    assert_eq!(memory.cursor.borrow().clone().unwrap(), cursor(9));
    let expected = "a1 CAPABILITY\r\na2 AUTHENTICATE PLAIN AHUAcA==\r\na3 CAPABILITY\r\na4 EXAMINE \"INBOX\"\r\n\
        a5 UID FETCH * (UID)\r\na6 UID SEARCH UID 1:9\r\na7 UID FETCH 4,9 (UID RFC822.SIZE)\r\n\
        a8 UID FETCH 4,9 (UID FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[]<0.1048577>)\r\na9 LOGOUT\r\n";
    assert_eq!(heard, expected);
}

#[test]
fn nothing_is_asked_for_twice_and_nothing_is_new_where_the_newest_was_read() {
    let memory = Memory::default();
    *memory.cursor.borrow_mut() = Some(cursor(9));
    let says = after(&HELLO, &[OPEN, "* 2 FETCH (UID 9)\r\na5 OK\r\n"]);
    let (output, heard) = run(json!({}), &memory, &says);
    let output = output.unwrap();
    assert_eq!((&output["messages"], &output["began"]), (&json!(0), &json!(false)));
    assert!(!heard.contains("SEARCH"), "{heard}");
}

#[test]
fn a_first_execution_may_begin_with_what_comes() {
    let memory = Memory::default();
    let newest = "* 2 FETCH (UID 9)\r\na5 OK\r\n";
    let says = after(&HELLO, &[OPEN, newest, "* 2 FETCH (UID 9)\r\na6 OK\r\n"]);
    let (output, _) = run(json!({ "first_run": "new_only" }), &memory, &says);
    assert_eq!(output.unwrap()["last_uid"], 9);
    assert!(memory.keys().is_empty());
    let empty = "* 0 EXISTS\r\n* OK [UIDVALIDITY 7] ok\r\na4 OK done\r\n";
    let memory = Memory::default();
    let (output, heard) = run(json!({ "first_run": "new_only" }), &memory, &after(&HELLO, &[empty]));
    assert_eq!(output.unwrap()["last_uid"], 0);
    assert!(!heard.contains("FETCH"), "there is nothing to ask for: {heard}");
}

#[test]
fn a_mailbox_that_was_made_anew_begins_anew() {
    for (mailbox, uid_validity, warnings) in [("INBOX", 6, 1), ("Other", 7, 0)] {
        let memory = Memory::default();
        *memory.cursor.borrow_mut() = Some(Cursor { mailbox: mailbox.into(), uid_validity, ..cursor(100) });
        let says = after(
            &HELLO,
            &[
                OPEN,
                "* 2 FETCH (UID 1)\r\na5 OK\r\n",
                "* SEARCH 1\r\na6 OK\r\n",
                "* 1 FETCH (UID 1 RFC822.SIZE 1)\r\na7 OK\r\n",
                "* 1 FETCH (UID 1 BODY[] \"x\")\r\na8 OK\r\n",
            ],
        );
        let (output, _) = run(json!({}), &memory, &says);
        let output = output.unwrap();
        assert_eq!((&output["messages"], &output["began"]), (&json!(1), &json!(true)));
        assert_eq!((memory.keys(), memory.warnings.get()), (vec!["7/1".to_owned()], warnings));
    }
}

#[test]
fn an_execution_ends_where_it_has_done_enough() {
    let memory = Memory::default();
    let says = after(
        &HELLO,
        &[
            OPEN,
            "* 3 FETCH (UID 9)\r\na5 OK\r\n",
            "* SEARCH 4 6 9\r\na6 OK\r\n",
            "* 1 FETCH (UID 4 RFC822.SIZE 1)\r\n* 2 FETCH (UID 6 RFC822.SIZE 1)\r\n* 3 FETCH (UID 9 RFC822.SIZE 1)\r\na7 OK\r\n",
            "* 1 FETCH (UID 4 BODY[] \"x\")\r\n* 2 FETCH (UID 6 BODY[] \"x\")\r\na8 OK\r\n",
        ],
    );
    let (output, heard) = run(json!({ "max_messages": 2 }), &memory, &says);
    let output = output.unwrap();
    assert_eq!((&output["messages"], &output["more"], &output["last_uid"]), (&json!(2), &json!(true), &json!(6)));
    assert!(heard.contains("UID FETCH 4,6 ("), "{heard}");
}

#[test]
fn a_mail_that_cannot_be_had_is_told_and_holds_up_nobody() {
    let memory = Memory::default();
    let says = after(
        &HELLO,
        &[
            OPEN,
            "* 2 FETCH (UID 9)\r\na5 OK\r\n",
            "* SEARCH 4 9\r\na6 OK\r\n",
            "* 1 FETCH (UID 4)\r\n* 2 FETCH (UID 9 RFC822.SIZE 1)\r\na7 OK\r\n",
            "* 1 FETCH (UID 4 BODY[] NIL)\r\n* 2 FETCH (UID 9 BODY[] \"x\")\r\na8 OK\r\n",
        ],
    );
    let (output, _) = run(json!({}), &memory, &says);
    assert_eq!(output.unwrap()["last_uid"], 9);
    assert_eq!((memory.keys(), memory.warnings.get()), (vec!["7/9".to_owned()], 1));
}

#[test]
fn a_mail_that_is_too_large_is_captured_by_less_of_it() {
    let body = format!("Subject: large\r\n\r\n{}", "x".repeat(20_000));
    let fetched = format!("* 1 FETCH (UID 9 BODY[]<0> {{16385}}\r\n{})\r\na8 OK\r\n", &body[..16_385]);
    let looked = ["* 2 FETCH (UID 9)\r\na5 OK\r\n", "* SEARCH 9\r\na6 OK\r\n"];
    // The server errs in the size: what comes is what counts.
    let says = after(&HELLO, &[OPEN, looked[0], looked[1], "* 1 FETCH (UID 9 RFC822.SIZE 5)\r\na7 OK\r\n", &fetched]);
    for (content, text, bytes_max) in
        [("text", true, None), ("raw", false, None), ("text", false, Some(10_000)), ("raw", false, Some(10_000))]
    {
        let memory = Memory { bytes_max, ..Memory::default() };
        let (output, _) = run(json!({ "content": content, "message_bytes_max": 16_384 }), &memory, &says);
        assert_eq!(output.unwrap()["messages"], 1);
        let item = memory.item("7/9");
        assert_eq!((&item["subject"], &item["truncated"]), (&json!("large"), &json!(true)), "{content}");
        assert_eq!(item["text"].is_string(), text, "{content} {bytes_max:?}");
    }
    // Of one that is known to be too large only the headers are asked for.
    let memory = Memory::default();
    let fetched = "* 1 FETCH (UID 9 BODY[HEADER]<0> {18}\r\nSubject: large\r\n\r\n)\r\na8 OK\r\n";
    let says =
        after(&HELLO, &[OPEN, looked[0], looked[1], "* 1 FETCH (UID 9 RFC822.SIZE 99999)\r\na7 OK\r\n", fetched]);
    let (output, heard) = run(json!({ "content": "raw", "message_bytes_max": 16_384 }), &memory, &says);
    output.unwrap();
    assert!(heard.contains("BODY.PEEK[HEADER]<0.16385>"), "{heard}");
    assert_eq!(memory.item("7/9")["truncated"], true);
}

#[test]
fn a_mail_is_marked_behind_its_capture_and_one_that_was_not_is_made_up_for() {
    let memory = Memory::default();
    *memory.cursor.borrow_mut() = Some(Cursor { marking: vec![2, 3], ..cursor(3) });
    let open = "* 2 EXISTS\r\n* OK [UIDVALIDITY 7] ok\r\na4 OK [READ-WRITE] done\r\n";
    let says = after(
        &HELLO,
        &[
            open,
            "a5 OK\r\n",
            "* 2 FETCH (UID 9)\r\na6 OK\r\n",
            "* SEARCH 9\r\na7 OK\r\n",
            "* 2 FETCH (UID 9 RFC822.SIZE 1)\r\na8 OK\r\n",
            "* 2 FETCH (UID 9 BODY[] \"x\")\r\na9 OK\r\n",
            "a10 OK\r\n",
        ],
    );
    let (output, heard) = run(json!({ "mark_seen": true }), &memory, &says);
    assert_eq!(output.unwrap()["messages"], 1);
    assert!(heard.contains("a4 SELECT \"INBOX\"\r\na5 UID STORE 2:3 +FLAGS.SILENT (\\Seen)\r\n"), "{heard}");
    assert!(heard.contains("a10 UID STORE 9 +FLAGS.SILENT (\\Seen)\r\n"), "{heard}");
    assert_eq!(memory.cursor.borrow().clone().unwrap(), cursor(9));
    // Lost between the two: the mail is captured, and known to be unmarked.
    let memory = Memory::default();
    *memory.cursor.borrow_mut() = Some(cursor(3));
    let says = after(
        &HELLO,
        &[
            open,
            "* 2 FETCH (UID 9)\r\na5 OK\r\n",
            "* SEARCH 9\r\na6 OK\r\n",
            "* 2 FETCH (UID 9 RFC822.SIZE 1)\r\na7 OK\r\n",
            "* 2 FETCH (UID 9 BODY[] \"x\")\r\na8 OK\r\n",
        ],
    );
    let (output, _) = run(json!({ "mark_seen": true }), &memory, &says);
    assert_eq!(output.unwrap_err().kind, FailureKind::Unavailable);
    assert_eq!(memory.cursor.borrow().clone().unwrap(), Cursor { marking: vec![9], ..cursor(9) });
    let read_only = after(&HELLO, &[OPEN]);
    let (output, _) = run(json!({ "mark_seen": true }), &Memory::default(), &read_only);
    assert_eq!(output.unwrap_err().kind, FailureKind::Rejected);
}

#[test]
fn what_a_server_may_say_instead_is_a_failure_of_its_kind() {
    let hello = HELLO[0];
    let can = HELLO[1];
    for (says, kind) in [
        (vec!["HTTP/1.1 400 Bad Request\r\n"], FailureKind::BadResponse),
        (vec!["* BYE too many\r\n"], FailureKind::Unavailable),
        (vec!["* 1 EXISTS\r\n"], FailureKind::BadResponse),
        (vec![""], FailureKind::Unavailable),
        (vec![hello, "* CAPABILITY IMAP4rev1 LOGINDISABLED\r\na1 OK\r\n"], FailureKind::Unauthenticated),
        (vec![hello, can, "a2 NO who\r\n"], FailureKind::Unauthenticated),
        (vec![hello, can, "a2 NO [UNAVAILABLE] later\r\n"], FailureKind::Unavailable),
        (vec![hello, can, "a2 BAD what\r\n"], FailureKind::Rejected),
        (vec![hello, can, "+ more\r\n"], FailureKind::BadResponse),
        (vec![hello, can, "a9 OK\r\n", "a8 OK\r\n"], FailureKind::Unavailable),
        (vec![hello, can, "* BYE bye\r\n"], FailureKind::Unavailable),
        (after(&HELLO, &["a4 NO [NONEXISTENT] none\r\n"]), FailureKind::Rejected),
        (after(&HELLO, &["a4 NO [INUSE] later\r\n"]), FailureKind::Unavailable),
        (after(&HELLO, &["a4 OK done\r\n"]), FailureKind::BadResponse),
        (after(&HELLO, &["a5 OK done\r\n"]), FailureKind::BadResponse),
        (after(&HELLO, &[OPEN, "* 2 FETCH (UID 9 X {5000}\r\n"]), FailureKind::BadResponse),
    ] {
        let failure = run(json!({}), &Memory::default(), &says).0.unwrap_err();
        assert_eq!(failure.kind, kind, "{says:?}: {}", failure.message);
        let retries = matches!(failure.advice, Advice::Retry);
        assert!(retries || matches!(failure.advice, Advice::GiveUp), "{says:?}: nothing is in doubt");
    }
    let endless = "* 1 RECENT\r\n".repeat(20_000);
    let failure = run(json!({}), &Memory::default(), &after(&HELLO, &[&endless])).0.unwrap_err();
    assert_eq!(failure.kind, FailureKind::BadResponse, "{}", failure.message);
}

#[test]
fn the_password_is_said_as_the_server_wants_it() {
    // One that asks first.
    let asks = [HELLO[0], "* CAPABILITY AUTH=PLAIN\r\na1 OK\r\n", "+ \r\n", "a2 NO\r\n"];
    let (_, heard) = run(json!({}), &Memory::default(), &asks);
    assert!(heard.ends_with("a2 AUTHENTICATE PLAIN\r\nAHUAcA==\r\n"), "{heard}");
    // One that knows LOGIN only, with what no quotes can hold.
    let login = [HELLO[0], "* CAPABILITY IMAP4rev1\r\na1 OK\r\n", "+ go\r\n", "a2 NO\r\n"];
    let (_, heard) = run(json!({ "password": "pä\"s" }), &Memory::default(), &login);
    assert!(heard.ends_with("a2 LOGIN \"u\" {5}\r\npä\"s\r\n"), "{heard}");
    let (output, heard) = run(json!({ "password": "p\0s" }), &Memory::default(), &login);
    assert_eq!(output.unwrap_err().kind, FailureKind::InvalidConfig);
    assert!(heard.is_empty());
}

#[test]
fn without_starttls_nothing_is_said() {
    for says in [
        vec![HELLO[0], HELLO[1]],
        // Known already, in the clear: then nobody would be asked for TLS.
        vec!["* PREAUTH hi\r\n", "* CAPABILITY STARTTLS\r\na1 OK\r\n"],
    ] {
        let (output, heard) = run(json!({ "security": "starttls" }), &Memory::default(), &says);
        assert_eq!(output.unwrap_err().kind, FailureKind::InvalidConfig);
        assert_eq!(heard, "a1 CAPABILITY\r\n");
    }
    let injected = [HELLO[0], "* CAPABILITY STARTTLS\r\na1 OK\r\n", "a2 OK go\r\n* CAPABILITY AUTH=PLAIN\r\n"];
    let (output, heard) = run(json!({ "security": "starttls" }), &Memory::default(), &injected);
    assert_eq!(output.unwrap_err().kind, FailureKind::BadResponse);
    assert!(!heard.contains("AUTHENTICATE"), "{heard}");
}
