//! `PUT /v1/actions/{id}`: replaces an action, or makes it at a free name.

use super::spec_of;
use crate::{
    ApiState,
    error::{Answer, Problem},
    request::{
        caller::Caller,
        if_match::{if_match, only_if_new},
        json::Document,
        path::{In, parse_action_key},
        query::Query,
    },
    wire::{action::ActionSpec, location, saved_action, saved_action::ActionBody},
};
use action_domain::repositories::ActionKey;
use action_engine::{EngineError, Expected};
use axum::extract::State;
use http::{HeaderMap, StatusCode, header};

/// Replace or create an action
///
/// At a name that no action has, makes one. Replacing makes a new revision, whatever was there
/// before in members that are left out. But the action keeps the version of its protocol as long as that fits
/// what `protocol` names: `http` keeps any, `http@^0.1` any 0.1, and `http@0.2.0` moves it; so do the transforms
/// of its expressions. A patch that names a `protocol` moves to the newest that fits. A token that is limited to actions makes none. `If-None-Match: *` makes it only if it is not there.
#[utoipa::path(
    put,
    path = "/v1/actions/{id}",
    tag = "actions",
    params(
        ("id" = String, Path, description = "The action's id or name, or a free name."),
        ("dry_run" = Option<bool>, Query, description = "`true`: say what would be saved or refused, and save nothing. \
            The answer is 200; of an action that is not there yet its id is not the one that it will have."),
        ("If-Match" = Option<String>, Header, description = "Only if the current revision is one of these."),
        ("If-None-Match" = Option<String>, Header, description = "`*`: only if there is none."),
    ),
    request_body = ActionSpec,
    responses(
        (status = 200, description = "The new revision.", body = ActionBody,
            headers(("ETag" = String, description = "Its revision."))),
        (status = 201, description = "The action is there now.", body = ActionBody, headers(
            ("Location" = String, description = "Where it is."),
            ("ETag" = String, description = "Its revision: `\"1\"`."),
        )),
        (status = 400, description = "The path, the query, a header or the document cannot be read: `invalid_path`, \
            `invalid_name`, `invalid_query`, `invalid_header`, `malformed_json`, `invalid_utf8`, `duplicate_member`, `too_deep`."),
        (status = 404, description = "There is no action with this id: `action_not_found`."),
        (status = 409, description = "Another action has the new name: `name_taken`."),
        (status = 412, description = "The current revision is another one: `revision_mismatch`."),
        (status = 422, description = "The document is not valid, for all of `errors`: `invalid_document`, with \
            `upgrade` where it would have moved to another version of its protocol; or the component ended badly: \
            `component_broken`."),
    )
)]
pub(super) async fn put_action(
    State(state): State<ApiState>,
    caller: Caller,
    In(id): In<String>,
    headers: HeaderMap,
    mut query: Query,
    Document(mut document): Document,
) -> Answer {
    let dry_run = query.parsed("dry_run", "`true` or `false`", |text| text.parse().ok())?.unwrap_or(false);
    query.finish()?;
    let invalid = || Problem::bad_request("invalid_name", "the path ends in an action's id, or a name for one");
    let key = parse_action_key(&id).ok_or_else(invalid)?;
    if let (ActionKey::Name(name), Some(members)) = (&key, document.as_object_mut()) {
        // The path names it already.
        members.entry("name").or_insert_with(|| name.as_str().into());
    }
    // Whoever is limited to actions replaces those, and makes no others.
    let key = if caller.limited_to().is_some() { caller.action(&state, &id).await? } else { key };
    let condition = if_match(&headers)?;
    let only_if_new = only_if_new(&headers)?;
    let engine = state.engine();
    let current =
        if condition.is_some() { engine.reader().action(&key).await?.map(|action| action.revision) } else { None };
    let believed = match (condition, &key) {
        // An id that is not there cannot be put, whatever the condition.
        (Some(_), ActionKey::Id(_)) if current.is_none() => return Err(Problem::not_found("action")),
        (Some(condition), _) => condition.believe(current)?,
        (None, _) => None,
    };
    let expected = match believed {
        Some(revision) => Expected::Revision(revision),
        None if only_if_new => Expected::Nothing,
        None => Expected::Anything,
    };
    let spec = spec_of(&state, &document).await?;
    let saved = if dry_run {
        engine.try_action(&key, spec, expected, caller.editor()).await
    } else {
        engine.put_action(&key, spec, expected, caller.editor()).await
    };
    let saved = saved.map_err(|error| match error {
        EngineError::RevisionMismatch { current } if only_if_new => {
            Problem::revision_mismatch(format!("it is there already, with revision {current}"))
        }
        error => error.into(),
    })?;
    if dry_run {
        return saved_action::saved_answer(StatusCode::OK, &saved);
    }
    let status = if saved.created { StatusCode::CREATED } else { StatusCode::OK };
    let mut response = saved_action::saved_answer(status, &saved)?;
    if saved.created {
        response.headers_mut().insert(header::LOCATION, location(&format!("/v1/actions/{}", saved.action.id)));
    }
    Ok(response)
}

#[cfg(test)]
mod tests {
    use crate::testing::Api;
    use serde_json::{Value, json};

    fn spec(name: &str, mode: &str) -> Value {
        json!({"name": name, "protocol": "echo", "config": {"mode": mode}})
    }

    #[tokio::test]
    async fn it_makes_and_then_replaces() {
        let api = Api::new();
        api.upload("echo 0.1.0").await.is(201);
        let put = |path: &str, body: &Value| api.request("PUT", &format!("/v1/actions/{path}")).json(body).send();
        let made = put("a", &spec("a", "json")).await;
        made.is(201);
        let id = made.json()["id"].as_str().unwrap().to_owned();
        assert_eq!(made.header("location"), format!("/v1/actions/{id}"));
        let replaced = put("a", &spec("a", "text")).await;
        replaced.is(200);
        assert_eq!(replaced.header("etag"), "\"2\"");
        assert_eq!(replaced.json()["config"], json!({"mode": "text"}));
        let renamed = put(&id, &spec("b", "text")).await;
        renamed.is(200);
        assert_eq!(renamed.json()["name"], "b");
        api.get("/v1/actions/a").send().await.is_problem(404, "action_not_found");

        let unnamed = put("e", &json!({"protocol": "echo", "config": {"mode": "json"}})).await;
        unnamed.is(201);
        assert_eq!(unnamed.json()["name"], "e");

        let other = put("c", &spec("d", "text")).await;
        other.is_problem(422, "invalid_document");
        assert_eq!(other.json()["errors"][0]["pointer"], "/name");
        put("act_01h455vb4pex5vsknk084sn02q", &spec("d", "json")).await.is_problem(404, "action_not_found");
        put("Not-A-Name", &spec("d", "json")).await.is_problem(400, "invalid_name");
    }

    #[tokio::test]
    async fn a_dry_run_says_what_a_save_would_and_saves_nothing() {
        let api = Api::new();
        let id = api.protocol_and_action("a").await;
        let dry = |path: &str, body: &Value| {
            api.request("PUT", &format!("/v1/actions/{path}?dry_run=true")).json(body).send()
        };
        let events = async || api.all_pages("/v1/events").await.len();
        let before = events().await;
        let changed = dry("a", &spec("a", "text")).await;
        changed.is(200);
        assert_eq!((&changed.json()["id"], &changed.json()["revision"]), (&json!(id), &json!(2)));
        let made = dry("b", &spec("b", "json")).await;
        made.is(200);
        assert_eq!(made.json()["revision"], 1);
        let wrong = json!({"name": "a", "protocol": "echo", "config": {"mode": 1}});
        dry("a", &wrong).await.is_problem(422, "invalid_document");
        dry("b", &spec("c", "json")).await.is_problem(422, "invalid_document");
        let stale = api.request("PUT", "/v1/actions/a?dry_run=true").with("if-match", "\"7\"");
        stale.json(&spec("a", "json")).send().await.is_problem(412, "revision_mismatch");
        api.request("PUT", "/v1/actions/b").json(&spec("b", "json")).send().await.is(201);
        dry("a", &spec("b", "json")).await.is_problem(409, "name_taken");
        assert_eq!(api.get("/v1/actions/a").send().await.json()["revision"], 1);
        assert_eq!(events().await, before + 1, "the one that was made");
        for query in ["dry_run=yes", "dry_run=", "dryrun=true"] {
            let wrong = api.request("PUT", &format!("/v1/actions/a?{query}")).json(&spec("a", "text")).send().await;
            wrong.is_problem(400, "invalid_query");
        }
    }

    #[tokio::test]
    async fn what_was_got_can_be_put_back() {
        let api = Api::new();
        api.protocol_and_action("a").await;
        let mut action = api.get("/v1/actions/a").send().await.json();
        action["description"] = "changed".into();
        let put = api.request("PUT", "/v1/actions/a").json(&action).send().await;
        put.is(200);
        for member in ["id", "created_at", "config", "delivery", "grants", "limits", "labels", "description"] {
            assert_eq!(put.json()[member], action[member], "{member}");
        }
        assert_eq!(put.json()["revision"], 2);
    }

    #[tokio::test]
    async fn lost_updates_are_refused() {
        let api = Api::new();
        let id = api.protocol_and_action("a").await;
        let put = |path: &str, name, value| {
            let request = api.request("PUT", &format!("/v1/actions/{path}")).with(name, value);
            request.json(&spec("a", "json")).send()
        };
        let stale = put("a", "if-match", "\"7\"").await;
        stale.is_problem(412, "revision_mismatch");
        assert_eq!(stale.header("etag"), "\"1\"");
        put("a", "if-match", "W/\"1\"").await.is_problem(412, "revision_mismatch");
        put("a", "if-match", "1").await.is_problem(400, "invalid_header");
        put("a", "if-none-match", "*").await.is_problem(412, "revision_mismatch");
        put("a", "if-match", "\"7\", \"1\"").await.is(200);
        put(&id, "if-match", "*").await.is(200);
        put("free", "if-match", "*").await.is_problem(412, "revision_mismatch");
        put("free", "if-match", "\"1\"").await.is_problem(412, "revision_mismatch");
        let missing = put("act_01h455vb4pex5vsknk084sn02q", "if-match", "\"1\"").await;
        missing.is_problem(404, "action_not_found");
        let made = api.request("PUT", "/v1/actions/free").with("if-none-match", "*").json(&spec("free", "json"));
        made.send().await.is(201);
    }
}
