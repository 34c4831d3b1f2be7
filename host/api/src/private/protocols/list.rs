//! `GET /v1/protocols`: all versions of all protocols.

use crate::{
    ApiState,
    error::{Answer, Problem},
    request::query::Query,
    wire::{page, protocol::ProtocolSummary},
};
use action_domain::{
    protocol::{Kind, Pin, Protocol},
    repositories::Page,
};
use axum::extract::State;
use std::sync::Arc;

/// List protocols
///
/// Every version of every protocol, by name and then by version as text.
#[utoipa::path(
    get,
    path = "/v1/protocols",
    tag = "protocols",
    params(
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 500, description = "Most items of the page: 1 to 500, 50 where left out."),
        ("after" = Option<String>, Query, description = "`next` of the page before."),
        ("kind" = Option<String>, Query, description = "`protocol` or `transform`; both where left out."),
    ),
    responses(
        (status = 200, description = "A page.", body = page::Page<ProtocolSummary>),
        (status = 400, description = "The query makes no sense: `invalid_query`, `invalid_cursor`."),
    )
)]
pub(super) async fn list_protocols(State(state): State<ApiState>, mut query: Query) -> Answer {
    let kind = match query.one("kind")?.as_deref() {
        None => None,
        Some("protocol") => Some(Kind::Protocol),
        Some("transform") => Some(Kind::Transform),
        Some(_) => return Err(Problem::bad_request("invalid_query", "`kind` is protocol or transform")),
    };
    let (limit, page) = query.page()?;
    query.finish()?;
    let mut protocols = of_kind(&state, kind, page).await?;
    page::answer(&mut protocols, limit, |protocol| protocol.pin(), |protocol| ProtocolSummary::from(&**protocol))
}

/// A page of one kind. There are few components, so those of the other kind are read and left out.
async fn of_kind(state: &ApiState, kind: Option<Kind>, page: Page<Pin>) -> Answer<Vec<Arc<Protocol>>> {
    let wanted = page.limit as usize;
    let (mut found, mut after) = (Vec::new(), page.after);
    loop {
        let protocols = state.engine().reader().protocols(Page { after, limit: page.limit }).await?;
        let last = protocols.len() < wanted;
        after = protocols.last().map(|protocol| protocol.pin());
        found.extend(protocols.into_iter().filter(|protocol| kind.is_none_or(|kind| protocol.kind == kind)));
        if last || found.len() >= wanted {
            found.truncate(wanted);
            return Ok(found);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::Api;

    #[tokio::test]
    async fn page_by_page() {
        let api = Api::new();
        for component in ["b 0.1.0", "a 0.2.0", "a 0.1.0"] {
            api.upload(component).await.is(201);
        }
        let items = api.all_pages("/v1/protocols?limit=1").await;
        let pins: Vec<_> = items.iter().map(|item| format!("{}@{}", item["name"], item["version"])).collect();
        assert_eq!(pins.join(" ").replace('"', ""), "a@0.1.0 a@0.2.0 b@0.1.0");
        assert!(items[0].get("config_schema").is_none());
    }

    #[tokio::test]
    async fn a_query_that_makes_no_sense_is_refused() {
        let api = Api::new();
        for (query, code) in [
            ("limit=0", "invalid_query"),
            ("limit=501", "invalid_query"),
            ("limit=x", "invalid_query"),
            ("limit=1&limit=2", "invalid_query"),
            ("limt=1", "invalid_query"),
            ("after=x", "invalid_cursor"),
            // A cursor of the list of actions: `action:a`.
            ("after=YWN0aW9uOmE", "invalid_cursor"),
        ] {
            api.get(&format!("/v1/protocols?{query}")).send().await.is_problem(400, code);
        }
    }
}
