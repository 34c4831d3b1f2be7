//! Only what is new is captured: what the remote is asked, and what is made of what it says.

use std::cell::{Cell, RefCell};

use action_protocol::capture::CaptureError;
use action_protocol::{Failure, FailureKind, HttpRequest, HttpResponse, Payload};
use serde_json::{Value, json};

use super::{answer, call, header};
use crate::poll::{Keeper, Known, execute};

/// Keeps what comes in memory, as the service would.
#[derive(Default)]
struct Memory {
    known: RefCell<Option<Known>>,
    items: RefCell<Vec<(String, Payload)>>,
    checkpoints: Cell<u32>,
}

impl Keeper for Memory {
    fn known(&self) -> Result<Option<Known>, Failure> {
        Ok(self.known.borrow().clone())
    }

    fn emit(&self, _: &str, key: &str, content: Payload) -> Result<(), CaptureError> {
        let mut items = self.items.borrow_mut();
        if items.iter().all(|(known, _)| known != key) {
            items.push((key.to_owned(), content));
        }
        Ok(())
    }

    fn checkpoint(&self) -> Result<(), CaptureError> {
        self.checkpoints.set(self.checkpoints.get() + 1);
        Ok(())
    }

    fn know(&self, known: &Known) -> Result<(), Failure> {
        *self.known.borrow_mut() = Some(known.clone());
        Ok(())
    }
}

impl Memory {
    /// Looks once; gives the result and what the remote was asked.
    fn look(&self, changes: Value, response: HttpResponse) -> (Result<Value, Failure>, HttpRequest) {
        let mut config = json!({ "url": "https://a.example/x", "poll": {} });
        config.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        let call = call(config, &json!(null));
        let asked = RefCell::new(None);
        let transport = |request: &HttpRequest| {
            *asked.borrow_mut() = Some(request.clone());
            Ok(response.clone())
        };
        let outcome = execute(&call, call.config.poll.as_ref().unwrap(), &transport, self);
        let output = outcome.map(|outcome| serde_json::from_slice(&outcome.output.data).unwrap());
        (output, asked.into_inner().unwrap())
    }

    fn result(&self, changes: Value, response: HttpResponse) -> String {
        let output = self.look(changes, response).0.unwrap();
        let schema = jsonschema::draft202012::new(&crate::output::poll_schema()).unwrap();
        assert!(schema.is_valid(&output), "{output}");
        output["result"].as_str().unwrap().to_owned()
    }

    fn keys(&self) -> Vec<String> {
        self.items.borrow().iter().map(|(key, _)| key.clone()).collect()
    }
}

fn with(etag: Option<&str>, body: &str) -> HttpResponse {
    let headers: Vec<(&str, &str)> = etag.iter().map(|etag| ("ETag", *etag)).collect();
    answer(200, &headers, body)
}

#[test]
fn the_remote_is_shown_what_it_said_and_may_say_that_nothing_is_new() {
    let memory = Memory::default();
    let dated = answer(200, &[("ETag", "\"1\""), ("Last-Modified", "Mon, 23 Nov 2026 05:08:00 GMT")], "a");
    let (output, asked) = memory.look(json!({}), dated);
    assert_eq!(output.unwrap(), json!({ "result": "captured", "status": 200, "items": 1 }));
    assert_eq!((header(&asked, "if-none-match"), header(&asked, "if-modified-since")), (None, None));
    let (output, asked) = memory.look(json!({}), answer(304, &[], ""));
    assert_eq!(output.unwrap(), json!({ "result": "not_modified", "status": 304, "items": 0 }));
    assert_eq!(header(&asked, "if-none-match"), Some("\"1\""));
    assert_eq!(header(&asked, "if-modified-since"), Some("Mon, 23 Nov 2026 05:08:00 GMT"));
    assert_eq!(memory.result(json!({}), with(Some("W/\"2\""), "b")), "captured");
    let (_, asked) = memory.look(json!({}), answer(304, &[], ""));
    assert_eq!(header(&asked, "if-none-match"), Some("W/\"2\""));
    assert_eq!(header(&asked, "if-modified-since"), None, "what the last answer did not say is forgotten");
    assert_eq!(memory.keys(), ["1/\"1\"", "2/W/\"2\""]);
    let envelope: Value = serde_json::from_slice(&memory.items.borrow()[1].1.data).unwrap();
    assert_eq!((&envelope["status"], &envelope["body"]), (&json!(200), &json!("b")));
}

#[test]
fn an_answer_that_is_the_same_is_not_new_and_one_that_comes_back_is() {
    let memory = Memory::default();
    for (etag, body, expected) in [
        (None, "a", "captured"),
        (None, "a", "unchanged"),
        (None, "b", "captured"),
        (None, "a", "captured"),
        // Servers behind one name may call the same answer by other names.
        (Some("\"x\""), "a", "unchanged"),
        (Some("\"y\""), "a", "unchanged"),
        // By what it says, it is the same but for what does not matter.
        (Some("\"y\""), "a ", "unchanged"),
        (Some("\"z\""), "c", "captured"),
    ] {
        assert_eq!(memory.result(json!({}), with(etag, body)), expected, "{etag:?} {body}");
    }
    assert_eq!(memory.keys().len(), 4);
    assert_eq!(memory.known.borrow().as_ref().unwrap().count, 4);
}

#[test]
fn what_is_known_is_about_one_thing() {
    let memory = Memory::default();
    let secret = |digit: &str| json!({ "query": { "key": format!("sec_{}", digit.repeat(32)) } });
    memory.look(secret("a"), with(Some("\"1\""), "a")).0.unwrap();
    let (_, asked) = memory.look(secret("b"), answer(304, &[], ""));
    assert_eq!(header(&asked, "if-none-match"), Some("\"1\""), "a secret has another handle in each attempt");
    let elsewhere = json!({ "url": "https://a.example/y" });
    let (output, asked) = memory.look(elsewhere.clone(), with(Some("\"1\""), "a"));
    assert_eq!(output.unwrap()["result"], "captured", "the same words about something else");
    assert_eq!(header(&asked, "if-none-match"), None);
    assert_eq!(memory.keys(), ["1/\"1\"", "2/\"1\""]);
    let languages = json!({ "url": "https://a.example/y", "headers": { "Accept-Language": "de" } });
    assert_eq!(memory.result(languages, with(Some("\"1\""), "a")), "captured");
}

#[test]
fn a_list_is_taken_apart_and_each_entry_is_known_by_its_key() {
    let memory = Memory::default();
    let poll = json!({ "poll": { "kind": "order", "items": "/data/or~1ders", "key": "/meta/0" } });
    let list = |entries: &str| with(None, &format!("{{\"data\": {{\"or/ders\": [{entries}]}}, \"at\": 1}}"));
    let big = r#"{"meta": [12345678901234567890123], "x": 1.50}"#;
    assert_eq!(memory.result(poll.clone(), list(&format!(r#"{{"meta": ["a"]}}, {big}"#))), "captured");
    assert_eq!(memory.keys(), ["a", "12345678901234567890123"]);
    assert_eq!(memory.items.borrow()[1].1.data, big.as_bytes(), "as it was written");
    let (output, _) = memory.look(poll.clone(), list(r#"{"meta": ["b"]}, {"meta": ["a"], "new": true}"#));
    assert_eq!(output.unwrap()["items"], 2);
    assert_eq!(memory.keys().len(), 3, "an entry is new by its key");
    let long = format!(r#"{{"meta": ["{}"]}}"#, "k".repeat(600));
    memory.look(poll, list(&long)).0.unwrap();
    assert!(memory.keys()[3].starts_with("sha256:"));

    let memory = Memory::default();
    let whole = json!({ "poll": { "items": "" } });
    let numbers: Vec<u32> = (0..5_001).collect();
    memory.look(whole.clone(), with(None, &json!(numbers).to_string())).0.unwrap();
    assert_eq!((memory.keys().len(), memory.checkpoints.get()), (5_001, 1));
    memory.look(whole, with(None, "[1, 2, 7000]")).0.unwrap();
    assert_eq!(memory.keys().len(), 5_002, "without a key an entry is known by its text");
}

#[test]
fn an_answer_that_does_not_fit_is_a_failure_and_is_not_known() {
    let memory = Memory::default();
    let poll = json!({ "poll": { "items": "/list", "key": "/id" } });
    for body in [
        "no JSON",
        "[]",
        "{}",
        r#"{"list": 1}"#,
        r#"{"list": [{}]}"#,
        r#"{"list": [{"id": null}]}"#,
        r#"{"list": [{"id": {}}]}"#,
        r#"{"list": [1]}"#,
        r#"{"list": {"0": {"id": 1}}}"#,
    ] {
        let failure = memory.look(poll.clone(), with(Some("\"1\""), body)).0.unwrap_err();
        assert_eq!(failure.kind, FailureKind::BadResponse, "{body}");
    }
    let failure = memory.look(json!({}), answer(500, &[("ETag", "\"1\"")], "")).0.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Unavailable);
    let failure = memory.look(json!({}), answer(304, &[], "")).0.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Rejected, "nobody asked whether it is new");
    assert!(memory.known.borrow().is_none() && memory.keys().is_empty());
}

#[test]
fn head_is_known_by_what_is_said_of_the_body() {
    let memory = Memory::default();
    let head = json!({ "method": "HEAD" });
    assert_eq!(memory.result(head.clone(), with(Some("\"1\""), "")), "captured");
    assert_eq!(memory.result(head.clone(), with(Some("\"1\""), "")), "unchanged");
    assert_eq!(memory.result(head.clone(), with(Some("\"2\""), "")), "captured");
    assert_eq!(memory.look(head, with(None, "")).0.unwrap_err().kind, FailureKind::BadResponse);
}

#[test]
fn a_validator_that_is_no_header_is_not_shown() {
    let memory = Memory::default();
    for etag in ["x".repeat(2_000), "a\u{1}b".to_owned()] {
        memory.look(json!({}), with(Some(&etag), &etag)).0.unwrap();
        let (_, asked) = memory.look(json!({}), with(None, &etag));
        assert_eq!(header(&asked, "if-none-match"), None);
    }
}
