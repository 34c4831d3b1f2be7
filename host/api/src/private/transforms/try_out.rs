//! `POST /v1/transforms/{language}/try`: for somebody who is writing an expression.

use crate::{
    ApiState,
    error::{Answer, Problem},
    request::{json::Json, path::In},
    wire::{
        json,
        transform::{TriedBody, TryBody},
    },
};
use axum::extract::State;
use http::StatusCode;

/// Try an expression
///
/// Applies it as an action would, with its limits, and keeps nothing. What is wrong comes back as a
/// problem, with the line and the column where the language tells them.
#[utoipa::path(
    post,
    path = "/v1/transforms/{language}/try",
    tag = "transforms",
    params(("language" = String, Path, description = "A transform: `jq`, `jq@^0.1` or `jq@0.1.0`.")),
    request_body = TryBody,
    responses(
        (status = 200, description = "What it gives.", body = TriedBody),
        (status = 400, description = "The path or the document cannot be read: `invalid_path`, `malformed_json`, \
            `invalid_utf8`, `duplicate_member`, `too_deep`."),
        (status = 404, description = "There is no such transform: `transform_not_found`."),
        (status = 422, description = "The expression is not valid, fails over this input or exceeds its limits, for \
            all of `errors` (`invalid_expression`, `transform_failed`): `invalid_document`."),
    )
)]
pub(super) async fn try_transform(
    State(state): State<ApiState>,
    In(language): In<String>,
    Json(body): Json<TryBody>,
) -> Answer {
    let input = body.payload().map_err(Problem::invalid_document)?;
    let output = state.engine().try_transform(&language, &body.expression, input, &body.trigger).await?;
    json(StatusCode::OK, &TriedBody::from(&output))
}

#[cfg(test)]
mod tests {
    use crate::testing::Api;
    use serde_json::json;

    #[tokio::test]
    async fn of_a_transform_that_is_there() {
        let api = Api::new();
        let body = json!({"expression": ".", "input": 1});
        let missing = api.post("/v1/transforms/jq/try").json(&body).send().await;
        missing.is_problem(404, "transform_not_found");
        api.upload("echo 0.1.0").await.is(201);
        let no_transform = api.post("/v1/transforms/echo/try").json(&body).send().await;
        no_transform.is_problem(422, "invalid_document");
        assert_eq!(no_transform.json()["errors"][0]["code"], "not_a_transform");
    }
}
