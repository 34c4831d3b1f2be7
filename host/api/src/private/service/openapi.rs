//! `GET /openapi.json`: what the service offers, for programs.

use crate::{
    ApiState,
    error::{Answer, Problem},
};
use axum::{body::Body, extract::State, response::Response};
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
    let mut response = Response::new(Body::from(documents.json.clone()));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
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
}
