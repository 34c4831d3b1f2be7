//! `POST /v1/protocols/{name}/{version}/test-connection`: tries a config that no action has yet.

use crate::{
    ApiState,
    error::Answer,
    request::{
        caller::Caller,
        json::Json,
        path::{In, pin},
    },
    wire::{config::TestBody, ok, shared::ConnectionTest},
};
use axum::extract::State;

/// Test a connection with a config
///
/// Reaches the outside and changes nothing there. A test that does not connect is a successful
/// answer: `verdict` says how it went.
#[utoipa::path(
    post,
    path = "/v1/protocols/{name}/{version}/test-connection",
    tag = "protocols",
    params(
        ("name" = String, Path, description = "The protocol's name."),
        ("version" = String, Path, description = "Its version."),
    ),
    request_body = TestBody,
    responses(
        (status = 200, description = "What the test found.", body = ConnectionTest),
        (status = 400, description = "The path or the document cannot be read: `invalid_path`, `malformed_json`, \
            `invalid_utf8`, `duplicate_member`, `too_deep`."),
        (status = 404, description = "There is no such protocol: `protocol_not_found`."),
        (status = 422, description = "The config is not valid, for all of `errors`: `invalid_document`; or the \
            component ended badly: `component_broken`."),
    )
)]
pub(super) async fn test_protocol_connection(
    State(state): State<ApiState>,
    caller: Caller,
    In(path): In<(String, String)>,
    Json(body): Json<TestBody>,
) -> Answer {
    let (pin, grants) = (pin(path)?, body.grants.checked()?);
    let test = state.engine().test_protocol(&pin, body.config, grants, caller.actor()).await?;
    ok(&test)
}

#[cfg(test)]
mod tests {
    use crate::testing::Api;
    use serde_json::json;

    #[tokio::test]
    async fn it_says_what_it_found() {
        let api = Api::new();
        api.upload("echo 0.1.0").await.is(201);
        let test = |body| api.post("/v1/protocols/echo/0.1.0/test-connection").json(&body).send();
        let grants = json!({"egress": [{"host": "example.com", "ports": [443]}]});
        let connected = test(json!({"config": {}, "grants": grants})).await;
        connected.is(200);
        assert_eq!(connected.json()["verdict"], "connected");
        assert_eq!(connected.json()["stages"][0]["target"], "example.com:443");
        let hollow = test(json!({"config": {}})).await;
        hollow.is(200);
        assert_eq!(hollow.json()["verdict"], "hollow");
        test(json!({"config": {"mode": 1}})).await.is_problem(422, "invalid_document");
        let no_host = test(json!({"config": {}, "grants": {"egress": [{"host": "http://x"}]}})).await;
        no_host.is_problem(422, "invalid_document");
        assert_eq!(no_host.json()["errors"][0]["pointer"], "/grants/egress/0/host");
        let unknown = test(json!({"config": {}, "grants": {"egres": []}})).await;
        unknown.is_problem(422, "invalid_document");
        assert_eq!(unknown.json()["errors"][0]["pointer"], "/grants/egres");
    }
}
