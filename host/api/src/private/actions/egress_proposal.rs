//! `GET /v1/actions/{id}/egress/proposal`: grants made of what was denied.

use crate::{
    ApiState,
    error::Answer,
    request::{caller::Caller, path::In, query::Query},
    wire::{egress::ProposalBody, ok},
};
use action_domain::limits::{OBSERVED_EXECUTIONS_DEFAULT, OBSERVED_EXECUTIONS_MAX};
use axum::extract::State;

/// Propose grants from what was denied
///
/// The smallest grants that would have let through what the last executions were denied, as far
/// as grants can. Nothing is let through to find out: what a component does behind its first
/// denial shows only once that is granted.
#[utoipa::path(
    get,
    path = "/v1/actions/{id}/egress/proposal",
    tag = "actions",
    params(
        ("id" = String, Path, description = "The action's id or name."),
        ("executions" = Option<u32>, Query, minimum = 1, maximum = 100, description = "How many of the last \
            executions to look at; 20 when nothing is said."),
    ),
    responses(
        (status = 200, description = "The grants, and what they were made of.", body = ProposalBody),
        (status = 400, description = "The path or the query makes no sense: `invalid_path`, `invalid_query`."),
        (status = 404, description = "There is no such action: `action_not_found`."),
    )
)]
pub(super) async fn get_egress_proposal(
    State(state): State<ApiState>,
    caller: Caller,
    In(id): In<String>,
    mut query: Query,
) -> Answer {
    let form = format!("a number from 1 to {OBSERVED_EXECUTIONS_MAX}");
    let in_range = |text: &str| text.parse().ok().filter(|count| (1..=OBSERVED_EXECUTIONS_MAX).contains(count));
    let executions = query.parsed("executions", &form, in_range)?.unwrap_or(OBSERVED_EXECUTIONS_DEFAULT);
    query.finish()?;
    let observed = state.engine().propose_egress(&caller.action(&state, &id).await?, executions).await?;
    ok(&ProposalBody::from(&observed))
}

#[cfg(test)]
mod tests {
    use crate::testing::Api;
    use serde_json::json;

    #[tokio::test]
    async fn who_was_denied_nothing_is_proposed_what_it_has() {
        let api = Api::new();
        api.upload("echo 0.1.0").await.is(201);
        let grants = json!({"egress": [{"host": "a.test", "ports": [443]}]});
        let body = json!({"name": "a", "protocol": "echo", "config": {"mode": "json"}, "grants": grants});
        api.post("/v1/actions").json(&body).send().await.is(201);
        api.execute("a").await;
        let proposal = api.get("/v1/actions/a/egress/proposal").send().await;
        proposal.is(200);
        let proposal = proposal.json();
        assert_eq!(proposal["changes"], false);
        assert_eq!(proposal["grants"]["egress"], grants["egress"]);
        assert_eq!((&proposal["executions"], &proposal["denials"]), (&json!(1), &json!(0)));
        for query in ["executions=0", "executions=101", "executions=x", "last=3"] {
            let refused = api.get(&format!("/v1/actions/a/egress/proposal?{query}")).send().await;
            refused.is_problem(400, "invalid_query");
        }
        api.get("/v1/actions/b/egress/proposal").send().await.is_problem(404, "action_not_found");
    }
}
