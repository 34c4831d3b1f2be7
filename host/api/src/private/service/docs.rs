//! `GET /docs`: what the service offers, for people.

use crate::{
    ApiState,
    error::{Answer, Problem},
};
use axum::{body::Body, extract::State, response::Response};
use http::{HeaderValue, header};

/// Read this document
#[utoipa::path(
    get,
    path = "/docs",
    tag = "service",
    responses((status = 200, description = "A page that loads nothing from elsewhere.", body = String,
        content_type = "text/html"))
)]
pub(super) async fn get_docs(State(state): State<ApiState>) -> Answer {
    let documents = state.documents().get().ok_or_else(Problem::internal)?;
    let mut response = Response::new(Body::from(documents.html.clone()));
    let policy = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'";
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    Ok(response)
}

#[cfg(test)]
mod tests {
    use crate::testing::Api;

    #[tokio::test]
    async fn a_page_that_loads_nothing_from_elsewhere() {
        let response = Api::new().get("/docs").bearer("").send().await;
        response.is(200);
        let page = String::from_utf8(response.bytes.to_vec()).unwrap();
        assert!(page.starts_with("<!doctype html>"));
        for loads in ["<script", "<link", "<img", "src=", "url(", "@import", "http://", "https://"] {
            assert!(!page.contains(loads), "{loads}");
        }
        for there in ["/v1/actions/{id}/execute", "POST", "ActionSpec", "scope_missing"] {
            assert!(page.contains(there), "{there}");
        }
    }
}
