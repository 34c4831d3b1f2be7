//! `GET /v1/protocols/{name}/{version}/upgrade`: what a version changes, and for which actions.

use crate::{
    ApiState,
    error::Answer,
    request::{
        path::{In, pin},
        query::Query,
    },
    wire::{ok, upgrade::UpgradeBody},
};
use axum::extract::State;

/// See what a version changes
///
/// Compares a version with an earlier one: what it newly imports, how its config schema differs.
/// And asks it about the actions that have an earlier version, at most 200 of them: would they be
/// saved with it as they are? Nothing moves because of this.
#[utoipa::path(
    get,
    path = "/v1/protocols/{name}/{version}/upgrade",
    tag = "protocols",
    params(
        ("name" = String, Path, description = "The protocol's name."),
        ("version" = String, Path, description = "The version to look at."),
        ("from" = Option<String>, Query, description = "The version to compare with, whose actions are asked about; \
            else the latest before it, and the actions of all before it."),
    ),
    responses(
        (status = 200, description = "What it changes.", body = UpgradeBody),
        (status = 400, description = "The path or the query makes no sense: `invalid_path`, `invalid_query`."),
        (status = 404, description = "There is no such protocol, or no version before it: `protocol_not_found`, \
            `earlier_version_not_found`."),
    )
)]
pub(super) async fn get_protocol_upgrade(
    State(state): State<ApiState>,
    In(path): In<(String, String)>,
    mut query: Query,
) -> Answer {
    let from = query.parsed("from", "a semantic version", |text| text.parse().ok())?;
    query.finish()?;
    let upgrade = state.engine().upgrade(&pin(path)?, from).await?;
    ok(&UpgradeBody::from(&upgrade))
}

#[cfg(test)]
mod tests {
    use crate::testing::Api;
    use serde_json::json;

    #[tokio::test]
    async fn it_is_compared_with_the_version_before_it_or_with_the_one_that_is_named() {
        let api = Api::new();
        for component in ["echo 0.1.0", "echo 0.2.0", "echo 0.10.0"] {
            api.upload(component).await.is(201);
        }
        let body = json!({"name": "a", "protocol": "echo@0.1.0", "config": {"mode": "json"}});
        api.post("/v1/actions").json(&body).send().await.is(201);
        let get = |path: &str| api.get(&format!("/v1/protocols/echo/{path}")).send();
        let latest = get("0.10.0/upgrade").await;
        latest.is(200);
        assert_eq!((&latest.json()["from"], &latest.json()["to"]), (&json!("echo@0.2.0"), &json!("echo@0.10.0")));
        assert_eq!(latest.json()["actions"][0]["name"], "a");
        assert_eq!(latest.json()["actions"][0]["accepted"], true);
        let named = get("0.10.0/upgrade?from=0.2.0").await.json();
        assert_eq!(named["actions"], json!([]), "only the actions of that version");
        get("0.1.0/upgrade").await.is_problem(404, "earlier_version_not_found");
        get("0.10.0/upgrade?from=0.3.0").await.is_problem(404, "protocol_not_found");
        get("0.10.0/upgrade?from=latest").await.is_problem(400, "invalid_query");
        get("0.10.0/upgrade?to=0.1.0").await.is_problem(400, "invalid_query");
    }

    #[tokio::test]
    async fn an_upload_says_so_at_once() {
        let api = Api::new();
        let first = api.upload("echo 0.1.0").await;
        assert!(first.json().get("upgrade").is_none(), "{}", first.json());
        let second = api.upload("echo 0.2.0").await.json();
        assert_eq!(second["upgrade"]["from"], "echo@0.1.0");
        assert_eq!(second["upgrade"]["config"], json!([]));
        let again = api.upload("echo 0.2.0").await;
        again.is(200);
        assert_eq!(again.json(), second);
    }
}
