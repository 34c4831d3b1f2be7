//! Answers become outputs.

use action_protocol::HttpResponse;
use serde_json::{Value, json};

use super::{answer, execute, execute_in_turn};

fn envelope(response: HttpResponse) -> Value {
    let output = execute(json!({ "url": "https://a.example/" }), response).unwrap().output;
    assert_eq!(output.content_type, "application/json");
    let value: Value = serde_json::from_slice(&output.data).unwrap();
    let schema = jsonschema::draft202012::new(&crate::output::envelope_schema()).unwrap();
    assert!(schema.is_valid(&value), "{value}");
    value
}

fn body_of(content_type: &str, body: impl Into<Vec<u8>>) -> (Value, String) {
    let mut value = envelope(answer(200, &[("Content-Type", content_type)], body));
    let encoding = value["body_encoding"].as_str().unwrap().to_owned();
    (value["body"].take(), encoding)
}

#[test]
fn json_is_embedded_as_it_is() {
    let (body, encoding) = body_of("application/problem+json; charset=utf-8", r#" {"a": [1, 12345678901234567890]} "#);
    assert_eq!((body, encoding.as_str()), (json!({ "a": [1, 12_345_678_901_234_567_890_u64] }), "json"));
    let (body, encoding) = body_of("application/json", r#"{"cut": "#);
    assert_eq!((body, encoding.as_str()), (json!("{\"cut\": "), "text"));
}

#[test]
fn text_is_a_string_and_bytes_are_base64() {
    assert_eq!(body_of("text/html", "<p>ä"), (json!("<p>ä"), "text".into()));
    assert_eq!(body_of("", "plain"), (json!("plain"), "text".into()));
    assert_eq!(body_of("image/svg+xml", "<svg/>"), (json!("<svg/>"), "text".into()));
    assert_eq!(body_of("text/plain; charset=ISO-8859-1", vec![0xe4]), (json!("ä"), "text".into()));
    assert_eq!(body_of("image/png", vec![0, 255]), (json!("AP8="), "base64".into()));
    assert_eq!(body_of("text/plain", vec![0xff]), (json!("/w=="), "base64".into()));
    assert_eq!(body_of("application/json", ""), (Value::Null, "none".into()));
}

#[test]
fn headers_are_joined_but_for_cookies() {
    let headers = [("X-A", "1"), ("x-a", "2"), ("Set-Cookie", "a=1, x"), ("set-cookie", "b=2")];
    let value = envelope(answer(204, &headers, ""));
    assert_eq!(value["headers"], json!({ "x-a": "1, 2", "set-cookie": ["a=1, x", "b=2"] }));
    assert_eq!(value["status"], 204);
    assert!(value.get("url").is_none());
}

#[test]
fn the_output_can_be_the_body_alone() {
    let config = json!({ "url": "https://a.example/", "output": "body" });
    let output = execute(config.clone(), answer(200, &[("Content-Type", "image/png")], vec![0, 255])).unwrap().output;
    assert_eq!((output.content_type.as_str(), output.data), ("image/png", vec![0, 255]));
    let output = execute(config, answer(200, &[], "")).unwrap().output;
    assert_eq!(output.content_type, "application/octet-stream");
}

#[test]
fn redirects_are_followed_when_reading() {
    let answers = vec![Ok(answer(302, &[("Location", "/b?c")], "")), Ok(answer(200, &[], "x"))];
    let (result, asked) = execute_in_turn(json!({ "url": "https://a.example/a" }), answers);
    let value: Value = serde_json::from_slice(&result.unwrap().output.data).unwrap();
    assert_eq!(value["url"], "https://a.example/b?c");
    assert_eq!(asked.len(), 2);
}

#[test]
fn an_expected_redirect_is_an_answer() {
    let config = json!({ "url": "https://a.example/", "method": "POST", "expect": [302] });
    let value = execute(config, answer(302, &[("Location", "/done")], "")).unwrap().output;
    assert!(String::from_utf8(value.data).unwrap().contains("/done"));
}
