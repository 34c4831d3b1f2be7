//! `GET /v1/actions/{id}/egress`: explains what an action may reach.

use crate::{
    ApiState,
    error::Answer,
    request::{caller::Caller, path::In},
    wire::{ok, saved_action::EgressBody},
};
use axum::extract::State;

/// Explain an action's egress
///
/// What its executions may reach, and which part of the action says so.
#[utoipa::path(
    get,
    path = "/v1/actions/{id}/egress",
    tag = "actions",
    params(("id" = String, Path, description = "The action's id or name.")),
    responses(
        (status = 200, description = "The rules.", body = EgressBody),
        (status = 400, description = "The path makes no sense: `invalid_path`."),
        (status = 404, description = "There is no such action: `action_not_found`."),
    )
)]
pub(super) async fn get_action_egress(State(state): State<ApiState>, caller: Caller, In(id): In<String>) -> Answer {
    let egress = state.engine().egress(&caller.action(&state, &id).await?).await?;
    ok(&EgressBody::from(&egress))
}

#[cfg(test)]
mod tests {
    use crate::testing::Api;
    use serde_json::json;

    #[tokio::test]
    async fn each_rule_with_its_place() {
        let api = Api::new();
        api.upload("echo 0.1.0").await.is(201);
        let grants = json!({"egress": [{"host": "*.example.com", "ports": [443]}], "private_networks": true});
        let body = json!({"name": "a", "protocol": "echo", "config": {"url": "https://api.test/x"}, "grants": grants});
        api.post("/v1/actions").json(&body).send().await.is(201);
        let egress = api.get("/v1/actions/a/egress").send().await;
        egress.is(200);
        assert_eq!(
            egress.json(),
            json!({
                "rules": [
                    {"host": "api.test", "ports": [443], "from": "/config/url"},
                    {"host": "*.example.com", "ports": [443], "from": "/grants/egress/0"},
                ],
                "private_networks": {"requested": true, "allowed_by_operator": false, "reachable": false},
            })
        );
    }
}
