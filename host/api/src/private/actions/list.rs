//! `GET /v1/actions`: current revisions of actions.

use crate::{
    ApiState,
    error::Answer,
    request::{caller::Caller, query::Query},
    wire::{page, saved_action::ActionBody},
};
use action_domain::{
    action::Action,
    id::ActionId,
    name::Name,
    repositories::{ActionFilter, ActionKey, Page, StoreUnavailable},
};
use axum::extract::State;
use std::sync::Arc;

/// List actions
///
/// By name. All conditions hold.
#[utoipa::path(
    get,
    path = "/v1/actions",
    tag = "actions",
    params(
        ("protocol" = Option<String>, Query, description = "Of the protocol with this name."),
        ("label" = Option<String>, Query, description = "With this label: `key=value`."),
        ("enabled" = Option<bool>, Query, description = "Enabled or not."),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 500, description = "Most items of the page: 1 to 500, 50 where left out."),
        ("after" = Option<String>, Query, description = "`next` of the page before."),
    ),
    responses(
        (status = 200, description = "A page.", body = page::Page<ActionBody>),
        (status = 400, description = "The query makes no sense: `invalid_query`, `invalid_cursor`."),
    )
)]
pub(super) async fn list_actions(State(state): State<ApiState>, caller: Caller, mut query: Query) -> Answer {
    let (limit, page) = query.page()?;
    let label = |text: &str| text.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned()));
    let filter = ActionFilter {
        protocol: query.parsed("protocol", "a protocol's name", |text| text.parse().ok())?,
        label: query.parsed("label", "`key=value`", label)?,
        enabled: query.parsed("enabled", "`true` or `false`", |text| text.parse().ok())?,
    };
    query.finish()?;
    let mut actions = match caller.limited_to() {
        None => state.engine().reader().actions(&filter, page).await?,
        Some(ids) => these(&state, ids, &filter, page).await?,
    };
    page::answer(&mut actions, limit, |action| action.spec.name.clone(), |action| ActionBody::from(&**action))
}

/// Of these actions, which are few.
async fn these(
    state: &ApiState,
    ids: &[ActionId],
    filter: &ActionFilter,
    page: Page<Name>,
) -> Result<Vec<Arc<Action>>, StoreUnavailable> {
    let mut found = Vec::new();
    for id in ids {
        found.extend(state.engine().reader().action(&ActionKey::Id(*id)).await?);
    }
    found.retain(|action| filter.matches(action) && page.after.as_ref().is_none_or(|after| action.spec.name > *after));
    found.sort_by(|a, b| a.spec.name.cmp(&b.spec.name));
    found.truncate(page.limit as usize);
    Ok(found)
}

#[cfg(test)]
mod tests {
    use crate::testing::Api;
    use serde_json::json;

    #[tokio::test]
    async fn by_name_and_by_condition() {
        let api = Api::new();
        api.upload("echo 0.1.0").await.is(201);
        api.upload("other 0.1.0").await.is(201);
        for (name, protocol, enabled, team) in
            [("c", "echo", true, "x"), ("a", "other", true, "y"), ("b", "echo", false, "x")]
        {
            let body = json!({"name": name, "protocol": protocol, "enabled": enabled, "config": {},
                "labels": {"team": team}});
            api.post("/v1/actions").json(&body).send().await.is(201);
        }
        for (query, expected) in [
            ("limit=1", "a b c"),
            ("limit=2", "a b c"),
            ("limit=3", "a b c"),
            ("limit=1&protocol=echo", "b c"),
            ("limit=1&label=team%3Dx", "b c"),
            ("limit=1&label=team=x&enabled=true", "c"),
            ("limit=1&label=team=z", ""),
            ("limit=1&protocol=none", ""),
        ] {
            let items = api.all_pages(&format!("/v1/actions?{query}")).await;
            let names: Vec<_> = items.iter().map(|item| item["name"].as_str().unwrap()).collect();
            assert_eq!(names.join(" "), expected, "{query}");
        }
        for query in ["enabled=1", "label=x", "protocol=A", "name=a"] {
            api.get(&format!("/v1/actions?{query}")).send().await.is_problem(400, "invalid_query");
        }
    }
}
