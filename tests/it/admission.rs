//! What may become a protocol, and what may not.

use crate::kit::{Service, components, fixture};
use reqwest::Method;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn the_same_bytes_again_are_the_same_protocol_and_versions_are_immutable() {
    let service = Service::start().await;
    let api = &service.private;
    let first = api.upload(fixture("noop")).await;
    let protocol = first.json(201);
    assert_eq!(first.header("location"), "/v1/protocols/noop/0.1.0");
    assert_eq!(api.upload(fixture("noop")).await.json(200)["digest"], protocol["digest"]);
    // A custom section more: other bytes, same name and version.
    let mut other = fixture("noop");
    other.extend([0, 3, 1, b'x', b'y']);
    api.upload(other).await.problem(409, "version_exists");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_protocol_is_refused_with_every_reason_and_leaves_only_its_event() {
    let service = Service::start().await;
    let api = &service.private;
    for (component, reason) in [
        (b"not wasm at all".to_vec(), "invalid_component"),
        (components::core_module(), "core_module"),
        (fixture("wrong-world"), "missing_export"),
        (fixture("forbidden-import"), "unknown_import"),
        (fixture("loop-in-describe"), "describe_fuel_exhausted"),
        (fixture("trap-in-describe"), "describe_trapped"),
    ] {
        let answer = api.upload(component).await;
        let errors = answer.problem(422, "component_refused");
        assert!(
            errors.iter().any(|error| error.ends_with(reason)),
            "{reason}: {}",
            String::from_utf8_lossy(&answer.body)
        );
    }
    let forbidden = api.upload(fixture("forbidden-import")).await;
    assert!(String::from_utf8_lossy(&forbidden.body).contains("evil:host/backdoor"));
    let errors = api.upload(fixture("lying-descriptor")).await.problem(422, "component_refused");
    let pointers: Vec<&str> = errors.iter().map(|error| error.split(' ').next().unwrap()).collect();
    for pointer in ["/name", "/version", "/summary", "/input_schema", "/test_methods/0"] {
        assert!(pointers.contains(&pointer), "{pointer} in {errors:?}");
    }
    api.upload(fixture("invalid-schema")).await.problem(422, "component_refused");
    let listed = api.get("/v1/protocols?limit=500").await.json(200);
    assert_eq!(listed["items"], json!([]), "no more than the built-in ones, which nobody has asked for");
    let refusals = api.get("/v1/events?type=protocol_refused&limit=500").await.json(200);
    assert_eq!(refusals["items"].as_array().unwrap().len(), 9);
}

#[tokio::test(flavor = "multi_thread")]
async fn bombs_of_types_and_of_code_are_refused_and_the_service_goes_on() {
    let service = Service::start().await;
    let api = &service.private;
    api.upload(components::many_types(100_000)).await.problem(422, "component_refused");
    let bomb = components::compile_bomb();
    let (refused, healthy) = tokio::join!(api.upload(bomb), api.get("/healthz"));
    assert!(healthy.status.is_success());
    let errors = refused.problem(422, "component_refused");
    assert!(errors.iter().any(|error| error.ends_with("compile_too_expensive")), "{errors:?}");
    api.upload(fixture("noop")).await.json(201);
}

#[tokio::test(flavor = "multi_thread")]
async fn there_is_no_way_out_in_describe_and_validate_config() {
    let service = Service::start().await;
    let api = &service.private;
    let protocol = api.upload(fixture("network-in-describe")).await.json(201);
    assert!(!protocol["summary"].as_str().unwrap().contains("answered"), "{protocol}");
    let path = "/v1/protocols/network-in-describe/0.1.0/validate-config";
    let accepted = api.post(path, &json!({"config": {}})).await.json(200);
    assert!(!accepted["warnings"][0]["message"].as_str().unwrap().contains("answered"), "{accepted}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_over_the_limit_is_refused_before_it_is_read() {
    let service = Service::start().await;
    let api = &service.private;
    let request = api.request(Method::POST, "/v1/protocols").header("content-type", "application/wasm");
    // The service may close the connection while the rest is still being sent.
    match request.body(vec![0_u8; (64 << 20) + 1]).send().await {
        Ok(response) => assert_eq!(response.status().as_u16(), 413),
        Err(error) => assert!(error.is_request() || error.is_body(), "{error:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_protocol_that_an_action_uses_stays() {
    let service = Service::start().await;
    let api = &service.private;
    api.upload(fixture("noop")).await.json(201);
    api.action("echo", "noop", json!({})).await.json(201);
    api.delete("/v1/protocols/noop/0.1.0").await.problem(409, "in_use");
    assert_eq!(api.delete("/v1/actions/echo").await.status.as_u16(), 204);
    assert_eq!(api.delete("/v1/protocols/noop/0.1.0").await.status.as_u16(), 204);
    api.get("/v1/protocols/noop/0.1.0").await.problem(404, "protocol_not_found");
    api.upload(fixture("noop")).await.json(201);
}

/// Revisions of actions and old executions still name it.
#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_version_comes_back_as_what_it_was_or_not_at_all() {
    let service = Service::start().await;
    let api = &service.private;
    let component = fixture("noop");
    // A custom section without content: the same component, other bytes.
    let other = [&component[..], b"\x00\x02\x01x"].concat();
    api.upload(component.clone()).await.json(201);
    assert_eq!(api.delete("/v1/protocols/noop/0.1.0").await.status, 204);
    api.upload(other).await.problem(409, "version_exists");
    api.upload(component).await.json(201);
}
