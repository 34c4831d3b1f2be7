//! `POST /v1/actions`: makes an action.

use super::spec_of;
use crate::{
    ApiState,
    error::Answer,
    request::{caller::Caller, json::Document},
    wire::{action::ActionSpec, location, saved_action, saved_action::ActionBody},
};
use axum::extract::State;
use http::{StatusCode, header};

/// Create an action
///
/// The config is validated by the protocol's schema and by the protocol itself; everything that
/// is wrong is said at once.
#[utoipa::path(
    post,
    path = "/v1/actions",
    tag = "actions",
    request_body = ActionSpec,
    responses(
        (status = 201, description = "The action is there now.", body = ActionBody, headers(
            ("Location" = String, description = "Where it is."),
            ("ETag" = String, description = "Its revision: `\"1\"`."),
        )),
        (status = 400, description = "The document cannot be read: `malformed_json`, `invalid_utf8`, \
            `duplicate_member`, `too_deep`."),
        (status = 409, description = "Another action has the name: `name_taken`."),
        (status = 422, description = "The document is not valid, for all of `errors`: `invalid_document`; or the \
            component ended badly: `component_broken`."),
    )
)]
pub(super) async fn create_action(
    State(state): State<ApiState>,
    caller: Caller,
    Document(document): Document,
) -> Answer {
    let saved = state.engine().create_action(spec_of(&state, &document).await?, caller.editor()).await?;
    let mut response = saved_action::saved_answer(StatusCode::CREATED, &saved)?;
    response.headers_mut().insert(header::LOCATION, location(&format!("/v1/actions/{}", saved.action.id)));
    Ok(response)
}

#[cfg(test)]
mod tests {
    use crate::testing::Api;
    use serde_json::{Value, json};

    #[tokio::test]
    async fn an_action_is_made_and_described() {
        let api = Api::new();
        api.upload("echo 0.1.0").await.is(201);
        let made = api
            .post("/v1/actions")
            .json(&json!({"name": "a", "protocol": "echo@^0.1", "config": {"mode": "warn"}, "labels": {"team": "x"},
                "limits": {"fuel": 50_000}}))
            .send()
            .await;
        made.is(201);
        let action = made.json();
        let id = action["id"].as_str().unwrap();
        assert!(id.starts_with("act_"));
        assert_eq!(made.header("location"), format!("/v1/actions/{id}"));
        assert_eq!(made.header("etag"), "\"1\"");
        assert_eq!(action["protocol"], "echo@0.1.0");
        assert_eq!(action["enabled"], true);
        assert_eq!(action["labels"], json!({"team": "x"}));
        assert_eq!(action["limits"], json!({"fuel": 50_000}));
        assert_eq!(action["delivery"]["max_attempts"], 5);
        assert_eq!(action["warnings"][0]["code"], "a_warning");
        assert_eq!(action["warnings"][0]["pointer"], "/config/mode");
        assert!(action["created_at"].as_str().unwrap().ends_with('Z'));

        let taken = api.post("/v1/actions").json(&json!({"name": "a", "protocol": "echo", "config": {}})).send().await;
        taken.is_problem(409, "name_taken");
    }

    #[tokio::test]
    async fn everything_that_is_wrong_is_said() {
        let api = Api::new();
        api.upload("echo 0.1.0").await.is(201);
        let pointers = async |body: Value| {
            let refused = api.post("/v1/actions").json(&body).send().await;
            refused.is_problem(422, "invalid_document");
            let errors = refused.json()["errors"].as_array().unwrap().clone();
            errors.into_iter().map(|error| error["pointer"].as_str().unwrap().to_owned()).collect::<Vec<_>>().join(" ")
        };
        let with = |more: Value| {
            let mut body = json!({"name": "a", "protocol": "echo", "config": {}});
            body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            body
        };
        for (more, expected) in [
            (json!({"nme": 1}), "/nme"),
            (json!({"name": "A"}), "/name"),
            (json!({"name": 1}), "/name"),
            (json!({"grants": {"egress": [{"host": "a.test", "port": 1}]}}), "/grants/egress/0/port"),
            (json!({"grants": {"egress": [{"host": "a.test", "ports": [65536]}]}}), "/grants/egress/0/ports/0"),
            (json!({"delivery": {"backoff": {"jiter": 1}}}), "/delivery/backoff/jiter"),
            (json!({"delivery": {"on_doubt": "guess"}}), "/delivery/on_doubt"),
            (json!({"limits": {"a/b": 1}}), "/limits/a~1b"),
            (json!({"labels": {"a": 1}}), "/labels/a"),
            (json!({"triggers": [{"type": "call", "path": 1}]}), "/triggers/0/path"),
            (json!({"triggers": [{"type": "other"}]}), "/triggers/0/type"),
            (
                json!({"triggers": [{"type": "webhook", "path": "x"}], "limits": {"fuel": 0}, "config": {"mode": 1}}),
                "/triggers/0/verify /limits/fuel /config/mode",
            ),
            (json!({"protocol": "other"}), "/protocol"),
            (json!({"config": {"a": {"$secret": "x"}}}), "/config/a /config/a"),
        ] {
            assert_eq!(pointers(with(more.clone())).await, expected, "{more}");
        }
        assert_eq!(pointers(json!({"protocol": "echo", "config": {}})).await, "/name");
        let wrong = json!({"name": "No", "protocol": "echo", "config": {"mode": 1}, "nme": 1, "enabled": "yes",
            "limits": {"foo": 1, "fuel": 0}, "grants": {"egress": [{"host": "http://x"}]}, "labels": {"a": 1}});
        assert_eq!(
            pointers(wrong).await,
            "/enabled /labels/a /limits/foo /nme /name /grants/egress/0/host /limits/fuel /config/mode"
        );
        assert_eq!(pointers(json!([])).await, "");
    }

    #[tokio::test]
    async fn what_cannot_be_read_is_refused() {
        let api = Api::new();
        let send = |body: &'static [u8]| api.post("/v1/actions").content_type("application/json").body(body).send();
        send(b"{").await.is_problem(400, "malformed_json");
        send(b"\xff").await.is_problem(400, "invalid_utf8");
        let twice = send(br#"{"config": {"a": 1, "a": 2}}"#).await;
        twice.is_problem(400, "duplicate_member");
        assert_eq!(twice.json()["errors"][0]["pointer"], "/config/a");
        let large = vec![b' '; action_domain::limits::DOCUMENT_BYTES_MAX + 1];
        let large = api.post("/v1/actions").content_type("application/json").body(large).send().await;
        large.is_problem(413, "body_too_large");
        for content_type in ["text/plain", "application/x-www-form-urlencoded", "application/jsonp"] {
            let refused = api.post("/v1/actions").content_type(content_type).body("{}").send().await;
            refused.is_problem(415, "unsupported_media_type");
        }
        api.post("/v1/actions").body("{}").send().await.is_problem(415, "unsupported_media_type");
    }
}
