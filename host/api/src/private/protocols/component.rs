//! `GET /v1/protocols/{name}/{version}/component`: a protocol's bytes.

use crate::{
    ApiState,
    error::{Answer, Problem},
    request::path::{In, pin},
    wire::location,
};
use axum::{body::Body, extract::State, response::Response};
use http::{HeaderValue, header};

/// Get a protocol's component
#[utoipa::path(
    get,
    path = "/v1/protocols/{name}/{version}/component",
    tag = "protocols",
    params(
        ("name" = String, Path, description = "The protocol's name."),
        ("version" = String, Path, description = "Its version."),
    ),
    responses(
        (status = 200, description = "The component.", body = Vec<u8>, content_type = "application/wasm",
            headers(("ETag" = String, description = "The component's digest."))),
        (status = 400, description = "The path makes no sense: `invalid_path`."),
        (status = 404, description = "There is no such protocol: `protocol_not_found`."),
    )
)]
pub(super) async fn get_component(State(state): State<ApiState>, In(path): In<(String, String)>) -> Answer {
    let protocol = state.engine().protocol(&pin(path)?).await?;
    let component = state.engine().reader().component(&protocol.digest).await?;
    let component = component.ok_or_else(|| Problem::not_found("component"))?;
    let mut response = Response::new(Body::from(component));
    let file = format!("attachment; filename=\"{}-{}.wasm\"", protocol.descriptor.name, protocol.descriptor.version);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/wasm"));
    headers.insert(header::CONTENT_DISPOSITION, location(&file));
    headers.insert(header::ETAG, location(&format!("\"{}\"", protocol.digest)));
    Ok(response)
}

#[cfg(test)]
mod tests {
    use crate::testing::Api;

    #[tokio::test]
    async fn byte_for_byte() {
        let api = Api::new();
        api.upload("echo 0.1.0").await.is(201);
        let component = api.get("/v1/protocols/echo/0.1.0/component").send().await;
        component.is(200);
        assert_eq!(component.bytes, "echo 0.1.0");
        assert_eq!(component.header("content-type"), "application/wasm");
        assert_eq!(component.header("content-disposition"), "attachment; filename=\"echo-0.1.0.wasm\"");
        assert!(component.header("etag").starts_with("\"sha256:"));
        let missing = api.get("/v1/protocols/echo/0.1.1/component").send().await;
        missing.is_problem(404, "protocol_not_found");
    }
}
