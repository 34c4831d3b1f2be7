//! `GET /v1/tokens`: the tokens that were not revoked.

use crate::{
    ApiState,
    error::Answer,
    request::query::Query,
    wire::{page, token::TokenBody},
};
use axum::extract::State;

/// List tokens
///
/// The newest first, also those whose time is over. Those that were revoked are gone; events have them.
#[utoipa::path(
    get,
    path = "/v1/tokens",
    tag = "tokens",
    params(
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 500, description = "Most items of the page: 1 to 500, 50 where left out."),
        ("after" = Option<String>, Query, description = "`next` of the page before."),
    ),
    responses(
        (status = 200, description = "A page.", body = page::Page<TokenBody>),
        (status = 400, description = "The query makes no sense: `invalid_query`, `invalid_cursor`."),
    )
)]
pub(super) async fn list_tokens(State(state): State<ApiState>, mut query: Query) -> Answer {
    let (limit, page) = query.page()?;
    query.finish()?;
    let mut tokens = state.engine().reader().tokens(page).await?;
    page::answer(&mut tokens, limit, |token| token.id, |token| TokenBody::from(&**token))
}

#[cfg(test)]
mod tests {
    use crate::testing::Api;
    use serde_json::json;

    #[tokio::test]
    async fn the_newest_first_and_never_what_callers_send() {
        let api = Api::new();
        for name in ["a", "b", "c"] {
            api.token(&json!({"name": name, "scopes": ["read"]})).await;
        }
        let items = api.all_pages("/v1/tokens?limit=1").await;
        assert_eq!(items.iter().map(|item| item["name"].as_str().unwrap()).collect::<Vec<_>>(), ["c", "b", "a"]);
        assert_eq!((&items[0]["actions"], &items[0]["expires_at"]), (&json!(null), &json!(null)));
        assert!(items.iter().all(|item| item.get("token").is_none() && item.get("digest").is_none()), "{items:?}");
        api.get("/v1/tokens?name=a").send().await.is_problem(400, "invalid_query");
        api.get("/v1/tokens?after=x").send().await.is_problem(400, "invalid_cursor");
    }
}
