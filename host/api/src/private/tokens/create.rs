//! `POST /v1/tokens`: makes a token.

use crate::{
    ApiState,
    error::{Answer, Problem},
    request::{caller::Caller, json::Json, path::parse_action_key},
    wire::{
        self,
        token::{CreatedBody, TokenSpec},
    },
};
use action_domain::{failure::Issue, limits::ISSUES_MAX, token::Scope};
use action_engine::NewToken;
use axum::extract::State;
use http::StatusCode;

/// Create a token
///
/// What callers send is in the answer, and nowhere else: only its SHA-256 is kept. A token with a list
/// of actions runs, sees and changes these and is told of no others; a deleted one of them matches
/// nothing any more.
#[utoipa::path(
    post,
    path = "/v1/tokens",
    tag = "tokens",
    request_body = TokenSpec,
    responses(
        (status = 201, description = "The token is good from now on.", body = CreatedBody),
        (status = 400, description = "The document cannot be read: `malformed_json`, `invalid_utf8`, \
            `duplicate_member`, `too_deep`."),
        (status = 422, description = "The document is not valid, for all of `errors`: `invalid_document`."),
    )
)]
pub(super) async fn create_token(State(state): State<ApiState>, caller: Caller, Json(spec): Json<TokenSpec>) -> Answer {
    let actions = spec.actions.map(|texts| {
        let key = |(index, text): (usize, &String)| {
            let issue = || Issue::new(format!("/actions/{index}"), "invalid", "an action's id or name is needed");
            parse_action_key(text).ok_or_else(issue)
        };
        let (keys, issues): (Vec<_>, Vec<_>) = texts.iter().enumerate().map(key).partition(Result::is_ok);
        let issues: Vec<Issue> = issues.into_iter().filter_map(Result::err).take(ISSUES_MAX).collect();
        if issues.is_empty() {
            Ok(keys.into_iter().flatten().collect())
        } else {
            Err(Problem::invalid_document(issues))
        }
    });
    let wish = NewToken {
        name: spec.name,
        scopes: spec.scopes.into_iter().map(Scope::from).collect(),
        actions: actions.transpose()?,
        expires_at: spec.expires_at,
    };
    let created = state.engine().create_token(wish, caller.actor()).await?;
    wire::json(StatusCode::CREATED, &CreatedBody { token: (&created.token).into(), text: &created.text })
}

#[cfg(test)]
mod tests {
    use crate::{
        Scope,
        testing::{Api, tokens},
    };
    use serde_json::{Value, json};

    #[tokio::test]
    async fn what_callers_send_is_shown_once_and_opens_what_it_says() {
        let api = Api::new();
        let action = api.protocol_and_action("a").await;
        let wish = json!({"name": "orders", "scopes": ["read", "invoke", "read"], "actions": ["a", action],
            "expires_at": "2999-01-01T00:00:00Z"});
        let made = api.post("/v1/tokens").json(&wish).send().await;
        made.is(201);
        let made = made.json();
        let (id, text) = (made["id"].as_str().unwrap(), made["token"].as_str().unwrap());
        assert!(id.starts_with("tok_") && text.starts_with(&format!("{id}_")), "{made}");
        assert_eq!((&made["name"], &made["scopes"]), (&json!("orders"), &json!(["invoke", "read"])));
        assert_eq!((&made["actions"], &made["created_by"]), (&json!([action]), &json!("admin")));
        assert_eq!(made["expires_at"], "2999-01-01T00:00:00.000000Z");
        api.post("/v1/actions/a/execute").bearer(text).body("x").send().await.is(200);
        api.get("/v1/actions/a").bearer(text).send().await.is(200);
        api.request("DELETE", "/v1/actions/a").bearer(text).send().await.is_problem(403, "scope_missing");

        let secret = text.rsplit('_').next().unwrap();
        for path in ["/v1/tokens", "/v1/events?limit=500"] {
            let shown = api.get(path).send().await;
            assert!(!String::from_utf8_lossy(&shown.bytes).contains(secret), "{path}");
        }
        let events = api.all_pages("/v1/events?type=token_created").await;
        assert_eq!(
            events[0]["data"],
            json!({"token": id, "name": "orders", "scopes": ["invoke", "read"], "actions": [action],
                "expires_at": "2999-01-01T00:00:00.000000Z", "by": "admin"})
        );
    }

    #[tokio::test]
    async fn everything_that_is_wrong_is_said() {
        let api = Api::new();
        api.protocol_and_action("a").await;
        let pointers = async |wish: Value| {
            let refused = api.post("/v1/tokens").json(&wish).send().await;
            refused.is_problem(422, "invalid_document");
            let errors = refused.json()["errors"].as_array().unwrap().clone();
            let mut all: Vec<_> = errors.iter().map(|error| error["pointer"].as_str().unwrap().to_owned()).collect();
            all.sort();
            all.join(" ")
        };
        for (wish, expected) in [
            (json!({}), "/name /scopes"),
            (json!({"name": "a", "scopes": ["root"], "action": []}), "/action /scopes/0"),
            (
                json!({"name": "", "scopes": [], "actions": [], "expires_at": "2001-01-01T00:00:00Z"}),
                "/actions /expires_at /name /scopes",
            ),
            (json!({"name": "a", "scopes": ["read"], "actions": ["a", "nobody"]}), "/actions/1"),
            (json!({"name": "a", "scopes": ["read"], "actions": ["A", "a", ""]}), "/actions/0 /actions/2"),
            (json!({"name": "a", "scopes": ["admin"], "actions": ["a"]}), "/actions"),
            (json!({"name": "a", "scopes": ["read"], "expires_at": "tomorrow"}), "/expires_at"),
        ] {
            assert_eq!(pointers(wish.clone()).await, expected, "{wish}");
        }
        assert!(api.all_pages("/v1/tokens").await.is_empty());
    }

    #[tokio::test]
    async fn only_an_admin_makes_them() {
        let api = Api::new();
        let wish = json!({"name": "more", "scopes": ["admin"]});
        for scope in [Scope::Configure, Scope::Invoke, Scope::Read] {
            let refused = api.post("/v1/tokens").bearer(tokens(scope)).json(&wish).send().await;
            refused.is_problem(403, "scope_missing");
        }
        // One that a token made is made by that token.
        let first = api.post("/v1/tokens").json(&wish).send().await.json();
        let second = api.post("/v1/tokens").bearer(first["token"].as_str().unwrap()).json(&wish).send().await;
        second.is(201);
        assert_eq!(second.json()["created_by"], first["id"]);
    }
}
