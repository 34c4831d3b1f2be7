//! Responses are read, however they come, and what is none is refused.

use action_protocol::OutboundError;
use action_protocol::net::{Address, Deadline, Script, Stream};

use crate::response::{Fetched, Response, Said, Status, line, parse, rest};

fn read(pieces: &[&[u8]]) -> Result<Vec<u8>, OutboundError> {
    let script = Script::new(pieces.iter().map(|piece| piece.to_vec()));
    let address = Address { host: "a.example".into(), port: 1 };
    let mut stream = Stream::open(&script, &address, None, Deadline::after_ms(60_000)).unwrap();
    let first = line(&mut stream)?;
    rest(&mut stream, first, 100)
}

fn said(code: Option<&str>, argument: &str, text: &str) -> Said {
    Said { code: code.map(str::to_owned), argument: argument.into(), text: text.into() }
}

#[test]
fn responses_are_what_rfc_3501_says() {
    for (text, expected) in [
        ("* OK [UIDVALIDITY 7] kept", Response::Told(Status::Ok, said(Some("UIDVALIDITY"), "7", "kept"))),
        ("* ok hello [x]", Response::Told(Status::Ok, said(None, "", "hello [x]"))),
        ("* BYE", Response::Told(Status::Bye, said(None, "", ""))),
        ("* PREAUTH hi", Response::Told(Status::PreAuth, said(None, "", "hi"))),
        ("* CAPABILITY IMAP4rev1 idle", Response::Capability(vec!["IMAP4REV1".into(), "IDLE".into()])),
        ("* 23 EXISTS", Response::Exists(23)),
        ("* 3 EXPUNGE", Response::Expunge),
        ("* 3 RECENT", Response::Other),
        ("* FLAGS (\\Seen)", Response::Other),
        ("* LIST (\\Noselect) \"/\" \"\"", Response::Other),
        ("* SEARCH", Response::Search(vec![])),
        ("* SEARCH 2 3 6 (MODSEQ 917162500)", Response::Search(vec![2, 3, 6])),
        ("+ idling", Response::GoOn("idling".into())),
        ("+", Response::GoOn(String::new())),
        (
            "a12 NO [AUTHENTICATIONFAILED] no",
            Response::Done {
                tag: "a12".into(),
                status: Status::No,
                said: said(Some("AUTHENTICATIONFAILED"), "", "no"),
            },
        ),
    ] {
        assert_eq!(parse(text.as_bytes()), Ok(expected), "{text}");
    }
}

#[test]
fn a_mail_is_read_whatever_the_order_of_what_is_told() {
    let whole = |body: &[u8]| {
        Ok(Response::Fetch(Fetched {
            uid: Some(7),
            size: Some(5),
            internal_date: Some("17-Jul-1996 02:44:25 -0700".into()),
            flags: vec!["\\Seen".into(), "$x".into()],
            body: Some(body.to_vec()),
        }))
    };
    let literal = b"* 1 FETCH (FLAGS (\\Seen $x) BODY[]<0> {5}\r\n)\"\\{9 UID 7 RFC822.SIZE 5 INTERNALDATE \"17-Jul-1996 02:44:25 -0700\")";
    assert_eq!(parse(literal), whole(b")\"\\{9"));
    let quoted = b"* 1 FETCH (INTERNALDATE \"17-Jul-1996 02:44:25 -0700\" UID 7 BODY[HEADER.FIELDS (A B)] \"a\\\"\\\\\" X-MORE (1 (\"(\" NIL) {1}\r\n() FLAGS (\\Seen $x) RFC822.SIZE 5)";
    assert_eq!(parse(quoted), whole(b"a\"\\"));
    let gone = parse(b"* 1 FETCH (UID 7 BODY[] NIL)");
    assert_eq!(gone, Ok(Response::Fetch(Fetched { uid: Some(7), ..Fetched::default() })));
}

#[test]
fn what_is_no_response_is_refused() {
    let deep = format!("* 1 FETCH (X {}{})", "(".repeat(1_000), ")".repeat(1_000));
    for text in [
        "HTTP/1.1 400 Bad Request",
        "220 mail.example.com ESMTP",
        "\u{15}\u{3}\u{1}",
        "",
        "a1",
        "a1 MAYBE",
        "a1 BYE x",
        "* 1 FETCH",
        "* 1 FETCH 7",
        "* 1 FETCH (UID",
        "* 1 FETCH (UID 7",
        "* 1 FETCH (UID 7 BODY[] \"x)",
        "* 1 FETCH (UID 7 BODY[] {5}\r\nabc)",
        "* 1 FETCH (UID 7 BODY[] (a))",
        "* 1 FETCH (UID 7 BODY[] {99999999999999999999}\r\n)",
        "* SEARCH 1 x",
        "* SEARCH 99999999999",
        deep.as_str(),
    ] {
        assert!(parse(text.as_bytes()).is_err(), "{text}");
    }
}

#[test]
fn what_is_announced_comes_in_any_pieces() {
    let whole: &[u8] = b"* 1 FETCH (A {3}\r\na\r\n B {4+}\r\n{9}\r C \"x\")\r\n* 2 EXISTS\r\n";
    let expected = b"* 1 FETCH (A {3}\r\na\r\n B {4+}\r\n{9}\r C \"x\")";
    assert_eq!(read(&[whole]).unwrap(), expected);
    let bytes: Vec<&[u8]> = whole.chunks(1).collect();
    assert_eq!(read(&bytes).unwrap(), expected);
    // Text for people announces nothing.
    assert_eq!(read(&[b"* OK braces {5}\r\n"]).unwrap(), b"* OK braces {5}");
    assert_eq!(read(&[b"a1 NO braces {5}\r\n"]).unwrap(), b"a1 NO braces {5}");
}

#[test]
fn nothing_is_longer_than_it_may_be() {
    let bad = |pieces: &[&[u8]]| matches!(read(pieces), Err(OutboundError::BadResponse(_)));
    assert!(bad(&[&vec![b'x'; 600 << 10]]), "a line without end");
    assert!(bad(&[b"* 1 FETCH (A {101}\r\n"]));
    assert!(bad(&[b"* 1 FETCH (A {51}\r\n", &[b'x'; 51], b" B {51}\r\n"]), "all together");
    assert!(bad(&[b"* 1 FETCH (A {99999999999999999999999}\r\n"]));
    let blanks = vec![b' '; 300 << 10];
    let more: Vec<u8> = [&b" {0}\r\n"[..], &blanks, b"{0}\r\n", &blanks, b"\r\n"].concat();
    assert!(bad(&[b"* 1 FETCH (A {0}\r\n", &more]), "many lines");
    assert!(matches!(read(&[b"* 1 FETCH (A {5}\r\nabc"]), Err(OutboundError::Closed)));
}
