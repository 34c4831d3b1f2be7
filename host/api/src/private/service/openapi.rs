//! `GET /openapi.json` and `/openapi.public.json`: what the service offers on its two listeners, for programs.

use crate::{
    ApiState,
    error::{Answer, Problem},
};
use axum::{body::Body, extract::State, response::Response};
use bytes::Bytes;
use http::{HeaderValue, header};

/// Get this document
#[utoipa::path(
    get,
    path = "/openapi.json",
    tag = "service",
    responses((status = 200, description = "OpenAPI 3.1.", body = Object, content_type = "application/json"))
)]
pub(super) async fn get_openapi(State(state): State<ApiState>) -> Answer {
    let documents = state.documents().get().ok_or_else(Problem::internal)?;
    Ok(json(documents.json.clone()))
}

/// Get the public listener's document
///
/// What those may send who only call actions, and those whose webhooks come in.
#[utoipa::path(
    get,
    path = "/openapi.public.json",
    tag = "service",
    responses((status = 200, description = "OpenAPI 3.1.", body = Object, content_type = "application/json"))
)]
pub(super) async fn get_public_openapi(State(state): State<ApiState>) -> Answer {
    let documents = state.documents().get().ok_or_else(Problem::internal)?;
    Ok(json(documents.public_json.clone()))
}

fn json(bytes: Bytes) -> Response {
    let mut response = Response::new(Body::from(bytes));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

#[cfg(test)]
mod tests {
    use crate::testing::Api;

    #[tokio::test]
    async fn it_is_openapi_3_1_without_a_token() {
        let response = Api::new().get("/openapi.json").bearer("").send().await;
        response.is(200);
        assert_eq!(response.json()["openapi"], "3.1.0");
    }

    #[tokio::test]
    async fn the_public_listener_has_its_own() {
        let response = Api::new().get("/openapi.public.json").bearer("").send().await;
        response.is(200);
        let document = response.json();
        let paths: Vec<&String> = document["paths"].as_object().unwrap().keys().collect();
        assert_eq!(paths, ["/healthz", "/hooks/{path}", "/v1/actions/{id}/execute", "/v1/executions/{id}"]);
        let hook = &document["paths"]["/hooks/{path}"]["post"];
        assert_eq!((&hook["security"], &hook["x-scopes"]), (&serde_json::json!([]), &serde_json::json!([])));
    }
}
