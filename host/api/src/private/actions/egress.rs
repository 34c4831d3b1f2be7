//! `GET /v1/actions/{id}/egress`: explains what an action may reach.

use crate::{
    ApiState,
    error::Answer,
    request::{
        caller::Caller,
        path::In,
        query::{Query, invalid},
    },
    wire::{
        egress::{EgressBody, Target},
        ok,
    },
};
use action_domain::egress::{is_plain_http, target_of_url};
use axum::extract::State;

/// Explain an action's egress
///
/// What its executions may reach, which part of the action says so, and what the operator says.
/// With `url`, or `host` and `port`, also whether that would be let through, and by which rule.
/// No name is resolved for this.
#[utoipa::path(
    get,
    path = "/v1/actions/{id}/egress",
    tag = "actions",
    params(
        ("id" = String, Path, description = "The action's id or name."),
        ("url" = Option<String>, Query, description = "A URL to ask about."),
        ("host" = Option<String>, Query, description = "A host to ask about, together with `port`."),
        ("port" = Option<u16>, Query, minimum = 1, description = "Its port."),
    ),
    responses(
        (status = 200, description = "The rules.", body = EgressBody),
        (status = 400, description = "The path or the query makes no sense: `invalid_path`, `invalid_query`."),
        (status = 404, description = "There is no such action: `action_not_found`."),
    )
)]
pub(super) async fn get_action_egress(
    State(state): State<ApiState>,
    caller: Caller,
    In(id): In<String>,
    mut query: Query,
) -> Answer {
    let url = query.one("url")?;
    let host = query.one("host")?;
    let port = query.parsed("port", "a port, 1 to 65535", |text| text.parse().ok().filter(|port| *port != 0))?;
    query.finish()?;
    let target = match (url, host, port) {
        (None, None, None) => None,
        (Some(url), None, None) => {
            let (host, port) = target_of_url(&url).map_err(|why| invalid(format!("`url`: {why}")))?;
            Some(Target { host, port, plain: is_plain_http(&url) })
        }
        (None, Some(host), Some(port)) => Some(Target { host, port, plain: false }),
        _ => return Err(invalid("give `url`, or `host` and `port`".to_owned())),
    };
    let (egress, policy) = state.engine().egress(&caller.action(&state, &id).await?).await?;
    ok(&EgressBody::new(&egress, &policy, target.as_ref()))
}

#[cfg(test)]
mod tests {
    use crate::testing::{Answer, Api};
    use serde_json::{Value, json};

    async fn api() -> Api {
        let api = Api::new();
        api.upload("echo 0.1.0").await.is(201);
        let grants = json!({"egress": [{"host": "*.example.com", "ports": [443]}, {"host": "10.0.0.1", "ports": [80]}],
            "private_networks": true});
        let body = json!({"name": "a", "protocol": "echo", "config": {"url": "https://api.test/x"}, "grants": grants});
        api.post("/v1/actions").json(&body).send().await.is(201);
        api
    }

    #[tokio::test]
    async fn each_rule_with_its_place() {
        let egress = api().await.get("/v1/actions/a/egress").send().await;
        egress.is(200);
        assert_eq!(
            egress.json(),
            json!({
                "rules": [
                    {"host": "api.test", "ports": [443], "https_only": true, "origin": "config", "from": "/config/url"},
                    {"host": "*.example.com", "ports": [443], "origin": "grants", "from": "/grants/egress/0"},
                    {"host": "10.0.0.1", "ports": [80], "origin": "grants", "from": "/grants/egress/1", "forbidden": {
                        "reason": "private_not_allowed",
                        "rule": "10.0.0.1 is private, and the operator does not allow private networks",
                        "hint": "the operator has to set ACTION_SERVICE_EGRESS_PRIVATE=allow"}},
                ],
                "operator": {"allow": [], "deny": []},
                "private_networks": {"requested": true, "allowed_by_operator": false, "reachable": false},
            })
        );
    }

    #[tokio::test]
    async fn a_target_is_answered_with_the_rule_that_decides() {
        let api = api().await;
        let ask = async |query: &str| -> Answer { api.get(&format!("/v1/actions/a/egress?{query}")).send().await };
        let answer = async |query: &str| -> Value { ask(query).await.json()["answer"].take() };
        assert_eq!(
            answer("url=https://API.test./y").await,
            json!({"host": "api.test", "port": 443, "allowed": true, "final": false, "by": "/config/url"})
        );
        assert_eq!(answer("host=a.b.example.com&port=443").await["by"], "/grants/egress/0");
        let denied = answer("url=http://0x0A000001/").await;
        assert_eq!(
            (&denied["host"], &denied["allowed"], &denied["final"]),
            (&json!("10.0.0.1"), &json!(false), &json!(true))
        );
        assert_eq!(denied["forbidden"]["reason"], "private_not_allowed");
        let plain = answer("url=http://api.test:443/").await;
        assert_eq!((&plain["allowed"], &plain["forbidden"]["reason"]), (&json!(false), &json!("https_only")));
        let other = answer("host=evil.test&port=443").await;
        assert_eq!(other["forbidden"]["hint"], "add {\"host\": \"evil.test\", \"ports\": [443]} to grants.egress");
        for query in ["url=x", "host=a", "port=1", "host=a&port=0", "url=http://a/&host=a&port=1", "url=http://u@a/"] {
            ask(query).await.is_problem(400, "invalid_query");
        }
    }
}
