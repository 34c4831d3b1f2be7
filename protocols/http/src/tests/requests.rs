//! Config and input become a request.

use action_protocol::Payload;
use serde_json::{Value, json};

use super::{call_with, header, refusal, request};

fn body(config: Value, input: &Value) -> String {
    String::from_utf8(request(config, input).body.unwrap()).unwrap()
}

#[test]
fn a_url_alone_is_a_get() {
    let request = request(json!({ "url": "https://a.example/x?y=1" }), &json!({ "z": 1 }));
    assert_eq!((request.method.as_str(), request.url.as_str()), ("GET", "https://a.example/x?y=1"));
    assert!(request.body.is_none() && request.timeout_ms.is_none() && request.tls.is_none());
    assert!(header(&request, "Idempotency-Key").is_none());
    assert!(header(&request, "traceparent").unwrap().starts_with("00-0af7"));
    assert!(header(&request, "User-Agent").unwrap().starts_with("action-service-http/"));
}

#[test]
fn values_in_the_url_are_encoded_and_stay_in_their_place() {
    let config = json!({ "url": "https://a.example/o/{{ id }}/x?q={{ q }}&n={{ n }}" });
    let input = json!({ "id": "a/b c?", "q": "1&x=ä", "n": 7 });
    assert_eq!(request(config, &input).url, "https://a.example/o/a%2Fb%20c%3F/x?q=1%26x%3D%C3%A4&n=7");
    for id in ["..", ".", ""] {
        let config = json!({ "url": "https://a.example/orders/{{ id }}" });
        assert!(refusal(config, &json!({ "id": id })).contains("/url"), "{id}");
    }
    let config = json!({ "url": "https://a.example/orders/.{{ id }}/x" });
    assert!(refusal(config, &json!({ "id": "." })).contains("out of the path"));
    let config = json!({ "url": "https://a.example/orders/{{ id? }}" });
    assert_eq!(request(config, &json!({})).url, "https://a.example/orders/");
}

#[test]
fn query_parameters_are_added_to_those_of_the_url() {
    let config = json!({
        "url": "https://a.example/?a=1",
        "query": { "b c": "x y", "list": [1, true, "{{ t }}"], "all": "{{ tags }}", "no": "{{ none? }}", "e": [] },
    });
    let url = request(config, &json!({ "t": "T", "tags": ["p", 2] })).url;
    assert_eq!(url, "https://a.example/?a=1&all=p&all=2&b%20c=x%20y&list=1&list=true&list=T");
    let config = json!({ "url": "https://a.example", "query": { "a": 1 } });
    assert_eq!(request(config, &json!({})).url, "https://a.example?a=1");
}

#[test]
fn json_bodies_take_over_values_of_any_type() {
    let config = json!({
        "url": "https://a.example/", "method": "POST",
        "body": { "json": {
            "whole": "{{ . }}", "list": "{{ l }}", "text": "n={{ n }}", "missing": "{{ x? }}",
            "deep": [{ "a": "{{ l.1.b }}" }], "fixed": 1, "about": "{{ @execution }}", "attempt": "{{ @attempt }}",
            "braces": "{{ \"{{\" }}a}}",
        } },
    });
    let input = json!({ "l": [1, { "b": null }], "n": 1.5 });
    let sent: Value = serde_json::from_str(&body(config, &input)).unwrap();
    let expected = json!({
        "whole": input, "list": [1, { "b": null }], "text": "n=1.5", "missing": null,
        "deep": [{ "a": null }], "fixed": 1, "about": "exe_1", "attempt": 2, "braces": "{{a}}",
    });
    assert_eq!(sent, expected);
}

#[test]
fn what_cannot_be_filled_in_says_where() {
    let with = |json: Value| json!({ "url": "https://a.example/", "method": "POST", "body": { "json": json } });
    let message = refusal(with(json!({ "a/b": ["{{ x.y }}"] })), &json!({ "x": 1 }));
    assert!(message.contains("/body/json/a~1b/0") && message.contains("{{ x.y }}"), "{message}");
    assert!(refusal(with(json!("a {{ o }}")), &json!({ "o": {} })).contains("object"));
    assert!(refusal(with(json!("a {{ o }}")), &json!({ "o": [] })).contains("list"));
    assert!(refusal(with(json!("a {{ o }}")), &json!({ "o": null })).contains("null"));
    assert!(refusal(with(json!("{{ 01 }}")), &json!(["a", "b"])).contains("nothing"));
}

#[test]
fn other_bodies() {
    let with = |body: Value| json!({ "url": "https://a.example/", "method": "POST", "body": body });
    let form = with(json!({ "form": { "a b": "{{ x }}", "l": [1, "&"] } }));
    assert_eq!(body(form.clone(), &json!({ "x": "ü" })), "a%20b=%C3%BC&l=1&l=%26");
    let sent = request(form, &json!({ "x": "ü" }));
    assert_eq!(header(&sent, "content-type"), Some("application/x-www-form-urlencoded"));
    assert_eq!(body(with(json!({ "text": "<{{ . }}>" })), &json!({ "x": 1 })), "<{\"x\":1}>");
    assert_eq!(body(with(json!({ "base64": "{{ f }}" })), &json!({ "f": "aGk=" })), "hi");
    assert!(refusal(with(json!({ "base64": "{{ f }}" })), &json!({ "f": "?" })).contains("base64"));
    assert!(request(with(json!("none")), &json!({})).body.is_none());
}

#[test]
fn the_input_is_passed_on_unread() {
    let input = Payload::bytes("image/png", vec![0, 255, 1]);
    let call = call_with(json!({ "url": "https://a.example/", "method": "PUT" }), input);
    let request = crate::request::build(&call).unwrap();
    assert_eq!(request.body.as_deref(), Some([0, 255, 1].as_slice()));
    assert_eq!(header(&request, "Content-Type"), Some("image/png"));
    let input = Payload::bytes("text/plain", vec![b'x']);
    let config = json!({ "url": "https://a.example/", "method": "PUT", "headers": { "content-type": "a/b" } });
    let request = crate::request::build(&call_with(config, input)).unwrap();
    assert_eq!(header(&request, "Content-Type"), Some("a/b"));
}

#[test]
fn inputs_that_are_not_json() {
    let config = || json!({ "url": "https://a.example/", "method": "POST", "body": { "json": { "t": "{{ . }}" } } });
    let built = |input| crate::request::build(&call_with(config(), input));
    let sent = built(Payload::text("héllo")).unwrap().body.unwrap();
    assert_eq!(sent, r#"{"t":"héllo"}"#.as_bytes());
    for input in [
        Payload::bytes("application/json", b"{".to_vec()),
        Payload::bytes("image/png", b"1".to_vec()),
        Payload::bytes("text/plain", vec![0xff]),
    ] {
        assert!(built(input).is_err());
    }
}

#[test]
fn headers_are_filled_in_and_cannot_be_split() {
    let with =
        |value: &str| json!({ "url": "https://a.example/", "headers": { "X-A": value, "X-L": ["1", "{{ l }}"] } });
    let request = request(with("<{{ a }}>"), &json!({ "a": "b", "l": ["2", "3"] }));
    let values: Vec<_> = request.headers.iter().filter(|h| h.name == "X-L").map(|h| h.value.clone()).collect();
    assert_eq!(header(&request, "X-A"), Some("<b>"));
    assert_eq!(values, [b"1", b"2", b"3"]);
    let message = refusal(with("{{ a }}"), &json!({ "a": "b\r\nX-Evil: 1", "l": 1 }));
    assert!(message.contains("/headers/X-A"), "{message}");
}

#[test]
fn the_idempotency_key_goes_along_unless_switched_off() {
    let key = |config: Value| header(&request(config, &json!({})), "Idempotency-Key").map(str::to_owned);
    let url = "https://a.example/";
    assert_eq!(key(json!({ "url": url, "method": "POST" })).as_deref(), Some("key-1"));
    assert_eq!(key(json!({ "url": url, "method": "DELETE" })).as_deref(), Some("key-1"));
    assert_eq!(key(json!({ "url": url, "method": "HEAD" })), None);
    assert_eq!(key(json!({ "url": url, "idempotency": "keyed" })).as_deref(), Some("key-1"));
    assert_eq!(key(json!({ "url": url, "method": "POST", "idempotency": "off" })), None);
    let own = json!({ "url": url, "method": "POST", "headers": { "idempotency-key": "mine" } });
    assert_eq!(key(own).as_deref(), Some("mine"));
    let named = request(json!({ "url": url, "method": "POST", "idempotency_header": "X-Key" }), &json!({}));
    assert_eq!(header(&named, "X-Key"), Some("key-1"));
}

#[test]
fn credentials_are_handles_in_their_places() {
    let basic = json!({ "url": "https://a.example/", "auth": { "basic": { "username": "u", "password": "h" } } });
    assert_eq!(header(&request(basic, &json!({})), "Authorization"), Some("Basic dTpo"));
    let bearer = json!({ "url": "https://a.example/", "auth": { "bearer": { "token": "h" } } });
    assert_eq!(header(&request(bearer, &json!({})), "Authorization"), Some("Bearer h"));
}

#[test]
fn the_rest_is_handed_over() {
    let config = json!({
        "url": "https://a.example/", "method": "M-SEARCH", "timeout_ms": 5, "traceparent": false,
        "tls": { "extra_roots": "R", "server_name": "n", "client_certificate": { "chain": "C", "key": "K" } },
    });
    let request = request(config, &json!({}));
    let tls = request.tls.as_ref().unwrap();
    let identity = tls.client_identity.as_ref().unwrap();
    assert_eq!((request.method.as_str(), request.timeout_ms), ("M-SEARCH", Some(5)));
    assert_eq!((tls.extra_roots.as_deref(), tls.server_name.as_deref()), (Some("R"), Some("n")));
    assert_eq!((identity.chain.as_str(), identity.key.as_str()), ("C", "K"));
    assert!(header(&request, "traceparent").is_none());
}
