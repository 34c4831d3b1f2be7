//! `PATCH /v1/actions/{id}`: changes members of an action by a JSON merge patch (RFC 7396).

use super::spec_of;
use crate::{
    ApiState,
    error::Answer,
    request::{caller::Caller, if_match::if_match, json::MergePatch, path::In},
    wire::saved_action::{self, ActionBody},
};
use action_engine::{EngineError, Version};
use axum::extract::State;
use http::{HeaderMap, StatusCode};

/// Change an action
///
/// Members that are left out stay as they are; `null` takes a member back to its default. The
/// action keeps the version of its protocol, unless the patch names a `protocol`: then
/// `http@^0.1` gives the newest that fits, and `changes` says what that changes. A version that
/// would let the action reach more than was granted is refused with `egress_widened`.
#[utoipa::path(
    patch,
    path = "/v1/actions/{id}",
    tag = "actions",
    params(
        ("id" = String, Path, description = "The action's id or name."),
        ("If-Match" = Option<String>, Header, description = "Only if the current revision is one of these."),
    ),
    request_body(
        content = Object,
        content_type = "application/merge-patch+json",
        description = "Any members of an action; `application/json` will do.",
    ),
    responses(
        (status = 200, description = "The new revision.", body = ActionBody,
            headers(("ETag" = String, description = "Its revision."))),
        (status = 400, description = "The path, a header or the document cannot be read: `invalid_path`, \
            `invalid_header`, `malformed_json`, `invalid_utf8`, `duplicate_member`, `too_deep`."),
        (status = 404, description = "There is no such action: `action_not_found`."),
        (status = 409, description = "Another action has the new name: `name_taken`."),
        (status = 412, description = "The current revision is another one: `revision_mismatch`."),
        (status = 415, description = "Not said to be a merge patch: `unsupported_media_type`."),
        (status = 422, description = "What it would become is not valid, for all of `errors`: `invalid_document`, \
            with `upgrade` where it would have moved to another version of its protocol; or the component ended badly: `component_broken`."),
    )
)]
pub(super) async fn patch_action(
    State(state): State<ApiState>,
    caller: Caller,
    In(id): In<String>,
    headers: HeaderMap,
    MergePatch(patch): MergePatch,
) -> Answer {
    let key = caller.action(&state, &id).await?;
    let condition = if_match(&headers)?;
    // An action moves to another version when somebody says so, and not in passing.
    let version = if patch.get("protocol").is_some() { Version::AsNamed } else { Version::AsItIs };
    let mut tries = TRIES;
    loop {
        tries -= 1;
        let current = state.engine().action(&key).await?;
        if let Some(condition) = &condition {
            condition.believe(Some(current.revision))?;
        }
        let mut document = saved_action::document(&current)?;
        json_patch::merge(&mut document, &patch);
        let spec = spec_of(&state, &document).await?;
        // The patch was made against this revision: another one may not come in between.
        match state.engine().change_action(&current, spec, version, caller.editor()).await {
            // Whoever names no revision wants the patch on whatever there is.
            Err(EngineError::RevisionMismatch { .. }) if condition.is_none() && tries > 0 => {}
            Err(error) => return Err(error.into()),
            Ok(saved) => return saved_action::saved_answer(StatusCode::OK, &saved),
        }
    }
}

/// How often a patch is made anew when others save too.
const TRIES: usize = 20;

#[cfg(test)]
mod tests {
    use crate::testing::Api;
    use serde_json::json;

    #[tokio::test]
    async fn only_what_is_named_changes() {
        let api = Api::new();
        api.protocol_and_action("a").await;
        let patch = |body| api.request("PATCH", "/v1/actions/a").json(&body).send();
        let before = api.get("/v1/actions/a").send().await.json();
        let patched = patch(json!({"enabled": false, "delivery": {"max_attempts": 2}, "labels": {"a": "b"}})).await;
        patched.is(200);
        let after = patched.json();
        assert_eq!(after["revision"], 2);
        assert_eq!(after["enabled"], false);
        assert_eq!(after["delivery"]["max_attempts"], 2);
        assert_eq!(after["delivery"]["backoff"], before["delivery"]["backoff"]);
        assert_eq!(after["config"], before["config"]);
        let back = patch(json!({"labels": {"a": null}, "enabled": null, "id": "ignored"})).await;
        back.is(200);
        assert_eq!(back.json()["labels"], json!({}));
        assert_eq!(back.json()["enabled"], true);
    }

    #[tokio::test]
    async fn what_it_would_become_has_to_be_valid() {
        let api = Api::new();
        api.protocol_and_action("a").await;
        for (patch, pointer) in [
            (json!({"config": {"mode": 1}}), "/config/mode"),
            (json!({"nme": "x"}), "/nme"),
            (json!({"name": null}), "/name"),
            (json!({"limits": {"foo": 1}}), "/limits/foo"),
            (json!({"delivery": {"max_attempts": 0}}), "/delivery/max_attempts"),
            (json!([]), ""),
        ] {
            let refused = api.request("PATCH", "/v1/actions/a").json(&patch).send().await;
            refused.is_problem(422, "invalid_document");
            assert_eq!(refused.json()["errors"][0]["pointer"], pointer, "{patch}");
        }
    }

    #[tokio::test]
    async fn conditions_and_media_types() {
        let api = Api::new();
        api.protocol_and_action("a").await;
        let patch = || api.request("PATCH", "/v1/actions/a").json(&json!({"description": "x"}));
        patch().with("if-match", "\"2\"").send().await.is_problem(412, "revision_mismatch");
        patch().with("if-match", "\"1\"").send().await.is(200);
        patch().content_type("application/merge-patch+json").send().await.is(200);
        patch().content_type("application/json-patch+json").send().await.is_problem(415, "unsupported_media_type");
        let missing = api.request("PATCH", "/v1/actions/b").with("if-match", "*").json(&json!({})).send().await;
        missing.is_problem(404, "action_not_found");
    }
}
