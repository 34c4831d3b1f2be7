//! `GET /v1/executions/{id}/output`: the bytes that an execution gave.

use crate::{
    ApiState,
    error::{Answer, Problem},
    request::{
        caller::Caller,
        path::{In, execution_id},
    },
    wire::bytes,
};
use axum::extract::State;
use http::StatusCode;

/// Get an execution's output
///
/// The bytes as the protocol gave them, under its media type. Browsers save them and do not
/// show them: they come from outside.
#[utoipa::path(
    get,
    path = "/v1/executions/{id}/output",
    tag = "executions",
    params(("id" = String, Path, description = "The execution's id.")),
    responses(
        (status = 200, description = "The bytes, under the protocol's media type.", body = Vec<u8>,
            content_type = "*/*"),
        (status = 400, description = "The path makes no sense: `invalid_path`."),
        (status = 404, description = "There is no such execution, or it gave nothing (yet): `execution_not_found`, \
            `no_output`."),
    )
)]
pub(super) async fn get_output(State(state): State<ApiState>, caller: Caller, In(id): In<String>) -> Answer {
    let id = execution_id(&id)?;
    caller.check_execution(&state, id).await?;
    let missing = || Problem::new(StatusCode::NOT_FOUND, "no_output", "the execution has given no output (yet)");
    let output = state.engine().output(id).await?.ok_or_else(missing)?;
    Ok(bytes(output))
}

#[cfg(test)]
mod tests {
    use crate::testing::Api;
    use serde_json::json;

    #[tokio::test]
    async fn byte_for_byte_and_never_shown() {
        let api = Api::new();
        api.protocol_and_action("a").await;
        let large = format!("{{\"a\": \"{}\"}}\n", "x".repeat(70_000)).into_bytes();
        for (content_type, data) in [("text/html", b"<script>".to_vec()), ("application/json", large)] {
            let ran = api.post("/v1/actions/a/execute").content_type(content_type).body(data.clone()).send().await;
            ran.is(200);
            let path = format!("/v1/executions/{}/output", ran.json()["id"].as_str().unwrap());
            let output = api.get(&path).send().await;
            output.is(200);
            assert_eq!(output.bytes, data);
            assert_eq!(output.header("content-type"), content_type);
            assert_eq!(output.header("x-content-type-options"), "nosniff");
            assert_eq!(output.header("content-disposition"), "attachment");
        }
    }

    #[tokio::test]
    async fn nothing_where_nothing_was_given() {
        let api = Api::new();
        api.action("fail", json!({"mode": "fail"})).await;
        let failed = api.execute("fail").await;
        let path = format!("/v1/executions/{}/output", failed["id"].as_str().unwrap());
        api.get(&path).send().await.is_problem(404, "no_output");
        let missing = api.get("/v1/executions/exe_01h455vb4pex5vsknk084sn02q/output").send().await;
        missing.is_problem(404, "execution_not_found");
    }
}
